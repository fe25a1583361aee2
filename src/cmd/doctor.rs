//! `doctor`: what will really run, and what stands in its way. Changes nothing.

use std::io::Write;
use std::process::Command;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::child::Program;
use crate::cmd::{Format, Verdict};
use crate::{doctor, report};

/// The hidden verb of the children that multiply.
pub(crate) const PROBE: &str = "__gemm-probe";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leaves out the runs of BLAS kernels and most of the roofline
    #[arg(long)]
    quick: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    let this = Program::own().context("cannot find this executable, which tries kernels in children of itself")?;
    let child = || this.command(&[PROBE]);
    let child: Option<&dyn Fn() -> Command> = if args.quick { None } else { Some(&child) };
    let found = doctor::examine(child, &mut |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    });
    bar.finish_and_clear();
    match args.format {
        Format::Text => write!(out, "{}", report::doctor(&found))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?,
    }
    Ok(if found.is_wrong() { Verdict::Incorrect } else { Verdict::Fine })
}
