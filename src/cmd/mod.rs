//! The verbs, one file each with the same skeleton: doc, `Args`, `run`. What they share is here.

pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
#[cfg(feature = "openblas")]
pub(crate) mod gemm_probe;
mod input;
mod interrupt;
pub(crate) mod list;
pub(crate) mod main_job;
pub(crate) mod man;
pub(crate) mod measure;
mod measuring;
mod output;
mod paths;
pub(crate) mod pictures;
pub(crate) mod plot;
pub(crate) mod predict;
pub(crate) mod rank;
pub(crate) mod serve;
pub(crate) mod train;
pub(crate) mod verdict;
pub(crate) mod verify;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Entry, Registry};
use crate::child::Program;
use crate::compare::Results;
use crate::error::Result;
use crate::measure::journal;
use crate::remote::Remote;
use crate::scalar::Scalar;
use crate::text::visible;
use paths::Paths;
pub(crate) use verdict::Verdict;

/// A line on standard error, as far as there is still somebody to read it: `eprintln!` panics where the terminal is lost or a pipe is
/// closed, and the run with it. Whatever the words come from, a screen may show them; a name that shall stay on one line is made `visible`
/// by itself.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "{}", $crate::text::visible_lines(format_args!($($words)*)));
    }};
}
pub(crate) use tell;

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
    crate::machine::cores()
}

/// The name by which the user called this program.
fn program_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_stem().map_or("layerbench".into(), |name| name.to_string_lossy().into_owned())
}

/// Refuses a number of threads that can only be a slip. Counts beyond the cores are no slip: backends are tried at those that the machine
/// has not.
fn expect_sane_threads(count: NonZeroUsize) -> anyhow::Result<()> {
    let most = most_threads(cores());
    if count.get() > most {
        anyhow::bail!(
            "{count} threads were asked for; expected at most {most} ({LEAST_MOST_THREADS}, or {THREADS_PER_CORE} for each core where that \
             is more)"
        );
    }
    Ok(())
}

fn most_threads(cores: NonZeroUsize) -> usize {
    cores.get().saturating_mul(THREADS_PER_CORE).max(LEAST_MOST_THREADS)
}

const THREADS_PER_CORE: usize = 4;
const LEAST_MOST_THREADS: usize = 256;

/// How long a backend may take to say whether it can run.
const AVAILABILITY: Duration = Duration::from_secs(60);

/// The same backends in children: whatever one does when it is asked whether it can run, or opened, it does there.
fn guarded(registry: &Registry) -> anyhow::Result<Registry> {
    let program = measuring::program()?;
    let mut guarded = Registry::empty();
    for entry in registry.entries() {
        guarded.add(in_child::<f64>(in_child::<f32>(entry.clone(), &program), &program))?;
    }
    Ok(guarded)
}

/// The entry with a child that answers for one of its scalar types, if it has that one.
fn in_child<T: Scalar>(entry: Entry, program: &Program) -> Entry {
    if !entry.supports(T::KIND) {
        return entry;
    }
    let remote = Arc::new(Remote::<T>::new(program, &entry, AVAILABILITY));
    entry.answered_by(remote)
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
    input::expect_one_stdin(files)?;
    selection.expect_no_files()?;
    // Standard output may be one of them.
    Paths::default().reads("the records", files.iter().map(|path| input::file(path))).check()?;
    let mut records = Vec::new();
    for path in files {
        let new = if input::is_stdin(path) {
            journal::parse(Path::new(input::STDIN), &input::read_stdin(u64::MAX)?)?
        } else {
            journal::read(path)?
        };
        if !records.is_empty() {
            let (before, alone) = (Results::new(records.clone()), Results::new(new.clone()));
            let both = Results::new(records.iter().chain(&new).cloned());
            let replaced = before.cells().len() + alone.cells().len() - both.cells().len();
            if replaced > 0 {
                tell!("note: {replaced} cells of {} replace those of files before it", visible(input::name(path)));
            }
        }
        records.extend(new);
    }
    let names = files.iter().map(|path| input::name(path)).collect::<Vec<_>>().join(", ");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_a_machine_could_have_are_sane() {
        let most = |cores| most_threads(NonZeroUsize::new(cores).expect("not zero"));
        assert_eq!((most(1), most(64), most(65), most(usize::MAX)), (256, 256, 260, usize::MAX));
        assert!(expect_sane_threads(cores()).is_ok() && expect_sane_threads(NonZeroUsize::MAX).is_err());
    }
}
