//! Training that is interrupted, killed, resumed, diverges, or cannot write: nothing that was good is lost.

#![cfg(feature = "cli")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::program::{SMALL, assert, command, signal, text, wait_for};
use layerbench::data::{PictureSet, Split};
use layerbench::model::NumpyRandom;
use layerbench::network::Network;
use layerbench::store::{Checkpoint, Container, Model};
use layerbench::{Error, Registry, Scalar};
use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::Signal;
use serde_json::Value;

/// Enough steps that a run can be killed in its midst.
const STEPS: &str = "400";
/// Enough that it does not end while this test waits for a core.
const MANY_STEPS: &str = "4000";

/// The costs of an uninterrupted run.
fn reference(folder: &Path, steps: &str) -> String {
    let path = folder.join("reference.csv");
    assert(&[&SMALL[..], &[steps, "--costs", text(&path)]].concat()).code(0);
    std::fs::read_to_string(path).expect("written")
}

fn checkpoint<T: Scalar>(path: &Path) -> Checkpoint<T> {
    Checkpoint::from_container(&Container::read(path).expect("whole")).expect("a checkpoint")
}

#[test]
fn a_file_that_nobody_named_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let (check, before) = (folder.path().join("run.ck"), folder.path().join("run.ck.previous"));
    std::fs::write(&before, "a diary").expect("written");
    let args = [&SMALL[..], &["4", "--checkpoint", text(&check), "--checkpoint-every", "2"]].concat();
    assert(&args).code(2).stderr(contains("run.ck.previous is no checkpoint"));
    assert_eq!(std::fs::read_to_string(&before).expect("it is there"), "a diary");
    // A model is none.
    std::fs::remove_file(&before).expect("removed");
    assert(&[&SMALL[..], &["1", "--save", text(&before)]].concat()).code(0);
    assert(&args).code(2).stderr(contains("run.ck.previous is no checkpoint"));
    std::fs::remove_file(&before).expect("removed");
    // One of its own it may replace.
    assert(&args).code(0);
    assert(&args).code(0);
    assert!(before.is_file());
}

#[test]
fn ctrl_c_saves_costs_and_model_and_the_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (costs, model, check) = (path("costs.csv"), path("model.safetensors"), path("run.checkpoint"));
    let outputs =
        ["--costs", text(&costs), "--save", text(&model), "--checkpoint", text(&check), "--checkpoint-every", "3"];
    let mut child = command(&[&SMALL[..], &[MANY_STEPS], &outputs].concat()).spawn().expect("it starts");
    wait_for(&check);
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));

    let expected = reference(folder.path(), MANY_STEPS);
    let written = std::fs::read_to_string(&costs).expect("written");
    assert!(
        expected.starts_with(&written) && written.len() < expected.len(),
        "the costs are no beginning of the run's"
    );
    let done = written.lines().count() - 1;
    // At the interruption a checkpoint was written, wherever the multiples of three are.
    assert_eq!(checkpoint::<f64>(&check).costs.len(), done);
    let container = Container::read(&model).expect("whole");
    assert_eq!(Model::<f64>::from_container(&container).expect("a model").provenance.iterations, done);

    assert(&["train", "--resume", text(&check), "--costs", text(&costs)])
        .code(0)
        .stdout(contains(format!("of which {done} are done")));
    assert_eq!(std::fs::read_to_string(&costs).expect("written"), expected);
    assert_eq!(checkpoint::<f64>(&check).costs.len(), 4000);
    let temporary: Vec<_> =
        folder.path().read_dir().expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(temporary.len(), 5, "reference, costs, model, checkpoint, the previous one: {temporary:?}");
}

