//! `measure`, `rank` and `diff` as a user runs them: what is selected, kept, resumed and compared.
//!
//! LAYERBENCH_SOAK=1 (scripts/soak) runs the long versions: 200 kills, and five times two runs over the same cells.

#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use layerbench::child::Program;
use layerbench::compare::difference::{Verdict, differences, noise};
use layerbench::compare::{Kind, Results};
use layerbench::measure::engine::{Event, FEWEST_ROUNDS, Measurer, Settings};
use layerbench::measure::record::{Child, Outcome, Record};
use layerbench::measure::{Filter, Suites, cells, journal};
use layerbench::model::NumpyRandom;
use layerbench::verify::Venue;
use layerbench::workload::Workload;
use layerbench::{Registry, report};
use predicates::prelude::*;
use predicates::str::contains;
use regex_lite::Regex;

fn layerbench() -> Command {
    Command::cargo_bin("layerbench").expect("it was built")
}

fn is_soak() -> bool {
    std::env::var_os("LAYERBENCH_SOAK").is_some()
}

fn results(path: &Path) -> Results {
    Results::new(journal::read(path).expect("a record file"))
}

fn ids(path: &Path) -> Vec<String> {
    results(path).cells().iter().map(|record| record.cell.to_string()).collect()
}

/// Four cells of two backends, measured shortly.
const QUICK: [&str; 13] = [
    "measure",
    "-w",
    "^planar$",
    "-s",
    "f64",
    "-m",
    "forward|backward",
    "-e",
    "naive|ndarray",
    "--rounds",
    "6",
    "--sample-ms",
    "2",
];

/// The records of one cell, for the tests that only read them.
static ONE_CELL: LazyLock<String> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    layerbench().args(QUICK).args(["-f", "forward/naive", "--node", "one", "-o"]).arg(&path).assert().code(0);
    std::fs::read_to_string(&path).expect("written")
});

/// A batch of which no list of columns would go into a message.
#[test]
fn a_large_batch_is_measured_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let large = "[[workload]]\nname = 'many'\nlayers = [2, 3, 1]\nbatch = 200000\ninit = 'he'\n";
    std::fs::write(at("many.toml"), large).expect("written");
    Command::cargo_bin("layerbench")
        .expect("built")
        .args([
            "measure",
            "-e",
            "naive",
            "-m",
            "backward",
            "-s",
            "f64",
            "--rounds",
            "1",
            "--sample-ms",
            "1",
            "--workloads",
        ])
        .arg(at("many.toml"))
        .arg("-o")
        .arg(at("records.jsonl"))
        .assert()
        .code(0);
}

#[test]
fn list_shows_what_the_filters_take() {
    layerbench()
        .args(["measure", "--list", "-e", "^naive$", "-w", "l-layer", "-s", "f64"])
        .assert()
        .code(0)
        .stdout("forward/naive/l-layer-f64-1\nbackward/naive/l-layer-f64-1\nstep/naive/l-layer-f64-1\ntrain/naive/l-layer-f64-1\n");
    layerbench()
        .args(["measure", "--list", "-f", "step/rayon/digits-b8-f32", "-t", "3"])
        .assert()
        .code(0)
        .stdout("step/rayon/digits-b8-f32-3\n");
}

#[test]
fn what_makes_no_sense_is_refused_with_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad_toml = folder.path().join("bad.toml");
    std::fs::write(&bad_toml, "[[workload]]\nname = 'mine'\nlayers = [3, 0]\nbatch = 1\ninit = 'he'\n")
        .expect("written");
    let bad_toml = bad_toml.to_str().expect("UTF-8");
    for (args, part) in [
        (&["measure"][..], "--output"),
        (&["measure", "--list", "-e", "cublas"], "no cell fits"),
        (&["measure", "--list", "-f", "("], "invalid value"),
        (&["measure", "--list", "-t", "0"], "invalid value"),
        (&["measure", "--list", "--rounds", "0"], "invalid value"),
        (&["measure", "--list", "--timeout", "nan"], "positive time"),
        (&["measure", "--list", "--max-time=-1"], "positive time"),
        (&["measure", "--list", "--workloads", "no-such.toml"], "no-such.toml"),
        (&["measure", "--list", "--workloads", bad_toml], "workload `mine`: `layers`"),
        (&["measure", "-o", "no/such/folder/records.jsonl"], "no/such/folder"),
        (&["rank"], "FILE"),
        (&["rank", "no-such.jsonl"], "no-such.jsonl"),
        (&["rank", bad_toml], "bad.toml:1: it is no record"),
        (&["diff", "no-such.jsonl"], "SECOND"),
    ] {
        layerbench().args(args).assert().code(2).stdout("").stderr(contains(part));
    }
}

