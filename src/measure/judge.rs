//! What must be right before anything is timed: a backend under the quick suite, and at the very layers of a workload.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::Cell;
use super::protocol::{Cause, Failure};
use crate::backend::{Entry, Registry};
use crate::child::in_force;
use crate::error::Error;
use crate::layer::{Backend, LayerSpec};
use crate::remote::Remote;
use crate::scalar::{Scalar, ScalarKind};
use crate::verify::cases::Depth;
use crate::verify::{Lost, Outcome, Status, Suite, Venue};
use crate::workload::Workload;

/// Says whether what a cell times is right.
pub trait Judge: fmt::Debug + Send + Sync {
    /// The largest error over its bound at the cell's layers and batch.
    ///
    /// # Errors
    /// What was found to be wrong, or why it cannot be known.
    fn judge(&self, cell: &Cell) -> Result<f64, Failure>;
}

/// Runs checks of [`verify`](crate::verify) in children that are never timed, each once.
#[derive(Debug)]
pub struct Suites {
    entries: Vec<Entry>,
    venue: Venue,
    /// Set from outside to end the judging after the check that is being run.
    stop: Arc<AtomicBool>,
    /// Backends, each in a scalar type on so many threads, under the quick suite.
    backends: Mutex<Vec<(Subject, Result<(), Failure>)>>,
    /// The same at the layers of a workload.
    workloads: Mutex<Vec<AtWorkload>>,
}

/// A verdict on what computes, at the layers of a workload.
type AtWorkload = (Subject, Workload, Result<f64, Failure>);

/// What computes.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    backend: String,
    scalar: ScalarKind,
    threads: NonZeroUsize,
}

impl Suites {
    /// For the backends of `registry`.
    pub fn new(registry: &Registry, venue: Venue, stop: Arc<AtomicBool>) -> Self {
        let (backends, workloads) = (Mutex::default(), Mutex::default());
        Suites { entries: registry.entries().to_vec(), venue, stop, backends, workloads }
    }

    /// Notes that the quick suite was passed by a backend elsewhere.
    pub fn know(&self, backend: &str, scalar: ScalarKind, threads: NonZeroUsize) {
        let subject = Subject { backend: backend.into(), scalar, threads };
        self.backends.lock().unwrap_or_else(PoisonError::into_inner).push((subject, Ok(())));
    }

    fn entry(&self, subject: &Subject) -> Result<&Entry, Failure> {
        let missing =
            || Failure { cause: Cause::Error, message: format!("no backend is called `{}`", subject.backend) };
        self.entries.iter().find(|entry| entry.name() == subject.backend).ok_or_else(missing)
    }