/// Kills a run at random moments while it writes a checkpoint at every step. Ten times; with LAYERBENCH_SOAK a hundred.
#[test]
fn a_killed_run_leaves_a_whole_checkpoint_that_continues_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = reference(folder.path(), STEPS);
    let mut random = NumpyRandom::new(common::soak_or(1, 2));
    for round in 0..common::soak_or(10, 100) {
        let check = folder.path().join(format!("{round}.checkpoint"));
        let args = [&SMALL[..], &[STEPS, "--checkpoint", text(&check), "--checkpoint-every", "1"]].concat();
        let mut child = command(&args).spawn().expect("it starts");
        wait_for(&check);
        std::thread::sleep(Duration::from_secs_f64(0.2 * random.uniform()));
        signal(&child, Signal::KILL);
        child.wait().expect("it ends");
        for file in [check.clone(), PathBuf::from(format!("{}.previous", text(&check)))] {
            if file.exists() {
                let found = checkpoint::<f64>(&file);
                assert!(!found.costs.is_empty(), "round {round}");
            }
        }
        let costs = folder.path().join("resumed.csv");
        assert(&["train", "--resume", text(&check), "--checkpoint-every", "400", "--costs", text(&costs)]).code(0);
        assert_eq!(std::fs::read_to_string(costs).expect("written"), expected, "round {round}");
    }
}

#[test]
fn a_resumed_run_says_when_bits_may_differ_and_refuses_other_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = folder.path().join("run.checkpoint");
    assert(&[&SMALL[..], &["5", "--checkpoint", text(&check)]].concat()).code(0);
    assert(&["train", "--resume", text(&check), "--iterations", "7", "--backend", "ndarray", "--format", "json"])
        .code(0)
        .stdout(contains("\"bit_identical\": false"))
        .stderr(contains("the backend was naive and is ndarray"));
    assert(&["train", "--resume", text(&check), "--iterations", "3"]).code(2).stderr(contains("at least as many"));
    assert(&["train", "--resume", "no-such-file"]).code(2).stderr(contains("no-such-file"));
    let model = folder.path().join("model.safetensors");
    assert(&[&SMALL[..], &["1", "--save", text(&model)]].concat()).code(0);
    assert(&["train", "--resume", text(&model)]).code(2).stderr(contains("it is a model, expected a checkpoint"));
}

#[test]
fn a_command_can_be_repeated_with_resume_and_no_other_run_be_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = folder.path().join("run.checkpoint");
    let resume = ["--resume", text(&check)];
    let start =
        [&SMALL[..], &["2", "--seed", "3", "--lr", "0.0025", "--scalar", "f32", "--checkpoint", text(&check)]].concat();
    assert(&start).code(0);
    assert(&[&start[..], &resume].concat()).code(0).stdout(contains("of which 2 are done"));
    for (option, given, recorded) in [
        ("--model", "l-layer (12288,20,7,5,1)", "12288,1"),
        ("--layers", "12288,2,1", "12288,1"),
        ("--init", "he", "zeros"),
        ("--seed", "4", "3"),
        ("--lr", "0.0075", "0.0025"),
        ("--scalar", "f64", "f32"),
    ] {
        let value = given.split(' ').next().expect("a word");
        assert(&[&["train", option, value], &resume[..]].concat())
            .code(2)
            .stdout("")
            .stderr(contains(format!("{option} is {given}, and the run of the checkpoint")))
            .stderr(contains(format!("has {recorded}; leave the option out")));
    }
    // The embedded pictures have no file that could have a digest.
    let digest = "0".repeat(64);
    assert(&[&["train", "--train-sha256", &digest], &resume[..]].concat())
        .code(2)
        .stderr(contains("embedded pictures"));
    let course = folder.path().join("course.checkpoint");
    let model =
        ["train", "--model", "two-layer", "--backend", "ndarray", "--iterations", "1", "--checkpoint", text(&course)];
    assert(&model).code(0);
    assert(&[&model[..], &["--resume", text(&course)]].concat()).code(0);
}

