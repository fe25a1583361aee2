//! A fixture case in memory: a function of the notebook with its arguments, and what must come out. Reading files is
//! [`fixture`](super::fixture)'s business.

use ndarray::Array2;

use super::Outputs;
use crate::layer::Activation;
use crate::model::{Architecture, Init};

/// One case: what to call, and what must come out.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the file, or `#3` for the third one where it has none.
    pub name: String,
    /// What to call.
    pub call: Call,
    /// What must come out; it may be a part of what the function returns.
    pub expected: Outputs,
    /// The same, or another part, as printed somewhere, to fewer digits.
    pub printed: Vec<Printed>,
    /// The author's tolerance, absolute and relative, instead of a bound derived from the inputs.
    pub tolerance: Option<f64>,
}

/// Numbers that are known as printed text.
#[derive(Clone, Debug, PartialEq)]
pub struct Printed {
    /// Which of the outputs.
    pub name: String,
    /// The numbers.
    pub values: Array2<f64>,
    /// Half a unit of the last digit of each.
    pub half_units: Array2<f64>,
}

/// W (n, n_prev) and b (n, 1) of a layer, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCase {
    /// W.
    pub w: Array2<f64>,
    /// b.
    pub b: Array2<f64>,
}

/// What a forward pass left for the backward pass. Z need not be W A_prev + b.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheCase {
    /// A of the layer below, (n_prev, m).
    pub a_prev: Array2<f64>,
    /// W and b.
    pub layer: LayerCase,
    /// Z, (n, m).
    pub z: Array2<f64>,
}

/// How an `L_model_backward` case names the gradient of a layer's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientNames {
    /// The notebook's: dA1 is the gradient of layer 1's input.
    Notebook,
    /// dA0 is the gradient of layer 1's input.
    Mathematical,
}

impl GradientNames {
    /// The name of the gradient of the input of layer `index`, from 0.
    pub fn da_of_input(self, index: usize) -> String {
        match self {
            GradientNames::Notebook => format!("dA{}", index + 1),
            GradientNames::Mathematical => format!("dA{index}"),
        }
    }
}

/// A function of the notebook with its arguments. Shapes fit each other.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the notebook's arguments")]
pub enum Call {
    /// `initialize_parameters`, `initialize_parameters_deep`.
    Initialize { architecture: Architecture, init: Init, seed: u32 },
    /// `linear_forward` (no activation), `linear_activation_forward`.
    Forward { layer: LayerCase, a_prev: Array2<f64>, activation: Option<Activation> },
    /// `sigmoid`, `relu`.
    Activate { z: Array2<f64>, activation: Activation },
    /// `sigmoid_backward`, `relu_backward`.
    ActivationBackward { da: Array2<f64>, z: Array2<f64>, activation: Activation },
    /// `L_model_forward`.
    ModelForward { x: Array2<f64>, parameters: Vec<LayerCase> },
    /// `predict`.
    Predict { x: Array2<f64>, parameters: Vec<LayerCase> },
    /// `compute_cost`.
    Cost { al: Array2<f64>, y: Array2<f64> },
    /// `linear_backward` (from dZ; Z is not looked at), `linear_activation_backward` (from dA).
    Backward {
        upstream: Array2<f64>,
        is_da: bool,
        a_prev: Array2<f64>,
        layer: LayerCase,
        z: Array2<f64>,
        activation: Activation,
    },
    /// `L_model_backward`.
    ModelBackward { al: Array2<f64>, y: Array2<f64>, caches: Vec<CacheCase>, names: GradientNames },
    /// `update_parameters`.
    Update { parameters: Vec<LayerCase>, grads: Vec<LayerCase>, rate: f64 },
    /// `two_layer_model`, `L_layer_model`.
    Train {
        x: Array2<f64>,
        y: Array2<f64>,
        architecture: Architecture,
        init: Init,
        seed: u32,
        rate: f64,
        iterations: usize,
    },
}
