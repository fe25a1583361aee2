//! `measure`: times cells into records, each in a child of its own. Verifies first, resumes where it was stopped.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use regex_lite::Regex;

use crate::backend::Registry;
use crate::cmd::interrupt::Interrupt;
use crate::cmd::measuring::{Run, deadline, parse_time, program, verdict};
use crate::cmd::paths::{Paths, is_own_descriptor};
use crate::cmd::{Verdict, cores, expect_sane_threads, guarded, tell};
use crate::compare::Results;
use crate::layer::FirstLayer;
use crate::machine::{Depth, Facts, Roofline};
use crate::measure::engine::Settings;
use crate::measure::journal::Journal;
use crate::measure::record::{CellRecord, Child, Host, Machine, Record};
use crate::measure::{Cell, Earlier, Filter, Suites, cells};
use crate::report::{self, Screen, TableFormat};
use crate::scalar::ScalarKind;
use crate::text::visible;
use crate::workload::Workload;
use crate::{doctor, machine, verify};

/// Which cells. Expressions are searched for in the text; `^` and `$` pin them to its ends. Each option may be given several times
/// and then takes what fits one of them; different options must all fit.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// Cells whose id, <phase>/<backend>[+way]/<workload>-<scalar>-<threads>, fits
    #[arg(short, long, value_name = "REGEX")]
    filter: Vec<Regex>,
    /// Backends whose name fits
    #[arg(short, long = "backend", short_alias = 'e', alias = "engine", value_name = "REGEX")]
    backends: Vec<Regex>,
    /// Phases (forward, backward, step, train) whose name fits
    #[arg(short = 'm', long = "phase", alias = "model", value_name = "REGEX")]
    phases: Vec<Regex>,
    /// Workloads whose name fits; for `measure` also a TOML file of workloads (docs/workloads.md), in place of the embedded ones
    #[arg(short, long, alias = "workload", value_name = "REGEX")]
    workloads: Vec<Workloads>,
    /// Scalar types
    #[arg(short, long)]
    scalar: Vec<ScalarKind>,
    /// Thread counts [default: all there are; for `measure` 1, and all cores where the backend can use them]
    #[arg(short, long, value_name = "N")]
    threads: Vec<NonZeroUsize>,
    /// Ways of the first layer in `step` and `train` [default: all there are; for `measure` plain]
    #[arg(long, value_name = "WAY")]
    first_layer: Vec<FirstLayer>,
}

/// Workloads on a command line: those of a file, or some by name.
#[derive(Clone, Debug)]
pub(crate) enum Workloads {
    File(PathBuf),
    Named(Regex),
}

impl std::str::FromStr for Workloads {
    type Err = String;

    /// What ends as TOML files do is one, and so is what has a slash, which no name has.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.ends_with(".toml") || text.contains('/') {
            return Ok(Workloads::File(text.into()));
        }
        Regex::new(text).map(Workloads::Named).map_err(|error| error.to_string())
    }
}

impl Workloads {
    fn named(&self) -> Option<&Regex> {
        match self {
            Workloads::Named(name) => Some(name),
            Workloads::File(_) => None,
        }
    }
}

/// As long as a sample may be.
fn parse_sample(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_secs(60);
    let sample = parse_time(text)?;
    if (SHORTEST..=LONGEST).contains(&sample) { Ok(sample) } else { Err("expected 1ms to 60s".into()) }
}

