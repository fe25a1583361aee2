//! No verb: the main job. Verifies every available backend, times the reference workload, prints the ranking.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use regex_lite::Regex;

use crate::backend::{Entry, Registry};
use crate::cmd::interrupt::Interrupt;
use crate::cmd::measuring::{Run, program, verdict};
use crate::cmd::{Verdict, chosen, cores, guarded};
use crate::compare::ranking::rank;
use crate::compare::{Kind, Results};
use crate::measure::engine::Settings;
use crate::measure::record::{Machine, Outcome as CellOutcome, Record};
use crate::measure::{Filter, Suites, cells};
use crate::report::Screen;
use crate::scalar::ScalarKind;
use crate::text::{visible, visible_lines};
use crate::verify::{Outcome, Status, Venue, fixture, verify};
use crate::workload::{Phase, Workload};
use crate::{doctor, report};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this backend; may be given several times [default: all]
    #[arg(long = "backend", value_name = "NAME")]
    backends: Vec<String>,
    /// The scalar type
    #[arg(long, default_value = "f64")]
    scalar: ScalarKind,
    /// How often each backend is measured; six or more give an interval
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write, screen: Screen) -> anyhow::Result<Verdict> {
    let registry = &guarded(registry)?;
    let entries = chosen(registry, &args.backends)?;
    let found = doctor::examine(None, &mut |_| {});
    write!(out, "{}", report::doctor_in_short(&found, args.scalar))?;
    out.flush()?;
    let venue = Venue::children_of(program()?);
    let (good, verdict) = verified(&entries, registry, &venue, args, out)?;
    if good.is_empty() {
        if verdict == Verdict::Fine {
            bail!("no backend is available in {}", args.scalar);
        }
        writeln!(out, "\nNo backend can be measured.")?;
        return Ok(verdict);
    }
    let measured = measure(&good, venue, found, args, out, screen);
    if verdict == Verdict::Fine { measured } else { verdict.despite(measured.map(drop)) }
}

/// Times what was verified, and says who is fastest.
fn measure(
    good: &[&Entry],
    venue: Venue,
    found: doctor::Report,
    args: &Args,
    out: &mut dyn Write,
    screen: Screen,
) -> anyhow::Result<Verdict> {
    let filter = Filter { phases: PHASES.map(pattern).into(), scalars: vec![args.scalar], ..Filter::default() };
    let mut measurable = Registry::empty();
    good.iter().copied().cloned().try_for_each(|entry| measurable.add(entry))?;
    let cells = cells(&measurable, &Workload::reference(), &filter, cores());

    // Nothing of this outlives the run: the node needs no name.
    let machine = Machine::new(String::new(), found.machine, found.roofline);
    writeln!(
        out,
        "\nmeasuring the reference workload: {} rounds in {} on synthetic pictures, 209 examples; median and share of the roofline\n",
        args.rounds, args.scalar
    )?;
    out.flush()?;
    let interrupt = Interrupt::watch()?;
    let judge = Suites::new(&measurable, venue, interrupt.flag());
    for entry in good {
        entry.thread_counts(cores()).into_iter().for_each(|count| judge.know(entry.name(), args.scalar, count));
    }
    let settings = Settings {
        program: program()?,
        judge: Arc::new(judge),
        rounds: args.rounds.into(),
        sample: SAMPLE,
        timeout: TIMEOUT,
        flush_bytes: None,
        deadline: None,
        stop: interrupt.flag(),
    };
    let mut records = Vec::new();
    Run { settings, machine: &machine, earlier: None, lines: false }.measure(&cells, &mut |new| {
        records.extend(new);
        Ok(())
    })?;
    records.insert(0, Record::Machine(machine));
    let results = Results::new(records);
    let rankings = rank(&results);
    let verdict = verdict(&results, interrupt.asked(), || failures(&results));
    let Some(overall) = rankings.first() else { return verdict };
    write!(out, "{}", report::overview(&results, overall, screen))?;
    write!(out, "{}", report::above_the_limit(&results))?;
    writeln!(out, "\n{}", report::noise(results.noise(Kind::Twins)))?;
    writeln!(out, "\n{}", report::sentence(overall, "this machine"))?;
    if verdict.as_ref().is_ok_and(|&verdict| verdict == Verdict::Incorrect) {
        writeln!(out, "\nwrong: {}", visible_lines(failures(&results)))?;
    }
    verdict
}

/// What is timed here; a whole training run would take minutes.
const PHASES: [Phase; 3] = [Phase::Forward, Phase::Backward, Phase::Step];
const SAMPLE: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(60);

/// Every cell that failed, with the reason.
fn failures(results: &Results) -> String {
    let failures = results.cells().iter().filter_map(|record| match &record.outcome {
        CellOutcome::Failed(failure) => Some(format!("{}: {}", record.cell, failure.message)),
        CellOutcome::Measured(_) => {
            results.wrong(record).map(|failure| format!("{}, in another process: {}", record.cell, failure.message))
        }
    });
    failures.collect::<Vec<_>>().join("; ")
}

fn pattern(phase: Phase) -> Regex {
    Regex::new(&format!("^{}$", phase.name())).expect("a phase's name is a word")
}

/// A line per backend. What failed a check is neither measured nor ranked.
fn verified<'a>(
    entries: &[&'a Entry],
    registry: &Registry,
    venue: &Venue,
    args: &Args,
    out: &mut dyn Write,
) -> anyhow::Result<(Vec<&'a Entry>, Verdict)> {
    let cases = fixture::embedded();
    let (mut good, mut verdict) = (Vec::new(), Verdict::Fine);
    writeln!(out, "\nverifying in {}: the quick suite, with {} fixture cases", args.scalar, cases.len())?;
    for &entry in entries {
        let counts = entry.thread_counts(cores());
        let mut outcomes: Vec<Outcome> = Vec::new();
        verify(entry, args.scalar, &counts, &cases, venue, &mut |outcome| outcomes.push(outcome));
        let passed = outcomes.iter().filter(|outcome| outcome.status == Status::Passed).count();
        let failures: Vec<_> = outcomes.iter().filter(|outcome| outcome.failed()).collect();
        let name = visible(entry.name());
        if let Some(first) = failures.first() {
            verdict = Verdict::Incorrect;
            writeln!(out, "  {:<11} {name:<10} {} of {}, not measured", "FAILED", failures.len(), outcomes.len())?;
            writeln!(out, "  {:<11} {:<10} {}: {}", "", "", first.check, visible(first.detail()))?;
        } else if passed < outcomes.len() {
            let reason = outcomes.iter().find(|outcome| outcome.status != Status::Passed).expect("not all passed");
            if matches!(reason.status, Status::Mistrusted(_)) && verdict == Verdict::Fine {
                verdict = Verdict::Inconclusive;
            }
            writeln!(out, "  {:<11} {name:<10} {}", reason.status, visible(reason.detail()))?;
        } else {
            let threads: Vec<_> = counts.iter().map(|count| report::threads(count.get())).collect();
            writeln!(out, "  {:<11} {name:<10} {passed} checks, on {}", "PASSED", threads.join(" and on "))?;
            good.push(entry);
        }
        out.flush()?;
    }
    if args.backends.is_empty() {
        for (name, reason) in registry.left_out() {
            writeln!(out, "  {:<11} {name:<10} {reason}", "UNAVAILABLE")?;
        }
    }
    Ok((good, verdict))
}
