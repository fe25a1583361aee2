//! The verbs, one file each with the same skeleton: doc, `Args`, `run`. What they share is here.

pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
#[cfg(feature = "openblas")]
pub(crate) mod gemm_probe;
mod interrupt;
pub(crate) mod list;
pub(crate) mod main_job;
pub(crate) mod man;
pub(crate) mod measure;
pub(crate) mod measure_cell;
mod measuring;
mod output;
mod paths;
pub(crate) mod pictures;
pub(crate) mod plot;
pub(crate) mod predict;
pub(crate) mod rank;
pub(crate) mod train;
pub(crate) mod verify;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::backend::{Entry, Registry};
use crate::compare::Results;
use crate::error::Result;
use crate::measure::journal;
use paths::Paths;

/// A line on standard error, as far as there is still somebody to read it: `eprintln!` panics where the terminal is lost or a pipe is
/// closed, and the run with it.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
pub(crate) use tell;

/// How a verb ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to complain of.
    Fine,
    /// A result is wrong.
    Incorrect,
    /// Ctrl-C ended it, cleanly: what was done is saved.
    Interrupted,
}

impl Verdict {
    /// The program's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Fine => 0,
            Verdict::Incorrect => 1,
            Verdict::Interrupted => interrupt::EXIT_CODE,
        }
    }
}

/// How a verb writes its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object, documented under docs/.
    Json,
}

/// The threads that this process may use.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The backends that were named, in that order, or all. A named one must be available.
fn chosen<'a>(registry: &'a Registry, names: &[String]) -> Result<Vec<&'a Entry>> {
    if names.is_empty() {
        return Ok(registry.entries().iter().collect());
    }
    let mut entries: Vec<&Entry> = Vec::new();
    for name in names {
        let entry = registry.get(name)?;
        entry.expect_available()?;
        if entries.iter().all(|other| other.name() != entry.name()) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The cells of record files that the selection takes. Says where one file's cells stand back for another's.
fn results(files: &[PathBuf], selection: &measure::Selection) -> anyhow::Result<Results> {
    // Standard output may be one of them.
    Paths::default().reads("the records", files).check()?;
    let mut records = Vec::new();
    for path in files {
        let new = journal::read(path)?;
        if !records.is_empty() {
            let (before, alone) = (Results::new(records.clone()), Results::new(new.clone()));
            let both = Results::new(records.iter().chain(&new).cloned());
            let replaced = before.cells().len() + alone.cells().len() - both.cells().len();
            if replaced > 0 {
                tell!("note: {replaced} cells of {} replace those of files before it", path.display());
            }
        }
        records.extend(new);
    }
    let names = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut results = Results::new(records);
    if results.cells().is_empty() {
        anyhow::bail!("{names} holds no cells");
    }
    let filter = selection.filter();
    results.retain(|record| filter.takes(&record.cell));
    if results.cells().is_empty() {
        anyhow::bail!("no cell in {names} fits the filters; `rank --cells` without them shows all there are");
    }
    Ok(results)
}
