//! What a training run leaves behind: models and checkpoints, as safetensors files that know whether they are whole.
//!
//! A file holds W1 (n, n_prev), b1 (n, 1), ..., WL, bL as tensors, and one metadata entry, `layerbench`: a JSON object with what
//! is known of the run, and the SHA-256 of that and of all tensors. Any safetensors reader opens it. A checkpoint has a tensor
//! `costs` more, and whatever else its trainer's state has. Where files are written is the caller's business: everything here is bytes.

mod container;
#[cfg(feature = "hdf5")]
mod export;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use container::Container;
#[cfg(feature = "hdf5")]
pub use export::write_hdf5;

use crate::error::{Error, Result};
use crate::layer::{FirstLayer, ImplicitBound};
use crate::model::{Architecture, Parameters, State};
use crate::scalar::{Scalar, ScalarKind};

/// How a network was trained: everything needed to do it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// Layer sizes, as `12288,20,7,5,1`, and activations other than ReLU inside, sigmoid at the end.
    pub architecture: String,
    /// Initial weights, as the command line spells them.
    pub init: String,
    /// Seed of the initial weights.
    pub seed: u32,
    /// Learning rate.
    pub rate: f64,
    /// The scalar type of the arithmetic and of the tensors.
    pub scalar: ScalarKind,
    /// The backend.
    pub backend: String,
    /// What computed, as the engine said: library, version, kernel.
    pub engine: String,
    /// Threads obtained.
    pub threads: usize,
    /// How the first layer computed and updated; plain where nothing is said.
    #[serde(default, skip_serializing_if = "FirstLayer::is_plain")]
    pub first_layer: FirstLayer,
    /// Steps of gradient descent done.
    pub iterations: usize,
    /// The training pictures: the file's path as given, or `synthetic`.
    pub data: String,
    /// [`PictureSet::fingerprint`](crate::data::PictureSet::fingerprint) of the training pictures.
    pub data_sha256: String,
    /// What 0 and 1 stand for.
    pub classes: [String; 2],
}

/// A trained network with its provenance.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<T> {
    /// Where it comes from.
    pub provenance: Provenance,
    /// W1, b1, ..., WL, bL.
    pub parameters: Parameters<T>,
}

/// A training run that can go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<T> {
    /// Where it comes from; `iterations` are the steps done.
    pub provenance: Provenance,
    /// All that the trainer needs to go on.
    pub state: State<T>,
    /// How many steps the run was to have.
    pub planned: usize,
    /// The cost before each step done.
    pub costs: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    provenance: Provenance,
    /// Steps that a checkpoint's run was to have; a model has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned: Option<usize>,
}

const MODEL: &str = "model";
const CHECKPOINT: &str = "checkpoint";
const COSTS: &str = "costs";

impl<T: Scalar> Model<T> {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut container = container(MODEL, &self.provenance, None);
        for index in 0..self.parameters.architecture().layers() {
            let layer = self.parameters.layer(index);
            container.push(&format!("W{}", index + 1), layer.w);
            container.push(&format!("b{}", index + 1), layer.b);
        }
        container.to_bytes()
    }

    /// From a container that was read: see [`Container::read`].
    ///
    /// # Errors
    /// [`Error::Model`] where it is no model, or not of this scalar type.
    pub fn from_container(container: &Container) -> Result<Self> {
        container.expect_kind(MODEL)?;
        let provenance = content(container)?.provenance;
        // Before anything of the claimed size is allocated.
        let architecture = expect_parameters::<T>(container, &provenance, FirstLayer::Plain)?;
        let mut parameters = Parameters::<T>::zeros(&architecture);
        for index in 0..architecture.layers() {
            let (w, b) = parameters.layer_mut(index);
            container.copy_to(&format!("W{}", index + 1), w)?;
            container.copy_to(&format!("b{}", index + 1), b)?;
        }
        expect_finite(container, "the parameters", parameters.values())?;
        Ok(Model { provenance, parameters })
    }
}