#[test]
fn a_run_is_recorded_resumed_ranked_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let measure = |path: &Path, extra: &[&str]| {
        let mut command = layerbench();
        command.args(QUICK).arg("-o").arg(path).args(extra).timeout(Duration::from_secs(300));
        command.assert()
    };
    // Half of it first.
    measure(&path, &["-f", "forward"]).code(0).stderr(contains("done    forward/naive/planar-f64-1"));
    let forward = ["forward/naive/planar-f64-1", "forward/ndarray/planar-f64-1"];
    assert_eq!(ids(&path), forward);
    let first = std::fs::read(&path).expect("written");

    // A torn line, as a killed run leaves it, is dropped; what is there is neither measured again nor changed.
    let mut torn = first.clone();
    torn.extend_from_slice(&first[..first.len() / 3]);
    while torn.last() == Some(&b'\n') {
        torn.pop();
    }
    std::fs::write(&path, torn).expect("written");
    measure(&path, &[])
        .code(0)
        .stderr(contains("2 of 4 cells are in").and(contains("a.jsonl was torn")).and(contains("forward/naive").not()));
    let all = std::fs::read(&path).expect("written");
    assert!(all.starts_with(&first));
    assert_eq!(ids(&path).len(), 4);
    measure(&path, &[]).code(0).stderr(contains("4 of 4 cells are in"));
    assert_eq!(std::fs::read(&path).expect("written"), all);

    for record in results(&path).cells() {
        let measured = record.measured().expect("it can be measured");
        assert_eq!((measured.wall_ns.len(), measured.cpu_ns.len(), measured.threads_got), (6, 6, 1), "{}", record.cell);
        assert!(measured.repeats > 1 && measured.first_ns > 0 && measured.data_sha256.len() == 64);
        assert_eq!(record.environment["OPENBLAS_NUM_THREADS"], "1");
        assert_eq!(record.environment["OPENBLAS_THREAD_TIMEOUT"], "10");
        assert!(record.command.contains(&"measure".into()));
        let memory = measured.peak_memory_bytes;
        assert!(!cfg!(target_os = "linux") || memory.is_some_and(|bytes| bytes > 1 << 20), "{memory:?}");
        let summary = results(&path).summary(record).expect("it was measured");
        assert!(summary.gflops > 0.0 && summary.roofline_share.is_some_and(|share| share > 0.0), "{summary:?}");
    }
    // Each of the two runs had its eight twins; the first had echoes at six times, the second in its rounds. No backend here has several threads.
    assert_eq!([Kind::Twins, Kind::Echoes].map(|kind| results(&path).noise(kind).pairs()), [16, 14]);

    // In every format the same two contenders.
    for (format, parts) in [
        ("text", ["naive", "ndarray"]),
        ("csv", ["overall,1,", ",ndarray,1,"]),
        ("markdown", ["| overall | 1 |", "| ndarray | 1 |"]),
        ("json", ["\"phase\": \"overall\"", "\"backend\": \"ndarray\""]),
    ] {
        let rank = layerbench().arg("rank").arg(&path).args(["--format", format]).assert().code(0);
        rank.stdout(contains(parts[0]).and(contains(parts[1])));
    }
    layerbench().args(["rank", "--cells", "--format", "csv"]).arg(&path).assert().code(0).stdout(contains(forward[0]));

    // The same file twice is told, and tells nothing more.
    let twice = layerbench().arg("rank").args([&path, &path]).assert().code(0);
    twice.stderr(contains("note: 4 cells of")).stdout(contains("Noise: 16 times"));
    let empty = folder.path().join("empty.jsonl");
    std::fs::write(&empty, "").expect("written");
    layerbench().arg("rank").arg(&empty).assert().code(2).stderr(contains("holds no cells"));

    // Against itself nothing differs; against half of itself half is missing.
    layerbench()
        .arg("diff")
        .args([&path, &path])
        .assert()
        .code(0)
        .stdout(contains("0 faster, 0 slower, 4 no difference"));
    let half = folder.path().join("half.jsonl");
    std::fs::write(&half, &first).expect("written");
    layerbench()
        .arg("diff")
        .args([&half, &path])
        .assert()
        .code(0)
        .stdout(contains("2 no difference, 2 not comparable").and(contains("it is in the second file only")));
}

