//! `__gemm-probe`, hidden: a child of `doctor` that multiplies with OpenBLAS as its environment has it and answers in JSON.

use std::num::NonZeroUsize;

use anyhow::Context;

use crate::child::Channel;
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

pub(crate) fn run(args: &Args) -> anyhow::Result<Verdict> {
    let mut channel = Channel::of_child().context("this verb is for children of `doctor`")?;
    let answer = if args.check { probe::check(args.threads)? } else { probe::time(args.threads)? };
    channel.send(&answer, &[])?;
    Ok(Verdict::Fine)
}
