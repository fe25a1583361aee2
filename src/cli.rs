//! The command line as a library function: parses, dispatches, and turns outcomes into exit codes. The verbs are in `cmd`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::backend::Registry;
use crate::child;
use crate::cmd;
use crate::cmd::verdict::{ERROR, EXIT_CODES, tell_error};
use crate::report::Screen;

#[derive(Parser)]
#[command(
    name = "layerbench",
    version,
    about,
    long_about = "Validates and benchmarks interchangeable implementations of a dense neural-network layer.\n\n\
                  Without a verb: verifies every available backend, measures the reference workload, and prints the ranking.",
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
    ///
    /// Backends compute in processes of their own; expected numbers, bounds and the comparison stay here. Odd integers must come out exact at every shape
    /// (tables, the layers of the workloads, and shapes drawn anew in each run); random data within 2 u sqrt(k + 2) of a sum in twice the precision. A check
    /// has PASSED where every number that it compares is within its bound; where nothing was compared, nothing has. `list` names the checks, a failure has
    /// the command that repeats it.
    ///
    /// For example, the products of one backend after a change: `layerbench verify --quick --backend openblas --tier t0 --tier t1`
    Verify(cmd::verify::Args),
    /// Times backends on workloads into a record file; verifies first, resumes
    ///
    /// Cells that do the same work run in the same rounds, each in a parked process of its own, in balanced order; the machine's peak and bandwidth are read in
    /// the same rounds. What is timed is verified at its very shapes first, and what timed passes gave must come again in a second process. Times are
    /// medians with an interval of 95% from order statistics; some cells have a second process (A/A), whose difference is the noise.
    ///
    /// For example, a step of both course models in f64: `layerbench measure -w layer -m step -s f64 -o records.jsonl`
    Measure(cmd::measure::Args),
    /// Ranks backends from record files
    ///
    /// A contender's place is the geometric mean, over the cells that all contenders have, of the ratio of its time to the best one's. The interval beside it
    /// (to the first) comes from drawing the rounds anew 1,000 times and from the noise of A/A pairs; where it contains 1 the two are tied. A cell that is
    /// faster than the machine can be, or wrong in one of its processes, is MISTRUSTED and has no place.
    ///
    /// For example, training steps in f64 only, with the cells behind it: `layerbench rank records.jsonl -m step -s f64 --cells`
    Rank(cmd::rank::Args),
    /// The same cells in two record files: faster, slower, no difference
    ///
    /// The ratio is the second file's time over the first's. Its interval joins those of the two medians with the noise that both files' echoes show (the same cells
    /// measured at other times): a verdict is faster or slower only where it lies wholly on one side of 1.
    ///
    /// For example, before and after a change: `layerbench diff before.jsonl after.jsonl -b openblas`
    Diff(cmd::diff::Args),
    /// Trains a network on pictures: costs, accuracy, time per step
    ///
    /// Full-batch gradient descent, as in the notebook, from weights that NumPy's generator gives; the cost is that before each step. Ctrl-C saves what is done, and
    /// `--resume` goes on bit for bit.
    ///
    /// For example, on the embedded pictures: `layerbench train --model l-layer --backend ndarray --iterations 100 --costs costs.csv`
    Train(Box<cmd::train::Args>),
    /// Classifies pictures with a trained model
    Predict(cmd::predict::Args),
    /// What will really run here: CPU, threads, BLAS and its kernel, peak; and how to mend what is in the way
    ///
    /// The peak is measured by kernels that do nothing but multiply and add, the bandwidth by reading working sets of growing size. Each of OpenBLAS's kernels that
    /// this CPU can run is checked and timed in a process of its own, in rounds; one is recommended where the lower end of its interval is above 1 and the
    /// gain above 5%. What is measured here and what the system says are told apart.
    ///
    /// For example, without the trial of kernels: `layerbench doctor --quick`
    Doctor(cmd::doctor::Args),
    #[cfg(feature = "openblas")]
    #[command(name = cmd::doctor::PROBE, hide = true)]
    GemmProbe(cmd::gemm_probe::Args),
    #[command(name = cmd::pictures::VERB, hide = true)]
    ReadPictures(cmd::pictures::Args),
    /// Draws the costs of training runs over each other, as SVG or PNG
    Plot(cmd::plot::Args),
    /// Prints a completion script for a shell
    Completions(cmd::completions::Args),
    /// Prints the manual, or writes its pages into a folder
    Man(cmd::man::Args),
    /// What children are started with that compute
    #[command(name = child::VERB, hide = true)]
    Serve,
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
    child::survive_large_files();
    // Not locked: a backend that prints in this process would wait for ever.
    let mut out = UntilClosed(Some(io::stdout()));
    ExitCode::from(run_on(Screen::of_stdout(), &registry, std::env::args_os(), &mut out))
}

