//! Records: what a run leaves behind, raw. Medians, rates and intervals are derived on reading, in `compare`; docs/records.md has
//! the format for readers in other languages. Files are in `journal`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub use super::protocol::{Cause, Failure};
use crate::data::Sha256;
use crate::machine::{Facts, Roofline};
use crate::measure::{Cell, environment};
use crate::scalar::ScalarKind;

/// The version of the format; every line carries it. It changes when a field is added, goes, or changes its meaning.
pub const SCHEMA: u32 = 2;

/// One line of a record file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A machine, which cells refer to. Comes before its cells.
    Machine(Machine),
    /// A cell: its samples, or why there are none.
    Cell(CellRecord),
}

/// A machine and its measured limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What cells call it: the start of the SHA-256 of the facts.
    pub id: String,
    /// CPU, instruction sets, caches, quota, operating system.
    pub facts: Facts,
    /// Peak and bandwidth as measured before the first cell.
    pub roofline: Roofline,
}

/// One measured cell, with everything needed to reproduce it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was measured.
    pub cell: Cell,
    /// Which of the cell's children this is.
    pub child: Child,
    /// Whether each sample was one pass with flushed caches.
    pub cold_cache: bool,
    /// [`Machine::id`].
    pub machine: String,
    /// The program that measured.
    pub tool: Tool,
    /// The command line.
    pub command: Vec<String>,
    /// When its rounds began, in milliseconds since 1970. Cells with the same value were sampled in the same rounds: their n-th
    /// samples are neighbours in time.
    pub rounds_started_unix_ms: u64,
    /// Samples or failure.
    pub outcome: Outcome,
}

/// The children of a cell. What the further ones differ in from the first is noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Child {
    /// The first, which every cell has.
    First,
    /// One more in the same rounds.
    Twin,
    /// One more at another time.
    Echo,
}

/// Version and revision of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Of the layerbench library.
    pub version: String,
    /// The git revision that `LAYERBENCH_REVISION` named when it was built; otherwise `sha256:` and the first 16 digits of the
    /// digest of the executable, so that a changed program never takes old measurements for its own.
    pub revision: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Self {
        static REVISION: OnceLock<String> = OnceLock::new();
        let revision = REVISION.get_or_init(|| match option_env!("LAYERBENCH_REVISION") {
            Some(revision) if !revision.is_empty() => revision.into(),
            _ => std::env::current_exe()
                .and_then(std::fs::read)
                .map_or("unknown".into(), |executable| format!("sha256:{}", &Sha256::of(executable).to_string()[..16])),
        });
        Tool { version: env!("CARGO_PKG_VERSION").into(), revision: revision.clone() }
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There are samples.
    Measured(Measured),
    /// There are none.
    Failed(Failure),
}

/// What was measured. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What computed, as the engine says: library, version, kernel.
    pub library: String,
    /// The threads that the engine says it has; asked for are the cell's. How busy they were is `cpu_ns` over `wall_ns`.
    pub threads_got: usize,
    /// The variables that numerical libraries listen to, as the child found them.
    pub environment: BTreeMap<String, String>,
    /// Of X and Y ([`Examples::sha256`](crate::data::Examples::sha256)).
    pub data_sha256: String,
    /// From starting the process to its first word: the same executable for every backend, with all its libraries.
    pub start_ns: u64,
    /// Opening the engine.
    pub open_ns: u64,
    /// Planning the layers, with everything that is allocated once; no pass.
    pub plan_ns: u64,
    /// The first pass of the phase in a fresh process; of `backward` without the forward pass before it.
    pub first_ns: u64,
    /// The most memory that was resident, with the data; none where the system does not tell, and where caches were flushed.
    pub peak_memory_bytes: Option<u64>,
    /// Passes of one sample.
    pub repeats: u64,
    /// Wall time of each sample, of all its passes.
    pub wall_ns: Vec<u64>,
    /// CPU time of all threads during each sample.
    pub cpu_ns: Vec<u64>,
    /// Samples after which the process did not come to rest in time: the next one's neighbours may have been disturbed.
    pub restless: u32,
}

/// The limits that some cells are held against, read in the same rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The scalar type of the peak.
    pub scalar: ScalarKind,
    /// The number of threads that computed and read at once.
    pub threads: NonZeroUsize,
    /// What each thread read over and over: the cells' footprint per thread ([`Cell::bytes_per_thread`]).
    pub bytes_per_thread: u64,
    /// The rate of multiply-add in each round, in 10^9 operations per second, all threads together.
    pub peak_gflops: Vec<f64>,
    /// The rate of reading in each round, in 10^9 bytes per second, all threads together.
    pub gb_per_s: Vec<f64>,
}

impl CellRecord {
    /// What makes the samples unusable, if anything does: a file is written by programs, and edited by people.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let measured = self.measured()?;
        match () {
            () if measured.wall_ns.is_empty() => Some("`wall_ns` is empty"),
            () if measured.wall_ns.len() != measured.cpu_ns.len() => {
                Some("`wall_ns` and `cpu_ns` have different lengths")
            }
            () if measured.wall_ns.contains(&0) => Some("a sample in `wall_ns` took no time"),
            () if measured.repeats == 0 => Some("`repeats` is 0"),
            () => None,
        }
    }

    /// Whether a run of this program in this environment that wants `cell` has it in this record.
    pub fn is_of(&self, cell: &Cell, cold_cache: bool, machine: &str) -> bool {
        let in_this_environment =
            || self.measured().is_none_or(|measured| measured.environment == environment::of_child(cell.threads));
        self.child == Child::First
            && self.cell == *cell
            && self.cold_cache == cold_cache
            && self.machine == machine
            && self.tool == Tool::this()
            && in_this_environment()
    }

    /// The samples, where there are any.
    pub fn measured(&self) -> Option<&Measured> {
        match &self.outcome {
            Outcome::Measured(measured) => Some(measured),
            Outcome::Failed(_) => None,
        }
    }
}

impl Machine {
    /// A machine as it stands in records.
    pub fn new(facts: Facts, roofline: Roofline) -> Self {
        Machine { schema: SCHEMA, id: Machine::id_of(&facts), facts, roofline }
    }

    /// What cells call a machine with these facts.
    pub fn id_of(facts: &Facts) -> String {
        let text = serde_json::to_string(facts).expect("facts are plain data");
        Sha256::of(text).to_string()[..16].to_owned()
    }
}
