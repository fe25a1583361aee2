//! What `measure` and the main job share: running groups of cells with a progress display. Records are the callers'.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::child::Program;
use crate::child::environment;
use crate::cmd::{Verdict, tell};
use crate::compare::Results;
use crate::measure::engine::{Event, Finished, Measurer, Rounds, Settings};
use crate::measure::record::{Cause, CellRecord, Child, LimitsRecord, Machine, Outcome, Record, Tool};
use crate::measure::{Cell, Earlier, Pairs, groups};

/// One run of the engine over cells.
pub(crate) struct Run<'a> {
    pub settings: Settings,
    /// This machine as this run found it.
    pub machine: &'a Machine,
    /// What was measured before: some of its cells echo, and some of these do in later groups, so that two runs can be compared. None
    /// for a run that will not be compared with another.
    pub earlier: Option<Earlier>,
    /// Show each finished cell on standard error where it is no terminal.
    pub lines: bool,
}

impl Run<'_> {
    /// Measures `cells`, handing the records of each group, and of the limits in its rounds, to `keep` as soon as they are final. Answers how
    /// many cells the deadline left unmeasured.
    pub(crate) fn measure(
        self,
        cells: &[Cell],
        keep: &mut dyn FnMut(Vec<Record>) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let command = command();
        let cold_cache = self.settings.flush_bytes.is_some();
        let measurer = Measurer::new(self.settings);
        let with_echoes = self.earlier.is_some();
        let mut pairs = Pairs::new(groups(cells).count(), self.earlier.unwrap_or_default());
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{bar:30} {percent:>3}%, {eta} left  {msg}")?);
        // Before it is drawn what twins and echoes there will be is not known to the last one.
        bar.set_length(measurer.units(cells.len() + pairs.about(groups(cells).count(), with_echoes)));
        let mut finished = 0;
        // The groups, then echoes alone for as long as there are too few.
        let mut groups = groups(cells);
        for rounds in 0.. {
            let group = groups.next().unwrap_or_default();
            if group.is_empty() && !(with_echoes && pairs.lacks_echoes()) {
                break;
            }
            let mut children: Vec<(Cell, Child)> = group.iter().map(|cell| (cell.clone(), Child::First)).collect();
            children.extend(pairs.twins(group));
            if with_echoes {
                children.extend(pairs.echoes());
            }
            // The bar is drawn when something has happened, never by a clock: that would take time from whoever is sampled.
            let mut watch = |event: Event<'_>| match event {
                Event::Preparing(cell) => bar.set_message(cell.to_string()),
                Event::Done(units) => bar.inc(units),
                Event::NoLimit(failure) => bar.suspend(|| no_limit(&failure.message)),
            };
            let Rounds { finished: done, limits, in_time } = measurer.measure(&children, &mut watch);
            let record = |Finished { cell, child, started_unix_ms, outcome }| CellRecord {
                run: self.machine.run,
                rounds,
                started_unix_ms,
                environment: environment::of_child(cell.threads),
                machine: self.machine.id.clone(),
                node: self.machine.node.clone(),
                cell,
                child,
                cold_cache,
                tool: Tool::this(),
                command: command.clone(),
                outcome,
            };
            let records: Vec<CellRecord> = done.into_iter().map(record).collect();
            let lines: Vec<String> =
                records.iter().filter_map(|record| line(record, &mut finished, cells.len())).collect();
            let good = |record: &CellRecord| {
                (record.child == Child::First && record.measured().is_some()).then(|| record.cell.clone())
            };
            pairs.measured(records.iter().filter_map(good));
            let limits = limits.into_iter().map(|limits| LimitsRecord {
                run: self.machine.run,
                rounds,
                machine: self.machine.id.clone(),
                node: self.machine.node.clone(),
                limits,
            });
            keep(limits.map(Record::Limits).chain(records.into_iter().map(Record::Cell)).collect())?;
            if self.lines && bar.is_hidden() {
                lines.iter().for_each(|line| tell!("{line}"));
            }
            if !in_time {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(cells.len() - finished)
    }
}

fn no_limit(reason: &str) {
    tell!("warning: the machine's limits could not be read beside these cells: {reason}");
    tell!("         -> their share of the roofline comes from what was measured before the first cell");
}

/// What is said of a child that is through: of each cell, and of a further child where it failed.
fn line(record: &CellRecord, finished: &mut usize, all: usize) -> Option<String> {
    let cell = &record.cell;
    let number = if record.child == Child::First {
        *finished += 1;
        format!("{finished:>4}/{all}")
    } else {
        format!("{:>width$}", "A/A", width = 5 + all.to_string().len())
    };
    match &record.outcome {
        Outcome::Failed(failure) => {
            Some(format!("{number} FAILED  {cell}: {}: {}", failure.cause.name(), failure.message))
        }
        Outcome::Measured(_) if record.child == Child::First => Some(format!("{number} done    {cell}")),
        Outcome::Measured(_) => None,
    }
}

/// The command line as typed, without the folder of the program: where it lies tells nothing and may tell too much.
fn command() -> Vec<String> {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name).map(ToOwned::to_owned);
    name.into_iter().chain(words).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The executable that answers to this command line: this one.
pub(crate) fn program() -> anyhow::Result<Program> {
    Program::own().context("cannot find the program's own file, which its children run")
}

/// A time with its unit; a number alone is seconds.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    // The longer ending first: `ms` ends with `s`.
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let with_unit = UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, unit) = with_unit.unwrap_or((text, 1.0));
    let seconds = number.trim_end().parse::<f64>().ok().filter(|&number| number > 0.0).map(|number| number * unit);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a positive time, such as 10s, 500ms, 2m or 1h".into())
}

/// The instant after which no sample begins.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

/// How a run ended: a wrong result outranks an interruption, that what could not be measured, of which `reasons` tells, and that a time which is
/// not to be trusted; these are told here. A further child that crashed was told; its cell was measured all the same.
pub(crate) fn verdict(
    results: &Results,
    was_interrupted: bool,
    reasons: impl FnOnce() -> String,
) -> anyhow::Result<Verdict> {
    let causes = results.cells().iter().filter_map(|record| match &record.outcome {
        Outcome::Failed(failure) => Some(failure.cause),
        // What is right in one process and wrong in the next is wrong.
        Outcome::Measured(_) => results.wrong(record).map(|_| Cause::Verification),
    });
    let mistrusted = results.all_mistrusted();
    for (record, reason) in &mistrusted {
        tell!("MISTRUSTED  {}: {reason}", record.cell);
    }
    let (wrong, broken): (Vec<Cause>, Vec<Cause>) = causes.partition(|&cause| cause == Cause::Verification);
    match (wrong.len(), broken.len()) {
        (1.., _) => Ok(Verdict::Incorrect),
        _ if was_interrupted => Ok(Verdict::Interrupted),
        (0, 0) if !mistrusted.is_empty() => Ok(Verdict::Inconclusive),
        (0, 0) => Ok(Verdict::Fine),
        (0, broken) => bail!("{broken} cells could not be measured: {}", reasons()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in
            [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1.5h", 5_400_000), ("60", 60_000), ("0.25", 250)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1", "0", "0ms", "nan", "inf", "1e300h", "1d", "ten", "1e-12ms"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
