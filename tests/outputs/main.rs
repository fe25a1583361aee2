//! Outputs: never an input, never lost, never a temporary file left, whatever they are and however the program is ended.

#![cfg(feature = "cli")]
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod files;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::program::{SMALL, assert};
use tempfile::TempDir;

/// A run that was refused too late would not come back.
const FOR_EVER: &str = "100000000";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).expect("written");
        self.path(name)
    }

    fn pipe(&self, name: &str) -> PathBuf {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().expect("it runs").success());
        self.path(name)
    }

    /// Hidden ones too.
    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

fn small(steps: &'static str, more: &[&str]) -> Vec<String> {
    [&SMALL[..], &[steps], more].concat().into_iter().map(str::to_owned).collect()
}

fn run(args: &[String]) -> assert_cmd::assert::Assert {
    assert(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is there")
}

/// With what `nohup` does to it, or without what it did to this test.
fn with_signals(command: &mut Command, hang_up: libc::sighandler_t) -> &mut Command {
    let set = move || {
        for (number, action) in [(libc::SIGHUP, hang_up), (libc::SIGINT, libc::SIG_DFL), (libc::SIGTERM, libc::SIG_DFL)]
        {
            // SAFETY: between fork and exec, where `signal` may be called; the actions are the two that need no function.
            unsafe { libc::signal(number, action) };
        }
        Ok(())
    };
    // SAFETY: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) }
}
