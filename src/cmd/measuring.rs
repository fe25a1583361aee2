//! What `measure` and the main job share: running groups of cells with a progress display. Records are the callers'.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::measure::engine::{Event, Finished, Measurer, Settings, echoes};
use crate::measure::record::{CellRecord, Outcome, SCHEMA, Tool};
use crate::measure::{Cell, groups};

/// One run of the engine over cells.
pub(crate) struct Run<'a> {
    pub settings: Settings,
    /// [`Machine::id`](crate::measure::record::Machine::id) of this machine.
    pub machine: &'a str,
    /// Measure cells of earlier groups once more, so that two runs can be compared.
    pub echoes: bool,
    /// Show each finished cell on standard error where it is no terminal.
    pub lines: bool,
}

impl Run<'_> {
    /// Measures `cells`, handing each record to `keep` as soon as it is final. Answers how many cells the deadline left unmeasured.
    pub(crate) fn measure(
        self,
        cells: &[Cell],
        keep: &mut dyn FnMut(CellRecord) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let command = command();
        let cold_cache = self.settings.flush_bytes.is_some();
        let mut measurer = Measurer::new(self.settings);
        let echoes = if self.echoes { echoes(groups(cells).count()) } else { 0 };
        // Of each group that is through, what can be measured.
        let mut earlier: Vec<Vec<&Cell>> = Vec::new();
        let bar = if std::io::stderr().is_terminal() {
            let units =
                |(turn, group): (usize, &[Cell])| measurer.units(group.len(), if turn > 0 { echoes } else { 0 });
            ProgressBar::new(groups(cells).enumerate().map(units).sum())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(ProgressStyle::with_template("{bar:30} {percent:>3}%, {eta} left  {msg}")?);
        let mut finished = 0;
        let mut unmeasured = 0;
        for (turn, group) in groups(cells).enumerate() {
            // The bar is drawn when something has happened, never by a clock: that would take time from whoever is sampled.
            let mut watch = |event: Event<'_>| match event {
                Event::Preparing(cell) => bar.set_message(cell.to_string()),
                Event::Done(units) => bar.inc(units),
            };
            let echoes: Vec<&Cell> = (0..echoes).filter_map(|echo| echo_of(&earlier, turn + echo)).collect();
            let mut broken = Vec::new();
            let mut sink = |finished_cell: Finished| {
                let Finished { cell, twin, rounds_started_unix_ms, outcome } = finished_cell;
                let line = match &outcome {
                    Outcome::Measured(_) => format!("done    {cell}"),
                    Outcome::Failed(failure) => {
                        format!("FAILED  {cell}: {}: {}", failure.cause.name(), failure.message)
                    }
                };
                if matches!(outcome, Outcome::Failed(_)) {
                    broken.push(cell.to_string());
                }
                keep(CellRecord {
                    schema: SCHEMA,
                    cell,
                    twin,
                    cold_cache,
                    machine: self.machine.to_owned(),
                    tool: Tool::this(),
                    command: command.clone(),
                    rounds_started_unix_ms,
                    outcome,
                })?;
                if !twin {
                    finished += 1;
                    if self.lines && bar.is_hidden() {
                        eprintln!("{finished:>4}/{} {line}", cells.len());
                    }
                }
                Ok(())
            };
            if !measurer.measure::<anyhow::Error>(group, &echoes, turn, &mut sink, &mut watch)? {
                unmeasured = cells.len() - finished;
                break;
            }
            earlier.push(group.iter().filter(|cell| !broken.contains(&cell.to_string())).collect());
        }
        bar.finish_and_clear();
        Ok(unmeasured)
    }
}

/// A cell of a group that is over: not always the last one, so that both short and long times lie between.
fn echo_of<'a>(earlier: &[Vec<&'a Cell>], turn: usize) -> Option<&'a Cell> {
    let group = earlier.get(turn / 2 % earlier.len().max(1))?;
    group.get(turn % group.len().max(1)).copied()
}

/// The command line as typed, without the folder of the program: where it lies tells nothing and may tell too much.
fn command() -> Vec<String> {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name).map(ToOwned::to_owned);
    name.into_iter().chain(words).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The executable that answers to this command line: this one.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the program's own file, which measured children run")
}

/// Parses a positive number of seconds.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|&seconds| seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a positive number of seconds".into())
}

/// The instant after which no sample begins.
pub(crate) fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}
