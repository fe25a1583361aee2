//! Files that a verb writes: found writable before the work, written whole beside their target, then put in its place. Where a file cannot
//! or must not be replaced by another, its content is: that is not atomic, and the whole new content stays beside until it is done.

mod staged;
mod stream;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, anyhow, bail};

use crate::cmd::paths::{folder_of, target};
use staged::Staged;
pub(crate) use staged::remove_all_and;

/// An output that is ready to be written.
pub(crate) struct Output {
    /// As the user calls it.
    name: PathBuf,
    place: Place,
}

enum Place {
    /// A file to be, and where it belongs.
    File(Staged, Target),
    /// A device or a pipe, such as /dev/stdout: it cannot be replaced, only written to.
    Stream(File),
}

struct Target {
    path: PathBuf,
    /// A file that is another user's stays so: its content is replaced.
    is_replaceable: bool,
}

/// What becomes of the file that is there.
#[derive(Clone, Copy, PartialEq)]
enum Old {
    Goes,
    /// It is kept as `<path>.previous`.
    Stays,
}

impl Output {
    /// Finds out now whether `path` can be written, and sets `bytes` of disk aside where the file system can do that, so that a
    /// full disk is found before the work and not after it. Links are followed; a file that is there keeps its permissions, its owner and
    /// its other names.
    pub fn create(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        Place::of(path, bytes)
            .map(|place| Output { name: path.to_owned(), place })
            .with_context(|| format!("cannot write to {}", path.display()))
    }

    /// As [`create`](Self::create), and refuses what is no file.
    pub fn create_file(path: &Path, bytes: u64, why: &str) -> anyhow::Result<Self> {
        let output = Self::create(path, bytes)?;
        match output.place {
            Place::File(..) => Ok(output),
            Place::Stream(_) => {
                bail!("cannot write to {}: expected a file, found a device or a pipe: {why}", path.display())
            }
        }
    }

    /// Writes `bytes`, syncs them to disk and puts the file in its place.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_and(Old::Goes, bytes)
    }

    /// As [`write`](Self::write), and keeps what was there before as [`previous`].
    pub fn write_keeping_previous(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_and(Old::Stays, bytes)
    }

    fn write_and(self, old: Old, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match self.place {
            Place::Stream(mut file) => file.write_all(bytes).map_err(Into::into),
            Place::File(mut staged, target) => match staged.fill(bytes) {
                Ok(()) => target.put(staged, old),
                Err(error) => Err(told_with(error, rescue(bytes))),
            },
        };
        written.with_context(|| format!("cannot write to {}", self.name.display()))
    }

    /// Lets `writer` make the file by a name that it is given, then puts it in its place.
    #[cfg(feature = "hdf5")]
    pub fn write_by_name(self, writer: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let context = || format!("cannot write to {}", self.name.display());
        let Place::File(mut staged, target) = self.place else { bail!("{}: it is no file", context()) };
        writer(staged.path().with_context(context)?)?;
        staged.file.sync_all().with_context(context)?;
        target.put(staged, Old::Goes).with_context(context)
    }
}

impl Place {
    fn of(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let path = target(path)?;
        if let Some(stream) = stream::open(&path)? {
            return Ok(Place::Stream(stream));
        }
        let old = match path.metadata() {
            Ok(old) if old.is_dir() => bail!("it is a folder"),
            Ok(old) => Some(old),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let mut staged = Staged::create(folder_of(&path));
        if old.is_some() {
            // A file that may not be written is not replaced either, and if it cannot be replaced this is how it will be written.
            OpenOptions::new().write(true).open(&path)?;
            // Some folders take no new file, and the one that is there can be written.
            staged = staged.or_else(|_| Staged::create(&env::temp_dir()));
        }
        let staged = staged?;
        let is_replaceable = old.map_or(Ok(true), |old| staged.take_after(&old))?;
        staged.reserve(bytes)?;
        Ok(Place::File(staged, Target { path, is_replaceable }))
    }
}

impl Target {
    /// Puts a whole file in this place. If that fails, the file stays and the error names it.
    fn put(&self, mut staged: Staged, old: Old) -> anyhow::Result<()> {
        match self.replace(&mut staged, old).or_else(|error| self.overwrite(&mut staged, old, error)) {
            Ok(()) => Ok(sync_folder(&self.path)?),
            Err(error) => Err(told_with(error, staged.keep())),
        }
    }

