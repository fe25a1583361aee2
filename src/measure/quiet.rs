//! Waiting until nobody else in this process computes.
//!
//! OpenBLAS's workers spin on a whole core for about 100 ms after their last call: whatever is timed next on that core is wrong.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// One look at the process's CPU clock.
const LOOK: Duration = Duration::from_millis(5);
/// A share of a core below which the process counts as quiet: the waking of this thread is in it.
const IDLE_SHARE: f64 = 0.1;

/// Sleeps until this process uses next to no CPU time, at most for `limit`. Answers whether it became quiet.
pub fn wait_until_quiet(limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        let (wall, cpu) = (Instant::now(), cpu_time());
        sleep(LOOK);
        if (cpu_time() - cpu) / wall.elapsed().as_secs_f64() < IDLE_SHARE {
            return true;
        }
    }
    false
}

/// Seconds of CPU time that all threads of this process have used.
pub(crate) fn cpu_time() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    tv_sec as f64 + tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_spinning_thread_is_noticed() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let quiet = wait_until_quiet(Duration::from_millis(60));
            stop.store(true, Ordering::Relaxed);
            assert!(!quiet, "a whole core was spinning");
        });
    }
}
