//! Where a backend is judged. What is expected of it, and what is compared with it, stays in this process.

use std::time::Duration;

use crate::child::Program;

/// How long a child may take for one reply, unless another limit is given. The longest single pass of the checks takes seconds where nothing
/// is optimised; the limit stands still while this process is stopped.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where a backend computes while it is judged.
#[derive(Clone, Debug)]
pub enum Venue {
    /// In children of a program that has the same backends: whatever one does to its process, the verdict is ours.
    Children {
        /// What they run. It must come to serve under the verb [`VERB`](crate::child::VERB), as a program does whose `main` leads to
        /// [`main_with`](crate::cli::main_with).
        program: Program,
        /// How long a single reply may take.
        limit: Duration,
    },
    /// In this process, in a thread of its own. A backend that ends the process ends the judge; some checks cannot be made.
    ThisProcess,
}

impl Venue {
    /// Children of `program`.
    pub fn children_of(program: Program) -> Self {
        Venue::Children { program, limit: PATIENCE }
    }
}
