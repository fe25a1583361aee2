//! A run with a rule of one's own, and one that an engine does by itself.

use std::ops::ControlFlow;
use std::sync::Arc;

use custom_backend::{Momentum, Whole};
use layerbench::layer::{Engine, Trainer, Training};
use layerbench::model::{Architecture, Init, NumpyRandom, Parameters};
use layerbench::train::{LayerTrainer, train, trainer};
use layerbench::{Entry, Registry};
use ndarray::Array2;

const EXAMPLES: usize = 20;

fn training(dims: &[usize]) -> Training<f64> {
    let mut random = NumpyRandom::new(3);
    let x = Array2::from_shape_simple_fn((dims[0], EXAMPLES), || random.normal());
    let y = Array2::from_shape_fn((1, EXAMPLES), |(_, j)| f64::from(u8::from(x[(0, j)] + x[(1, j)] > 0.0)));
    let architecture = Architecture::new(dims).expect("sizes");
    let start = Parameters::initialized(&architecture, Init::He, 1);
    Training::plain(start, x.into_shared(), y.into_shared(), 0.1)
}

fn costs(engine: &Arc<dyn Engine<f64>>, trainer: &mut dyn Trainer<f64>, steps: usize) -> Vec<f64> {
    train(engine.as_ref(), trainer, steps, &mut |_, _| ControlFlow::Continue(())).expect("no cost is NaN")
}

#[test]
fn a_rule_of_ones_own_trains_and_goes_on_bit_for_bit() {
    let engine = Registry::builtin().open::<f64>("ndarray", 1).expect("built in");
    let plain = training(&[5, 4, 1]);
    let with = |beta| Training { rule: Box::new(Momentum::new(0.1, beta)), ..training(&[5, 4, 1]) };
    let run = |training: &Training<f64>| costs(&engine, trainer(&engine, training).expect("it fits").as_mut(), 60);
    // Without momentum it is gradient descent; with it the cost falls faster here.
    let descent = run(&plain);
    for (ours, theirs) in run(&with(0.0)).iter().zip(&descent) {
        assert!((ours - theirs).abs() <= 1e-14 * theirs, "{ours}, {theirs}");
    }
    let whole = run(&with(0.9));
    assert!(whole[59] < 0.9 * descent[59], "{} and {}", whole[59], descent[59]);

    let momentum = with(0.9);
    let mut first = trainer(&engine, &momentum).expect("it fits");
    let mut seen = costs(&engine, first.as_mut(), 25);
    let state = first.save().expect("saved");
    assert!(state.matrix("velocity.W2").is_ok() && state.matrix("W1").is_ok());
    let mut second = trainer(&engine, &momentum).expect("it fits");
    second.restore(&state).expect("restored");
    seen.extend(costs(&engine, second.as_mut(), 35));
    assert_eq!(seen, whole);
    // From the start again there is no velocity.
    second.import(&momentum.start).expect("the same network");
    assert_eq!(costs(&engine, second.as_mut(), 60), whole);
}

#[test]
fn an_engine_may_own_the_whole_step() {
    let engine = Entry::f64(Whole).open::<f64>(std::num::NonZeroUsize::MIN).expect("it opens");
    let logistic = training(&[5, 1]);
    let mut own = trainer(&engine, &logistic).expect("it fits");
    let mut of_layers = LayerTrainer::new(&engine, &logistic).expect("it fits");
    for step in 0..50 {
        // All columns, and some.
        let columns = if step % 3 == 0 { 4..11 } else { 0..EXAMPLES };
        let (ours, theirs) =
            (own.step_on(columns.clone()).expect("a step"), of_layers.step_on(columns).expect("a step"));
        assert!((ours - theirs).abs() <= 1e-13 * theirs, "step {step}: {ours}, {theirs}");
    }
    let differ = |a: &Parameters<f64>, b: &Parameters<f64>| a.values().iter().zip(b.values()).any(|(a, b)| a != b);
    let (ours, theirs) = (own.export().expect("exported"), of_layers.export().expect("exported"));
    // It is another one: its sums are in another order.
    assert!(differ(&ours, &theirs) && ours.values().iter().zip(theirs.values()).all(|(a, b)| (a - b).abs() < 1e-12));
    for columns in [3..3, 0..EXAMPLES + 1] {
        assert!(own.step_on(columns.clone()).is_err() && of_layers.step_on(columns).is_err());
    }
    // What it does not know it leaves to the layers.
    let deep = trainer(&engine, &training(&[5, 4, 1])).expect("it fits");
    assert_eq!(deep.export().expect("exported").architecture().layers(), 2);
}

#[test]
fn between_gradients_and_update_there_is_room() {
    let engine = Registry::builtin().open::<f64>("naive", 1).expect("built in");
    let training = training(&[5, 4, 1]);
    let mut clipped = LayerTrainer::new(&engine, &training).expect("it fits");
    let before = clipped.export().expect("exported");
    clipped.gradients(0..EXAMPLES).expect("a pass");
    let mut seen = Vec::new();
    clipped.each_gradient(&mut |index, mut grads| {
        seen.push(index);
        grads.dw.fill(0.0);
        grads.db.fill(1.0);
    });
    assert_eq!(seen, [0, 1]);
    clipped.update().expect("an update");
    let after = clipped.export().expect("exported");
    for index in 0..2 {
        assert_eq!(after.layer(index).w, before.layer(index).w);
        assert_eq!(after.layer(index).b, &before.layer(index).b - 0.1);
    }
}