#[test]
fn a_thread_variable_that_is_overruled_is_named() {
    let run = |value: &str| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_layerbench"));
        command.args(["train", "--arch", "12288,1", "--iterations", "1", "--backend", "rayon", "--threads", "2"]);
        command.env("RAYON_NUM_THREADS", value).assert().code(0)
    };
    run("1").stderr(contains("note: RAYON_NUM_THREADS asks for 1, and this run has 2 threads").count(1));
    run("2").stderr(contains("RAYON_NUM_THREADS").not());
}

#[cfg(feature = "hdf5")]
#[test]
fn classes_mean_the_same_in_training_and_test() {
    use common::sets::{self, LABELS, pixels, put};
    let _turn = common::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fn test_set(file: &hdf5::File, classes: &[&str]) {
        put(file, "test_set_x", pixels());
        put(file, "test_set_y", ndarray::arr1(&LABELS));
        sets::ascii::<7>(file, classes);
    }
    let [train, same, swapped, other] = ["train.h5", "same.h5", "swapped.h5", "other.h5"].map(path);
    sets::write(&train, "", |_| ());
    sets::write(&same, "list_classes", |f| test_set(f, &["non-cat", "cat"]));
    sets::write(&swapped, "list_classes", |f| test_set(f, &["cat", "non-cat"]));
    sets::write(&other, "list_classes", |f| test_set(f, &["non-dog", "dog"]));
    let usual = ["train", "--backend", "naive", "--arch", "30,2,1", "--init", "he", "--iterations", "2"];
    let on =
        |train: &Path, test: &Path| assert(&[&usual[..], &["--train", text(train), "--test", text(test)]].concat());
    on(&train, &same).code(0).stdout(contains(format!("test on {} (4)", text(&same))));
    on(&train, &swapped).code(2).stdout("").stderr(
        contains("its classes are 0 = `cat`, 1 = `non-cat`, those of the training set")
            .and(contains("are 0 = `non-cat`, 1 = `cat`; the same names in another order")),
    );
    on(&train, &other).code(2).stderr(contains("0 = `non-dog`, 1 = `dog`").and(contains("other names")));
    // On the synthetic pictures, which nobody asked for.
    let large = path("large.h5");
    sets::write(&large, "list_classes", |f| {
        put(f, "test_set_x", ndarray::Array4::<u8>::zeros((4, 64, 64, 3)));
        put(f, "test_set_y", ndarray::arr1(&LABELS));
        sets::ascii::<7>(f, &["non-cat", "cat"]);
    });
    assert(&[&SMALL[..], &["1", "--test", text(&large)]].concat())
        .code(2)
        .stdout("")
        .stderr(contains("0 = `lying`, 1 = `upright`").and(contains("without --train")));
    // A checkpoint remembers what its labels meant: the same pictures and labels under other names are other data.
    let check = path("run.checkpoint");
    assert(&[&usual[..], &["--train", text(&train), "--checkpoint", text(&check)]].concat()).code(0);
    assert(&["train", "--resume", text(&check), "--train", text(&same), "--iterations", "3"]).code(0);
    for renamed in [&swapped, &other] {
        assert(&["train", "--resume", text(&check), "--train", text(renamed)])
            .code(2)
            .stderr(contains("those of the checkpoint are 0 = `non-cat`, 1 = `cat`"));
    }
}

