//! The paths of a command, compared as files before anything starts: an output that is also an input, or another output, would destroy
//! it, whatever the two are called. Nothing is opened here.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::bail;

use crate::files::folder_of;

/// What a command reads and what it writes.
#[derive(Default)]
pub(crate) struct Paths {
    named: Vec<Named>,
    /// Options that may name one file, the written one first.
    allowed: Option<[&'static str; 2]>,
}

struct Named {
    option: &'static str,
    path: PathBuf,
    is_written: bool,
    /// Whether it is a descriptor of this process, which stays where it leads.
    is_own: bool,
    identity: Option<Identity>,
}

/// What tells one file from another.
#[derive(PartialEq)]
enum Identity {
    /// Links, spellings and bind mounts lead to the same two numbers.
    Existing { device: u64, inode: u64 },
    /// To be made in the folder of these numbers.
    ToCome { device: u64, inode: u64, name: OsString },
}

impl Paths {
    /// Adds files, or folders, that `option` reads.
    pub fn reads(self, option: &'static str, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.with(option, paths, false)
    }

    /// Adds files that `option` makes, replaces or appends to.
    pub fn writes(self, option: &'static str, paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.with(option, paths, true)
    }

    /// Lets `written` name the file of `read`: the command replaces it on purpose.
    pub fn allow(mut self, written: &'static str, read: &'static str) -> Self {
        self.allowed = Some([written, read]);
        self
    }

    fn with(
        mut self,
        option: &'static str,
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        is_written: bool,
    ) -> Self {
        self.named.extend(paths.into_iter().map(|path| {
            let path = path.as_ref().to_owned();
            let is_own = is_written && is_own_descriptor(&path);
            Named { option, identity: identity(&path), path, is_written, is_own }
        }));
        self
    }

    /// Refuses a file that is written and named a second time. Standard output and standard error count as written where they lead
    /// to a file. Devices and pipes may be named at will.
    pub fn check(&self) -> anyhow::Result<()> {
        for (index, one) in self.named.iter().enumerate() {
            let Some(identity) = &one.identity else { continue };
            // /dev/stdout as an output is written to where it stands, file or not.
            for (stream, file) in standard_streams().filter(|_| !one.is_own) {
                if *identity == file {
                    bail!("{stream} goes to {}, the file of {}; send it elsewhere", one.path.display(), one.option);
                }
            }
            for other in &self.named[index + 1..] {
                if one.identity == other.identity && (one.is_written || other.is_written) {
                    self.expect_allowed(one, other)?;
                }
            }
        }
        Ok(())
    }

    fn expect_allowed(&self, one: &Named, other: &Named) -> anyhow::Result<()> {
        let (written, other) = if one.is_written { (one, other) } else { (other, one) };
        if self.allowed == Some([written.option, other.option]) {
            return Ok(());
        }
        let (option, path) = (written.option, written.path.display());
        let name = if written.path == other.path { String::new() } else { format!(" ({})", other.path.display()) };
        match other.is_written {
            true => bail!("{path} is given for two outputs, {option} and {}{name}; name a file for each", other.option),
            false => bail!(
                "{path}, which {option} would write to, is an input, the file of {}{name}; name another file",
                other.option
            ),
        }
    }
}

/// Whether two paths lead to one file.
pub(crate) fn are_one(a: &Path, b: &Path) -> bool {
    identity(a).is_some_and(|one| Some(one) == identity(b))
}

/// None for what takes any number of outputs, and where there is no telling: opening it will say why.
fn identity(path: &Path) -> Option<Identity> {
    if let Ok(metadata) = fs::metadata(path) {
        return existing(&metadata);
    }
    let path = target(path).ok()?;
    let folder = fs::metadata(folder_of(&path)).ok()?;
    Some(Identity::ToCome { device: folder.dev(), inode: folder.ino(), name: path.file_name()?.to_owned() })
}

fn existing(metadata: &Metadata) -> Option<Identity> {
    let is_one = metadata.is_file() || metadata.is_dir();
    is_one.then(|| Identity::Existing { device: metadata.dev(), inode: metadata.ino() })
}

/// Those that lead to a file.
fn standard_streams() -> impl Iterator<Item = (&'static str, Identity)> {
    let (out, error) = (io::stdout(), io::stderr());
    let streams =
        [("standard output", out.as_fd().try_clone_to_owned()), ("standard error", error.as_fd().try_clone_to_owned())];
    let identity = |stream: io::Result<OwnedFd>| existing(&fs::File::from(stream.ok()?).metadata().ok()?);
    streams.into_iter().filter_map(move |(name, stream)| Some((name, identity(stream)?)))
}

/// More symbolic links than a path may lead through.
const TOO_MANY_LINKS: usize = 40;

/// Where a path leads: its links are followed to the end, also where nothing is there yet. A descriptor of a process, as /dev/stdout is
/// one, is an end of its own.
pub(crate) fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..TOO_MANY_LINKS {
        let Some(name) = path.file_name() else { return path.canonicalize() };
        let folder = folder_of(&path).canonicalize()?;
        let whole = folder.join(name);
        match whole.read_link() {
            Ok(link) if !is_of_descriptors(&folder) => path = folder.join(link),
            _ => return Ok(whole),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Whether a path leads to one of this process's own descriptors, such as /dev/stdout.
pub(crate) fn is_own_descriptor(path: &Path) -> bool {
    target(path).is_ok_and(|target| is_of_descriptors(folder_of(&target)))
}

/// Whether `folder`, without links in it, holds the descriptors of a process.
pub(crate) fn is_of_descriptors(folder: &Path) -> bool {
    folder.starts_with("/proc") && folder.ends_with("fd")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).expect("the folder is writable");
        for (link, to) in [("a", "sub/b"), ("sub/b", "../c"), ("c", "sub/../to-come"), ("x", "y"), ("y", "x")] {
            symlink(to, path(link)).expect("a link");
        }
        let end = folder.path().canonicalize().expect("it is there").join("to-come");
        assert_eq!(target(&path("a")).expect("it ends"), end);
        let error = target(&path("x")).expect_err("it goes round");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        assert!(target(&path("none/file")).is_err());
    }

    #[test]
    fn a_descriptor_that_leads_to_an_input_is_no_output() {
        use std::os::fd::AsRawFd;
        let file = tempfile::NamedTempFile::new().expect("a file");
        let descriptor = PathBuf::from(format!("/proc/self/fd/{}", file.as_file().as_raw_fd()));
        assert!(is_own_descriptor(&descriptor));
        assert!(Paths::default().writes("a", [&descriptor]).check().is_ok());
        let error = Paths::default().reads("b", [file.path()]).writes("a", [&descriptor]).check();
        assert!(error.expect_err("it is the input").to_string().contains("is an input, the file of b"));
        assert!(Paths::default().writes("a", [&descriptor]).writes("b", [file.path()]).check().is_err());
    }

    #[test]
    fn what_is_only_read_may_be_named_twice() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let twice = || Paths::default().reads("a", [file.path()]).reads("b", [file.path()]);
        assert!(twice().check().is_ok());
        assert!(twice().writes("c", [file.path()]).check().is_err());
        assert!(Paths::default().reads("a", [file.path()]).writes("c", [file.path()]).allow("c", "a").check().is_ok());
        let null = ["/dev/null", "/dev/null"];
        assert!(Paths::default().writes("a", null).reads("b", null).check().is_ok());
    }
}
