//! `__gemm-probe`, hidden: a child of `doctor` that multiplies with OpenBLAS as its environment has it and answers in JSON.

use std::io::Write;
use std::num::NonZeroUsize;

use crate::cmd::Verdict;
use crate::doctor::probe;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    threads: NonZeroUsize,
    /// Checks results instead of timing them
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let answer = if args.check { probe::check(args.threads)? } else { probe::time(args.threads)? };
    writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    Ok(Verdict::Fine)
}