#[test]
fn in_another_environment_a_cell_is_measured_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let measure = |value: &str| {
        let mut command = layerbench();
        command.env("OMP_DYNAMIC", value).args(QUICK).args(["-f", "forward/naive", "-o"]).arg(&path).assert().code(0)
    };
    measure("false");
    measure("true").stderr(contains("done    forward/naive/planar-f64-1"));
    measure("true").stderr(contains("1 of 1 cells are in"));
    let results = results(&path);
    let [record] = results.cells() else { panic!("{:?}", results.cells().len()) };
    assert_eq!(record.environment["OMP_DYNAMIC"], "true");
}

#[test]
fn another_library_or_machine_is_not_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let text = ONE_CELL.as_str();
    std::fs::write(&path, text).expect("written");
    let id = text.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a machine has an id");
    let other = folder.path().join("b.jsonl");
    let diff = |changed: String| {
        assert_ne!(changed, text);
        std::fs::write(&other, changed).expect("written");
        layerbench().arg("diff").args([&other, &path]).assert().code(0)
    };
    for (from, to, part) in [
        ("\"description\":\"", "\"description\":\"another ", "the library differs: another "),
        ("\"data_sha256\":\"", "\"data_sha256\":\"0", "the data differs"),
        ("\"batch\":400", "\"batch\":401", "the workload's definition differs"),
    ] {
        diff(text.replace(from, to)).stdout(contains("1 not comparable").and(contains(part)));
    }
    // Another machine, which has another id.
    let elsewhere = text.replace("\"architecture\":\"", "\"architecture\":\"other-").replace(id, "0123456789abcdef");
    diff(elsewhere).stdout(contains("1 not comparable").and(contains("the machines differ: architecture is")));
    // Neither are they ranked together.
    let rank = |extra: &[&str]| layerbench().arg("rank").args([&other, &path]).args(extra).assert();
    rank(&[])
        .code(2)
        .stderr(contains("of several machines: 0123456789abcdef (").and(contains("--machine ID or --node NAME")));
    rank(&["--machine", "0123"]).code(0).stdout(contains("there is only naive on 1 thread"));
    rank(&["--machine", "none"]).code(2).stderr(contains("no record is of machine `none`"));
    // Another node of this class: compared, and told.
    let sibling = text.replace("\"node\":\"one\"", "\"node\":\"two\"");
    diff(sibling).stdout(contains("1 no difference").and(contains("nodes of one class, such as `two` and `one`")));
    rank(&[]).code(2).stderr(contains("node one)").and(contains("node two)")));
    rank(&["--machine", id]).code(2).stderr(contains("--node NAME"));
    rank(&["--machine", id, "--node", "two"]).code(0).stdout(contains("there is only naive on 1 thread"));
    rank(&["--node", "three"]).code(2).stderr(contains("no record is of node `three`"));
    rank(&["--cells", "--format", "csv"]).code(0).stdout(contains(",one,").and(contains(",two,")));

    // This machine is `one` or another.
    let measure = |args: &[&str], node: &str| {
        let mut command = layerbench();
        command.args(QUICK).args(["-f", "forward/naive", "--max-time", "0.001", "-o"]).arg(&path).args(args);
        command.env("LAYERBENCH_NODE", node).assert()
    };
    for (args, node) in [(&["--node", ""][..], "one"), (&["--node", "a\tb"], "one"), (&[], "a\nb")] {
        measure(args, node).code(2).stderr(contains("no control characters"));
    }
    // The name that is given counts for more than the environment's.
    for (args, node) in [(&["--node", "one"][..], "two"), (&[], "one")] {
        measure(args, node).code(0).stderr(contains("1 of 1 cells are in").and(contains("note:").not()));
    }
    assert_eq!(std::fs::read_to_string(&path).expect("written"), text);
    let told = "has such cells of node `one`, which is like this one, `two`; `--node` with that name takes them";
    measure(&[], "two").code(0).stderr(contains(told).and(contains("1 cells are left")));
}

