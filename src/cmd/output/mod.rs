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
use thiserror::Error;

use crate::cmd::paths::target;
#[cfg(feature = "hdf5")]
use crate::files::Name;
use crate::files::{folder_of, sync_folder_of};
use staged::Staged;

/// An output that is ready to be written.
pub(crate) struct Output {
    /// As the user calls it.
    name: PathBuf,
    place: Destination,
}

enum Destination {
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

/// What could not be put in its place is whole somewhere else.
#[derive(Debug, Error)]
#[error("{why}; what was to be written is in {}", .kept.display())]
pub(crate) struct Misplaced {
    why: String,
    pub kept: PathBuf,
}

impl Output {
    /// Finds out now whether `path` can be written, and sets `bytes` of disk aside where the file system can do that, so that a
    /// full disk is found before the work and not after it. Links are followed; a file that is there keeps its permissions, its owner and
    /// its other names.
    pub fn create(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        Destination::of(path, bytes)
            .map(|place| Output { name: path.to_owned(), place })
            .with_context(|| format!("cannot write to {}", path.display()))
    }

    /// Whether it is a file, and no device or pipe.
    pub fn is_file(&self) -> bool {
        matches!(self.place, Destination::File(..))
    }

    /// As [`create`](Self::create), and refuses what is no file.
    pub fn create_file(path: &Path, bytes: u64, why: &str) -> anyhow::Result<Self> {
        let output = Self::create(path, bytes)?;
        match output.place {
            Destination::File(..) => Ok(output),
            Destination::Stream(_) => {
                bail!("cannot write to {}: expected a file, found a device or a pipe: {why}", path.display())
            }
        }
    }

    /// Writes `bytes`, syncs them to disk and puts the file in its place.
    pub fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_and(Old::Goes, bytes)
    }

    /// Puts `bytes` at `path` and keeps what was there before as [`previous`].
    pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        match Destination::of(path, bytes.len() as u64) {
            Ok(place) => Output { name: path.to_owned(), place }.write_and(Old::Stays, bytes),
            Err(error) => Err(told_with(error, rescue(bytes)).context(format!("cannot write to {}", path.display()))),
        }
    }

    fn write_and(self, old: Old, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match self.place {
            Destination::Stream(mut file) => file.write_all(bytes).map_err(Into::into),
            Destination::File(mut staged, target) => match staged.fill(bytes) {
                Ok(()) => target.put(staged, old),
                Err(error) => {
                    // Its own bytes may be those that were lacking.
                    drop(staged);
                    Err(told_with(error.into(), rescue(bytes)))
                }
            },
        };
        written.with_context(|| format!("cannot write to {}", self.name.display()))
    }

    /// For what can be written by name only: `writer` makes it elsewhere. Where that fails, `otherwise` is kept in its stead.
    #[cfg(feature = "hdf5")]
    pub fn write_by_name(
        self,
        writer: impl FnOnce(&Path) -> anyhow::Result<()>,
        otherwise: impl FnOnce() -> Vec<u8>,
    ) -> anyhow::Result<()> {
        let context = || format!("cannot write to {}", self.name.display());
        let Destination::File(mut staged, target) = self.place else { bail!("{}: it is no file", context()) };
        let made = || -> anyhow::Result<()> {
            let (file, name) = Name::of_private()?;
            writer(name.path())?;
            Ok(staged.fill(file)?)
        };
        match made() {
            Ok(()) => target.put(staged, Old::Goes),
            // It has the room that was set aside.
            Err(error) => Err(told_with(error, staged.fill(&otherwise()[..]).and_then(|()| staged.keep()))),
        }
        .with_context(context)
    }
}

impl Destination {
    fn of(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let path = target(path)?;
        if let Some(stream) = stream::open(&path)? {
            return Ok(Destination::Stream(stream));
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
        Ok(Destination::File(staged, Target { path, is_replaceable }))
    }
}

impl Target {
    /// Puts a whole file in this place. If that fails, the file stays and the error names it.
    fn put(&self, mut staged: Staged, old: Old) -> anyhow::Result<()> {
        match self.replace(&mut staged, old).or_else(|error| self.overwrite(&mut staged, old, error)) {
            Ok(()) => Ok(sync_folder_of(&self.path)?),
            Err(error) => Err(told_with(error, staged.keep())),
        }
    }

