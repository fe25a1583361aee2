//! The environment variables that numerical libraries listen to: which there are, and which a child is given that computes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// Their prefixes.
const TELLING: [&str; 6] = ["OPENBLAS_", "GOTO_", "OMP_", "MKL_", "BLIS_", "RAYON_"];
/// Thread counts; the libraries read them when they are loaded.
const THREAD_COUNTS: [&str; 5] =
    ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS"];
/// 2^10 cycles until an idle worker of OpenBLAS sleeps, instead of about 100 ms of spinning on a core that others are timed on.
const SPIN_LIMIT: (&str, &str) = ("OPENBLAS_THREAD_TIMEOUT", "10");

/// Variables with their values.
pub(crate) type Environment = BTreeMap<String, String>;

/// As this process found them.
pub(crate) fn of_this_process() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| TELLING.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

/// What is set for a child on so many threads.
pub(super) fn set(threads: NonZeroUsize) -> Environment {
    let counts = THREAD_COUNTS.map(|name| (name.to_owned(), threads.to_string()));
    counts.into_iter().chain([(SPIN_LIMIT.0.to_owned(), SPIN_LIMIT.1.to_owned())]).collect()
}

/// What a child on so many threads would find that was started now.
pub(crate) fn of_child(threads: NonZeroUsize) -> Environment {
    let mut environment = of_this_process();
    environment.append(&mut set(threads));
    environment
}
