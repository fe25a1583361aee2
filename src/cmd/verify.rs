//! `verify`: holds backends against the checks and fixtures, and reports as text, JSON or JUnit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::backend::Registry;
use crate::cmd::output::Output;
use crate::cmd::{Verdict, chosen};
use crate::error::{Error, Result};
use crate::report::verification::{Verification, line};
use crate::scalar::ScalarKind;
use crate::verify::cases::{Depth, Shape};
use crate::verify::checks::Tier;
use crate::verify::{Outcome, Status, Suite, faults, fixture, golden};

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
    /// Only this kind of check; may be given several times [default: all]
    #[arg(long = "tier", value_name = "TIER")]
    tiers: Vec<Tier>,
    /// Only this check (`list` names them) or fixture case; may be given several times [default: all]
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Only this thread count; may be given several times [default: 1, 2, all cores, and 7]
    #[arg(long, value_name = "N")]
    threads: Vec<NonZeroUsize>,
    /// Only this shape: units x inputs x examples [default: the table of the depth]
    #[arg(long, value_name = "7x33x209")]
    shape: Option<Shape>,
    /// Only this seed [default: the seeds of the depth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..1 << 20))]
    seed: Option<u32>,
    /// Fewer shapes, one seed, one and all threads: seconds
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every small shape, more seeds, whole training curves: minutes
    #[arg(long)]
    full: bool,
    /// Fail where this backend is unavailable or was left out of the build; may be given several times
    #[arg(long = "require", value_name = "NAME")]
    required: Vec<String>,
    /// The proof that checks can fail: which of them catch each seeded bug; exit code 1 where one that must does not
    #[arg(long, conflicts_with_all = ["backends", "fixtures", "scalar", "tiers", "checks", "threads", "shape", "seed", "quick", "full", "required", "format", "output"])]
    faults: bool,
    /// What the report is written as
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the report to this file, and text to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Junit,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    if args.faults {
        return fault_table(out);
    }
    let entries = chosen(registry, &args.backends)?;
    let missing = missing(args, registry)?;
    let suite = suite(args)?;
    // Found writable now and made at the end: nothing lies about in between.
    args.output.as_deref().map(|path| Output::create(path, 0)).transpose()?;
    // Where the report goes to standard output in another format, text must not.
    let as_text = args.format == Format::Text || args.output.is_some();
    let mut report = Verification {
        depth: suite.depth,
        program: program(),
        flags: args.fixtures.iter().map(|path| format!(" --fixtures {}", for_a_shell(path))).collect(),
        outcomes: Vec::new(),
    };

    let mut written = Ok(());
    let mut text = String::new();
    let mut take = |report: &mut Verification, outcome: Outcome| {
        let line = line(&outcome, &report.command(&outcome));
        if as_text && written.is_ok() {
            written = out.write_all(line.as_bytes());
        }
        text += &line;
        report.outcomes.push(outcome);
    };
    for entry in entries {
        for &scalar in ScalarKind::ALL.iter().filter(|&&scalar| args.scalar.is_none_or(|only| only == scalar)) {
            suite.run(entry, scalar, &mut |mut outcome| {
                if args.required.iter().any(|name| name == entry.name()) {
                    require(&mut outcome);
                }
                take(&mut report, outcome);
            });
        }
    }
    for outcome in missing {
        take(&mut report, outcome);
    }
    written?;
    if as_text {
        write!(out, "{report}")?;
    }
    let whole = match args.format {
        Format::Text => format!("{text}{report}"),
        Format::Json => report.to_json(),
        Format::Junit => report.to_junit()?,
    };
    match &args.output {
        // Before any exit code: a gate reads the report of a failure.
        Some(path) => Output::create(path, whole.len() as u64)?.write(whole.as_bytes())?,
        None if !as_text => out.write_all(whole.as_bytes())?,
        None => {}
    }

    let totals = report.totals();
    if totals.failed > 0 {
        return Ok(Verdict::Incorrect);
    }
    if totals.passed == 0 || totals.executed == 0 {
        out.flush()?;
        bail!("nothing was checked: no check passed on any backend");
    }
    Ok(Verdict::Fine)
}

