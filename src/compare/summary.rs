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
    /// The highest rate of multiply-add that was read for that scalar type on that many threads, in the cell's rounds and before the first cell;
    /// none where the file has none.
    pub peak_gflops: Option<f64>,
    /// How another process of the cell computed wrongly, if one did: [`Results::wrong`](super::Results::wrong).
    pub wrong: Option<String>,
}

/// How far above the highest reading of the peak a rate may be. Cells and peaks are not read at the same moment, and a core may run faster in
/// the one than in the other; but the highest of many readings, each the best of many runs, is held against a median, and a kernel of
/// nothing but multiply-adds against one that loads and stores too: where clocks differ by less than a tenth, nothing honest comes
/// near.
const PEAK_MARGIN: f64 = 1.1;

impl Summary {
    /// `limits` are those of the cell, read in its rounds.
    pub(super) fn new(
        record: &CellRecord,
        children: &[&Measured],
        wrong: Option<String>,
        machine: Option<&Machine>,
        limits: Option<&Limits>,
    ) -> Self {
        let cell = &record.cell;
        let time_ns = time(children);
        let flops = cell.workload.flops_by(cell.first_layer, cell.phase);
        let bytes = match cell.scalar {
            ScalarKind::F32 => cell.workload.bytes_by::<f32>(cell.first_layer, cell.phase),
            ScalarKind::F64 => cell.workload.bytes_by::<f64>(cell.first_layer, cell.phase),
        };
        let gflops = flops / time_ns;
        let limit = limits.and_then(usual).or_else(|| {
            let (roofline, threads) = (&machine?.roofline, cell.threads.get());
            let bandwidth = roofline.bandwidth_at(cell.bytes_per_thread(record.cold_cache), threads)?;
            Some((roofline.peak(cell.scalar, threads)?, bandwidth))
        });
        let limit = limit.map(|(peak, bandwidth)| peak.min(bandwidth * flops / bytes));
        let of_rounds = limits.into_iter().flat_map(|limits| limits.peak_gflops.iter().copied());
        let of_run = machine.and_then(|machine| machine.roofline.peak(cell.scalar, cell.threads.get()));
        let peak_gflops = of_rounds.chain(of_run).max_by(f64::total_cmp);
        let sum = |times: fn(&Measured) -> &[u64]| {
            children.iter().flat_map(|child| times(child)).map(|&ns| ns as f64).sum::<f64>()
        };
        let deviations = children.iter().map(|child| median_deviation(&per_pass(child)));
        Summary {
            time_ns,
            deviation_ns: deviations.sum::<f64>() / children.len() as f64,
            interval_ns: interval(children),
            gflops,
            roofline_share: limit.map(|limit| gflops / limit),
            busy_threads: sum(|child| &child.cpu_ns) / sum(|child| &child.wall_ns),
            peak_gflops,
            wrong,
        }
    }

    /// Why the time is not to be trusted, if it is not: another process of the cell computed wrongly, or no way of counting all operations makes the machine do more of them than it can. What
    /// is mistrusted is in no ranking and no verdict.
    pub fn mistrusted(&self) -> Option<String> {
        if let Some(message) = &self.wrong {
            return Some(format!("another process of this cell gave a wrong result: {message}"));
        }
        let peak = self.peak_gflops.filter(|peak| self.gflops > PEAK_MARGIN * peak)?;
        let (rate, times) = (self.gflops, self.gflops / peak);
        Some(format!(
            "{rate:.4} GFLOP/s are {times:.2} times the highest peak that was read, {peak:.4}, and {PEAK_MARGIN} times are the limit: the work was \
             not done, or not timed"
        ))
    }
}

