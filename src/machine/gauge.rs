//! The limits of one kind of work, taken again and again beside it: a machine that others use, or that heats up, has other limits from
//! minute to minute.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::buffer::Pages;
use super::most_bytes;
use super::rate::{Multiplying, Reading};
use crate::error::Result;
use crate::scalar::ScalarKind;
use crate::simd::Isa;

/// Ready to take the peak of a scalar type, and the bandwidth of one working set.
pub struct Gauge {
    multiplying: Multiplying,
    reading: Reading,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// 10^9 floating-point operations per second, all threads together.
    pub peak_gflops: f64,
    /// 10^9 bytes per second, all threads together.
    pub gb_per_s: f64,
}

/// A run of the peak takes about this long: shorter than for a roofline, since there are many readings.
const RUN: Duration = Duration::from_micros(250);
/// Of a reading the best of so many runs counts.
const PEAK_RUNS: usize = 8;
const READING_RUNS: usize = 4;

impl Gauge {
    /// Finds out which instruction set and which pages are the fastest here, and keeps to them. A working set that is larger than those of
    /// a [`Roofline`](super::Roofline) is cut down to the largest of these.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where the system has not so much memory, or so many threads.
    pub fn new(scalar: ScalarKind, threads: NonZeroUsize, bytes_per_thread: u64) -> Result<Self> {
        let threads = threads.get();
        let teams = Isa::available().into_iter().filter_map(|isa| Multiplying::new(isa, scalar, threads, RUN));
        let multiplying = fastest(teams, |team| team.gflops(PEAK_RUNS))?;
        let bytes = bytes_per_thread.min(most_bytes(threads)) as usize;
        let small = Reading::new(bytes, threads, Pages::Small)?;
        // Not everywhere are there huge pages.
        let huge = Reading::new(bytes, threads, Pages::Huge).ok();
        let reading = fastest([small].into_iter().chain(huge), |team| team.gb_per_s(READING_RUNS))?;
        Ok(Gauge { multiplying, reading })
    }

    /// Takes both, in a few milliseconds.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where there are not so many threads any more.
    pub fn read(&mut self) -> Result<Limit> {
        Ok(Limit { peak_gflops: self.multiplying.gflops(PEAK_RUNS)?, gb_per_s: self.reading.gb_per_s(READING_RUNS)? })
    }
}

/// The team with the highest rate; of at least one.
fn fastest<T>(teams: impl IntoIterator<Item = T>, rate: impl Fn(&mut T) -> Result<f64>) -> Result<T> {
    let mut best: Option<(f64, T)> = None;
    for mut team in teams {
        let rate = rate(&mut team)?;
        if best.as_ref().is_none_or(|(best, _)| rate > *best) {
            best = Some((rate, team));
        }
    }
    Ok(best.expect("there is a team").1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_has_both_limits_whatever_the_working_set() {
        for (scalar, threads, bytes) in
            [(ScalarKind::F64, 1, 1 << 20), (ScalarKind::F32, 2, 0), (ScalarKind::F32, 1, 100)]
        {
            let threads = NonZeroUsize::new(threads).expect("not zero");
            let mut gauge = Gauge::new(scalar, threads, bytes).expect("memory and threads");
            for _ in 0..2 {
                let Limit { peak_gflops, gb_per_s } = gauge.read().expect("memory and threads");
                assert!(peak_gflops > 0.0 && peak_gflops.is_finite(), "{peak_gflops}");
                assert!(gb_per_s > 0.0 && gb_per_s.is_finite(), "{gb_per_s}");
            }
        }
    }
}
