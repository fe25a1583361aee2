//! What is written where: never over an input or another output, and told where it cannot be.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::Signal;

use super::common::program::{assert, command, signal, text, wait_for};
#[cfg(feature = "hdf5")]
use super::common::sets;
use super::{FOR_EVER, Folder, read, run, small, with_signals};

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
    sets::write(&set, "", |_| ());
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

/// A foreign file is not emptied, and not measured for.
#[test]
fn a_file_that_holds_no_records_stays() {
    let folder = Folder::new();
    let content = r#"{"format": 1, "cases": []}"#;
    let file = folder.file("cases.json", content);
    assert(&["measure", "-o", text(&file)]).code(2).stdout("").stderr(contains("it is no record"));
    assert_eq!(read(&file), content);
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
