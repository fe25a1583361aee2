//! Showing a training run while it runs: a bar on a terminal, plain lines elsewhere. Also takes the time of each step.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cmd::tell;

pub(super) struct Progress {
    bar: ProgressBar,
    /// Iterations between plain lines; none on a terminal.
    line_every: Option<usize>,
    /// Seconds of each step.
    pub step_times: Vec<f64>,
    last: Instant,
    shown: Instant,
}

impl Progress {
    pub fn new(done: usize, planned: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(planned as u64) } else { ProgressBar::hidden() };
        let style =
            ProgressStyle::with_template("{bar:40} {pos}/{len}  cost {msg}  {eta} left").expect("a valid template");
        Progress {
            bar: bar.with_style(style).with_position(done as u64),
            line_every: (!terminal).then(|| (planned / 25).max(1)),
            step_times: Vec::with_capacity((planned - done).min(1 << 20)),
            last: Instant::now(),
            shown: Instant::now(),
        }
    }

    pub fn step(&mut self, iteration: usize, cost: f64) {
        let now = Instant::now();
        self.step_times.push((now - self.last).as_secs_f64());
        match self.line_every {
            Some(every) if iteration.is_multiple_of(every) => tell!("iteration {iteration:>6}  cost {cost:.6}"),
            None if self.shown.elapsed() > Duration::from_millis(50) => {
                self.bar.set_position(iteration as u64 + 1);
                self.bar.set_message(format!("{cost:.6}"));
                self.shown = now;
            }
            _ => {}
        }
        self.resume_clock();
    }

    /// What was done since the last step is not part of the next one's time.
    pub fn resume_clock(&mut self) {
        self.last = Instant::now();
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
