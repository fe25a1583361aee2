//! One measured cell in short.

use super::{interval, per_pass, time};
use crate::measure::record::{CellRecord, Limits, Machine, Measured};
use crate::measure::statistics::{median, median_deviation};
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
    /// `gflops` over what the machine's roofline allows: its peak, or less where the pass moves many bytes per operation, at the bandwidth of
    /// a working set as large as the cell's. Both as read in the cell's rounds, else as measured before the first cell; none where the file
    /// has neither for that many threads. Above 1 where the limit was read too low, or the cell moves fewer bytes than are counted.
    pub roofline_share: Option<f64>,
    /// CPU time over wall time: how many threads were busy.
    pub busy_threads: f64,
}

impl Summary {
    /// `limits` are those of the cell, read in its rounds.
    pub(super) fn new(
        record: &CellRecord,
        children: &[&Measured],
        machine: Option<&Machine>,
        limits: Option<&Limits>,
    ) -> Self {
        let cell = &record.cell;
        let time_ns = time(children);
        let flops = cell.workload.flops(cell.phase);
        let bytes = match cell.scalar {
            ScalarKind::F32 => cell.workload.bytes::<f32>(cell.phase),
            ScalarKind::F64 => cell.workload.bytes::<f64>(cell.phase),
        };
        let gflops = flops / time_ns;
        let limit = limits.and_then(usual).or_else(|| {
            let (roofline, threads) = (&machine?.roofline, cell.threads.get());
            let bandwidth = roofline.bandwidth_at(cell.bytes_per_thread(record.cold_cache), threads)?;
            Some((roofline.peak(cell.scalar, threads)?, bandwidth))
        });
        let limit = limit.map(|(peak, bandwidth)| peak.min(bandwidth * flops / bytes));
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

/// The medians over the rounds of peak and bandwidth.
fn usual(limits: &Limits) -> Option<(f64, f64)> {
    let usual = |rates: &[f64]| (!rates.is_empty()).then(|| median(rates));
    Some((usual(&limits.peak_gflops)?, usual(&limits.gb_per_s)?))
}
