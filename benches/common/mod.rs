//! What all benches share: criterion's settings, and benchmarks that can give up. What is timed is the bench files' business.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};

/// Criterion as the command line asks for it; what is given here are defaults that `--sample-size` and its like replace.
///
/// They are small because `cargo bench` has over 70 benchmarks to go through; for a closer look at one, filter and raise them.
pub fn criterion(samples: usize, seconds: u64) -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(samples)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(seconds))
        .configure_from_args()
}

/// The group of that name. Every sample has the same number of iterations: growing numbers, criterion's other way, multiply the
/// time of the slow benchmarks by the number of samples.
pub fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// A benchmark ended by an error, which has been told.
pub struct NotTimed;

/// Runs `<group>/<backend>/<cell>` if the command line selects it, and hands the job back if it was opened. `open` makes the job,
/// `time` is the time of so many iterations of it.
///
/// # Errors
/// An error of either is told loudly and ends this benchmark alone; criterion keeps nothing of it.
pub fn bench<J>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    backend: &str,
    cell: &str,
    mut open: impl FnMut() -> anyhow::Result<J>,
    mut time: impl FnMut(&mut J, u64) -> anyhow::Result<Duration>,
) -> Result<Option<J>, NotTimed> {
    let mut job = None;
    // Criterion tells nobody what its filter selects, and a benchmark that has begun cannot be called off: unwinding is the way
    // out. `resume_unwind` does so without the message of a panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        group.bench_function(BenchmarkId::new(backend, cell), |bencher| {
            // Not inside `iter_custom`: criterion plans its iterations by all the time that is spent in there.
            let job = job.get_or_insert_with(|| open().unwrap_or_else(give_up));
            bencher.iter_custom(|iterations| time(job, iterations).unwrap_or_else(give_up));
        });
    }));
    let Err(thrown) = outcome else { return Ok(job) };
    match thrown.downcast::<anyhow::Error>() {
        Ok(error) => {
            eprintln!("\nNOT TIMED  {backend}/{cell}: {error:#}\n");
            Err(NotTimed)
        }
        Err(panic) => resume_unwind(panic),
    }
}

fn give_up<T>(error: anyhow::Error) -> T {
    resume_unwind(Box::new(error))
}

/// The exit code of a bench whose benchmarks all were (or were not) well.
pub fn exit_code(well: bool) -> ExitCode {
    if well {
        return ExitCode::SUCCESS;
    }
    eprintln!("some benchmarks were not timed: see NOT TIMED above");
    ExitCode::FAILURE
}
