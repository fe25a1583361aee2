//! The parent's half of the guarded reader, with children that do their worst; digests; and the same from the command line.
//! What is wrong with files is tested in `data.rs` and `mutants.rs`.

#![cfg(feature = "cli")]
#![cfg(feature = "hdf5")]

mod common;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::sets;
use hdf5::types::VarLenUnicode;
use layerbench::Error;
use layerbench::data::{Sha256, guard};
use predicates::prelude::*;
use predicates::str::contains;

fn good_file(folder: &Path) -> PathBuf {
    let path = folder.join("set.h5");
    sets::write(&path, "", |_| ());
    path
}

/// The program's own reader.
fn own() -> Command {
    let mut reader = Command::new(env!("CARGO_BIN_EXE_layerbench"));
    reader.args(["__read-pictures", "train"]);
    reader
}

fn shell(script: &str) -> Command {
    let mut reader = Command::new("sh");
    reader.args(["-c", script]);
    reader
}

/// The shell's text for a message and the bytes that come with it, of which it announces so many.
fn reply_of(count: usize, message: &str, bytes: &str) -> String {
    format!(r"printf '+{count} %s\n' '{message}' >&0; printf '{bytes}' >&0")
}

/// The same for all the bytes, which are escaped one by one.
fn reply(message: &str, bytes: &str) -> String {
    reply_of(bytes.matches('\\').count(), message, bytes)
}

fn refusal(path: &Path, reader: Command) -> String {
    match guard::read(path, None, reader).expect_err("no set can come of this") {
        Error::Data { path: named, problem } if named == path => problem,
        other => panic!("{other:?}"),
    }
}

/// Six pixels and two labels.
const BYTES: &str = r"\001\002\003\004\005\006\001\000";