/// A line for each fault, then the checks that alone catch some.
fn fault_table(out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::Fine;
    let mut only = BTreeMap::<String, Vec<&str>>::new();
    writeln!(out, "{:<32} {:<9} {:<6} caught by (named in advance: *)", "fault", "site", "caught")?;
    let faults = faults::catalogue();
    for fault in &faults {
        let caught = fault.caught(&[]);
        let missed: Vec<_> = fault.caught_by.iter().filter(|name| !caught.iter().any(|c| c == *name)).collect();
        let star =
            |name: &String| if fault.caught_by.contains(&name.as_str()) { format!("*{name}") } else { name.clone() };
        let list: Vec<_> = caught.iter().map(star).collect();
        writeln!(out, "{:<32} {:<9} {:<6} {}", fault.name, fault.site, caught.len(), list.join(" "))?;
        if !missed.is_empty() {
            verdict = Verdict::Incorrect;
            writeln!(out, "{:<32} NOT CAUGHT by {missed:?}", "")?;
        }
        if let [alone] = &caught[..] {
            only.entry(alone.clone()).or_default().push(fault.name);
        }
        out.flush()?;
    }
    writeln!(out, "\nchecks that alone catch a fault")?;
    for (check, names) in only {
        writeln!(out, "{check:<32} {}", names.join(" "))?;
    }
    let mut alarms = 0;
    for scalar in ScalarKind::ALL {
        Suite::new(Depth::Quick)
            .run(&faults::control(), scalar, &mut |outcome| alarms += usize::from(outcome.failed()));
    }
    writeln!(out, "\n{} faults; the same code without one: {alarms} alarms", faults.len())?;
    Ok(if alarms == 0 { verdict } else { Verdict::Incorrect })
}

fn suite(args: &Args) -> anyhow::Result<Suite> {
    let depth = match (args.quick, args.full) {
        (true, _) => Depth::Quick,
        (_, true) => Depth::Full,
        _ => Depth::Normal,
    };
    let mut suite = Suite {
        tiers: args.tiers.clone(),
        checks: args.checks.clone(),
        shape: args.shape,
        seed: args.seed,
        threads: args.threads.clone(),
        ..Suite::new(depth)
    };
    if !args.fixtures.is_empty() {
        suite.fixtures = read_all(&args.fixtures)?;
    }
    suite.expect_known_names()?;
    Ok(suite)
}

/// Backends that this build was made without: unavailable where all are verified, a failure where one is required.
fn missing(args: &Args, registry: &Registry) -> Result<Vec<Outcome>> {
    let left_out = registry.left_out();
    for name in &args.required {
        if left_out.iter().all(|(known, _)| known != name) {
            registry.get(name)?;
        }
    }
    let is_named = |name: &str| args.required.iter().any(|required| required == name);
    let shown = left_out.into_iter().filter(|(name, _)| args.backends.is_empty() || is_named(name));
    Ok(shown
        .map(|(name, reason)| {
            let mut outcome = Outcome::of_left_out(name, reason);
            if is_named(name) {
                require(&mut outcome);
            }
            outcome
        })
        .collect())
}

/// Makes being unavailable a failure.
fn require(outcome: &mut Outcome) {
    if let Status::Unavailable(reason) = &outcome.status {
        outcome.status = Status::Failed(Some(format!("it is required, and unavailable: {reason}")));
    }
}

/// The name by which the user called this program.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_stem().map_or("layerbench".into(), |name| name.to_string_lossy().into_owned())
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<golden::Case>, Error> {
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

/// A path as one word of a command line.
fn for_a_shell(path: &Path) -> String {
    let path = path.display().to_string();
    // A path has no NUL, which alone cannot be quoted.
    shlex::try_quote(&path).map_or_else(|_| path.clone(), Cow::into_owned)
}
