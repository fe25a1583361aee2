//! State over many calls: a layer that has been used for long, layers that look the same, memory that looks the same. Data are whole
//! numbers, so that every call must be right to the last bit.

use ndarray::Array2;
use rand_mt::Mt;

use super::Probe;
use super::exact::Integers;
use super::whole::Whole;
use crate::error::Result;
use crate::layer::{Activation, Engine, Params};
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

/// Added to a seed for other data of the same shape.
const OTHER: u32 = 1 << 20;

/// One layer, both passes, hundreds of times over changing data. Counters of a byte wrap meanwhile.
pub(super) fn many<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    const MOST: usize = 300;
    const WORK: usize = 1 << 18;
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(2, 3, 4), Shape::new(9, 33, 20)], |shape, seed| {
        let mut layer = engine.plan(shape.spec(Activation::Relu))?;
        let calls = (WORK / shape.work().max(1)).clamp(10, MOST) as u32;
        in_run(engine.as_ref(), || {
            let mut found = Comparison::default();
            for call in 1..=calls {
                let integers = Integers::new::<T>(shape, Activation::Relu, seed.wrapping_add(call.wrapping_mul(OTHER)));
                let mut trial = integers.trial::<T>(Kind::Da);
                trial.spoil_outputs();
                trial.forward_inside(layer.as_mut())?;
                trial.backward_inside(layer.as_mut(), Kind::Da, T::one(), true)?;
                integers.hold(&mut found, &format!("of call {call}"), &trial);
                if !found.is_within() {
                    break;
                }
            }
            // Small layers of ReLU have many units that are dead.
            found.zeros = 0;
            Ok(found)
        })
    })
}

/// Three layers of one shape on one engine, the passes of one between those of another.
pub(super) fn equal_layers<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(3, 5, 7), Shape::new(20, 130, 17)], |shape, seed| {
        let mut found = Comparison::default();
        let data = [0, 1, 2].map(|i| Integers::new::<T>(shape, Activation::Relu, seed.wrapping_add(i * OTHER)));
        let mut trials = data.each_ref().map(|integers| integers.trial::<T>(Kind::Da));
        let mut layers = trials.iter().map(|trial| engine.plan(trial.spec)).collect::<Result<Vec<_>>>()?;
        for (round, (forward, backward)) in [([0, 1, 2], [1, 0, 2]), ([2, 0, 1], [2, 1, 0])].into_iter().enumerate() {
            for i in forward {
                trials[i].spoil_outputs();
                trials[i].forward(engine.as_ref(), layers[i].as_mut())?;
            }
            for i in backward {
                trials[i].backward(engine.as_ref(), layers[i].as_mut(), Kind::Da, T::one())?;
            }
            for (i, (trial, integers)) in trials.iter().zip(&data).enumerate() {
                integers.hold(&mut found, &format!("of layer {i} among equals, round {round}"), trial);
            }
        }
        found.zeros = 0;
        Ok(found)
    })
}

/// Layers planned in one order and called in another; what was planned last is larger than what is called, or smaller.
pub(super) fn plan_order<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(4, 6, 5), Shape::new(20, 33, 17)], |Shape { outputs, inputs, batch }, seed| {
        let mut found = Comparison::default();
        let less = |size: usize| size.div_ceil(2);
        let shapes = [
            Shape::new(outputs, inputs, batch),
            Shape::new(outputs + 3, inputs + 5, batch + 7),
            Shape::new(less(outputs), less(inputs), less(batch)),
        ];
        let data = shapes.map(|shape| Integers::new::<T>(shape, Activation::Relu, seed));
        for (planned, called) in [([0, 1, 2], [0, 1, 2]), ([2, 1, 0], [1, 2, 0]), ([0, 2, 1], [2, 0, 1])] {
            let mut trials = data.each_ref().map(|integers| integers.trial::<T>(Kind::Da));
            let mut layers = [None, None, None];
            for i in planned {
                layers[i] = Some(engine.plan(trials[i].spec)?);
            }
            let [Some(a), Some(b), Some(c)] = layers else { continue };
            let mut layers = [a, b, c];
            for i in called {
                trials[i].spoil_outputs();
                trials[i].forward(engine.as_ref(), layers[i].as_mut())?;
            }
            for i in called {
                trials[i].backward(engine.as_ref(), layers[i].as_mut(), Kind::Da, T::one())?;
                data[i].hold(&mut found, &format!("of layer {i}, planned in order {planned:?}"), &trials[i]);
            }
        }
        found.zeros = 0;
        Ok(found)
    })
}

