//! The golden fixtures: every case on every backend, and the proof that a wrong digit fails on every one of them.

#![cfg(feature = "cli")]

mod common;

use std::num::NonZeroUsize;
use std::path::Path;

use layerbench::model::{Architecture, Init, NumpyRandom, Parameters};
use layerbench::verify::cases::Depth;
use layerbench::verify::checks::Tier;
use layerbench::verify::fixture::{embedded, parse};
use layerbench::verify::golden::Case;
use layerbench::verify::{Outcome, Status, Suite, Venue};
use layerbench::{Entry, Registry, ScalarKind};
use serde_json::Value;
use sha2::{Digest, Sha256};

const CASES: usize = 39;

fn outcomes(entry: &Entry, scalar: ScalarKind, cores: usize, cases: &[Case]) -> Vec<Outcome> {
    let threads = entry.thread_counts(NonZeroUsize::new(cores).expect("not zero"));
    let _turn = common::alone();
    let mut all = Vec::new();
    let suite = Suite { tiers: vec![Tier::T2], threads, fixtures: cases.to_vec(), ..Suite::new(Depth::Quick) };
    suite.run(&Venue::ThisProcess, entry, scalar, &mut |outcome| all.push(outcome));
    all
}

#[test]
fn every_case_passes_on_every_backend() {
    let cases = embedded();
    assert_eq!(cases.len(), CASES);
    let registry = Registry::builtin();
    assert_eq!(registry.entries().len(), if cfg!(feature = "openblas") { 5 } else { 4 });
    for entry in registry.entries() {
        for scalar in ScalarKind::ALL {
            let outcomes = outcomes(entry, scalar, 2, &cases);
            // An empty run must not pass.
            assert_eq!(outcomes.len(), CASES, "{} {scalar}", entry.name());
            for outcome in outcomes {
                let Outcome { check, backend, status, .. } = &outcome;
                assert_eq!(*status, Status::Passed, "{check} {backend} {scalar}: {}", outcome.detail());
            }
        }
    }
}

/// One number of each expected matrix of each case is changed in its seventh digit.
#[test]
fn a_wrong_digit_fails_on_every_backend_in_both_scalars() {
    let registry = Registry::builtin();
    let mut wrong_cases = Vec::new();
    for case in embedded() {
        for name in case.expected.keys() {
            let mut wrong = case.clone();
            let matrix = wrong.expected.get_mut(name).expect("it is a key");
            let middle = matrix.len() / 2;
            let number = matrix.iter_mut().nth(middle).expect("no matrix is empty");
            *number += 1e-6 * number.abs().max(0.1);
            wrong.printed.clear();
            wrong_cases.push(wrong);
        }
    }
    assert!(wrong_cases.len() > 2 * CASES, "only {}", wrong_cases.len());
    for entry in registry.entries() {
        for scalar in ScalarKind::ALL {
            let outcomes = outcomes(entry, scalar, 1, &wrong_cases);
            for outcome in &outcomes[..wrong_cases.len()] {
                assert!(outcome.failed(), "{} {} {scalar} passed with a wrong digit", outcome.check, outcome.backend);
            }
        }
    }
}

#[test]
fn a_wrong_printed_digit_fails() {
    let registry = Registry::builtin();
    let naive = registry.get("naive").expect("built in");
    let mut cases: Vec<Case> = embedded().into_iter().filter(|case| !case.printed.is_empty()).collect();
    assert!(cases.len() >= 12, "the notebook prints the results of 12 cases, {} found", cases.len());
    for case in &mut cases {
        for printed in &mut case.printed {
            // One unit of the last digit that is printed.
            printed.values[(0, 0)] += 2.0 * printed.half_units[(0, 0)];
        }
    }
    let all = outcomes(naive, ScalarKind::F64, 1, &cases);
    for outcome in &all[..cases.len()] {
        assert!(outcome.failed(), "{} passed with a wrong printed digit", outcome.check);
    }
}

