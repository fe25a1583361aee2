//! `verify`: holds backends against fixtures and exact arithmetic, a line per case and backend.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use crate::backend::Registry;
use crate::cmd::{Verdict, chosen, cores};
use crate::scalar::ScalarKind;
use crate::verify::{Outcome, Status, fixture, verify};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this backend; may be given several times [default: all]
    #[arg(long = "backend", value_name = "NAME")]
    backends: Vec<String>,
    /// A fixture file, or a folder of them, instead of the embedded ones; may be given several times
    #[arg(long, value_name = "FILE_OR_DIR")]
    fixtures: Vec<PathBuf>,
    /// Only this scalar type [default: both]
    #[arg(long)]
    scalar: Option<ScalarKind>,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let entries = chosen(registry, &args.backends)?;
    let cases = if args.fixtures.is_empty() { fixture::embedded() } else { read_all(&args.fixtures)? };
    let scalars = args.scalar.map_or(ScalarKind::ALL.to_vec(), |scalar| vec![scalar]);

    let mut tally = Tally::default();
    let mut written = Ok(());
    for entry in entries {
        for &scalar in &scalars {
            verify(entry, scalar, &entry.thread_counts(cores()), &cases, &mut |outcome| {
                tally.count(&outcome);
                if written.is_ok() {
                    written = write_outcome(out, &outcome);
                }
            });
        }
    }
    written?;
    if args.backends.is_empty() {
        for (name, reason) in registry.left_out() {
            tally.unavailable += 1;
            writeln!(out, "{:<11} {name:<10} {:<3} {reason}", "UNAVAILABLE", "")?;
        }
    }
    let Tally { passed, failed, skipped, unavailable } = tally;
    writeln!(out, "\n{passed} passed, {failed} failed, {skipped} skipped, {unavailable} unavailable")?;
    if failed > 0 {
        return Ok(Verdict::Incorrect);
    }
    if passed == 0 {
        bail!("nothing was checked: no backend could be run");
    }
    Ok(Verdict::Fine)
}

fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<fixture::Case>> {
    let mut cases = Vec::new();
    for path in paths {
        let found = fixture::read(path)?;
        for file in found.passed_over {
            eprintln!("note: {} has no `cases`: passed over", file.display());
        }
        cases.extend(found.cases);
    }
    Ok(cases)
}

fn write_outcome(out: &mut dyn Write, outcome: &Outcome) -> std::io::Result<()> {
    let Outcome { check, backend, scalar, status, .. } = outcome;
    writeln!(out, "{status:<11} {backend:<10} {scalar:<3} {check:<40} {}", outcome.detail())
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    unavailable: usize,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome.status {
            Status::Passed => &mut self.passed,
            Status::Failed(_) => &mut self.failed,
            Status::Skipped(_) => &mut self.skipped,
            Status::Unavailable(_) => &mut self.unavailable,
        } += 1;
    }
}
