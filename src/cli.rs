//! The command line as a library function: parses, dispatches, and turns outcomes into exit codes. The verbs are in `cmd`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::backend::Registry;
use crate::cmd;

#[derive(Parser)]
#[command(
    name = "layerbench",
    version,
    about,
    long_about = "Validates and benchmarks interchangeable implementations of a dense neural-network layer.\n\n\
                  Without a verb: verifies every available backend, measures the reference workload, and prints the ranking.",
    after_help = "Exit codes: 0 fine, 1 a result is wrong, 2 usage or environment, 130 interrupted.",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    main_job: cmd::main_job::Args,
}

#[derive(Subcommand)]
enum Verb {
    /// Backends (with the reason where one is unavailable), workloads and checks
    List(cmd::list::Args),
    /// Holds every backend against fixtures, exact arithmetic, error bounds, gradients and the contracts of the layer trait
    Verify(cmd::verify::Args),
    /// Trains a network on pictures: costs, accuracy, time per step
    Train(Box<cmd::train::Args>),
    #[command(name = cmd::pictures::VERB, hide = true)]
    ReadPictures(cmd::pictures::Args),
}

/// Runs the program's arguments over the backends of `registry`: every verb works for all of them.
///
/// A program of your own that adds a backend is this call:
///
/// ```no_run
/// use layerbench::Registry;
///
/// fn main() -> std::process::ExitCode {
///     let registry = Registry::builtin();
///     // registry.add(Entry::both(MyBackend)) comes here.
///     layerbench::cli::main_with(registry)
/// }
/// ```
pub fn main_with(registry: Registry) -> ExitCode {
    ExitCode::from(run(&registry, std::env::args_os(), &mut io::stdout().lock()))
}

/// The same with given arguments and output; returns the exit code. Verbs that read HDF5 files do it in a child of the current
/// executable, whose `main` must lead to [`main_with`].
pub fn run(registry: &Registry, arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come here too, for standard output and with code 0.
            let _ = error.print();
            return error.exit_code().clamp(0, 2) as u8;
        }
    };
    let outcome = match cli.verb {
        None => cmd::main_job::run(&cli.main_job, registry, out),
        Some(Verb::List(args)) => cmd::list::run(&args, registry, out),
        Some(Verb::Verify(args)) => cmd::verify::run(&args, registry, out),
        Some(Verb::Train(args)) => cmd::train::run(&args, registry, out),
        Some(Verb::ReadPictures(args)) => cmd::pictures::run(&args, out),
    };
    let outcome = outcome.and_then(|verdict| Ok(out.flush().map(|()| verdict)?));
    match outcome {
        Ok(verdict) => verdict.exit_code(),
        // Whoever reads our output has seen enough (`layerbench list | head -1`).
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            2
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
