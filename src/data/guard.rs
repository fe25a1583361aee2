//! Reading an HDF5 file in a child process, so that a crash, a hang or the greed of libhdf5 becomes an error. A guard against
//! accidents, not a sandbox against attackers: the child has the user's rights, less the writing of files.
//!
//! The parent copies the file once, to a private temporary file, and takes the digest of what it copies. The child reads the copy: the
//! bytes that were digested are the bytes that are read, whatever becomes of the file meanwhile, and links relative to the file's folder
//! lead nowhere. The child limits itself before libhdf5 sees a byte.
//!
//! The limits, of which the child tells the second half when it knows what the file claims to hold, are in `limits`.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;

use super::digest::Hasher;
use super::file::{self, MAX_BYTES};
use super::limits::{Limits, Unpacked};
use super::reply::{self, Reply};
use super::{PictureSet, Sha256, Split, hdf5};
use crate::child::{Channel, Child, End, Failure, Usage};
use crate::error::{Error, Result};
use crate::files::Name;

/// The child's half: reads the set from `path`, under the limits, and replies through `channel`. Does nothing else in
/// its process, and nothing after it: the limits stay.
///
/// # Errors
/// [`Error::Io`] where there is no file, a limit cannot be set or the parent is gone. A file that cannot be used is no error here:
/// that is the reply.
pub fn serve(path: &Path, split: Split, mut channel: Channel) -> Result<()> {
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(io("read"))?.len();
    let start = Usage::now();
    Limits::for_headers(bytes).impose(&start).map_err(io("limit the reading of"))?;
    let outcome = match hdf5::open(path, split) {
        Ok(opened) => {
            let unpacked = opened.unpacked();
            Limits::for_set(bytes, &unpacked).impose(&start).map_err(io("limit the reading of"))?;
            reply::announce(unpacked, &mut channel).map_err(io("reply about"))?;
            opened.read()
        }
        Err(error) => Err(error),
    };
    let outcome = outcome.map_err(|error| match error {
        Error::Data { problem, .. } => problem,
        other => other.to_string(),
    });
    reply::send(&outcome, &mut channel).map_err(io("reply about"))
}

/// The parent's half: [`PictureSet::read_hdf5`] in a child. `reader` is a program with its arguments that takes a path
/// as one more argument and calls [`serve`] for the wanted split. If `expected` is given, a file of another digest is refused.
///
/// # Errors
/// [`Error::Digest`] for altered bytes, [`Error::Io`], and [`Error::Data`] for a file that cannot be used, including one that
/// crashes the reader or takes it beyond a limit.
pub fn read(path: &Path, expected: Option<Sha256>, reader: Command) -> Result<PictureSet> {
    if cfg!(not(feature = "hdf5")) {
        // No child could: the refusal.
        return PictureSet::read_hdf5(path, Split::Train);
    }
    let (copy, bytes, found) = copy(path)?;
    if let Some(expected) = expected.filter(|&expected| expected != found) {
        return Err(Error::Digest { path: path.to_owned(), expected: expected.to_string(), found: found.to_string() });
    }
    let limits = Limits::for_headers(bytes);
    ask(path, copy.path(), limits, |unpacked| Limits::for_set(bytes, unpacked), reader)
}

/// A private copy, its length and its digest: the file is read once.
fn copy(path: &Path) -> Result<(Name, u64, Sha256)> {
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let (file, _) = file::open(path, "an HDF5 file")?;
    // It has a name because libhdf5 wants to know the real path of what it opens.
    let (mut copy, name) = Name::of_private().map_err(io("make a temporary copy of"))?;
    // It may grow while it is read.
    let mut file = file.take(MAX_BYTES as u64);
    let mut hasher = Hasher::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(io("read")(error)),
        };
        hasher.update(&buffer[..count]);
        copy.write_all(&buffer[..count]).map_err(io("make a temporary copy of"))?;
        bytes += count as u64;
    }
    Ok((name, bytes, hasher.finish()))
}

