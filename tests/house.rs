//! The map in lib.rs is true: every module is on it, and uses none that stands above it. And the library without features stands on little.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The floor of each module, from the top, as the rows of the map have them.
fn floors(lib: &str) -> BTreeMap<String, usize> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(2);
    let mut floors = BTreeMap::new();
    for (floor, row) in rows.enumerate() {
        let names = row.split('|').next().unwrap_or_default().split('`').skip(1).step_by(2);
        floors.extend(names.map(|name| (name.to_owned(), floor)));
    }
    // The command line's verbs, and the module of the type that is named there.
    for (module, named) in [("cmd", "cli"), ("allocator", "Counting")] {
        let floor = floors[named];
        floors.insert(module.into(), floor);
    }
    floors
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The modules that a file names in its code, but for that of its tests.
fn used(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            // `use crate::{a, b::c};`
            Some(list) => {
                used.extend(list.split('}').next().unwrap_or_default().split(',').map(|part| name(part.trim())))
            }
            None => used.push(name(after)),
        }
    }
    used
}

#[test]
fn modules_use_what_is_below_them_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floors = floors(&std::fs::read_to_string(source.join("lib.rs")).expect("it is there"));
    assert!(floors.len() > 20, "{floors:?}");
    let mut arrows = 0;
    for path in files(&source) {
        let relative = path.strip_prefix(&source).expect("inside");
        let module = relative.iter().next().and_then(|first| Path::new(first).file_stem()?.to_str()).expect("a name");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let floor = *floors.get(module).unwrap_or_else(|| panic!("`{module}` is not on the map in lib.rs"));
        for used in used(&std::fs::read_to_string(&path).expect("text")) {
            let Some(&other) = floors.get(&used).filter(|_| used != module) else { continue };
            arrows += 1;
            assert!(other >= floor, "{} uses `{used}`, which stands above `{module}`", relative.display());
        }
    }
    assert!(arrows > 200, "{arrows} uses were seen");
}

#[test]
fn what_is_used_is_seen() {
    let text =
        "use crate::a::B;\n// crate::no\nfn f() { crate::c::d() }\nuse crate::{e, f::G};\n#[cfg(test)]\nuse crate::h;";
    assert_eq!(used(text), ["a", "c", "e", "f"]);
}

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
