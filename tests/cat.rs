//! Training on the course's real pictures: the cost of every iteration and the number of right answers.
//!
//! The fastest backend makes the whole curves of both networks. The others are held against legs of them, from parameters that lie on the
//! curve, and that is enough. A change of W1 by 1e-12 (relative) moves no cost of the 2,500 steps by more than 1.2e-11: an error that
//! a step makes arrives at the end at most 12 times as large. So a backend whose steps are each within [`STEP`] of those of the proven
//! backend, relative in norm, ends within 12 * 2500 * `STEP` <= 1e-9 of its curve. That is what the legs demand of the parameters, early,
//! between and late, beside NumPy's costs; the last leg ends the run, with its right answers. What only a long run could show, such as a
//! fault at the thousandth call, is left to the whole curves of all backends: LAYERBENCH_SOAK=1 (scripts/soak).
//!
//! The pictures are not part of the project: LAYERBENCH_CAT_DIR names their folder, and without it these tests are skipped.

#![cfg(feature = "cli")]
#![cfg(feature = "hdf5")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use layerbench::data::{PictureSet, Split};
use layerbench::layer::{Engine, FirstLayer, Trainer, Training};
use layerbench::model::Parameters;
use layerbench::network::Network;
use layerbench::train::{train, trainer};
use layerbench::workload::{LEARNING_RATE, SEED, Workload};
use layerbench::{Registry, Scalar};
use serde_json::Value;

struct Sets {
    train: PictureSet,
    test: PictureSet,
}

fn sets() -> Option<&'static Sets> {
    static SETS: OnceLock<Option<Sets>> = OnceLock::new();
    let read = |dir: &Path| Sets {
        train: PictureSet::read_hdf5(&dir.join("train_catvnoncat.h5"), Split::Train).expect("the course's file"),
        test: PictureSet::read_hdf5(&dir.join("test_catvnoncat.h5"), Split::Test).expect("the course's file"),
    };
    SETS.get_or_init(|| common::cat_dir().map(|dir| read(&dir))).as_ref()
}

/// What NumPy gave: see fixtures/manifest.json.
fn numpys(workload: &Workload) -> (Vec<f64>, [usize; 2]) {
    let document: Value = serde_json::from_str(include_str!("../fixtures/cat_costs.json")).expect("it is JSON");
    let model = &document[&workload.name];
    let costs: Vec<f64> = serde_json::from_value(model["costs"].clone()).expect("a list of numbers");
    assert_eq!(costs.len(), STEPS);
    let correct = |part: &str| model["after_2500"][part][0].as_u64().expect("a count") as usize;
    (costs, [correct("train_correct"), correct("test_correct")])
}

/// The steps of NumPy's curves.
const STEPS: usize = 2500;
/// How far, in norm and relative, the parameters after one step may be from those of the proven backend.
const STEP: f64 = 3e-14;
/// The steps of a leg.
const LEG: usize = 10;
/// Where legs begin; the last ends with the curve.
const BEGINNINGS: [usize; 6] = [0, 500, 1000, 1500, 2000, STEPS - LEG];

fn engine<T: Scalar>(backend: &str) -> Arc<dyn Engine<T>> {
    Registry::builtin().open::<T>(backend, 1).expect("available")
}

fn begun<T: Scalar>(sets: &Sets, engine: &Arc<dyn Engine<T>>, workload: &Workload) -> Box<dyn Trainer<T>> {
    begun_by(FirstLayer::Plain, sets, engine, workload)
}

fn begun_by<T: Scalar>(
    first_layer: FirstLayer,
    sets: &Sets,
    engine: &Arc<dyn Engine<T>>,
    workload: &Workload,
) -> Box<dyn Trainer<T>> {
    let start = Parameters::<T>::initialized(&workload.architecture, workload.init, SEED);
    let (x, y) = (sets.train.x(), sets.train.y().into_shared());
    let plain = Training::plain(start, x, y, T::of(LEARNING_RATE));
    trainer(engine, &Training { first_layer, ..plain }).expect("data and network fit")
}

/// Goes from one iteration to another and holds each cost against NumPy's: every relative error must be below `relative`.
fn go<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    trainer: &mut dyn Trainer<T>,
    workload: &Workload,
    iterations: std::ops::Range<usize>,
    relative: f64,
) {
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let costs = train(engine.as_ref(), trainer, iterations.len(), go_on).expect("no cost is NaN");
    assert_eq!(costs.len(), iterations.len());
    let (expected, _) = numpys(workload);
    for (iteration, cost) in iterations.zip(costs) {
        let expected = expected[iteration];
        let error = (cost - expected).abs() / expected;
        assert!(
            error <= relative,
            "{} {} {} iteration {iteration}: {cost}, NumPy has {expected}, error {error:.1e}",
            engine.description(),
            workload.name,
            T::KIND
        );
    }
}

