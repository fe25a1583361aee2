//! However a run is ended, it keeps what is whole and leaves nothing else behind.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;
use std::time::Duration;

use layerbench::measure::record::{Child as Kind, Record};
use rustix::process::{Pid, Signal, kill_process_group};

use super::common::program::{command, signal, text, wait_for};
use super::{FOR_EVER, Folder, read, run, small, with_signals};

/// Where temporary files have names, they go with the verb.
#[test]
fn a_signal_ends_a_verification_that_has_an_output() {
    let folder = Folder::new();
    let report = folder.path("report");
    let args = ["verify", "--full", "--output", text(&report)];
    let mut child = with_signals(&mut command(&args), libc::SIG_DFL).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it has begun");
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(folder.names(), ["report"], "no other file");
    assert!(read(&report).contains("the run has not ended") && !read(&report).contains("PASSED"), "{}", read(&report));
}

/// Whoever waits for an input can be ended at once.
#[test]
fn waiting_for_an_input_ends_at_the_first_signal() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    run(&small(FOR_EVER, &["--train", text(&pipe)])).code(2).stdout("");
    for args in [["rank", text(&pipe)], ["verify", "--fixtures"]] {
        let args = if args[1] == "--fixtures" { vec![args[0], args[1], text(&pipe)] } else { args.to_vec() };
        let mut child = with_signals(&mut command(&args), libc::SIG_DFL).spawn().expect("it starts");
        // Opened when it has a writer; then it waits for words.
        let _writer = OpenOptions::new().write(true).open(&pipe).expect("it is opened");
        signal(&child, Signal::TERM);
        assert_eq!(child.wait().expect("it ends").signal(), Some(15), "{args:?}");
    }
}

#[test]
fn a_lost_terminal_saves_the_run() {
    let folder = Folder::new();
    let (costs, check) = (folder.path("costs"), folder.path("check"));
    let args = small(FOR_EVER, &["--costs", text(&costs), "--checkpoint", text(&check), "--checkpoint-every", "1"]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut child = with_signals(&mut command(&args), libc::SIG_DFL).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for(&check);
    // Its standard error is lost too.
    drop(child.stderr.take());
    signal(&child, Signal::HUP);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(read(&costs).lines().count() > 1);
    assert!(folder.names().iter().all(|name| ["check", "check.previous", "costs"].contains(&name.as_str())));
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let folder = Folder::new();
    let (costs, check) = (folder.path("costs"), folder.path("check"));
    let args = small("300", &["--costs", text(&costs), "--checkpoint", text(&check), "--checkpoint-every", "1"]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut child = with_signals(&mut command(&args), libc::SIG_IGN).spawn().expect("it starts");
    wait_for(&check);
    signal(&child, Signal::HUP);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(read(&costs).lines().count(), 301);
}

/// The costs go into a pipe that is full, so that the clean end which the first signal asks for does not come.
#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    let flags = libc::O_NONBLOCK;
    let mut full = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&pipe).expect("a pipe");
    while full.write(&[b'x'; 512]).is_ok() {}
    let model = folder.path("model");
    let args = small("1", &["--costs", text(&pipe), "--save", text(&model)]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut child = with_signals(&mut command(&args), libc::SIG_DFL).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut first = [0];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it says what it trains");
    while child.try_wait().expect("it is ours").is_none() {
        signal(&child, Signal::INT);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(folder.names(), ["pipe"]);
}

#[test]
fn a_closed_standard_error_does_not_end_the_run() {
    let folder = Folder::new();
    let costs = folder.path("costs");
    let args = small("5", &["--costs", text(&costs)]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut child = command(&args).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(read(&costs).lines().count(), 6);
}

/// Ctrl-C reaches the whole group; the measured children are not in it, and no cell fails of it. Nobody outside sees how many rounds are
/// whole: the run is given more and more time, until there are enough.
#[test]
fn an_interrupted_measurement_keeps_what_is_complete() {
    let mut time = Duration::from_secs(2);
    while interrupted_after(time) == 0 {
        time *= 2;
        assert!(time < Duration::from_secs(60), "no cell was kept");
    }
}

/// How many of two cells are kept.
fn interrupted_after(time: Duration) -> usize {
    let folder = Folder::new();
    let records = folder.path("a.jsonl");
    let args =
        ["measure", "-w", "^planar$", "-s", "f64", "-f", "forward/(naive|ndarray)/", "-t", "1", "--rounds", "10000"];
    let args = [&args[..], &["--sample-ms", "5", "-o", text(&records)]].concat();
    let mut child = with_signals(&mut command(&args), libc::SIG_DFL).process_group(0).spawn().expect("it starts");
    while fs::metadata(&records).map_or(0, |file| file.len()) == 0 {
        assert!(child.try_wait().expect("it is ours").is_none(), "it ended before it measured");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(time);
    let group = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process_group(group, Signal::INT).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!read(&records).contains("\"failed\""), "{}", read(&records));
    let records = layerbench::measure::journal::read(&records).expect("records");
    let is_cell = |record: &&Record| matches!(record, Record::Cell(cell) if cell.child == Kind::First);
    let kept = records.iter().filter(is_cell).count();
    assert!([0, 2].contains(&kept), "{kept} of the two");
    kept
}
