//! The fault catalogue: each seeded bug is caught by every check that it names, and the same code without a bug by none.

#![cfg(feature = "cli")]

use std::collections::VecDeque;
use std::sync::Mutex;

use layerbench::child::Program;
use layerbench::verify::cases::Depth;
use layerbench::verify::checks::Tier;
use layerbench::verify::conformance::assert_conforms_in;
use layerbench::verify::faults::{VARIABLE, catalogue, chatty, control};
use layerbench::verify::{Suite, Venue, checks};

/// Children of the program, which has the catalogue's backends too.
fn venue() -> Venue {
    Venue::children_of(Program::at(env!("CARGO_BIN_EXE_layerbench")).with_variable(VARIABLE, "1"))
}

#[test]
fn every_fault_is_caught_by_every_check_that_it_names() {
    let (faults, missed) = (Mutex::new(VecDeque::from(catalogue())), Mutex::new(Vec::new()));
    // Most of the time goes into the starts of processes, and some into waiting.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(fault) = faults.lock().expect("no panic before").pop_front() else { return };
                    let caught = fault.caught(&venue(), fault.caught_by);
                    let not_by = fault.caught_by.iter().filter(|check| !caught.iter().any(|name| name == *check));
                    let not_by = not_by.map(|check| format!("{} is not caught by {check}", fault.name));
                    missed.lock().expect("as above").extend(not_by);
                }
            });
        }
    });
    let missed = missed.into_inner().expect("as above");
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_same_code_without_a_fault_raises_no_alarm() {
    // The kernel under the bugs is a slow one.
    let depth = if std::env::var_os("LAYERBENCH_SOAK").is_some() { Depth::Normal } else { Depth::Quick };
    assert_conforms_in(&venue(), &control(), &Suite::new(depth));
}

/// What a backend prints, in bulk and past the standard library, is in nobody's way.
#[test]
fn printing_is_no_fault() {
    let suite = Suite { fixtures: Vec::new(), tiers: vec![Tier::T0, Tier::T5], ..Suite::new(Depth::Quick) };
    assert_conforms_in(&venue(), &chatty(), &suite);
}

#[test]
fn the_catalogue_is_whole() {
    let faults = catalogue();
    assert!(faults.len() >= 90, "{} faults", faults.len());
    // Where the catalogue is whole, the documents have its number.
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        for text in [include_str!("../README.md"), include_str!("../docs/verify.md")] {
            assert!(text.contains(&format!("{} seeded bugs", faults.len())), "there are {}", faults.len());
        }
    }
    for (i, fault) in faults.iter().enumerate() {
        assert!(faults[..i].iter().all(|other| other.name != fault.name), "{} twice", fault.name);
        for name in fault.caught_by {
            assert!(checks::all().iter().any(|check| check.name == *name), "{}: no check is called {name}", fault.name);
        }
    }
    // The two that cannot have one: see the documentation of `faults`.
    let without = ["memory_inputs", "t5_cat_curve"];
    for check in checks::all() {
        let named = faults.iter().any(|fault| fault.caught_by.contains(&check.name));
        assert!(
            named != without.contains(&check.name),
            "{} {}",
            check.name,
            if named { "has a fault" } else { "has none" }
        );
    }
}
