//! Records: what a run leaves behind, raw. Medians, rates and intervals are derived on reading, in `compare`; docs/records.md has
//! the format for readers in other languages. Files are in `journal`, which also puts the schema's number on each line.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub use super::library::Library;
pub use super::protocol::{Cause, Failure};
use crate::child::{Program, environment};
use crate::data::Sha256;
use crate::machine::{Facts, Roofline};
use crate::measure::Cell;
use crate::scalar::ScalarKind;

/// The version of the format that is written; every line carries it. It changes when a field is added, goes, or changes its meaning.
pub const SCHEMA: u32 = 3;

/// One line of a record file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The machine of a run. Comes before its cells.
    Machine(Machine),
    /// A cell: its samples, or why there are none.
    Cell(CellRecord),
    /// What the machine could do at most in the same rounds as cells.
    Limits(LimitsRecord),
}

/// A run of the program: 128 random bits, which no two runs share, on whatever nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u128);

impl RunId {
    /// A new one, from the operating system.
    ///
    /// # Panics
    /// Where the operating system has no random numbers.
    pub fn draw() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        RunId(u128::from_ne_bytes(bytes))
    }

    /// For what was recorded without one: the same for the same text.
    pub(super) fn of(text: &[u8]) -> Self {
        Sha256::of(text).to_string()[..32].parse().expect("a digest is hexadecimal")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.to_string()
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hexadecimal = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bits = is_hexadecimal.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        bits.map(RunId).ok_or_else(|| format!("`run` is `{}`; expected 32 hexadecimal digits", text.escape_debug()))
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where something was measured. Two nodes of one class are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host<'a> {
    /// [`Machine::id`].
    pub machine: &'a str,
    /// [`Machine::node`].
    pub node: &'a str,
}

/// The machine of a run, and its measured limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The run that found it so.
    pub run: RunId,
    /// Its class: the start of the SHA-256 of the [coarse facts](Facts::class).
    pub id: String,
    /// Its own name among others of its class.
    pub node: String,
    /// CPU, instruction sets, caches, quota, operating system.
    pub facts: Facts,
    /// Peak and bandwidth as measured before the first cell.
    pub roofline: Roofline,
}

/// One measured cell, with everything needed to reproduce it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRecord {
    /// The run that measured it.
    pub run: RunId,
    /// The number of its rounds within the run. Cells with the same run and number were sampled in the same rounds: their n-th samples are
    /// neighbours in time.
    pub rounds: u64,
    /// When the children of its rounds began to get ready, in milliseconds since 1970, by the machine's clock.
    pub started_unix_ms: u64,
    /// [`Machine::id`].
    pub machine: String,
    /// [`Machine::node`].
    pub node: String,
    /// What was measured.
    pub cell: Cell,
    /// Which of the cell's children this is.
    pub child: Child,
    /// Whether each sample was one pass with flushed caches.
    pub cold_cache: bool,
    /// The program that measured.
    pub tool: Tool,
    /// The command line.
    pub command: Vec<String>,
    /// The variables that numerical libraries listen to, as the child was given them.
    pub environment: BTreeMap<String, String>,
    /// Samples or failure.
    pub outcome: Outcome,
}

/// What the machine could do at most in some rounds of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRecord {
    /// The run that measured them.
    pub run: RunId,
    /// The number of the rounds within the run, as of the cells that they are for.
    pub rounds: u64,
    /// [`Machine::id`].
    pub machine: String,
    /// [`Machine::node`].
    pub node: String,
    /// The limits.
    pub limits: Limits,
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
            _ => Program::own()
                .and_then(|this| std::fs::read(this.path()))
                .map_or("unknown".into(), |executable| format!("sha256:{}", &Sha256::of(executable).to_string()[..16])),
        });
        Tool { version: env!("CARGO_PKG_VERSION").into(), revision: revision.clone() }
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "nearly all are measured")]
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
    /// What computed.
    pub library: Library,
    /// The threads that the engine says it has; asked for are the cell's. How busy they were is `cpu_ns` over `wall_ns`.
    pub threads_got: usize,
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
    /// The most memory that was resident, with the data, until results were first asked for; none where the system does not tell, and where caches
    /// were flushed.
    pub peak_memory_bytes: Option<u64>,
    /// Passes of one sample.
    pub repeats: u64,
    /// Wall time of each sample, of all its passes, as the child states it; held against what the parent saw.
    pub wall_ns: Vec<u64>,
    /// CPU time of all threads during each sample, as the system tells the parent; where it does not, as the child states it.
    pub cpu_ns: Vec<u64>,
    /// Samples after which the process did not come to rest in time: the next one's neighbours may have been disturbed.
    pub restless: u32,
    /// Of what the last pass gave in the first of the rounds that were drawn, as bits: children of one cell that have the same round drawn, and
    /// as many passes a sample, compute the same if it is equal. Seeds are drawn anew for each group of cells: of two runs it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The largest error of a result over its bound. Not written yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_over_bound: Option<f64>,
}

impl Record {
    /// What makes a line unusable that has all its fields, if anything does: a file is written by programs, and edited by people.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let (Record::Machine(Machine { node, .. })
        | Record::Cell(CellRecord { node, .. })
        | Record::Limits(LimitsRecord { node, .. })) = self;
        match self {
            // It is shown on terminals.
            _ if node.contains(char::is_control) => Some("`node` has control characters"),
            Record::Machine(_) => None,
            Record::Cell(cell) => cell.problem(),
            Record::Limits(LimitsRecord { limits: Limits { peak_gflops, gb_per_s, .. }, .. }) => match () {
                () if peak_gflops.is_empty() => Some("`peak_gflops` is empty"),
                () if gb_per_s.is_empty() => Some("`gb_per_s` is empty"),
                () if !peak_gflops.iter().chain(gb_per_s).all(|&rate| rate > 0.0) => Some("a rate is not positive"),
                () => None,
            },
        }
    }
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
    fn problem(&self) -> Option<&'static str> {
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

    /// Whether a run of this program in this environment on `host` that wants `cell` may take this record's cell for it, first child or not.
    pub fn is_of(&self, cell: &Cell, cold_cache: bool, host: Host<'_>) -> bool {
        self.cell == *cell
            && self.cold_cache == cold_cache
            && self.host() == host
            && self.tool == Tool::this()
            && self.environment == environment::of_child(cell.threads)
    }

    /// Where it was measured.
    pub fn host(&self) -> Host<'_> {
        Host { machine: &self.machine, node: &self.node }
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
    /// This machine as a new run finds it.
    pub fn new(node: String, facts: Facts, roofline: Roofline) -> Self {
        Machine { run: RunId::draw(), id: Machine::id_of(&facts), node, facts, roofline }
    }

    /// What cells call a machine with these facts.
    pub fn id_of(facts: &Facts) -> String {
        let text = serde_json::to_string(&facts.class()).expect("a class is plain data");
        Sha256::of(text).to_string()[..16].to_owned()
    }

    /// Where cells of this run are measured.
    pub fn host(&self) -> Host<'_> {
        Host { machine: &self.id, node: &self.node }
    }
}
