//! What verification found, in one file per format. Nothing is judged here.

mod json;
mod junit;
mod text;

use crate::layer::Determinism;
use crate::scalar::ScalarKind;
use crate::text::{shell_option, shell_word};
use crate::verify::cases::Depth;
use crate::verify::checks::Tier;
use crate::verify::dispute::Dispute;
use crate::verify::{Outcome, Status};

pub use text::line;

/// All outcomes of a run.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How much was tried.
    pub depth: Depth,
    /// The seed that shapes were drawn from.
    pub draw: u32,
    /// The program that was run, as the commands that repeat a case name it.
    pub program: String,
    /// Flags that such a command needs as well, such as `--fixtures FILE`, quoted for a shell; empty for none.
    pub flags: String,
    /// One for each check, backend and scalar type.
    pub outcomes: Vec<Outcome>,
    /// Fixture cases of which the backends say one thing and the file another.
    pub disputes: Vec<Dispute>,
}

/// How many outcomes there are of each status, and the cases behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs, reason = "the fields are the statuses")]
pub struct Totals {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub unavailable: usize,
    pub mistrusted: usize,
    /// Cases that were run.
    pub executed: usize,
}

/// A backend in one scalar type, for use beside its times.
#[derive(Clone, Debug)]
pub struct Summary<'a> {
    /// Its name.
    pub backend: &'a str,
    /// What it promises to be bit-identical.
    pub determinism: Determinism,
    /// The scalar type.
    pub scalar: ScalarKind,
    /// The outcome, fixtures apart, whose largest error is closest to its bound or furthest beyond; none where all is exact.
    pub worst: Option<&'a Outcome>,
}

impl Verification {
    /// Counts.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for outcome in &self.outcomes {
            *match outcome.status {
                Status::Passed => &mut totals.passed,
                Status::Failed(_) => &mut totals.failed,
                Status::Skipped(_) => &mut totals.skipped,
                Status::Unavailable(_) => &mut totals.unavailable,
                Status::Mistrusted(_) => &mut totals.mistrusted,
            } += 1;
            totals.executed += outcome.executed;
        }
        totals
    }

    /// One summary for each backend and scalar type in which something was run, in the order of the outcomes.
    pub fn summaries(&self) -> Vec<Summary<'_>> {
        let mut summaries: Vec<Summary<'_>> = Vec::new();
        for outcome in self.outcomes.iter().filter(|outcome| outcome.executed > 0) {
            let Outcome { backend, determinism, scalar, .. } = outcome;
            let (determinism, scalar) = (*determinism, *scalar);
            let known = summaries.iter().position(|s| s.backend == backend && s.scalar == scalar);
            let place = known.unwrap_or_else(|| {
                summaries.push(Summary { backend, determinism, scalar, worst: None });
                summaries.len() - 1
            });
            // A fixture's bound may be half a printed digit: how close that is says nothing of the backend.
            let counts = outcome.tier != Some(Tier::T2);
            if counts && outcome.worst_ratio() > summaries[place].worst.map_or(0.0, Outcome::worst_ratio) {
                summaries[place].worst = Some(outcome);
            }
        }
        summaries
    }

    /// The command that repeats the case of an outcome.
    pub fn command(&self, outcome: &Outcome) -> String {
        format!("{}{}", outcome.command(&shell_word(&self.program)), self.flags)
    }
}

impl Verification {
    /// For a failure that may depend on what ran before it, or on luck: the command that runs all that this run ran on the backend.
    pub fn whole_command(&self, outcome: &Outcome) -> Option<String> {
        let Outcome { backend, scalar, .. } = outcome;
        let depth = match self.depth {
            Depth::Quick => " --quick",
            Depth::Normal => "",
            Depth::Full => " --full",
        };
        let (program, backend) = (shell_word(&self.program), shell_option("backend", backend));
        (outcome.failed() && outcome.may_pass_alone)
            .then(|| format!("{program} verify{backend} --scalar {scalar}{depth} --draw {}{}", self.draw, self.flags))
    }
}

/// Why an outcome is not simply passed.
fn reason(outcome: &Outcome) -> Option<String> {
    (outcome.status != Status::Passed).then(|| outcome.detail())
}

/// As reports spell it.
fn promise(determinism: Determinism) -> &'static str {
    match determinism {
        Determinism::FixedThreads => "fixed threads",
        Determinism::AnyThreads => "any threads",
    }
}
