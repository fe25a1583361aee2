//! What parent and measured child say to each other through their [`Channel`](crate::child::Channel). Private to one version of the
//! program; what lasts is in `record`.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::library::Library;
use super::results::Part;
use crate::machine::Limit;
use crate::remote;
use crate::scalar::ScalarKind;

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// Serve as a backend in another process, to the end.
    Serve(remote::Subject),
    /// Get ready to sample a cell. Comes first and once.
    Prepare(Task),
    /// Get ready to read a limit. Comes first and once, in place of the other.
    Gauge(GaugeTask),
    /// Take one reading.
    Read,
    /// Warm up, and get ready to make these passes at once. Untimed.
    WarmUp(Passes),
    /// Make the passes and answer at once: the time from this to the answer is what the parent sees of them.
    Go,
    /// Say what the last pass gave: its digest.
    Digest,
    /// Show these parts of it.
    Show(Vec<Part>),
    /// Come to rest. Untimed.
    Rest,
    /// Say how much memory it took, and end.
    Finish,
}

/// What to sample, and how.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub cell: Cell,
    /// How long a sample should take, about.
    pub sample_ns: u64,
    /// Before each sample, write that many bytes; a sample is one pass then.
    pub flush_bytes: Option<usize>,
    /// Of what is changed before passes that are not timed: each child has a past of its own, so that what is left of it cannot be right in two.
    pub seed: u64,
}

/// The passes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passes {
    /// Of what is changed before each of them.
    pub seed: u64,
    pub count: u64,
}

/// Which limit to read: the peak of a scalar type, and the bandwidth of a working set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GaugeTask {
    pub scalar: ScalarKind,
    pub threads: NonZeroUsize,
    pub bytes_per_thread: u64,
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Reply {
    /// The process has started. Comes unasked.
    Started {
        /// [`PROTOCOL`](crate::child::PROTOCOL) as the child has it.
        protocol: u32,
    },
    /// Planned, calibrated and quiet.
    Ready(Prepared),
    /// The limit was read once, and can be read again.
    GaugeReady,
    /// One reading.
    Gauged(Limit),
    /// Warm, reset, and ready to go.
    Warm,
    /// All passes were made.
    Done(Stated),
    /// The digest of what the last pass gave.
    Digested(String),
    /// The numbers of the parts, in the bytes that come with it: as little-endian doubles, part by part, row by row.
    Shown,
    /// At rest, or not.
    Rested {
        /// Whether the process was quiet before the time for that was up.
        quiet: bool,
    },
    /// The last word.
    Finished {
        /// The most memory that was resident, with the data; none where the system does not tell.
        peak_memory_bytes: Option<u64>,
    },
    /// It cannot go on.
    Failed(Failure),
}

impl Reply {
    /// What an answer means that nobody had asked for.
    pub(super) fn unexpected(&self) -> Failure {
        Failure { cause: Cause::Protocol, message: format!("it answered {self:?}, which nobody had asked for") }
    }
}

/// What is known before the first sample. The fields end up in the record, where they are documented.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    pub library: Library,
    /// The file that it is in.
    pub threads_got: usize,
    pub data_sha256: String,
    pub open_ns: u64,
    pub plan_ns: u64,
    pub first_ns: u64,
    pub repeats: u64,
}

/// What a child says of its passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stated {
    pub wall_ns: u64,
    /// CPU time of all threads meanwhile, for systems that do not tell it of another process.
    pub cpu_ns: u64,
}

/// Why there is no time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What kind of failure.
    pub cause: Cause,
    /// What was going on, what was found, and the last words on standard error where a child died.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It computes wrong numbers.
    Verification,
    /// The backend or the library reported an error.
    Error,
    /// The child died: by a signal, or with an exit code.
    Crash,
    /// It did not answer in time and was killed.
    Timeout,
    /// It answered with something that is no answer: the backend writes where it has no business.
    Protocol,
    /// The times that it stated are not those that the parent saw, or it used more CPU time than its threads can have had.
    Clock,
}

impl Cause {
    /// The name that records and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Verification => "verification",
            Cause::Error => "error",
            Cause::Crash => "crash",
            Cause::Timeout => "timeout",
            Cause::Protocol => "protocol",
            Cause::Clock => "clock",
        }
    }
}
