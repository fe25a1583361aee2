//! `doctor`, run as a user runs it, in environments that are in order and in some that are not.

#![cfg(feature = "cli")]

use assert_cmd::Command;
use layerbench::machine::ThreadLibrary;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

/// The variables that `doctor` looks at, all unset, but for the two that a machine may need in order to compute rightly.
fn doctor(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    for variable in [ThreadLibrary::Rayon, ThreadLibrary::OpenBlas].into_iter().flat_map(ThreadLibrary::variables) {
        command.env_remove(variable);
    }
    command.arg("doctor").args(args);
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    // Only a kernel that computes wrongly is more than a warning; then the report is written all the same.
    let expected = if warning(&report, "wrong-kernel").is_some() { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
    report
}

fn warning<'a>(report: &'a Value, code: &str) -> Option<&'a Value> {
    report["warnings"].as_array().expect("a list").iter().find(|warning| warning["code"] == code)
}

#[test]
fn the_text_fits_on_one_screen() {
    let mut expected = contains("CPU  ").and(contains("cores  ")).and(contains("peak, GFLOP/s")).boxed();
    expected = expected.and(contains("reading, GB/s")).and(contains(" per thread ")).boxed();
    expected = expected.and(contains("memory  ")).and(contains("threads   rayon ")).boxed();
    if cfg!(feature = "openblas") {
        expected = expected.and(contains("BLAS      OpenBLAS ").and(contains("threads by "))).boxed();
    } else {
        expected = expected.and(contains("BLAS      none in this build")).boxed();
    }
    if !cfg!(feature = "hdf5") {
        expected = expected.and(contains("HDF5      not in this build")).boxed();
    }
    let assert = doctor(&["--quick"]).assert().code(0).stdout(expected).stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8");
    assert!(text.lines().count() <= 60, "{text}");
}

