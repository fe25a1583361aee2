//! The gauges of a group, seen from the parent: for each limit that its cells are held against a parked child that reads it once a round.
//! One that fails costs the group that limit, and no cell anything.

use super::cell::Cell;
use super::process::Child;
use super::protocol::{Failure, GaugeTask, Reply, Request};
use super::record::Limits;
use super::settings::Settings;
use crate::machine::cores;

/// A child and what it has read.
pub(super) struct Gauge {
    limits: Limits,
    /// The child, or why there is none any more.
    child: Result<Child, Failure>,
}

impl Gauge {
    /// One for each limit that the cells need. More threads than cores have no limits of their own.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a Cell>, settings: &Settings) -> Vec<Gauge> {
        let cores = cores();
        let mut tasks: Vec<(&Cell, GaugeTask)> = Vec::new();
        for cell in cells.filter(|cell| cell.threads <= cores) {
            let task = GaugeTask {
                scalar: cell.scalar,
                threads: cell.threads,
                bytes_per_thread: cell.bytes_per_thread(settings.flush_bytes.is_some()),
            };
            if tasks.iter().all(|(_, known)| *known != task) {
                tasks.push((cell, task));
            }
        }
        tasks.into_iter().map(|(cell, task)| Gauge::start(cell, task, settings)).collect()
    }

    fn start(cell: &Cell, task: GaugeTask, settings: &Settings) -> Gauge {
        let GaugeTask { scalar, threads, bytes_per_thread } = task;
        let child = Child::start(&settings.program, cell, settings.timeout).and_then(|(mut child, _)| {
            match child.ask(&Request::Gauge(task), "the preparation of a gauge", settings.timeout)? {
                Reply::GaugeReady => Ok(child),
                other => Err(other.unexpected()),
            }
        });
        let limits = Limits { scalar, threads, bytes_per_thread, peak_gflops: Vec::new(), gb_per_s: Vec::new() };
        Gauge { limits, child }
    }

    /// Reads the limit, once a round.
    pub(super) fn read(&mut self, settings: &Settings) {
        let Ok(child) = &mut self.child else { return };
        match child.ask(&Request::Read, "the reading of a gauge", settings.timeout) {
            Ok(Reply::Gauged(limit)) => {
                self.limits.peak_gflops.push(limit.peak_gflops);
                self.limits.gb_per_s.push(limit.gb_per_s);
            }
            Ok(other) => self.child = Err(other.unexpected()),
            Err(failure) => self.child = Err(failure),
        }
    }

    /// Drops what was read after so many rounds.
    pub(super) fn forget_after(&mut self, rounds: usize) {
        self.limits.peak_gflops.truncate(rounds);
        self.limits.gb_per_s.truncate(rounds);
    }

    /// What it read, one value a round; or why it did not.
    pub(super) fn finish(self) -> Result<Limits, Failure> {
        self.child.map(|_| self.limits)
    }
}
