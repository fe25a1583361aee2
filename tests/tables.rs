//! The tables of README and docs are what their commands print from the committed records.
//!
//! A table stands between `<!-- $ layerbench ARGUMENTS -->` and `<!-- end -->`; arguments are divided at blanks. `LAYERBENCH_BLESS=1`
//! writes the tables anew.

#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;

const START: &str = "<!-- $ layerbench ";
const END: &str = "<!-- end -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and the other pages.
fn pages() -> Vec<PathBuf> {
    let folder = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let mut pages = [folder(root()), folder(&root().join("docs")), folder(&root().join("record"))].concat();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages
}

/// The page as it ought to be, and the number of its tables.
fn renewed(page: &Path, text: &str) -> (String, usize) {
    let (mut renewed, mut tables) = (String::new(), 0);
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, block) = rest.split_at(at);
        let (head, body) = block.split_once('\n').expect("a line's end");
        let arguments = head[START.len()..].trim_end().strip_suffix("-->").expect("the comment ends on its line");
        let (_, after) = body.split_once(END).unwrap_or_else(|| panic!("{}: `{head}` has no end", page.display()));
        let ran = Command::cargo_bin("layerbench")
            .expect("it was built")
            .args(arguments.split_whitespace())
            .current_dir(root())
            .assert()
            .success();
        let printed = std::str::from_utf8(&ran.get_output().stdout).expect("UTF-8").to_owned();
        renewed += &format!("{before}{head}\n{printed}{END}");
        (rest, tables) = (after, tables + 1);
    }
    (renewed + rest, tables)
}

#[test]
fn tables_are_what_their_commands_print() {
    let mut tables = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("text");
        let (wanted, found) = renewed(&page, &text);
        tables += found;
        if std::env::var_os("LAYERBENCH_BLESS").is_some() {
            std::fs::write(&page, wanted).expect("written");
        } else {
            assert!(wanted == text, "{}: a table is out of date; LAYERBENCH_BLESS=1 writes it anew", page.display());
        }
    }
    assert!(tables >= 2, "only {tables} tables were found");
}
