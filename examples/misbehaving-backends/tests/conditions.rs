//! `measure` where the ground moves: its own file is replaced or removed, memory is limited, the run is stopped for a while.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_misbehaving-backends");

/// The cells of a record file.
fn cells(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("written");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.filter(|record| record["kind"] == "cell").collect()
}

/// A run over two groups of cells that takes a few seconds, writing to `output`; its standard error is piped.
fn start(program: &Path, output: &Path, further: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(["measure", "-w", "planar", "-s", "f64", "-m", "forward|backward", "-e", "steady"]);
    command.args(["--rounds", "6", "--sample-ms", "2", "-o"]).arg(output).args(further);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Waits until the run has told that its first cell is done, or has ended.
fn wait_for_the_first_cell(run: &mut Child) {
    let stderr = run.stderr.as_mut().expect("piped");
    let (mut told, mut byte) = (Vec::new(), [0]);
    while !told.ends_with(b" done ") && stderr.read(&mut byte).expect("readable") == 1 {
        told.push(byte[0]);
    }
}

fn all_was_measured_by_one_program(path: &Path) {
    let cells = cells(path);
    assert!(cells.iter().filter(|cell| cell["child"] == "first").count() == 2, "{cells:#?}");
    for cell in &cells {
        assert!(cell["outcome"]["measured"].is_object(), "{cell:#}");
        assert_eq!(cell["tool"], cells[0]["tool"]);
    }
}

#[test]
fn a_program_that_is_replaced_meanwhile_goes_on_as_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::copy(PROGRAM, at("program")).expect("copied");
    let mut run = start(&at("program"), &at("records.jsonl"), &[]);
    wait_for_the_first_cell(&mut run);
    // As an installer does it.
    std::fs::write(at("new"), format!("#!/bin/sh\ntouch {}\n", at("was-run").display())).expect("written");
    std::fs::set_permissions(at("new"), std::fs::metadata(PROGRAM).expect("built").permissions()).expect("set");
    std::fs::rename(at("new"), at("program")).expect("replaced");
    assert!(run.wait().expect("it ends").success());
    all_was_measured_by_one_program(&at("records.jsonl"));
    assert!(!at("was-run").exists(), "the new file was started as a child of the old one");
}

/// What a cell needs beyond the limit is a failed cell that names the limit, also where traces are asked for.
#[test]
fn a_limit_on_memory_is_named_by_the_cell_that_met_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let large = "[[workload]]\nname = 'large'\nlayers = [50000, 40000, 1]\nbatch = 1\ninit = 'zeros'\n";
    std::fs::write(at("large.toml"), large).expect("written");
    let run = Command::new("sh")
        .args(["-c", "ulimit -v 3000000; exec \"$0\" measure -m forward -e steady -s f64 --rounds 1 --workloads \"$1\" -o \"$2\""])
        .args([Path::new(PROGRAM), &at("large.toml"), &at("records.jsonl")])
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{told}");
    let cells = cells(&at("records.jsonl"));
    let failed = &cells[0]["outcome"]["failed"];
    assert_eq!(failed["cause"], "error", "{failed}");
    let message = failed["message"].as_str().expect("text");
    assert!(message.contains("cannot be verified") && message.contains("MB of memory"), "{message}");
    assert!(message.contains("3072 MB of address space, ulimit -v"), "{message}");
    assert!(!message.contains("rustc"), "a trace hides the cause: {message}");
}

/// A run that is stopped (Ctrl-Z) for longer than `--timeout` loses nothing. It takes a minute: the short form is a unit test of the
/// clock that stands still.
#[test]
fn a_run_that_is_stopped_for_a_while_goes_on() {
    if std::env::var_os("LAYERBENCH_SOAK").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.jsonl");
    let mut run = start(Path::new(PROGRAM), &records, &["--timeout", "30"]);
    wait_for_the_first_cell(&mut run);
    // Parent and children, as a terminal stops them; they are not in a group of their own here.
    let children = || {
        let found = Command::new("pgrep").args(["-P", &run.id().to_string()]).output().expect("there is pgrep");
        String::from_utf8(found.stdout).expect("numbers").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let signal = |name: &str, whom: &[String]| {
        Command::new("kill").arg(name).arg(run.id().to_string()).args(whom).status().expect("there is kill");
    };
    let whom = children();
    signal("-STOP", &whom);
    std::thread::sleep(Duration::from_secs(40));
    signal("-CONT", &whom);
    assert!(run.wait().expect("it ends").success());
    all_was_measured_by_one_program(&records);
}
