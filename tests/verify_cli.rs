//! `verify` as a gate uses it: formats, files, selections, and which exit code means what.

#![cfg(feature = "cli")]

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
    verify(&["--backend", "naive", "--tier", "t3", "--scalar", "f64"]).code(0).stdout(contains("3 passed, 0 failed"));
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
        (&["--threads", "0"], "--threads"),
        (&["--threads", "1000000"], "1000000 threads were asked for; expected at most"),
        (&["--fixtures", "-", "--fixtures", "-"], "which can be read once"),
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

/// A case with that name and that Z, where 4.5 and 6.5 are right.
fn case(name: &str, z: &str) -> String {
    let name = serde_json::to_string(name).expect("text");
    let inputs = r#"{"A": [[1.0, 2.0], [3.0, 4.0]], "W": [[1.0, 1.0]], "b": [[0.5]]}"#;
    format!(r#"{{"name": {name}, "function": "linear_forward", "inputs": {inputs}, "expected": {{"Z": {z}}}}}"#)
}

fn write_cases(folder: &Path, name: &str, cases: &[String]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!(r#"{{"format": 1, "cases": [{}]}}"#, cases.join(", "))).expect("written");
    path.display().to_string()
}

const RIGHT: &str = "[[4.5, 6.5]]";

#[test]
fn fixtures_are_run_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_cases(folder.path(), "two.json", &[case("one", RIGHT), case("two", RIGHT)]);
    let fixtures = ["--backend", "naive", "--fixtures", &file];
    let with = |more: &[&str]| verify(&[&fixtures[..], more].concat()).code(0);
    // A fixture says nothing of how exact a backend is.
    with(&[])
        .stdout(contains("\n4 passed, 0 failed, 0 skipped, 0 unavailable; 4 cases\n").and(contains("exact").count(4)));
    with(&["--check", "two"]).stdout(contains("\n2 passed, 0 failed"));
    with(&["--check", "two", "--check", "t0_workload"]).stdout(contains("\n4 passed, 0 failed"));
    with(&["--tier", "t3"]).stdout(contains("\n10 passed, 0 failed"));
    let text = std::fs::read(&file).expect("just written");
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    command.args(["verify", "--backend", "naive", "--fixtures", "-"]).write_stdin(text);
    command.assert().code(0).stdout(contains("\n4 passed, 0 failed"));
}

#[test]
fn failures_stand_at_the_end_and_a_file_that_is_alone_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_cases(folder.path(), "f.json", &[case("bad", "[[4.5001, 6.5]]"), case("good", RIGHT)]);
    let output = verify(&["--fixtures", &file]).code(1);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    let (_, end) = text.split_once("\nfailures\n").expect("they are repeated");
    let backends = layerbench::Registry::builtin().entries().len();
    assert_eq!(end.matches("FAILED").count(), 2 * backends, "{text}");
    assert_eq!(end.matches("repeat: layerbench verify").count(), 2 * backends, "{text}");
    let line = format!("bad: Z[0,0]: all {backends} backends say 4.5, your file 4.5001: ");
    assert_eq!(end.matches(&line).count(), 1, "{text}");
}

/// Names and paths that a shell would take apart; the printed command is pasted into one.
#[test]
fn the_repeat_command_survives_a_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["it's \"mine\"", "", "-x", "$HOME `id`", "a\u{1b}[31m\u{202e}b", "two\nlines\n"];
    for (name, file) in
        names.iter().zip(["my case.json", "it's.json", "-y.json", "$x.json", "a\u{1b}b.json", "n\n.json"])
    {
        let file = write_cases(folder.path(), file, &[case(name, "[[4.5, 7.5]]"), case("other", RIGHT)]);
        let file = Path::new(&file).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let mut command = Command::cargo_bin("layerbench").expect("it was built");
        let program = command.get_program().to_owned();
        command.current_dir(folder.path()).args(["verify", "--backend", "naive", "--scalar", "f64"]);
        let output = command.arg(format!("--fixtures={file}")).assert().code(1);
        let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        let (_, repeat) = text.split_once("repeat: layerbench ").expect("there is a command");
        let (repeat, _) = repeat.split_once("\nPASSED").expect("the other case comes next");
        let mut shell = Command::new("sh");
        shell.current_dir(folder.path()).args(["-c", &format!("\"$0\" {repeat}")]).arg(&program);
        shell.assert().code(1).stdout(contains("\n0 passed, 1 failed, 0 skipped"));
    }
}

/// Whatever is in a name, a parser takes the report.
#[test]
fn any_name_is_well_formed_xml() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "a\u{fffe}\u{ffff}\u{1}\u{1b}\u{7f}]]>&<\"'\r\n\tb";
    let file = write_cases(folder.path(), "f.json", &[case(name, "[[4.5, 7.5]]")]);
    let output = verify(&["--backend", "naive", "--fixtures", &file, "--format", "junit"]).code(1);
    let xml = String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8");
    let is_xml =
        |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(is_xml) && xml.contains(r"a\u{fffe}\u{ffff}\u{1}\u{1b}\u{7f}]]"), "{xml}");
}

/// A failure is told by its exit code although its report cannot be written.
#[test]
fn a_wrong_result_outranks_a_report_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for (z, code) in [("[[4.5, 7.5]]", 1), (RIGHT, 2)] {
        let file = write_cases(folder.path(), "f.json", &[case("c", z)]);
        verify(&["--backend", "naive", "--fixtures", &file, "--output", "/dev/full"])
            .code(code)
            .stdout(contains("passed, "))
            .stderr(contains("error: cannot write to /dev/full"));
    }
}

/// Nothing failed, and what passed means too little.
#[test]
fn mistrusted_is_exit_code_4() {
    let folder = tempfile::tempdir().expect("a folder");
    let zeros = case("zeros", "[[0, 0]]").replace("[[1.0, 1.0]]", "[[0.0, 0.0]]").replace("[[0.5]]", "[[0.0]]");
    let alone = write_cases(folder.path(), "alone.json", std::slice::from_ref(&zeros));
    let beside = write_cases(folder.path(), "beside.json", &[zeros.clone(), case("good", RIGHT)]);
    for file in [&alone, &beside] {
        verify(&["--backend", "naive", "--fixtures", file]).code(4).stdout(contains("2 mistrusted"));
    }
    let failing = write_cases(folder.path(), "failing.json", &[zeros, case("bad", "[[4.5, 7.5]]")]);
    verify(&["--backend", "naive", "--fixtures", &failing]).code(1);
}

/// Where the arithmetic overflows, its bound does too: no finite number is expected then, however large the bound.
#[test]
fn a_finite_expectation_of_an_infinite_result_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("case.json");
    for (function, inputs, expected) in [
        ("linear_forward", r#"{"A": [[1e308]], "W": [[10.0]], "b": [[0]]}"#, r#"{"Z": [[5]]}"#),
        ("linear_forward", r#"{"A": [[1e308]], "W": [[10.0]], "b": [[0]]}"#, r#"{"Z": [[1e308]]}"#),
        ("compute_cost", r#"{"AL": [[1.0]], "Y": [[0]]}"#, r#"{"cost": 42}"#),
    ] {
        let case =
            format!(r#"{{"name": "overflow", "function": "{function}", "inputs": {inputs}, "expected": {expected}}}"#);
        std::fs::write(&path, format!(r#"{{"format": 1, "cases": [{case}]}}"#)).expect("written");
        let path = path.to_str().expect("UTF-8");
        verify(&["--fixtures", path]).code(1).stdout(contains("0 passed").and(contains("expected ")));
    }
}
