//! A time limit that stands still while this process is stopped (Ctrl-Z, `kill -STOP`, a paused container): a child that was stopped
//! with it had no time to answer.

use std::time::{Duration, Instant};

/// The longest single wait. Long enough that nobody who is timed feels the waking.
const SLICE: Duration = Duration::from_millis(250);
/// A wait that took so much longer than it should was no wait: this process did not run.
const STOPPED: Duration = Duration::from_secs(1);

/// How long to go on waiting.
pub(crate) struct Patience {
    /// None for ever.
    left: Option<Duration>,
    stopped: bool,
}

impl Patience {
    pub fn of(limit: Duration) -> Self {
        Patience { left: Some(limit), stopped: false }
    }

    pub fn endless() -> Self {
        Patience { left: None, stopped: false }
    }

    /// How long the next single wait may take; none when there is no time left.
    pub fn slice(&self) -> Option<Duration> {
        match self.left {
            Some(Duration::ZERO) => None,
            Some(left) => Some(left.min(SLICE)),
            None => Some(SLICE),
        }
    }

    /// Counts a single wait of at most `slice` that began at `start`.
    pub fn count(&mut self, start: Instant, slice: Duration) {
        self.count_elapsed(start.elapsed(), slice);
    }

    fn count_elapsed(&mut self, elapsed: Duration, slice: Duration) {
        let stopped = elapsed > slice + STOPPED;
        self.stopped |= stopped;
        let counted = if stopped { slice } else { elapsed };
        self.left = self.left.map(|left| left.saturating_sub(counted));
    }

    /// Whether this process was stopped meanwhile: a time that a child took then is none.
    pub fn was_stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_and_stands_still_while_stopped() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::of(second);
        assert_eq!(patience.slice(), Some(SLICE));
        patience.count_elapsed(Duration::from_millis(300), SLICE);
        assert!(!patience.was_stopped());
        patience.count_elapsed(Duration::from_secs(3600), SLICE);
        assert!(patience.was_stopped());
        assert_eq!(patience.slice(), Some(SLICE), "700 ms less one slice are left");
        patience.count_elapsed(Duration::from_millis(300), SLICE);
        patience.count_elapsed(Duration::from_millis(150), Duration::from_millis(150));
        assert_eq!(patience.slice(), None);

        let mut endless = Patience::endless();
        endless.count_elapsed(SLICE, SLICE);
        assert_eq!(endless.slice(), Some(SLICE));
    }
}
