//! What the measuring engine itself adds to a sample, against the shortest pass that it times: it must stay below 1%.
//!
//! No criterion here: what is held against each other are the engine's own clock readings.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use layerbench::measure::Job;
use layerbench::measure::statistics::median;
use layerbench::workload::{Phase, Workload};
use layerbench::{Registry, Scalar};

/// How long a sample is by default (`measure --sample`).
const SAMPLE_NS: f64 = 20e6;
const SAMPLES: usize = 1001;

fn main() -> ExitCode {
    let (mut empty, mut shortest) = (0.0_f64, f64::INFINITY);
    for entry in Registry::builtin().entries() {
        for workload in Workload::embedded().iter().filter(|workload| workload.flops(Phase::Forward) < 1e6) {
            if entry.available().is_ok() {
                let (without, pass) = times::<f32>(entry, workload);
                println!(
                    "{:<10} {:<12} empty sample {without:>6.0} ns, forward pass {pass:>8.0} ns",
                    entry.name(),
                    workload.name
                );
                empty = empty.max(without);
                shortest = shortest.min(pass);
            }
        }
    }
    let passes = (SAMPLE_NS / shortest).ceil();
    let share = empty / (passes * shortest);
    println!("of a sample of {passes} passes of the shortest cell the engine's own share is {:.5}%", 100.0 * share);
    // Written so that NaN fails.
    if share < 0.01 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Nanoseconds that the clock shows for a sample without passes, and for a pass.
fn times<T: Scalar>(entry: &layerbench::Entry, workload: &Workload) -> (f64, f64) {
    let engine = entry.open::<T>(NonZeroUsize::MIN).expect("available");
    let examples = workload.examples().expect("embedded workloads fit their data");
    let mut job = Job::new(&engine, workload, Phase::Forward, examples).expect("it fits");
    let mut time = |repeats: u64| {
        let one =
            |sample| job.run(sample as u64, repeats).expect("it runs").as_secs_f64() * 1e9 / repeats.max(1) as f64;
        median(&(0..SAMPLES).map(one).collect::<Vec<_>>())
    };
    (time(0), time(10))
}
