//! The functions of the notebook *Building your Deep Neural Network: Step by Step* and of its sequel, on any engine.
//!
//! Names and shapes are the notebook's (lower case for `L_model_forward` and friends, as Rust has it); what it leaves open or
//! gets wrong is settled as the layer contracts say ([`layer`](crate::layer)). These functions plan at each call: they
//! are for checking and teaching; [`Network`] is for work.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Zip};

use crate::error::{Error, Result};
use crate::layer::{Activation, Descent, Engine, Grads, LayerSpec, Params, Upstream};
use crate::model::{Architecture, Gradients, Init, Parameters, loss};
use crate::network::Network;
use crate::scalar::Scalar;

/// What forward keeps of a layer for backward: the notebook's `(linear_cache, activation_cache)`, flattened.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache<T> {
    /// A of the layer below, (n_prev, m).
    pub a_prev: Array2<T>,
    /// W, (n, n_prev).
    pub w: Array2<T>,
    /// b, (n, 1).
    pub b: Array2<T>,
    /// Z, (n, m).
    pub z: Array2<T>,
}

/// The gradients of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerGradients<T> {
    /// dA_prev, (n_prev, m): carries no 1/m.
    pub da_prev: Array2<T>,
    /// dW, (n, n_prev): carries 1/m.
    pub dw: Array2<T>,
    /// db, (n, 1): carries 1/m.
    pub db: Array2<T>,
}

/// `initialize_parameters(n_x, n_h, n_y)` (`In [2]`): seed 1, `randn * 0.01`, zero biases.
///
/// # Errors
/// [`Error::Architecture`] where a size is zero.
pub fn initialize_parameters<T: Scalar>(n_x: usize, n_h: usize, n_y: usize) -> Result<Parameters<T>> {
    Ok(Parameters::initialized(&Architecture::new(&[n_x, n_h, n_y])?, Init::Normal(0.01), 1))
}

/// `initialize_parameters_deep(layer_dims)` (`In [12]`): seed 3, `randn * 0.01`, zero biases.
///
/// The sequel's starts from seed 1 with `randn / sqrt(n_prev)`: see [`Parameters::initialized`].
///
/// # Errors
/// [`Error::Architecture`] for sizes that no network has.
pub fn initialize_parameters_deep<T: Scalar>(layer_dims: &[usize]) -> Result<Parameters<T>> {
    Ok(Parameters::initialized(&Architecture::new(layer_dims)?, Init::Normal(0.01), 3))
}

/// `linear_forward(A, W, b)` (`In [14]`): Z = W A + b.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn linear_forward<T: Scalar>(
    engine: &dyn Engine<T>,
    a: ArrayView2<'_, T>,
    w: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
) -> Result<Array2<T>> {
    linear_activation_forward(engine, a, w, b, Activation::Identity).map(|(_, cache)| cache.z)
}

/// `sigmoid(Z)` of `dnn_utils`: 1 / (1 + exp(-Z)).
///
/// # Errors
/// Of the engine.
pub fn sigmoid<T: Scalar>(engine: &dyn Engine<T>, z: ArrayView2<'_, T>) -> Result<Array2<T>> {
    activate(engine, z, Activation::Sigmoid)
}

/// `relu(Z)` of `dnn_utils`: max(0, Z), NaN where Z is NaN.
///
/// # Errors
/// Of the engine.
pub fn relu<T: Scalar>(engine: &dyn Engine<T>, z: ArrayView2<'_, T>) -> Result<Array2<T>> {
    activate(engine, z, Activation::Relu)
}

/// `sigmoid_backward(dA, Z)` of `dnn_utils`: dZ = dA s(Z) (1 - s(Z)).
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn sigmoid_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
) -> Result<Array2<T>> {
    activation_backward(engine, da, z, Activation::Sigmoid)
}

/// `relu_backward(dA, Z)` of `dnn_utils`: dZ is 0 where Z <= 0, else dA.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn relu_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
) -> Result<Array2<T>> {
    activation_backward(engine, da, z, Activation::Relu)
}

/// g(Z) by a layer of no inputs: Z = b exactly, one unit per element.
fn activate<T: Scalar>(engine: &dyn Engine<T>, z: ArrayView2<'_, T>, activation: Activation) -> Result<Array2<T>> {
    let count = z.len();
    let b = column(&z);
    let (w, a_prev) = (Array2::zeros((count, 0)), Array2::zeros((0, 1)));
    let (a, _) = linear_activation_forward(engine, a_prev.view(), w.view(), b.view(), activation)?;
    Ok(reshaped(a, z.dim()))
}

