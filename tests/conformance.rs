//! The contracts of the layer trait: the registry of checks on every backend, in children, shapes at random, and what must be a typed error
//! before there is a layer. Wrong arguments of a layer are a check (`state_refusals`).

#![cfg(feature = "cli")]

mod common;

use std::num::NonZeroUsize;

use layerbench::child::Program;
use layerbench::verify::cases::{Depth, Shape};
use layerbench::verify::checks::{self, Tier};
use layerbench::verify::conformance::{Conformance, assert_conforms_in};
use layerbench::verify::{Status, Suite, Venue};
use layerbench::{Entry, Error, Registry};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Children of the program, which has the built-in backends too.
fn venue() -> Venue {
    Venue::children_of(Program::at(env!("CARGO_BIN_EXE_layerbench")))
}

fn assert_conforms_to(entry: &Entry, suite: &Suite) -> Conformance {
    assert_conforms_in(&venue(), entry, suite)
}

/// Runs the whole suite, and holds the number of what was run against what there is.
fn conforms(name: &str) {
    let registry = Registry::builtin();
    let entry = registry.get(name).expect("built in");
    let Conformance { outcomes, executed } = assert_conforms_to(entry, &Suite::new(Depth::Normal));
    let fixtures = Suite::new(Depth::Normal).fixtures.len();
    assert_eq!(outcomes.len(), 2 * (fixtures + checks::all().len()), "{name}: an outcome for each check");
    let skipped: Vec<_> = outcomes.iter().filter(|o| matches!(o.status, Status::Skipped(_))).collect();
    assert!(skipped.iter().all(|o| ["determinism_threads", "t5_cat_curve"].contains(&o.check.as_str())), "{skipped:?}");
    // Most of them are exact shapes, which are tried on each thread count in both scalar types.
    let threads = Suite::new(Depth::Normal).thread_counts(entry, NonZeroUsize::MIN).len();
    assert!(executed > 2_000 * threads, "{name}: only {executed} cases");
}

#[test]
fn naive_conforms() {
    conforms("naive");
}

#[test]
fn ndarray_conforms() {
    conforms("ndarray");
}

#[test]
#[cfg(feature = "openblas")]
fn openblas_conforms() {
    conforms("openblas");
}

#[test]
fn rayon_conforms() {
    conforms("rayon");
}

/// What the table of shapes does not have: any shape, any seed, any thread count must pass the exact checks and the windows. In this process:
/// it would be hundreds of children.
#[test]
fn shapes_at_random() {
    let _turn = common::alone();
    let registry = Registry::builtin();
    let chosen = ["t0_forward", "t0_backward", "memory_windows", "memory_guards", "t3_layer"];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(20));
    let strategy = (1..70_usize, 1..300_usize, 1..70_usize, 1..5_usize, 1..1_000_000_u32);
    runner
        .run(&strategy, |(outputs, inputs, batch, threads, seed)| {
            for entry in registry.entries() {
                let threads = if entry.profile().parallel { threads } else { 1 };
                let suite = Suite {
                    checks: chosen.map(String::from).to_vec(),
                    shape: Some(Shape::new(outputs, inputs, batch)),
                    seed: Some(seed),
                    threads: vec![NonZeroUsize::new(threads).expect("from 1")],
                    ..Suite::new(Depth::Quick)
                };
                // Each check once in each scalar type.
                let conformance = assert_conforms_in(&Venue::ThisProcess, entry, &suite);
                prop_assert_eq!(conformance.executed, 2 * chosen.len());
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Correct code must never alarm: the checks whose bounds are not zero, over other seeds than the table's. scripts/soak has 1,000.
#[test]
fn no_alarm_over_seeds() {
    let tiers = vec![Tier::T1, Tier::T3, Tier::T4, Tier::T5, Tier::T6];
    for seed in 100..102 {
        for entry in Registry::builtin().entries() {
            // Layers of workloads and thread counts are `conforms`'s.
            let (threads, workloads) = ([1, 3].into_iter().filter_map(NonZeroUsize::new).collect(), Vec::new());
            let suite =
                Suite { seed: Some(seed), tiers: tiers.clone(), threads, workloads, ..Suite::new(Depth::Quick) };
            assert!(assert_conforms_to(entry, &suite).executed > 80, "{} {seed}", entry.name());
        }
    }
}

/// A name that nothing has is an error, and if it is run all the same, it does not pass.
#[test]
#[should_panic(expected = "naive was not checked at all")]
fn a_selection_of_nothing_does_not_pass() {
    let none = Suite { checks: vec!["t9_missing".into()], ..Suite::new(Depth::Quick) };
    assert!(matches!(none.expect_known_names(), Err(Error::Setting { .. })));
    assert_conforms_to(&Entry::both(layerbench::backend::Naive), &none);
}

#[test]
#[should_panic(expected = "naive was not checked at all")]
fn a_serial_backend_on_two_threads_does_not_pass() {
    let on_two = Suite { threads: vec![NonZeroUsize::new(2).expect("two")], ..Suite::new(Depth::Quick) };
    assert_conforms_to(&Entry::both(layerbench::backend::Naive), &on_two);
}

/// Every tier but the fixtures' has a check.
#[test]
fn every_tier_has_checks() {
    for tier in Tier::ALL {
        assert!(tier == Tier::T2 || checks::all().iter().any(|check| check.tier == tier), "{tier}");
    }
}

/// What the registry itself refuses; that serial backends refuse a second thread is a check (`state_engine`).
#[test]
fn no_threads_and_unknown_names_are_refused() {
    let registry = Registry::builtin();
    assert!(matches!(registry.open::<f64>("naive", 0), Err(Error::Threads { asked: 0, .. })));
    assert!(matches!(registry.open::<f64>("cublas", 1), Err(Error::UnknownBackend { .. })));
}

/// No examples have zero gradients, not zero times infinity.
#[test]
fn no_examples_give_zero_gradients_through_the_notebook() {
    let _turn = common::alone();
    for entry in Registry::builtin().entries() {
        let engine = Registry::builtin().open::<f64>(entry.name(), 1).expect("available");
        let none = |rows| ndarray::Array2::<f64>::zeros((rows, 0));
        let cache = layerbench::notebook::Cache {
            a_prev: none(3),
            w: ndarray::Array2::ones((2, 3)),
            b: ndarray::Array2::ones((2, 1)),
            z: none(2),
        };
        let gradients =
            layerbench::notebook::linear_backward(engine.as_ref(), none(2).view(), &cache).expect("an ordinary shape");
        assert!(gradients.dw.iter().chain(&gradients.db).all(|&d| d == 0.0), "{}", entry.name());
    }
}