/// One layer with as many examples as it was planned for, with half, one, none, and all again.
pub(super) fn fewer<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(5, 12, 33), Shape::new(20, 300, 209)], |shape, seed| {
        let Shape { outputs, inputs, batch } = shape;
        let mut found = Comparison::default();
        let mut layer = engine.plan(shape.spec(Activation::Relu))?;
        for m in [batch, batch / 2, batch.min(1), 0, batch] {
            let integers = Integers::new::<T>(Shape::new(outputs, inputs, m), Activation::Relu, seed);
            for kind in [Kind::Da, Kind::Dz] {
                let mut trial = integers.trial::<T>(kind);
                trial.spoil_outputs();
                trial.forward(engine.as_ref(), layer.as_mut())?;
                trial.backward(engine.as_ref(), layer.as_mut(), kind, T::one())?;
                integers.hold(&mut found, &format!("of {m} examples of {batch}, from {kind}"), &trial);
            }
        }
        // No examples have zero gradients.
        found.zeros = 0;
        Ok(found)
    })
}

/// Calls in the same memory in which one argument alone differs from the call before. Whoever remembers results forgets one of them.
pub(super) fn one_argument<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(3, 5, 7), Shape::new(20, 130, 33)], |shape, seed| {
        let mut found = Comparison::default();
        let mut whole = Whole::odd(shape, seed);
        let mut trial = whole.trial::<T>();
        let mut layer = engine.plan(shape.spec(Activation::Relu))?;
        for (changed, with_da_prev) in
            ["nothing", "b", "W", "A_prev", "nothing"].into_iter().flat_map(|what| [(what, true), (what, false)])
        {
            let turn = |of: &mut Array2<f64>, into: &mut Array2<T>| {
                of.mapv_inplace(|value| -value);
                into.zip_mut_with(of, |into, &value| *into = T::of(value));
            };
            match changed {
                "b" => turn(&mut whole.b, &mut trial.b),
                "W" => turn(&mut whole.w, &mut trial.w),
                "A_prev" => turn(&mut whole.x, &mut trial.x),
                _ => {}
            }
            trial.spoil_outputs();
            in_run(engine.as_ref(), || trial.forward_inside(layer.as_mut()))?;
            let z = whole.truth().z;
            let label = |what: &str| format!("{what}, {changed} changed alone");
            found.within(&label("Z"), &trial.z, &z, |_| 0.0);
            found.within(&label("A"), &trial.a, &z.mapv(|z| z.max(0.0)), |_| 0.0);
            // dA, Z, W and W back again, and the scale, each alone: Z is any Z, and none that belongs to the others.
            for backward in ["nothing", "dA", "Z", "W", "W", "scale", "scale 0"] {
                match backward {
                    "dA" => turn(&mut whole.dz, &mut trial.upstream),
                    "Z" => trial.z.mapv_inplace(|z| -z),
                    "W" => turn(&mut whole.w, &mut trial.w),
                    _ => {}
                }
                let scale = match backward {
                    "scale" => 2.0,
                    "scale 0" => 0.0,
                    _ => 1.0,
                };
                let z_now = trial.z.mapv(Scalar::widen);
                let mut masked = whole.clone();
                masked.dz.zip_mut_with(&z_now, |dz, &z| *dz = if z <= 0.0 { 0.0 } else { *dz });
                let truth = masked.truth();
                for output in [&mut trial.dw, &mut trial.db, &mut trial.dx] {
                    output.fill(T::nan());
                }
                in_run(engine.as_ref(), || {
                    trial.backward_inside(layer.as_mut(), Kind::Da, T::of(scale), with_da_prev)
                })?;
                let label = |what: &str| format!("{what}, {backward} changed alone after {changed}");
                found.within(&label("dW"), &trial.dw, &(scale * &truth.dw), |_| 0.0);
                found.within(&label("db"), &trial.db, &(scale * &truth.db), |_| 0.0);
                if with_da_prev {
                    found.within(&label("dA_prev"), &trial.dx, &truth.dx, |_| 0.0);
                }
            }
        }
        // A scale of zero makes many.
        found.zeros = 0;
        Ok(found)
    })
}

/// Whoever skips work that looks like the last has been sure for a while by then.
const ALIKE_CALLS: usize = 40;