/// dZ by a layer of no inputs, one unit per element and one example: db = dZ exactly.
fn activation_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
    activation: Activation,
) -> Result<Array2<T>> {
    if da.dim() != z.dim() {
        return Err(Error::Shape { what: "dA", expected: z.dim(), found: da.dim() });
    }
    let count = z.len();
    let (column_z, column_da) = (column(&z), column(&da));
    let cache = Cache { a_prev: Array2::zeros((0, 1)), w: Array2::zeros((count, 0)), b: column_z.clone(), z: column_z };
    let gradients = backward(engine, Upstream::Da(column_da.view()), &cache, activation, T::one())?;
    Ok(reshaped(gradients.db, z.dim()))
}

fn column<T: Scalar>(matrix: &ArrayView2<'_, T>) -> Array2<T> {
    Array2::from_shape_fn((matrix.len(), 1), |(i, _)| matrix[(i / matrix.ncols(), i % matrix.ncols())])
}

fn reshaped<T>(column: Array2<T>, dim: (usize, usize)) -> Array2<T> {
    column.into_shape_with_order(dim).expect("one element for each")
}

/// `linear_activation_forward(A_prev, W, b, activation)` (`In [16]`): A = g(W A_prev + b), and the cache.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn linear_activation_forward<T: Scalar>(
    engine: &dyn Engine<T>,
    a_prev: ArrayView2<'_, T>,
    w: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    activation: Activation,
) -> Result<(Array2<T>, Cache<T>)> {
    let spec = LayerSpec { inputs: w.ncols(), outputs: w.nrows(), batch: a_prev.ncols(), activation };
    // NaN, so that a backend that leaves an element alone or reads its output is seen.
    let nan = Array2::from_elem((spec.outputs, spec.batch), T::nan());
    let (mut z, mut a) = (nan.clone(), nan);
    engine.plan(spec)?.forward(Params { w, b }, a_prev, z.view_mut(), a.view_mut())?;
    Ok((a, Cache { a_prev: a_prev.to_owned(), w: w.to_owned(), b: b.to_owned(), z }))
}

/// `L_model_forward(X, parameters)` (`In [26]`): AL and the caches of all layers, ReLU inside and sigmoid at the end.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
#[doc(alias = "L_model_forward")]
pub fn l_model_forward<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
) -> Result<(Array2<T>, Vec<Cache<T>>)> {
    let mut network = Network::with_parameters(engine, parameters.clone())?;
    let al = network.forward(x)?.to_owned();
    let caches = (0..network.architecture().layers()).map(|index| {
        let Params { w, b } = parameters.layer(index);
        let a_prev = if index == 0 { x } else { network.activation(index - 1) };
        Cache { a_prev: a_prev.to_owned(), w: w.to_owned(), b: b.to_owned(), z: network.linear(index).to_owned() }
    });
    let caches = caches.collect();
    Ok((al, caches))
}

/// `compute_cost(AL, Y)` (`In [32]`); see [`loss::cost_from_a`] for certain answers.
///
/// # Errors
/// [`Error::Shape`] where Y is shaped otherwise.
pub fn compute_cost<T: Scalar>(al: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Result<f64> {
    loss::cost_from_a(al, y)
}

/// `linear_backward(dZ, cache)` (`In [34]`); the cache's Z is not looked at.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn linear_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    dz: ArrayView2<'_, T>,
    cache: &Cache<T>,
) -> Result<LayerGradients<T>> {
    backward(engine, Upstream::Dz(dz), cache, Activation::Identity, one_over(dz.ncols()))
}

/// `linear_activation_backward(dA, cache, activation)` (`In [39]`): dZ comes from dA and the cached Z.
///
/// # Errors
/// Where shapes do not fit, or of the engine.
pub fn linear_activation_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    da: ArrayView2<'_, T>,
    cache: &Cache<T>,
    activation: Activation,
) -> Result<LayerGradients<T>> {
    backward(engine, Upstream::Da(da), cache, activation, one_over(da.ncols()))
}

fn one_over<T: Scalar>(m: usize) -> T {
    // No examples have zero gradients, not 0 times infinity.
    T::one() / T::of(m.max(1) as f64)
}

