//! A network as data: its sizes and activations, its loss, its parameters and how they start, how they are updated, and what must be saved of a
//! run. Nothing is computed on an engine here.

mod activation;
mod architecture;
mod init;
pub mod loss;
mod parameters;
mod state;
mod update;
mod views;

pub use activation::Activation;
pub use architecture::{Architecture, LayerSpec};
pub use init::{Init, NumpyRandom};
pub use loss::Loss;
pub use parameters::{Gradients, Parameters};
pub(crate) use parameters::{view, view_mut};
pub use state::{State, Tensor};
pub use update::{Descent, UpdateRule, check_rate};
pub use views::{Grads, Params, Upstream};