/// Runs the child on `copy` and takes its reply. The limits that the child is under change when it says what it will read.
fn ask(
    path: &Path,
    copy: &Path,
    mut limits: Limits,
    for_set: impl FnOnce(&Unpacked) -> Limits,
    mut reader: Command,
) -> Result<PictureSet> {
    let refuse = |problem: String| Err(Error::Data { path: path.to_owned(), problem });
    reader.arg(copy);
    let mut child = match Child::start(reader) {
        Ok(child) => child,
        Err(Failure::Start(source)) => {
            return Err(Error::Io { action: "start a guarded reader of", path: path.to_owned(), source });
        }
        Err(other) => return refuse(nonsense(&other.to_string())),
    };
    let mut reply = child.receive::<Reply>(limits.wall, reply::MOST_BYTES);
    if let Ok(message) = &reply
        && let Reply::Reads(unpacked) = &message.said
    {
        if let Err(problem) = unpacked.expect_plausible() {
            return refuse(nonsense(&problem));
        }
        limits = for_set(unpacked);
        reply = child.receive(limits.wall, reply::MOST_BYTES);
    }
    match reply {
        Ok(message) => match (reply::outcome(message, &path.display().to_string()), child.end(limits.wall)) {
            (Err(problem), _) => refuse(nonsense(&problem)),
            (Ok(Err(problem)), _) => refuse(problem),
            (Ok(Ok(set)), End::Code(0)) => Ok(set),
            (Ok(Ok(_)), end) => refuse(cause_of_death(end, &limits)),
        },
        Err(Failure::Late(..)) => refuse(format!(
            "reading it took longer than {:.0} s, the limit for {}: this machine is very busy, or its disk does not answer; try again",
            limits.wall.as_secs_f64(),
            limits.subject
        )),
        Err(Failure::Nonsense(found)) => refuse(nonsense(&found)),
        Err(Failure::Ended(end, _)) => refuse(cause_of_death(end, &limits)),
        Err(failure @ (Failure::Start(_) | Failure::Closed(_))) => {
            refuse(format!("its guarded reader gave no reply: {failure}"))
        }
    }
}

fn nonsense(problem: &str) -> String {
    format!("its guarded reader replied nonsense: {problem}")
}

/// What a process does to itself, and no one else to it.
const CRASHES: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

fn cause_of_death(end: End, limits: &Limits) -> String {
    match end {
        End::Signal(libc::SIGXCPU) => {
            format!(
                "reading it took more than {} s of processor time, the limit for {}; a sound file takes a tenth of that: if this one is \
                 sound, write it again in fewer, larger chunks or without compression (`h5repack -l CONTI -f NONE old.h5 new.h5`)",
                limits.processor_s, limits.subject
            )
        }
        // What Rust and libc do without memory, and also what libc does on a damaged heap.
        End::Signal(libc::SIGABRT) => format!(
            "libhdf5 crashed on it (SIGABRT): the file is malformed, or takes more than {} MiB of memory, the limit for {}",
            limits.memory >> 20,
            limits.subject
        ),
        End::Signal(signal) if CRASHES.contains(&signal) => {
            format!("libhdf5 crashed on it ({end}): the file is malformed")
        }
        _ => format!("its guarded reader gave no reply: {end}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(script: &str, headers: Duration, set: Duration) -> String {
        let mut reader = Command::new("sh");
        reader.args(["-c", script]);
        let limits = |wall| Limits { wall, ..Limits::for_headers(100) };
        let copy = Path::new("/dev/null");
        ask(Path::new("set.h5"), copy, limits(headers), |_| limits(set), reader).expect_err("no set").to_string()
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let [soon, never] = [Duration::from_millis(1200), Duration::from_secs(3600)];
        // In silence; with the channel closed; in the middle of a reply.
        for script in ["exec sleep 600", "exec sleep 600 <&-", "printf '{' >&0; exec sleep 600"] {
            let problem = refusal(script, soon, never);
            assert!(
                problem.contains("took longer than 1 s, the limit for the headers of a file of 100 bytes")
                    || problem.contains("gave no reply: it closed its channel and lived on"),
                "{problem}"
            );
        }
        // After it said what it would read it has the time for that.
        let reads = r#"{"reads":{"bytes":1,"chunks":0,"largest_chunk":0}}"#;
        let problem = refusal(&format!("echo '{reads}' >&0; exec sleep 600"), never, soon);
        assert!(problem.contains("took longer than 1 s, the limit for"), "{problem}");
    }
}