fn backward<T: Scalar>(
    engine: &dyn Engine<T>,
    upstream: Upstream<'_, T>,
    cache: &Cache<T>,
    activation: Activation,
    scale: T,
) -> Result<LayerGradients<T>> {
    let Cache { a_prev, w, b, z } = cache;
    let spec = LayerSpec { inputs: w.ncols(), outputs: w.nrows(), batch: a_prev.ncols(), activation };
    let nan = |dim| Array2::from_elem(dim, T::nan());
    let mut gradients = LayerGradients { da_prev: nan(a_prev.dim()), dw: nan(w.dim()), db: nan(b.dim()) };
    engine.plan(spec)?.backward(
        Params { w: w.view(), b: b.view() },
        a_prev.view(),
        z.view(),
        upstream,
        scale,
        Grads { dw: gradients.dw.view_mut(), db: gradients.db.view_mut() },
        Some(gradients.da_prev.view_mut()),
    )?;
    Ok(gradients)
}

/// `L_model_backward(AL, Y, caches)` (`In [51]`), from the notebook's dAL = -(Y/AL - (1-Y)/(1-AL)).
///
/// Element l of the result belongs to layer l + 1. Its `da_prev` is what the notebook stores as `dA(l+1)`, though it is the
/// gradient of that layer's *input*, dA(l) in mathematical naming.
///
/// # Errors
/// Where shapes do not fit, there are no caches, or of the engine.
#[doc(alias = "L_model_backward")]
pub fn l_model_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    al: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    caches: &[Cache<T>],
) -> Result<Vec<LayerGradients<T>>> {
    if al.dim() != y.dim() {
        return Err(Error::Shape { what: "Y", expected: al.dim(), found: y.dim() });
    }
    let mut da = Array2::zeros(al.dim());
    Zip::from(&mut da).and(al).and(y).for_each(|da, &a, &y| *da = loss::cost_slope(a, y));
    let mut gradients = Vec::with_capacity(caches.len());
    for (index, cache) in caches.iter().enumerate().rev() {
        let activation = Activation::in_notebook(index, caches.len());
        let layer = linear_activation_backward(engine, da.view(), cache, activation)?;
        da = layer.da_prev.clone();
        gradients.push(layer);
    }
    gradients.reverse();
    Ok(gradients)
}

/// `update_parameters(parameters, grads, learning_rate)` (`In [61]`); returns new parameters, the given ones stay.
///
/// # Errors
/// [`Error::Mismatch`] where the gradients are of another architecture.
pub fn update_parameters<T: Scalar>(
    parameters: &Parameters<T>,
    grads: &Gradients<T>,
    learning_rate: T,
) -> Result<Parameters<T>> {
    let mut updated = parameters.clone();
    updated.update(grads, 0, &mut Descent::plain(learning_rate))?;
    Ok(updated)
}

/// `two_layer_model` of the sequel: seed 1, `randn * 0.01`. Returns parameters and the cost before each update.
///
/// # Errors
/// [`Error::Architecture`] for other than two layers; as [`Network::train`].
pub fn two_layer_model<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    x: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    layer_dims: [usize; 3],
    learning_rate: f64,
    num_iterations: usize,
) -> Result<(Parameters<T>, Vec<f64>)> {
    let parameters = Parameters::initialized(&Architecture::new(&layer_dims)?, Init::Normal(0.01), 1);
    model(engine, x, y, parameters, learning_rate, num_iterations)
}

/// `L_layer_model` of the sequel: seed 1, `randn / sqrt(n_prev)`. Returns parameters and the cost before each update.
///
/// # Errors
/// As [`Network::train`].
#[doc(alias = "L_layer_model")]
pub fn l_layer_model<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    x: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    layer_dims: &[usize],
    learning_rate: f64,
    num_iterations: usize,
) -> Result<(Parameters<T>, Vec<f64>)> {
    let parameters = Parameters::initialized(&Architecture::new(layer_dims)?, Init::InverseSqrt, 1);
    model(engine, x, y, parameters, learning_rate, num_iterations)
}

/// What both models do from given parameters on.
///
/// # Errors
/// As [`Network::train`].
pub fn model<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    x: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    parameters: Parameters<T>,
    learning_rate: f64,
    num_iterations: usize,
) -> Result<(Parameters<T>, Vec<f64>)> {
    let mut network = Network::with_parameters(engine, parameters)?;
    let costs = network.train(x, y, learning_rate, num_iterations)?;
    Ok((network.parameters().clone(), costs))
}

/// `predict(X, parameters)` of the sequel: 1 where AL > 0.5, else 0; (nL, m). A NaN stays NaN.
///
/// # Errors
/// Where X does not fit, or of the engine.
pub fn predict<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
) -> Result<Array2<T>> {
    let mut network = Network::with_parameters(engine, parameters.clone())?;
    let class = |a: T| match a.partial_cmp(&T::of(0.5)) {
        Some(std::cmp::Ordering::Greater) => T::one(),
        Some(_) => T::zero(),
        None => a,
    };
    Ok(network.predict(x)?.mapv(class))
}