    /// In one step: at every moment there is a whole file, if there was one.
    fn replace(&self, staged: &mut Staged, old: Old) -> anyhow::Result<()> {
        let beside = (old == Old::Stays).then(|| target(&previous(&self.path))).transpose()?;
        if !self.is_replaceable || has_other_names(&self.path, beside.as_deref()) {
            bail!("it cannot be replaced");
        }
        if old == Old::Stays {
            self.keep_previous(true)?;
        }
        Ok(staged.rename(&self.path)?)
    }

    /// Keeps what is here, if anything is, by a second name for it where that `may_be_linked`; there is a file here all the time. The one
    /// that was kept until now is replaced, or its content is, as any output's.
    fn keep_previous(&self, may_be_linked: bool) -> anyhow::Result<()> {
        let Ok(here) = self.path.metadata() else { return Ok(()) };
        let name = previous(&self.path);
        let keep = || -> anyhow::Result<()> {
            let path = target(&name)?;
            let there = path.metadata().ok();
            let is_own = there.as_ref().is_none_or(|there| (there.uid(), there.gid()) == (here.uid(), here.gid()));
            let has_other_names = has_other_names(&path, Some(&self.path));
            let is_linked = may_be_linked && is_own && !has_other_names;
            if !is_linked || staged::link_by_name(&self.path, &path).is_err() {
                let Destination::File(mut staged, kept) = Destination::of(&path, here.len())? else {
                    bail!("it is no file")
                };
                if there.is_none() {
                    staged.take_after(&here)?;
                }
                staged.fill(File::open(&self.path)?)?;
                let is_replaced = kept.is_replaceable && !has_other_names && staged.rename(&path).is_ok();
                if !is_replaced {
                    if there.is_some_and(|there| is_one(&there, &here)) {
                        bail!("both are names of one file");
                    }
                    // Nothing is lost if this fails: what is to be kept is here still.
                    staged.copy_over(OpenOptions::new().write(true).open(&path)?)?;
                }
            }
            Ok(sync_folder_of(&path)?)
        };
        keep().with_context(|| format!("cannot keep the one before as {}", name.display()))
    }

    /// The way for a file that is a mount point, or has other names, or an owner who would lose it. `refused` is why it could not be replaced.
    fn overwrite(&self, staged: &mut Staged, old: Old, refused: anyhow::Error) -> anyhow::Result<()> {
        if !self.path.exists() {
            return Err(refused);
        }
        if old == Old::Stays {
            self.keep_previous(false)?;
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        // From here on the new content is nowhere else: not even a signal takes it away.
        let whole = staged.keep()?;
        staged.copy_over(file)?;
        Ok(fs::remove_file(whole)?)
    }
}

/// Saves what found no room where it belongs.
fn rescue(bytes: &[u8]) -> io::Result<PathBuf> {
    let mut staged = Staged::create(&env::temp_dir())?;
    staged.fill(bytes)?;
    staged.keep()
}

fn told_with(error: anyhow::Error, kept: io::Result<PathBuf>) -> anyhow::Error {
    match kept {
        Ok(kept) => Misplaced { why: format!("{error:#}"), kept }.into(),
        Err(other) => anyhow!("{error:#}; what was to be written could not be kept elsewhere either ({other})"),
    }
}

/// Whether the file at `path` has other names than that and, perhaps, `beside`: an earlier program was ended between two steps.
fn has_other_names(path: &Path, beside: Option<&Path>) -> bool {
    let Ok(here) = path.metadata() else { return false };
    let is_beside = beside.and_then(|other| other.symlink_metadata().ok()).is_some_and(|other| is_one(&here, &other));
    here.nlink() > 1 + u64::from(is_beside)
}

fn is_one(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Where the file before the last one is kept.
pub(crate) fn previous(path: &Path) -> PathBuf {
    let mut name: OsString = target(path).unwrap_or_else(|_| path.to_owned()).into();
    name.push(".previous");
    name.into()
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
        Output::replace(&path, b"new").expect("there is room");
        assert_ne!(path.metadata().expect("it is there").ino(), before, "it was replaced in one step");
        let contents = [path.clone(), previous(&path)].map(|path| fs::read_to_string(path).expect("it is there"));
        assert_eq!(contents, ["new", "old"]);
    }
}
