//! The hidden verb of children that compute: they are checked or timed, as the parent's requests have it. Not for people.

use anyhow::Context;

use crate::backend::Registry;
use crate::child::Channel;
use crate::cmd::Verdict;
use crate::measure;
use crate::verify::faults;

pub(crate) fn run(registry: &Registry) -> anyhow::Result<Verdict> {
    let channel = Channel::of_child().context("this verb is for children of `verify` and `measure`")?;
    if std::env::var_os(faults::VARIABLE).is_some() {
        measure::serve(&with_faults(registry)?, channel)?;
    } else {
        measure::serve(registry, channel)?;
    }
    Ok(Verdict::Fine)
}

/// The backends of `registry` and, where their names are free, those of the fault catalogue.
fn with_faults(registry: &Registry) -> anyhow::Result<Registry> {
    let mut all = Registry::empty();
    registry.entries().iter().try_for_each(|entry| all.add(entry.clone()))?;
    let seeded = faults::catalogue().iter().map(faults::Fault::entry).collect::<Vec<_>>();
    for entry in seeded.into_iter().chain([faults::control(), faults::chatty()]) {
        if all.get(entry.name()).is_err() {
            all.add(entry)?;
        }
    }
    Ok(all)
}
