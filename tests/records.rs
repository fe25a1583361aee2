//! Record files: what is read, what is refused and why, and what becomes of files that were cut, glued or written by schema 2.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;

use common::records::{cell, limits, lines, machine, read, record, run};
use layerbench::compare::Results;
use layerbench::layer::FirstLayer;
use layerbench::machine::{Facts, Pages, Peak, Point, Roofline};
use layerbench::measure::journal;
use layerbench::measure::record::{Child, Machine, Record, RunId};
use layerbench::report;
use layerbench::simd::Isa;
use layerbench::{Error, ScalarKind};
use proptest::prelude::*;

#[test]
fn cut_anywhere_a_file_keeps_its_whole_lines() {
    let records = [
        Record::Machine(machine(run(), 1.0)),
        record("a", 0, vec![10; 6], Child::First),
        limits(run(), 0, vec![1.5]),
        record("a", 0, vec![11; 6], Child::Twin),
    ];
    let text = lines(&records);
    for end in 0..=text.len() {
        // A line that lacks nothing but its end is whole.
        let cut = text[..end].iter().chain(text[end..].first().filter(|&&byte| byte == b'\n'));
        let whole = cut.filter(|&&byte| byte == b'\n').count();
        // So little of a first line may be anybody's.
        let known = r#"{"schema":3,"kind":""#.len();
        if (1..known).contains(&end) {
            assert!(read(&text[..end]).is_err(), "cut at {end}");
            continue;
        }
        let found = read(&text[..end]).unwrap_or_else(|error| panic!("cut at {end}: {error}"));
        assert_eq!(found, records[..whole], "cut at {end}");
    }
}

#[test]
fn writing_goes_on_after_a_torn_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let records = [record("a", 0, vec![10; 6], Child::First), record("b", 0, vec![11; 6], Child::First)];
    let text = lines(&records);
    // Torn in the middle, before its line's end, and not at all but for blank lines.
    for (left, kept, cut) in [
        (text[..text.len() - 5].to_vec(), 1, text.len() - 5 - lines(&records[..1]).len()),
        (text[..text.len() - 1].to_vec(), 2, 0),
        ([&text[..], b"\n \n"].concat(), 2, 0),
    ] {
        std::fs::write(&path, &left).expect("written");
        let (mut file, found) = journal::Journal::open(&path).expect("a record file");
        assert_eq!((found.as_slice(), file.torn()), (&records[..kept], cut));
        assert!(matches!(journal::Journal::open(&path), Err(Error::Busy { .. })), "it is being written");
        file.append(&records[1..]).expect("there is room");
        drop(file);
        let wanted = [&records[..kept], &records[1..]].concat();
        assert_eq!(journal::read(&path).expect("a record file"), wanted);
    }
}

#[test]
fn what_was_never_a_record_is_not_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine");
    let good = lines(&[record("a", 0, vec![10; 6], Child::First)]);
    for foreign in [
        "notes",
        "{\"mine\":1}",
        "[1, 2",
        "{\"schema\":1,\"cell\":2}",
        "\0\0\0",
        "{\"schema\":\"my own\",\"a\":[1",
        "{\"schema\":3,\"note\":\"x",
    ] {
        for text in [foreign.as_bytes().to_vec(), [&good[..], foreign.as_bytes()].concat()] {
            std::fs::write(&path, &text).expect("written");
            assert!(matches!(journal::Journal::open(&path), Err(Error::Record { .. })), "{foreign}");
            assert_eq!(std::fs::read(&path).expect("written"), text, "{foreign}");
        }
    }
}

