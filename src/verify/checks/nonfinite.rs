//! T6: NaN, infinities, subnormals, numbers of every magnitude, and the floating-point state of the threads.

use ndarray::Array2;
use rand_mt::Mt;

use super::Probe;
use super::exact::Integers;
use super::operation::exact;
use crate::error::{Error, Result};
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

/// Whole blocks of vectors and a tail: code that is written for blocks has its own way with what is special.
const WIDE: Shape = Shape::new(3, 4, 2 * 128 + 5);

/// One special value in one input at a time: each output is non-finite in the very elements, and of the very kind, that the sums
/// of products make it; all others are as without it.
pub(super) fn inputs<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    let mut shapes = probe.shapes(&[Table::Little], 1);
    shapes.push(WIDE);
    probe.each_of(&shapes, |shape, seed| {
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
    let mut shapes = probe.shapes(&[Table::Little], 1);
    shapes.push(LARGE[0]);
    probe.each_of(&shapes, |shape, seed| {
        let mut found = Comparison::default();
        for (name, factors) in variants {
            hold_scaled(engine.as_ref(), shape, seed, &format!("subnormal {name}"), factors, &mut found)?;
        }
        Ok(found)
    })
}

/// Integers times powers of two, as large and as small as they may be for all results to be finite and normal: exact.
pub(super) fn magnitudes<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    // The product of two of the first kind, times what the integers add up to, is still finite; the others meet their inverse.
    let (half, whole) = match T::KIND {
        ScalarKind::F32 => (50, 100),
        ScalarKind::F64 => (490, 990),
    };
    // Exponents of W, A_prev and dZ.
    let variants = [
        ("all large", [half, half, half]),
        ("all small", [-half, -half, -half]),
        ("large W", [whole, -whole, 0]),
        ("large A_prev", [0, whole, -whole]),
        ("large dZ", [-whole, 0, whole]),
    ];
    let mut shapes = probe.shapes(&[Table::Little], 1);
    shapes.push(LARGE[0]);
    probe.each_of(&shapes, |shape, seed| {
        let mut found = Comparison::default();
        for (name, exponents) in variants {
            let factors = exponents.map(|exponent| 2.0_f64.powi(exponent));
            hold_scaled(engine.as_ref(), shape, seed, name, factors, &mut found)?;
        }
        Ok(found)
    })
}

/// A layer of one unit that passes its input on: sigmoid and its slope at Z of every magnitude and both signs.
pub(super) fn sigmoid<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    // Beyond that the exponential of -Z is infinite, and what comes of it no normal number.
    let (smallest, largest) = match T::KIND {
        ScalarKind::F32 => (-37, 85.0),
        ScalarKind::F64 => (-300, 700.0),
    };
    let decades = (smallest..=2).step_by(if T::KIND == ScalarKind::F32 { 2 } else { 13 }).chain(-9..=2);
    let sizes = decades.flat_map(|decade| [1.0, 2.3, 7.1].map(|digit| digit * 10.0_f64.powi(decade)));
    let sizes = sizes.chain([0.0, 0.5, 5.0, 12.0, 17.0, 30.0, 36.5, 40.0, 80.0, largest]);
    let sizes: Vec<f64> = sizes.filter(|&size| size <= largest).collect();
    let grid: Vec<T> = sizes.iter().flat_map(|&size| [T::of(size), T::of(-size)]).collect();
    let engine = probe.open()?;
    let reference = Reference::of::<T>(Growth::Hard);
    probe.once(|_| {
        let mut found = Comparison::default();
        let mut numbers = [T::one(), T::zero(), T::zero(), T::one()].into_iter();
        let shape = Shape::new(1, 1, grid.len());
        let mut trial = Trial::filled(shape, Activation::Sigmoid, |dim| {
            Array2::from_elem(dim, numbers.next().expect("a trial has four inputs"))
        });
        trial.x.row_mut(0).assign(&ndarray::ArrayView1::from(&grid));
        trial.run(engine.as_ref(), T::one())?;
        let z = exact(&trial.x);
        found.within("Z (passed on)", &trial.z, &z.value, |_| 0.0);
        found.bounded("A (sigmoid of A_prev)", &trial.a, &reference.activate(Activation::Sigmoid, &z));
        let dz = reference.pull_back(Activation::Sigmoid, &z, &exact(&trial.upstream));
        found.bounded("dA_prev (slope of the sigmoid)", &trial.dx, &dz);
        Ok(found)
    })
}

fn hold_scaled<T: Scalar>(
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
    for (((what, want), (_, got)), factor) in integers.truth().into_iter().zip(trial.outputs()).zip(factors) {
        found.within(&format!("{what} ({name})"), got, &(want * factor), |_| 0.0);
    }
    Ok(())
}

/// Where a library may choose other kernels, and another number of threads: 2^20 multiply-adds, and 2^22.
const LARGE: [Shape; 2] = [Shape::new(128, 128, 64), Shape::new(128, 256, 128)];

/// In the calling thread, and in each worker of a rayon pool that the engine runs in: after each pass, small and large, and after
/// a refusal.
pub(super) fn float_state<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (entry, threads, float_states) = (probe.entry().clone(), probe.threads(), probe.float_states());
    let mut shapes = probe.shapes(&[Table::Little], 1);
    shapes.extend(LARGE);
    probe.each_of(&shapes, |shape, seed| {
        let mut found = Comparison::default();
        let before = FloatState::of_this_thread();
        let engine = entry.open::<T>(threads)?;
        let mut trial = Trial::<T>::normal(shape, Activation::Sigmoid, seed);
        let mut layer = engine.plan(trial.spec)?;
        let mut hold = |when: &str| -> Result<()> {
            let of_caller = float_states()?.into_iter().map(|state| ("in the caller", state));
            let of_workers = in_run(engine.as_ref(), &float_states)?.into_iter().map(|state| ("in a worker", state));
            for (whose, after) in of_caller.chain(of_workers) {
                let label = format!("modes changed {whose} {when}");
                found.equal(&label, after.changes_since(before), 0.0);
            }
            Ok(())
        };
        trial.forward(engine.as_ref(), layer.as_mut())?;
        hold("after forward")?;
        trial.backward(engine.as_ref(), layer.as_mut(), Kind::Da, T::one())?;
        hold("after backward")?;
        trial.x = Array2::zeros((shape.inputs + 1, shape.batch));
        // That it is refused is another check's demand.
        if let Err(lost @ Error::Lost { .. }) = trial.forward(engine.as_ref(), layer.as_mut()) {
            return Err(lost);
        }
        hold("after a refusal")?;
        Ok(found)
    })
}
