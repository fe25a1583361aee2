//! Is it right? Checks that hold a backend against golden fixtures, exact arithmetic, error bounds, gradients, trajectories and the
//! contracts of the layer trait. Nothing is timed here.
//!
//! A [`Suite`] selects and runs the named [`checks`] over the shapes of [`cases`]; [`fixture`] reads [`golden`] cases and [`actual`] runs
//! them; [`reference`](mod@reference) computes what must come out, with a bound on its rounding error after the table in
//! [`tolerances`]; [`compare`](mod@compare) judges. [`conformance`] is the whole for a backend of another crate.

pub mod actual;
pub mod cases;
pub mod checks;
pub mod compare;
pub mod conformance;
pub mod dispute;
pub mod faults;
mod fields;
pub mod fixture;
pub mod golden;
mod printed;
pub mod reference;
mod suite;
pub mod tolerances;
pub(crate) mod trial;
mod venue;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use ndarray::Array2;

use crate::backend::Entry;
use crate::error::{Error, Result};
use crate::layer::{Determinism, Reason};
use crate::scalar::ScalarKind;
use crate::text::shell_option;
use cases::{Depth, Shape};
use checks::Tier;
use compare::Worst;
use golden::Case;
pub use suite::Suite;
pub use venue::{PATIENCE, Venue};

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
    /// All agreed, and it means little, for the reason given: what was expected is nearly all zeros.
    Mistrusted(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Passed => "PASSED",
            Status::Failed(_) => "FAILED",
            Status::Skipped(_) => "SKIPPED",
            Status::Unavailable(_) => "UNAVAILABLE",
            Status::Mistrusted(_) => "MISTRUSTED",
        })
    }
}

/// Where in the tables a number came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The thread count.
    pub threads: usize,
    /// The shape, in checks that run over shapes.
    pub shape: Option<Shape>,
    /// The seed, in checks that are seeded.
    pub seed: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(shape) = self.shape {
            write!(f, "shape {shape}, ")?;
        }
        if let Some(seed) = self.seed {
            write!(f, "seed {seed}, ")?;
        }
        write!(f, "threads {}", self.threads)
    }
}

/// How a backend's process was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It ended before it answered.
    Ended,
    /// It did not answer in time.
    Late,
}

impl Lost {
    /// What an error says of it.
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Lost { late: true, .. } => Some(Lost::Late),
            Error::Lost { late: false, .. } => Some(Lost::Ended),
            _ => None,
        }
    }
}

/// One check on one backend in one scalar type, over all thread counts that were asked for.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The fixture case, or the name of the check.
    pub check: String,
    /// The tier; none where it is about the backend as a whole.
    pub tier: Option<Tier>,
    /// The backend.
    pub backend: String,
    /// What the backend promises to be bit-identical.
    pub determinism: Determinism,
    /// The scalar type.
    pub scalar: ScalarKind,
    /// The verdict.
    pub status: Status,
    /// Cases that were run: shapes, seeds and thread counts.
    pub executed: usize,
    /// The number that came closest to its bound, or went furthest beyond it.
    pub worst: Option<Worst>,
    /// Where that was, or where an error was met.
    pub at: Option<Place>,
    /// Whether the case that failed may pass where it is run alone: it can depend on luck, or on what ran before it in its process.
    pub may_pass_alone: bool,
    /// How the backend's process was lost, where it was.
    pub lost: Option<Lost>,
}

impl Outcome {
    pub(crate) fn without_cases(
        check: &str,
        tier: Option<Tier>,
        entry: &Entry,
        scalar: ScalarKind,
        status: Status,
    ) -> Self {
        Outcome {
            check: check.into(),
            tier,
            backend: entry.name().into(),
            determinism: entry.profile().determinism,
            scalar,
            status,
            executed: 0,
            worst: None,
            at: None,
            may_pass_alone: false,
            lost: None,
        }
    }

