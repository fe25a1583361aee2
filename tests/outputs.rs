//! Outputs: never an input, never lost, never a temporary file left, whatever they are and however the program is ended.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::program::{SMALL, assert, command, signal, text, wait_for};
use layerbench::measure::record::{Child as Kind, Record};
use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process_group};
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

/// Names of one file: itself, another spelling, a symbolic and a hard link.
fn spellings(folder: &Folder, file: &Path) -> [PathBuf; 4] {
    let (soft, hard) = (folder.path("soft"), folder.path("hard"));
    symlink(file, &soft).expect("a link");
    fs::hard_link(file, &hard).expect("a link");
    let name = file.file_name().expect("a file");
    [
        file.to_owned(),
        folder.0.path().join(".").join("..").join(folder.0.path().file_name().expect("it has one")).join(name),
        soft,
        hard,
    ]
}

/// The table would be written over the records.
#[test]
fn records_do_not_go_where_the_table_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["/dev/stdout", "/proc/self/fd/1"] {
        let out = std::fs::File::create(folder.path().join("out")).expect("the folder is writable");
        let args =
            ["measure", "-w", "planar", "-m", "forward", "-e", "naive", "-s", "f64", "--rounds", "1", "-o", name];
        let program = env!("CARGO_BIN_EXE_layerbench");
        let run = std::process::Command::new(program).args(args).stdout(out).output().expect("it was built");
        assert_eq!(run.status.code(), Some(2), "{name}: {}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(std::fs::metadata(folder.path().join("out")).expect("it is there").len(), 0, "{name}");
    }
}

