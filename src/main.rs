//! The `layerbench` program: the command line over the built-in backends.

use std::process::ExitCode;

/// `verify` holds backends to what they declare of their allocations.
#[global_allocator]
static ALLOCATOR: layerbench::Counting = layerbench::Counting;

fn main() -> ExitCode {
    layerbench::cli::main_with(layerbench::Registry::builtin())
}
