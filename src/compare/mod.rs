//! What records say: summaries, rankings and differences, all derived on reading. Nothing is measured here, and nothing printed.
//!
//! ```
//! use std::path::Path;
//!
//! use layerbench::compare::{Results, ranking::rank};
//! use layerbench::measure::journal;
//!
//! # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/record/xeon-avx512-2cores.jsonl");
//! let results = Results::new(journal::read(Path::new(file))?);
//! for ranking in rank(&results) {
//!     let first = &ranking.places[0];
//!     println!("{}: {} on {} threads", ranking.phase.map_or("overall", |phase| phase.name()), first.contender.name(), first.contender.threads);
//! }
//! # Ok::<(), layerbench::Error>(())
//! ```

pub mod difference;
mod noise;
pub mod ranking;
mod summary;

use std::collections::BTreeMap;

pub use noise::{Kind, Noise};
pub use summary::Summary;

use crate::measure::record::{
    Cause, CellRecord, Child, Failure, Limits, LimitsRecord, Machine, Measured, Outcome, Record, RunId,
};
use crate::measure::statistics::{geometric_mean, median, median_interval};

/// The records of one or more files, put in order: of cells that were measured again, the last.
#[derive(Clone, Debug)]
pub struct Results {
    /// By run and class: each run found the machine in a state of its own.
    machines: BTreeMap<(RunId, String), Machine>,
    limits: Vec<LimitsRecord>,
    cells: Vec<CellRecord>,
    further: Vec<CellRecord>,
    /// Of all records, whatever is retained.
    twins: Noise,
    echoes: Noise,
}

impl Results {
    /// Puts records in order.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let (mut machines, mut limits) = (BTreeMap::new(), Vec::new());
        let (mut cells, mut further) = (Vec::<CellRecord>::new(), Vec::new());
        for record in records {
            match record {
                Record::Machine(machine) => drop(machines.insert((machine.run, machine.id.clone()), machine)),
                Record::Limits(of_rounds) => limits.push(of_rounds),
                // A file that is given twice does not know twice as much.
                Record::Cell(cell) if further.contains(&cell) => {}
                Record::Cell(cell) if cell.child != Child::First => further.push(cell),
                Record::Cell(cell) => match cells.iter_mut().find(|other| same(other, &cell)) {
                    Some(earlier) => *earlier = cell,
                    None => cells.push(cell),
                },
            }
        }
        let [twins, echoes] = [Kind::Twins, Kind::Echoes].map(|kind| Noise::of(kind, &cells, &further));
        Results { machines, limits, cells, further, twins, echoes }
    }

    /// All cells, in the order in which they were first measured.
    pub fn cells(&self) -> &[CellRecord] {
        &self.cells
    }

    /// The machine of a cell as its own run found it, where its file tells.
    pub fn machine(&self, cell: &CellRecord) -> Option<&Machine> {
        self.machines.get(&(cell.run, cell.machine.clone()))
    }

    /// What the machine could do at most in the rounds of a cell, where that was measured.
    pub fn limits(&self, cell: &CellRecord) -> Option<&Limits> {
        let is_for = |of_rounds: &&LimitsRecord| {
            (of_rounds.run, of_rounds.rounds) == (cell.run, cell.rounds)
                && (of_rounds.limits.scalar, of_rounds.limits.threads) == (cell.cell.scalar, cell.cell.threads)
        };
        self.limits.iter().find(is_for).map(|of_rounds| &of_rounds.limits)
    }

    /// Keeps the cells that `wanted` takes. The noise stays that of all: it is of machine and engine, not of a selection.
    pub fn retain(&mut self, wanted: impl FnMut(&CellRecord) -> bool) {
        self.cells.retain(wanted);
    }

    /// What was measured of a cell, in short; none for a failed one.
    pub fn summary(&self, cell: &CellRecord) -> Option<Summary> {
        let children = self.children(cell);
        let wrong = self.wrong(cell).map(|failure| failure.message.clone());
        (!children.is_empty()).then(|| Summary::new(cell, &children, wrong, self.machine(cell), self.limits(cell)))
    }

    /// Why a cell's time is not to be trusted, if it was measured and is not: [`Summary::mistrusted`].
    pub fn mistrusted(&self, cell: &CellRecord) -> Option<String> {
        self.summary(cell)?.mistrusted()
    }

    /// How a further child of a cell computed wrongly, or stated false times, if one did: what is right in one process and wrong in the next is
    /// wrong.
    pub fn wrong(&self, cell: &CellRecord) -> Option<&Failure> {
        // What was measured anew is judged anew.
        let is_of_it = |other: &&CellRecord| {
            same(cell, other)
                && if other.child == Child::Twin { same_rounds(cell, other) } else { cell.run == other.run }
        };
        self.further.iter().filter(is_of_it).find_map(|other| match &other.outcome {
            Outcome::Failed(failure) => matches!(failure.cause, Cause::Verification | Cause::Clock).then_some(failure),
            Outcome::Measured(_) => None,
        })
    }

    /// All cells whose time is not to be trusted, with the reason.
    pub fn all_mistrusted(&self) -> Vec<(&CellRecord, String)> {
        self.cells.iter().filter_map(|cell| Some((cell, self.mistrusted(cell)?))).collect()
    }

    /// What the A/A pairs show.
    pub fn noise(&self, kind: Kind) -> &Noise {
        match kind {
            Kind::Twins => &self.twins,
            Kind::Echoes => &self.echoes,
        }
    }

    /// What was measured of a cell in its rounds: its first child, then its twins. Empty for a failed one.
    fn children<'a>(&'a self, cell: &'a CellRecord) -> Vec<&'a Measured> {
        let Some(first) = cell.measured() else { return Vec::new() };
        let is_twin = |other: &&CellRecord| other.child == Child::Twin && same(cell, other) && same_rounds(cell, other);
        let twins = self.further.iter().filter(is_twin).filter_map(CellRecord::measured);
        let twins = twins.filter(|twin| twin.data_sha256 == first.data_sha256);
        [first].into_iter().chain(twins).collect()
    }
}

/// Nanoseconds per pass of each sample.
fn per_pass(measured: &Measured) -> Vec<f64> {
    measured.wall_ns.iter().map(|&ns| ns as f64 / measured.repeats as f64).collect()
}

/// The time of a cell: the geometric mean of its children's medians, in nanoseconds per pass.
fn time(children: &[&Measured]) -> f64 {
    geometric_mean(children.iter().map(|child| median(&per_pass(child))))
}

/// Ends of an interval of 95% for that; none for fewer than six samples. That the children's deviations average out is not made use of.
fn interval(children: &[&Measured]) -> Option<(f64, f64)> {
    let ends: Option<Vec<(f64, f64)>> = children.iter().map(|child| median_interval(&per_pass(child))).collect();
    let ends = ends?;
    Some((geometric_mean(ends.iter().map(|end| end.0)), geometric_mean(ends.iter().map(|end| end.1))))
}

/// Whether both are of the same cell, measured in the same way on the same machine.
fn same(a: &CellRecord, b: &CellRecord) -> bool {
    a.cell == b.cell && a.cold_cache == b.cold_cache && a.host() == b.host()
}

fn same_rounds(a: &CellRecord, b: &CellRecord) -> bool {
    (a.run, a.rounds) == (b.run, b.rounds)
}
