//! What records say: summaries, rankings and differences, all derived on reading. Nothing is measured here, and nothing printed.

pub mod difference;
pub mod ranking;
mod summary;

use std::collections::BTreeMap;

pub use summary::Summary;

use crate::measure::record::{CellRecord, Machine, Measured, Record};
use crate::measure::statistics::median;

/// The records of one or more files, put in order: of cells that were measured again, the last.
#[derive(Clone, Debug, Default)]
pub struct Results {
    machines: BTreeMap<String, Machine>,
    cells: Vec<CellRecord>,
    twins: Vec<CellRecord>,
}

impl Results {
    /// Puts records in order.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let mut results = Results::default();
        for record in records {
            match record {
                Record::Machine(machine) => drop(results.machines.insert(machine.id.clone(), machine)),
                Record::Cell(cell) if cell.twin => results.twins.push(cell),
                Record::Cell(cell) => match results.cells.iter_mut().find(|other| same(other, &cell)) {
                    Some(earlier) => *earlier = cell,
                    None => results.cells.push(cell),
                },
            }
        }
        results
    }

    /// All cells, in the order in which they were first measured.
    pub fn cells(&self) -> &[CellRecord] {
        &self.cells
    }

    /// The machine of a cell, where its file names it.
    pub fn machine(&self, cell: &CellRecord) -> Option<&Machine> {
        self.machines.get(&cell.machine)
    }

    /// Keeps the cells that `wanted` takes, with their twins.
    pub fn retain(&mut self, mut wanted: impl FnMut(&CellRecord) -> bool) {
        self.cells.retain(&mut wanted);
        self.twins.retain(wanted);
    }

    /// What was measured of a cell, in short; none for a failed one.
    pub fn summary(&self, cell: &CellRecord) -> Option<Summary> {
        Some(Summary::new(cell, cell.measured()?, self.machine(cell)))
    }

    /// For each cell that was measured twice in the same rounds: the natural logarithm of the ratio of the two times.
    /// Without any noise it would be 0.
    pub fn twin_logs(&self) -> Vec<f64> {
        let log = |twin: &CellRecord| {
            let of_same_rounds = |cell: &&CellRecord| same(cell, twin) && same_rounds(cell, twin);
            let cell = self.cells.iter().find(of_same_rounds)?;
            Some(median(&paired_ratios(twin.measured()?, cell.measured()?)).ln())
        };
        self.twins.iter().filter_map(log).collect()
    }
}

/// How far two measurements of the same thing lie apart from child to child: the root mean square of their twins' logarithms.
/// 0 without twins: then nothing is known of it.
pub fn noise<'a>(results: impl IntoIterator<Item = &'a Results>) -> f64 {
    let logs: Vec<f64> = results.into_iter().flat_map(Results::twin_logs).collect();
    let squares: f64 = logs.iter().map(|log| log * log).sum();
    if logs.is_empty() { 0.0 } else { (squares / logs.len() as f64).sqrt() }
}

/// Widens an interval of a ratio by what one child and the next differ in: twice the noise on either side, which holds 95% of normal
/// deviations. Samples of one child cannot know of it.
fn widened((low, high): (f64, f64), noise: f64) -> (f64, f64) {
    (low * (-2.0 * noise).exp(), high * (2.0 * noise).exp())
}

/// Nanoseconds per pass of each sample.
fn per_pass(measured: &Measured) -> Vec<f64> {
    measured.wall_ns.iter().map(|&ns| ns as f64 / measured.repeats as f64).collect()
}

/// The ratios of neighbours in time: drifts of the machine are in both and cancel.
fn paired_ratios(of: &Measured, to: &Measured) -> Vec<f64> {
    per_pass(of).into_iter().zip(per_pass(to)).map(|(of, to)| of / to).collect()
}

/// Whether both are of the same cell, measured in the same way on the same machine.
fn same(a: &CellRecord, b: &CellRecord) -> bool {
    a.cell == b.cell && a.cold_cache == b.cold_cache && a.machine == b.machine
}

fn same_rounds(a: &CellRecord, b: &CellRecord) -> bool {
    a.rounds_started_unix_ms == b.rounds_started_unix_ms && a.machine == b.machine
}