impl Selection {
    /// Files of workloads.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let file = |workloads: &Workloads| match workloads {
            Workloads::File(path) => Some(path.clone()),
            Workloads::Named(_) => None,
        };
        self.workloads.iter().filter_map(file).collect()
    }

    /// For verbs that read records: these have their workloads in them.
    pub(crate) fn expect_no_files(&self) -> anyhow::Result<()> {
        match self.files().first() {
            Some(path) => {
                bail!("{}: records have their workloads in them; select some by name", visible(path.display()))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter {
            ids: self.filter.clone(),
            backends: self.backends.clone(),
            phases: self.phases.clone(),
            workloads: self.workloads.iter().filter_map(Workloads::named).cloned().collect(),
            scalars: self.scalar.clone(),
            threads: self.threads.clone(),
            first_layers: self.first_layer.clone(),
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Show which cells would be measured, and measure nothing
    #[arg(long)]
    list: bool,
    /// The record file; cells that are in it already are not measured again. Ctrl-C ends the run after the current sample
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
    /// What this machine is called in the records: cells of another node are another machine's, be it equal [default: LAYERBENCH_NODE from the
    /// environment, otherwise the host's name]
    #[arg(long, value_name = "NAME", value_parser = parse_node)]
    node: Option<String>,
    /// Measure cells again that failed
    #[arg(long)]
    retry_errors: bool,
    /// Samples of each cell; six or more give an interval
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rounds: u16,
    /// How long a sample should take; passes are repeated to fill it
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_sample)]
    sample: Duration,
    /// The same in milliseconds, as it was called
    #[arg(long, hide = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000), conflicts_with = "sample")]
    sample_ms: Option<u64>,
    /// Samples are one pass each, with caches flushed before
    #[arg(long)]
    cold_cache: bool,
    /// How long a child may take to get ready, or for a sample, before it is killed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    timeout: Duration,
    /// Stop after this time; run again with the same output to go on
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    max_time: Option<Duration>,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write, screen: Screen) -> anyhow::Result<Verdict> {
    let deadline = deadline(args.max_time);
    args.selection.threads.iter().try_for_each(|&threads| expect_sane_threads(threads))?;
    let files = args.selection.files();
    let workloads = workloads(&files)?;
    let registry = &guarded(registry)?;
    let wanted = cells(registry, &workloads, &args.selection.filter(), cores());
    if wanted.is_empty() {
        // What used to be read as a file, and has the look of a name.
        let file = args
            .selection
            .workloads
            .iter()
            .filter_map(Workloads::named)
            .find(|name| Path::new(name.as_str()).is_file());
        let hint = file.map_or(String::new(), |name| format!("; the file of that name is `-w ./{name}`"));
        bail!("no cell fits the filters; `measure --list` without them shows all there are{hint}");
    }
    let Some(path) = args.output.as_deref().filter(|_| !args.list) else {
        for cell in &wanted {
            writeln!(out, "{cell}")?;
        }
        return Ok(Verdict::Fine);
    };

    let node = node(args.node.as_deref())?;
    Paths::default().reads("--workloads", &files).writes("--output", [path]).check()?;
    if is_own_descriptor(path) {
        bail!("{}: the table goes there too; name a file for the records", path.display());
    }
    let (mut journal, mut records) = Journal::open(path)?;
    if journal.torn() > 0 {
        tell!(
            "note: the last line of {} was torn, as a killed run leaves it; its {} bytes are cut off",
            visible(path.display()),
            journal.torn()
        );
    }
    let interrupt = Interrupt::watch()?;
    let facts = Facts::read();
    let id = Machine::id_of(&facts);
    let host = Host { machine: &id, node: &node };
    // Only where those that failed are measured again.
    let known = args.retry_errors.then(|| Results::new(records.clone()));
    let is_error = |record: &CellRecord| {
        known.as_ref().is_some_and(|known| record.measured().is_none() || known.wrong(record).is_some())
    };
    let is_there = |records: &[Record], cell: &Cell| {
        records.iter().any(|record| match record {
            Record::Cell(record) if is_error(record) => false,
            Record::Cell(record) => record.child == Child::First && record.is_of(cell, args.cold_cache, host),
            _ => false,
        })
    };
    let missing: Vec<Cell> = wanted.iter().filter(|cell| !is_there(&records, cell)).cloned().collect();
    if missing.len() < wanted.len() {
        tell!("{} of {} cells are in {} already", wanted.len() - missing.len(), wanted.len(), visible(path.display()));
    }
    if let Some(other) = other_node(&records, &missing, args.cold_cache, host) {
        tell!(
            "note: {} has such cells of node `{}`, which is like this one, `{node}`; `--node` with that name takes them for this one's",
            visible(path.display()),
            visible(other)
        );
    }
    let is_ours = |record: &CellRecord| record.is_of(&record.cell, args.cold_cache, host);
    // A run that was stopped between its last cells and their echoes lacks these only: of the cells that are asked for.
    let mut earlier = Earlier::of(&records, is_ours);
    if missing.is_empty() {
        earlier.retain(|cell| wanted.contains(cell));
    }
    if missing.is_empty() && earlier.lacks_echoes() {
        tell!("some were to be measured once more at other times, and the run was stopped before: making up for that");
    }
    if !missing.is_empty() || earlier.lacks_echoes() {
        let mut keep = |new: Vec<Record>| -> anyhow::Result<()> {
            journal.append(&new)?;
            records.extend(new);
            Ok(())
        };
        let mut counts: Vec<usize> = missing.iter().map(|cell| cell.threads.get()).collect();
        counts.sort_unstable();
        counts.dedup();
        // More threads than cores have no peak of their own.
        counts.retain(|&count| count <= cores().get());
        let flush_bytes = args.cold_cache.then(|| flush_bytes(&facts));
        // Echoes alone are held against no limit.
        let roofline = if missing.is_empty() {
            Roofline::default()
        } else {
            tell!("measuring what this machine can do");
            Roofline::measure(&counts, Depth::Full, &mut |_| {})
        };
        let found = doctor::of(facts, roofline, None, &mut |_| {});
        for told in &found.warnings {
            tell!("warning: {}\n         -> {}", told.message, told.hint);
        }
        let machine = Machine::new(node.clone(), found.machine, found.roofline);
        keep(vec![Record::Machine(machine.clone())])?;
        let settings = Settings {
            judge: Arc::new(Suites::new(
                registry,
                verify::Venue::Children { program: program()?, limit: args.timeout },
                interrupt.flag(),
            )),
            program: program()?,
            rounds: args.rounds.into(),
            sample: args.sample_ms.map_or(args.sample, Duration::from_millis),
            timeout: args.timeout,
            flush_bytes,
            deadline,
            stop: interrupt.flag(),
        };
        let run = Run { settings, machine: &machine, earlier: Some(earlier), lines: true };
        let unmeasured = run.measure(&missing, &mut keep)?;
        if unmeasured > 0 {
            let why = if interrupt.asked() { "interrupted" } else { "out of time" };
            tell!("{why}: {unmeasured} cells are left; run the same command again to go on");
        }
    }

    // A cell may stand there once more, of another program or environment.
    records.retain(|record| !matches!(record, Record::Cell(record) if !is_ours(record)));
    let mut results = Results::new(records);
    results.retain(|record| wanted.iter().any(|cell| record.is_of(cell, args.cold_cache, host)));
    write!(out, "{}", TableFormat::Text.render(&report::cells(&results), screen))?;
    write!(out, "{}", report::above_the_limit(&results))?;
    let share = |record| results.summary(record).map_or(1.0, |summary| summary.busy_threads);
    let disturbed = results.cells().iter().filter(|record| record.cell.threads.get() == 1 && share(record) < OWN_CORE);
    let disturbed = disturbed.count();
    if disturbed > 0 {
        let why = match Facts::read().cores.quota.filter(|&quota| quota < 1.0) {
            Some(quota) => format!("the control group's quota is {quota:.2} cores"),
            None => "other programs took the rest".to_owned(),
        };
        tell!("warning: {disturbed} cells on one thread had less than {:.0}% of a core: {why}", 100.0 * OWN_CORE);
    }
    let broken = "the last column says why, --retry-errors tries again";
    verdict(&results, interrupt.asked(), || broken.into())
}

/// Another node of this class whose cells would be there if it was this one.
fn other_node<'a>(records: &'a [Record], missing: &[Cell], cold_cache: bool, host: Host<'_>) -> Option<&'a str> {
    let others = records.iter().filter_map(|record| match record {
        Record::Cell(record) if record.machine == host.machine && record.node != host.node => Some(record),
        _ => None,
    });
    let is_missing = |record: &&CellRecord| missing.iter().any(|cell| record.is_of(cell, cold_cache, record.host()));
    others.filter(|record| record.measured().is_some()).find(is_missing).map(|record| record.node.as_str())
}

/// The name that was given, or the environment's, or the host's.
fn node(given: Option<&str>) -> anyhow::Result<String> {
    if let Some(name) = given {
        return Ok(name.to_owned());
    }
    match std::env::var_os(NODE).filter(|name| !name.is_empty()) {
        Some(name) => parse_node(&name.to_string_lossy()).map_err(|problem| anyhow!("{NODE}: {problem}")),
        None => {
            machine::node().ok_or_else(|| anyhow!("the system has no name for this machine; give it one with --node"))
        }
    }
}

/// The environment's variable that names this machine.
const NODE: &str = "LAYERBENCH_NODE";

fn parse_node(text: &str) -> Result<String, String> {
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err(format!(
            "a node's name is `{}`; expected some characters, and no control characters",
            text.escape_debug()
        )),
        false => Ok(text.to_owned()),
    }
}

/// A thread that has less of a core than this shares it.
const OWN_CORE: f64 = 0.9;

/// The workloads of the files, or the embedded ones.
fn workloads(files: &[PathBuf]) -> anyhow::Result<Vec<Workload>> {
    if files.is_empty() {
        return Ok(Workload::embedded());
    }
    let mut workloads: Vec<Workload> = Vec::new();
    for path in files {
        for workload in Workload::read(path)? {
            if workloads.iter().any(|other| other.name == workload.name) {
                bail!(
                    "{}: workload `{}` is in an earlier file too; give one of them another name",
                    path.display(),
                    workload.name
                );
            }
            workloads.push(workload);
        }
    }
    Ok(workloads)
}

/// Twice the largest cache, or this much where the system does not tell: writing that leaves nothing else there. The size may be reported too
/// large, which costs time; nothing is concluded from it.
fn flush_bytes(facts: &Facts) -> usize {
    const UNTOLD: u64 = 256 << 20;
    let largest = facts.caches.iter().map(|cache| cache.bytes).max();
    usize::try_from(2 * largest.unwrap_or(UNTOLD / 2)).unwrap_or(usize::MAX)
}