/// The medians over the rounds of peak and bandwidth.
fn usual(limits: &Limits) -> Option<(f64, f64)> {
    let usual = |rates: &[f64]| (!rates.is_empty()).then(|| median(rates));
    Some((usual(&limits.peak_gflops)?, usual(&limits.gb_per_s)?))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::layer::FirstLayer;
    use crate::machine::{Facts, Pages, Peak, Point, Roofline};
    use crate::measure::Cell;
    use crate::measure::record::{Child, Library, Outcome, RunId, Tool};
    use crate::simd::Isa;
    use crate::workload::{Phase, Workload};

    /// A pass takes a microsecond.
    fn record(cold_cache: bool) -> CellRecord {
        let cell = Cell {
            phase: Phase::Step,
            backend: "a".into(),
            workload: Workload::find("l-layer").expect("embedded"),
            scalar: ScalarKind::F64,
            threads: NonZeroUsize::new(2).expect("not zero"),
            first_layer: FirstLayer::Plain,
        };
        let measured = Measured {
            library: Library::of("none".into(), None),
            threads_got: 2,
            data_sha256: String::new(),
            start_ns: 1,
            open_ns: 1,
            plan_ns: 1,
            first_ns: 1,
            peak_memory_bytes: None,
            repeats: 1,
            wall_ns: vec![1000; 6],
            cpu_ns: vec![1000; 6],
            restless: 0,
            digest: None,
            error_over_bound: None,
        };
        CellRecord {
            run: RunId::draw(),
            rounds: 0,
            started_unix_ms: 0,
            cell,
            child: Child::First,
            cold_cache,
            machine: String::new(),
            node: String::new(),
            tool: Tool::this(),
            command: Vec::new(),
            environment: [].into(),
            outcome: Outcome::Measured(measured),
        }
    }

    /// What the limit is taken for.
    fn limit(record: &CellRecord, machine: Option<&Machine>, limits: Option<&Limits>) -> Option<f64> {
        let measured = record.measured().expect("measured");
        let summary = Summary::new(record, &[measured], None, machine, limits);
        summary.roofline_share.map(|share| summary.gflops / share)
    }

    fn machine(points: &[(u64, f64)]) -> Machine {
        let curve = points.iter().map(|&(bytes, gb_per_s)| Point { bytes, threads: 2, pages: Pages::Small, gb_per_s });
        let peak = Peak { isa: Isa::Portable, scalar: ScalarKind::F64, threads: 2, gflops: 1e9 };
        Machine::new(
            String::new(),
            Facts::read(),
            Roofline { peaks: vec![peak], curve: curve.collect(), gaps: Vec::new() },
        )
    }

    #[test]
    fn a_rate_above_every_reading_of_the_peak_is_mistrusted() {
        let (record, machine) = (record(false), machine(&[]));
        let measured = record.measured().expect("measured");
        let rate = record.cell.workload.flops(Phase::Step) / 1000.0;
        let summary = |machine: Option<&Machine>, peaks: &[f64]| {
            let limits = Limits {
                scalar: ScalarKind::F64,
                threads: record.cell.threads,
                bytes_per_thread: 1,
                peak_gflops: peaks.to_vec(),
                gb_per_s: vec![1.0; peaks.len()],
            };
            Summary::new(&record, &[measured], None, machine, Some(&limits))
        };
        // The highest reading counts, however low others were: other load makes a reading low.
        assert_eq!(summary(None, &[rate / 1.09, rate / 50.0, rate / 50.0]).mistrusted(), None);
        let told = summary(None, &[rate / 1.2, rate / 50.0]).mistrusted().expect("nothing is so fast");
        assert!(told.contains("are 1.20 times the highest peak"), "{told}");
        // That of the run counts too, and where nothing is known nothing is mistrusted.
        assert_eq!(summary(Some(&machine), &[rate / 50.0]).mistrusted(), None);
        assert_eq!(summary(None, &[]).mistrusted(), None);
    }

    #[test]
    fn the_limit_is_that_of_the_cells_own_rounds_else_that_of_its_footprint_else_none() {
        let (record, cold, without_curve) = (record(false), record(true), machine(&[]));
        let workload = &record.cell.workload;
        let intensity = workload.flops(Phase::Step) / workload.bytes::<f64>(Phase::Step);
        let limits = |peak: &[f64], rate: &[f64]| Limits {
            scalar: ScalarKind::F64,
            threads: record.cell.threads,
            bytes_per_thread: record.cell.bytes_per_thread(false),
            peak_gflops: peak.to_vec(),
            gb_per_s: rate.to_vec(),
        };
        let near = |found: Option<f64>, expected: f64| {
            assert!(found.is_some_and(|found| (found / expected - 1.0).abs() < 1e-12), "{found:?}, not {expected}");
        };
        // Two threads have half of the footprint each; a rate there, and others around it.
        let half = workload.footprint::<f64>() as u64 / 2;
        let machine = machine(&[(half / 4, 80.0), (half, 20.0), (4 * half, 5.0)]);
        near(limit(&record, Some(&machine), None), 20.0 * intensity);
        near(limit(&record, Some(&machine), Some(&limits(&[3.0, 1.0, 2.0], &[1e9; 3]))), 2.0);
        near(limit(&record, None, Some(&limits(&[1e9; 3], &[3.0, 1.0, 2.0]))), 2.0 * intensity);
        near(limit(&record, Some(&machine), Some(&limits(&[], &[]))), 20.0 * intensity);
        near(limit(&cold, Some(&machine), None), 5.0 * intensity);
        // An older record has a peak and no curve: nobody knows which of them bounds.
        assert_eq!(limit(&record, Some(&without_curve), None), None);
        assert_eq!(limit(&record, None, None), None);
    }
}
