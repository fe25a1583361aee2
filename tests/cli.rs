//! The command line, run as a user runs it: what it prints, what it writes, and with which code it exits.

#![cfg(feature = "cli")]

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

fn layerbench() -> Command {
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    command.env_remove("LAYERBENCH_CAT_DIR");
    command
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

#[test]
fn help_and_version_are_fine() {
    layerbench().arg("--help").assert().code(0).stdout(contains("verify").and(contains("Exit codes")));
    for verb in
        ["list", "verify", "measure", "rank", "diff", "train", "predict", "plot", "doctor", "completions", "man"]
    {
        let help = layerbench().args([verb, "--help"]).assert().code(0);
        let help = String::from_utf8_lossy(&help.get_output().stdout).replace('\n', " ");
        assert!(help.contains("Exit codes: 0 fine, 1 a result is wrong") && help.contains("130 interrupted"), "{verb}");
    }
    layerbench().arg("man").assert().code(0).stdout(contains("Exit codes").count(12));
    layerbench().arg("--version").assert().code(0).stdout(contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn list_names_every_backend() {
    let mut listed = contains("naive").and(contains("ndarray")).and(contains("rayon")).and(contains("l-layer")).boxed();
    listed = listed.and(contains("openblas")).boxed();
    if !cfg!(feature = "openblas") {
        listed = listed.and(contains("UNAVAILABLE: built without the `openblas` feature")).boxed();
    }
    layerbench().arg("list").assert().code(0).stdout(listed);
}

#[test]
fn verify_passes_and_counts() {
    layerbench()
        .args(["verify", "--quick", "--backend", "naive", "--scalar", "f64"])
        .assert()
        .code(0)
        .stdout(contains("86 passed, 0 failed, 2 skipped").and(contains("PASSED      naive      f64 linear_forward ")));
    // The project's own folder: manifest, curves and random numbers are no cases and are passed over.
    layerbench()
        .args(["verify", "--backend", "naive", "--backend", "rayon", "--tier", "t2", "--fixtures"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"))
        .assert()
        .code(0)
        .stdout(contains("156 passed, 0 failed"))
        .stderr(contains("manifest.json has no `cases`: passed over"));
}

#[test]
fn a_wrong_digit_is_exit_code_1_with_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(fixture("notebook_cases.json")).expect("it is there");
    // Z of linear_forward, in the ninth digit.
    let wrong = text.replacen("3.26295337", "3.26295338", 1);
    assert_ne!(text, wrong);
    let path = folder.path().join("wrong.json");
    std::fs::write(&path, wrong).expect("written");
    layerbench()
        .args(["verify", "--scalar", "f64", "--tier", "t2", "--fixtures"])
        .arg(&path)
        .assert()
        .code(1)
        .stdout(contains("FAILED      naive      f64 linear_forward ").and(contains("Z[0,0] is 3.26295337")))
        .stdout(contains("FAILED      rayon").and(contains("FAILED      ndarray")));
}

#[test]
fn a_malformed_fixture_is_exit_code_2_with_file_case_and_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.json");
    let text = r#"{"format": 1, "cases": [{"name": "mine", "function": "relu", "inputs": {"z": [[1]]}, "expected": {"A": [[1]]}}]}"#;
    std::fs::write(&path, text).expect("written");
    layerbench()
        .args(["verify", "--fixtures"])
        .arg(&path)
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains(format!("error: {}: case `mine`, key `inputs.Z`: it is missing", path.display())));
    layerbench()
        .args(["verify", "--fixtures", "-"])
        .write_stdin("{\n \"format\": 1, // mine\n}")
        .assert()
        .code(2)
        .stderr(contains("error: standard input, line 2, column 15: not JSON: it has no comments"));
    layerbench().args(["verify", "--fixtures", "no-such-file.json"]).assert().code(2).stderr(contains("no-such-file"));
}

#[test]
fn the_main_job_verifies_measures_and_names_the_fastest() {
    let mut command = layerbench();
    command.args(["--rounds", "1", "--backend", "ndarray", "--backend", "rayon"]);
    command
        .assert()
        .code(0)
        .stdout(contains("PASSED      ndarray").and(contains("GFLOP/s")).and(contains("GB/s")))
        .stdout(contains("Fastest on this machine:").or(contains("Too close to call")));
}

fn record() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("record/epyc-zen5-2cores.jsonl")
}

#[test]
fn records_come_from_standard_input_too() {
    let text = std::fs::read(record()).expect("it is there");
    let select = ["-w", "layer", "-m", "step", "-s", "f64"];
    let of_file = layerbench().arg("rank").arg(record()).args(select).assert().code(0);
    let of_file = of_file.get_output().stdout.clone();
    // In a pipe: nothing that a terminal of the C locale would not show, and no width that matters.
    assert!(of_file.is_ascii() && !of_file.is_empty());
    let piped =
        layerbench().args(["rank", "-"]).args(select).env("LC_ALL", "C.UTF-8").write_stdin(text.clone()).assert();
    assert_eq!(piped.code(0).get_output().stdout, of_file);
    layerbench()
        .arg("diff")
        .arg(record())
        .arg("-")
        .write_stdin(text)
        .assert()
        .code(0)
        .stdout(contains("no difference"));
    layerbench().args(["diff", "-", "-"]).assert().code(2).stderr(contains("which can be read once"));
    layerbench()
        .args(["rank", "-"])
        .write_stdin("{\"schema\": NaN}\n")
        .assert()
        .code(2)
        .stderr(contains("error: standard input:1: it is no record: column 12: not JSON: `NaN`"));
}

#[test]
fn names_in_records_do_no_harm_to_a_terminal() {
    let text = std::fs::read_to_string(record()).expect("it is there");
    let text = text.replace("\"naive\"", "\"na\\u001b[2J\\r\\u202eive\"");
    for more in [&["-m", "step"][..], &["--cells"], &["-e", "na.*ive", "-m", "step", "-w", "two"]] {
        let output = layerbench().args(["rank", "-"]).args(more).write_stdin(text.clone()).assert().code(0);
        let shown = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        assert!(
            shown.contains(r"na\u{1b}[2J\r\u{202e}ive") && !shown.contains(['\u{1b}', '\r', '\u{202e}']),
            "{shown}"
        );
    }
}

/// What is shown of an error does not depend on it.
#[test]
fn a_backtrace_hides_no_cause() {
    for args in
        [&["verify", "--fixtures", "no-such.json"][..], &["rank", "no-such.jsonl"], &["train", "--backend", "x"]]
    {
        let of = |value: &str| {
            let output = layerbench().env("RUST_BACKTRACE", value).env("RUST_LIB_BACKTRACE", value).args(args).assert();
            String::from_utf8_lossy(&output.code(2).get_output().stderr).into_owned()
        };
        assert!(of("1") == of("0") && of("1").starts_with("error: ") && of("1").lines().count() == 1, "{}", of("1"));
    }
}

#[test]
fn every_verb_completes_the_names_of_backends() {
    for shell in ["bash", "zsh", "fish"] {
        let output = layerbench().args(["completions", shell]).assert().code(0);
        let script = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        // The main job, verify, measure, rank, diff, train, predict.
        assert!(script.matches("naive").count() >= 7, "{shell}");
        assert!(script.contains("t0_forward") && script.contains("l-layer") && script.contains("f32"), "{shell}");
    }
}

#[test]
fn a_slip_in_a_thread_count_is_refused() {
    layerbench().args(["measure", "--list", "-t", "1000000"]).assert().code(2).stderr(contains("expected at most"));
}

/// Sourced and asked, as bash does at a Tab.
#[test]
fn bash_offers_backends_after_the_option() {
    let script = layerbench().args(["completions", "bash"]).assert().code(0).get_output().stdout.clone();
    for (words, index) in
        [("layerbench verify --backend ''", 3), ("layerbench train --backend ra", 3), ("layerbench --backend ''", 2)]
    {
        let ask = format!(
            "source /dev/stdin; COMP_WORDS=({words}); COMP_CWORD={index}; _layerbench layerbench \"${{COMP_WORDS[{index}]}}\"              \"${{COMP_WORDS[{}]}}\"; echo \"${{COMPREPLY[@]}}\"",
            index - 1
        );
        let mut bash = Command::new("bash");
        let output = bash.args(["--norc", "-c", &ask]).write_stdin(script.clone()).output().expect("there is a bash");
        let offered = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(offered.contains("rayon") && !offered.contains("--"), "{words}: {offered}");
        assert_eq!(offered.contains("naive"), words.ends_with("''"), "{words}: {offered}");
    }
}

fn train(args: &[&str]) -> assert_cmd::assert::Assert {
    layerbench().arg("train").args(args).assert()
}

#[test]
fn train_writes_every_cost_in_full_precision() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("costs.csv");
    let costs = path.to_str().expect("UTF-8");
    train(&["--backend", "ndarray", "--model", "two-layer", "--iterations", "12", "--costs", costs])
        .code(0)
        .stdout(contains("/209 correct").and(contains("/50 correct")).and(contains("time per step")))
        .stderr(contains("iteration      0  cost 0.69"));
    let text = std::fs::read_to_string(&path).expect("written");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (13, "iteration,cost"));
    for (i, line) in lines[1..].iter().enumerate() {
        let (iteration, cost) = line.split_once(',').expect("two columns");
        assert_eq!(iteration.parse::<usize>(), Ok(i));
        assert!(cost.parse::<f64>().expect("a number") > 0.0 && cost.len() > 12, "{line}");
    }
    let left: Vec<_> = folder.path().read_dir().expect("a folder").collect();
    assert_eq!(left.len(), 1, "a temporary file was left: {left:?}");
}

