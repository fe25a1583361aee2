//! The hidden verb that `measure` starts its children with: one cell, on request. Not for people.

use crate::backend::Registry;
use crate::cmd::Verdict;
use crate::measure;

pub(crate) fn run(registry: &Registry) -> anyhow::Result<Verdict> {
    // A child that hangs must not outlive a parent that was killed.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    measure::serve(registry, std::io::stdin().lock(), std::io::stdout())?;
    Ok(Verdict::Fine)
}
