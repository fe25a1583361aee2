//! The one layer trait, with its engine, its factory and the contracts that every backend keeps.
//!
//! Three levels: a [`Backend`] is a way to do the arithmetic and may be unavailable; an open [`Engine`] owns what is per
//! run (threads, the lease on a library's global thread count); a planned [`Layer`] owns the scratch memory of one shape.
//! [`Kernels`] + [`Dense`] are the easy door: one required function makes a backend.
//! A [`BoundLayer`] is the first layer of a training run, bound to its constant input; a [`Trainer`] is a whole run, which an engine may do
//! by itself.
//!
//! Fixtures and clocks are unknown here.
//!
//! ```
//! use layerbench::Registry;
//! use layerbench::layer::{Activation, LayerSpec, Params};
//! use ndarray::{Array2, array};
//!
//! let engine = Registry::builtin().open::<f64>("naive", 1)?;
//! let mut layer = engine.plan(LayerSpec { inputs: 2, outputs: 1, batch: 3, activation: Activation::Relu })?;
//! let (w, b, a_prev) = (array![[1.0, -1.0]], array![[0.5]], array![[1.0, 2.0, 0.0], [0.0, 1.0, 4.0]]);
//! let (mut z, mut a) = (Array2::zeros((1, 3)), Array2::zeros((1, 3)));
//! layer.forward(Params { w: w.view(), b: b.view() }, a_prev.view(), z.view_mut(), a.view_mut())?;
//! assert_eq!(z, array![[1.5, 1.5, -3.5]]);
//! assert_eq!(a, array![[1.5, 1.5, 0.0]]);
//! # Ok::<(), layerbench::Error>(())
//! ```
//!
//! # Contracts
//!
//! They are stated here once, and hold for every implementation of [`Layer`].
//!
//! **Shapes** are the notebook's: `A_prev` (n_prev, m), `W` (n, n_prev), `b` (n, 1), `Z` and `A` (n, m), gradients like the
//! thing they belong to. Matrices are row-major with adjacent columns; a row may be followed by a gap (a leading dimension
//! larger than the row). Anything else is a typed error, never a panic and never a wrong number.
//!
//! **Outputs** are overwritten: never accumulated into, never read. NaN in them must not leak.
//!
//! **Inputs** are not changed. That includes the upstream gradient: no caller's buffer serves as scratch, a layer that
//! needs dZ keeps it in scratch memory of its own.
//!
//! **Forward** (notebook equation 4): `Z = W A_prev + b`, `A = g(Z)`.
//!
//! **Backward** (equations 8 to 11): `dZ = dA * g'(Z)` unless dZ itself is given, `dW = scale * dZ A_prev^T`,
//! `db = scale * row sums of dZ`, `dA_prev = W^T dZ`. `scale` is 1/m in the notebook. dA carries no 1/m, which is the
//! notebook's convention: it is the gradient of the sum of the losses, not of their mean.
//! Z comes from the caller: backward never recomputes it and never assumes that A is in (0, 1), or that Z belongs to
//! `W`, `A_prev` and `b`.
//!
//! **ReLU** is `0` where `Z <= 0`, else `Z`: ReLU(NaN) is NaN, as in NumPy. Its gradient is 0 where `Z <= 0`, and there dZ is
//! 0 whatever dA is (NaN too); where Z is NaN, dZ is dA.
//!
//! **Batch**: a layer is planned for the most examples of a call. Every call may have fewer, down to none, at no cost of planning or memory:
//! m is what A_prev has columns.
//!
//! **Zero sizes** are defined: n_prev = 0 gives Z = b and an empty dW; m = 0 gives zero dW and db.
//!
//! **Memory**: after `plan`, a pass allocates no more than [`Profile::allocations_per_product`] declares.
//!
//! **Determinism**: for a fixed library, kernel and thread count, results are bit-identical from run to run;
//! [`Determinism::AnyThreads`] promises the same across thread counts.

mod bound;
mod contract;
mod dense;
mod implicit;
mod trainer;

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use ndarray::{ArcArray2, ArrayView2, ArrayViewMut2};

pub use bound::{BoundLayer, PlannedBound};
pub use contract::expect_columns;
pub use dense::{Dense, Kernels, Op};
pub use implicit::ImplicitBound;
pub use trainer::{FirstLayer, Trainer, Training};

pub use crate::model::{Activation, Descent, Grads, LayerSpec, Params, Upstream};

use crate::error::Result;
use crate::machine::ThreadLibrary;
use crate::scalar::Scalar;

