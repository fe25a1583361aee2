//! `doctor`, run as a user runs it, in environments that are in order and in some that are not.

use assert_cmd::Command;
#[cfg(feature = "openblas")]
use layerbench::doctor::Status;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

/// The variables that `doctor` looks at, all unset, but for the two that a machine may need in order to compute rightly.
fn doctor(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("layerbench").expect("it was built");
    for variable in ["RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"] {
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
        assert_eq!(blas["thread_model"], "pthreads");
        assert!(blas["trials"].is_null() && blas["threads"].is_null(), "--quick runs nothing");
    }
    assert_eq!(report["hdf5"].is_object(), cfg!(feature = "hdf5"));
    if cfg!(feature = "hdf5") {
        assert!(report["hdf5"]["path"].as_str().is_some_and(|path| path.contains("hdf5")), "{}", report["hdf5"]);
    }
}

#[test]
fn more_threads_than_cores_are_told_with_the_line_that_mends_it() {
    for variable in ["RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"] {
        let calm = json(&mut doctor(&["--quick", "--format", "json"]));
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

#[test]
#[cfg(feature = "openblas")]
fn every_kernel_is_tried_and_an_override_that_was_ignored_is_not_believed() {
    let report = json(doctor(&["--format", "json"]).env("OPENBLAS_CORETYPE", "Abacus"));
    let blas = &report["blas"][0];
    let kernel = blas["kernel"].as_str().expect("a name");
    assert_ne!(kernel, "Abacus");
    assert_eq!(blas["environment"]["OPENBLAS_CORETYPE"], "Abacus");
    let ignored = warning(&report, "coretype-ignored").expect("no kernel is called so");
    assert_eq!((&ignored["asked"], &ignored["kernel"]), (&"Abacus".into(), &blas["kernel"]));
    assert!(warning(&report, "coretype-set").is_none());

    let threads = &blas["threads"];
    assert_eq!(threads["asked"], report["threads"]["usable"]);
    assert_eq!(threads["asked"], threads["obtained"]);
    assert!(threads["used"].as_f64().is_some_and(|used| used > 0.0));

    let trials = &blas["trials"];
    let products = trials["products"].as_array().expect("a list").len();
    assert_eq!(trials["now"]["coretype"], "Abacus");
    assert_eq!(trials["now"]["kernel"], kernel);
    let others = trials["others"].as_array().expect("a list");
    assert!(others[0]["coretype"].is_null(), "the library's own choice comes first: {}", others[0]);
    for trial in others {
        match trial["status"]["status"].as_str().expect("a name") {
            "timed" => {
                let asked = trial["coretype"].as_str().unwrap_or(kernel);
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
    let illegal = || {
        let mut child = std::process::Command::new("sh");
        child.args(["-c", "kill -ILL $$"]);
        child
    };
    let report = layerbench::doctor::examine(Some(&illegal), &mut |_| ());
    let failed = report.warnings.iter().find(|told| told.code() == "probe-failed").expect("nothing could be run");
    assert!(failed.message.contains("illegal instruction"), "{}", failed.message);
    let trials = report.blas[0].trials.as_ref().expect("they were tried");
    assert!(trials.others.iter().all(|trial| matches!(trial.status, Status::Crashed(_))), "{trials:?}");
    assert!(!report.warnings.iter().any(|told| told.code() == "faster-kernel"));
    assert!(layerbench::report::doctor(&report).contains("CRASHED: it was ended by SIGILL"));
    assert!(!report.is_wrong(), "a crash is no wrong number");

    let chatter = || std::process::Command::new("true");
    let report = layerbench::doctor::examine(Some(&chatter), &mut |_| ());
    let failed = report.warnings.iter().find(|told| told.code() == "probe-failed").expect("there was no answer");
    assert!(failed.message.contains("its answer cannot be read"), "{}", failed.message);
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
    let probe = |threads: &str| {
        let mut command = Command::cargo_bin("layerbench").expect("it was built");
        command.args(["__gemm-probe", "--check", "--threads", threads]);
        command.assert()
    };
    probe("0").code(2);
    probe("100000").code(2).stdout("").stderr(contains("openblas"));
    probe("1").code(0).stdout(contains("\"wrong\":null"));
}