/// The command line, with the exit codes in each verb's help.
fn command() -> Command {
    let with_codes = |command: Command| command.after_help(EXIT_CODES);
    with_codes(Cli::command()).mut_subcommands(with_codes)
}

/// The same with given arguments and output; returns the exit code. Verbs that measure or read HDF5 files do it in children of the
/// current executable, whose `main` must lead to [`main_with`].
pub fn run(registry: &Registry, arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write) -> u8 {
    run_on(Screen::PLAIN, registry, arguments, out)
}

fn run_on(
    screen: Screen,
    registry: &Registry,
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
) -> u8 {
    let parsed = command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come here too, for standard output and with code 0.
            let printed = error.print().and_then(|()| io::stdout().flush());
            return match printed {
                _ if error.use_stderr() => ERROR,
                Err(lost) if lost.kind() != io::ErrorKind::BrokenPipe => {
                    tell_error(&lost.into());
                    ERROR
                }
                _ => 0,
            };
        }
    };
    let outcome = match cli.verb {
        None => cmd::main_job::run(&cli.main_job, registry, out, screen),
        Some(Verb::List(args)) => cmd::list::run(&args, registry, out),
        Some(Verb::Verify(args)) => cmd::verify::run(&args, registry, out),
        Some(Verb::Measure(args)) => cmd::measure::run(&args, registry, out, screen),
        Some(Verb::Rank(args)) => cmd::rank::run(&args, out, screen),
        Some(Verb::Diff(args)) => cmd::diff::run(&args, out, screen),
        Some(Verb::Train(args)) => cmd::train::run(&args, registry, out),
        Some(Verb::Predict(args)) => cmd::predict::run(&args, registry, out),
        Some(Verb::Doctor(args)) => cmd::doctor::run(&args, out),
        #[cfg(feature = "openblas")]
        Some(Verb::GemmProbe(args)) => cmd::gemm_probe::run(&args),
        Some(Verb::ReadPictures(args)) => cmd::pictures::run(&args),
        Some(Verb::Plot(args)) => cmd::plot::run(&args, out),
        Some(Verb::Completions(args)) => cmd::completions::run(&args, &command(), registry, out),
        Some(Verb::Man(args)) => cmd::man::run(&args, command(), out),
        Some(Verb::Serve) => cmd::serve::run(registry),
    };
    let outcome = outcome.and_then(|verdict| verdict.despite(out.flush().map_err(Into::into)));
    match outcome {
        Ok(verdict) => verdict.exit_code(),
        Err(error) => {
            tell_error(&error);
            ERROR
        }
    }
}

/// Output until its reader has seen enough (`layerbench verify | head -1`). From then on nothing is written, and the work goes on: its
/// files and its verdict count.
struct UntilClosed<W>(Option<W>);

impl<W: Write> UntilClosed<W> {
    fn keep<R>(&mut self, nothing: R, write: impl FnOnce(&mut W) -> io::Result<R>) -> io::Result<R> {
        match self.0.as_mut().map(write) {
            Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.0 = None;
                Ok(nothing)
            }
            Some(result) => result,
            None => Ok(nothing),
        }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.keep((), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_output_ends_printing_and_other_errors_stay() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(self.0.into())
            }
        }
        let mut closed = UntilClosed(Some(Fails(io::ErrorKind::BrokenPipe)));
        assert!(writeln!(closed, "one").is_ok() && writeln!(closed, "two").is_ok() && closed.flush().is_ok());
        assert!(writeln!(UntilClosed(Some(Fails(io::ErrorKind::StorageFull))), "one").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
