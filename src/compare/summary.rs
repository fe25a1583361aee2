//! One measured cell in short.

use super::{interval, per_pass, time};
use crate::machine::Level;
use crate::measure::record::{CellRecord, Machine, Measured};
use crate::measure::statistics::median_deviation;
use crate::scalar::ScalarKind;

/// What is derived from a cell's samples. Times are of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The median; of a cell with twins the geometric mean of the children's.
    pub time_ns: f64,
    /// The median distance from it; of a cell with twins the mean of the children's.
    pub deviation_ns: f64,
    /// An interval of 95% for the time as far as samples show; none for fewer than six.
    pub interval_ns: Option<(f64, f64)>,
    /// Operations of the matrix products over the time.
    pub gflops: f64,
    /// `gflops` over what the machine's roofline allows: its peak, or less where the pass moves many bytes per operation, at the
    /// bandwidth of the smallest cache that holds what the workload has in use. None where the file has no roofline for that many threads.
    pub roofline_share: Option<f64>,
    /// CPU time over wall time: how many threads were busy.
    pub busy_threads: f64,
}

impl Summary {
    pub(super) fn new(record: &CellRecord, children: &[&Measured], machine: Option<&Machine>) -> Self {
        let cell = &record.cell;
        let time_ns = time(children);
        let flops = cell.workload.flops(cell.phase);
        let (bytes, footprint) = match cell.scalar {
            ScalarKind::F32 => (cell.workload.bytes::<f32>(cell.phase), cell.workload.footprint::<f32>()),
            ScalarKind::F64 => (cell.workload.bytes::<f64>(cell.phase), cell.workload.footprint::<f64>()),
        };
        let gflops = flops / time_ns;
        let limit = machine.and_then(|machine| {
            let threads = cell.threads.get();
            let peak = machine.roofline.peak(cell.scalar, threads)?;
            let rate = bandwidth(machine, footprint, threads)?;
            Some(peak.min(rate * flops / bytes))
        });
        let sum = |times: fn(&Measured) -> &[u64]| children.iter().flat_map(|child| times(child)).sum::<u64>() as f64;
        let deviations = children.iter().map(|child| median_deviation(&per_pass(child)));
        Summary {
            time_ns,
            deviation_ns: deviations.sum::<f64>() / children.len() as f64,
            interval_ns: interval(children),
            gflops,
            roofline_share: limit.map(|limit| gflops / limit),
            busy_threads: sum(|child| &child.cpu_ns) / sum(|child| &child.wall_ns),
        }
    }
}

/// The bandwidth in GB/s of the smallest cache that holds `bytes`, or of memory. Where that level was not measured, a faster one's:
/// the share then errs to the low side.
fn bandwidth(machine: &Machine, bytes: f64, threads: usize) -> Option<f64> {
    let levels = [(1, Level::L1), (2, Level::L2), (3, Level::L3)];
    let holds = |number| machine.facts.data_cache(number).is_some_and(|cache| bytes <= cache.bytes as f64);
    let held_by =
        levels.into_iter().position(|(number, _)| holds(number)).map_or(&levels[..], |place| &levels[..=place]);
    let memory =
        if held_by.len() == levels.len() && !holds(3) { machine.roofline.read_bandwidth(threads) } else { None };
    memory.or_else(|| held_by.iter().rev().find_map(|&(_, level)| machine.roofline.bandwidth(level, threads)))
}
