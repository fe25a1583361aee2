//! The roofline: the peak rate of multiply-add and the read bandwidth of each cache level, per thread count, as measured here.
//!
//! A peak is a maximum, so the best of many short runs is taken: whatever disturbs a run makes it slower, never faster. Short, because
//! on a busy machine a millisecond without interruption is found more easily than a second. How the threads of a run are held
//! together is in `team`; the whole method is in `docs/measuring-the-machine.md`.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bandwidth::{Line, Reader, buffer};
use super::fma::Kernel;
use super::team::shortest;
use super::{Facts, Isa};
use crate::scalar::ScalarKind;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The widest instruction set; bandwidth of the second cache level and of memory. Under two seconds on an ordinary machine.
    Brief,
    /// Every instruction set and every level. Under five seconds.
    Full,
}

/// What the machine can do at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Rates of multiply-add in registers.
    pub peaks: Vec<Peak>,
    /// Rates of reading.
    pub bandwidths: Vec<Bandwidth>,
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

/// The rate of reading from one level of the memory hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Where the data is.
    pub level: Level,
    /// The working set of each thread, in bytes.
    pub bytes: usize,
    /// The number of threads that read at once, each its own memory.
    pub threads: usize,
    /// 10^9 bytes per second, all threads together.
    pub gb_per_s: f64,
}

/// A level of the memory hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The first data cache.
    L1,
    /// The second.
    L2,
    /// The third.
    L3,
    /// Beyond the caches.
    Memory,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::L1 => "L1",
            Level::L2 => "L2",
            Level::L3 => "L3",
            Level::Memory => "memory",
        })
    }
}

impl Roofline {
    /// Measures now, for each of the thread counts (zeros and repetitions are passed over).
    pub fn measure(thread_counts: &[usize], depth: Depth) -> Self {
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
            for &isa in &sets {
                for scalar in ScalarKind::ALL {
                    let one = roofline.peaks.iter().find(|one| (one.isa, one.scalar, one.threads) == (isa, scalar, 1));
                    let hoped = one.map(|one| HOPED_SHARE * one.gflops * threads as f64);
                    roofline.peaks.extend(peak(isa, scalar, threads, hoped));
                }
            }
            let mut levels = working_sets(&facts, threads);
            if depth == Depth::Brief {
                levels.retain(|(level, _)| matches!(level, Level::L2 | Level::Memory));
            }
            for (level, bytes) in levels {
                // Beyond the second level, threads share what they read from.
                let one = roofline.bandwidth(level, 1).filter(|_| level <= Level::L2);
                let hoped = one.map(|one| HOPED_SHARE * one * threads as f64);
                roofline.bandwidths.push(bandwidth(level, bytes, threads, hoped));
            }
        }
        roofline
    }

    /// The peak in GFLOP/s of the best instruction set; `None` where that was not measured.
    pub fn peak(&self, scalar: ScalarKind, threads: usize) -> Option<f64> {
        let peaks = self.peaks.iter().filter(|peak| (peak.scalar, peak.threads) == (scalar, threads));
        peaks.map(|peak| peak.gflops).max_by(f64::total_cmp)
    }

    /// The rate in GB/s of reading from memory beyond the caches; `None` where that was not measured.
    pub fn read_bandwidth(&self, threads: usize) -> Option<f64> {
        self.bandwidth(Level::Memory, threads)
    }

    /// The rate in GB/s of reading from a level; `None` where that was not measured.
    pub fn bandwidth(&self, level: Level, threads: usize) -> Option<f64> {
        let found = self.bandwidths.iter().find(|found| (found.level, found.threads) == (level, threads));
        found.map(|found| found.gb_per_s)
    }
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
fn best(hoped: Option<f64>, mut trial: impl FnMut() -> f64) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..TRIALS {
        best = best.max(trial());
        if hoped.is_none_or(|hoped| best >= hoped) {
            break;
        }
    }
    best
}

