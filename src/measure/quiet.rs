//! Waiting until nobody else in this process computes.
//!
//! OpenBLAS's workers spin on a whole core for about 100 ms after their last call: whatever is timed next on that core is wrong.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// How long to wait for a library's threads to fall silent: OpenBLAS's spin for about 100 ms.
pub const QUIET_LIMIT: Duration = Duration::from_millis(500);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// Looks in a row that must find nobody: a thread may just be between two of its waits.
const LOOKS: u32 = 3;
/// A share of a core below which the process counts as quiet where its threads cannot be looked at: the waking of this thread is
/// in it.
const IDLE_SHARE: f64 = 0.1;

/// Sleeps until no other thread of this process computes, at most for `limit`. Answers whether it became quiet.
pub fn wait_until_quiet(limit: Duration) -> bool {
    let start = Instant::now();
    let mut idle = 0;
    while start.elapsed() < limit {
        let (wall, cpu) = (Instant::now(), cpu_time());
        sleep(LOOK);
        let busy =
            others_want_to_run().unwrap_or_else(|| (cpu_time() - cpu) / wall.elapsed().as_secs_f64() >= IDLE_SHARE);
        idle = if busy { 0 } else { idle + 1 };
        if idle == LOOKS {
            return true;
        }
    }
    false
}

/// Whether another thread of this process runs or waits for a core. Unlike its CPU time that does not depend on what other
/// processes leave it. `None` where the system does not say (it is Linux's /proc that does).
fn others_want_to_run() -> Option<bool> {
    let this = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut others = std::fs::read_dir("/proc/self/task").ok()?.flatten().filter(|task| *task.file_name() != *this);
    // The state comes after the name, which is in brackets and may hold any character. A thread that ended meanwhile has none.
    let state = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    };
    Some(others.any(|task| state(task) == Some('R')))
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