    /// In one step: at every moment there is a whole file, if there was one.
    fn replace(&self, staged: &mut Staged, old: Old) -> io::Result<()> {
        if self.has_other_names(old) || !self.is_replaceable {
            return Err(ErrorKind::Unsupported.into());
        }
        if old == Old::Stays {
            keep_previous(&self.path, give_second_name)?;
        }
        staged.rename(&self.path)
    }

    /// Other names than the one that it would be kept as, which it has already where an earlier program was ended between two steps.
    fn has_other_names(&self, old: Old) -> bool {
        let Ok(here) = self.path.metadata() else { return false };
        let is_here = |other: fs::Metadata| (other.dev(), other.ino()) == (here.dev(), here.ino());
        let is_kept = old == Old::Stays && previous(&self.path).symlink_metadata().is_ok_and(is_here);
        here.nlink() > 1 + u64::from(is_kept)
    }

    /// The way for a file that is a mount point, or has other names, or an owner who would lose it. `refused` is why it could not be replaced.
    fn overwrite(&self, staged: &mut Staged, old: Old, refused: io::Error) -> io::Result<()> {
        if !self.path.exists() {
            return Err(refused);
        }
        if old == Old::Stays {
            keep_previous(&self.path, copy)?;
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        // From here on the new content is nowhere else: not even a signal takes it away.
        let whole = staged.keep()?;
        staged.copy_over(file)?;
        fs::remove_file(whole)
    }
}

/// Saves what found no room where it belongs.
fn rescue(bytes: &[u8]) -> io::Result<PathBuf> {
    let mut staged = Staged::create(&env::temp_dir())?;
    staged.fill(bytes)?;
    staged.keep()
}

fn told_with(error: io::Error, kept: io::Result<PathBuf>) -> anyhow::Error {
    match kept {
        Ok(kept) => anyhow!("{error}; what was to be written is in {}", kept.display()),
        Err(_) => error.into(),
    }
}

/// Keeps what is at `path`, if anything is; there is a file at `path` all the time.
fn keep_previous(path: &Path, as_other: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    if path.exists() { as_other(path, &previous(path)) } else { Ok(()) }
}

/// Where links cannot be had, a copy.
fn give_second_name(path: &Path, other: &Path) -> io::Result<()> {
    staged::link_by_name(path, other).or_else(|_| copy(path, other))
}

fn copy(path: &Path, other: &Path) -> io::Result<()> {
    let mut staged = Staged::create(folder_of(other))?;
    staged.take_after(&path.metadata()?)?;
    staged.fill(File::open(path)?)?;
    staged.rename(other)
}

/// Where the file before the last one is kept.
pub(crate) fn previous(path: &Path) -> PathBuf {
    let mut name: OsString = target(path).unwrap_or_else(|_| path.to_owned()).into();
    name.push(".previous");
    name.into()
}

/// A rename is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_cannot_be_replaced_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old, and longer").expect("written");
        let before = path.metadata().expect("it is there").ino();
        for (new, old) in [("new", Old::Goes), ("newer", Old::Stays)] {
            let mut staged = Staged::create(folder.path()).expect("the folder is writable");
            staged.fill(new.as_bytes()).expect("there is room");
            Target { path: path.clone(), is_replaceable: false }.put(staged, old).expect("the file is writable");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), new);
        }
        assert_eq!(path.metadata().expect("it is there").ino(), before);
        assert_eq!(fs::read_to_string(previous(&path)).expect("it was kept"), "new");
        assert_eq!(names(folder.path()), ["file", "file.previous"]);
    }

    #[test]
    fn what_finds_no_place_stays_under_the_name_that_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let output = Output::create(&path, 3).expect("the folder is writable");
        fs::create_dir(&path).expect("the folder is writable");
        let error = format!("{:#}", output.write(b"new").expect_err("it is a folder now"));
        let (_, kept) = error.split_once("what was to be written is in ").expect("the name is told");
        assert_eq!(fs::read_to_string(kept).expect("it is there"), "new");
    }

    #[test]
    fn of_two_names_of_one_checkpoint_the_next_one_makes_two_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("written");
        // As a program leaves it that was killed between two steps.
        fs::hard_link(&path, previous(&path)).expect("a link");
        let before = path.metadata().expect("it is there").ino();
        let output = Output::create(&path, 3).expect("the folder is writable");
        output.write_keeping_previous(b"new").expect("there is room");
        assert_ne!(path.metadata().expect("it is there").ino(), before, "it was replaced in one step");
        let contents = [path.clone(), previous(&path)].map(|path| fs::read_to_string(path).expect("it is there"));
        assert_eq!(contents, ["new", "old"]);
    }
}
