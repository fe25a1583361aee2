//! A training step allocates what its backend declares, no more (the trainer itself nothing), and not so much less that it could promise more.
//! That a layer's passes keep to it is a check, `memory_allocations`.
//!
//! One test in this file, so that nothing else allocates meanwhile. What a C library takes for itself is not seen.

#![cfg(feature = "cli")]

use std::num::NonZeroUsize;

use layerbench::measure::Job;
use layerbench::workload::{Phase, Workload};
use layerbench::{Counting, Registry};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    Counting::allocations().expect("this program counts them")
}

#[test]
fn a_training_step_allocates_what_the_backend_declares() {
    const STEPS: u64 = 20;
    for entry in Registry::builtin().entries() {
        for threads in entry.thread_counts(NonZeroUsize::new(2).expect("not zero")) {
            for workload in Workload::reference() {
                let engine = entry.open::<f64>(threads).expect("available");
                let examples = workload.examples().expect("the reference workloads fit their data");
                let mut job = Job::new(&engine, &workload, Phase::Step, examples).expect("it fits");
                // Threads start and libraries set themselves up in the first steps.
                job.run(1, 5).expect("it runs");
                let before = allocations();
                job.run(2, 0).expect("it runs");
                let entering = allocations();
                job.run(3, STEPS).expect("it runs");
                let after = allocations();

                let products = 3 * workload.architecture.layers() as u64 - 1;
                let declared = entry.profile().allocations_per_product as u64 * products * STEPS;
                // Entering the engine costs a few, once per run.
                let counted = (after - entering).saturating_sub(entering - before);
                let label = format!("{} on {threads} threads, {}", entry.name(), workload.name);
                assert!(counted <= declared, "{label}: {counted} allocations in {STEPS} steps, declared {declared}");
                assert!(
                    2 * counted >= declared,
                    "{label}: {counted} allocations in {STEPS} steps, declared {declared}: it can promise more"
                );
            }
        }
    }
}
