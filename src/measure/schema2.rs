//! Lines of schema 2 as they were written, and what they are in today's terms. Nothing writes them any more.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::cell::Cell;
use super::protocol::Failure;
use super::record::{CellRecord, Child, Library, Machine, Measured, Outcome, Record, RunId, Tool};
use crate::machine::{Facts, Peak, Roofline};

/// Reads the lines of one file, in their order.
#[derive(Default)]
pub(super) struct Reader {
    /// For the machines so far, by their old id, the run of the last line and the class.
    machines: BTreeMap<String, (RunId, String)>,
}

impl Reader {
    pub fn read(&mut self, line: &[u8]) -> serde_json::Result<Record> {
        Ok(match serde_json::from_slice(line)? {
            Line::Machine(machine) => {
                let run = RunId::of(line);
                let MachineLine { id: node, facts, roofline, .. } = machine;
                let id = Machine::id_of(&facts);
                self.machines.insert(node.clone(), (run, id.clone()));
                Record::Machine(Machine { run, id, node, facts, roofline: roofline.into() })
            }
            Line::Cell(cell) => {
                let unknown = || (RunId::of(cell.machine.as_bytes()), cell.machine.clone());
                let (run, machine) = self.machines.get(&cell.machine).cloned().unwrap_or_else(unknown);
                Record::Cell(cell.of(run, machine))
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Machine(MachineLine),
    Cell(CellLine),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineLine {
    #[serde(rename = "schema")]
    _schema: IgnoredAny,
    /// A digest of all facts, which were another machine after each start: what told machines apart is the node's name now.
    id: String,
    facts: Facts,
    roofline: RooflineLine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RooflineLine {
    peaks: Vec<Peak>,
    /// Of the levels of the caches by their reported sizes, which can be those of another machine.
    #[serde(rename = "bandwidths")]
    _bandwidths: IgnoredAny,
}

impl From<RooflineLine> for Roofline {
    fn from(line: RooflineLine) -> Self {
        Roofline { peaks: line.peaks, ..Roofline::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellLine {
    #[serde(rename = "schema")]
    _schema: IgnoredAny,
    cell: Cell,
    child: Child,
    cold_cache: bool,
    machine: String,
    tool: Tool,
    command: Vec<String>,
    rounds_started_unix_ms: u64,
    outcome: OutcomeLine,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeLine {
    Measured(MeasuredLine),
    Failed(Failure),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasuredLine {
    library: String,
    threads_got: usize,
    environment: BTreeMap<String, String>,
    data_sha256: String,
    start_ns: u64,
    open_ns: u64,
    plan_ns: u64,
    first_ns: u64,
    peak_memory_bytes: Option<u64>,
    repeats: u64,
    wall_ns: Vec<u64>,
    cpu_ns: Vec<u64>,
    restless: u32,
}

impl CellLine {
    /// On a machine of that class. The time was the key of the rounds.
    fn of(self, run: RunId, machine: String) -> CellRecord {
        CellRecord {
            run,
            rounds: self.rounds_started_unix_ms,
            started_unix_ms: self.rounds_started_unix_ms,
            machine,
            node: self.machine,
            cell: self.cell,
            child: self.child,
            cold_cache: self.cold_cache,
            tool: self.tool,
            command: self.command,
            // Of a failure none was kept.
            environment: match &self.outcome {
                OutcomeLine::Measured(measured) => measured.environment.clone(),
                OutcomeLine::Failed(_) => BTreeMap::new(),
            },
            outcome: match self.outcome {
                OutcomeLine::Measured(measured) => Outcome::Measured(measured.into()),
                OutcomeLine::Failed(failure) => Outcome::Failed(failure),
            },
        }
    }
}

impl From<MeasuredLine> for Measured {
    fn from(line: MeasuredLine) -> Self {
        Measured {
            library: Library { description: line.library, path: None, sha256: None, build_id: None },
            threads_got: line.threads_got,
            data_sha256: line.data_sha256,
            start_ns: line.start_ns,
            open_ns: line.open_ns,
            plan_ns: line.plan_ns,
            first_ns: line.first_ns,
            peak_memory_bytes: line.peak_memory_bytes,
            repeats: line.repeats,
            wall_ns: line.wall_ns,
            cpu_ns: line.cpu_ns,
            restless: line.restless,
            digest: None,
            error_over_bound: None,
        }
    }
}
