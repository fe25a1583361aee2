//! Timing the same work on several threads at once.
//!
//! All threads meet at a barrier that spins: one that sleeps would let them start up to 50 us apart. A run lasts from the first
//! start to the last end, so a thread that came late or was interrupted makes the run longer, never shorter.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, yield_now};
use std::time::{Duration, Instant};

/// The shortest of `runs` runs, each on `threads` threads. Every thread makes its own job with `make`, so that its memory is first
/// touched where it is used, and does it once unmeasured: caches, pages and clock speed settle there.
pub fn shortest<J: FnMut()>(threads: usize, runs: usize, make: impl Fn() -> J + Sync) -> Duration {
    let barrier = SpinBarrier { arrived: AtomicUsize::new(0), threads };
    let spans: Vec<Vec<(Instant, Instant)>> = scope(|scope| {
        let work = || {
            let mut job = make();
            job();
            (0..runs)
                .map(|run| {
                    barrier.wait(run);
                    let start = Instant::now();
                    job();
                    (start, Instant::now())
                })
                .collect()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().map(|handle| handle.join().expect("the job does not panic")).collect()
    });
    let span = |run: usize| {
        let start = spans.iter().map(|thread| thread[run].0).min().expect("there is a thread");
        let end = spans.iter().map(|thread| thread[run].1).max().expect("there is a thread");
        end - start
    };
    (0..runs).map(span).min().expect("there is a run")
}

struct SpinBarrier {
    arrived: AtomicUsize,
    threads: usize,
}

impl SpinBarrier {
    /// Waits until every thread has come to meeting number `meeting`, counted from 0.
    fn wait(&self, meeting: usize) {
        let all = (meeting + 1) * self.threads;
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            spins += 1;
            // More threads than cores: the one that is waited for may need this core.
            if spins.is_multiple_of(1 << 12) { yield_now() } else { spin_loop() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_thread_does_every_run_and_none_is_left_behind() {
        let made = AtomicU32::new(0);
        let done = AtomicU32::new(0);
        let time = shortest(3, 4, || {
            made.fetch_add(1, Ordering::Relaxed);
            || {
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!((made.into_inner(), done.into_inner()), (3, 3 * 5));
        assert!(time > Duration::ZERO || cfg!(not(target_os = "linux")));
    }

    #[test]
    fn the_slowest_thread_counts() {
        let turn = AtomicU32::new(0);
        let time = shortest(2, 2, || {
            let slow = turn.fetch_add(1, Ordering::Relaxed) == 0;
            move || std::thread::sleep(Duration::from_millis(if slow { 20 } else { 0 }))
        });
        assert!(time >= Duration::from_millis(20), "{time:?}");
    }
}
