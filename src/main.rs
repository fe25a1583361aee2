//! The `layerbench` program: the command line over the built-in backends.

use std::process::ExitCode;

fn main() -> ExitCode {
    layerbench::cli::main_with(layerbench::Registry::builtin())
}