#[test]
fn cold_caches_and_a_time_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cold.jsonl");
    let cold = ["-f", "forward/naive", "--cold-cache", "-o"];
    layerbench().args(QUICK).args(cold).arg(&path).assert().code(0).stdout(contains(" cold "));
    let results = results(&path);
    let record = &results.cells()[0];
    assert!(record.cold_cache && record.measured().is_some_and(|measured| measured.repeats == 1));

    let path = folder.path().join("short.jsonl");
    let limited = layerbench().args(QUICK).args(["--max-time", "0.001", "-o"]).arg(&path).assert().code(0);
    limited.stderr(contains("out of time: 4 cells are left"));
    assert!(ids(&path).is_empty());
}

/// Between two samples of a round: what that round has already does not count.
#[test]
fn a_stopped_run_keeps_whole_rounds() {
    let filter = Filter {
        ids: vec![Regex::new("^forward/(naive|ndarray)/planar-f64-1$").expect("an expression")],
        ..Filter::default()
    };
    let cells = cells(&Registry::builtin(), &Workload::embedded(), &filter, NonZeroUsize::MIN);
    let children: Vec<_> = cells.into_iter().map(|cell| (cell, Child::First)).collect();
    assert_eq!(children.len(), 2);
    let program = Program::at(assert_cmd::cargo::cargo_bin!("layerbench"));
    for (rounds_before, kept) in [(FEWEST_ROUNDS, true), (FEWEST_ROUNDS - 1, false)] {
        let stop = Arc::new(AtomicBool::new(false));
        let measurer = Measurer::new(Settings {
            judge: Arc::new(Suites::new(&Registry::builtin(), Venue::children_of(program.clone()), Arc::default())),
            program: program.clone(),
            rounds: 100,
            sample: Duration::from_millis(1),
            timeout: Duration::from_secs(60),
            flush_bytes: None,
            deadline: None,
            stop: Arc::clone(&stop),
        });
        // Two preparations, the rounds, and one sample of the next one.
        let mut left = 2 + 2 * rounds_before + 1;
        let mut watch = |event: Event<'_>| {
            if let Event::Done(_) = event {
                left -= 1;
                stop.store(left == 0, Ordering::Relaxed);
            }
        };
        let finished = measurer.measure(&children, &mut watch).finished;
        assert_eq!(left, 0);
        let samples: Vec<_> = finished.iter().map(|child| child.outcome.clone()).collect();
        assert_eq!(samples.len(), if kept { 2 } else { 0 });
        for outcome in samples {
            let Outcome::Measured(measured) = outcome else { panic!("{outcome:?}") };
            assert_eq!((measured.wall_ns.len(), measured.cpu_ns.len()), (rounds_before, rounds_before));
        }
    }
}

#[test]
fn two_runs_cannot_write_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    let (_journal, records) = journal::Journal::open(&path).expect("a new file");
    assert!(records.is_empty());
    layerbench().args(QUICK).arg("-o").arg(&path).assert().code(2).stderr(contains("another run writes this file"));
}

#[test]
fn killed_at_any_moment_a_run_loses_no_finished_cell() {
    let kills = if is_soak() { 200 } else { 3 };
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = NumpyRandom::new(1);
    let (mut file, mut longest) = (0, Duration::from_secs(8));
    let mut finished: Vec<String> = Vec::new();
    for kill in 0..kills {
        let path = folder.path().join(format!("{file}.jsonl"));
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("layerbench"))
            .args(QUICK)
            .arg("-o")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let start = Instant::now();
        std::thread::sleep(longest.mul_f64(random.uniform()));
        let ended = child.try_wait().expect("it is ours").is_some();
        // SIGKILL: it cannot clean up.
        let _ = child.kill();
        child.wait().expect("it is ours");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while stderr.read_line(&mut line).expect("text") > 0 {
            if let Some((_, id)) = line.trim_end().split_once(" done    ") {
                finished.push(id.to_owned());
            }
            line.clear();
        }
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("text");
        if path.exists() {
            // Every line but a torn last one is a whole record, and every cell that was said to be done is there.
            let there = ids(&path);
            for id in &finished {
                assert!(there.contains(id), "kill {kill}: {id} was finished and is lost; there are {there:?}");
            }
            assert!(there.len() <= 4);
        } else {
            assert!(finished.is_empty());
        }
        if ended {
            assert_eq!(finished.len(), 4, "kill {kill}: a run that ended has all cells");
            longest = longest.min(start.elapsed());
            file += 1;
            finished.clear();
        }
    }
}

