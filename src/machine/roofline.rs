//! The roofline: the peak rate of multiply-add and the bandwidth of reading, per thread count, as measured here.
//!
//! A peak is a maximum, so the best of many short runs is taken: whatever disturbs a run makes it slower, never faster. Short, because
//! on a busy machine a millisecond without interruption is found more easily than a second. How the threads of a run are held
//! together is in `team`; the whole method is in `docs/measuring-the-machine.md`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Facts;
use super::curve::{self, Point};
use super::rate::Multiplying;
use crate::error::Result;
use crate::scalar::ScalarKind;
use crate::simd::Isa;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The widest instruction set, and a few points of the curve. Under two seconds on an ordinary machine.
    Brief,
    /// Every instruction set and the whole curve. A few seconds.
    Full,
}

/// What the machine can do at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Rates of multiply-add in registers.
    pub peaks: Vec<Peak>,
    /// Rates of reading, by working set. Older records have none.
    #[serde(default)]
    pub curve: Vec<Point>,
    /// What could not be measured, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// The rate of multiply-add of one instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// The instruction set.
    pub isa: Isa,
    /// The scalar type.
    pub scalar: ScalarKind,
    /// The number of threads that computed at once.
    pub threads: usize,
    /// 10^9 floating-point operations per second, all threads together; a multiply-add counts as two.
    pub gflops: f64,
}

impl Roofline {
    /// Measures now, for each of the thread counts (zeros and repetitions are passed over). What the system refuses memory or threads for
    /// is a gap. `progress` is told what comes next.
    pub fn measure(thread_counts: &[usize], depth: Depth, progress: &mut dyn FnMut(&str)) -> Self {
        let mut counts: Vec<usize> = thread_counts.iter().copied().filter(|&count| count > 0).collect();
        counts.sort_unstable();
        counts.dedup();
        let mut sets = Isa::available();
        if depth == Depth::Brief {
            sets.drain(..sets.len() - 1);
        }
        let facts = Facts::read();
        let mut roofline = Roofline::default();
        for &threads in &counts {
            progress(&format!("peak, threads: {threads}"));
            if let Err(error) = roofline.measure_peaks(&sets, threads) {
                roofline.gaps.push(format!("the peak of {threads} threads: {error}"));
            }
            for bytes in curve::working_sets(&facts, threads, depth) {
                let what = format!("reading {} on each of {threads} threads", binary(bytes));
                progress(&what);
                match curve::point(bytes, threads) {
                    Ok(point) => roofline.curve.push(point),
                    Err(error) => {
                        roofline.gaps.push(format!("{what}, and more: {error}"));
                        break;
                    }
                }
            }
        }
        roofline
    }

    fn measure_peaks(&mut self, sets: &[Isa], threads: usize) -> Result<()> {
        for &isa in sets {
            for scalar in ScalarKind::ALL {
                let one = self.peaks.iter().find(|one| (one.isa, one.scalar, one.threads) == (isa, scalar, 1));
                let hoped = one.map(|one| HOPED_SHARE * one.gflops * threads as f64);
                if let Some(team) = Multiplying::new(isa, scalar, threads, RUN) {
                    let gflops = best(hoped, || team.gflops(RUNS))?;
                    self.peaks.push(Peak { isa, scalar, threads, gflops });
                }
            }
        }
        Ok(())
    }

    /// The peak in GFLOP/s of the best instruction set; `None` where that was not measured.
    pub fn peak(&self, scalar: ScalarKind, threads: usize) -> Option<f64> {
        let peaks = self.peaks.iter().filter(|peak| (peak.scalar, peak.threads) == (scalar, threads));
        peaks.map(|peak| peak.gflops).max_by(f64::total_cmp)
    }

    /// The rate in GB/s, all threads together, of reading so many bytes over and over on each thread: interpolated between two points of the
    /// curve, and that of its end outside. `None` where nothing was measured on so many threads.
    pub fn bandwidth_at(&self, bytes_per_thread: u64, threads: usize) -> Option<f64> {
        curve::at(&self.curve, bytes_per_thread, threads)
    }
}

