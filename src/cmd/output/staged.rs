//! A file that waits beside its target until it is whole. It has no name until then where the system can do that, so that nothing is left
//! behind however the program ends; else its name is known to whoever ends the program.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::cmd::interrupt;
use crate::files::{Name, folder_of};

/// As a plain `open` would make a file: the umask applies.
const MODE: u32 = 0o666;

pub(super) struct Staged {
    pub file: File,
    folder: PathBuf,
    name: Option<Name>,
}

impl Staged {
    /// An empty one in `folder`.
    pub fn create(folder: &Path) -> io::Result<Self> {
        match nameless(folder) {
            Some(file) => Ok(Staged { file, folder: folder.to_owned(), name: None }),
            None => Self::named(folder),
        }
    }

    fn named(folder: &Path) -> io::Result<Self> {
        let make = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(path);
        let (file, name) = new_name(folder, make)?;
        Ok(Staged { file, folder: folder.to_owned(), name: Some(name) })
    }

    /// Gives it owner and permissions of the file that it will replace. Answers whether it could.
    pub fn take_after(&self, old: &Metadata) -> io::Result<bool> {
        let new = self.file.metadata()?;
        let wanted = (old.uid(), old.gid());
        let is_owned = (new.uid(), new.gid()) == wanted || fchown(&self.file, Some(wanted.0), Some(wanted.1)).is_ok();
        self.file.set_permissions(old.permissions())?;
        Ok(is_owned)
    }

    /// Sets disk space aside, where the file system can do that. Refuses more than a file may have.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        if let Some(most) = getrlimit(Resource::Fsize).current.filter(|&most| most < bytes) {
            let problem =
                format!("it may take {bytes} bytes, and a file may have {most} here; raise that limit (ulimit -f)");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes.clamp(1, i64::MAX as u64)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies all that comes into it, and to the disk.
    pub fn fill(&mut self, mut from: impl Read) -> io::Result<()> {
        io::copy(&mut from, &mut self.file)?;
        // Gives back what was set aside and not needed.
        let end = self.file.stream_position()?;
        self.file.set_len(end)?;
        self.file.sync_all()
    }

    /// Gives it the name `path`, in place of whatever has it.
    pub fn rename(&mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(self.name()?.path(), path)
    }

    /// Writes its content over that of `file`, which stays the file that it is.
    pub fn copy_over(&mut self, mut file: File) -> io::Result<()> {
        self.file.rewind()?;
        // Cut last: until then as little as possible of the old content is lost should there be no room.
        let length = io::copy(&mut self.file, &mut file)?;
        file.set_len(length)?;
        file.sync_all()
    }

    /// Lets it stay under a name of its own, whatever comes.
    pub fn keep(&mut self) -> io::Result<PathBuf> {
        let name = self.name()?;
        name.keep();
        Ok(name.path().to_owned())
    }

    fn name(&mut self) -> io::Result<&mut Name> {
        if self.name.is_none() {
            self.name = Some(new_name(&self.folder, |path| link(&self.file, path))?.1);
        }
        Ok(self.name.as_mut().expect("it was given one"))
    }
}

/// Gives the file at `path` a second name, in place of whatever has it.
pub(super) fn link_by_name(path: &Path, other: &Path) -> io::Result<()> {
    let ((), name) = new_name(folder_of(other), |new| std::fs::hard_link(path, new))?;
    // Where both are names of one file already this does nothing, and the temporary one goes.
    std::fs::rename(name.path(), other)
}

/// None where the system has no such files, or cannot give them a name later: that is tried.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<File> {
    let open = || {
        let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
        OpenOptions::new().read(true).write(true).mode(MODE).custom_flags(flags).open(folder).ok()
    };
    let probe = open()?;
    new_name(folder, |path| link(&probe, path)).ok()?;
    open()
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &Path) -> Option<File> {
    None
}

/// Gives an open file a name that nothing has yet.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, linkat};
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, descriptor, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A temporary name that a signal takes away, whichever verb this is.
fn new_name<R>(folder: &Path, make: impl FnMut(&Path) -> io::Result<R>) -> io::Result<(R, Name)> {
    interrupt::listen()?;
    Name::of_new(folder, make)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on file systems without nameless files.
    #[test]
    fn a_temporary_name_is_known_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let known = || crate::files::known_in(folder.path());
        let there =
            || folder.path().read_dir().expect("a folder").map(|e| e.expect("an entry").path()).collect::<Vec<_>>();
        let mut staged = Staged::named(folder.path()).expect("the folder is writable");
        assert_eq!((known().len(), known()), (1, there()));
        drop(Staged::named(folder.path()).expect("the folder is writable"));
        assert_eq!((known().len(), known()), (1, there()));
        let target = folder.path().join("target");
        staged.fill(&b"new"[..]).expect("there is room");
        staged.rename(&target).expect("the folder is writable");
        drop(staged);
        assert_eq!((known(), there()), (vec![], vec![target]));
        let kept = Staged::named(folder.path()).expect("the folder is writable").keep().expect("it has a name");
        assert!(known().is_empty() && kept.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_nameless_file_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let staged = Staged::create(folder.path()).expect("the folder is writable");
        if staged.name.is_none() {
            assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
        }
    }
}
