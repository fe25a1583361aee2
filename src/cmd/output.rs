//! Files that a verb writes: found writable before the work, written whole or not at all, never half in place.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tempfile::NamedTempFile;

/// An output that is ready to be written.
pub(crate) struct Output {
    path: PathBuf,
    place: Place,
}

enum Place {
    /// A file beside the target, renamed to it when it is whole.
    Beside(NamedTempFile),
    /// A device or a pipe, such as /dev/stdout: it cannot be replaced, only written to.
    Direct(File),
}

impl Output {
    /// Finds out now whether `path` can be written, and sets `bytes` of disk aside where the file system can do that, so that a
    /// full disk is found before the work and not after it. A link is followed; a file that is there keeps its permissions.
    pub fn create(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let context = || format!("cannot write to {}", path.display());
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let metadata = std::fs::metadata(&path).ok();
        if metadata.as_ref().is_some_and(Metadata::is_dir) {
            bail!("{}: it is a folder", context());
        }
        // A file that may not be written is not replaced either.
        let existing = metadata.map(|metadata| (OpenOptions::new().write(true).open(&path), metadata));
        let mode = match existing {
            Some((file, metadata)) => {
                let file = file.with_context(context)?;
                if !metadata.is_file() {
                    return Ok(Output { path, place: Place::Direct(file) });
                }
                Some(metadata.permissions())
            }
            None => None,
        };
        // As a plain `open` would make it: the umask applies.
        let plain = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().permissions(plain).tempfile_in(folder_of(&path)).with_context(context)?;
        if let Some(mode) = mode {
            file.as_file().set_permissions(mode).with_context(context)?;
        }
        match fallocate(file.as_file(), FallocateFlags::KEEP_SIZE, 0, bytes.clamp(1, i64::MAX as u64)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error).with_context(context),
        }
        Ok(Output { path, place: Place::Beside(file) })
    }

    /// Writes `bytes`, syncs them to disk and puts the file in its place.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_then(bytes, |_| Ok(()))
    }

    /// As [`write`](Self::write), and keeps what was there before as `<path>.previous`. At every moment there is a whole file at
    /// `path`, if there was one; a write that fails changes neither.
    pub fn write_keeping_previous(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_then(bytes, keep_previous)
    }

    fn write_then(self, bytes: &[u8], before_replacing: fn(&Path) -> std::io::Result<()>) -> anyhow::Result<()> {
        let context = format!("cannot write to {}", self.path.display());
        match self.place {
            Place::Direct(mut file) => file.write_all(bytes).context(context),
            Place::Beside(mut file) => {
                let result = (|| {
                    file.write_all(bytes)?;
                    // Gives back what was set aside and not needed.
                    let end = file.stream_position()?;
                    file.as_file().set_len(end)?;
                    file.as_file().sync_all()?;
                    before_replacing(&self.path)?;
                    file.persist(&self.path)?;
                    sync_folder(&self.path)
                })();
                result.context(context)
            }
        }
    }

    /// Lets `writer` make the file by name, then puts it in its place.
    #[cfg(feature = "hdf5")]
    pub fn write_by_name(self, writer: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let Place::Beside(file) = self.place else { bail!("cannot write to {}: it is no file", self.path.display()) };
        writer(file.path())?;
        let context = || format!("cannot write to {}", self.path.display());
        File::open(file.path()).and_then(|file| file.sync_all()).with_context(context)?;
        file.persist(&self.path).with_context(context)?;
        sync_folder(&self.path).with_context(context)
    }
}

/// Gives what is at `path` a second name first, so that the first one never is without a file; where links cannot be had, a copy.
fn keep_previous(path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let link = with_ending(path, ".linking");
    let _ = std::fs::remove_file(&link);
    if std::fs::hard_link(path, &link).is_err() {
        std::fs::copy(path, &link)?;
    }
    std::fs::rename(&link, previous(path))?;
    // A rename between two names of one file does nothing and leaves both.
    let _ = std::fs::remove_file(&link);
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Where the file before the last one is kept.
pub(crate) fn previous(path: &Path) -> PathBuf {
    with_ending(path, ".previous")
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename is on disk when its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}