/// The same buffers at every call, with other contents: one element, a row, everything. Large enough that keeping a packed copy of
/// A_prev would pay; and small, after many calls in which nothing changed.
pub(super) fn same_buffers<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(3, 12288, 40), Shape::new(20, 64, 33)], |shape, seed| {
        let mut found = Comparison::default();
        if shape.work() == 0 {
            return Ok(found);
        }
        let mut whole = Whole::odd(shape, seed);
        let mut truth = whole.truth();
        let mut trial = whole.trial::<T>();
        let mut layer = engine.plan(trial.spec)?;
        let mut random = Mt::new(seed);
        let mut below = |size: usize| random.next_u32() as usize % size;
        // Outputs are left as they are: whoever skips a call may look at them too.
        let passes = |trial: &mut Trial<T>, layer: &mut dyn crate::layer::Layer<T>| {
            in_run(engine.as_ref(), || {
                trial.forward_inside(layer)?;
                trial.backward_inside(layer, Kind::Dz, T::one(), false)
            })
        };
        let mut hold = |changed: &str, trial: &Trial<T>, z: &Array2<f64>, dw: &Array2<f64>| {
            let label = |what: &str| format!("{what} after {changed} changed in the same memory");
            found.within(&label("Z"), &trial.z, z, |_| 0.0);
            found.within(&label("dW"), &trial.dw, dw, |_| 0.0);
        };
        for _ in 0..if shape.work() < 1 << 17 { ALIKE_CALLS } else { 1 } {
            passes(&mut trial, layer.as_mut())?;
        }
        hold("nothing", &trial, &truth.z, &truth.dw);

        let (row, column) = (below(shape.inputs), below(shape.batch));
        let turn = |whole: &mut Whole, trial: &mut Trial<T>, columns: std::ops::Range<usize>| {
            for j in columns {
                let change = -2.0 * whole.x[(row, j)];
                whole.x[(row, j)] += change;
                trial.x[(row, j)] = T::of(whole.x[(row, j)]);
                for i in 0..shape.outputs {
                    truth.z[(i, j)] += whole.w[(i, row)] * change;
                    truth.dw[(i, row)] += whole.dz[(i, j)] * change;
                }
            }
            (truth.z.clone(), truth.dw.clone())
        };
        let mut turn = turn;
        let (z, dw) = turn(&mut whole, &mut trial, column..column + 1);
        passes(&mut trial, layer.as_mut())?;
        hold("one element of A_prev", &trial, &z, &dw);
        let (z, dw) = turn(&mut whole, &mut trial, 0..shape.batch);
        passes(&mut trial, layer.as_mut())?;
        hold("a row of A_prev", &trial, &z, &dw);

        let (unit, weight) = (below(shape.outputs), below(shape.inputs));
        let change = -2.0 * whole.w[(unit, weight)];
        whole.w[(unit, weight)] += change;
        trial.w[(unit, weight)] = T::of(whole.w[(unit, weight)]);
        let mut z = z;
        z.row_mut(unit).scaled_add(change, &whole.x.row(weight));
        passes(&mut trial, layer.as_mut())?;
        hold("one element of W", &trial, &z, &dw);

        // All of A_prev turns its sign: so does what is made of it.
        trial.x.mapv_inplace(|x| -x);
        let (z, dw) = (2.0 * &whole.b - &z, -dw);
        passes(&mut trial, layer.as_mut())?;
        hold("all of A_prev", &trial, &z, &dw);

        drop(layer);
        hold_bound(engine.as_ref(), &mut trial, (unit, weight), &z, &mut found)?;
        Ok(found)
    })
}

/// A bound layer of the same shape, bound anew after one element of X has changed. `z` is what is right before.
fn hold_bound<T: Scalar>(
    engine: &dyn Engine<T>,
    trial: &mut Trial<T>,
    (unit, input): (usize, usize),
    z: &Array2<f64>,
    found: &mut Comparison,
) -> Result<()> {
    let mut z = z.clone();
    for when in ["bound", "bound anew, with one element of X changed"] {
        let mut bound = engine.bind(trial.spec, trial.x.to_shared())?;
        bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
        trial.spoil_outputs();
        let (z_out, a_out) = (trial.z.view_mut(), trial.a.view_mut());
        in_run(engine, || bound.forward(0..trial.spec.batch, z_out, a_out))?;
        found.within(&format!("Z, {when}"), &trial.z, &z, |_| 0.0);
        let column = unit % trial.x.ncols();
        let change = T::of(-2.0) * trial.x[(input, column)];
        trial.x[(input, column)] += change;
        z.column_mut(column).scaled_add(change.widen(), &trial.w.column(input).mapv(Scalar::widen));
    }
    Ok(())
}
