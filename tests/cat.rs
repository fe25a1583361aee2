//! Training on the course's real pictures: the cost of every iteration and the number of right answers, on every backend.
//!
//! The pictures are not part of the project: LAYERBENCH_CAT_DIR names their folder, and without it these tests are skipped.
#![cfg(feature = "hdf5")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use layerbench::data::{PictureSet, Split};
use layerbench::layer::Descent;
use layerbench::network::{Network, Parameters};
use layerbench::train::{Composed, Trainer, train};
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
    assert_eq!(costs.len(), 2500);
    let correct = |part: &str| model["after_2500"][part][0].as_u64().expect("a count") as usize;
    (costs, [correct("train_correct"), correct("test_correct")])
}

/// Trains and holds each cost against NumPy's. Every `relative` error must be below; then counts right answers.
fn train_and_compare<T: Scalar>(
    sets: &Sets,
    backend: &str,
    workload: &Workload,
    steps: usize,
    relative: f64,
) -> [usize; 2] {
    let engine = Registry::builtin().open::<T>(backend, 1).expect("available");
    let start = Parameters::<T>::initialized(&workload.architecture, workload.init, SEED);
    let descent = Descent::plain(T::of(LEARNING_RATE));
    let mut trainer =
        Composed::new(&engine, &start, sets.train.x(), sets.train.y().view(), descent).expect("data and network fit");
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let costs = train(engine.as_ref(), &mut trainer, steps, go_on).expect("no cost is NaN");
    let (expected, _) = numpys(workload);
    assert_eq!(costs.len(), steps);
    for (iteration, (cost, expected)) in costs.iter().zip(&expected).enumerate() {
        let error = (cost - expected).abs() / expected;
        assert!(
            error <= relative,
            "{backend} {} {} iteration {iteration}: {cost}, NumPy has {expected}, error {error:.1e}",
            workload.name,
            T::KIND
        );
    }
    let mut network = Network::with_parameters(&engine, trainer.export().expect("parameters")).expect("it fits");
    [&sets.train, &sets.test].map(|set| network.count_correct(set.x().view(), set.y().view()).expect("it fits"))
}

fn whole_curve(backend: &str, model: &str) {
    let Some(sets) = sets() else { return };
    let workload = Workload::find(model).expect("a model");
    let correct = train_and_compare::<f64>(sets, backend, &workload, 2500, 1e-9);
    assert_eq!(correct, numpys(&workload).1, "{backend} {model}: right answers for train and test");
}

macro_rules! whole_curves {
    ($($name:ident: $backend:literal, $model:literal;)*) => {
        $(#[test]
        fn $name() {
            whole_curve($backend, $model);
        })*
    };
}

whole_curves! {
    naive_l_layer: "naive", "l-layer";
    naive_two_layer: "naive", "two-layer";
    ndarray_l_layer: "ndarray", "l-layer";
    ndarray_two_layer: "ndarray", "two-layer";
    rayon_l_layer: "rayon", "l-layer";
    rayon_two_layer: "rayon", "two-layer";
}

#[cfg(feature = "openblas")]
whole_curves! {
    openblas_l_layer: "openblas", "l-layer";
    openblas_two_layer: "openblas", "two-layer";
}

/// In f32 the trajectory is that of f64 for twenty steps; later ReLU kinks part them, on correct code.
#[test]
fn f32_follows_for_twenty_steps() {
    let Some(sets) = sets() else { return };
    for entry in Registry::builtin().entries() {
        for workload in Workload::reference() {
            train_and_compare::<f32>(sets, entry.name(), &workload, 20, 1e-4);
        }
    }
}

/// The f32 outcome: as good as the f64 one, give or take a few pictures.
#[test]
fn f32_learns_as_well() {
    let Some(sets) = sets() else { return };
    let workload = Workload::find("two-layer").expect("a model");
    let [train, test] = train_and_compare::<f32>(sets, "ndarray", &workload, 2500, f64::INFINITY);
    assert!(train >= 207 && test >= 33, "{train}/209 and {test}/50");
}
