//! The bound first layer: what it computes, and what it gives back. It may never form W, so its bound is one of its own.

use ndarray::{Array2, s};

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, BoundLayer, Descent, Engine, ImplicitBound, Params, Upstream};
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::{Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::tolerances;
use crate::verify::trial::Trial;

/// The decay of each step: none, some, and none again. Each is exact, and so is what the rate makes of it.
const DECAYS: [f64; 5] = [0.0, 0.0, 0.5, 2.0, 0.0];
const RATE: f64 = 0.125;

/// Z, W and b after each of several steps along a constant dZ, or some columns of it, against plain f64 loops. W and b are taken before a forward pass and after
/// one: whatever is left for later must not be missing.
pub(super) fn descent<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        let plain = || bind(engine.as_ref(), &trial);
        descends(engine.as_ref(), &trial, shape, [plain()?, plain()?])
    })
}

/// The same of a first layer that never forms W, on this backend's products.
pub(super) fn implicit<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        let implicit = || -> Result<Box<dyn BoundLayer<T>>> {
            let mut bound = ImplicitBound::new(&engine, trial.spec, trial.x.to_shared())?;
            bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
            Ok(Box::new(bound))
        };
        descends(engine.as_ref(), &trial, shape, [implicit()?, implicit()?])
    })
}

/// Several steps of two layers that hold the same, of which nobody looks at the second between its steps.
fn descends<T: Scalar>(
    engine: &dyn Engine<T>,
    trial: &Trial<T>,
    shape: Shape,
    [mut bound, mut unseen]: [Box<dyn BoundLayer<T>>; 2],
) -> Result<Comparison> {
    let mut found = Comparison::default();
    let scale = 1.0 / shape.batch.max(1) as f64;
    let wide = |matrix: &Array2<T>| matrix.mapv(Scalar::widen);
    let (x, dz) = (wide(&trial.x), wide(&trial.upstream));
    let (mut w, mut b) = (wide(&trial.w), wide(&trial.b));
    let size = |m: &Array2<f64>| m.mapv(f64::abs);
    let (mut total_w, mut total_b) = (size(&w), size(&b));
    let mut decayed = 0;
    let m = shape.batch;
    let columns = [0..m, m / 2..m, 0..m, m / 3..m.min(m / 3 + 1), 0..m];
    for (step, (decay, columns)) in DECAYS.into_iter().zip(columns).enumerate() {
        // A step that decays rounds once more; it counts as two.
        let factor = tolerances::bound_layer(shape.inputs, shape.batch, step + decayed) * T::UNIT_ROUNDOFF;
        let (early_w, early_b) = parameters(bound.as_ref(), shape)?;
        let (got_w, got_b, got_z) = state(engine, bound.as_mut(), shape)?;
        let after = |what: &str| format!("{what} after {step} steps");
        let total_z = total_w.dot(&size(&x)) + &total_b;
        found.within(&after("W before forward"), &early_w, &w, |at| factor * total_w[at]);
        found.within(&after("b before forward"), &early_b, &b, |at| factor * total_b[at]);
        found.within(&after("W"), &got_w, &w, |at| factor * total_w[at]);
        found.within(&after("b"), &got_b, &b, |at| factor * total_b[at]);
        found.within(&after("Z"), &got_z, &(w.dot(&x) + &b), |at| factor * total_z[at]);
        // What a step moves: W by dZ X^T, b by the row sums of dZ, both times the rate and the scale.
        let only = s![.., columns.clone()];
        let (some_x, some_dz) = (x.slice(only).to_owned(), dz.slice(only).to_owned());
        let ones = Array2::<f64>::ones((some_dz.ncols(), 1));
        let moved = |dz: &Array2<f64>, x: &Array2<f64>| (RATE * scale * dz.dot(&x.t()), RATE * scale * dz.dot(&ones));
        let ((step_w, step_b), (size_w, size_b)) = (moved(&some_dz, &some_x), moved(&size(&some_dz), &size(&some_x)));
        let (z, dz) = (got_z.slice(only), Upstream::Dz(trial.upstream.slice(only)));
        let mut descent = Descent { rate: T::of(RATE), decay: T::of(decay) };
        let again = columns.clone();
        in_run(engine, || {
            bound.backward(columns, z, dz, T::of(scale))?;
            bound.update(&mut descent)
        })?;
        in_run(engine, || {
            unseen.backward(again, z, dz, T::of(scale))?;
            unseen.update(&mut descent)
        })?;
        let keep = 1.0 - RATE * decay;
        (w, b) = (keep * w - &step_w, b - &step_b);
        (total_w, total_b) = (keep * total_w + &size_w, total_b + &size_b);
        decayed += usize::from(decay != 0.0);
    }
    // Nobody has looked at this one between its steps.
    let factor = tolerances::bound_layer(shape.inputs, shape.batch, DECAYS.len() + decayed) * T::UNIT_ROUNDOFF;
    let (got_w, got_b) = parameters(unseen.as_ref(), shape)?;
    found.within("W after steps with nothing between them", &got_w, &w, |at| factor * total_w[at]);
    found.within("b after steps with nothing between them", &got_b, &b, |at| factor * total_b[at]);
    Ok(found)
}

