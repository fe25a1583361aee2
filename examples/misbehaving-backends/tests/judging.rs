//! `verify` on backends that end its process or write to its output: the verdict and the report are the judge's.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_misbehaving-backends"));
    command.args(["verify", "--quick", "--scalar", "f64", "--check", "t0_scale", "--check", "state_engine"]);
    command.args(arguments).output().expect("it runs")
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("one JSON object and nothing else")
}

fn statuses(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let outcomes = report["outcomes"].as_array().expect("outcomes").iter();
    outcomes.map(|outcome| (text(&outcome["check"]), text(&outcome["status"]))).collect()
}

fn expected(of_pass: &str) -> Vec<(String, String)> {
    [("t0_scale", of_pass), ("state_engine", "PASSED")].map(|(check, status)| (check.into(), status.into())).to_vec()
}

#[test]
fn a_backend_that_exits_fails_by_name_and_the_next_check_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let passing = verify(&["--backend", "steady", "--format", "json", "--output", report.to_str().expect("text")]);
    assert_eq!(passing.status.code(), Some(0));
    let read = |path: &Path| json(&std::fs::read(path).expect("written"));
    assert_eq!(statuses(&read(&report)), expected("PASSED"));

    let exiting = verify(&["--backend", "exiting", "--format", "json", "--output", report.to_str().expect("text")]);
    assert_eq!(exiting.status.code(), Some(1), "{}", String::from_utf8_lossy(&exiting.stdout));
    let after = read(&report);
    assert_eq!(statuses(&after), expected("FAILED"), "the older report is not believed");
    let reason = after["outcomes"][0]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("the process of backend `exiting` on 1 threads is lost: it ended with exit code 0"),
        "{reason}"
    );
    assert!(after["outcomes"][0]["repeat_whole"].as_str().is_some_and(|command| command.contains("--draw ")));
}

#[test]
fn whoever_prints_breaks_no_format() {
    for format in ["text", "json", "junit"] {
        let output = verify(&["--backend", "chatty", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{format}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.contains("chatty:") && !text.contains('\0'), "{format}: {text}");
        match format {
            "json" => assert_eq!(statuses(&json(text.as_bytes())), expected("PASSED")),
            "junit" => assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</testsuites>"), "{text}"),
            _ => assert!(text.contains("2 passed, 0 failed"), "{text}"),
        }
    }
}

/// The program that is started anew for its children is the one that runs, and a run that is killed leaves no report that passed.
#[test]
fn a_run_that_does_not_end_leaves_a_report_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_misbehaving-backends"));
    command.args(["verify", "--backend", "steady", "--format", "json", "--output"]).arg(&report);
    let mut run = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    // Once the first outcome is printed the report is there.
    let mut first = [0];
    std::io::Read::read_exact(run.stdout.as_mut().expect("piped"), &mut first).expect("an outcome");
    run.kill().expect("it runs");
    run.wait().expect("it was ours");
    let unfinished = json(&std::fs::read(&report).expect("written"));
    assert_eq!(statuses(&unfinished), [("all".to_owned(), "FAILED".to_owned())]);
    assert_eq!(unfinished["totals"]["failed"], 1);
}

/// It is asked in a process of its own.
#[test]
fn whoever_ends_its_process_when_asked_ends_nobody_elses() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_misbehaving-backends")).args(arguments).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, told) = run(&["list"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("asked whether it can run, ") && told.contains("t0_forward"), "{told}");
    let one = ["verify", "--quick", "--check", "t0_forward"];
    let (code, told) = run(&[&one[..], &["--backend", "leaving"]].concat());
    assert!(code == Some(2) && told.contains("it ended with exit code 0"), "{code:?}: {told}");
    let (code, told) = run(&[&one[..], &["--scalar", "f64", "--require", "leaving"]].concat());
    assert!(code == Some(1) && told.contains("FAILED      leaving"), "{code:?}: {told}");
    let (code, told) = run(&["measure", "--list", "-m", "step", "-s", "f64", "-w", "planar"]);
    assert!(code == Some(0) && told.contains("step/steady/planar-f64-1") && !told.contains("leaving"), "{told}");
}