fn container(kind: &str, provenance: &Provenance, planned: Option<usize>) -> Container {
    let content = Content { provenance: provenance.clone(), planned };
    Container::new(kind, serde_json::to_value(content).expect("plain data"))
}

/// That the file holds numbers of this type, and W and b of every layer of the network that it says it is of, as this way of the first layer has them.
fn expect_parameters<T: Scalar>(
    container: &Container,
    provenance: &Provenance,
    first_layer: FirstLayer,
) -> Result<Architecture> {
    let architecture: Architecture =
        provenance.architecture.parse().map_err(|error: Error| container.refuse(error.to_string()))?;
    if provenance.scalar != T::KIND {
        return Err(container.refuse(format!("it holds {} numbers, expected {}", provenance.scalar, T::KIND)));
    }
    for (index, sizes) in architecture.dims().windows(2).enumerate() {
        let w = weights(first_layer, index);
        container.expect_shape::<T>(&w, (sizes[1], sizes[0]))?;
        container.expect_shape::<T>(&format!("b{}", index + 1), (sizes[1], 1))?;
    }
    Ok(architecture)
}

/// What the weights of layer `index` (from 0) are called in a run's state: a first layer that never forms W has what W starts from.
fn weights(first_layer: FirstLayer, index: usize) -> String {
    match (first_layer, index) {
        (FirstLayer::Implicit, 0) => ImplicitBound::<f64>::START.into(),
        _ => format!("W{}", index + 1),
    }
}

fn expect_finite<'a, T: Scalar>(
    container: &Container,
    of: &str,
    numbers: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    match numbers.into_iter().enumerate().find(|(_, number)| !number.is_finite()) {
        Some((place, number)) => Err(container.refuse(format!("number {place} of {of} is {number}"))),
        None => Ok(()),
    }
}

impl<T: Scalar> Checkpoint<T> {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut container = container(CHECKPOINT, &self.provenance, Some(self.planned));
        container.push_state(&self.state);
        container.push_numbers(COSTS, &self.costs);
        container.to_bytes()
    }

    /// From a container that was read: see [`Container::read`].
    ///
    /// # Errors
    /// [`Error::Model`] where it is no checkpoint, not of this scalar type, or contradicts itself.
    pub fn from_container(container: &Container) -> Result<Self> {
        container.expect_kind(CHECKPOINT)?;
        let Content { provenance, planned } = content(container)?;
        let first_layer = provenance.first_layer;
        let architecture = expect_parameters::<T>(container, &provenance, first_layer)?;
        let state = container.state::<T>(COSTS)?;
        for layer in 1..=architecture.layers() {
            for name in [weights(first_layer, layer - 1), format!("b{layer}")] {
                expect_finite(container, &format!("tensor `{name}`"), state.matrix(&name)?)?;
            }
        }
        let costs = container.costs(COSTS)?;
        let (done, planned) = (provenance.iterations, planned.unwrap_or(0));
        if costs.len() != done || planned < done {
            return Err(
                container.refuse(format!("{done} of {planned} steps are done, and there are {} costs", costs.len()))
            );
        }
        Ok(Checkpoint { provenance, state, planned, costs })
    }
}

/// Whether the file at `path` says that it is a checkpoint, whole or not: its head alone is read.
///
/// # Errors
/// [`Error::Io`].
pub fn is_checkpoint(path: &Path) -> Result<bool> {
    Container::kind_at(path).map(|kind| kind.as_deref() == Some(CHECKPOINT))
}

/// What a file says of itself, whatever kind it is.
///
/// # Errors
/// [`Error::Model`].
pub fn provenance(container: &Container) -> Result<Provenance> {
    content(container).map(|content| content.provenance)
}

fn content(container: &Container) -> Result<Content> {
    serde_json::from_value(container.content().clone())
        .map_err(|error| container.refuse(format!("its metadata: {error}")))
}
