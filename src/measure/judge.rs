//! What must be right before anything is timed: a backend under the quick suite, and at the very layers of a workload.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::cell::Cell;
use super::protocol::{Cause, Failure};
use crate::backend::{Entry, Registry};
use crate::child::limits_here;
use crate::layer::{Backend, LayerSpec};
use crate::machine::bytes_of;
use crate::panics::locked;
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
    backends: Known<Subject, ()>,
    /// The same at the layers of a workload.
    workloads: Known<(Subject, Workload), f64>,
}

/// Verdicts, so that each is found once.
type Known<K, V> = Mutex<Vec<(K, Result<V, Failure>)>>;

/// The verdict on `key`: the one that is known, or the one that `find` finds.
fn once<K: PartialEq, V: Clone>(
    known: &Known<K, V>,
    key: K,
    find: impl FnOnce(&K) -> Result<V, Failure>,
) -> Result<V, Failure> {
    if let Some((_, verdict)) = locked(known).iter().find(|(known, _)| *known == key) {
        return verdict.clone();
    }
    let verdict = find(&key);
    locked(known).push((key, verdict.clone()));
    verdict
}

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
        locked(&self.backends).push((subject, Ok(())));
    }

    fn entry(&self, subject: &Subject) -> Result<&Entry, Failure> {
        let missing =
            || Failure { cause: Cause::Error, message: format!("no backend is called `{}`", subject.backend) };
        self.entries.iter().find(|entry| entry.name() == subject.backend).ok_or_else(missing)
    }

    fn quick_suite(&self, subject: &Subject) -> Result<(), Failure> {
        let Subject { scalar, threads, .. } = *subject;
        let entry = self.entry(subject)?;
        // What cannot run at all, for want of memory or threads, is not wrong.
        match scalar {
            ScalarKind::F32 => self.open::<f32>(entry, threads)?,
            ScalarKind::F64 => self.open::<f64>(entry, threads)?,
        }
        let suite = Suite { threads: vec![threads], stop: Some(Arc::clone(&self.stop)), ..Suite::new(Depth::Quick) };
        self.all_passed(&suite, subject, |outcome| !outcome.does_not_apply()).map(drop)
    }

    fn open<T: Scalar>(&self, entry: &Entry, threads: NonZeroUsize) -> Result<(), Failure> {
        let opened = match &self.venue {
            Venue::Children { program, limit } => Remote::<T>::new(program, entry, *limit).open(threads),
            Venue::ThisProcess => entry.open::<T>(threads),
        };
        opened.map(drop).map_err(|error| Failure {
            cause: Lost::of(&error).map_or(Cause::Error, Cause::from),
            message: error.to_string(),
        })
    }

    fn workload(&self, subject: &Subject, workload: &Workload) -> Result<f64, Failure> {
        has_memory_for(workload)?;
        let suite = Suite {
            checks: ["t0_workload", "t1_workload"].map(String::from).to_vec(),
            threads: vec![subject.threads],
            workloads: vec![workload.clone()],
            stop: Some(Arc::clone(&self.stop)),
            fixtures: Vec::new(),
            ..Suite::new(Depth::Normal)
        };
        self.all_passed(&suite, subject, |_| true)
    }

    /// The largest error over its bound in a suite, where nothing that counts is wrong and something was found right.
    fn all_passed(&self, suite: &Suite, subject: &Subject, counts: fn(&Outcome) -> bool) -> Result<f64, Failure> {
        let (mut largest, mut failure) = (None, None);
        suite.run(&self.venue, self.entry(subject)?, subject.scalar, &mut |outcome| {
            if outcome.status == Status::Passed {
                largest = Some(outcome.worst_ratio().max(largest.unwrap_or(0.0)));
            } else if failure.is_none() && counts(&outcome) {
                let cause = outcome.lost.map_or(Cause::Verification, Cause::from);
                let Outcome { status, check, scalar, .. } = &outcome;
                failure =
                    Some(Failure { cause, message: format!("{status} {check} in {scalar}: {}", outcome.detail()) });
            }
        });
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure { cause: Cause::Error, message: "the run was stopped".into() });
        }
        let nothing = || Failure { cause: Cause::Verification, message: "no check was run on it".into() };
        failure.map_or_else(|| largest.ok_or_else(nothing), Err)
    }
}

impl From<Lost> for Cause {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Ended => Cause::Crash,
            Lost::Late => Cause::Timeout,
        }
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
    let message = format!(
        "its largest layer cannot be verified, and what is not is not measured: that takes {} MB of memory, and there is less{}",
        most / 1_000_000,
        limits_here()
    );
    Err(Failure { cause: Cause::Error, message })
}

/// What Linux says can be had without pushing others out.
fn available_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")
}

impl Judge for Suites {
    fn judge(&self, cell: &Cell) -> Result<f64, Failure> {
        let Cell { backend, scalar, threads, workload, .. } = cell;
        let subject = Subject { backend: backend.clone(), scalar: *scalar, threads: *threads };
        once(&self.backends, subject.clone(), |subject| self.quick_suite(subject))?;
        once(&self.workloads, (subject, workload.clone()), |(subject, workload)| self.workload(subject, workload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_is_found_once_be_it_good_or_bad() {
        let (known, mut found) = (Known::<&str, u32>::default(), Vec::new());
        let failure = || Failure { cause: Cause::Verification, message: "wrong".into() };
        for name in ["a", "wrong", "a", "wrong", "b"] {
            let verdict = once(&known, name, |&name| {
                found.push(name);
                if name == "wrong" { Err(failure()) } else { Ok(7) }
            });
            assert_eq!(verdict, if name == "wrong" { Err(failure()) } else { Ok(7) });
        }
        assert_eq!(found, ["a", "wrong", "b"]);
    }
}
