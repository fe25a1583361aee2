//! How fast? Times the phases of a workload on open engines, in this process, interleaved. Nothing is judged or printed here.
//!
//! Measured is what passed verification; the callers see to that.

#[cfg(feature = "criterion")]
pub mod criterion;
mod job;
mod quiet;
mod rounds;
pub mod statistics;

pub use job::Job;
pub use quiet::wait_until_quiet;
pub use rounds::{Contender, Plan, run};