#[test]
fn the_json_has_the_documented_fields() {
    let report = json(&mut doctor(&["--quick", "--format", "json"]));
    assert_eq!(report["schema"], "layerbench-doctor/2");
    assert_eq!(report["layerbench"], env!("CARGO_PKG_VERSION"));
    let keys = ["schema", "layerbench", "machine", "roofline", "threads", "blas", "hdf5", "warnings"];
    let object = report.as_object().expect("an object");
    assert_eq!(object.len(), keys.len(), "a field is not documented: {object:?}");
    assert!(keys.iter().all(|key| object.contains_key(*key)));
    assert!(report["machine"]["cores"]["usable"].as_u64().is_some_and(|cores| cores >= 1));
    for peak in report["roofline"]["peaks"].as_array().expect("a list") {
        assert!(peak["gflops"].as_f64().is_some_and(|rate| rate > 0.0), "{peak}");
    }
    for point in report["roofline"]["curve"].as_array().expect("a list") {
        assert!(point["gb_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{point}");
        assert!(point["pages"] == "small" || point["pages"] == "huge", "{point}");
    }
    assert!(report["roofline"]["curve"].as_array().is_some_and(|found| found.len() > 1));
    assert_eq!(report["threads"]["usable"], report["machine"]["cores"]["usable"]);

    let blas = report["blas"].as_array().expect("a list");
    assert_eq!(blas.len(), usize::from(cfg!(feature = "openblas")));
    for blas in blas {
        assert!(blas["path"].as_str().is_some_and(|path| path.starts_with('/')), "{blas}");
        assert!(blas["version"].as_str().is_some_and(|version| version.starts_with("OpenBLAS ")), "{blas}");
        assert!(blas["kernel"].as_str().is_some_and(|kernel| !kernel.is_empty()), "{blas}");
        let models = ["pthreads", "openmp", "sequential", "unknown"];
        assert!(models.iter().any(|model| blas["thread_model"] == *model), "{blas}");
        assert!(blas["trials"].is_null() && blas["threads"].is_null(), "--quick runs nothing");
    }
    assert_eq!(report["hdf5"].is_object(), cfg!(feature = "hdf5"));
    if cfg!(feature = "hdf5") {
        assert!(report["hdf5"]["path"].as_str().is_some_and(|path| path.contains("hdf5")), "{}", report["hdf5"]);
    }
}

#[test]
fn more_threads_than_cores_are_told_with_the_line_that_mends_it() {
    let calm = json(&mut doctor(&["--quick", "--format", "json"]));
    for variable in ["RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"] {
        let told = |report: &Value| warning(report, "oversubscribed").is_some_and(|warning| warning["who"] == variable);
        assert!(!told(&calm));
        let report = json(doctor(&["--quick", "--format", "json"]).env(variable, "4096"));
        assert!(told(&report), "{report:#}");
        let warning = warning(&report, "oversubscribed").expect("just found");
        assert_eq!(warning["threads"], 4096);
        let usable = &report["threads"]["usable"];
        assert_eq!(warning["hint"].as_str(), Some(format!("export {variable}={usable}").as_str()));
        assert!(warning["message"].as_str().is_some_and(|message| message.contains("4096")));
    }
    doctor(&["--quick"])
        .env("RAYON_NUM_THREADS", "all")
        .assert()
        .code(0)
        .stdout(contains("warning   unreadable-count: RAYON_NUM_THREADS=all is not a number"));
}

/// The kernel that the library reads back where `OPENBLAS_CORETYPE` is so.
#[cfg(feature = "openblas")]
fn kernel_with(coretype: Option<&str>) -> String {
    let mut probe = std::process::Command::new(assert_cmd::cargo::cargo_bin!("layerbench"));
    probe.args(["__gemm-probe", "--check", "--threads", "1"]).env_remove("OPENBLAS_CORETYPE");
    probe.envs(coretype.map(|value| ("OPENBLAS_CORETYPE", value)));
    let mut child = layerbench::child::Child::start(probe).expect("it was built");
    let answer = child.receive::<Value>(std::time::Duration::from_secs(300), 0).expect("an answer").said;
    answer["kernel"].as_str().expect("a name").to_owned()
}

#[test]
#[cfg(feature = "openblas")]
fn an_empty_coretype_is_not_taken_for_an_unset_one() {
    for empty in ["", " "] {
        let kernel = kernel_with(Some(empty));
        let report = json(doctor(&["--quick", "--format", "json"]).env("OPENBLAS_CORETYPE", empty));
        let told = warning(&report, "coretype-ignored").expect("no kernel is called so");
        assert_eq!((&told["asked"], &told["kernel"]), (&empty.into(), &kernel.into()));
    }
}

#[test]
fn a_thread_count_is_told_as_the_library_reads_it() {
    let quick = |variable: &str, value: &str| {
        let report = json(doctor(&["--quick", "--format", "json"]).env(variable, value));
        let told = warning(&report, "unreadable-count").map(|told| told["message"].as_str().expect("text").to_owned());
        (report, told)
    };
    // A list of levels is OpenMP's own form.
    let (report, told) = quick("OMP_NUM_THREADS", "1,4");
    assert_eq!(told, None);
    if cfg!(feature = "openblas") {
        assert_eq!(report["threads"]["blas"], serde_json::json!({"threads": 1, "set_by": "OMP_NUM_THREADS"}));
    }
    let (_, told) = quick("OPENBLAS_NUM_THREADS", "1x");
    let reads = "OPENBLAS_NUM_THREADS=1x is not a number of threads: the library reads 1 from it";
    assert_eq!(told.as_deref(), Some(reads));
    let (report, told) = quick("RAYON_NUM_THREADS", "1x");
    assert_eq!(told.as_deref(), Some("RAYON_NUM_THREADS=1x is not a number of threads: it is ignored"));
    assert!(report["threads"]["rayon"]["set_by"].is_null());
}

#[test]
#[cfg(feature = "openblas")]
fn every_kernel_is_tried_and_an_override_that_was_ignored_is_not_believed() {
    // What the library does with a name that it doesn't know, and unset, differs from CPU to CPU: it is asked.
    let (kernel, own) = (kernel_with(Some("Abacus")), kernel_with(None));
    let report = json(doctor(&["--format", "json"]).env("OPENBLAS_CORETYPE", "Abacus"));
    let blas = &report["blas"][0];
    assert_eq!(blas["kernel"], *kernel);
    assert_ne!(kernel, "Abacus");
    assert_eq!(blas["environment"]["OPENBLAS_CORETYPE"], "Abacus");
    let ignored = warning(&report, "coretype-ignored").expect("no kernel is called so");
    assert_eq!((&ignored["asked"], &ignored["kernel"]), (&"Abacus".into(), &blas["kernel"]));
    assert_eq!(ignored["own"]["kernel"], *own, "{ignored}");
    assert!(warning(&report, "coretype-set").is_none());

    let threads = &blas["threads"];
    assert_eq!(threads["asked"], report["threads"]["usable"]);
    assert!(threads["obtained"].as_u64().is_some_and(|threads| threads >= 1));
    assert!(threads["used"].as_f64().is_some_and(|used| used > 0.0));

    let trials = &blas["trials"];
    let products = trials["products"].as_array().expect("a list").len();
    assert_eq!(trials["now"]["coretype"], "Abacus");
    assert_eq!(trials["now"]["kernel"], *kernel);
    let others = trials["others"].as_array().expect("a list");
    assert!(others[0]["coretype"].is_null(), "the library's own choice comes first: {}", others[0]);
    for trial in others {
        match trial["status"]["status"].as_str().expect("a name") {
            "timed" => {
                let asked = trial["coretype"].as_str().unwrap_or(&own);
                let got = trial["kernel"].as_str().expect("read back");
                assert!(asked.eq_ignore_ascii_case(got), "timed under another name: {trial}");
                let rates = trial["gflops"].as_array().expect("a list");
                assert!(rates.iter().all(|rate| rate.as_f64().is_some_and(|rate| rate > 0.0)), "{trial}");
                assert_eq!(rates.len(), products);
                assert!(trial["speedup"]["median"].as_f64().is_some_and(|speedup| speedup > 0.0), "{trial}");
            }
            "ignored" => assert_ne!(trial["coretype"], trial["kernel"]),
            "wrong" | "crashed" | "timed-out" => assert!(trial["status"]["detail"].is_string(), "{trial}"),
            other => panic!("an undocumented status: {other}"),
        }
    }
    if let Some(faster) = warning(&report, "faster-kernel") {
        assert!(faster["line"].as_str().is_some_and(|line| line.contains("OPENBLAS_CORETYPE")), "{faster}");
        assert_ne!(faster["kernel"], blas["kernel"]);
    }
}

#[test]
#[cfg(feature = "openblas")]
fn children_that_crash_are_lines_in_a_report_that_is_written_all_the_same() {
    use layerbench::doctor::Status;
    use layerbench::machine::{Facts, Roofline};

    let illegal = || {
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "kill -ILL $$"]);
        child
    };
    // The machine's limits are not what this is about.
    let examine = |child: &dyn Fn() -> std::process::Command| {
        layerbench::doctor::of(Facts::read(), Roofline::default(), Some(child), &mut |_| ())
    };
    let report = examine(&illegal);
    let failed = report.warnings.iter().find(|told| told.code() == "probe-failed").expect("nothing could be run");
    assert!(failed.message.contains("illegal instruction"), "{}", failed.message);
    let trials = report.blas[0].trials.as_ref().expect("they were tried");
    assert!(trials.others.iter().all(|trial| matches!(trial.status, Status::Crashed(_))), "{trials:?}");
    assert!(!report.warnings.iter().any(|told| told.code() == "faster-kernel"));
    assert!(layerbench::report::doctor(&report).contains("CRASHED: it was ended by SIGILL"));
    assert!(!report.is_wrong(), "a crash is no wrong number");

    let silent = || std::process::Command::new("true");
    let report = examine(&silent);
    let failed = report.warnings.iter().find(|told| told.code() == "probe-failed").expect("there was no answer");
    assert!(failed.message.contains("it ended with exit code 0"), "{}", failed.message);
}