fn peak(isa: Isa, scalar: ScalarKind, threads: usize, hoped: Option<f64>) -> Option<Peak> {
    let kernel = Kernel::new(isa, scalar)?;
    let rounds = rounds_that_fill(&kernel, RUN);
    let gflops = best(hoped, || {
        let time = shortest(threads, RUNS, || {
            move || {
                black_box(kernel.run(black_box(rounds)));
            }
        });
        threads as f64 * kernel.flops(rounds) / time.as_secs_f64() / 1e9
    });
    Some(Peak { isa, scalar, threads, gflops })
}

fn rounds_that_fill(kernel: &Kernel, time: Duration) -> u32 {
    let mut rounds = 1 << 10;
    loop {
        let clock = Instant::now();
        black_box(kernel.run(black_box(rounds)));
        if clock.elapsed() >= time || rounds >= Kernel::MOST_ROUNDS {
            return rounds;
        }
        rounds *= 2;
    }
}

/// A run reads at least this much from a cache, so that it lasts much longer than the threads' start is apart.
const BYTES_READ: usize = 128 << 20;
/// No L3's share of the memory test is larger, so that the test stays short.
const MOST_MEMORY: usize = 256 << 20;

/// Each level with the bytes that each of `threads` threads reads there: half of its share of a cache, so that it surely fits; four
/// times its share of the last cache for memory, so that it surely does not. A level that is not at least twice as large as
/// the one before it (a victim cache's slice, say) would be measured in that one, and is left out.
fn working_sets(facts: &Facts, threads: usize) -> Vec<(Level, usize)> {
    let mut sets: Vec<(Level, usize)> = Vec::new();
    let (mut last, mut largest) = (0, 0);
    for (number, level) in [(1, Level::L1), (2, Level::L2), (3, Level::L3)] {
        let Some(cache) = facts.data_cache(number) else { continue };
        let share = cache.bytes as usize / threads.clamp(1, cache.shared_by.max(1));
        largest = largest.max(share);
        if share >= 2 * last {
            sets.push((level, share / 2));
            last = share;
        }
    }
    let memory = if largest == 0 { MOST_MEMORY / threads } else { (4 * largest).min(MOST_MEMORY) };
    sets.push((Level::Memory, memory));
    sets
}

