//! The program as a process: started, waited for, and sent signals.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// One unit on all pixels: a step takes about a millisecond.
pub const SMALL: [&str; 8] = ["train", "--arch", "12288,1", "--init", "zeros", "--backend", "naive", "--iterations"];

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layerbench"));
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn assert(args: &[&str]) -> assert_cmd::assert::Assert {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_layerbench")).args(args).assert()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

pub fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, signal).expect("it is our child");
}
