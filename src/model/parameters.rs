//! One arena for the parameters of all layers. Gradients have the same shapes and use the same type.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::init::{Init, NumpyRandom};
use super::{Architecture, Grads, Params, State, UpdateRule};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// W1, b1, ..., WL, bL of a network, one behind the other in a single allocation, each row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<T> {
    architecture: Architecture,
    values: Vec<T>,
}

/// dW1, db1, ..., dWL, dbL: shaped like what they belong to.
pub type Gradients<T> = Parameters<T>;

impl<T: Scalar> Parameters<T> {
    /// All zero.
    pub fn zeros(architecture: &Architecture) -> Self {
        let count = architecture.dims().windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum();
        Parameters { architecture: architecture.clone(), values: vec![T::zero(); count] }
    }

    /// Weights as `np.random.seed(seed)` and `randn` give them, layer by layer, scaled as `init` says; biases zero
    /// (the notebook's `initialize_parameters` and `initialize_parameters_deep`). Drawn in `f64` and rounded once.
    pub fn initialized(architecture: &Architecture, init: Init, seed: u32) -> Self {
        let mut random = NumpyRandom::new(seed);
        let mut parameters = Parameters::zeros(architecture);
        for layer in 0..architecture.layers() {
            let inputs = architecture.dims()[layer];
            let (mut w, _) = parameters.layer_mut(layer);
            w.mapv_inplace(|_| T::of(init.weight(inputs, &mut random)));
        }
        parameters
    }

    /// From matrices W1, b1, W2, b2, ...: the architecture is read off their shapes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where shapes do not chain or a bias is missing; [`Error::Architecture`] where a size is zero.
    pub fn from_layers(layers: &[(Array2<T>, Array2<T>)]) -> Result<Self> {
        let mut dims = Vec::new();
        for (index, (w, b)) in layers.iter().enumerate() {
            let inputs = dims.last().copied().unwrap_or(w.ncols());
            if w.ncols() != inputs || b.dim() != (w.nrows(), 1) {
                return Err(Error::Mismatch {
                    what: "a layer's parameters",
                    expected: format!("W{0} of {inputs} columns and b{0} of shape ({1}, 1)", index + 1, w.nrows()),
                    found: format!("W{0} of shape {1:?} and b{0} of shape {2:?}", index + 1, w.dim(), b.dim()),
                });
            }
            if index == 0 {
                dims.push(inputs);
            }
            dims.push(w.nrows());
        }
        let mut parameters = Parameters::zeros(&Architecture::new(&dims)?);
        for (index, (w, b)) in layers.iter().enumerate() {
            let (mut to_w, mut to_b) = parameters.layer_mut(index);
            to_w.assign(w);
            to_b.assign(b);
        }
        Ok(parameters)
    }

    /// The sizes of the layers.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// All values, layer by layer, W before b.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The same, to be written.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// W (n, n_prev) and b (n, 1) of layer `index`, from 0.
    pub fn layer(&self, index: usize) -> Params<'_, T> {
        let (start, w_dim) = self.place(index);
        let (w, b) = self.values[start..start + w_dim.0 * (w_dim.1 + 1)].split_at(w_dim.0 * w_dim.1);
        Params { w: view(w_dim, w), b: view((w_dim.0, 1), b) }
    }

    /// The same, to be written.
    pub fn layer_mut(&mut self, index: usize) -> (ArrayViewMut2<'_, T>, ArrayViewMut2<'_, T>) {
        let (start, w_dim) = self.place(index);
        let (w, b) = self.values[start..start + w_dim.0 * (w_dim.1 + 1)].split_at_mut(w_dim.0 * w_dim.1);
        (view_mut(w_dim, w), view_mut((w_dim.0, 1), b))
    }

    /// Layer `index` as the place where backward writes.
    pub fn grads_mut(&mut self, index: usize) -> Grads<'_, T> {
        let (dw, db) = self.layer_mut(index);
        Grads { dw, db }
    }

    /// Part of a step: new parameters of all layers from their gradients (the notebook's `update_parameters`). Layer 0 is layer `first` of
    /// the network that the rule counts in.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the gradients are of another architecture.
    pub fn update(&mut self, gradients: &Gradients<T>, first: usize, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        self.expect_architecture(&gradients.architecture)?;
        for index in 0..self.architecture.layers() {
            let grads = gradients.layer(index);
            let (w, b) = self.layer_mut(index);
            rule.update(first + index, w, b, grads.w, grads.b);
        }
        Ok(())
    }

    /// Adds them to a state, layer 0 as layer `first`.
    pub fn save(&self, first: usize, state: &mut State<T>) {
        for index in 0..self.architecture.layers() {
            state.put_layer(first + index, self.layer(index));
        }
    }

    /// Takes them over from a state, layer 0 from layer `first`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where they are not in it.
    pub fn restore(&mut self, first: usize, state: &State<T>) -> Result<()> {
        for index in 0..self.architecture.layers() {
            let (w, b) = self.layer_mut(index);
            state.copy_layer(first + index, w, b)?;
        }
        Ok(())
    }

    /// Takes over the values of `other`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is of another architecture.
    pub fn copy_from(&mut self, other: &Parameters<T>) -> Result<()> {
        self.expect_architecture(&other.architecture)?;
        self.values.copy_from_slice(&other.values);
        Ok(())
    }

    /// The parameters above the first layer, or `None` where there is no other.
    pub fn above_first(&self) -> Option<Parameters<T>> {
        let architecture = self.architecture.above_first()?;
        let (start, _) = self.place(1);
        Some(Parameters { architecture, values: self.values[start..].to_vec() })
    }

    pub(crate) fn expect_architecture(&self, other: &Architecture) -> Result<()> {
        if self.architecture == *other {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the other network",
            expected: format!("layer sizes {}", self.architecture),
            found: format!("layer sizes {other}"),
        })
    }

    /// Where layer `index` starts, and the shape of its W.
    fn place(&self, index: usize) -> (usize, (usize, usize)) {
        let dims = self.architecture.dims();
        let start = dims.windows(2).take(index).map(|pair| pair[1] * (pair[0] + 1)).sum();
        (start, (dims[index + 1], dims[index]))
    }
}

/// A slice of the right length as a matrix.
pub(crate) fn view<T>(dim: (usize, usize), values: &[T]) -> ArrayView2<'_, T> {
    ArrayView2::from_shape(dim, values).expect("the slice was cut to this shape")
}

/// A slice of the right length as a matrix to be written.
pub(crate) fn view_mut<T>(dim: (usize, usize), values: &mut [T]) -> ArrayViewMut2<'_, T> {
    ArrayViewMut2::from_shape(dim, values).expect("the slice was cut to this shape")
}