/// Whatever was torn from one of our own lines is cut, wherever it was torn; what never was one stays.
#[test]
fn only_what_was_torn_from_a_record_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let machine = Record::Machine(Machine::new("node".into(), Facts::read(), Roofline::default()));
    let first = lines(&[machine]);
    let whole = [&first[..], &lines(&[record("a", 0, vec![10; 6], Child::First)])].concat();
    // So little of a first line could be anybody's; of a later one it is ours.
    let known = r#"{"schema":3,"kind":""#.len();
    for end in [0].into_iter().chain(known..45).chain([first.len() - 2]).chain(first.len()..first.len() + 45) {
        std::fs::write(&path, &whole[..end]).expect("written");
        let (journal, _) = journal::Journal::open(&path).unwrap_or_else(|error| panic!("torn at {end}: {error}"));
        let kept = if end < first.len() { 0 } else { first.len() };
        assert_eq!(journal.torn(), end - kept, "torn at {end}");
        assert_eq!(std::fs::read(&path).expect("it is there"), whole[..kept], "torn at {end}");
    }
    let foreign: [&[u8]; 4] = [br#"{"format": 1}"#, br#"{"kind":"List","items":[]}"#, b"notes", b"\0\0"];
    for tail in foreign {
        for before in [&b""[..], &first] {
            let text = [before, tail].concat();
            std::fs::write(&path, &text).expect("written");
            assert!(matches!(journal::Journal::open(&path), Err(Error::Record { .. })), "{}", tail.escape_ascii());
            assert_eq!(std::fs::read(&path).expect("it is there"), text, "{}", tail.escape_ascii());
        }
    }
}

#[test]
fn a_bad_line_is_an_error_with_its_number() {
    let good = lines(&[record("a", 0, vec![10; 6], Child::First)]);
    let good = std::str::from_utf8(&good).expect("UTF-8");
    let line = good.trim_end();
    let bad_limits = String::from_utf8(lines(&[limits(run(), 0, vec![])])).expect("UTF-8");
    for (bad, part) in [
        ("{}\n".to_owned(), "missing field `schema`"),
        (good.replace("\"schema\":3", "\"schema\":4"), "its schema is 4, and this version reads 2 and 3"),
        (good.replace("\"first\"", "\"twain\""), "twain"),
        (good.replace("\"plain\"", "\"folded\""), "folded"),
        (good.replace("\"batch\":209", "\"batch\":0"), "`batch` is 0"),
        (good.replace("\"kind\":\"cell\"", "\"kind\":\"sell\""), "sell"),
        (good.replace("\"kind\":\"cell\"", "\"kind\":\"cell\",\"more\":1"), "more"),
        (good.replace("[100,", "[-1,").replace("[10,", "[-1,"), "-1"),
        (good.replace("\"run\":\"0", "\"run\":\"g"), "expected 32 hexadecimal digits"),
        (good.replace("\"node\":\"node", "\"node\":\"\\u001b[2J"), "`node` has control characters"),
        (bad_limits, "`peak_gflops` is empty"),
        // What copying, gluing and crashes make of files.
        ("\0\0\0\n".to_owned(), "3 of its 3 bytes are NUL"),
        (format!("{}\0\0{}\n", &line[..50], &line[52..]), "bytes are NUL"),
        (
            format!("{line}{line}\n"),
            &format!("it is two records: a line's end is missing before column {}", line.len() + 1),
        ),
        (format!("{}{line}\n", &line[..99]), "torn, it seems, with another behind it from column 100;"),
        (format!("{}\n", &line[..99]), "the rest of it is missing"),
        (format!("{}\n", &line[99..]), "it is no record: "),
    ] {
        let error = read(format!("{good}{bad}{good}").as_bytes()).expect_err(&bad).to_string();
        assert!(error.contains(part) && error.contains(":2: "), "{bad}: {error}");
    }
    // Blank lines are no damage, wherever they are.
    assert_eq!(read(format!("\n{good}\r\n \n{good}\n").as_bytes()).expect("two records").len(), 2);
}

#[test]
fn samples_that_mean_nothing_are_refused() {
    let text = String::from_utf8(lines(&[cell(0)])).expect("UTF-8");
    let six = "1000,1000,1000,1000,1000,1000";
    for (from, to, part) in [
        (format!("\"wall_ns\":[{six}]"), "\"wall_ns\":[]", "`wall_ns` is empty"),
        (format!("\"cpu_ns\":[{six}]"), "\"cpu_ns\":[1]", "different lengths"),
        (format!("\"wall_ns\":[{six}]"), "\"wall_ns\":[1,2,3,4,5,0]", "took no time"),
        ("\"repeats\":10".into(), "\"repeats\":0", "`repeats` is 0"),
    ] {
        let changed = text.replace(&from, to);
        assert_ne!(changed, text, "{from}");
        let error = read(changed.as_bytes()).expect_err(part).to_string();
        assert!(error.contains(part) && error.contains(":1: "), "{error}");
    }
}