/// What is imported is exported bit for bit, before a step and after one.
pub(super) fn import<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Relu, seed);
        let mut bound = bind(engine.as_ref(), &trial)?;
        let (w, b, first_z) = state(engine.as_ref(), bound.as_mut(), shape)?;
        found.same_bits("W", w.view(), trial.w.view());
        found.same_bits("b", b.view(), trial.b.view());
        let (z, da) = (first_z.view(), Upstream::Da(trial.upstream.view()));
        let all = || 0..shape.batch;
        in_run(engine.as_ref(), || {
            bound.backward(all(), z, da, T::one())?;
            bound.update(&mut Descent::plain(T::of(RATE)))
        })?;
        bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
        let (w, b, z) = state(engine.as_ref(), bound.as_mut(), shape)?;
        found.same_bits("W imported again", w.view(), trial.w.view());
        found.same_bits("b imported again", b.view(), trial.b.view());
        found.same_bits("Z after importing again", z.view(), first_z.view());
        // The same once more, and nothing between the step, the import and the export.
        let (z, da) = (first_z.view(), Upstream::Da(trial.upstream.view()));
        let mut decaying = Descent { rate: T::of(RATE), decay: T::of(0.5) };
        in_run(engine.as_ref(), || {
            bound.backward(all(), z, da, T::one())?;
            bound.update(&mut decaying)
        })?;
        bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
        let (w, b) = parameters(bound.as_ref(), shape)?;
        found.same_bits("W imported after a step that decays", w.view(), trial.w.view());
        found.same_bits("b imported after a step that decays", b.view(), trial.b.view());
        Ok(found)
    })
}

fn bind<T: Scalar>(engine: &dyn Engine<T>, trial: &Trial<T>) -> Result<Box<dyn BoundLayer<T>>> {
    let mut bound = engine.bind(trial.spec, trial.x.to_shared())?;
    bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
    Ok(bound)
}

/// W, b and Z.
fn state<T: Scalar>(
    engine: &dyn Engine<T>,
    bound: &mut dyn BoundLayer<T>,
    Shape { outputs, inputs, batch }: Shape,
) -> Result<(Array2<T>, Array2<T>, Array2<T>)> {
    let nan = |dim| Array2::from_elem(dim, T::nan());
    let (mut z, mut a) = (nan((outputs, batch)), nan((outputs, batch)));
    in_run(engine, || bound.forward(0..batch, z.view_mut(), a.view_mut()))?;
    let (w, b) = parameters(bound, Shape { outputs, inputs, batch })?;
    Ok((w, b, z))
}

/// W and b.
fn parameters<T: Scalar>(bound: &dyn BoundLayer<T>, shape: Shape) -> Result<(Array2<T>, Array2<T>)> {
    let nan = |dim| Array2::from_elem(dim, T::nan());
    let (mut w, mut b) = (nan((shape.outputs, shape.inputs)), nan((shape.outputs, 1)));
    bound.export(w.view_mut(), b.view_mut())?;
    Ok((w, b))
}
