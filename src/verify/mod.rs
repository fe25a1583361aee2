//! Is it right? Checks that hold a backend against golden fixtures and exact arithmetic. Nothing is timed here.
//!
//! [`fixture`] reads cases, [`actual`] runs them on an engine, [`reference`](mod@reference) computes what must come out with a bound on
//! its rounding error, [`exact`] needs no bound at all; [`compare`](mod@compare) judges.

pub mod actual;
pub mod compare;
pub mod exact;
mod fields;
pub mod fixture;
pub mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use ndarray::Array2;

use crate::backend::Entry;
use crate::error::{Error, Result};
use crate::scalar::{Scalar, ScalarKind};
use compare::Worst;
use fixture::Case;

/// Named matrices: what a function of the notebook returns. Numbers are (1, 1), lists are (1, n).
pub type Outputs = BTreeMap<String, Array2<f64>>;

/// The verdict of one check on one backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Every number is within its bound.
    Passed,
    /// Some number is not; or the backend reported an error, which is given.
    Failed(Option<String>),
    /// Not run, for the reason given.
    Skipped(String),
    /// The backend cannot run here, for the reason given.
    Unavailable(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Passed => "PASSED",
            Status::Failed(_) => "FAILED",
            Status::Skipped(_) => "SKIPPED",
            Status::Unavailable(_) => "UNAVAILABLE",
        })
    }
}

/// One check on one backend in one scalar type, over all thread counts that were asked for.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The fixture case, or the name of the check.
    pub check: String,
    /// The backend.
    pub backend: String,
    /// The scalar type.
    pub scalar: ScalarKind,
    /// The verdict.
    pub status: Status,
    /// The number that came closest to its bound, or went furthest beyond it.
    pub worst: Option<Worst>,
}

impl Outcome {
    /// Whether this must fail the run.
    pub fn failed(&self) -> bool {
        matches!(self.status, Status::Failed(_))
    }
}

/// Runs all `cases` and the exact check on one backend in one scalar type, on each of `threads`, handing each outcome to `sink`.
pub fn verify(
    entry: &Entry,
    scalar: ScalarKind,
    threads: &[NonZeroUsize],
    cases: &[Case],
    sink: &mut dyn FnMut(Outcome),
) {
    match scalar {
        ScalarKind::F32 => verify_as::<f32>(entry, threads, cases, sink),
        ScalarKind::F64 => verify_as::<f64>(entry, threads, cases, sink),
    }
}

fn verify_as<T: Scalar>(entry: &Entry, threads: &[NonZeroUsize], cases: &[Case], sink: &mut dyn FnMut(Outcome)) {
    let outcome = |check: &str, status, worst| Outcome {
        check: check.into(),
        backend: entry.name().into(),
        scalar: T::KIND,
        status,
        worst,
    };
    if let Err(reason) = entry.available() {
        return sink(outcome("all", Status::Unavailable(reason.to_string()), None));
    }
    if !entry.supports(T::KIND) {
        return sink(outcome("all", Status::Skipped(format!("it does not compute in {}", T::KIND)), None));
    }
    let judge = |check: &str, run: &dyn Fn(NonZeroUsize) -> Result<Worst>| {
        let mut worst: Option<Worst> = None;
        for &threads in threads {
            match run(threads) {
                Ok(found) => worst = Some(worst.map_or(found.clone(), |worst| worst.or_worse(found))),
                Err(error) => return outcome(check, Status::Failed(Some(error.to_string())), worst),
            }
        }
        let within = worst.as_ref().is_some_and(Worst::is_within);
        outcome(check, if within { Status::Passed } else { Status::Failed(None) }, worst)
    };
    for case in cases {
        sink(judge(&case.name, &|threads| {
            let engine = entry.open::<T>(threads)?;
            Ok(compare::judge_case::<T>(case, &actual::run(&engine, &case.call)?))
        }));
    }
    sink(judge(exact::NAME, &|threads| exact::check(entry.open::<T>(threads)?.as_ref())));
}

/// Runs everything that [`verify`] runs and answers whether all passed; the first failure is told in one line.
///
/// # Errors
/// [`Error::Backend`], naming the first check that failed.
pub fn expect_verified(entry: &Entry, scalar: ScalarKind, threads: &[NonZeroUsize], cases: &[Case]) -> Result<()> {
    let mut failure = None;
    let mut passed = 0_usize;
    verify(entry, scalar, threads, cases, &mut |outcome| {
        if outcome.status == Status::Passed {
            passed += 1;
        } else if failure.is_none() {
            failure = Some(format!("{} {} in {scalar}: {}", outcome.status, outcome.check, outcome.detail()));
        }
    });
    match failure {
        None if passed > 0 => Ok(()),
        None => Err(Error::Backend { name: entry.name().into(), reason: "no check was run on it".into() }),
        Some(reason) => Err(Error::Backend { name: entry.name().into(), reason }),
    }
}

impl Outcome {
    /// The largest error and where it is, or the reason of the status.
    pub fn detail(&self) -> String {
        match (&self.status, &self.worst) {
            (Status::Failed(Some(error)), _) => error.clone(),
            (Status::Skipped(reason) | Status::Unavailable(reason), _) => reason.clone(),
            (_, Some(worst)) => worst.to_string(),
            (_, None) => "nothing was compared".into(),
        }
    }
}
