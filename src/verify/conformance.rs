//! The conformance kit: the whole suite for a backend of another crate, in a test of that crate.
//!
//! ```no_run
//! # use layerbench::{Entry, backend::Naive};
//! #[test]
//! fn my_backend_conforms() {
//!     layerbench::verify::conformance::assert_conforms(&Entry::both(Naive));
//! }
//! ```

use super::cases::Depth;
use super::{Outcome, Status, Suite};
use crate::backend::Entry;
use crate::scalar::ScalarKind;

/// What a conforming backend went through.
#[derive(Clone, Debug)]
pub struct Conformance {
    /// Every outcome; none failed.
    pub outcomes: Vec<Outcome>,
    /// Cases that were run.
    pub executed: usize,
}

/// Runs every check and fixture at [`Depth::Normal`] in each scalar type that the backend computes in.
///
/// # Panics
/// Where a check fails or is mistrusted, the backend is unavailable, or nothing was checked; the message has each failure with the
/// command that repeats it.
pub fn assert_conforms(entry: &Entry) -> Conformance {
    assert_conforms_to(entry, &Suite::new(Depth::Normal))
}

/// The same with a suite of your choice.
///
/// # Panics
/// As [`assert_conforms`].
pub fn assert_conforms_to(entry: &Entry, suite: &Suite) -> Conformance {
    let mut outcomes = Vec::new();
    for scalar in ScalarKind::ALL {
        suite.run(entry, scalar, &mut |outcome| outcomes.push(outcome));
    }
    let bad = |outcome: &&Outcome| !matches!(outcome.status, Status::Passed | Status::Skipped(_));
    let failures: Vec<_> = outcomes.iter().filter(bad).map(describe).collect();
    let name = entry.name();
    assert!(failures.is_empty(), "{name} does not conform: {} failures\n{}", failures.len(), failures.join("\n"));
    let executed = outcomes.iter().map(|outcome| outcome.executed).sum();
    assert!(executed > 0, "{name} was not checked at all");
    Conformance { outcomes, executed }
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { check, scalar, status, .. } = outcome;
    format!("{status} {check} in {scalar}: {}\n    repeat: {}", outcome.detail(), outcome.command("layerbench"))
}
