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
