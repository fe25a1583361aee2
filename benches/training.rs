//! 25 training steps of both reference workloads on every backend, from the initial parameters each time:
//! `step/<backend>/<workload>-<scalar>-<threads>`. Gelem/s are GFLOP/s. How it is timed is in `common/cells.rs`.
//!
//! With `LAYERBENCH_FULL_TRAINING=1` in the environment also the course's whole 2,500 steps, `step-2500/...`: at least eleven
//! times through for each benchmark, which takes minutes on a fast backend and half an hour on a slow one. Filter.

#[path = "common/cells.rs"]
mod cells;
mod common;

use std::process::ExitCode;

use cells::{Cells, Iteration};
use layerbench::workload::Phase;

fn main() -> ExitCode {
    let mut cells = Cells::new();
    let mut criterion = common::criterion(10, 2);
    cells.bench(&mut criterion, "step", Iteration { phase: Phase::Step, passes: 25 });
    if std::env::var_os("LAYERBENCH_FULL_TRAINING").is_some_and(|value| value == "1") {
        cells.bench(&mut criterion, "step-2500", Iteration { phase: Phase::Step, passes: 2500 });
    }
    common::exit_code(cells.well())
}
