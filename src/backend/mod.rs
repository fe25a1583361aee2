//! The built-in backends, one file each, and the registry that is the only place to name them all.

mod naive;
mod ndarray;
#[cfg(feature = "openblas")]
pub mod openblas;
mod rayon;
mod registry;

pub use naive::Naive;
#[cfg(feature = "openblas")]
pub use openblas::OpenBlas;
pub use registry::{Entry, Registry};

pub use self::ndarray::NdArray;
pub use self::rayon::Rayon;

use std::num::NonZeroUsize;

use crate::error::{Error, Result};

/// For backends without threads of their own: refuses more than one.
fn only_one_thread(name: &str, threads: NonZeroUsize) -> Result<()> {
    if threads.get() == 1 {
        return Ok(());
    }
    Err(Error::Threads { name: name.into(), asked: threads.get(), reason: "it is serial; ask for 1".into() })
}
