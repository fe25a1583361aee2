//! Pools of threads, for backends that have one. What their threads do is the backends' business.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// A pool of exactly so many threads for `backend`, called `thread-0`, `thread-1` and so on.
///
/// # Errors
/// [`Error::Threads`] where rayon or the system has not so many.
pub(super) fn open(backend: &str, threads: NonZeroUsize, thread: &'static str) -> Result<Arc<ThreadPool>> {
    let asked = threads.get();
    let refuse = |reason: String| Error::Threads { name: backend.into(), asked, reason };
    let limit = rayon::max_num_threads();
    if asked > limit {
        return Err(refuse(format!("a rayon pool has at most {limit}")));
    }
    let builder = ThreadPoolBuilder::new().num_threads(asked).thread_name(move |index| format!("{thread}-{index}"));
    builder.build().map(Arc::new).map_err(|error| refuse(error.to_string()))
}

/// Runs a pass on the pool; a caller inside [`Engine::run`](crate::layer::Engine::run) is there already and pays nothing.
pub(super) fn within(pool: &ThreadPool, pass: impl FnOnce() + Send) {
    if pool.current_thread_index().is_some() { pass() } else { pool.install(pass) }
}
