//! Running a fixture case on an engine. What comes out is judged elsewhere.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use super::Outputs;
use super::golden::{CacheCase, Call, LayerCase};
use crate::error::Result;
use crate::layer::{Activation, Engine};
use crate::model::Parameters;
use crate::notebook::{self, Cache};
use crate::scalar::Scalar;

/// Calls the notebook's function with inputs rounded to `T`, and hands its results out by their notebook names.
///
/// # Errors
/// Of the engine.
pub fn run<T: Scalar>(engine: &Arc<dyn Engine<T>>, call: &Call) -> Result<Outputs> {
    let mut out = Outputs::new();
    let mut put = |name: &str, matrix: ArrayView2<'_, T>| drop(out.insert(name.to_owned(), matrix.mapv(Scalar::widen)));
    match call {
        Call::Initialize { architecture, init, seed } => {
            put_parameters(&mut put, &Parameters::initialized(architecture, *init, *seed));
        }
        Call::Forward { layer, a_prev, activation } => {
            let (w, b, a_prev) = (rounded(&layer.w), rounded(&layer.b), rounded(a_prev));
            let activation_or_none = activation.unwrap_or(Activation::Identity);
            let (a, cache) = notebook::linear_activation_forward(
                engine.as_ref(),
                a_prev.view(),
                w.view(),
                b.view(),
                activation_or_none,
            )?;
            put("Z", cache.z.view());
            if activation.is_some() {
                put("A", a.view());
            }
        }
        Call::Activate { z, activation } => {
            let z = rounded(z);
            let a = match activation {
                Activation::Sigmoid => notebook::sigmoid(engine.as_ref(), z.view())?,
                Activation::Relu => notebook::relu(engine.as_ref(), z.view())?,
                Activation::Identity => z,
            };
            put("A", a.view());
        }
        Call::ActivationBackward { da, z, activation } => {
            put("dZ", activation_backward(engine.as_ref(), &rounded(da), &rounded(z), *activation)?.view());
        }
        Call::ModelForward { x, parameters } => {
            let parameters = to_parameters(parameters)?;
            let (al, caches) = notebook::l_model_forward(engine, rounded(x).view(), &parameters)?;
            put("AL", al.view());
            put("caches_len", Array2::from_elem((1, 1), T::of(caches.len() as f64)).view());
            for (index, cache) in caches.iter().enumerate() {
                put(&format!("caches[{index}].A_prev"), cache.a_prev.view());
                put(&format!("caches[{index}].W"), cache.w.view());
                put(&format!("caches[{index}].b"), cache.b.view());
                put(&format!("caches[{index}].Z"), cache.z.view());
            }
        }
        Call::Predict { x, parameters } => {
            let (x, parameters) = (rounded(x), to_parameters(parameters)?);
            put("predictions", notebook::predict(engine, x.view(), &parameters)?.view());
            put("probabilities", notebook::l_model_forward(engine, x.view(), &parameters)?.0.view());
        }
        Call::Cost { al, y } => {
            // The cost is an f64 whatever the scalar: not through `put`.
            let cost = notebook::compute_cost(rounded::<T>(al).view(), rounded(y).view())?;
            out.insert("cost".into(), Array2::from_elem((1, 1), cost));
        }
        Call::Backward { upstream, is_da, a_prev, layer, z, activation } => {
            let upstream = rounded(upstream);
            let cache = to_cache(&CacheCase { a_prev: a_prev.clone(), layer: layer.clone(), z: z.clone() });
            let gradients = if *is_da {
                put("dZ", activation_backward(engine.as_ref(), &upstream, &cache.z, *activation)?.view());
                notebook::linear_activation_backward(engine.as_ref(), upstream.view(), &cache, *activation)?
            } else {
                notebook::linear_backward(engine.as_ref(), upstream.view(), &cache)?
            };
            put("dA_prev", gradients.da_prev.view());
            put("dW", gradients.dw.view());
            put("db", gradients.db.view());
        }
        Call::ModelBackward { al, y, caches, names } => {
            let caches: Vec<_> = caches.iter().map(to_cache).collect();
            let gradients =
                notebook::l_model_backward(engine.as_ref(), rounded(al).view(), rounded(y).view(), &caches)?;
            for (index, layer) in gradients.iter().enumerate() {
                put(&format!("dW{}", index + 1), layer.dw.view());
                put(&format!("db{}", index + 1), layer.db.view());
                put(&names.da_of_input(index), layer.da_prev.view());
            }
        }
        Call::Update { parameters, grads, rate } => {
            let (parameters, grads) = (to_parameters(parameters)?, to_parameters(grads)?);
            put_parameters(&mut put, &notebook::update_parameters(&parameters, &grads, T::of(*rate))?);
        }
        Call::Train { x, y, architecture, init, seed, rate, iterations } => {
            let start = Parameters::initialized(architecture, *init, *seed);
            let (parameters, costs) =
                notebook::model(engine, rounded(x).view(), rounded(y).view(), start, *rate, *iterations)?;
            put_parameters(&mut put, &parameters);
            out.insert("costs".into(), Array2::from_shape_fn((1, costs.len()), |(_, i)| costs[i]));
        }
    }
    Ok(out)
}

fn rounded<T: Scalar>(matrix: &Array2<f64>) -> Array2<T> {
    matrix.mapv(T::of)
}

fn to_parameters<T: Scalar>(layers: &[LayerCase]) -> Result<Parameters<T>> {
    let layers: Vec<_> = layers.iter().map(|layer| (rounded(&layer.w), rounded(&layer.b))).collect();
    Parameters::from_layers(&layers)
}

fn to_cache<T: Scalar>(cache: &CacheCase) -> Cache<T> {
    let CacheCase { a_prev, layer, z } = cache;
    Cache { a_prev: rounded(a_prev), w: rounded(&layer.w), b: rounded(&layer.b), z: rounded(z) }
}

fn put_parameters<T: Scalar>(put: &mut impl FnMut(&str, ArrayView2<'_, T>), parameters: &Parameters<T>) {
    for index in 0..parameters.architecture().layers() {
        let layer = parameters.layer(index);
        put(&format!("W{}", index + 1), layer.w);
        put(&format!("b{}", index + 1), layer.b);
    }
}

fn activation_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    da: &Array2<T>,
    z: &Array2<T>,
    activation: Activation,
) -> Result<Array2<T>> {
    match activation {
        Activation::Sigmoid => notebook::sigmoid_backward(engine, da.view(), z.view()),
        Activation::Relu => notebook::relu_backward(engine, da.view(), z.view()),
        Activation::Identity => Ok(da.clone()),
    }
}