    fn backend(&self, subject: &Subject) -> Result<(), Failure> {
        let known = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verdict)) = known.iter().find(|(known, _)| known == subject) {
            return verdict.clone();
        }
        drop(known);
        let verdict = self.quick_suite(subject);
        self.backends.lock().unwrap_or_else(PoisonError::into_inner).push((subject.clone(), verdict.clone()));
        verdict
    }

    fn quick_suite(&self, subject: &Subject) -> Result<(), Failure> {
        let Subject { scalar, threads, .. } = *subject;
        let entry = self.entry(subject)?;
        // What cannot run at all, for want of memory or threads, is not wrong.
        match scalar {
            ScalarKind::F32 => self.open::<f32>(entry, threads)?,
            ScalarKind::F64 => self.open::<f64>(entry, threads)?,
        }
        let mut outcomes = Vec::new();
        let suite = Suite { threads: vec![threads], stop: Some(Arc::clone(&self.stop)), ..Suite::new(Depth::Quick) };
        suite.run(&self.venue, entry, scalar, &mut |outcome| {
            // Checks that do not apply to the backend.
            if outcome.tier.is_none() || !matches!(outcome.status, Status::Skipped(_)) {
                outcomes.push(outcome);
            }
        });
        self.all_passed(&outcomes).map(drop)
    }

    fn open<T: Scalar>(&self, entry: &Entry, threads: NonZeroUsize) -> Result<(), Failure> {
        let opened = match &self.venue {
            Venue::Children { program, limit } => Remote::<T>::new(program, entry, *limit).open(threads),
            Venue::ThisProcess => entry.open::<T>(threads),
        };
        opened.map(drop).map_err(|error| {
            let cause = match &error {
                Error::Lost { late: true, .. } => Cause::Timeout,
                Error::Lost { .. } => Cause::Crash,
                _ => Cause::Error,
            };
            Failure { cause, message: error.to_string() }
        })
    }

    fn workload(&self, subject: &Subject, workload: &Workload) -> Result<f64, Failure> {
        let is_it = |(known, at, _): &&AtWorkload| known == subject && at == workload;
        let known = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., verdict)) = known.iter().find(is_it) {
            return verdict.clone();
        }
        drop(known);
        let verdict = has_memory_for(workload).and_then(|()| self.entry(subject)).and_then(|entry| {
            let suite = Suite {
                checks: ["t0_workload", "t1_workload"].map(String::from).to_vec(),
                threads: vec![subject.threads],
                workloads: vec![workload.clone()],
                stop: Some(Arc::clone(&self.stop)),
                fixtures: Vec::new(),
                ..Suite::new(Depth::Normal)
            };
            let mut outcomes = Vec::new();
            suite.run(&self.venue, entry, subject.scalar, &mut |outcome| outcomes.push(outcome));
            self.all_passed(&outcomes)
        });
        let made = (subject.clone(), workload.clone(), verdict.clone());
        self.workloads.lock().unwrap_or_else(PoisonError::into_inner).push(made);
        verdict
    }

    /// The largest error over its bound, where nothing is wrong and something was found right.
    fn all_passed(&self, outcomes: &[Outcome]) -> Result<f64, Failure> {
        let failure = |outcome: &Outcome| Failure {
            cause: match outcome.lost {
                Some(Lost::Late) => Cause::Timeout,
                Some(Lost::Ended) => Cause::Crash,
                None => Cause::Verification,
            },
            message: format!("{} {} in {}: {}", outcome.status, outcome.check, outcome.scalar, outcome.detail()),
        };
        if let Some(outcome) = outcomes.iter().find(|outcome| outcome.status != Status::Passed) {
            return Err(failure(outcome));
        }
        if outcomes.is_empty() {
            return Err(Failure { cause: Cause::Verification, message: "no check was run on it".into() });
        }
        Ok(outcomes.iter().map(Outcome::worst_ratio).fold(0.0, f64::max))
    }
}

/// Checks hold each matrix of a layer several times over: as integers, in the scalar type, as it is laid out for the child, as it came back.
fn has_memory_for(workload: &Workload) -> Result<(), Failure> {
    const BYTES: usize = 100;
    let elements = |index| {
        let LayerSpec { inputs, outputs, batch, .. } = workload.architecture.layer(index, workload.batch);
        [(outputs, inputs), (inputs, batch), (outputs, batch)]
            .into_iter()
            .fold(0_usize, |sum, (a, b)| sum.saturating_add(a.saturating_mul(b)))
    };
    let most = (0..workload.architecture.layers()).map(elements).max().unwrap_or(0).saturating_mul(BYTES);
    let is_there = available_bytes().is_none_or(|available| most as u64 <= available);
    if is_there && Vec::<u8>::new().try_reserve_exact(most).is_ok() {
        return Ok(());
    }
    let limits = in_force();
    let limits = if limits.is_empty() { String::new() } else { format!(" (limits here: {})", limits.join(", ")) };
    let message = format!(
        "its largest layer cannot be verified, and what is not is not measured: that takes {} MB of memory, and there is less{limits}",
        most / 1_000_000
    );
    Err(Failure { cause: Cause::Error, message })
}

/// What Linux says can be had without pushing others out.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

impl Judge for Suites {
    fn judge(&self, cell: &Cell) -> Result<f64, Failure> {
        let Cell { backend, scalar, threads, workload, .. } = cell;
        let subject = Subject { backend: backend.clone(), scalar: *scalar, threads: *threads };
        self.backend(&subject)?;
        self.workload(&subject, workload)
    }
}