/// The interval of the ratio of medians contains 1 in at least 95% of the cells when nothing was changed: that is the long form's
/// demand, on an idle machine. The short one, whose neighbours are other tests, demands that all cells can be compared.
#[test]
fn two_runs_over_the_same_cells_agree() {
    let repetitions = if is_soak() { 5 } else { 1 };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut agreed, mut all) = (0, 0);
    for repetition in 0..repetitions {
        let [a, b] = ["a", "b"].map(|name| {
            let path = folder.path().join(format!("{name}{repetition}.jsonl"));
            let mut command = layerbench();
            if is_soak() {
                // Twenty cells, from microseconds to milliseconds.
                let cells = "(forward|step)/.*/(planar|digits-b64)-|step/.*/two-layer-";
                command.args(["measure", "-f", cells, "-s", "f64", "-t", "1", "--rounds", "15"]);
            } else {
                command.args(QUICK).args(["-f", "forward"]);
            }
            command.arg("-o").arg(&path).timeout(Duration::from_secs(1200)).assert().code(0);
            results(&path)
        });
        println!("{}", report::noise(&noise(&a, &b)));
        for difference in differences(&a, &b) {
            match &difference.verdict {
                Verdict::NotComparable(reason) => panic!("{}: {reason}", difference.id),
                verdict => agreed += usize::from(*verdict == Verdict::NoDifference),
            }
            let (ratio, interval) = difference.ratio.expect("comparable");
            assert!(interval.0 <= ratio && ratio <= interval.1 && interval.0 > 0.0, "{}: {interval:?}", difference.id);
            println!("{:<40} {ratio:.3} {interval:.3?} {}", difference.id, difference.verdict);
            all += 1;
        }
    }
    println!("{agreed} of {all} agree");
    assert!(all >= 2 * repetitions, "only {all} cells");
    assert!(!is_soak() || agreed as f64 >= 0.95 * f64::from(all), "{agreed} of {all} agree");
}

#[test]
fn a_machine_stands_before_its_cells() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, ONE_CELL.as_str()).expect("written");
    let records = journal::read(&path).expect("a record file");
    let [Record::Machine(machine), Record::Limits(limits), Record::Cell(cell), further @ ..] = records.as_slice()
    else {
        panic!("{} records", records.len());
    };
    assert_eq!((cell.host(), cell.run, cell.child), (machine.host(), machine.run, Child::First));
    // The limits are those of its rounds, one of each in each.
    assert_eq!((limits.run, limits.rounds, limits.limits.threads), (cell.run, cell.rounds, cell.cell.threads));
    assert_eq!((limits.limits.peak_gflops.len(), limits.limits.gb_per_s.len()), (6, 6));
    let mut counts = [0; 2];
    for record in further {
        let Record::Cell(child) = record else { panic!("no other cell has limits") };
        assert_eq!(child.cell, cell.cell);
        assert_eq!((child.run, child.host()), (machine.run, machine.host()));
        let in_its_rounds = child.rounds == cell.rounds;
        assert_eq!(in_its_rounds, child.child == Child::Twin);
        counts[usize::from(in_its_rounds)] += 1;
    }
    assert_eq!(counts, [12, 8], "echoes and twins");
    // Where a program lies is nobody's business.
    assert_eq!(cell.command[..2], ["layerbench", "measure"]);

    // A run that is killed between its last cells and their echoes leaves all but these, and they are made up for.
    let is_echo = |record: &&Record| matches!(record, Record::Cell(cell) if cell.child == Child::Echo);
    let left: String = records.iter().filter(|record| !is_echo(record)).map(journal::line).collect();
    std::fs::write(&path, left).expect("written");
    let resume = |told: bool| {
        let one = ["-f", "forward/naive", "--node", "one", "-o"];
        let run = layerbench().args(QUICK).args(one).arg(&path).assert().code(0);
        let makes_up = contains("making up for that").eval(&String::from_utf8_lossy(&run.get_output().stderr));
        assert_eq!(makes_up, told);
        journal::read(&path).expect("a record file")
    };
    let resumed = resume(true);
    assert_eq!(resumed.iter().filter(is_echo).count(), 12);
    // One machine more, since it is another run.
    assert_eq!(resumed.len(), records.len() + 1);
    assert_eq!(Results::new(resumed.clone()).noise(Kind::Echoes).pairs(), 12);
    assert_eq!(resume(false), resumed, "nothing is lacking any more");
}