fn bandwidth(level: Level, bytes: usize, threads: usize, hoped: Option<f64>) -> Bandwidth {
    let reader = Reader::widest();
    let passes = (BYTES_READ / bytes).max(1);
    let runs = if level == Level::Memory { RUNS / 2 } else { RUNS };
    let bytes = bytes.next_multiple_of(size_of::<Line>());
    let gb_per_s = best(hoped, || {
        let time = shortest(threads, runs, || {
            let lines = buffer(bytes);
            move || {
                for _ in 0..passes {
                    black_box(reader.sum(black_box(&lines)));
                }
            }
        });
        (threads * passes * bytes) as f64 / time.as_secs_f64() / 1e9
    });
    Bandwidth { level, bytes, threads, gb_per_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Cache, CacheKind};

    #[test]
    fn a_full_measurement_is_plausible() {
        let roofline = Roofline::measure(&[1, 0, 1], Depth::Full);
        assert_eq!(roofline.peaks.len(), 2 * Isa::available().len());
        assert!(roofline.peaks.iter().all(|peak| peak.gflops.is_finite() && peak.gflops > 0.0), "{roofline:?}");
        assert!(roofline.bandwidths.iter().all(|found| found.gb_per_s.is_finite() && found.gb_per_s > 0.0));
        for scalar in ScalarKind::ALL {
            let rates: Vec<f64> =
                roofline.peaks.iter().filter(|peak| peak.scalar == scalar).map(|peak| peak.gflops).collect();
            // A wider set may be no faster (split units, lower clock), but not half as fast.
            assert!(rates.windows(2).all(|pair| pair[1] > 0.5 * pair[0]), "{rates:?}");
        }
        let (single, double) = (roofline.peak(ScalarKind::F32, 1), roofline.peak(ScalarKind::F64, 1));
        let ratio = single.expect("measured") / double.expect("measured");
        assert!(ratio > 1.0 && ratio < 4.0, "f32 has twice the lanes, found {ratio} times the rate");
        if let Some(near) = roofline.bandwidth(Level::L1, 1) {
            assert!(near > roofline.read_bandwidth(1).expect("measured"), "L1 is slower than memory: {roofline:?}");
        }
    }

    #[test]
    fn a_brief_one_has_what_callers_look_up_and_survives_json() {
        let roofline = Roofline::measure(&[2, 1], Depth::Brief);
        for threads in [1, 2] {
            for scalar in ScalarKind::ALL {
                assert!(roofline.peak(scalar, threads).is_some_and(|rate| rate > 0.0));
            }
            assert!(roofline.read_bandwidth(threads).is_some_and(|rate| rate > 0.0));
        }
        assert_eq!(roofline.peak(ScalarKind::F64, 3), None);
        assert_eq!(roofline.read_bandwidth(3), None);
        let json = serde_json::to_string(&roofline).expect("plain data");
        assert_eq!(serde_json::from_str::<Roofline>(&json).expect("what was written"), roofline);
    }

    #[test]
    fn trials_end_when_the_hope_is_fulfilled_or_in_vain() {
        let rates = [3.0, 1.0, 9.0, 20.0];
        let after = |hoped: Option<f64>| {
            let mut calls = 0;
            let best = best(hoped, || {
                calls += 1;
                rates[(calls - 1) % rates.len()]
            });
            (best, calls)
        };
        assert_eq!(after(None), (3.0, 1));
        assert_eq!(after(Some(8.0)), (9.0, 3));
        assert_eq!(after(Some(100.0)), (20.0, TRIALS));
    }

    #[test]
    fn the_best_set_is_the_peak() {
        let peak = |isa, gflops| Peak { isa, scalar: ScalarKind::F64, threads: 1, gflops };
        let peaks = vec![peak(Isa::Sse2, 10.0), peak(Isa::Avx2, 40.0), peak(Isa::Avx512, 39.0)];
        assert_eq!(Roofline { peaks, bandwidths: Vec::new() }.peak(ScalarKind::F64, 1), Some(40.0));
    }

    fn with_caches(caches: &[(u8, u64, usize)]) -> Facts {
        let cache = |&(level, kib, shared_by): &(u8, u64, usize)| Cache {
            level,
            kind: if level == 1 { CacheKind::Data } else { CacheKind::Unified },
            bytes: kib << 10,
            shared_by,
        };
        Facts { caches: caches.iter().map(cache).collect(), ..Facts::read() }
    }

    #[test]
    fn working_sets_fit_their_level_and_miss_the_one_before() {
        let facts = with_caches(&[(1, 48, 1), (2, 1024, 1), (3, 32 << 10, 8)]);
        let kib =
            |sets: Vec<(Level, usize)>| sets.into_iter().map(|(level, bytes)| (level, bytes >> 10)).collect::<Vec<_>>();
        let alone = kib(working_sets(&facts, 1));
        assert_eq!(alone, [(Level::L1, 24), (Level::L2, 512), (Level::L3, 16 << 10), (Level::Memory, 128 << 10)]);
        // Sixteen threads on two such groups: each has an eighth of an L3.
        let many = kib(working_sets(&facts, 16));
        assert_eq!(many, [(Level::L1, 24), (Level::L2, 512), (Level::L3, 2 << 10), (Level::Memory, 16 << 10)]);
        // An L3 slice hardly larger than L2.
        let victim = with_caches(&[(1, 32, 1), (2, 1024, 1), (3, 22 << 10, 16)]);
        assert_eq!(kib(working_sets(&victim, 16)), [(Level::L1, 16), (Level::L2, 512), (Level::Memory, 5632)]);
        assert_eq!(kib(working_sets(&with_caches(&[]), 2)), [(Level::Memory, 128 << 10)]);
    }
}
