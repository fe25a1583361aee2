//! Validates and benchmarks interchangeable implementations of a dense neural-network layer.
#![warn(missing_docs)]
pub mod backend;
pub mod cli;
mod cmd;
pub mod data;
pub mod error;
pub mod layer;
pub mod measure;
pub mod network;
pub mod notebook;
pub mod report;
pub mod scalar;
pub mod train;
pub mod verify;
pub mod workload;
pub use backend::{Entry, Registry};
pub use error::{Error, Result};
pub use scalar::{Scalar, ScalarKind};
