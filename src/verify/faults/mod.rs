//! The proof that verification can fail: a catalogue of seeded bugs, each of which checks named in advance must catch.
//!
//! All bugs sit in one plain backend, at the place where such a bug would be made; without a bug the same code passes everything.
//! No bug is meant to be hit by chance: what is racy is forced by a barrier or a moment's sleep, what depends on the thread count is run on
//! two.
//!
//! Two checks have no bug here. `memory_inputs`: safe code cannot change an input, only a foreign library can; to do it here would be
//! undefined behaviour in our own. `t5_cat_curve` needs pictures that are not part of the project, and what it would catch,
//! `t5_trajectory` does.

mod backend;
mod bug;
mod kernel;
mod layer;
mod process;

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::cases::Depth;
use super::{Outcome, Suite, Venue};
use crate::backend::Entry;
use crate::scalar::ScalarKind;
use backend::Faulty;
use bug::{BUGS, Bug};

/// The level at which a bug is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// In a matrix product.
    Kernel,
    /// In a layer's passes.
    Layer,
    /// In what an engine shares or binds.
    Engine,
    /// In what a backend opens.
    Registry,
    /// In what becomes of the process.
    Process,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Site::Kernel => "kernel",
            Site::Layer => "layer",
            Site::Engine => "engine",
            Site::Registry => "registry",
            Site::Process => "process",
        })
    }
}

/// How long an answer of a backend may take that is known to give none.
const HANGING: Duration = Duration::from_secs(3);

/// The variable of the environment in which a child of this program has the catalogue's backends too.
pub const VARIABLE: &str = "LAYERBENCH_FAULTS";

/// The seed of the shapes that the catalogue's checks draw: what must be caught must not depend on luck.
const DRAW: u32 = 1;

/// A seeded bug.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its name.
    pub name: &'static str,
    /// Where it is made.
    pub site: Site,
    /// What is wrong.
    pub what: &'static str,
    /// The checks that must catch it, each of them.
    pub caught_by: &'static [&'static str],
    bug: Bug,
}

impl Fault {
    /// The backend that has it.
    pub fn entry(&self) -> Entry {
        Entry::both(Faulty { bug: self.bug, name: self.name })
    }

    /// Runs checks on it on `venue` (all where `checks` is empty, without fixtures) and returns the names of those that fail in either scalar
    /// type. Once all that are asked for have failed, the other type is left out.
    pub fn caught(&self, venue: &Venue, checks: &[&str]) -> Vec<String> {
        let venue = match venue {
            Venue::Children { program, limit } => {
                let hangs = matches!(self.bug, Bug::Deadlock | Bug::NestedDeadlock);
                let limit = if hangs { HANGING.min(*limit) } else { *limit };
                Venue::Children { program: program.clone().with_variable(VARIABLE, "1"), limit }
            }
            Venue::ThisProcess => Venue::ThisProcess,
        };
        let suite = Suite {
            checks: checks.iter().map(ToString::to_string).collect(),
            threads: (1..=3).filter_map(NonZeroUsize::new).collect(),
            fixtures: Vec::new(),
            draw: DRAW,
            ..Suite::new(Depth::Quick)
        };
        let mut caught: Vec<String> = Vec::new();
        for scalar in ScalarKind::ALL {
            if !checks.is_empty() && checks.iter().all(|check| caught.iter().any(|name| name == check)) {
                break;
            }
            suite.run(&venue, &self.entry(), scalar, &mut |outcome: Outcome| {
                if outcome.failed() && !caught.contains(&outcome.check) {
                    caught.push(outcome.check);
                }
            });
        }
        caught
    }
}

/// Every seeded bug.
pub fn catalogue() -> Vec<Fault> {
    let fault = |&(bug, name, site, caught_by, what)| Fault { name, site, what, caught_by, bug };
    let has_a_mode = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    let is_here = |bug: Bug| has_a_mode || !matches!(bug, Bug::FlushLeftOn | Bug::FlushLarge);
    BUGS.iter().filter(|(bug, ..)| is_here(*bug)).map(fault).collect()
}

/// The backend of the catalogue without a bug: it must pass everything.
pub fn control() -> Entry {
    Entry::both(Faulty { bug: Bug::None, name: "no_fault" })
}

/// The same, but that it prints without end: what it prints is in nobody's way, and no fault.
pub fn chatty() -> Entry {
    Entry::both(Faulty { bug: Bug::Chatty, name: "chatty" })
}