#[test]
fn whatever_the_child_does_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = good_file(folder.path());
    let set = |pictures: u64, features: u64, classes: &str| {
        format!(r#"{{"set":{{"pictures":{pictures},"features":{features},"classes":{classes}}}}}"#)
    };
    let good = set(2, 3, r#"["no","yes"]"#);
    for (script, expectation) in [
        ("kill -SEGV $$".to_owned(), "libhdf5 crashed on it (it was ended by SIGSEGV, a wrong address): the file is"),
        (
            "kill -ABRT $$".into(),
            "(SIGABRT): the file is malformed, or takes more than 256 MiB of memory, the limit for the headers",
        ),
        ("kill -BUS $$".into(), "libhdf5 crashed on it (it was ended by SIGBUS"),
        ("kill -XCPU $$".into(), "took more than 1 s of processor time, the limit for the headers of a file of "),
        ("kill -KILL $$".into(), "gave no reply: it was ended by SIGKILL, killed from outside"),
        ("exit 2".into(), "gave no reply: it ended with exit code 2"),
        ("exit 0".into(), "gave no reply"),
        // Half of a reply, and a crash after a whole one.
        (reply_of(8, &good, r"\001\002\003"), "gave no reply"),
        (reply(&good, r"\001\002\003"), "replied nonsense: 3 bytes came, and the set has 8"),
        (reply(&good, BYTES) + "; kill -SEGV $$", "libhdf5 crashed on it (it was ended by SIGSEGV"),
        (reply(&good, BYTES) + "; exit 3", "exit code 3"),
        // After it said what it would read, its limits are others.
        (
            reply(r#"{"reads":{"bytes":41943040,"chunks":20000,"largest_chunk":4096}}"#, "") + "; kill -XCPU $$",
            "took more than 21 s of processor time, the limit for 41.9 MB of values in 20000 chunks; a sound file takes",
        ),
        (
            reply(r#"{"reads":{"bytes":120,"chunks":0,"largest_chunk":0}}"#, "") + "; kill -ABRT $$",
            "more than 256 MiB of memory, the limit for 120 bytes of values",
        ),
        // Nonsense.
        (
            reply(r#"{"reads":{"bytes":9000000000000,"chunks":0,"largest_chunk":0}}"#, ""),
            "replied nonsense: it unpacks to 9000000000000 bytes",
        ),
        (reply(r#"{"reads":{"bytes":1,"chunks":0,"largest_chunk":0}}"#, ""), "gave no reply"),
        ("cat /dev/zero >&0".into(), "replied nonsense: a line without end"),
        ("echo hello, hello >&0".into(), "replied nonsense: `hello, hello`"),
        (reply("{}", ""), "replied nonsense"),
        (reply_of(1 << 40, &good, BYTES), "replied nonsense: 1099511627776 bytes where"),
        (reply(&good, &BYTES.replace(r"\001\000", r"\002\000")), "replied nonsense: label 0 is 2"),
        (reply(&set(0, 3, r#"["no","yes"]"#), ""), "replied nonsense: it claims a set beyond the limits"),
        (reply(&set(1 << 40, 1 << 40, r#"["no","yes"]"#), ""), "it claims a set beyond the limits"),
        (reply(&set(1 << 11, 1 << 20, r#"["no","yes"]"#), ""), "it claims a set beyond the limits"),
        (reply(&set(2, 3, r#"["no","no"]"#), BYTES), "both classes are called `no`"),
    ] {
        let problem = refusal(&path, shell(&script));
        assert!(problem.contains(expectation), "{script}: {problem}");
    }
    let reads = reply(r#"{"reads":{"bytes":1,"chunks":0,"largest_chunk":0}}"#, "") + ";";
    assert!(refusal(&path, shell(&reads.repeat(2))).contains("replied nonsense: it begins twice"));
    // The same text around a sound set is a set.
    let set = guard::read(&path, None, shell(&reply(&good, BYTES))).expect("a set");
    assert_eq!(set.pixels, ndarray::array![[1, 2, 3], [4, 5, 6]]);
    assert_eq!((set.labels, set.classes), (vec![1, 0], ["no".into(), "yes".into()]));
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = good_file(folder.path());
    let error = guard::read(&path, None, Command::new(folder.path().join("no-such"))).expect_err("it is not there");
    assert!(matches!(&error, Error::Io { path: named, .. } if *named == path), "{error:?}");
    assert!(error.to_string().contains("cannot start a guarded reader of"), "{error}");
}

#[test]
fn what_is_no_file_starts_no_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = folder.path().join("started");
    let reader = || shell(&format!("touch {}", witness.display()));
    assert!(refusal(folder.path(), reader()).contains("expected an HDF5 file, found a folder"));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it is there").success());
    assert!(refusal(&pipe, reader()).contains("found a folder or a device"));
    let large = folder.path().join("large");
    std::fs::File::create(&large).and_then(|file| file.set_len((1 << 30) + 1)).expect("a sparse file");
    assert!(refusal(&large, reader()).contains("has 1073741825 bytes, the limit is 1073741824"));
    let missing = guard::read(&folder.path().join("missing"), None, reader()).expect_err("it is missing");
    assert!(matches!(missing, Error::Io { action: "read", .. }), "{missing:?}");
    assert!(!witness.exists());
}

#[test]
fn only_the_digested_bytes_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = good_file(folder.path());
    let right = Sha256::of(std::fs::read(&path).expect("it is there"));
    let set = guard::read(&path, Some(right), own()).expect("unaltered");
    assert_eq!(set.pixels.as_slice(), sets::pixels().as_slice());
    // The file is altered after it was digested and before it is read.
    let mut late = Command::new("sh");
    let script = r#"echo altered > "$1"; exec "$0" __read-pictures train "$2""#;
    late.args(["-c", script, env!("CARGO_BIN_EXE_layerbench")]).arg(&path);
    assert_eq!(guard::read(&path, Some(right), late).expect("the copy is unaltered"), set);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"altered\n");
    let error = guard::read(&path, Some(right), own()).expect_err("altered");
    let found = Sha256::of(b"altered\n");
    assert!(
        matches!(&error, Error::Digest { expected, found: f, .. } if *expected == right.to_string() && *f == found.to_string()),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains(&right.to_string()) && message.contains(&found.to_string()), "{message}");
}

#[test]
fn a_digest_is_64_hexadecimal_digits() {
    // From FIPS 180-2, "abc".
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(text.parse::<Sha256>().expect("64 digits"), Sha256::of("abc"));
    assert_eq!(text.to_uppercase().parse::<Sha256>().expect("64 digits"), Sha256::of("abc"));
    assert_eq!(Sha256::of("abc").to_string(), text);
    for bad in ["", &text[1..], &format!("{text}0"), &text.replace('b', "g"), &format!("{} ", &text[1..]), "ü"] {
        let error = bad.parse::<Sha256>().expect_err(bad);
        assert!(error.to_string().contains("expected 64 hexadecimal digits"), "{error}");
    }
}

fn train(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let usual = ["train", "--backend", "naive", "--arch", "30,2,1", "--init", "he", "--iterations", "2"];
    let mut command = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
    command.args(usual).args(arguments).assert()
}

#[test]
fn train_reads_files_through_the_guard() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = good_file(folder.path());
    let path = file.to_str().expect("UTF-8");
    let digest = Sha256::of(std::fs::read(&file).expect("it is there")).to_string();
    train(&["--train", path]).code(0).stdout(contains("train ").and(contains("/4 correct")).and(contains(path)));
    train(&["--train", path, "--train-sha256", &digest]).code(0);
    let other = Sha256::of("other").to_string();
    for name in ["--train-sha256", "--sha256"] {
        train(&["--train", path, name, &other]).code(2).stderr(contains(&digest).and(contains(&other)));
    }
    train(&["--train", path, "--test", path, "--test-sha256", &other]).code(2).stderr(contains(&digest));
    train(&["--train", path, "--test", path, "--test-sha256", &digest])
        .code(2)
        .stderr(contains("no data set `test_set_x`; the file has: list_classes, train_set_x, train_set_y"));
    train(&["--train", path, "--sha256", "abc"]).code(2).stderr(contains("64 hexadecimal digits"));
    train(&["--sha256", &digest]).code(2).stderr(contains("--train"));
    train(&["--train", path, "--test-sha256", &digest]).code(2).stderr(contains("--test"));
    std::fs::write(&file, "no pictures").expect("writable");
    train(&["--train", path]).code(2).stderr(contains("not an HDF5 file")).stdout("");
}

/// A set of more bytes than a socket holds, however it is set up.
fn large_file(folder: &Path) -> PathBuf {
    let path = folder.join("large.h5");
    sets::write(&path, "train_set_x", |file| sets::x(file, ndarray::Array4::<u8>::zeros((4, 1200, 1200, 3))));
    path
}

#[test]
fn the_child_limits_itself_before_it_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let set = large_file(folder.path());
    let bytes = std::fs::metadata(&set).expect("it is there").len();
    let mut child = own().arg(set).stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn().expect("it was built");
    // It has begun to reply, and waits for us to take the rest.
    (&ours).read_exact(&mut [0; 4]).expect("a reply begins");
    let process = format!("/proc/{}", child.id());
    let limits = std::fs::read_to_string(format!("{process}/limits")).expect("it lives");
    let status = std::fs::read_to_string(format!("{process}/status")).expect("it lives");
    child.kill().and_then(|()| child.wait()).expect("it lives");
    let soft = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("limited")
    };
    assert_eq!((soft("Max file size"), soft("Max core file size")), (0, 0));
    // A file that outgrows its limit ends it, as it does not end its parents.
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("Linux says it");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a mask");
    assert_eq!(ignored & 1 << (libc::SIGXFSZ - 1), 0, "{status}");
    // A few seconds, and what the start took.
    assert!((1..60).contains(&soft("Max cpu time")), "{limits}");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).expect("Linux says it");
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    // The file, and twice the set.
    let cap = (256 << 20) + bytes;
    assert!((cap..=cap + 1024 * peak_kib + 2 * bytes).contains(&soft("Max address space")), "{limits}\n{peak_kib} KiB");
}

#[test]
fn an_interrupted_reading_leaves_no_copy() {
    let [folder, temporary] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let set = folder.path().join("set.h5");
    std::fs::File::create(&set).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
    let args = ["train", "--backend", "naive", "--train", set.to_str().expect("UTF-8")];
    let mut child = common::program::command(&args).env("TMPDIR", temporary.path()).spawn().expect("it starts");
    let copies = || temporary.path().read_dir().expect("a folder").count();
    while copies() == 0 {
        assert!(child.try_wait().expect("it is ours").is_none(), "it ended before it read");
        std::thread::sleep(Duration::from_millis(1));
    }
    common::program::signal(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(copies(), 0);
}

#[test]
fn a_name_that_claims_4_gib_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("set.h5");
    sets::write(&path, "list_classes", |file| sets::unicode::<VarLenUnicode>(file, sets::CLASSES));
    let mut bytes = std::fs::read(&path).expect("just written");
    // A string of variable length is its length, the address of its heap and its number there.
    let heap = bytes.windows(4).position(|window| window == b"GCOL").expect("a heap of strings") as u64;
    let reference = [&7_u32.to_le_bytes()[..], &heap.to_le_bytes(), &2_u32.to_le_bytes()].concat();
    let at = bytes.windows(16).position(|window| window == reference).expect("`non-cat`");
    bytes[at..at + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    std::fs::write(&path, bytes).expect("writable");
    let problem = refusal(&path, own());
    assert!(problem.contains("cannot read /list_classes"), "{problem}");
}

#[test]
fn the_verb_is_hidden_and_is_for_children() {
    let mut help = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
    help.arg("--help").assert().code(0).stdout(contains("__read").not());
    let mut verb = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
    verb.args(["__read-pictures", "train", "x"]).assert().code(2).stderr(contains("for children of verbs"));
}