#[test]
fn json_tells_what_text_tells() {
    let output =
        assert(&[&SMALL[..], &["4", "--format", "json", "--scalar", "f32"]].concat()).code(0).get_output().clone();
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    assert_eq!(summary["format"], 1);
    assert_eq!(summary["end"], "finished");
    assert_eq!(summary["iterations"], 4);
    assert_eq!(summary["scalar"], "f32");
    assert_eq!((&summary["train"]["total"], &summary["test_data"]), (&209.into(), &"synthetic".into()));
    assert!(summary["step_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
}

#[test]
fn a_diverged_run_says_where_and_saves_what_was_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let (costs, model) = (folder.path().join("costs.csv"), folder.path().join("model.safetensors"));
    let args = ["--backend", "ndarray", "--model", "two-layer", "--scalar", "f32", "--lr", "1e20"];
    let outputs = ["--costs", text(&costs), "--save", text(&model)];
    assert(&[&["train"], &args[..], &outputs].concat())
        .code(2)
        .stdout(contains("diverged after"))
        .stderr(contains("the cost became").and(contains("at iteration")).and(contains("smaller learning rate")));
    let container = Container::read(&model).expect("whole");
    // Reading refuses parameters that are not finite.
    let good = Model::<f32>::from_container(&container).expect("a good model").provenance.iterations;
    assert_eq!(std::fs::read_to_string(&costs).expect("written").lines().count(), good + 1);
}

#[test]
fn outputs_that_cannot_be_written_are_found_before_training() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none").join("file");
    for option in ["--costs", "--save", "--checkpoint"] {
        for (bad, part) in [(text(&missing), "No such file"), (text(folder.path()), "it is a folder")] {
            // With so many iterations, a run that started would not come back.
            assert(&[&SMALL[..], &["100000000", option, bad]].concat())
                .code(2)
                .stdout("")
                .stderr(contains(part).and(contains("cannot write to")));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_does_not_take_the_other_output_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.safetensors");
    assert(&[&SMALL[..], &["2", "--costs", "/dev/full", "--save", text(&model)]].concat())
        .code(2)
        .stdout(contains("/209 correct"))
        .stderr(contains("cannot write to /dev/full").and(contains("No space left")));
    assert!(Container::read(&model).is_ok());
    // A device is written to, not replaced.
    assert(&[&SMALL[..], &["2", "--costs", "/dev/stdout"]].concat()).code(0).stdout(contains("iteration,cost\n0,0.69"));
}

#[test]
#[cfg(feature = "hdf5")]
fn hdf5_export_holds_the_same_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, export) = (folder.path().join("m.safetensors"), folder.path().join("m.h5"));
    for scalar in ["f32", "f64"] {
        for path in [&own, &export] {
            assert(&[&SMALL[..], &["3", "--scalar", scalar, "--save", text(path)]].concat()).code(0);
        }
        let file = hdf5::File::open(&export).expect("an HDF5 file");
        let w: Vec<f64> = file.dataset("W1").expect("W1").read_raw().expect("numbers");
        let container = Container::read(&own).expect("whole");
        let expected: Vec<f64> = match scalar {
            "f32" => Model::<f32>::from_container(&container).expect("a model").parameters.values()[..12288]
                .iter()
                .map(|&x| f64::from(x))
                .collect(),
            _ => Model::<f64>::from_container(&container).expect("a model").parameters.values()[..12288].to_vec(),
        };
        assert_eq!(w, expected, "{scalar}");
    }
}

