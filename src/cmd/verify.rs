//! `verify`: holds backends against the checks and fixtures, and reports as text, JSON or JUnit.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use crate::backend::Registry;
use crate::cmd::measuring::{parse_time, program};
use crate::cmd::output::Output;
use crate::cmd::paths::Paths;
use crate::cmd::{Verdict, chosen, expect_sane_threads, guarded, input, program_name, tell};
use crate::error::Result;
use crate::report::verification::{Totals, Verification, line};
use crate::scalar::ScalarKind;
use crate::text::{shell_option, visible};
use crate::verify::cases::{Depth, Shape};
use crate::verify::checks::Tier;
use crate::verify::dispute::dispute;
use crate::verify::{Outcome, Status, Suite, Venue, faults, fixture, golden};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this backend; may be given several times [default: all]
    #[arg(long = "backend", value_name = "NAME")]
    backends: Vec<String>,
    /// Run the cases of this fixture file, of a folder of them, or of standard input (`-`), and no checks but those of --tier; may be given
    /// several times [default: the embedded cases, and all checks]
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
    /// Only this thread count; may be given several times [default: 1, 2, 3, 4, 7, 8 and all cores]
    #[arg(long, value_name = "N")]
    threads: Vec<NonZeroUsize>,
    /// Only this shape: units x inputs x examples [default: the table of the depth]
    #[arg(long, value_name = "7x33x209")]
    shape: Option<Shape>,
    /// Only this seed [default: the seeds of the depth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..1 << 20))]
    seed: Option<u32>,
    /// Draw shapes from this seed, as a run before did [default: another in each run; it is printed]
    #[arg(long, value_name = "N")]
    draw: Option<u32>,
    /// Fewer shapes, one seed: seconds
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every small shape, more seeds, whole training curves: minutes
    #[arg(long)]
    full: bool,
    /// Fail where this backend is unavailable or was left out of the build; may be given several times
    #[arg(long = "require", value_name = "NAME")]
    required: Vec<String>,
    /// The proof that checks can fail: which of them catch each seeded bug; exit code 1 where one that must does not
    #[arg(long, conflicts_with_all = ["backends", "fixtures", "scalar", "tiers", "checks", "threads", "shape", "seed", "draw", "timeout", "quick", "full", "required", "format", "output"])]
    faults: bool,
    /// How long a backend's process may take for one answer; it is ended then, and the check has failed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    timeout: Duration,
    /// What the report is written as
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Write the report to this file, and text to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum ReportFormat {
    #[default]
    Text,
    Json,
    Junit,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    if args.faults {
        return fault_table(out);
    }
    let venue = Venue::Children { program: program()?, limit: args.timeout };
    let registry = &guarded(registry)?;
    let entries = chosen(registry, &args.backends)?;
    let missing = missing(args, registry)?;
    args.threads.iter().try_for_each(|&threads| expect_sane_threads(threads))?;
    let given = args.fixtures.iter().map(|path| input::file(path));
    Paths::default().reads("--fixtures", given).writes("--output", &args.output).check()?;
    // And those that are in folders.
    let (suite, files) = suite(args)?;
    Paths::default().reads("--fixtures", files).writes("--output", &args.output).check()?;
    let create = || args.output.as_deref().map(|path| Output::create(path, 0)).transpose();
    let mut output = create()?;
    // Where the report goes to standard output in another format, text must not.
    let as_text = args.format == ReportFormat::Text || args.output.is_some();
    let mut report = Verification {
        depth: suite.depth,
        draw: suite.draw,
        program: program_name(),
        flags: args.fixtures.iter().map(|path| shell_option("fixtures", path)).collect(),
        outcomes: Vec::new(),
        disputes: Vec::new(),
    };

    if output.as_ref().is_some_and(Output::is_file) {
        // Whatever becomes of this run, the report of one before it is not taken for its own.
        let unfinished = entries.iter().map(|entry| Outcome::of_unfinished(entry)).collect();
        let interim = Verification { outcomes: unfinished, ..report.clone() };
        let lines: String = interim.outcomes.iter().map(|outcome| line(outcome, &interim)).collect();
        write_whole(args, output, &interim, &lines, as_text, out)?;
        output = create()?;
    }
    let mut written = Ok(());
    let mut text = String::new();
    let mut take = |report: &mut Verification, outcome: Outcome| {
        let line = line(&outcome, report);
        if as_text && written.is_ok() {
            written = out.write_all(line.as_bytes());
        }
        text += &line;
        report.outcomes.push(outcome);
    };
    for entry in entries {
        for &scalar in ScalarKind::ALL.iter().filter(|&&scalar| args.scalar.is_none_or(|only| only == scalar)) {
            suite.run(&venue, entry, scalar, &mut |mut outcome| {
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
    report.disputes = suite.fixtures.iter().filter_map(|case| dispute(case, &report.outcomes)).collect();
    let shown =
        written.and_then(|()| if as_text { write!(out, "{report}") } else { Ok(()) }).and_then(|()| out.flush());
    let totals = report.totals();
    let verdict = match totals {
        Totals { failed: 1.., .. } => Verdict::Incorrect,
        Totals { mistrusted: 1.., .. } => Verdict::Inconclusive,
        _ => Verdict::Fine,
    };
    // Before any exit code: a gate reads the report of a failure. And where one cannot be written, the other is.
    let verdict =
        verdict.despite(write_whole(args, output, &report, &text, as_text, out))?.despite(shown.map_err(Into::into))?;
    if verdict == Verdict::Fine && (totals.passed == 0 || totals.executed == 0) {
        bail!("nothing was checked: no check passed on any backend");
    }
    Ok(verdict)
}

/// The report in one piece: to the file, or to standard output where text has not gone there already.
fn write_whole(
    args: &Args,
    output: Option<Output>,
    report: &Verification,
    lines: &str,
    as_text: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if output.is_none() && as_text {
        return Ok(());
    }
    let whole = match args.format {
        ReportFormat::Text => format!("{lines}{report}"),
        ReportFormat::Json => report.to_json(),
        ReportFormat::Junit => report.to_junit()?,
    };
    match output {
        Some(output) => output.write(whole.as_bytes()),
        None => Ok(out.write_all(whole.as_bytes())?),
    }
}

/// A line for each fault, then the checks that alone catch some.
fn fault_table(out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let venue = Venue::children_of(program()?.with_variable(faults::VARIABLE, "1"));
    let mut verdict = Verdict::Fine;
    let mut only = BTreeMap::<String, Vec<&str>>::new();
    writeln!(out, "{:<32} {:<9} {:<6} caught by (named in advance: *)", "fault", "site", "caught")?;
    let faults = faults::catalogue();
    for fault in &faults {
        let caught = fault.caught(&venue, &[]);
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
            .run(&venue, &faults::control(), scalar, &mut |outcome| alarms += usize::from(outcome.failed()));
    }
    writeln!(out, "\n{} faults; the same code without one: {alarms} alarms", faults.len())?;
    Ok(if alarms == 0 { verdict } else { Verdict::Incorrect })
}

/// What is run, and the fixture files that it was read from.
fn suite(args: &Args) -> anyhow::Result<(Suite, Vec<PathBuf>)> {
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
    suite.draw = args.draw.unwrap_or(suite.draw);
    let mut files = Vec::new();
    if !args.fixtures.is_empty() {
        (suite.fixtures, files) = read_all(&args.fixtures)?;
        // One's own cases alone; a tier that is named comes to them, and a check that is named is one by itself.
        let is_asked = args.checks.is_empty() || !args.tiers.is_empty();
        if is_asked && !suite.tiers.contains(&Tier::T2) {
            suite.tiers.push(Tier::T2);
        }
    }
    suite.expect_known_names()?;
    Ok((suite, files))
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

/// All cases, and the files that they are from. Names that several of the arguments use get the argument's before them: an outcome belongs to
/// one case.
fn read_all(paths: &[PathBuf]) -> anyhow::Result<(Vec<golden::Case>, Vec<PathBuf>)> {
    input::expect_one_stdin(paths)?;
    let (mut groups, mut files) = (Vec::new(), Vec::new());
    for path in paths {
        if input::is_stdin(path) {
            groups.push(fixture::parse_bytes(input::STDIN, input::read_stdin(fixture::MAX_BYTES)?)?);
            continue;
        }
        let found = fixture::read(path)?;
        for file in found.passed_over {
            tell!("note: {} has no `cases`: passed over", visible(file.display()));
        }
        groups.push(found.cases);
        files.extend(found.files);
    }
    let mut counts = BTreeMap::<String, usize>::new();
    groups.iter().flatten().for_each(|case| *counts.entry(case.name.clone()).or_default() += 1);
    for (cases, path) in groups.iter_mut().zip(paths) {
        for case in cases.iter_mut().filter(|case| counts[&case.name] > 1) {
            case.name = format!("{}: {}", input::name(path), case.name);
        }
    }
    Ok((groups.concat(), files))
}
