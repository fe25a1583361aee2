//! Every verb of the program, run for the two added backends.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;

fn program() -> Command {
    Command::cargo_bin("custom-backend").expect("it was built")
}

#[test]
fn list_names_them_beside_the_built_in_ones() {
    program().arg("list").assert().code(0).stdout(contains("outer").and(contains("fused")).and(contains("naive")));
}

#[test]
fn verify_passes_on_both() {
    program()
        .args(["verify", "--quick", "--backend", "outer", "--backend", "fused"])
        .assert()
        .code(0)
        // Both scalar types of one and f64 of the other; the missing type is said.
        .stdout(contains(" passed, 0 failed, ").and(contains("it does not compute in f32")));
}

#[test]
fn train_runs_on_both() {
    for backend in ["outer", "fused"] {
        let args = ["train", "--backend", backend, "--model", "two-layer", "--iterations", "3"];
        program().args(args).assert().code(0).stdout(contains(format!("{backend} on 1 thread")));
    }
    let wrong = ["train", "--backend", "fused", "--scalar", "f32", "--iterations", "3"];
    program().args(wrong).assert().code(2).stderr(contains("does not support f32; try `--scalar f64`"));
}

#[test]
fn the_main_job_measures_them() {
    let args = ["--rounds", "1", "--backend", "outer", "--backend", "fused"];
    program()
        .args(args)
        .assert()
        .code(0)
        .stdout(contains("Fastest on this machine:").or(contains("too close to call")));
}

#[test]
fn pictures_are_read_by_a_child_of_this_very_program() {
    // The child finds that it is no picture set; a build without HDF5 reads none at all.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let refused = contains("not an HDF5 file").or(contains("cannot read HDF5"));
    program().args(["train", "--backend", "outer", "--arch", "3,1", "--train", file]).assert().code(2).stderr(refused);
}