/// A power of two in a fitting unit.
fn binary(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

/// A run of the peak takes about this long.
const RUN: Duration = Duration::from_millis(1);
/// The best of this many is the peak.
const RUNS: usize = 24;
/// Threads that share nothing should reach this share of so many times the rate of one. Where they do not, they may have been
/// disturbed: they try again, since more runs can only bring a maximum nearer.
const HOPED_SHARE: f64 = 0.9;
/// They may well be unable to (power, hyper-threads): no more than this many trials.
const TRIALS: usize = 6;

/// The best rate of up to [`TRIALS`] trials; the first that reaches `hoped` ends them.
fn best(hoped: Option<f64>, mut trial: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut best = 0.0_f64;
    for _ in 0..TRIALS {
        best = best.max(trial()?);
        if hoped.is_none_or(|hoped| best >= hoped) {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_measurement_has_every_set_and_the_whole_curve() {
        let mut told = 0;
        let roofline = Roofline::measure(&[1, 0, 1], Depth::Full, &mut |_| told += 1);
        assert_eq!(roofline.gaps, [""; 0]);
        assert_eq!(roofline.peaks.len(), 2 * Isa::available().len());
        assert!(roofline.peaks.iter().all(|peak| peak.gflops.is_finite() && peak.gflops > 0.0), "{roofline:?}");
        let sets: Vec<u64> = roofline.curve.iter().map(|point| point.bytes).collect();
        assert_eq!(sets, curve::working_sets(&Facts::read(), 1, Depth::Full));
        assert!(roofline.curve.iter().all(|point| point.gb_per_s.is_finite() && point.gb_per_s > 0.0), "{roofline:?}");
        assert_eq!(told, 1 + sets.len());
    }

    #[test]
    fn a_brief_one_has_what_callers_look_up_and_survives_json() {
        let roofline = Roofline::measure(&[2, 1], Depth::Brief, &mut |_| {});
        for threads in [1, 2] {
            for scalar in ScalarKind::ALL {
                assert!(roofline.peak(scalar, threads).is_some_and(|rate| rate > 0.0));
            }
            assert!(roofline.bandwidth_at(1 << 20, threads).is_some_and(|rate| rate > 0.0));
        }
        assert_eq!(roofline.peak(ScalarKind::F64, 3), None);
        assert_eq!(roofline.bandwidth_at(1 << 20, 3), None);
        let json = serde_json::to_string(&roofline).expect("plain data");
        assert_eq!(serde_json::from_str::<Roofline>(&json).expect("what was written"), roofline);
    }

    #[test]
    fn an_older_roofline_is_read_and_has_no_curve() {
        let text = r#"{"peaks":[{"isa":"avx2","scalar":"f64","threads":1,"gflops":50.0}],
            "bandwidths":[{"level":"memory","bytes":268435456,"threads":1,"gb_per_s":13.0}]}"#;
        let roofline: Roofline = serde_json::from_str(text).expect("schema 2");
        assert_eq!((roofline.peak(ScalarKind::F64, 1), roofline.bandwidth_at(1 << 28, 1)), (Some(50.0), None));
    }

    /// Its own process has a little more address space than it uses.
    #[test]
    #[ignore = "it limits its process: the next one runs it"]
    #[cfg(target_os = "linux")]
    fn in_little_memory() {
        use rustix::process::{Resource, Rlimit, setrlimit};
        const LEFT: u64 = 96 << 20;
        let status = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages: u64 = status.split(' ').next().and_then(|size| size.parse().ok()).expect("a number of pages");
        let limit = Some(pages * rustix::param::page_size() as u64 + LEFT);
        setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).expect("it is lowered");
        let roofline = Roofline::measure(&[1], Depth::Full, &mut |_| {});
        let [gap] = roofline.gaps.as_slice() else { panic!("{:?}", roofline.gaps) };
        assert!(gap.contains("MiB on each of 1 threads") && gap.contains("ulimit -v"), "{gap}");
        // What fits is there.
        let all = curve::working_sets(&Facts::read(), 1, Depth::Full);
        let there: Vec<u64> = roofline.curve.iter().map(|point| point.bytes).collect();
        assert!(!there.is_empty() && all.starts_with(&there), "{there:?}");
        assert!(there.iter().all(|&bytes| bytes < LEFT) && roofline.peak(ScalarKind::F64, 1).is_some());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_does_not_fit_into_memory_is_a_gap_and_no_end() {
        let mut this = std::process::Command::new(std::env::current_exe().expect("this test"));
        // OpenBLAS's own worker would ask for its buffer for ever, where it comes to that only after the limit is set.
        this.args(["--ignored", "--exact", "machine::roofline::tests::in_little_memory"])
            .env("OPENBLAS_NUM_THREADS", "1");
        let output = this.output();
        let output = output.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{}: {text}", output.status);
    }

    #[test]
    fn trials_end_when_the_hope_is_fulfilled_or_in_vain() {
        let rates = [3.0, 1.0, 9.0, 20.0];
        let after = |hoped: Option<f64>| {
            let mut calls = 0;
            let best = best(hoped, || {
                calls += 1;
                Ok(rates[(calls - 1) % rates.len()])
            });
            (best.expect("no trial fails"), calls)
        };
        assert_eq!(after(None), (3.0, 1));
        assert_eq!(after(Some(8.0)), (9.0, 3));
        assert_eq!(after(Some(100.0)), (20.0, TRIALS));
    }

    #[test]
    fn the_best_set_is_the_peak() {
        let peak = |isa, gflops| Peak { isa, scalar: ScalarKind::F64, threads: 1, gflops };
        let peaks = vec![peak(Isa::Sse2, 10.0), peak(Isa::Avx2, 40.0), peak(Isa::Avx512, 39.0)];
        assert_eq!(Roofline { peaks, ..Roofline::default() }.peak(ScalarKind::F64, 1), Some(40.0));
    }
}
