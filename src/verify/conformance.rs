//! The conformance kit: the whole suite for a backend of another crate, in a test of that crate.
//!
//! ```no_run
//! # use layerbench::{Entry, backend::Naive};
//! #[test]
//! fn my_backend_conforms() {
//!     layerbench::verify::conformance::assert_conforms(&Entry::both(Naive));
//! }
//! ```
//!
//! The backend computes in children: the test's own executable, which is started once more to run that test alone, and serves when it gets
//! to the assertion. So whatever stands before it in the test is run in each child too.

use std::sync::Mutex;

use super::cases::Depth;
use super::{Outcome, Status, Suite, Venue};
use crate::backend::{Entry, Registry};
use crate::child::Program;
use crate::panics::locked;
use crate::remote::Wanted;
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
/// To be called on the test's own thread; one backend for each test.
///
/// # Panics
/// Where a check fails or is mistrusted, the backend is unavailable, or nothing was checked; the message has each failure with the
/// command that repeats it. And where the name of the test cannot be known: tests that run on the main thread (`--test-threads=1`) have
/// none, unless they are named with `--exact`.
pub fn assert_conforms(entry: &Entry) -> Conformance {
    assert_conforms_to(entry, &Suite::new(Depth::Normal))
}

/// The same with a suite of your choice.
///
/// # Panics
/// As [`assert_conforms`].
pub fn assert_conforms_to(entry: &Entry, suite: &Suite) -> Conformance {
    if std::env::var_os(CHILD).is_some() {
        serve(entry);
        return Conformance { outcomes: Vec::new(), executed: 0 };
    }
    let program = of_this_test().unwrap_or_else(|problem| panic!("{problem}"));
    assert_conforms_in(&Venue::children_of(program), entry, suite)
}

/// The same in children of another program, or without any.
///
/// # Panics
/// As [`assert_conforms`].
pub fn assert_conforms_in(venue: &Venue, entry: &Entry, suite: &Suite) -> Conformance {
    let mut outcomes = Vec::new();
    for scalar in ScalarKind::ALL {
        suite.run(venue, entry, scalar, &mut |outcome| outcomes.push(outcome));
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

/// Set in a child of a test.
const CHILD: &str = "LAYERBENCH_CONFORMANCE_CHILD";

/// Serves the parent's subject and ends the process; returns where that is another backend, whose assertion may come later in the test.
fn serve(entry: &Entry) {
    static WANTED: Mutex<Option<Wanted>> = Mutex::new(None);
    let mut wanted = locked(&WANTED);
    if wanted.is_none() {
        *wanted = Wanted::wait().expect("the variable is set for children only");
    }
    match wanted.take() {
        None => std::process::exit(0),
        Some(other) if other.subject.backend != entry.name() => *wanted = Some(other),
        Some(this) => {
            let mut registry = Registry::empty();
            registry.add(entry.clone()).expect("the only one");
            // A parent that is gone has no use for an exit code.
            std::process::exit(i32::from(this.serve(&registry).is_err()));
        }
    }
}

/// This executable, told to run the calling test alone.
fn of_this_test() -> Result<Program, String> {
    let thread = std::thread::current();
    let named = std::env::args().skip_while(|word| word != "--exact").nth(1);
    let test = match thread.name() {
        Some("main") | None => named.ok_or(
            "the name of this test is not known, so that its children could not run it alone: call the assertion on the test's own thread, \
             and run tests without --test-threads=1, or with --exact and the name",
        )?,
        Some(name) => name.to_owned(),
    };
    let program = Program::own().map_err(|error| format!("this executable cannot be found: {error}"))?;
    let words = [test.as_str(), "--exact", "--nocapture", "--include-ignored", "--test-threads=1"];
    Ok(program.with_arguments(words).with_variable(CHILD, "1"))
}
