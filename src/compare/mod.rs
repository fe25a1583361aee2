//! What records say: summaries, rankings and differences, all derived on reading. Nothing is measured here, and nothing printed.

pub mod difference;
mod noise;
pub mod ranking;
mod summary;

use std::collections::BTreeMap;

pub use noise::Noise;
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

    /// What was measured of a cell in its rounds: its own child first, then its twins. Empty for a failed one.
    fn children<'a>(&'a self, cell: &'a CellRecord) -> Vec<&'a Measured> {
        let twins = self.twins.iter().filter(|twin| same(cell, twin) && same_rounds(cell, twin));
        let all = cell.measured().into_iter().chain(twins.filter_map(CellRecord::measured));
        if cell.measured().is_some() { all.collect() } else { Vec::new() }
    }

    /// For each echo, the same cell once more at another time: the natural logarithm of the ratio of the two times.
    fn echo_logs(&self) -> impl Iterator<Item = f64> {
        self.twins.iter().filter_map(|echo| {
            let cell = self.cells.iter().find(|cell| same(cell, echo))?;
            // A changed program may have changed times.
            if same_rounds(cell, echo) || cell.tool != echo.tool {
                return None;
            }
            let time = |measured: &Measured| median(&per_pass(measured));
            Some((time(echo.measured()?) / time(cell.measured()?)).ln())
        })
    }

    /// For each cell with twins: the natural logarithms of the ratios of their times to the cell's, in the same rounds.
    fn twin_logs(&self) -> impl Iterator<Item = Vec<f64>> {
        self.cells.iter().filter_map(|cell| match self.children(cell).split_first() {
            Some((first, twins)) if !twins.is_empty() => {
                Some(twins.iter().map(|twin| median(&paired_ratios(twin, first)).ln()).collect())
            }
            _ => None,
        })
    }
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
