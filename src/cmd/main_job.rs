//! No verb: the main job. Verifies every available backend, times the reference workload, prints the ranking.

use std::io::Write;
use std::num::NonZeroUsize;

use indicatif::{ProgressBar, ProgressStyle};

use crate::backend::{Entry, Registry};
use crate::cmd::{Verdict, chosen, cores};
use crate::measure::{self, Plan};
use crate::report;
use crate::scalar::ScalarKind;
use crate::verify::{Outcome, Status, fixture, verify};

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

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let entries = chosen(registry, &args.backends)?;
    let (good, verdict) = verified(&entries, registry, args, out)?;
    if good.is_empty() {
        writeln!(out, "\nNo backend can be measured.")?;
        return Ok(verdict);
    }
    let plan = Plan { rounds: args.rounds.into(), ..Plan::reference() };
    writeln!(
        out,
        "\nmeasuring the reference workload: {} rounds in {} on synthetic pictures, 209 examples; median and half the \
         interquartile range\n",
        plan.rounds, args.scalar
    )?;
    out.flush()?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} turns, {eta} left")?);
    let mut progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let contenders = match args.scalar {
        ScalarKind::F32 => measure::run::<f32>(&good, &plan, &mut progress)?,
        ScalarKind::F64 => measure::run::<f64>(&good, &plan, &mut progress)?,
    };
    bar.finish_and_clear();
    write!(out, "{}", report::ranking(&plan, &contenders))?;
    Ok(verdict)
}

type Measurable<'a> = Vec<(&'a Entry, Vec<NonZeroUsize>)>;

/// A line per backend. What failed a check is neither measured nor ranked.
fn verified<'a>(
    entries: &[&'a Entry],
    registry: &Registry,
    args: &Args,
    out: &mut dyn Write,
) -> anyhow::Result<(Measurable<'a>, Verdict)> {
    let cases = fixture::embedded();
    let (mut good, mut verdict) = (Vec::new(), Verdict::Fine);
    writeln!(out, "verifying in {}: {} fixture cases and the exact check", args.scalar, cases.len())?;
    for &entry in entries {
        let counts = entry.thread_counts(cores());
        let mut outcomes: Vec<Outcome> = Vec::new();
        verify(entry, args.scalar, &counts, &cases, &mut |outcome| outcomes.push(outcome));
        let passed = outcomes.iter().filter(|outcome| outcome.status == Status::Passed).count();
        let failures: Vec<_> = outcomes.iter().filter(|outcome| outcome.failed()).collect();
        let name = entry.name();
        if let Some(first) = failures.first() {
            verdict = Verdict::Incorrect;
            writeln!(out, "  {:<11} {name:<10} {} of {}, not measured", "FAILED", failures.len(), outcomes.len())?;
            writeln!(out, "  {:<11} {:<10} {}: {}", "", "", first.check, first.detail())?;
        } else if passed < outcomes.len() {
            let reason = &outcomes[0];
            writeln!(out, "  {:<11} {name:<10} {}", reason.status, reason.detail())?;
        } else {
            let threads: Vec<_> = counts.iter().map(|count| report::threads(count.get())).collect();
            writeln!(out, "  {:<11} {name:<10} {passed} checks, on {}", "PASSED", threads.join(" and on "))?;
            good.push((entry, counts));
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
