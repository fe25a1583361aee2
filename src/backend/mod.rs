//! The built-in backends, one file (or folder) each, and the registry that is the only place to name them all.

mod naive;
mod ndarray;
#[cfg(feature = "openblas")]
pub mod openblas;
mod pool;
mod rayon;
mod registry;
mod simd;

pub use naive::Naive;
#[cfg(feature = "openblas")]
pub use openblas::OpenBlas;
pub use registry::{Entry, Registry};

pub use self::ndarray::NdArray;
pub use self::rayon::Rayon;
pub use self::simd::Simd;
