//! Validates and benchmarks interchangeable implementations of a dense neural-network layer, and helps choose one.
//!
//! A [*backend*](layer::Backend) is a way to do a layer's arithmetic. Five are built in: `naive` (plain loops), `ndarray`
//! (matrixmultiply), `openblas` (cblas), `rayon` (parallel loops) and `simd` (vector kernels of our own). They implement one trait, [`layer::Layer`], whose contracts are
//! stated once, in [`layer`]; a program of your own can add more and gets every verb of the command line for them
//! ([`cli::main_with`]).
//!
//! # The house
//!
//! Modules use what is below them only. A backend knows no network, no fixture and no clock; only the registry names backends.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`cli`] and its verbs | parsing, dispatch, exit codes; one file per verb |
//! | [`report`] | how results are shown; one file per format |
//! | [`doctor`] | what will really run here, and what stands in its way |
//! | [`compare`] | what records say: summaries, rankings, differences |
//! | [`measure`] | cells, measured children, rounds, records; statistics |
//! | [`verify`] | fixtures, exact arithmetic, error bounds, verdicts |
//! | [`workload`] | workloads as data, and their operation counts |
//! | [`notebook`] | the functions of the course notebook by name, on any engine |
//! | [`store`] | models and checkpoints as files |
//! | [`train`] | the trainer that is made of layers, and the training loop |
//! | [`data`] | picture sets: HDF5 files and the embedded synthetic set; single pictures |
//! | [`network`] | a network on an engine: arenas and planned layers |
//! | [`remote`] | a backend in another process, behind the same traits |
//! | [`backend`] | the registry, and one file (or folder) per backend |
//! | [`layer`] | the layer trait and its contracts; engines, bound layers and the ways of the first, and what a training run is |
//! | [`model`] | a network as data: sizes, activations, loss, parameters, update rules, what is saved of a run |
//! | [`child`] | how a process that may crash, hang or babble is started, talked to, limited and ended |
//! | [`machine`] | what this computer is and can do at most: facts, measured peak and bandwidth |
//! | [`simd`] | instruction sets, vectors, and code that is compiled for each |
//! | [`scalar`], [`error`], [`Counting`], `text`, `files`, `panics` | `f32`/`f64`; the one error type; an allocator that counts; foreign text: escaped, quoted, and where it is wrong; temporary files that go however the program ends; locks and words of what panicked |
//!
//! # Features
//!
//! A program that only trains and predicts needs none: `default-features = false` leaves `layer` to `train`, the pure backends, `store` and the
//! embedded set. `judge` has what verifies and measures backends ([`verify`], [`measure`], [`remote`], [`compare`]; the conformance kit), `cli` the command
//! line and its reports. `openblas` and `hdf5` need system libraries. All but `criterion` (benches of any backend) are on by default.
//!
//! # Which way to read
//!
//! [`layer`] first, then [`backend`] (start with `naive`), [`model`], [`network`], [`train`].

#![warn(missing_docs)]
// Some of what all share is of use to the command line alone.
#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports, unused_macros))]

mod allocator;
pub mod backend;
#[cfg(feature = "judge")]
pub mod child;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod cmd;
#[cfg(feature = "judge")]
pub mod compare;
pub mod data;
#[cfg(feature = "cli")]
pub mod doctor;
pub mod error;
#[cfg(feature = "judge")]
mod files;
pub mod layer;
pub mod machine;
#[cfg(feature = "judge")]
pub mod measure;
pub mod model;
pub mod network;
pub mod notebook;
mod panics;
#[cfg(feature = "judge")]
pub mod remote;
#[cfg(feature = "cli")]
pub mod report;
pub mod scalar;
pub mod simd;
pub mod store;
mod text;
pub mod train;
#[cfg(feature = "judge")]
pub mod verify;
#[cfg(feature = "judge")]
pub mod workload;

pub use allocator::Counting;
pub use backend::{Entry, Registry};
pub use error::{Error, Result};
pub use scalar::{Scalar, ScalarKind};

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
