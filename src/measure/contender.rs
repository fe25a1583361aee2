//! A measured child as the parent sees it: its samples, what it says that they gave, and what becomes of it in the record.

use std::rc::Rc;
use std::time::Duration;

use ndarray::Array2;

use super::cell::Cell;
use super::clocks::{self, Times};
use super::process::Child;
use super::protocol::{Failure, Passes, Prepared, Reply, Request};
use super::record::{Child as ChildKind, Measured, Outcome};
use super::replay::Replay;
use super::sampling::{Shown, digest, go, rest};
use super::truth;

/// So often the parent looks further where every sample seems to have taken longer than the child states. On a machine with several times
/// more work than cores one request in ten meets no delay: that none of so many does has a probability of 0.5%, beside all rounds before.
const FURTHER_LOOKS: usize = 50;

/// A child and what is known of it.
pub(super) struct Contender<'a> {
    pub cell: &'a Cell,
    pub kind: ChildKind,
    /// At its layers and batch, as it was verified.
    error_over_bound: f64,
    pub start: Duration,
    pub prepared: Prepared,
    /// Passes of a sample.
    pub passes: u64,
    pub samples: Vec<Sample>,
    /// What must come out.
    pub replay: Option<Rc<Replay>>,
    /// Of the first round that was drawn.
    digest: Option<String>,
    /// Results that are looked into.
    shown: Vec<Shown>,
    /// The child, or why there is none any more.
    pub child: Result<Child, Failure>,
}

/// One sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    times: Times,
    quiet: bool,
}

impl<'a> Contender<'a> {
    pub fn new(
        cell: &'a Cell,
        kind: ChildKind,
        error_over_bound: f64,
        start: Duration,
        prepared: Prepared,
        child: Child,
    ) -> Self {
        let passes = prepared.repeats;
        let (samples, replay, digest, shown) = (Vec::new(), None, None, Vec::new());
        Contender {
            cell,
            kind,
            error_over_bound,
            start,
            prepared,
            passes,
            samples,
            replay,
            digest,
            shown,
            child: Ok(child),
        }
    }

    /// Nanoseconds of a pass in each round, as the child states them.
    pub fn times(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.times.stated as f64 / self.passes as f64).collect()
    }

    /// Takes the sample of a round; `seed` is the round's.
    pub fn sample(&mut self, round: usize, seed: u64, timeout: Duration, is_over: impl Fn() -> bool) {
        let Ok(child) = &mut self.child else { return };
        let passes = Passes { seed, count: self.passes };
        let outcome = go(child, passes, timeout, is_over).and_then(|times| {
            if let Some(expected) = self.replay.as_ref().and_then(|replay| replay.digest_of(round)) {
                let digest = digest(child, timeout)?;
                let is_replayed = digest == expected;
                // What both give may be wrong in both: once a truth that costs little is asked for in any case.
                if !is_replayed || self.digest.is_none() && truth::is_cheap(self.cell) {
                    let parts = truth::parts(self.cell, passes);
                    let numbers = child.show(&parts, timeout)?;
                    self.shown.push(Shown { passes, is_replayed, parts, numbers });
                }
                self.digest.get_or_insert(digest);
            }
            Ok(Sample { times, quiet: rest(child, timeout)? })
        });
        match outcome {
            Ok(sample) => self.samples.push(sample),
            Err(failure) => self.child = Err(failure),
        }
    }

    /// The last answer, after the last round. `replayed` has the parts of a sample shown by a child that is not timed.
    pub fn finish(
        mut self,
        timeout: Duration,
        replayed: impl Fn(&Shown) -> Result<Vec<Array2<f64>>, Failure>,
    ) -> Outcome {
        let judged = self.judge(timeout, replayed);
        let Contender { error_over_bound, start, prepared, passes, samples, child, digest, .. } = self;
        let last = judged.and(child).and_then(|mut child| child.ask(&Request::Finish, "its end", timeout));
        let peak_memory_bytes = match last {
            Ok(Reply::Finished { peak_memory_bytes }) => peak_memory_bytes,
            Ok(other) => return Outcome::Failed(other.unexpected()),
            Err(failure) => return Outcome::Failed(failure),
        };
        let Prepared { library, threads_got, data_sha256, open_ns, plan_ns, first_ns, repeats: _ } = prepared;
        Outcome::Measured(Measured {
            library,
            threads_got,
            data_sha256,
            start_ns: u64::try_from(start.as_nanos()).unwrap_or(u64::MAX),
            open_ns,
            plan_ns,
            first_ns,
            peak_memory_bytes,
            repeats: passes,
            wall_ns: samples.iter().map(|sample| sample.times.stated).collect(),
            cpu_ns: samples.iter().map(|sample| sample.times.cpu).collect(),
            restless: samples.iter().map(|sample| u32::from(!sample.quiet)).sum(),
            digest,
            error_over_bound: Some(error_over_bound),
        })
    }

    /// Whether times and results can be true.
    fn judge(
        &mut self,
        timeout: Duration,
        replayed: impl Fn(&Shown) -> Result<Vec<Array2<f64>>, Failure>,
    ) -> Result<(), Failure> {
        let Ok(child) = &mut self.child else { return Ok(()) };
        for shown in &self.shown {
            truth::hold(self.cell, shown, || replayed(shown))?;
        }
        let times: Vec<Times> = self.samples.iter().map(|sample| sample.times).collect();
        let mut all = times.clone();
        for seed in 0..FURTHER_LOOKS as u64 {
            if !clocks::states_too_little(&all) {
                break;
            }
            all.push(go(child, Passes { seed, count: self.passes }, timeout, || false)?);
            rest(child, timeout)?;
        }
        clocks::judge(&times, &all[times.len()..], self.cell.threads.get())
    }
}
