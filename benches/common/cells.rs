//! The cells of the forward, backward and training benches: both workloads x every backend x scalar type x threads.
//! A backend is verified before it is timed. The passes themselves are [`Job`]'s.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use layerbench::child::Program;
use layerbench::measure::{Job, QUIET_LIMIT, wait_until_quiet};
use layerbench::verify::{Venue, expect_verified, fixture};
use layerbench::workload::{Phase, Workload};
use layerbench::{Entry, Registry, Scalar, ScalarKind};

use crate::common;

/// What criterion calls one iteration: so many passes of a phase, starting from the initial parameters.
#[derive(Clone, Copy)]
pub struct Iteration {
    pub phase: Phase,
    pub passes: u64,
}

impl Iteration {
    /// Floating-point operations of the matrix products.
    fn flops(self, workload: &Workload) -> u64 {
        self.passes * workload.flops(self.phase) as u64
    }

    /// The time of `iterations`. Going back to the initial parameters is outside the clock.
    fn time<T: Scalar>(self, job: &mut Job<T>, iterations: u64) -> layerbench::Result<Duration> {
        match self.phase {
            // They leave the parameters alone.
            Phase::Forward | Phase::Backward => {
                let seed = next_seed();
                job.reset(seed)?;
                job.run(seed, self.passes * iterations)
            }
            Phase::Step | Phase::Train => (0..iterations).try_fold(Duration::ZERO, |total, _| {
                let seed = next_seed();
                job.reset(seed)?;
                Ok(total + job.run(seed, self.passes)?)
            }),
        }
    }
}

/// Of what is changed before each pass: no sample repeats an earlier one.
fn next_seed() -> u64 {
    static SEED: AtomicU64 = AtomicU64::new(0);
    SEED.fetch_add(1, Ordering::Relaxed)
}

/// The cells, and what they share over all groups of a bench.
pub struct Cells {
    registry: Registry,
    /// Why a backend failed verification in a scalar type, or that it did not.
    verdicts: HashMap<(String, ScalarKind), Result<(), String>>,
    well: bool,
}

impl Cells {
    /// The built-in backends on the synthetic pictures. Names those that cannot run, on the error stream: the other one belongs
    /// to criterion's `--list`.
    pub fn new() -> Self {
        let registry = Registry::builtin();
        let unavailable = registry.entries().iter().filter_map(|e| Some((e.name(), e.available().err()?)));
        for (name, reason) in unavailable.chain(registry.left_out()) {
            eprintln!("UNAVAILABLE  {name}: {reason}");
        }
        Cells { registry, verdicts: HashMap::new(), well: true }
    }

    /// Times all that the command line selects of a group.
    pub fn bench(&mut self, criterion: &mut Criterion, group: &str, iteration: Iteration) {
        let mut group = common::group(criterion, group);
        for entry in self.registry.clone().entries().iter().filter(|entry| entry.available().is_ok()) {
            for scalar in ScalarKind::ALL.into_iter().filter(|&scalar| entry.supports(scalar)) {
                match scalar {
                    ScalarKind::F32 => self.bench_backend::<f32>(&mut group, entry, iteration),
                    ScalarKind::F64 => self.bench_backend::<f64>(&mut group, entry, iteration),
                }
            }
        }
        group.finish();
    }

    /// Whether every selected benchmark was timed.
    pub fn well(&self) -> bool {
        self.well
    }

    fn bench_backend<T: Scalar>(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        entry: &Entry,
        iteration: Iteration,
    ) {
        let counts = thread_counts(entry);
        for workload in Workload::reference() {
            // An element is a floating-point operation: criterion's Gelem/s are GFLOP/s.
            group.throughput(Throughput::Elements(iteration.flops(&workload)));
            for &threads in &counts {
                let cell = format!("{}-{}-{threads}", workload.name, T::KIND);
                let open = || self.open::<T>(entry, &workload, iteration.phase, threads);
                let outcome = common::bench(group, entry.name(), &cell, open, |job, iterations| {
                    Ok(iteration.time(job, iterations)?)
                });
                self.well &= outcome.is_ok();
            }
        }
    }

    /// The workload on a verified backend, once nothing else of this process runs. The engine goes with the job: OpenBLAS has one
    /// thread count per process.
    fn open<T: Scalar>(
        &mut self,
        entry: &Entry,
        workload: &Workload,
        phase: Phase,
        threads: NonZeroUsize,
    ) -> anyhow::Result<Job<T>> {
        let verdict = self.verdicts.entry((entry.name().into(), T::KIND)).or_insert_with(|| {
            // With `--test` nothing is timed.
            if std::env::args().any(|argument| argument == "--test") {
                return Ok(());
            }
            let venue = Venue::children_of(Program::at(env!("CARGO_BIN_EXE_layerbench")));
            expect_verified(entry, T::KIND, &thread_counts(entry), &fixture::embedded(), &venue)
                .map_err(|e| e.to_string())
        });
        verdict.as_ref().map_err(|reason| {
            anyhow!("{reason}\nrepeat it with: layerbench verify --backend {} --scalar {}", entry.name(), T::KIND)
        })?;
        if !wait_until_quiet(QUIET_LIMIT) {
            eprintln!("\nWarning: other threads of this process do not stop computing; the next figure is too slow");
        }
        Ok(Job::new(&entry.open::<T>(threads)?, workload, phase, workload.examples()?)?)
    }
}

/// One, and all that this process may use.
fn thread_counts(entry: &Entry) -> Vec<NonZeroUsize> {
    entry.thread_counts(layerbench::machine::cores())
}
