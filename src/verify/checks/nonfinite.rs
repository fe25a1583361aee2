//! T6: NaN, infinities, subnormals, and the floating-point state of the threads.

use ndarray::Array2;
use rand_mt::Mt;

use super::Probe;
use super::exact::Integers;
use super::operation::exact;
use crate::error::Result;
use crate::layer::{Activation, Engine};
use crate::machine::FloatState;
use crate::network::in_run;
use crate::scalar::{Scalar, ScalarKind};
use crate::verify::cases::{Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::reference::Reference;
use crate::verify::tolerances::Growth;
use crate::verify::trial::{ACTIVATIONS, Kind, Trial};

/// Which matrix gets the special value; Z where backward takes it.
const POISONED: [&str; 5] = ["W", "b", "A_prev", "dA", "Z"];

/// One special value in one input at a time: each output is non-finite in the very elements, and of the very kind, that the sums
/// of products make it; all others are as without it.
pub(super) fn inputs<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Little], |shape, seed| {
        let mut found = Comparison::default();
        let mut random = Mt::new(seed);
        for activation in ACTIVATIONS {
            let clean = Trial::<T>::normal(shape, activation, seed);
            for what in POISONED {
                let anywhere = random.next_u32() as usize;
                // The last element lies in a kernel's tail.
                for (value, at) in
                    [(T::nan(), anywhere), (T::nan(), usize::MAX), (T::infinity(), anywhere), (T::neg_infinity(), 0)]
                {
                    hold_poisoned(engine.as_ref(), clean.clone(), (what, value, at), &mut found)?;
                }
            }
        }
        Ok(found)
    })
}

fn hold_poisoned<T: Scalar>(
    engine: &dyn Engine<T>,
    mut trial: Trial<T>,
    (what, value, at): (&str, T, usize),
    found: &mut Comparison,
) -> Result<()> {
    let poison = |matrix: &mut Array2<T>| {
        let last = matrix.len().saturating_sub(1);
        let place = if at > last { if at == usize::MAX { last } else { at % (last + 1) } } else { at };
        if let Some(element) = matrix.iter_mut().nth(place) {
            *element = value;
        }
    };
    match what {
        "W" => poison(&mut trial.w),
        "b" => poison(&mut trial.b),
        "A_prev" => poison(&mut trial.x),
        "dA" => poison(&mut trial.upstream),
        _ => {}
    }
    let activation = trial.spec.activation;
    let label = |output: &str| format!("{output} ({activation}, {value} in {what})");
    let reference = Reference::of::<T>(Growth::Hard);
    let (w, x) = (exact(&trial.w), exact(&trial.x));
    let mut layer = engine.plan(trial.spec)?;
    trial.forward(engine, layer.as_mut())?;
    found.bounded(&label("Z"), &trial.z, &reference.linear(&w, &x, &exact(&trial.b)));
    // From here the Z that came out is an input, without error.
    found.bounded(&label("A"), &trial.a, &reference.activate(activation, &exact(&trial.z)));
    if what == "Z" {
        poison(&mut trial.z);
    }
    trial.backward(engine, layer.as_mut(), Kind::Da, T::of(0.5))?;
    let dz = reference.pull_back(activation, &exact(&trial.z), &exact(&trial.upstream));
    let (dw, db) = reference.gradients(&dz, &x, 0.5);
    found.bounded(&label("dW"), &trial.dw, &dw);
    found.bounded(&label("db"), &trial.db, &db);
    found.bounded(&label("dA_prev"), &trial.dx, &reference.product(&w.t(), &dz));
    Ok(())
}

/// Integers times tiny powers of two: exact as long as nothing is flushed to zero. Each variant makes other operands or results
/// subnormal, in all elements, so that one thread with another mode shows.
pub(super) fn subnormals<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    if !probe.entry().profile().keeps_subnormals {
        probe.skip("the backend says that it loses subnormals");
        return Ok(());
    }
    let engine = probe.open()?;
    // Odd integers times 2^-tiny, and their sums, are subnormal and exact.
    let tiny = match T::KIND {
        ScalarKind::F32 => 146,
        ScalarKind::F64 => 1070,
    };
    // In two steps: without optimisation `powi` takes the reciprocal of a power, and that of 2^1070 is none.
    let all = |exponent: i32| 2.0_f64.powi(-(exponent / 2)) * 2.0_f64.powi(-(exponent - exponent / 2));
    let half = all(tiny / 2);
    // Factors of W, A_prev and dZ.
    let variants = [
        ("results", [half, half, half]),
        ("W", [all(tiny), 1.0, 1.0]),
        ("A_prev", [1.0, all(tiny), 1.0]),
        ("dA", [1.0, 1.0, all(tiny)]),
    ];
    probe.each(&[Table::Little], |shape, seed| {
        let mut found = Comparison::default();
        for (name, factors) in variants {
            hold_subnormal(engine.as_ref(), shape, seed, name, factors, &mut found)?;
        }
        Ok(found)
    })
}

fn hold_subnormal<T: Scalar>(
    engine: &dyn Engine<T>,
    shape: Shape,
    seed: u32,
    name: &str,
    [of_w, of_x, of_dz]: [f64; 3],
    found: &mut Comparison,
) -> Result<()> {
    let integers = Integers::new::<T>(shape, Activation::Relu, seed);
    let mut trial = integers.trial::<T>(Kind::Da);
    // In f64 first: the factors of f32 are exact there, and those of f64 are exact in itself.
    let times = |matrix: &mut Array2<T>, factor: f64| matrix.mapv_inplace(|value| T::of(value.widen() * factor));
    times(&mut trial.w, of_w);
    times(&mut trial.b, of_w * of_x);
    times(&mut trial.x, of_x);
    times(&mut trial.upstream, of_dz);
    trial.spoil_outputs();
    trial.run(engine, T::one())?;
    let factors = [of_w * of_x, of_w * of_x, of_dz * of_x, of_dz, of_w * of_dz];
    let truth = integers.outputs().into_iter().chain(integers.scaled_gradients(1.0));
    for (((what, want), (_, got)), factor) in truth.zip(trial.outputs()).zip(factors) {
        found.within(&format!("{what} (subnormal {name})"), got, &(want * factor), |_| 0.0);
    }
    Ok(())
}

/// In the calling thread, and in each worker of a rayon pool that the engine runs in.
pub(super) fn float_state<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (entry, threads, float_states) = (probe.entry().clone(), probe.threads(), probe.float_states());
    probe.each(&[Table::Little], |shape, seed| {
        let mut found = Comparison::default();
        let before = FloatState::of_this_thread();
        let engine = entry.open::<T>(threads)?;
        Trial::<T>::normal(shape, Activation::Sigmoid, seed).run(engine.as_ref(), T::one())?;
        let mut hold = |whose: &str, after: FloatState| {
            found.equal(&format!("modes changed {whose}, plus one"), 1.0 + after.changes_since(before), 1.0);
        };
        for state in float_states()? {
            hold("in the caller", state);
        }
        for state in in_run(engine.as_ref(), &float_states)? {
            hold("in a worker", state);
        }
        Ok(found)
    })
}
