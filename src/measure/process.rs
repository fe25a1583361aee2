//! The parent's hold on a measured child: starts it with its environment, asks it, and ends it when it does not answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::environment;
use super::protocol::{Cause, Failure, Reply, Request};

/// The hidden verb that a child is started with.
pub(crate) const VERB: &str = "__measure-cell";

/// The longest reply that is looked at.
const MAX_REPLY: u64 = 1 << 20;
/// How much of the end of standard error is kept for the report of a crash.
const LAST_WORDS: usize = 600;

/// A started child.
pub(super) struct Child {
    process: Process,
    requests: ChildStdin,
    replies: Receiver<Vec<u8>>,
    last_words: Option<JoinHandle<Vec<u8>>>,
}

impl Child {
    /// Starts `program` for `cell` and waits for its first word. Answers the child and the time that took.
    pub(super) fn start(program: &Path, cell: &Cell, timeout: Duration) -> Result<(Self, Duration), Failure> {
        let clock = Instant::now();
        let mut command = Command::new(program);
        command.arg(VERB).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(environment::set(cell.threads));
        // Ctrl-C is for the parent: to a child it would be a crash of the cell.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn().map_err(|error| Failure {
            cause: Cause::Error,
            message: format!("cannot start {} as a measured child: {error}", program.display()),
        })?;
        let requests = process.stdin.take().expect("it is piped");
        let (sender, replies) = sync_channel(1);
        let stdout = process.stdout.take().expect("it is piped");
        std::thread::spawn(move || hand_on(stdout, &sender));
        let stderr = process.stderr.take().expect("it is piped");
        let last_words = Some(std::thread::spawn(move || tail(stderr)));
        let mut child = Child { process, requests, replies, last_words };
        match child.reply("start", timeout)? {
            Reply::Started => Ok((child, clock.elapsed())),
            other => Err(protocol(format!("{other:?} was its first word"))),
        }
    }

    /// Sends a request and waits for the reply. [`Reply::Failed`] comes back as the error; `doing` goes into messages.
    pub(super) fn ask(&mut self, request: &Request, doing: &str, timeout: Duration) -> Result<Reply, Failure> {
        let mut text = serde_json::to_string(request).expect("requests are plain data");
        text.push('\n');
        // A child that is gone is seen below, with the reason.
        let _ = self.requests.write_all(text.as_bytes());
        match self.reply(doing, timeout)? {
            Reply::Failed(failure) => Err(failure),
            reply => Ok(reply),
        }
    }

    fn reply(&mut self, doing: &str, timeout: Duration) -> Result<Reply, Failure> {
        match self.replies.recv_timeout(timeout) {
            Ok(line) => serde_json::from_slice(&line).map_err(|_| {
                let start: String = String::from_utf8_lossy(&line).chars().take(80).collect();
                protocol(format!("during {doing} it wrote `{}` to standard output", start.trim_end()))
            }),
            Err(RecvTimeoutError::Timeout) => Err(Failure {
                cause: Cause::Timeout,
                message: format!("{doing} took more than {} s (--timeout)", timeout.as_secs_f64()),
            }),
            Err(RecvTimeoutError::Disconnected) => Err(self.crash(doing)),
        }
    }

    fn crash(&mut self, doing: &str) -> Failure {
        // It may have closed its standard output and live on.
        let _ = self.process.kill();
        let end = self.process.wait().map_or_else(|error| error.to_string(), describe);
        let words = self.last_words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let words = if words.is_empty() { words } else { format!("; last on standard error: {words}") };
        Failure { cause: Cause::Crash, message: format!("during {doing} the child ended: {end}{words}") }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whatever it is doing: nobody asks it any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn protocol(message: String) -> Failure {
    Failure { cause: Cause::Protocol, message }
}

/// Hands lines on as they come; blocked otherwise, so that it takes nothing from whoever is timed.
fn hand_on(stdout: ChildStdout, sender: &SyncSender<Vec<u8>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = (&mut stdout).take(MAX_REPLY).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) || sender.send(line).is_err() {
            return;
        }
    }
}

/// Reads everything, so that the child never blocks on it, and keeps the end.
fn tail(mut stderr: ChildStderr) -> Vec<u8> {
    let (mut kept, mut part) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stderr.read(&mut part) {
        kept.extend_from_slice(&part[..read]);
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
    kept
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    let hint = match status.signal() {
        Some(4) => " (illegal instruction: this CPU or its operating system lacks one that the backend uses)",
        Some(9) => " (killed: perhaps memory ran out)",
        _ => "",
    };
    format!("{status}{hint}")
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.to_string()
}