/// The very digits of a print, whatever its precision, are right; one unit more in the last is not.
#[test]
fn a_print_is_held_to_half_a_unit_of_its_last_digit() {
    let registry = Registry::builtin();
    let naive = registry.get("naive").expect("built in");
    let text = |printed: &str, expected: &str| {
        format!(
            r#"{{"format": 1, "cases": [{{"name": "c", "function": "linear_forward",
            "inputs": {{"A": [[1.0, 0.0], [0.0, 1.0]], "W": [[12345.678912345, -0.9772778798]], "b": [[0.0]]}}{expected},
            "printed": {{"cell": {{"Z": "{printed}"}}}}}}]}}"#
        )
    };
    let full = r#", "expected": {"Z": [[12345.678912345, -0.9772778798]]}"#;
    for (right, wrong) in [
        ("[[1.23456789e+04 -9.77277880e-01]]", "[[1.23456789e+04 -9.77277881e-01]]"),
        ("[[1.2346e+04 -9.7728e-01]]", "[[1.2347e+04 -9.7728e-01]]"),
        ("[[12345.6789 -0.9773]]", "[[12345.6789 -0.9772]]"),
        ("[[12345.67891235    -0.97727788]]", "[[12345.67891236    -0.97727788]]"),
        ("array([[ 1.2346e+04, -9.7728e-01]])", "array([[ 1.2346e+04, -9.7729e-01]])"),
        ("[[12346. -1.]]", "[[12345. -1.]]"),
    ] {
        for expected in ["", full] {
            for scalar in ScalarKind::ALL {
                for (printed, is_right) in [(right, true), (wrong, false)] {
                    let cases = parse("f", &text(printed, expected)).expect("well-formed");
                    let outcome = &outcomes(naive, scalar, 1, &cases)[0];
                    assert_eq!(outcome.status == Status::Passed, is_right, "{printed} {scalar}: {}", outcome.detail());
                }
            }
        }
    }
}

fn read(name: &str) -> (Vec<u8>, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (bytes, value)
}

#[test]
fn fixture_files_are_those_of_the_manifest() {
    let (_, manifest) = read("manifest.json");
    let files = manifest["files"].as_object().expect("an object");
    assert_eq!(files.len(), 4);
    for (name, entry) in files {
        let found: String = Sha256::digest(read(name).0).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            entry["sha256"].as_str(),
            Some(found.as_str()),
            "fixtures/{name} is not the file that the manifest describes; if the change is meant, make it anew with `{}`",
            entry["command"].as_str().unwrap_or("scripts/make_fixtures.py")
        );
    }
}

fn bits(value: &Value) -> u64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number")).to_bits()
}

#[test]
fn random_numbers_are_numpys_bit_for_bit() {
    let (_, reference) = read("rng_reference.json");
    let seeds = reference["seeds"].as_object().expect("an object");
    assert_eq!(seeds.len(), 5);
    for (seed, numbers) in seeds {
        let seed: u32 = seed.parse().expect("a seed");
        let mut random = NumpyRandom::new(seed);
        for expected in numbers["rand"].as_array().expect("a list") {
            assert_eq!(random.uniform().to_bits(), bits(expected), "seed {seed}");
        }
        let mut random = NumpyRandom::new(seed);
        let normals: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        for (i, expected) in numbers["randn_first"].as_array().expect("a list").iter().enumerate() {
            assert_eq!(normals[i].to_bits(), bits(expected), "seed {seed}, number {i}");
        }
        for (i, expected) in numbers["randn_at"].as_object().expect("an object") {
            let i: usize = i.parse().expect("a position");
            assert_eq!(normals[i].to_bits(), bits(expected), "seed {seed}, number {i}");
        }
    }
}

#[test]
fn initial_weights_are_numpys_bit_for_bit() {
    let (_, reference) = read("rng_reference.json");
    for (name, model) in reference["initial_weights"].as_object().expect("an object") {
        let dims: Vec<usize> = serde_json::from_value(model["layer_dims"].clone()).expect("sizes");
        let init = match &model["scale"] {
            scale if scale.is_number() => Init::Normal(scale.as_f64().expect("a number")),
            scale if scale.as_str().is_some_and(|s| s.contains("sqrt(n_prev)")) => Init::InverseSqrt,
            scale => scale.as_str().and_then(|s| s.strip_prefix("randn*")).map_or_else(
                || panic!("{name}: unknown scale {scale}"),
                |number| Init::Normal(number.parse().expect("a number")),
            ),
        };
        let seed = model["seed"].as_u64().expect("a seed") as u32;
        let parameters = Parameters::<f64>::initialized(&Architecture::new(&dims).expect("sizes"), init, seed);
        for layer in 0..parameters.architecture().layers() {
            let expected = &model[format!("W{}", layer + 1)];
            let w: Vec<f64> = parameters.layer(layer).w.iter().copied().collect();
            let (first, last) =
                (expected["first"].as_array().expect("a list"), expected["last"].as_array().expect("a list"));
            for (found, expected) in w.iter().zip(first).chain(w[w.len() - last.len()..].iter().zip(last)) {
                assert_eq!(found.to_bits(), bits(expected), "{name}, layer {layer}");
            }
            approx::assert_relative_eq!(
                w.iter().map(|w| w * w).sum::<f64>(),
                expected["sum_of_squares"].as_f64().expect("a number"),
                max_relative = 1e-12
            );
        }
    }
}
