//! A training step after planning allocates what the backend declares, counted by a counting allocator.
//!
//! One test in this file, so that nothing else allocates meanwhile. What a C library takes for itself is not seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use layerbench::Registry;
use layerbench::measure::Job;
use layerbench::workload::{Phase, Workload};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the system allocator's demand.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                job.run(1, 0).expect("it runs");
                let entering = ALLOCATIONS.load(Ordering::Relaxed);
                job.run(1, STEPS).expect("it runs");
                let after = ALLOCATIONS.load(Ordering::Relaxed);

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
