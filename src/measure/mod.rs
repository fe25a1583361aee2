//! How fast? Cells, measured children, rounds, records and statistics. What the numbers mean is decided in
//! [`compare`](crate::compare), and nothing is printed here.
//!
//! [`engine`] runs cells that compete, each in a child of the same executable (`child` is its side of the `protocol`, `process` the
//! parent's hold on it, beside `gauges` that read what the machine can do; `pairs` picks what is measured
//! more than once; [`record`] says what is left behind, [`journal`] keeps it in files, `schema2` reads those of before.

mod cell;
mod child;
#[cfg(feature = "criterion")]
pub mod criterion;
pub mod engine;
mod gauges;
mod job;
pub mod journal;
mod library;
mod order;
mod pairs;
mod process;
mod protocol;
mod quiet;
pub mod record;
mod schema2;
mod settings;
pub mod statistics;

pub use cell::{Cell, Filter, FirstLayer, cells, groups};
pub(crate) use child::serve;
pub use job::Job;
pub(crate) use pairs::{Earlier, Pairs};
pub(crate) use quiet::cpu_time;
pub use quiet::{QUIET_LIMIT, wait_until_quiet};