#[test]
fn an_output_is_never_an_input() {
    let folder = Folder::new();
    let mine = folder.file("mine", "mine");
    for other in spellings(&folder, &mine) {
        for input in ["--train", "--test"] {
            for output in ["--costs", "--save", "--checkpoint", "--plot"] {
                run(&small(FOR_EVER, &[input, text(&mine), output, text(&other)]))
                    .code(2)
                    .stdout("")
                    .stderr(contains(format!("{output} would write to")).and(contains(input)));
            }
        }
    }
    assert_eq!(read(&mine), "mine");

    let case = r#"{"name": "c", "function": "relu", "inputs": {"Z": [[1]]}, "expected": {"A": [[1]]}}"#;
    let fixtures = folder.file("cases.json", &format!(r#"{{"format": 1, "cases": [{case}]}}"#));
    let costs = folder.file("costs.svg", "iteration,cost\n0,1\n1,0.5\n");
    let workload = "[[workload]]\nname = 'mine'\nlayers = [3, 1]\nbatch = 1\ninit = 'he'\n";
    let workload = folder.file("mine.toml", workload);
    let before = [&fixtures, &costs, &workload].map(|path| read(path));
    for args in [
        ["verify", "--fixtures", text(&fixtures), "--output", text(&fixtures)],
        ["verify", "--fixtures", text(folder.0.path()), "--output", text(&fixtures)],
        ["plot", "--log", text(&costs), "--output", text(&costs)],
        ["measure", "--workloads", text(&workload), "--output", text(&workload)],
    ] {
        assert(&args).code(2).stdout("").stderr(contains("--output would write to"));
    }
    assert_eq!([&fixtures, &costs, &workload].map(|path| read(path)), before);
    // A folder's file without cases is no input: the same command again is fine.
    let report = folder.path("report.json");
    let verify = ["verify", "--quick", "--backend", "naive", "--tier", "t2", "--fixtures", text(folder.0.path())];
    for _ in 0..2 {
        assert(&[&verify[..], &["--format", "json", "--output", text(&report)]].concat()).code(0);
    }
}

#[test]
fn standard_output_is_never_an_input_either() {
    let folder = Folder::new();
    let mine = folder.file("mine", "mine");
    let name = text(&mine);
    for args in [
        &["rank", name][..],
        &["rank", "-"],
        &["diff", name, name],
        &["diff", "-", "/dev/null"],
        &["predict", "--model", name, "x.png"],
        &["predict", "--model", "x", name],
        &["verify", "--fixtures", name],
        &["verify", "--fixtures", "-", "--output", name],
    ] {
        let out = || OpenOptions::new().append(true).open(&mine).expect("it is there");
        let mut command = command(args);
        command.stdin(fs::File::open(&mine).expect("it is there")).stderr(Stdio::piped());
        if !args.contains(&"--output") {
            command.stdout(out());
        }
        let output = command.output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            told.contains("standard output goes to") || told.contains("--output would write to"),
            "{args:?}: {told}"
        );
    }
    assert_eq!(read(&mine), "mine");
}

/// `--help` too.
#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_printed_is_an_error() {
    for args in [&["--help"][..], &["--version"], &["train", "--help"], &["list"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = command(args).stdout(full).stderr(Stdio::piped()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: No space left"), "{output:?}");
    }
}

#[test]
fn no_file_is_given_for_two_outputs_under_other_names() {
    let folder = Folder::new();
    let there = folder.file("there", "");
    let to_come = folder.path("to-come");
    symlink("to-come", folder.path("dangling")).expect("a link");
    let previous = folder.path("to-come.previous");
    for [one, other] in
        [[&to_come, &folder.path("dangling")], [&there, &spellings(&folder, &there)[3]], [&previous, &to_come]]
    {
        run(&small(FOR_EVER, &["--costs", text(one), "--checkpoint", text(other)]))
            .code(2)
            .stdout("")
            .stderr(contains("is given for two outputs"));
    }
    // Of one checkpoint the next is made, and nothing else.
    let check = folder.path("check");
    run(&small("1", &["--checkpoint", text(&check)])).code(0);
    for [one, other] in [["--save", "check"], ["--costs", "check"], ["--save", "check.previous"]] {
        let path = folder.path(other);
        assert(&["train", "--resume", text(&check), one, text(&path)]).code(2).stdout("").stderr(contains(one));
    }
    assert(&["train", "--resume", text(&check), "--checkpoint", text(&check), "--iterations", "2"]).code(0);
}

/// It does not name its pictures; the checkpoint does.
#[test]
#[cfg(feature = "hdf5")]
fn a_resumed_run_does_not_write_over_its_pictures() {
    let folder = Folder::new();
    let (set, check) = (folder.path("set.h5"), folder.path("check"));
    common::sets::write(&set, "", |_| ());
    let before = fs::read(&set).expect("it is there");
    let args = ["train", "--arch", "30,1", "--backend", "naive", "--iterations", "1", "--train", text(&set)];
    assert(&[&args[..], &["--checkpoint", text(&check)]].concat()).code(0);
    assert(&["train", "--resume", text(&check), "--save", text(&set)]).code(2).stderr(contains("--train"));
    assert_eq!(fs::read(&set).expect("it is there"), before);
}

#[test]
fn links_lead_to_what_is_written() {
    let folder = Folder::new();
    let file =
        folder.file("file", "old, and longer than what comes; longer by far than these few costs, cost after cost");
    let [_, _, _, hard] = spellings(&folder, &file);
    symlink("to-come", folder.path("dangling")).expect("a link");
    for name in ["file", "dangling"] {
        run(&small("1", &["--costs", text(&folder.path(name))])).code(0);
    }
    assert!(read(&file).starts_with("iteration,cost\n0,0.69") && read(&file).lines().count() == 2);
    assert_eq!(read(&hard), read(&file));
    assert_eq!(fs::metadata(&file).expect("it is there").nlink(), 2);
    assert_eq!(read(&folder.path("to-come")), read(&file));
    assert_eq!(folder.names(), ["dangling", "file", "hard", "soft", "to-come"]);
    // The one before is the old content, not another name of the new.
    let check = folder.path("check");
    run(&small("1", &["--checkpoint", text(&check)])).code(0);
    let before = fs::read(&check).expect("it is there");
    fs::hard_link(&check, folder.path("other")).expect("a link");
    assert(&["train", "--resume", text(&check), "--iterations", "2"]).code(0);
    assert_eq!(fs::read(folder.path("check.previous")).expect("kept"), before);
    let newest = fs::read(&check).expect("it is there");
    assert_eq!(fs::read(folder.path("other")).expect("it is there"), newest);
    // Where the one before is a link, it stays one.
    fs::rename(folder.path("check.previous"), folder.path("elsewhere")).expect("the folder is writable");
    symlink("elsewhere", folder.path("check.previous")).expect("a link");
    assert(&["train", "--resume", text(&check), "--iterations", "3"]).code(0);
    assert!(folder.path("check.previous").is_symlink());
    assert_eq!(fs::read(folder.path("elsewhere")).expect("kept"), newest);
}

/// Its name could harm a screen, too.
#[test]
fn of_many_checkpoints_that_find_no_place_the_last_stays() {
    let folder = Folder::new();
    let (check, previous) = (folder.path("\u{1b}check"), folder.path("\u{1b}check.previous"));
    let args = small(FOR_EVER, &["--checkpoint", text(&check), "--checkpoint-every", "1"]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut child = with_signals(&mut command(&args), libc::SIG_DFL).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for(&previous);
    while fs::create_dir(&previous).is_err() {
        fs::remove_file(&previous).expect("a file");
    }
    let mut told = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("text"));
    assert_eq!(told.by_ref().filter(|line| line.contains("no checkpoint after")).take(5).count(), 5);
    signal(&child, Signal::INT);
    let last = told.filter(|line| line.contains("error")).last().expect("it is told");
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
    assert!(!last.contains('\u{1b}') && last.contains("check.previous"), "{last:?}");
    let (_, kept) = last.rsplit_once("what was to be written is in ").expect("its name is told");
    assert!(layerbench::store::Container::read(Path::new(kept)).is_ok(), "{kept}");
    assert_eq!(folder.names().len(), 3, "{:?}", folder.names());
}

/// As a full disk is.
#[test]
fn a_limit_on_the_size_of_files_is_an_error() {
    let folder = Folder::new();
    let limited = |args: &[&str]| {
        let script = r#"ulimit -f 1; exec "$0" "$@""#;
        let program = env!("CARGO_BIN_EXE_layerbench");
        assert_cmd::Command::new("sh").args(["-c", script, program]).args(args).assert().code(2)
    };
    // Before the work where it is known, and after it where not.
    for option in ["--costs", "--save", "--checkpoint"] {
        let args = small(FOR_EVER, &[option, text(&folder.path("file"))]);
        limited(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout("").stderr(contains("ulimit -f"));
    }
    let verify = ["verify", "--quick", "--format", "json", "--output"];
    limited(&[&verify[..], &[text(&folder.path("report"))]].concat())
        .stderr(contains("File too large").and(contains("could not be kept elsewhere either")));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

/// libhdf5 writes it beside first, by a name: in a folder that is not there.
#[test]
#[cfg(feature = "hdf5")]
fn a_model_that_cannot_be_exported_is_saved() {
    let folder = Folder::new();
    let model = folder.path("model.h5");
    let args = small("1", &["--save", text(&model)]);
    let mut train = assert_cmd::Command::new(env!("CARGO_BIN_EXE_layerbench"));
    let failed = train.args(&args).env("TMPDIR", folder.path("none")).assert().code(2);
    let told = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    let (_, kept) = told.trim_end().rsplit_once("what was to be written is in ").expect("its name is told");
    assert!(layerbench::store::Container::read(Path::new(kept)).is_ok(), "{told}");
    assert_eq!(folder.names().len(), 1);
    run(&args).code(0);
    assert!(hdf5::File::open(&model).is_ok());
}

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

#[test]
fn standard_output_as_a_file_takes_text_and_costs() {
    let folder = Folder::new();
    let path = folder.file("out", "before\n");
    let out = OpenOptions::new().append(true).open(&path).expect("it is there");
    let args = small("1", &["--costs", "/dev/stdout"]);
    assert!(
        command(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout(out).status().expect("it runs").success()
    );
    for part in ["before\ntraining", "iteration,cost\n0,0.69", "/209 correct"] {
        assert!(read(&path).contains(part), "{}", read(&path));
    }
}

#[test]
fn a_pipe_is_written_where_somebody_reads_it_and_refused_where_nobody_does() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    for args in [small("1", &["--costs", text(&pipe)]), small("1", &["--checkpoint", text(&pipe)])] {
        run(&args).code(2).stdout("").stderr(contains("nobody reads this pipe"));
    }
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || read(&pipe)
    });
    run(&small("1", &["--costs", text(&pipe)])).code(0);
    assert!(reader.join().expect("it reads").starts_with("iteration,cost\n0,0.69"));
    assert(&["measure", "-o", text(&pipe)]).code(2).stdout("").stderr(contains("found a folder, a device or a pipe"));
    assert(&["measure", "-o", "/dev/null"]).code(2).stdout("").stderr(contains("found a folder, a device or a pipe"));
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

/// A foreign file is not emptied, and not measured for.
#[test]
fn a_file_that_holds_no_records_stays() {
    let folder = Folder::new();
    let content = r#"{"format": 1, "cases": []}"#;
    let file = folder.file("cases.json", content);
    assert(&["measure", "-o", text(&file)]).code(2).stdout("").stderr(contains("it is no record"));
    assert_eq!(read(&file), content);
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

/// A file that is mounted over another, as containers do it, cannot be replaced.
#[test]
#[cfg(target_os = "linux")]
fn a_mounted_file_is_written_in_place() {
    let mounts = Command::new("unshare").args(["-m", "true"]).output();
    if !mounts.is_ok_and(|output| output.status.success()) {
        let _ = std::io::stderr().write_all(b"SKIPPED: mounting a file over another takes root\n");
        return;
    }
    let folder = Folder::new();
    for name in ["costs", "check", "check.previous", "report"] {
        // Of what nobody names only nothing is overwritten.
        folder.file(&format!("host-{name}"), if name == "check.previous" { "" } else { "old" });
        folder.file(name, "");
    }
    let script = r#"
        set -e; cd "$1"; for f in costs check check.previous report; do mount --bind host-$f $f; done
        "$0" train --arch 12288,1 --init zeros --backend naive --iterations 2 --checkpoint-every 1 --costs costs --checkpoint check
        "$0" verify --quick --backend naive --tier t2 --output report
        ! "$0" train --backend naive --train costs --save host-costs 2>error
    "#;
    let program = env!("CARGO_BIN_EXE_layerbench");
    let output = Command::new("unshare").args(["-m", "sh", "-c", script, program]).arg(folder.0.path()).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(read(&folder.path("error")).contains("--save would write to"));
    assert_eq!(read(&folder.path("host-costs")).lines().count(), 3);
    assert!(read(&folder.path("host-report")).contains("PASSED"));
    for name in ["host-check", "host-check.previous"] {
        assert!(layerbench::store::Container::read(&folder.path(name)).is_ok(), "{name}");
    }
    let mounted = ["check", "check.previous", "costs", "report"];
    let hosts = ["host-check", "host-check.previous", "host-costs", "host-report"];
    let mut there = [&mounted[..], &["error"], &hosts].concat();
    there.sort_unstable();
    assert_eq!(folder.names(), there);
}
