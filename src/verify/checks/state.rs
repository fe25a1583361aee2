//! State: a planned layer owns scratch memory only, and nothing of one call may show in the next. Everything is bit for bit.

use ndarray::{Array2, Zip};

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, Engine, Grads, Params};
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::{Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

/// Added to a seed for other data of the same shape.
const OTHER: u32 = 1 << 20;

fn fresh<T: Scalar>(engine: &dyn Engine<T>, shape: Shape, seed: u32, scale: T) -> Result<Trial<T>> {
    let mut trial = Trial::normal(shape, Activation::Relu, seed);
    trial.run(engine, scale)?;
    Ok(trial)
}

fn hold<T: Scalar>(found: &mut Comparison, when: &str, got: &Trial<T>, expected: &Trial<T>) {
    for ((what, got), (_, expected)) in got.outputs().into_iter().zip(expected.outputs()) {
        found.same_bits(&format!("{what} {when}"), got.view(), expected.view());
    }
}

/// One layer over changing data and scales, and back to the first.
pub(super) fn changing_inputs<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let mut layer = engine.plan(shape.spec(Activation::Relu))?;
        for (call, (seed, scale)) in [(seed, 0.25), (seed + OTHER, 0.5), (seed, 0.25)].into_iter().enumerate() {
            let expected = fresh(engine.as_ref(), shape, seed, T::of(scale))?;
            let mut trial = expected.clone();
            trial.spoil_outputs();
            trial.forward(engine.as_ref(), layer.as_mut())?;
            trial.backward(engine.as_ref(), layer.as_mut(), Kind::Da, T::of(scale))?;
            hold(&mut found, &format!("of call {}", call + 1), &trial, &expected);
        }
        Ok(found)
    })
}

/// Backward for data whose forward pass was not the last.
pub(super) fn forward_twice<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let expected = fresh(engine.as_ref(), shape, seed, T::one())?;
        let (mut first, mut second) = (expected.clone(), Trial::<T>::normal(shape, Activation::Relu, seed + OTHER));
        first.spoil_outputs();
        let mut layer = engine.plan(first.spec)?;
        first.forward(engine.as_ref(), layer.as_mut())?;
        second.forward(engine.as_ref(), layer.as_mut())?;
        first.backward(engine.as_ref(), layer.as_mut(), Kind::Da, T::one())?;
        hold(&mut found, "after another forward pass", &first, &expected);
        Ok(found)
    })
}

/// Layers of other shapes, planned before and after, run between the two passes.
pub(super) fn other_layers<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let expected = fresh(engine.as_ref(), shape, seed, T::one())?;
        let mut trial = expected.clone();
        trial.spoil_outputs();
        let Shape { outputs, inputs, batch } = shape;
        let larger = Shape::new(outputs + 3, inputs + 5, batch + 7);
        let turned = Shape::new(inputs, outputs, batch);
        let mut before = engine.plan(larger.spec(Activation::Sigmoid))?;
        let mut layer = engine.plan(trial.spec)?;
        let mut larger_trial = Trial::<T>::normal(larger, Activation::Sigmoid, seed);
        trial.forward(engine.as_ref(), layer.as_mut())?;
        larger_trial.forward(engine.as_ref(), before.as_mut())?;
        larger_trial.backward(engine.as_ref(), before.as_mut(), Kind::Da, T::one())?;
        Trial::<T>::normal(turned, Activation::Identity, seed).run(engine.as_ref(), T::one())?;
        trial.backward(engine.as_ref(), layer.as_mut(), Kind::Da, T::one())?;
        hold(&mut found, "with other layers in between", &trial, &expected);
        Ok(found)
    })
}

/// dZ instead of dA, and no dA_prev. Only for activations whose gradient is exact: a backend may have its own sigmoid.
pub(super) fn equivalent_calls<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        for activation in [Activation::Identity, Activation::Relu] {
            let mut trial = Trial::<T>::normal(shape, activation, seed);
            trial.run(engine.as_ref(), T::of(0.25))?;
            let mut dz = trial.upstream.clone();
            Zip::from(&mut dz).and(&trial.z).for_each(|dz, &z| *dz = activation.pull_back(z, *dz));
            let mut layer = engine.plan(trial.spec)?;
            let params = Params { w: trial.w.view(), b: trial.b.view() };
            for (kind, upstream) in [(Kind::Da, &trial.upstream), (Kind::Dz, &dz)] {
                let (mut dw, mut db) =
                    (Array2::from_elem(trial.dw.dim(), T::nan()), Array2::from_elem(trial.db.dim(), T::nan()));
                in_run(engine.as_ref(), || {
                    let grads = Grads { dw: dw.view_mut(), db: db.view_mut() };
                    let (x, z, upstream) = (trial.x.view(), trial.z.view(), kind.of(upstream.view()));
                    layer.backward(params, x, z, upstream, T::of(0.25), grads, None)
                })?;
                let label = |what| format!("{what} ({activation}, from {kind}, without dA_prev)");
                found.same_bits(&label("dW"), dw.view(), trial.dw.view());
                found.same_bits(&label("db"), db.view(), trial.db.view());
            }
        }
        Ok(found)
    })
}
