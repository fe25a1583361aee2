//! Validates and benchmarks interchangeable implementations of a dense neural-network layer.
#![warn(missing_docs)]
pub mod backend;
pub mod error;
pub mod layer;
pub mod network;
pub mod notebook;
pub mod scalar;
pub mod train;
pub use backend::{Entry, Registry};
pub use error::{Error, Result};
pub use scalar::{Scalar, ScalarKind};
