//! Verification as text: a line per outcome, written as it comes, and a summary, in which failures stand once more.

use std::fmt;

use super::{Summary, Verification, promise};
use crate::text::{visible, visible_lines};
use crate::verify::Outcome;
use crate::verify::checks::Tier;

/// One outcome. A failure has the command that repeats it below.
pub fn line(outcome: &Outcome, report: &Verification) -> String {
    let Outcome { check, backend, scalar, status, .. } = outcome;
    let (backend, check, detail) = (visible(backend), visible(check), visible_lines(outcome.detail()));
    let mut line = format!("{status:<11} {backend:<10} {scalar:<3} {check:<40} {detail}\n");
    if outcome.failed() {
        line += &format!("{:<11} repeat: {}\n", "", report.command(outcome));
        if let Some(whole) = report.whole_command(outcome) {
            line += &format!(
                "{:<11} alone it may pass, since it can depend on luck or on what ran before; all of it: {whole}\n",
                ""
            );
        }
    }
    line
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of fixtures alone there is no ratio, and no promise was tried.
        let is_tried = |summary: &Summary<'_>| {
            self.outcomes.iter().any(|outcome| {
                (&*outcome.backend, outcome.scalar) == (summary.backend, summary.scalar)
                    && outcome.executed > 0
                    && outcome.tier != Some(Tier::T2)
            })
        };
        let summaries: Vec<Summary<'_>> = self.summaries().into_iter().filter(is_tried).collect();
        if !summaries.is_empty() {
            writeln!(f, "\nsame bits for      largest error / bound")?;
        }
        for summary in summaries {
            let worst = summary.worst.map_or("every number exact".into(), |outcome| {
                format!("{:.2} in {}", outcome.worst_ratio(), visible(&outcome.check))
            });
            let (backend, scalar, promise) = (visible(summary.backend), summary.scalar, promise(summary.determinism));
            writeln!(f, "{promise:<18} {backend:<10} {scalar:<3} {worst}")?;
        }
        self.write_failures(f)?;
        let totals = self.totals();
        let (passed, failed, skipped) = (totals.passed, totals.failed, totals.skipped);
        write!(f, "\n{passed} passed, {failed} failed, {skipped} skipped, {} unavailable", totals.unavailable)?;
        if totals.mistrusted > 0 {
            write!(f, ", {} mistrusted", totals.mistrusted)?;
        }
        writeln!(f, "; {} cases", totals.executed)?;
        writeln!(f, "shapes drawn from seed {}; --draw {0} draws them again", self.draw)
    }
}

/// More failures than these are not repeated: they would hide the summary.
const REPEATED: usize = 20;

impl Verification {
    /// The failures again, where other lines stand between them and the end, and what the files are alone with.
    fn write_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| outcome.failed()).collect();
        if !failures.is_empty() && failures.len() < self.outcomes.len() {
            writeln!(f, "\nfailures")?;
            for outcome in failures.iter().take(REPEATED) {
                f.write_str(&line(outcome, self))?;
            }
            if failures.len() > REPEATED {
                writeln!(f, "and {} more", failures.len() - REPEATED)?;
            }
        }
        if !self.disputes.is_empty() {
            writeln!(f, "\nbackends agree, and the file differs")?;
            self.disputes.iter().try_for_each(|dispute| writeln!(f, "{dispute}"))?;
        }
        Ok(())
    }
}
