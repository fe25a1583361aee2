//! The forward pass of both reference workloads on every backend: `forward/<backend>/<workload-scalar-threads>`.
//! Gelem/s are GFLOP/s. How it is timed is in `common/cells.rs`.

#[path = "common/cells.rs"]
mod cells;
mod common;

use std::process::ExitCode;

use cells::{Cells, Iteration};
use layerbench::workload::Phase;

fn main() -> ExitCode {
    let mut cells = Cells::new();
    let pass = Iteration { phase: Phase::Forward, passes: 1 };
    cells.bench(&mut common::criterion(30, 2), "forward", pass);
    common::exit_code(cells.well())
}