/// Right answers for train and test.
fn correct<T: Scalar>(sets: &Sets, engine: &Arc<dyn Engine<T>>, trainer: &dyn Trainer<T>) -> [usize; 2] {
    let mut network = Network::with_parameters(engine, trainer.export().expect("parameters")).expect("it fits");
    [&sets.train, &sets.test].map(|set| network.count_correct(set.x().view(), set.y().view()).expect("it fits"))
}

/// A piece of the curve: where it begins, and the parameters there and at its end.
struct Leg {
    begin: usize,
    start: Parameters<f64>,
    end: Parameters<f64>,
}

/// The whole curve, with its right answers.
fn whole_curve(sets: &Sets, backend: &str, workload: &Workload, first_layer: FirstLayer) -> Vec<Leg> {
    let engine = engine::<f64>(backend);
    let mut trainer = begun_by(first_layer, sets, &engine, workload);
    let mut at = 0;
    let legs = BEGINNINGS.map(|begin| {
        go(&engine, trainer.as_mut(), workload, at..begin, 1e-9);
        let start = trainer.export().expect("parameters");
        at = begin + LEG;
        go(&engine, trainer.as_mut(), workload, begin..at, 1e-9);
        Leg { begin, start, end: trainer.export().expect("parameters") }
    });
    assert_eq!(at, STEPS);
    assert_eq!(
        correct(sets, &engine, trainer.as_ref()),
        numpys(workload).1,
        "{backend} {}: right answers",
        workload.name
    );
    legs.into()
}

fn distance(found: &Parameters<f64>, expected: &Parameters<f64>) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let mut differences = found.values().iter().zip(expected.values()).map(|(found, expected)| found - expected);
    norm(&mut differences) / norm(&mut expected.values().iter().copied())
}

/// The legs of a proven curve, from the parameters at their beginnings; the last with its right answers.
fn follows(sets: &Sets, backend: &str, workload: &Workload, legs: &[Leg]) {
    let engine = engine::<f64>(backend);
    let mut trainer = begun(sets, &engine, workload);
    for Leg { begin, start, end } in legs {
        trainer.import(start).expect("the same network");
        go(&engine, trainer.as_mut(), workload, *begin..begin + LEG, 1e-9);
        let distance = distance(&trainer.export().expect("parameters"), end);
        let limit = LEG as f64 * STEP;
        let name = &workload.name;
        assert!(distance <= limit, "{backend} {name} from {begin}: the parameters are {distance:.1e} apart");
    }
    assert_eq!(
        correct(sets, &engine, trainer.as_ref()),
        numpys(workload).1,
        "{backend} {}: right answers",
        workload.name
    );
}

fn every_backend_follows_numpy(model: &str) {
    let Some(sets) = sets() else { return };
    let workload = Workload::find(model).expect("a model");
    let legs = whole_curve(sets, FASTEST, &workload, FirstLayer::Plain);
    // The same without W: costs, answers, and W when it is asked for.
    let implicit = whole_curve(sets, "simd", &workload, FirstLayer::Implicit);
    for (found, expected) in implicit.iter().zip(&legs) {
        let distance = distance(&found.end, &expected.end);
        assert!(distance <= 1e-9, "{model} from {}: the parameters are {distance:.1e} apart", found.begin);
    }
    for entry in Registry::builtin().entries().iter().filter(|entry| entry.name() != FASTEST) {
        if common::soak_or(false, true) {
            whole_curve(sets, entry.name(), &workload, FirstLayer::Plain);
        } else {
            follows(sets, entry.name(), &workload, &legs);
        }
    }
}

const FASTEST: &str = if cfg!(feature = "openblas") { "openblas" } else { "ndarray" };

#[test]
fn every_backend_follows_numpy_in_the_l_layer_model() {
    every_backend_follows_numpy("l-layer");
}

#[test]
fn every_backend_follows_numpy_in_the_two_layer_model() {
    every_backend_follows_numpy("two-layer");
}

/// In f32 the trajectory is that of f64 for twenty steps; later ReLU kinks part them, on correct code.
#[test]
fn f32_follows_for_twenty_steps() {
    let Some(sets) = sets() else { return };
    for entry in Registry::builtin().entries() {
        for workload in Workload::reference() {
            let engine = engine::<f32>(entry.name());
            go(&engine, begun(sets, &engine, &workload).as_mut(), &workload, 0..20, 1e-4);
        }
    }
}

/// The f32 outcome: as good as the f64 one, give or take a few pictures.
#[test]
fn f32_learns_as_well() {
    let Some(sets) = sets() else { return };
    let workload = Workload::find("two-layer").expect("a model");
    let engine = engine::<f32>(FASTEST);
    let mut trainer = begun(sets, &engine, &workload);
    go(&engine, trainer.as_mut(), &workload, 0..STEPS, f64::INFINITY);
    let [train, test] = correct(sets, &engine, trainer.as_ref());
    assert!(train >= 207 && test >= 33, "{train}/209 and {test}/50");
}
