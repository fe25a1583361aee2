//! `list`: what there is. Measures and opens nothing.

use std::io::Write;

use crate::backend::Registry;
use crate::cmd::{Verdict, guarded};
use crate::layer::Dependency;
use crate::scalar::ScalarKind;
use crate::text::visible;
use crate::verify::checks;
use crate::workload::{Phase, Workload};

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let registry = &guarded(registry)?;
    writeln!(out, "backends")?;
    for entry in registry.entries() {
        let profile = entry.profile();
        let scalars: Vec<_> = ScalarKind::ALL.iter().filter(|&&s| entry.supports(s)).map(ToString::to_string).collect();
        let threads = if profile.parallel { "any threads" } else { "1 thread" };
        let needs = match &profile.dependency {
            // Cargo has brought it.
            Dependency::None | Dependency::Crate(_) => String::new(),
            needed => format!("; needs {needed}"),
        };
        write!(out, "  {:<12} {}; {}, {threads}{needs}", visible(entry.name()), profile.summary, scalars.join(" "))?;
        match entry.available() {
            Ok(()) => writeln!(out)?,
            Err(reason) => writeln!(out, "\n  {:<12} UNAVAILABLE: {reason}", "")?,
        }
    }
    for (name, reason) in registry.left_out() {
        writeln!(out, "  {name:<12} UNAVAILABLE: {reason}")?;
    }
    writeln!(out, "\nworkloads")?;
    for workload in Workload::embedded() {
        let step = workload.flops(Phase::Step) / 1e6;
        let Workload { name, architecture, init, batch, .. } = workload;
        writeln!(
            out,
            "  {name:<12} layers {architecture}, {batch} examples, initial weights {init}; {step:.1} MFLOP a training step"
        )?;
    }
    writeln!(out, "\nchecks (beside the fixture cases, tier t2)")?;
    for check in checks::all() {
        writeln!(out, "  {:<24} {}", check.name, check.demand)?;
    }
    Ok(Verdict::Fine)
}