/// The arithmetic of one dense layer, planned for one shape. See the [module](self) for the contracts.
///
/// A planned layer owns scratch memory only: parameters, inputs and outputs are the caller's at every call.
pub trait Layer<T: Scalar>: Send {
    /// `Z = W A_prev + b`, `A = g(Z)`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) or [`Error::Layout`](crate::Error::Layout) where a matrix is not as planned.
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayViewMut2<'_, T>,
        a: ArrayViewMut2<'_, T>,
    ) -> Result<()>;

    /// `dW`, `db`, and `dA_prev` where it is asked for (nobody needs the gradient of the pixels: skipping it saves a third
    /// of the first layer's work).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    #[allow(clippy::too_many_arguments, reason = "they are the operands of equations 8 to 11")]
    fn backward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()>;
}

/// What is per run and not per layer: the thread pool, or the lease on a library's global thread count.
pub trait Engine<T: Scalar>: Send + Sync {
    /// The number of threads obtained (read back from the library where there is one).
    fn threads(&self) -> usize;

    /// What computes, for reports: library, version, kernel, as far as they can be known.
    fn description(&self) -> String;

    /// The file that the code which computes was loaded from; none where it is part of the program.
    fn library(&self) -> Option<PathBuf> {
        None
    }

    /// The library under it whose number of threads the environment can set. An engine has the number that it was opened with: this is for
    /// telling whoever set another.
    fn thread_library(&self) -> Option<ThreadLibrary> {
        None
    }

    /// Makes what a layer of this shape needs once: scratch memory, packing, thread split.
    ///
    /// # Errors
    /// Where the backend cannot do such a layer.
    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>>;

    /// Binds a first layer to its constant input `x` (n_prev, m). The default wraps [`plan`](Self::plan).
    ///
    /// # Errors
    /// As [`plan`](Self::plan), or where `x` is not as in `spec`.
    fn bind(&self, spec: LayerSpec, x: ArcArray2<T>) -> Result<Box<dyn BoundLayer<T>>> {
        Ok(Box::new(PlannedBound::new(self.plan(spec)?, spec, x)?))
    }

    /// A trainer of its own for this run, from an engine that owns the whole step (a GPU, a cluster). None, the default: it is made of layers
    /// ([`trainer`](crate::train::trainer)).
    ///
    /// # Errors
    /// Where the engine makes trainers of its own and cannot do this run.
    fn trainer(&self, _training: &Training<T>) -> Result<Option<Box<dyn Trainer<T>>>> {
        Ok(None)
    }

    /// Runs `job` where this engine's layers run best. An engine with a thread pool enters it once here, instead of at every
    /// layer pass, so that a loop of steps inside `job` costs no hand-over and no allocation per pass.
    fn run(&self, job: &mut (dyn FnMut() + Send)) {
        job();
    }
}

/// A way to do a layer's arithmetic.
pub trait Backend<T: Scalar>: Send + Sync {
    /// The name that commands and reports use: short, lower case.
    fn name(&self) -> &str;

    /// What is always true of this backend, available or not.
    fn profile(&self) -> Profile;

    /// Whether it can run on this machine, and why not.
    ///
    /// # Errors
    /// The [`Reason`], which says what to install or change.
    fn available(&self) -> std::result::Result<(), Reason> {
        Ok(())
    }

    /// Opens an engine on exactly `threads` threads: one, where the [profile](Self::profile) is not parallel.
    ///
    /// # Errors
    /// Where the backend is unavailable, or cannot have that number of threads.
    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>>;
}

/// Why a backend is unavailable, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a backend says of itself. Tests hold it to every word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What it is, in one line.
    pub summary: Cow<'static, str>,
    /// What it needs beyond its program's own code.
    pub dependency: Dependency,
    /// Whether it can use more than one thread. A backend that cannot is never asked for more: its [`Entry`](crate::Entry) refuses.
    pub parallel: bool,
    /// What is reproducible.
    pub determinism: Determinism,
    /// Heap allocations that a matrix product may cost after planning, inside [`Engine::run`]. A training step of L layers
    /// has 3L - 1 products. Memory that a C library takes for itself is not counted: a Rust allocator cannot see it.
    pub allocations_per_product: usize,
    /// Whether subnormal operands and results are kept. A backend that loses them (many accelerators do) says so here, and reports
    /// repeat it.
    pub keeps_subnormals: bool,
}

/// What a backend needs, from the simplest to the most demanding: of two that are equally good, the one that is less is the one to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// Nothing.
    #[default]
    None,
    /// A crate, which cargo brings.
    Crate(Cow<'static, str>),
    /// A library that the system must have.
    SystemLibrary(Cow<'static, str>),
    /// A device, with its driver.
    Device(Cow<'static, str>),
}

impl fmt::Display for Dependency {
    /// The name; nothing for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dependency::None => Ok(()),
            Dependency::Crate(name) | Dependency::SystemLibrary(name) | Dependency::Device(name) => f.pad(name),
        }
    }
}

/// What is bit-identical from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Determinism {
    /// Runs with the same number of threads.
    FixedThreads,
    /// All runs, whatever the number of threads.
    AnyThreads,
}
