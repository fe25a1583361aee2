//! A program of its own with two more backends, one through each door of the layer trait. Every verb works for them:
//!
//! ```sh
//! cargo run --release -p custom-backend -- verify --backend outer --backend fused
//! cargo run --release -p custom-backend -- train --backend fused
//! ```

use std::process::ExitCode;

use custom_backend::{Fused, Outer};
use layerbench::{Entry, Registry};

/// `verify` holds backends to what they declare of their allocations where somebody counts them.
#[global_allocator]
static ALLOCATOR: layerbench::Counting = layerbench::Counting;

fn main() -> ExitCode {
    let mut registry = Registry::builtin();
    for entry in [Entry::both(Outer), Entry::f64(Fused)] {
        registry.add(entry).expect("no built-in backend has this name");
    }
    layerbench::cli::main_with(registry)
}
