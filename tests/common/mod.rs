//! What several test files share: every available backend at every interesting thread count, and seeded matrices.
#![allow(dead_code, reason = "each test file uses a part")]

#[cfg(feature = "hdf5")]
pub mod mutants;
pub mod program;
pub mod records;
#[cfg(feature = "hdf5")]
pub mod sets;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layerbench::layer::Engine;
use layerbench::model::NumpyRandom;
use layerbench::{Registry, Scalar};
use ndarray::Array2;

/// OpenBLAS has one thread count per process: tests that open its engines take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `job` with every backend at one thread and, if it is parallel, at two and three.
pub fn for_each_engine<T: Scalar>(mut job: impl FnMut(&str, &Arc<dyn Engine<T>>)) {
    let _turn = alone();
    let registry = Registry::builtin();
    let mut engines = 0;
    for entry in registry.entries() {
        entry.available().unwrap_or_else(|reason| panic!("{} is built in and unavailable: {reason}", entry.name()));
        for threads in [1, 2, 3] {
            if threads > 1 && !entry.profile().parallel {
                continue;
            }
            let threads = NonZeroUsize::new(threads).expect("not zero");
            let engine = entry.open::<T>(threads).expect("it is available");
            job(&format!("{} on {threads} threads in {}", entry.name(), T::KIND), &engine);
            engines += 1;
        }
    }
    assert!(engines >= if cfg!(feature = "openblas") { 8 } else { 5 }, "only {engines} engines");
}

/// Normal random numbers, the same everywhere.
pub fn normal<T: Scalar>(dim: (usize, usize), seed: u32) -> Array2<T> {
    let mut random = NumpyRandom::new(seed);
    Array2::from_shape_simple_fn(dim, || T::of(random.normal()))
}

pub fn nan<T: Scalar>(dim: (usize, usize)) -> Array2<T> {
    Array2::from_elem(dim, T::nan())
}

/// The course's pictures, or a loud skip; where LAYERBENCH_REQUIRE_CAT is set their absence is a failure.
pub fn cat_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("LAYERBENCH_CAT_DIR") {
        return Some(dir.into());
    }
    assert!(
        std::env::var_os("LAYERBENCH_REQUIRE_CAT").is_none(),
        "LAYERBENCH_REQUIRE_CAT is set, and LAYERBENCH_CAT_DIR is not"
    );
    // Straight to the terminal: the test harness would swallow what a passing test prints.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        b"SKIPPED: set LAYERBENCH_CAT_DIR to the folder with train_catvnoncat.h5 and test_catvnoncat.h5\n",
    );
    None
}

/// `soak` where LAYERBENCH_SOAK is set (by scripts/soak), else `usual`: the same test, longer.
pub fn soak_or<N>(usual: N, soak: N) -> N {
    if std::env::var_os("LAYERBENCH_SOAK").is_some() { soak } else { usual }
}
