//! T5: training, step by step, against plain `f64` loops on a small network, and against NumPy's curves on the real pictures.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;

use super::Probe;
use crate::data::{PictureSet, Split};
use crate::error::Result;
use crate::layer::{Activation, Engine, Training};
use crate::model::{Architecture, Init, NumpyRandom, Parameters};
use crate::network::in_run;
use crate::scalar::{Scalar, ScalarKind};
use crate::train::{train, trainer};
use crate::verify::cases::Depth;
use crate::verify::compare::Comparison;
use crate::verify::reference::{Bounded, Reference, exact_layers};
use crate::verify::tolerances::{Growth, TRAJECTORY_F32, TRAJECTORY_F32_STEPS, TRAJECTORY_F64, UNDECIDED};
use crate::workload::{LEARNING_RATE, SEED, Workload};

const DIMS: [usize; 4] = [13, 6, 3, 1];
const EXAMPLES: usize = 29;
const RATE: f64 = 0.125;
const STEPS: usize = 100;

/// Activations of the layers below the last: the notebook's, and others.
const INSIDE: [[Activation; 2]; 2] =
    [[Activation::Relu, Activation::Relu], [Activation::Sigmoid, Activation::Identity]];

/// Parameters after 1 step, costs at steps 1, 10 and 100 (and all between), answers at the end.
pub(super) fn small<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    // Where time matters, on the fewest threads only.
    let inside = if probe.depth() > Depth::Quick || probe.is_first() { &INSIDE[..] } else { &INSIDE[..1] };
    probe.each_seed(|seed| {
        let mut found = Comparison::default();
        for &[first, second] in inside {
            let architecture = Architecture::new(&DIMS)?.with_activations(&[first, second, Activation::Sigmoid])?;
            hold_run(&engine, architecture, seed, &mut found)?;
        }
        Ok(found)
    })
}

fn hold_run<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    architecture: Architecture,
    seed: u32,
    found: &mut Comparison,
) -> Result<()> {
    let mut random = NumpyRandom::new(seed);
    let x = Array2::from_shape_simple_fn((DIMS[0], EXAMPLES), || T::of(random.normal()));
    let y = Array2::from_shape_simple_fn((1, EXAMPLES), || T::of(f64::from(u8::from(random.normal() > 0.0))));
    let start = Parameters::<T>::initialized(&architecture, Init::He, seed);
    let mut layers = exact_layers(&start);
    let mut trainer = trainer(engine, &Training::plain(start, x.to_shared(), y.to_shared(), T::of(RATE)))?;

    let reference = Reference::of::<T>(Growth::Statistical);
    let wide = |matrix: &Array2<T>| matrix.mapv(Scalar::widen);
    let (wide_x, wide_y) = (Bounded::exact(wide(&x)), wide(&y));
    let activations = architecture.activations();
    for step in 1..=STEPS {
        let cost = in_run(engine.as_ref(), || trainer.step())?;
        let (expected, _) = reference.step((&wide_x, &wide_y), &mut layers, activations, RATE);
        hold_cost::<T>(found, step, cost, expected);
        if step == 1 {
            let parameters = trainer.export()?;
            for (index, (w, b)) in layers.iter().enumerate() {
                let got = parameters.layer(index);
                found.bounded(&format!("W{} after a step", index + 1), &got.w.to_owned(), w);
                found.bounded(&format!("b{} after a step", index + 1), &got.b.to_owned(), b);
            }
        }
        // Bounds carried over many steps grow without limit: each step starts from exact parameters, and the costs have
        // a tolerance of their own.
        for bounded in layers.iter_mut().flat_map(|(w, b)| [w, b]) {
            bounded.error.fill(0.0);
        }
    }
    let expected = reference.model_forward(&wide_x, &layers, activations);
    hold_answers(found, engine.as_ref(), &trainer.export()?, &x, &expected)
}

/// The cost of step `step` (from 1). An `f32` trajectory is held to the first steps only.
fn hold_cost<T: Scalar>(found: &mut Comparison, step: usize, cost: f64, expected: f64) {
    let relative = match T::KIND {
        ScalarKind::F64 => TRAJECTORY_F64,
        ScalarKind::F32 if step <= TRAJECTORY_F32_STEPS => TRAJECTORY_F32,
        ScalarKind::F32 => return,
    };
    let one = |value| Array2::from_elem((1, 1), value);
    found.within(&format!("cost of step {step}"), &one(cost), &one(expected), |_| relative * expected.abs());
}

/// The trained network answers as the reference does, but where that is close to one half.
fn hold_answers<T: Scalar>(
    found: &mut Comparison,
    engine: &dyn Engine<T>,
    parameters: &Parameters<T>,
    x: &Array2<T>,
    reference: &[(Bounded, Bounded)],
) -> Result<()> {
    let mut a = x.clone();
    for index in 0..parameters.architecture().layers() {
        let spec = parameters.architecture().layer(index, x.ncols());
        let (mut z, mut above) = (Array2::zeros((spec.outputs, spec.batch)), Array2::zeros((spec.outputs, spec.batch)));
        let mut layer = engine.plan(spec)?;
        in_run(engine, || layer.forward(parameters.layer(index), a.view(), z.view_mut(), above.view_mut()))?;
        a = above;
    }
    let (probabilities, _) = reference.last().expect("a network has a layer");
    let undecided = |p: f64| (p - 0.5).abs() <= UNDECIDED;
    let answer = |p: f64| if p > 0.5 { 2.0 } else { 1.0 };
    let got = a.mapv(|p| if p.is_nan() { f64::NAN } else { answer(p.widen()) });
    let expected = probabilities.value.mapv(answer);
    found.within("answer (2 for yes)", &got, &expected, |at| f64::from(u8::from(undecided(probabilities.value[at]))));
    Ok(())
}

/// Every cost of both reference networks on the course's pictures; in `f32` the first steps.
pub(super) fn cat<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    if probe.depth() < Depth::Full {
        probe.skip("it takes minutes: ask for --full");
        return Ok(());
    }
    let Some(folder) = std::env::var_os("LAYERBENCH_CAT_DIR") else {
        probe.skip("LAYERBENCH_CAT_DIR does not name the folder of train_catvnoncat.h5");
        return Ok(());
    };
    if cfg!(not(feature = "hdf5")) {
        probe.skip("built without the `hdf5` feature");
        return Ok(());
    }
    let pictures = PictureSet::read_hdf5(&Path::new(&folder).join("train_catvnoncat.h5"), Split::Train)?;
    let curves: serde_json::Value = serde_json::from_str(include_str!("../../../fixtures/cat_costs.json"))
        .expect("the embedded file is JSON; a test reads it");
    probe.once(|probe| {
        let mut found = Comparison::default();
        for workload in Workload::reference() {
            let engine = probe.open()?;
            let expected = curves[workload.name.as_str()]["costs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let steps = if T::KIND == ScalarKind::F64 { expected.len() } else { TRAJECTORY_F32_STEPS };
            let start = Parameters::<T>::initialized(&workload.architecture, workload.init, SEED);
            let training = Training::plain(start, pictures.x(), pictures.y().into_shared(), T::of(LEARNING_RATE));
            let mut trainer = trainer(&engine, &training)?;
            let costs = train(engine.as_ref(), trainer.as_mut(), steps, &mut |_, _| ControlFlow::Continue(()))?;
            for (step, (cost, expected)) in costs.into_iter().zip(expected).enumerate() {
                hold_cost::<T>(&mut found, step + 1, cost, expected.as_f64().unwrap_or(f64::NAN));
            }
        }
        Ok(found)
    })
}