#[test]
fn every_damage_of_a_model_file_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    assert(&[&SMALL[..], &["2", "--save", text(&path)]].concat()).code(0);
    let whole = std::fs::read(&path).expect("written");
    let read =
        |bytes: &[u8]| Container::from_bytes(Path::new("m"), bytes).and_then(|c| Model::<f64>::from_container(&c));
    assert!(read(&whole).is_ok());
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    let mut random = NumpyRandom::new(5);
    let anywhere: Vec<usize> = (0..500).map(|_| (random.uniform() * whole.len() as f64) as usize).collect();
    for position in (0..header).chain(anywhere) {
        let bit = 1 << (random.uniform() * 8.0) as u8;
        let mut damaged = whole.clone();
        damaged[position] ^= bit;
        assert!(matches!(read(&damaged), Err(Error::Model { .. })), "bit {bit:#04x} of byte {position}");
    }
    for length in (0..header).step_by(7).chain([header, header + 1, whole.len() - 1]) {
        assert!(matches!(read(&whole[..length]), Err(Error::Model { .. })), "cut to {length} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(matches!(read(&longer), Err(Error::Model { .. })), "a byte more");
    assert!(matches!(Container::read(folder.path()), Err(Error::Model { .. })), "a folder");
    assert!(matches!(Model::<f32>::from_container(&Container::read(&path).expect("whole")), Err(Error::Model { .. })));
}

/// Trains on the synthetic pictures, writes some of them as PNG files, and asks for them: the answers are those that training counted.
#[test]
fn predict_answers_as_training_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.safetensors");
    let args = ["--backend", "ndarray", "--model", "two-layer", "--iterations", "40", "--save", text(&model)];
    for scalar in ["f32", "f64"] {
        assert(&[&["train"], &args[..], &["--scalar", scalar]].concat()).code(0);
        let pictures = PictureSet::synthetic(Split::Test);
        let paths: Vec<PathBuf> = (0..6).map(|i| folder.path().join(format!("{i}.png"))).collect();
        for (path, pixels) in paths.iter().zip(pictures.pixels.rows()) {
            image::save_buffer(path, &pixels.to_vec(), 64, 64, image::ColorType::Rgb8).expect("written");
        }
        let files: Vec<&str> = paths.iter().map(|path| text(path)).collect();
        let predict = ["predict", "--model", text(&model), "--format", "json"];
        let output = assert(&[&predict[..], &files].concat()).code(0).get_output().stdout.clone();
        let answers: Vec<Value> =
            output.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(answers.len(), 6);
        let of_one: Vec<f64> = match scalar {
            "f32" => probabilities::<f32>(&model, &pictures),
            _ => probabilities::<f64>(&model, &pictures),
        };
        for (answer, of_one) in answers.iter().zip(of_one) {
            let label = usize::from(of_one > 0.5);
            assert_eq!(answer["label"], label);
            assert_eq!(answer["class"], pictures.classes[label]);
            let probability = answer["probability"].as_f64().expect("a number");
            approx::assert_relative_eq!(probability, of_one.max(1.0 - of_one), max_relative = 1e-5);
        }
    }
}

/// The probability of class 1 of each picture, all in one batch.
fn probabilities<T: Scalar>(model: &Path, pictures: &PictureSet) -> Vec<f64> {
    let model = Model::<T>::from_container(&Container::read(model).expect("whole")).expect("a model");
    let engine = Registry::builtin().open::<T>("naive", 1).expect("built in");
    let mut network = Network::with_parameters(&engine, model.parameters).expect("an ordinary network");
    network.predict(pictures.x().view()).expect("it fits").iter().map(|a| a.widen()).collect()
}

#[test]
fn predict_answers_for_the_good_pictures_and_names_the_bad() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, good, bad) = (folder.path().join("m"), folder.path().join("good.jpg"), folder.path().join("bad.png"));
    assert(&[&SMALL[..], &["1", "--save", text(&model)]].concat()).code(0);
    image::save_buffer(&good, &vec![120; 90 * 70 * 3], 90, 70, image::ColorType::Rgb8).expect("written");
    std::fs::write(&bad, "no picture").expect("written");
    assert(&["predict", "--model", text(&model), text(&bad), text(&good)])
        .code(2)
        .stdout(contains("good.jpg: ").and(contains("(probability 0.")))
        .stderr(contains("bad.png").and(contains("1 of 2 pictures could not be read")));
    assert(&["predict", "--model", text(&good), text(&good)]).code(2).stderr(contains("safetensors"));
    assert(&["predict", "--model", text(&model)]).code(2).stderr(contains("<PICTURE>"));
    let small = folder.path().join("small");
    // A checkpoint is no model; and a network of the plane takes no pictures.
    assert(&[&SMALL[..], &["1", "--checkpoint", text(&small)]].concat()).code(0);
    assert(&["predict", "--model", text(&small), text(&good)]).code(2).stderr(contains("expected a model"));
}

