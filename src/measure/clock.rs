//! The clock that passes are timed with: the system's own, asked without the C library. A backend, or a library that it brings, may define
//! `clock_gettime` for the whole program, and what it makes of time is not what it is judged by.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A moment from which time is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Duration);

impl Clock {
    /// Now.
    #[inline]
    pub fn start() -> Self {
        Clock(now())
    }

    /// Since then.
    #[inline]
    pub fn elapsed(self) -> Duration {
        now().saturating_sub(self.0)
    }
}

#[inline]
fn now() -> Duration {
    // Linux: through the kernel's own page (vDSO), whatever symbols there are. Since the system started, so never negative.
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    Duration::new(tv_sec as u64, tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_other_clocks_show() {
        let (other, clock) = (std::time::Instant::now(), Clock::start());
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = clock.elapsed();
        assert!(elapsed >= Duration::from_millis(5) && elapsed <= other.elapsed(), "{elapsed:?}");
    }
}