    /// About a built-in backend that this build was made without.
    pub(crate) fn of_left_out(name: &str, reason: Reason) -> Self {
        Outcome {
            check: "all".into(),
            tier: None,
            backend: name.into(),
            determinism: Determinism::FixedThreads,
            scalar: ScalarKind::F64,
            status: Status::Unavailable(reason.to_string()),
            executed: 0,
            worst: None,
            at: None,
            may_pass_alone: false,
            lost: None,
        }
    }

    /// What stands in a report until the run that makes it has ended.
    pub(crate) fn of_unfinished(entry: &Entry) -> Self {
        let reason = "the run has not ended: this is replaced when it does".to_owned();
        Outcome::without_cases("all", None, entry, ScalarKind::F64, Status::Failed(Some(reason)))
    }

    /// Whether this must fail the run.
    pub fn failed(&self) -> bool {
        matches!(self.status, Status::Failed(_))
    }

    /// Whether it is a check that means nothing for this backend: before timing such a one is no flaw.
    pub(crate) fn does_not_apply(&self) -> bool {
        self.tier.is_some() && matches!(self.status, Status::Skipped(_))
    }

    /// error / bound of the worst number: 0 where all are exact or nothing was compared.
    pub fn worst_ratio(&self) -> f64 {
        self.worst.as_ref().map_or(0.0, Worst::ratio)
    }

    /// The largest error and where it is, or the reason of the status.
    pub fn detail(&self) -> String {
        let text = match (&self.status, &self.worst) {
            (Status::Failed(Some(error)), _) => error.clone(),
            (Status::Skipped(reason) | Status::Unavailable(reason) | Status::Mistrusted(reason), _) => {
                return reason.clone();
            }
            (_, Some(worst)) => worst.to_string(),
            (_, None) => return "nothing was compared".into(),
        };
        match &self.at {
            Some(place) if self.failed() || (place.shape.is_some() && self.worst_ratio() > 0.0) => {
                format!("{text}; {place}")
            }
            _ => text,
        }
    }

    /// The command that runs exactly the case in which this was seen, as a shell reads it; `program` is one that knows the backend.
    pub fn command(&self, program: &str) -> String {
        let Outcome { check, backend, scalar, at, .. } = self;
        let mut command = format!("{program} verify{} --scalar {scalar}", shell_option("backend", backend));
        if self.tier.is_some() {
            command += &shell_option("check", check);
        }
        if let Some(Place { threads, shape, seed }) = at {
            command += &format!(" --threads {threads}");
            command.extend(shape.map(|shape| format!(" --shape {shape}")));
            command.extend(seed.map(|seed| format!(" --seed {seed}")));
        }
        command
    }
}

/// What is run before timing: the [quick](Depth::Quick) suite on each of `threads`, with `cases` as the fixtures. Checks that do
/// not apply to the backend are left out; it hands the outcomes of the others to `sink`.
pub fn verify(
    entry: &Entry,
    scalar: ScalarKind,
    threads: &[NonZeroUsize],
    cases: &[Case],
    venue: &Venue,
    sink: &mut dyn FnMut(Outcome),
) {
    let suite = Suite { threads: threads.to_vec(), fixtures: cases.to_vec(), ..Suite::new(Depth::Quick) };
    suite.run(venue, entry, scalar, &mut |outcome| {
        if !outcome.does_not_apply() {
            sink(outcome);
        }
    });
}

/// Runs everything that [`verify`] runs and answers whether all passed; the first failure is told in one line.
///
/// # Errors
/// [`Error::Backend`], naming the first check that failed.
pub fn expect_verified(
    entry: &Entry,
    scalar: ScalarKind,
    threads: &[NonZeroUsize],
    cases: &[Case],
    venue: &Venue,
) -> Result<()> {
    let mut failure = None;
    let mut passed = 0_usize;
    verify(entry, scalar, threads, cases, venue, &mut |outcome| {
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
