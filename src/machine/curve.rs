//! The rate of reading by working set. Where data lives is for the rate to show: a level's reported size decides nothing, since virtual
//! machines report caches that they do not give.

use serde::{Deserialize, Serialize};

use super::buffer::Pages;
use super::rate::Reading;
use super::{Depth, Facts};
use crate::error::Result;

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The working set of each thread, in bytes.
    pub bytes: u64,
    /// The number of threads that read at once, each its own memory.
    pub threads: usize,
    /// The pages that it was asked for with: those with the higher rate.
    pub pages: Pages,
    /// 10^9 bytes per second, all threads together.
    pub gb_per_s: f64,
}

/// The working sets of all threads together end here.
const MOST: u64 = 256 << 20;
/// But not those of each thread: on many cores none would leave its second level else.
const MOST_OF_A_THREAD: u64 = 8 << 20;
/// Half of the second level where it is not known. It decides where the curve begins, and no more than that.
const UNKNOWN_START: u64 = 512 << 10;

/// The largest working set of each of so many threads.
pub fn most_bytes(threads: usize) -> u64 {
    (MOST / threads as u64).max(MOST_OF_A_THREAD)
}

/// The working sets of each of so many threads: powers of two, the smallest first.
pub fn working_sets(facts: &Facts, threads: usize, depth: Depth) -> Vec<u64> {
    let most = most_bytes(threads);
    let start = facts.data_cache(2).map_or(UNKNOWN_START, |cache| cache.bytes / 2).clamp(64 << 10, most / 2);
    let all =
        std::iter::successors(Some(1 << start.ilog2()), |bytes| Some(2 * bytes)).take_while(|&bytes| bytes <= most);
    let all: Vec<u64> = all.collect();
    let stride = match depth {
        Depth::Full => 1,
        Depth::Brief => 3,
    };
    // The end, whatever the stride.
    let kept = |&(index, _): &(usize, &u64)| index.is_multiple_of(stride) || index + 1 == all.len();
    all.iter().enumerate().filter(kept).map(|(_, &bytes)| bytes).collect()
}

/// Bytes that a thread reads of each working set on each kind of page, about.
const READ: usize = 384 << 20;
/// A rate is the best of at least so many runs.
const FEWEST_RUNS: usize = 4;

/// Measures a point.
///
/// # Errors
/// [`Error::Refused`](crate::Error::Refused) where the system has not so much memory, or so many threads.
pub fn point(bytes: u64, threads: usize) -> Result<Point> {
    let rate = |pages: Pages| {
        let mut reading = Reading::new(bytes as usize, threads, pages)?;
        reading.gb_per_s((READ / reading.bytes_of_a_run()).max(FEWEST_RUNS))
    };
    let (small, huge) = (rate(Pages::Small)?, rate(Pages::Huge));
    // Not everywhere are there huge pages.
    Ok(match huge {
        Ok(huge) if huge > small => Point { bytes, threads, pages: Pages::Huge, gb_per_s: huge },
        _ => Point { bytes, threads, pages: Pages::Small, gb_per_s: small },
    })
}

/// The rate in GB/s of reading `bytes` over and over on each of so many threads: between two points of the curve by the logarithms of
/// bytes and rate, outside it that of its end. None where nothing was measured on so many threads.
pub fn at(points: &[Point], bytes: u64, threads: usize) -> Option<f64> {
    let good = |point: &&Point| point.threads == threads && point.bytes > 0 && point.gb_per_s > 0.0;
    let mut points: Vec<&Point> = points.iter().filter(good).collect();
    points.sort_by_key(|point| point.bytes);
    let above = points.partition_point(|point| point.bytes <= bytes);
    let (below, above) = match above {
        0 => return points.first().map(|point| point.gb_per_s),
        above => (points[above - 1], points.get(above)),
    };
    let Some(above) = above else { return Some(below.gb_per_s) };
    let share = (bytes as f64 / below.bytes as f64).ln() / (above.bytes as f64 / below.bytes as f64).ln();
    Some(below.gb_per_s * (above.gb_per_s / below.gb_per_s).powf(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Cache, CacheKind};

    fn with_caches(caches: &[(u8, u64)]) -> Facts {
        let cache = |&(level, bytes): &(u8, u64)| Cache { level, kind: CacheKind::Unified, bytes, shared_by: 2 };
        Facts { caches: caches.iter().map(cache).collect(), ..Facts::read() }
    }

    #[test]
    fn working_sets_go_from_half_of_the_second_level_to_the_end_in_factors_of_two() {
        let mib = |sets: Vec<u64>| sets.into_iter().map(|bytes| bytes as f64 / f64::from(1 << 20)).collect::<Vec<_>>();
        let facts = with_caches(&[(1, 48 << 10), (2, 2 << 20)]);
        let sets = |threads| mib(working_sets(&facts, threads, Depth::Full));
        assert_eq!(sets(1), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]);
        assert_eq!(sets(2), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
        assert_eq!(sets(3), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        // On very many cores each thread leaves its second level all the same.
        assert_eq!(sets(256), [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(mib(working_sets(&facts, 1, Depth::Brief)), [1.0, 8.0, 64.0, 256.0]);
        assert_eq!(mib(working_sets(&with_caches(&[]), 8, Depth::Full)), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
        // A size that is no power of two, and what nobody builds.
        assert_eq!(mib(working_sets(&with_caches(&[(2, 1280 << 10)]), 32, Depth::Full)), [0.5, 1.0, 2.0, 4.0, 8.0]);
        for bytes in [1, u64::MAX] {
            let sets = working_sets(&with_caches(&[(2, bytes)]), 1, Depth::Brief);
            assert!(sets.len() > 1 && sets.last() == Some(&(256 << 20)), "{bytes}: {sets:?}");
        }
    }

    #[test]
    fn a_third_level_of_any_size_changes_nothing() {
        let sets = |facts: &Facts| working_sets(facts, 2, Depth::Full);
        let without = with_caches(&[(1, 48 << 10), (2, 2 << 20)]);
        for third in [3 << 20, 480 << 20, 1 << 40] {
            assert_eq!(sets(&with_caches(&[(1, 48 << 10), (2, 2 << 20), (3, third)])), sets(&without));
        }
    }

    #[test]
    fn between_two_points_the_rate_is_interpolated_and_outside_it_is_the_ends() {
        let point = |bytes, threads, gb_per_s| Point { bytes, threads, pages: Pages::Small, gb_per_s };
        // In no order; one that a person has spoilt; one of other threads.
        let points = [point(400, 1, 5.0), point(100, 1, 20.0), point(200, 1, 0.0), point(150, 2, 1000.0)];
        assert_eq!([0, 1, 100].map(|bytes| at(&points, bytes, 1)), [Some(20.0); 3]);
        assert_eq!([400, 401, u64::MAX].map(|bytes| at(&points, bytes, 1)), [Some(5.0); 3]);
        // Half of the way from 100 to 400 is 200, and from 20 to 5 it is 10.
        approx::assert_relative_eq!(at(&points, 200, 1).expect("within"), 10.0, max_relative = 1e-12);
        assert_eq!(at(&points, 7, 2), Some(1000.0));
        assert_eq!(at(&points, 200, 3), None);
        assert_eq!(at(&[], 200, 1), None);
        let twice = [point(100, 1, 20.0), point(100, 1, 10.0)];
        assert!(at(&twice, 100, 1).is_some_and(f64::is_finite));
    }
}
