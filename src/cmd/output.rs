//! Files that a verb writes: found writable before the work, written whole or not at all, never half in place.

use std::fs::{File, OpenOptions, Permissions};
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
    /// full disk is found before the work and not after it.
    pub fn create(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let context = || format!("cannot write to {}", path.display());
        let place = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => bail!("cannot write to {}: it is a folder", path.display()),
            Ok(metadata) if !metadata.is_file() => {
                Place::Direct(OpenOptions::new().write(true).open(path).with_context(context)?)
            }
            _ => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                // As a plain `open` would make it: the umask applies.
                let mode = Permissions::from_mode(0o666);
                let file = tempfile::Builder::new().permissions(mode).tempfile_in(folder).with_context(context)?;
                match fallocate(file.as_file(), FallocateFlags::KEEP_SIZE, 0, bytes.max(1)) {
                    Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                    Err(error) => return Err(error).with_context(context),
                }
                Place::Beside(file)
            }
        };
        Ok(Output { path: path.to_owned(), place })
    }

    /// Writes `bytes`, syncs them to disk and puts the file in its place.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
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

    /// As [`write`](Self::write), and keeps what was there before as `<path>.previous`. At every moment there is a whole file at
    /// `path`, if there was one.
    pub fn write_keeping_previous(self, bytes: &[u8]) -> anyhow::Result<()> {
        if let (Place::Beside(_), true) = (&self.place, self.path.exists()) {
            let previous = previous(&self.path);
            let context = || format!("cannot write to {}", previous.display());
            let mut link = self.path.clone().into_os_string();
            link.push(".linking");
            let link = PathBuf::from(link);
            let _ = std::fs::remove_file(&link);
            // A second name first, so that the first one never is without a file; where links cannot be had, a copy.
            if std::fs::hard_link(&self.path, &link).is_err() {
                std::fs::copy(&self.path, &link).with_context(context)?;
            }
            std::fs::rename(&link, &previous).with_context(context)?;
        }
        self.write(bytes)
    }
}

/// Where the file before the last one is kept.
pub(crate) fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".previous");
    name.into()
}

/// A rename is on disk when its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
