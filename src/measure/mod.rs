//! How fast? Cells, measured children, rounds, records and statistics. What the numbers mean is decided in
//! [`compare`](crate::compare), and nothing is printed here.
//!
//! [`engine`] runs cells that compete, each in a child of the same executable (`child` is its side of the `protocol`, `process` the
//! parent's hold on it, beside `gauges` that read what the machine can do; `pairs` picks what is measured
//! more than once), round by round (`race`); [`record`] says what is left behind, [`journal`] keeps it in files, `schema2` reads those of before.
//!
//! A child is not believed: `contender` takes its samples and holds the times that it states against what the parent sees (`clocks`),
//! passes find changed inputs (`change`), and what they gave (`sampling`, `results`) must come out again in a `replay`, or be right (`truth`).
//! All this is against carelessness, libraries with own clocks and remembered results; who writes into this program's memory is not stopped.
//!
//! ```
//! use layerbench::Registry;
//! use layerbench::measure::Job;
//! use layerbench::workload::{Phase, Workload};
//!
//! // A pass as a measured child makes it; the clock, the rounds and the judging are the engine's.
//! let workload = Workload::find("planar").expect("embedded");
//! let engine = Registry::builtin().open::<f64>("ndarray", 1)?;
//! let mut job = Job::new(&engine, &workload, Phase::Forward, workload.examples()?)?;
//! let time = job.run(1, 3)?;
//! println!("{:.3} GFLOP/s", 3.0 * workload.flops(Phase::Forward) / time.as_nanos() as f64);
//! # Ok::<(), layerbench::Error>(())
//! ```

mod cell;
mod change;
mod child;
mod clock;
mod clocks;
mod contender;
#[cfg(feature = "criterion")]
pub mod criterion;
pub mod engine;
mod gauges;
mod job;
pub mod journal;
mod judge;
mod library;
mod order;
mod pairs;
mod process;
mod protocol;
mod quiet;
mod race;
pub mod record;
mod replay;
mod results;
mod sampling;
mod schema2;
mod settings;
pub mod statistics;
mod truth;

pub use cell::{Cell, Filter, cells, contender_name, groups};
pub(crate) use child::serve;
pub use job::Job;
pub use judge::{Judge, Suites};
pub(crate) use pairs::{Earlier, Pairs};
pub(crate) use quiet::cpu_time;
pub use quiet::{QUIET_LIMIT, wait_until_quiet};
pub use race::{Contestant, Race};