#[test]
fn what_makes_no_sense_is_exit_code_2() {
    doctor(&["--format", "yaml"]).assert().code(2).stderr(contains("text"));
    doctor(&["naive"]).assert().code(2);
    let mut help = Command::cargo_bin("layerbench").expect("it was built");
    help.arg("--help").assert().code(0).stdout(contains("doctor").and(contains("__gemm-probe").not()));
}

#[test]
#[cfg(feature = "openblas")]
fn a_probe_refuses_what_cannot_be_run() {
    use layerbench::child::{Child, Failure};

    let probe = |threads: &str| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("layerbench"));
        command.args(["__gemm-probe", "--check", "--threads", threads]);
        let mut child = Child::start(command).expect("it was built");
        child.receive::<Value>(std::time::Duration::from_secs(300), 0).map(|message| message.said)
    };
    for (threads, part) in [("0", "invalid value"), ("100000", "openblas")] {
        match probe(threads) {
            Err(failure @ Failure::Ended(..)) => {
                let told = failure.to_string();
                assert!(told.contains("exit code 2") && told.contains(part), "{told}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(probe("1").expect("an answer")["wrong"].is_null());
    // It is for children only.
    let mut alone = Command::cargo_bin("layerbench").expect("it was built");
    alone.args(["__gemm-probe", "--check", "--threads", "1"]).assert().code(2).stderr(contains("children of `doctor`"));
}