#[test]
fn a_run_draws_its_costs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (svg, png) = (folder.path().join("cost.svg"), folder.path().join("cost.png"));
    for path in [&svg, &png] {
        assert(&[&SMALL[..], &["20", "--plot", text(path)]].concat()).code(0);
    }
    let drawn = std::fs::read_to_string(&svg).expect("written");
    for label in ["iteration", "cost", "12288,1 in f64, naive"] {
        assert!(drawn.contains(label), "{label}");
    }
    assert!(std::fs::read(&png).expect("written").starts_with(b"\x89PNG"));
    let jpg = folder.path().join("cost.jpg");
    assert(&[&SMALL[..], &["100000000", "--plot", text(&jpg)]].concat())
        .code(2)
        .stdout("")
        .stderr(contains(".svg or .png"));
}

#[test]
fn one_file_cannot_hold_two_outputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    for [one, other] in [["--costs", "--save"], ["--save", "--checkpoint"], ["--checkpoint", "--costs"]] {
        assert(&[&SMALL[..], &["100000000", one, text(&path), other, text(&path)]].concat())
            .code(2)
            .stdout("")
            .stderr(contains("is given for two outputs, --"));
    }
    assert(&[&SMALL[..], &["1", "--costs", "/dev/null", "--save", "/dev/null"]].concat()).code(0);
}

#[test]
#[cfg(unix)]
fn an_output_keeps_its_permissions_and_links_are_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("costs.csv"), folder.path().join("link.csv"));
    std::fs::write(&file, "old").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    symlink(&file, &link).expect("a link");
    assert(&[&SMALL[..], &["2", "--costs", text(&link)]].concat()).code(0);
    assert!(link.symlink_metadata().expect("it is there").file_type().is_symlink());
    assert!(std::fs::read_to_string(&file).expect("written").starts_with("iteration,cost"));
    assert_eq!(file.metadata().expect("it is there").permissions().mode() & 0o777, 0o640);
}

/// Whoever reads the output may stop; the files and the exit code do not depend on it.
#[test]
#[cfg(unix)]
fn a_closed_pipe_costs_neither_files_nor_the_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs = folder.path().join("costs.csv");
    let script = r#""$0" "$@" 2>/dev/null | true; exit ${PIPESTATUS[0]}"#;
    let run = |args: &[&str]| {
        let mut shell = Command::new("bash");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_layerbench")]).args(args).status().expect("bash runs").code()
    };
    assert_eq!(run(&[&SMALL[..], &["3", "--costs", text(&costs)]].concat()), Some(0));
    assert_eq!(std::fs::read_to_string(&costs).expect("written").lines().count(), 4);
    let bad = folder.path().join("bad.json");
    let case = r#"{"name": "c", "function": "relu", "inputs": {"Z": [[1]]}, "expected": {"A": [[2]]}}"#;
    std::fs::write(&bad, format!(r#"{{"format": 1, "cases": [{case}]}}"#)).expect("written");
    let report = folder.path().join("report.json");
    let verify = ["verify", "--tier", "t2", "--backend", "naive", "--format", "json", "--fixtures", text(&bad)];
    assert_eq!(run(&[&verify[..], &["--output", text(&report)]].concat()), Some(1));
    assert!(report.exists());
}

/// What cannot be had is refused in words before anything is allocated: an allocation that is refused ends the program.
#[test]
fn a_network_beyond_the_memory_is_refused() {
    let script = "ulimit -v 2000000; exec \"$0\" train --backend naive --arch 12288,20000,1 --iterations 1";
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_layerbench")])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("MB of memory"), "{told}");
}

/// The cost that became NaN is the news, not the picture that cannot be drawn of it.
#[test]
fn a_divergence_is_told_although_nothing_can_be_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("costs.svg");
    let args = ["train", "--backend", "naive", "--arch", "12288,2,1", "--iterations", "3", "--lr", "1e300", "--plot"];
    let mut command = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
    command.args(args).arg(&plot).assert().code(2).stderr(predicates::str::contains("the cost became"));
}
