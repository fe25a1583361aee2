//! What a program links that only trains and predicts.

use std::collections::BTreeSet;
use std::process::Command;

/// With this crate itself.
const MOST_CRATES: usize = 40;

#[test]
fn without_features_the_library_stands_on_few_crates() {
    let cargo = std::env::var_os("CARGO").expect("cargo runs the tests");
    let tree = ["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--no-default-features"];
    let output = Command::new(cargo).args(tree).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let crates: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect();
    assert!(crates.contains("layerbench") && crates.contains("ndarray"), "{crates:?}");
    assert!(crates.len() <= MOST_CRATES, "{} crates: {crates:?}", crates.len());
    for of_the_tool in ["clap", "plotters", "image", "hdf5-metno", "openblas-src"] {
        assert!(!crates.contains(of_the_tool), "{of_the_tool}");
    }
}
