//! What every part that writes files needs: temporary names that whoever ends the program can remove, and folders on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rustix::io::Errno;

use crate::panics::locked;

/// A whole file, or an error where it goes on beyond so many bytes: a device may have no end.
pub(crate) fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    at_most(File::open(path)?, most)
}

/// All that comes, unless that is more than `most` bytes.
pub(crate) fn at_most(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes, the limit")));
    }
    Ok(bytes)
}

/// A temporary name, gone when this is.
pub(crate) struct Name {
    path: PathBuf,
    is_kept: bool,
}

impl Name {
    /// Lets `make` make a file of a name in `folder` that nothing has yet.
    pub fn of_new<R>(folder: &Path, mut make: impl FnMut(&Path) -> io::Result<R>) -> io::Result<(R, Self)> {
        let make = |path: &Path| {
            // Held until the file is there: whoever removes all finds it, or comes before it and lets no other be made.
            let mut names = names();
            let made = make(path)?;
            names.push(path.to_owned());
            Ok(made)
        };
        let made = tempfile::Builder::new().prefix(".layerbench-").suffix(".tmp").make_in(folder, make)?;
        let (made, path) = made.keep().map_err(|error| error.error)?;
        Ok((made, Name { path, is_kept: false }))
    }

    /// An empty file of this user's alone in the folder for temporary files.
    pub fn of_private() -> io::Result<(File, Self)> {
        let make = |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        Name::of_new(&std::env::temp_dir(), make)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file stay, whatever comes.
    pub fn keep(&mut self) {
        forget(&self.path);
        self.is_kept = true;
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may have been renamed.
            let _ = std::fs::remove_file(&self.path);
            forget(&self.path);
        }
    }
}

/// The temporary names that are in use.
static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn names() -> MutexGuard<'static, Vec<PathBuf>> {
    locked(&NAMES)
}

fn forget(path: &Path) {
    names().retain(|name| name != path);
}

/// Removes all temporary files and ends the program, before whoever writes them makes another.
pub(crate) fn remove_all_and(end: impl FnOnce()) {
    let names = names();
    for path in names.iter() {
        let _ = std::fs::remove_file(path);
    }
    end();
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new name is on disk when its folder is. Some folders may be written and not read, some file systems sync none: the file itself was
/// synced, and more cannot be had there.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::ACCESS | Errno::INVAL)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
pub(crate) fn known_in(folder: &Path) -> Vec<PathBuf> {
    names().iter().filter(|path| path.starts_with(folder)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::TryLockError;

    use super::*;

    #[test]
    fn whoever_removes_all_waits_for_the_file_that_is_being_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |path: &Path| {
            assert!(matches!(NAMES.try_lock(), Err(TryLockError::WouldBlock)));
            File::create_new(path)
        };
        let (_file, name) = Name::of_new(folder.path(), make).expect("the folder is writable");
        assert_eq!(known_in(folder.path()), [name.path()]);
        let refused = |_: &Path| io::Result::<()>::Err(io::ErrorKind::PermissionDenied.into());
        assert!(Name::of_new(folder.path(), refused).is_err());
        assert_eq!(known_in(folder.path()), [name.path()]);
        drop(name);
        assert!(known_in(folder.path()).is_empty() && folder.path().read_dir().expect("a folder").next().is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_cannot_be_synced_is_no_error() {
        let folder = Path::new("/proc/self/fdinfo");
        let error = File::open(folder).and_then(|folder| folder.sync_all()).expect_err("there is no disk behind it");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL));
        sync_folder_of(&folder.join("file")).expect("accepted");
        assert!(sync_folder_of(Path::new("/no/such/file")).is_err());
    }
}
