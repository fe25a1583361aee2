//! Reading an HDF5 file in a child process, so that a crash, a hang or the greed of libhdf5 becomes an error. A guard against
//! accidents, not a sandbox against attackers: the child has the user's rights, less the writing of files.
//!
//! The parent copies the file once, to a private temporary file, and takes the digest of what it copies. The copy is the child's
//! standard input: the bytes that were digested are the bytes that are read, whatever becomes of the file meanwhile, and links
//! relative to the file's folder lead nowhere. The child limits itself before libhdf5 sees a byte, and replies through a pipe.
//!
//! The limits, of which the child tells the second half when it knows what the file claims to hold, are in `limits`.

use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use tempfile::NamedTempFile;

use super::digest::Hasher;
use super::file::{self, MAX_BYTES};
use super::limits::{Limits, Start, Unpacked};
use super::{PictureSet, Sha256, Split, hdf5, reply};
use crate::error::{Error, Result};

/// Where a process finds its standard input as a file that can be opened.
const STANDARD_INPUT: &str = "/dev/fd/0";

/// The child's half: reads the set from standard input, under the limits, and replies on `out`. Does nothing else in
/// its process, and nothing after it: the limits stay.
///
/// # Errors
/// [`Error::Io`] where standard input is no file, a limit cannot be set or `out` cannot be written. A file that cannot be
/// used is no error here: that is the reply.
pub fn serve(split: Split, out: &mut dyn Write) -> Result<()> {
    let path = Path::new(STANDARD_INPUT);
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(io("read"))?.len();
    let start = Start::now();
    Limits::for_headers(bytes).impose(&start).map_err(io("limit the reading of"))?;
    let outcome = match hdf5::open(path, split) {
        Ok(opened) => {
            let unpacked = opened.unpacked();
            Limits::for_set(bytes, &unpacked).impose(&start).map_err(io("limit the reading of"))?;
            reply::announce(unpacked, out).map_err(io("reply about"))?;
            opened.read()
        }
        Err(error) => Err(error),
    };
    let outcome = outcome.map_err(|error| match error {
        Error::Data { problem, .. } => problem,
        other => other.to_string(),
    });
    reply::write(&outcome, out).map_err(io("reply about"))
}

/// The parent's half: [`PictureSet::read_hdf5`] in a child. `reader` is a program with its arguments that calls [`serve`] for the
/// wanted split; standard input and output are set here. If `expected` is given, a file of another digest is refused.
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
    ask(path, &copy, limits, |unpacked| Limits::for_set(bytes, unpacked), reader)
}

/// A private copy, its length and its digest: the file is read once.
fn copy(path: &Path) -> Result<(NamedTempFile, u64, Sha256)> {
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let (file, _) = file::open(path, "an HDF5 file")?;
    // It has a name because libhdf5 wants to know the real path of what it opens.
    let mut copy = NamedTempFile::new().map_err(io("make a temporary copy of"))?;
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
    copy.as_file_mut().rewind().map_err(io("make a temporary copy of"))?;
    Ok((copy, bytes, hasher.finish()))
}

/// Runs the child on `input` and takes its reply. The limits that the child is under change when it says what it will read.
fn ask(
    path: &Path,
    input: &NamedTempFile,
    mut limits: Limits,
    for_set: impl FnOnce(&Unpacked) -> Limits,
    mut reader: Command,
) -> Result<PictureSet> {
    let refuse = |problem: String| Err(Error::Data { path: path.to_owned(), problem });
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let input = input.as_file().try_clone().map_err(io("read"))?;
    reader.stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = reader.spawn().map_err(io("start a guarded reader of"))?;
    let pipe = child.stdout.take().expect("it was piped");
    let mut pipe = Timed { pipe, until: Instant::now() + limits.wall };
    let reply = reply::read(&mut pipe, &path.display().to_string(), |pipe, unpacked| {
        limits = for_set(unpacked);
        pipe.until = Instant::now() + limits.wall;
    });
    // After the end of the pipe this changes nothing but for a child that closed it and lives on.
    let _ = child.kill();
    let status = child.wait().map_err(io("wait for the reader of"))?;
    match reply {
        Ok(Err(problem)) => refuse(problem),
        Ok(Ok(set)) if status.success() => Ok(set),
        Err(error) if error.kind() == ErrorKind::TimedOut => refuse(format!(
            "reading it took longer than {:.0} s, the limit for {}: this machine is very busy, or its disk does not answer; try again",
            limits.wall.as_secs_f64(),
            limits.subject
        )),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            refuse(format!("its guarded reader replied nonsense: {error}"))
        }
        Err(error) if !matches!(error.kind(), ErrorKind::UnexpectedEof) => Err(io("read")(error)),
        Ok(Ok(_)) | Err(_) => refuse(cause_of_death(status, &limits)),
    }
}

/// What a process does to itself, and no one else to it.
const CRASHES: [Signal; 4] = [Signal::SEGV, Signal::BUS, Signal::FPE, Signal::ILL];

fn cause_of_death(status: ExitStatus, limits: &Limits) -> String {
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => {
            format!(
                "reading it took more than {} s of processor time, the limit for {}; a sound file takes a tenth of that: if this one is \
                 sound, write it again in fewer, larger chunks or without compression (`h5repack -l CONTI -f NONE old.h5 new.h5`)",
                limits.processor_s, limits.subject
            )
        }
        // What Rust and libc do without memory, and also what libc does on a damaged heap.
        Some(signal) if signal == Signal::ABORT.as_raw() => format!(
            "libhdf5 crashed on it (signal {signal}): the file is malformed, or takes more than {} MiB of memory, the limit for {}",
            limits.memory >> 20,
            limits.subject
        ),
        Some(signal) if CRASHES.iter().any(|crash| crash.as_raw() == signal) => {
            format!("libhdf5 crashed on it (signal {signal}): the file is malformed")
        }
        Some(signal) => format!("its guarded reader was ended from outside (signal {signal})"),
        None => format!("its guarded reader ended without a reply ({status})"),
    }
}

/// A pipe that gives up at a moment, with [`ErrorKind::TimedOut`].
struct Timed {
    pipe: ChildStdout,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut ready = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
        match poll(&mut ready, Some(&left))? {
            0 => Err(ErrorKind::TimedOut.into()),
            _ => self.pipe.read(buffer),
        }
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
        let input = NamedTempFile::new().expect("a temporary file");
        let error = ask(Path::new("set.h5"), &input, limits(headers), |_| limits(set), reader).expect_err("no set");
        error.to_string()
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let [soon, never] = [Duration::from_millis(1200), Duration::from_secs(3600)];
        // In silence; with standard output closed; in the middle of a reply.
        for script in ["exec sleep 600", "exec sleep 600 >&-", r"printf '\100'; exec sleep 600"] {
            let problem = refusal(script, soon, never);
            assert!(
                problem.contains("took longer than 1 s, the limit for the headers of a file of 100 bytes")
                    || problem.contains("ended from outside"),
                "{problem}"
            );
        }
        // After it said what it would read it has the time for that.
        let reads = r#"{"reads":{"bytes":1,"chunks":0,"largest_chunk":0}}"#;
        let script = format!(r"printf '\{:03o}\000\000\000%s' '{reads}'; exec sleep 600", reads.len());
        let problem = refusal(&script, never, soon);
        assert!(problem.contains("took longer than 1 s, the limit for"), "{problem}");
    }
}
