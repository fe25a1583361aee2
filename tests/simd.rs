//! The `simd` backend on every instruction set that this CPU has, also those that it would not choose: the whole judge on each, and a set that is
//! asked for and missing is an error.

#![cfg(feature = "cli")]

use assert_cmd::Command;
use layerbench::simd::{Isa, VARIABLE};

/// As [`VARIABLE`] spells it.
fn name(isa: Isa) -> String {
    let name = serde_json::to_value(isa).expect("a word");
    name.as_str().expect("a word").to_owned()
}

#[test]
fn every_set_passes_the_judge() {
    let mut sets = Isa::available();
    sets.push(Isa::Portable);
    // Sets without kernels of their own run the portable ones.
    sets.retain(|isa| !matches!(isa, Isa::Sse2 | Isa::Neon));
    for isa in sets {
        let run = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_layerbench"));
            let out = command.args(args).env(VARIABLE, name(isa)).output().expect("it runs");
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(out.status.success(), "{isa}: {text}{}", String::from_utf8_lossy(&out.stderr));
            text
        };
        let text = run(&["verify", "--quick", "--backend", "simd"]);
        assert!(text.contains(" 0 failed, 2 skipped, 0 unavailable;") && text.contains("PASSED"), "{isa}: {text}");
        let text = run(&["train", "--backend", "simd", "--layers", "12288,1", "--iterations", "1", "--format", "json"]);
        assert!(text.contains(&format!("\"engine\": \"{isa},")), "{isa} is what ran: {text}");
    }
}

#[test]
fn a_set_that_is_missing_is_an_error_and_no_skip() {
    let missing = [Isa::Avx2, Isa::Avx512, Isa::Neon].into_iter().find(|isa| !Isa::available().contains(isa));
    let Some(missing) = missing else {
        eprintln!("SKIPPED: this CPU has every set");
        return;
    };
    for (asked, part) in [(name(missing), "that this CPU has"), ("avx9".into(), "avx512 or neon")] {
        let run = Command::new(env!("CARGO_BIN_EXE_layerbench"))
            .args(["verify", "--quick", "--backend", "simd", "--scalar", "f64", "--check", "t0_forward"])
            .env(VARIABLE, &asked)
            .output()
            .expect("it runs");
        assert!(!run.status.success(), "{asked}");
        let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(text.contains(&asked) && text.contains(part), "{text}");
        let run = Command::new(env!("CARGO_BIN_EXE_layerbench"))
            .args(["train", "--backend", "simd", "--iterations", "1"])
            .env(VARIABLE, &asked)
            .output()
            .expect("it runs");
        assert_eq!(run.status.code(), Some(2), "{}", String::from_utf8_lossy(&run.stderr));
    }
}
