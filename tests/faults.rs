//! The fault catalogue: each seeded bug is caught by every check that it names, and the same code without a bug by none.

use layerbench::verify::checks;
use layerbench::verify::conformance::assert_conforms;
use layerbench::verify::faults::{catalogue, control};

#[test]
fn every_fault_is_caught_by_every_check_that_it_names() {
    let mut missed = Vec::new();
    for fault in catalogue() {
        let caught = fault.caught(fault.caught_by);
        for check in fault.caught_by {
            if !caught.iter().any(|name| name == check) {
                missed.push(format!("{} is not caught by {check}", fault.name));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_same_code_without_a_fault_raises_no_alarm() {
    assert_conforms(&control());
}

#[test]
fn the_catalogue_is_whole() {
    let faults = catalogue();
    assert!(faults.len() >= 36, "{} faults", faults.len());
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
