//! The hidden verb that `measure` starts its children with: one cell, on request. Not for people.

use anyhow::Context;

use crate::backend::Registry;
use crate::child::Channel;
use crate::cmd::Verdict;
use crate::measure;

pub(crate) fn run(registry: &Registry) -> anyhow::Result<Verdict> {
    let channel = Channel::of_child().context("this verb is for children of `measure`")?;
    measure::serve(registry, channel)?;
    Ok(Verdict::Fine)
}
