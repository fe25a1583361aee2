//! The backward pass of both reference workloads on every backend: `backward/<backend>/<workload-scalar-threads>`. The gradient
//! of the pixels is not computed. Gelem/s are GFLOP/s. How it is timed is in `common/cells.rs`.

#[path = "common/cells.rs"]
mod cells;
mod common;

use std::process::ExitCode;

use cells::{Cells, Iteration};
use layerbench::workload::Phase;

fn main() -> ExitCode {
    let mut cells = Cells::new();
    let pass = Iteration { phase: Phase::Backward, passes: 1 };
    cells.bench(&mut common::criterion(30, 2), "backward", pass);
    common::exit_code(cells.well())
}
