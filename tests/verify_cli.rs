//! `verify` as a gate uses it: formats, files, selections, and which exit code means what.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

fn verify(args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    command.env_remove("LAYERBENCH_CAT_DIR").arg("verify").args(args).assert()
}

/// A fixture file with a wrong digit.
fn wrong_fixture(folder: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/notebook_cases.json");
    let text = std::fs::read_to_string(source).expect("it is there");
    let path = folder.join("a wrong digit.json");
    std::fs::write(&path, text.replacen("3.26295337", "3.26295338", 1)).expect("written");
    path.display().to_string()
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

#[test]
fn json_has_the_documented_shape() {
    let output = verify(&["--quick", "--backend", "rayon", "--scalar", "f32", "--format", "json"]).code(0);
    let document = parsed(&output.get_output().stdout);
    assert_eq!((&document["format"], &document["kind"]), (&1.into(), &"layerbench-verify".into()));
    assert_eq!(document["depth"], "quick");
    let totals = &document["totals"];
    let outcomes = document["outcomes"].as_array().expect("a list");
    assert_eq!(
        totals["passed"].as_u64().expect("a count") + totals["skipped"].as_u64().expect("a count"),
        outcomes.len() as u64
    );
    assert_eq!(document["backends"][0]["same_bits_for"], "any threads");
    let ratio = document["backends"][0]["worst_ratio"].as_f64().expect("a number");
    assert!(ratio > 0.1 && ratio <= 1.0, "{ratio}");
    let forward = outcomes.iter().find(|o| o["check"] == "t1_forward").expect("it is run");
    assert_eq!((&forward["tier"], &forward["status"]), (&"t1".into(), &"PASSED".into()));
    assert!(forward["executed"].as_u64().expect("a count") >= 8, "{forward}");
    assert!(forward["worst"]["bound"].as_f64().expect("a number") > 0.0, "{forward}");
    assert!(forward["at"]["shape"].as_str().expect("a shape").split('x').count() == 3, "{forward}");
    let executed: u64 = outcomes.iter().map(|o| o["executed"].as_u64().expect("a count")).sum();
    assert_eq!(totals["executed"].as_u64(), Some(executed));
}

/// The report is there although the exit code is 1, and the command in it repeats the failure.
#[test]
fn a_failure_is_written_before_exit_code_1_and_its_command_repeats_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (fixture, report) = (wrong_fixture(folder.path()), folder.path().join("report.json"));
    let report_name = report.display().to_string();
    let args =
        ["--tier", "t2", "--backend", "naive", "--fixtures", &fixture, "--format", "json", "--output", &report_name];
    verify(&args)
        .code(1)
        .stdout(contains("FAILED      naive      f64 linear_forward ").and(contains("repeat: layerbench verify")));
    let document = parsed(&std::fs::read(&report).expect("written"));
    let failed: Vec<_> =
        document["outcomes"].as_array().expect("a list").iter().filter(|o| o["status"] == "FAILED").collect();
    assert_eq!(failed.len(), 2, "one in each scalar type");
    let repeat = failed[0]["repeat"].as_str().expect("a command");
    let words = shlex::split(repeat).expect("a shell's words");
    assert_eq!(words[..2], ["layerbench", "verify"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    verify(&words[2..]).code(1).stdout(contains("0 passed, 1 failed").and(contains("Z[0,0] is 3.26295337")));
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 2, "no temporary file is left");
}

/// The command of a passed outcome runs the very case that was worst.
#[test]
fn the_command_of_the_worst_case_runs_that_case_alone() {
    let output = verify(&["--quick", "--backend", "rayon", "--check", "t1_backward", "--format", "json"]).code(0);
    let first = parsed(&output.get_output().stdout)["outcomes"][0].clone();
    let repeat = first["repeat"].as_str().expect("a command").to_owned();
    let mut words: Vec<&str> = repeat.split(' ').skip(2).collect();
    words.extend(["--format", "json"]);
    let again = parsed(&verify(&words).code(0).get_output().stdout)["outcomes"][0].clone();
    assert_eq!(again["executed"], 1);
    assert_eq!((&again["worst"], &again["at"]), (&first["worst"], &first["at"]));
}

#[test]
fn junit_has_a_case_for_each_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = wrong_fixture(folder.path());
    let args = ["--tier", "t2", "--backend", "naive", "--scalar", "f64", "--fixtures", &fixture, "--format", "junit"];
    let output = verify(&args).code(1);
    let text = String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8");
    let cases = text.matches("<testcase ").count();
    assert!(text.starts_with("<?xml") && cases > 10, "{text}");
    assert!(text.contains(&format!(r#"tests="{cases}""#)) && text.contains(r#"failures="1""#), "{text}");
    assert!(text.contains("repeat: layerbench verify --backend naive --scalar f64 --check linear_forward"), "{text}");
}

#[test]
fn selections_select() {
    verify(&["--backend", "rayon", "--check", "t0_forward", "--shape", "3x1000x5", "--seed", "77", "--threads", "3"])
        .code(0)
        .stdout(contains("2 passed, 0 failed, 0 skipped, 0 unavailable; 2 cases"));
    verify(&["--backend", "naive", "--tier", "t3", "--scalar", "f64"]).code(0).stdout(contains("2 passed, 0 failed"));
}

#[test]
fn what_checks_nothing_or_makes_no_sense_is_exit_code_2() {
    for (bad, part) in [
        (&["--check", "t0_foward"][..], "the check is `t0_foward`; expected a name that `list` shows"),
        (&["--shape", "3x4"], "units, inputs and examples"),
        (&["--tier", "t9"], "invalid value"),
        (&["--quick", "--full"], "cannot be used with"),
        (&["--backend", "naive", "--threads", "2"], "nothing was checked"),
        (&["--backend", "naive", "--check", "determinism_threads"], "nothing was checked"),
        (&["--backend", "naive", "--tier", "t3", "--output", "/"], "it is a folder"),
        (&["--faults", "--backend", "naive"], "cannot be used with"),
        (&["--require", "cublas"], "no backend is called `cublas`"),
    ] {
        verify(bad).code(2).stderr(contains(part));
    }
}

#[test]
fn a_required_backend_must_be_there() {
    let args = ["--backend", "naive", "--tier", "t3", "--require", "naive", "--require", "openblas"];
    if cfg!(feature = "openblas") {
        verify(&args).code(0);
    } else {
        verify(&args).code(1).stdout(contains("it is required, and unavailable: built without the `openblas` feature"));
    }
}

#[test]
fn list_names_every_check() {
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    let output = command.arg("list").assert().code(0);
    let text = String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8");
    for check in layerbench::verify::checks::all() {
        assert!(text.contains(check.name) && text.contains(check.demand), "{}", check.name);
    }
}
