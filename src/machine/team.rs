//! Timing the same work on several threads at once.
//!
//! All threads meet at a barrier that spins: one that sleeps would let them start up to 50 us apart. A run lasts from the first
//! start to the last end, so a thread that came late or was interrupted makes the run longer, never shorter.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, scope, yield_now};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The shortest of `runs` runs of all jobs at once: the first on this thread, each other one on its own. Every thread does its job
/// once unmeasured: memory that it touches there is near it, and caches, pages and clock speed settle.
///
/// # Errors
/// [`Error::Refused`] where a thread cannot be had.
pub fn shortest<J: FnMut() + Send>(jobs: &mut [J], runs: usize) -> Result<Duration> {
    shortest_on(jobs, runs, &Builder::new)
}

fn shortest_on<J: FnMut() + Send>(jobs: &mut [J], runs: usize, builder: &dyn Fn() -> Builder) -> Result<Duration> {
    let barrier = SpinBarrier { arrived: AtomicUsize::new(0), abandoned: AtomicBool::new(false), threads: jobs.len() };
    let (mine, others) = jobs.split_first_mut().expect("there is a job");
    let work = |job: &mut J| -> Vec<(Instant, Instant)> {
        job();
        (0..runs)
            .map_while(|run| {
                barrier.wait(run).then(|| {
                    let start = Instant::now();
                    job();
                    (start, Instant::now())
                })
            })
            .collect()
    };
    let spans: Vec<Vec<(Instant, Instant)>> = scope(|scope| {
        let mut handles = Vec::new();
        for job in others {
            match builder().spawn_scoped(scope, || work(job)) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    barrier.abandon();
                    return Err(Error::Refused { what: "a thread".into(), reason: error.to_string() });
                }
            }
        }
        let mine = work(mine);
        let others = handles.into_iter().map(|handle| handle.join().expect("the job does not panic"));
        Ok(std::iter::once(mine).chain(others).collect())
    })?;
    let span = |run: usize| {
        let start = spans.iter().map(|thread| thread[run].0).min().expect("there is a thread");
        let end = spans.iter().map(|thread| thread[run].1).max().expect("there is a thread");
        end - start
    };
    Ok((0..runs).map(span).min().expect("there is a run"))
}

struct SpinBarrier {
    arrived: AtomicUsize,
    /// Set where a thread is missing for good: the others must not wait for it.
    abandoned: AtomicBool,
    threads: usize,
}

impl SpinBarrier {
    /// Waits until every thread has come to meeting number `meeting`, counted from 0. Answers whether they have.
    fn wait(&self, meeting: usize) -> bool {
        let all = (meeting + 1) * self.threads;
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            if self.abandoned.load(Ordering::Relaxed) {
                return false;
            }
            spins += 1;
            // More threads than cores: the one that is waited for may need this core.
            if spins.is_multiple_of(1 << 12) { yield_now() } else { spin_loop() }
        }
        true
    }

    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_thread_does_every_run_and_none_is_left_behind() {
        let mut done = [0; 3];
        let mut jobs: Vec<_> = done.iter_mut().map(|done| move || *done += 1).collect();
        shortest(&mut jobs, 4).expect("there are threads");
        assert_eq!(done, [5; 3]);
    }

    #[test]
    fn the_slowest_thread_counts() {
        let mut jobs = [20, 0].map(|ms| move || std::thread::sleep(Duration::from_millis(ms)));
        let time = shortest(&mut jobs, 2).expect("there are threads");
        assert!(time >= Duration::from_millis(20), "{time:?}");
    }

    #[test]
    fn a_thread_that_the_system_refuses_is_an_error_and_nobody_waits_for_it() {
        let done = AtomicU32::new(0);
        let job = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        let threads = Cell::new(0);
        // No system has memory for the second one's stack.
        let builder = || {
            threads.set(threads.get() + 1);
            if threads.get() == 1 { Builder::new() } else { Builder::new().stack_size(isize::MAX as usize / 2) }
        };
        let error = shortest_on(&mut [job; 4], 3, &builder).expect_err("the second thread has no stack").to_string();
        assert!(error.contains("refuses a thread"), "{error}");
        assert!(done.into_inner() <= 1, "only the unmeasured run of the first");
    }
}