#[test]
fn train_takes_any_architecture_and_scalar() {
    let arch = ["--arch", "12288,4,3,2,1", "--init", "he", "--seed", "7", "--lr", "0.01", "--iterations", "3"];
    for scalar in ["f32", "f64"] {
        let all: Vec<&str> =
            arch.iter().copied().chain(["--backend", "rayon", "--threads", "2", "--scalar", scalar]).collect();
        train(&all).code(0).stdout(contains("training 12288,4,3,2,1").and(contains(format!("in {scalar}"))));
    }
    train(&["--arch", "12288,1", "--init", "zeros", "--iterations", "2", "--backend", "naive"]).code(0);
}

#[test]
fn what_makes_no_sense_is_refused_before_training_with_exit_code_2() {
    let good = ["--backend", "naive", "--iterations", "1"];
    for (bad, part) in [
        (&["--backend", "cublas"][..], "no backend is called `cublas`; there are: naive"),
        (&["--backend", "naive", "--threads", "2"], "cannot run on 2 threads"),
        (&["--backend", "naive", "--threads", "0"], "--threads"),
        (&["--backend", "rayon", "--threads", "1000000"], "1000000 threads were asked for; expected at most"),
        (&["--backend", "naive", "--lr", "nan"], "the learning rate is NaN"),
        (&["--backend", "naive", "--lr", "-1"], "the learning rate is -1"),
        (&["--backend", "naive", "--lr", "inf"], "the learning rate is inf"),
        (&["--backend", "naive", "--lr", "x"], "invalid"),
        (&["--backend", "naive", "--iterations", "0"], "whole number from 1"),
        (&["--backend", "naive", "--iterations", "1.5"], "whole number from 1"),
        (&["--backend", "naive", "--iterations", "99999999999999999999999"], "whole number from 1"),
        (&["--backend", "naive", "--seed", "-1"], "--seed"),
        (&["--backend", "naive", "--seed", "4294967296"], "--seed"),
        (&["--backend", "naive", "--init", "-2"], "finite positive number"),
        (&["--backend", "naive", "--init", "NaN"], "finite positive number"),
        (&["--backend", "naive", "--model", "alexnet"], "two-layer"),
        (&["--backend", "naive", "--arch", "12288", "--init", "he"], "at least one layer"),
        (&["--backend", "naive", "--arch", "12288,0,1", "--init", "he"], "is zero"),
        (&["--backend", "naive", "--arch", "12288,3,2", "--init", "he"], "must have one unit"),
        (&["--backend", "naive", "--arch", "100,3,1", "--init", "he"], "12288 units"),
        (&["--backend", "naive", "--train", "no-such.h5"], "no-such.h5"),
        (&["--backend", "naive", "--costs", "no/such/folder/costs.csv"], "no/such/folder"),
        (&["--backend", "naive", "--costs", "."], "it is a folder"),
        (&["--model", "l-layer"], "--backend"),
    ] {
        train(bad).code(2).stderr(contains(part));
    }
    train(&good).code(0);
}

#[test]
#[cfg(not(feature = "openblas"))]
fn a_backend_that_was_left_out_says_why() {
    train(&["--backend", "openblas"]).code(2).stderr(contains("unavailable").and(contains("libopenblas-pthread-dev")));
}

#[test]
#[cfg(not(feature = "hdf5"))]
fn a_build_without_hdf5_says_so() {
    let file = fixture("manifest.json");
    train(&["--backend", "naive", "--train", &file]).code(2).stderr(contains("libhdf5-dev"));
}
