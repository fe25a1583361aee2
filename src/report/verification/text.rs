//! Verification as text: a line per outcome, written as it comes, and a summary.

use std::fmt;

use super::{Verification, promise};
use crate::verify::Outcome;

/// One outcome. A failure has the command that repeats it below.
pub fn line(outcome: &Outcome, command: &str) -> String {
    let Outcome { check, backend, scalar, status, .. } = outcome;
    let mut line = format!("{status:<11} {backend:<10} {scalar:<3} {check:<40} {}\n", outcome.detail());
    if outcome.failed() {
        line += &format!("{:<11} repeat: {command}\n", "");
    }
    line
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summaries = self.summaries();
        if !summaries.is_empty() {
            writeln!(f, "\nsame bits for      largest error / bound")?;
        }
        for summary in summaries {
            let worst = summary.worst.map_or("every number exact".into(), |outcome| {
                format!("{:.2} in {}", outcome.worst_ratio(), outcome.check)
            });
            let (backend, scalar, promise) = (summary.backend, summary.scalar, promise(summary.determinism));
            writeln!(f, "{promise:<18} {backend:<10} {scalar:<3} {worst}")?;
        }
        let totals = self.totals();
        let (passed, failed, skipped) = (totals.passed, totals.failed, totals.skipped);
        write!(f, "\n{passed} passed, {failed} failed, {skipped} skipped, {} unavailable", totals.unavailable)?;
        if totals.mistrusted > 0 {
            write!(f, ", {} mistrusted", totals.mistrusted)?;
        }
        writeln!(f, "; {} cases", totals.executed)
    }
}
