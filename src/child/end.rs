//! How a child ended, and why it gave no answer, in words for people.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::limits;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, signal) => End::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            End::Code(code) => write!(f, "it ended with exit code {code}"),
            End::Signal(signal) => {
                let name = signal_hook::low_level::signal_name(signal);
                let name = name.map_or_else(|| format!("signal {signal}"), str::to_owned);
                write!(f, "it was ended by {name}{}", meaning(signal))
            }
        }
    }
}

fn meaning(signal: i32) -> &'static str {
    match signal {
        libc::SIGILL => ", an illegal instruction: this CPU or its operating system lacks one that the code uses",
        libc::SIGSEGV | libc::SIGBUS => ", a wrong address",
        libc::SIGFPE => ", an arithmetic fault",
        libc::SIGABRT => ", its own abort",
        libc::SIGKILL => ", killed from outside: perhaps memory ran out",
        libc::SIGXCPU => ": a limit on processor time (ulimit -t)",
        libc::SIGXFSZ => ": a limit on the size of files (ulimit -f)",
        libc::SIGSYS => ", a forbidden system call",
        _ => "",
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started.
    Start(io::Error),
    /// It ended, or closed its channel, before it answered. With its last words.
    Ended(End, String),
    /// It closed its channel, lived on, and was killed. With its last words.
    Closed(String),
    /// It did not answer within this time, and was killed. With its last words.
    Late(Duration, String),
    /// It answered with something else: what, in short.
    Nonsense(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Failure::Start(error) => {
                write!(f, "it could not be started: {error}")?;
                ""
            }
            Failure::Ended(end, words) => {
                write!(f, "{end}")?;
                words
            }
            Failure::Closed(words) => {
                write!(f, "it closed its channel and lived on")?;
                words
            }
            Failure::Late(limit, words) => {
                write!(f, "no answer within {} s", limit.as_secs_f64())?;
                words
            }
            Failure::Nonsense(found) => return write!(f, "its answer cannot be read: {found}"),
        };
        if !words.is_empty() {
            write!(f, "; its last words: {words}")?;
        }
        if self.may_be_a_limit() { f.write_str(&limits::limits_here()) } else { Ok(()) }
    }
}

impl Failure {
    /// Its last words; empty where there are none.
    pub fn words(&self) -> &str {
        match self {
            Failure::Ended(_, words) | Failure::Closed(words) | Failure::Late(_, words) => words,
            Failure::Start(_) | Failure::Nonsense(_) => "",
        }
    }

    /// The same with these for its last words, where it has any.
    #[must_use]
    pub(crate) fn with_words(self, words: &str) -> Self {
        match self {
            Failure::Ended(end, _) => Failure::Ended(end, words.into()),
            Failure::Closed(_) => Failure::Closed(words.into()),
            Failure::Late(limit, _) => Failure::Late(limit, words.into()),
            other => other,
        }
    }

    /// Whether a limit of the system may be why: no start, no progress, or an end that comes of having no memory, no thread or no time.
    fn may_be_a_limit(&self) -> bool {
        const RUST_PANIC: i32 = 101;
        const SIGNALS: [i32; 4] = [libc::SIGABRT, libc::SIGKILL, libc::SIGSEGV, libc::SIGXCPU];
        match self {
            Failure::Start(_) | Failure::Late(..) => true,
            Failure::Ended(End::Code(code), _) => *code == RUST_PANIC,
            Failure::Ended(End::Signal(signal), _) => SIGNALS.contains(signal),
            Failure::Closed(_) | Failure::Nonsense(_) => false,
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_by_name() {
        assert_eq!(End::Code(3).to_string(), "it ended with exit code 3");
        assert_eq!(End::Signal(libc::SIGSEGV).to_string(), "it was ended by SIGSEGV, a wrong address");
        assert!(End::Signal(libc::SIGILL).to_string().contains("SIGILL, an illegal instruction"));
        assert!(End::Signal(libc::SIGXCPU).to_string().contains("processor time"));
        assert_eq!(End::Signal(64).to_string(), "it was ended by signal 64");
        assert_eq!(End::Signal(libc::SIGTERM).to_string(), "it was ended by SIGTERM");
    }
}
