//! What misbehaves becomes a record with the reason, and the run goes on.

use std::path::Path;

use assert_cmd::Command;
use layerbench::measure::statistics::median;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

fn program() -> Command {
    Command::cargo_bin("misbehaving-backends").expect("it was built")
}

/// The cells of a record file that are no twins.
fn cells(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("written");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.filter(|record| record["kind"] == "cell" && record["child"] == "first").collect()
}

fn of<'a>(cells: &'a [Value], backend: &str) -> &'a Value {
    cells
        .iter()
        .find(|record| record["cell"]["backend"] == backend)
        .unwrap_or_else(|| panic!("{backend} has no record"))
}

const QUICK: [&str; 11] =
    ["measure", "-w", "planar", "-s", "f64", "-m", "forward", "--rounds", "6", "--sample-ms", "2"];

#[test]
fn every_misbehaviour_is_a_record_and_the_others_are_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    program()
        .args(QUICK)
        .args(["-e", "steady|wasteful|wrong|crashing|babbling|failing", "-o"])
        .arg(&path)
        .assert()
        .code(1)
        .stdout(contains("forward/steady/planar-f64-1"))
        .stderr(contains("FAILED  forward/crashing/planar-f64-1: crash"));
    let records = cells(&path);
    assert_eq!(records.len(), 6);
    for (backend, cause, part) in [
        ("wrong", "verification", "FAILED"),
        ("crashing", "crash", "crashing: as announced"),
        ("failing", "error", "the device was lost"),
    ] {
        let failed = &of(&records, backend)["outcome"]["failed"];
        assert_eq!(failed["cause"], cause, "{backend}");
        assert!(failed["message"].as_str().is_some_and(|message| message.contains(part)), "{backend}: {failed}");
    }
    // What it prints goes nowhere that matters.
    for backend in ["steady", "wasteful", "babbling"] {
        let measured = &of(&records, backend)["outcome"]["measured"];
        assert_eq!(measured["wall_ns"].as_array().map(Vec::len), Some(6), "{backend}");
        assert_eq!(measured["library"]["description"], format!("{backend} loops"));
    }

    // They are there now, failures too; `--retry-errors` tries those again, and those only.
    let again = |extra: &[&str]| {
        let before = std::fs::metadata(&path).expect("written").len();
        let mut command = program();
        command.args(QUICK).args(["-e", "failing|steady", "-o"]).arg(&path).args(extra).assert().code(2);
        std::fs::metadata(&path).expect("written").len() > before
    };
    assert!(!again(&[]), "everything was there");
    assert!(again(&["--retry-errors"]), "the failure was not tried again");
    let count = |backend| cells(&path).iter().filter(|record| record["cell"]["backend"] == backend).count();
    assert_eq!((count("failing"), count("steady")), (2, 1));
}

/// Who does less than the passes ask for is never timed: each finds changed inputs, and what came of the last must come again, or be right.
#[test]
fn results_of_other_inputs_are_no_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let (workload, path) = (folder.path().join("workload.toml"), folder.path().join("records.jsonl"));
    let text = "[[workload]]\nname = 'wide'\nlayers = [300, 4, 1]\nbatch = 400\ninit = 'he'\n";
    std::fs::write(&workload, text).expect("written");
    let mut command = program();
    command.args(["measure", "-s", "f64", "-m", "forward|backward|step", "-e", "steady|remembering|skipping"]);
    command.args(["--rounds", "6", "--sample-ms", "2", "--workloads"]).arg(&workload).arg("-o").arg(&path);
    command.assert().code(1).stderr(contains("FAILED  forward/remembering/wide-f64-1: verification"));
    let records = cells(&path);
    assert_eq!(records.len(), 9);
    for record in &records {
        let (cell, outcome) = (&record["cell"], &record["outcome"]);
        if cell["backend"] == "steady" {
            let digest = outcome["measured"]["digest"].as_str().map(str::len);
            assert_eq!(digest, Some(64), "{cell}: {outcome}");
        } else {
            assert_eq!(outcome["failed"]["cause"], "verification", "{cell}: {outcome}");
            let message = outcome["failed"]["message"].as_str().expect("text");
            assert!(message.contains("returns results of other inputs"), "{cell}: {message}");
        }
    }
}

#[test]
fn a_child_that_hangs_is_ended_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let mut command = program();
    command.args(QUICK).args(["-e", "hanging", "--timeout", "3", "-o"]).arg(&path).assert().code(2);
    assert_eq!(of(&cells(&path), "hanging")["outcome"]["failed"]["cause"], "timeout");
}

#[test]
fn a_ranking_leaves_out_what_was_never_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    program().args(QUICK).args(["-e", "steady|wrong", "-o"]).arg(&path).assert().code(1);
    program()
        .arg("rank")
        .arg(&path)
        .assert()
        .code(0)
        .stdout(contains("only steady on 1 thread").and(contains("wrong").not()));
    program().args(["rank", "--cells"]).arg(&path).assert().code(0).stdout(contains("verification: "));
}

/// On a busy machine the wall times of 10% more work drown in waiting: there the CPU times of neighbouring samples tell, and the short
/// form looks at them. The long form (scripts/soak, on an idle machine) demands the verdict of `rank` in nine of ten runs.
#[test]
fn wasted_work_shows_as_slower() {
    let folder = tempfile::tempdir().expect("a folder");
    let workload = folder.path().join("workload.toml");
    let text = "[[workload]]\nname = 'tens'\nlayers = [1000, 20, 10]\nbatch = 100\ninit = 'he'\n";
    std::fs::write(&workload, text).expect("written");
    let is_soak = std::env::var_os("LAYERBENCH_SOAK").is_some();
    let measure = |path: &Path| {
        program()
            .args(["measure", "-s", "f64", "-m", "forward", "-e", "steady|wasteful", "--rounds", "21"])
            .args(["--sample-ms", if is_soak { "20" } else { "10" }, "--workloads"])
            .arg(&workload)
            .arg("-o")
            .arg(path)
            .assert()
            .code(0);
    };
    let path = folder.path().join("records.jsonl");
    measure(&path);
    let records = cells(&path);
    let cpu_of_a_pass = |backend: &str| -> Vec<f64> {
        let measured = &of(&records, backend)["outcome"]["measured"];
        let repeats = measured["repeats"].as_f64().expect("a number");
        let times = measured["cpu_ns"].as_array().expect("a list");
        times.iter().map(|time| time.as_f64().expect("a number") / repeats).collect()
    };
    let ratios: Vec<f64> = cpu_of_a_pass("wasteful")
        .iter()
        .zip(cpu_of_a_pass("steady"))
        .map(|(wasteful, steady)| wasteful / steady)
        .collect();
    let ratio = median(&ratios);
    assert!(ratio > 1.04 && ratio < 1.3, "10% more work took {ratio:.3} times the CPU time: {ratios:.3?}");

    if is_soak {
        let told = (0..10).filter(|run| {
            let path = folder.path().join(format!("{run}.jsonl"));
            measure(&path);
            let output = program().args(["rank", "--format", "json"]).arg(&path).output().expect("it runs");
            let ranking: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let [first, second] = [&ranking[0], &ranking[1]];
            println!(
                "{} before {}: {:.3} ({:.3} to {:.3})",
                first["backend"],
                second["backend"],
                second["to_first"],
                second["to_first_low"],
                second["to_first_high"]
            );
            first["backend"] == "steady" && second["tied"] == false
        });
        let told = told.count();
        assert!(told >= 9, "10% more work was told from the noise in {told} runs of 10");
    }
}