#[test]
fn records_of_schema_2_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("record/epyc-zen5-2cores.jsonl");
    let text = std::fs::read_to_string(&path).expect("it is committed");
    let records = journal::read(&path).expect("a record file");
    assert_eq!(records.len(), text.lines().count());
    let machines: Vec<&Machine> = records
        .iter()
        .filter_map(|record| if let Record::Machine(machine) = record { Some(machine) } else { None })
        .collect();
    // Three starts of the program on one machine, whose old id is the name of its node now.
    assert_eq!(machines.len(), 3);
    for machine in &machines {
        assert_eq!(
            (machine.id.as_str(), machine.node.as_str()),
            (Machine::id_of(&machine.facts).as_str(), "f9339625510172da")
        );
        assert!(machine.roofline.curve.is_empty() && machine.roofline.peak(ScalarKind::F64, 2).is_some());
    }
    let runs: Vec<RunId> = machines.iter().map(|machine| machine.run).collect();
    assert!(runs[0] != runs[1] && runs[1] != runs[2] && runs[0] != runs[2]);
    let results = Results::new(records.clone());
    for cell in results.cells() {
        let machine = results.machine(cell).expect("it stands before its cells");
        assert_eq!((machine.host(), machine.run), (cell.host(), cell.run));
        assert_eq!((cell.rounds, cell.cell.first_layer), (cell.started_unix_ms, FirstLayer::Plain));
        let shown = results.summary(cell).expect("it was measured");
        assert_eq!(shown.roofline_share, None, "the limit was measured at a reported size");
    }
    // What is written of them is schema 3, and the same.
    assert_eq!(read(&lines(&records)).expect("records"), records);
    // Whatever was added later is not in the old ones.
    for (from, to) in
        [("\"schema\":2", "\"schema\":2,\"node\":\"x\""), ("\"restless\":", "\"digest\":\"x\",\"restless\":")]
    {
        assert!(read(text.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

/// The page for readers in other languages shows one line of each kind.
#[test]
fn the_documented_lines_are_records() {
    let page = include_str!("../docs/records.md");
    let examples: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"schema\":")).collect();
    let records = read((examples.join("\n") + "\n").as_bytes()).expect("records");
    assert!(matches!(records.as_slice(), [Record::Machine(_), Record::Cell(_), Record::Limits(_)]), "{records:?}");
    for (record, example) in records.iter().zip(examples) {
        assert_eq!(journal::line(record).trim_end(), example);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&text);
    }
}

#[test]
fn a_share_above_the_limit_is_shown_marked_and_explained() {
    let shown = |gflops: f64| {
        let roofline = Roofline {
            peaks: vec![Peak { isa: Isa::Portable, scalar: ScalarKind::F64, threads: 1, gflops }],
            curve: vec![Point { bytes: 1 << 20, threads: 1, pages: Pages::Small, gb_per_s: 1e9 }],
            gaps: Vec::new(),
        };
        let machine = Machine { roofline, ..machine(run(), 1.0) };
        let results = Results::new([Record::Machine(machine), record("a", 0, vec![1_000_000; 6], Child::First)]);
        let share = results.summary(&results.cells()[0]).and_then(|summary| summary.roofline_share);
        let table = report::TableFormat::Markdown.render(&report::cells(&results), report::Screen::PLAIN);
        (share.expect("there are limits"), table, report::above_the_limit(&results))
    };
    let (share, table, sentence) = shown(1e6);
    assert!(share < 1.0 && !table.contains('!') && sentence.is_empty(), "{table}{sentence}");
    // A limit that the cell exceeds: by how much is shown, and nothing is cut.
    let (above, table, sentence) = shown(1e6 * share / 1.18);
    assert!((above - 1.18).abs() < 1e-9, "{above}");
    assert!(table.contains("| 118% ! |") && sentence.contains("`!`: faster than the limit"), "{table}{sentence}");
}
