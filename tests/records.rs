//! Record files and what is derived from them, on made-up numbers: torn files, rankings and differences with known answers.

use std::num::NonZeroUsize;

use layerbench::compare::difference::{Verdict, differences};
use layerbench::compare::ranking::rank;
use layerbench::compare::{Kind, Results};
use layerbench::machine::{Facts, Isa, Pages, Peak, Point, Roofline};
use layerbench::measure::record::{CellRecord, Child, Machine, Measured, Outcome, Record, SCHEMA, Tool};
use layerbench::measure::statistics::{median, median_interval, quantile};
use layerbench::measure::{Cell, journal};
use layerbench::network::NumpyRandom;
use layerbench::report;
use layerbench::workload::{Phase, Workload};
use layerbench::{Error, ScalarKind};
use proptest::prelude::*;

fn record(backend: &str, workload: usize, wall_ns: Vec<u64>, child: Child) -> Record {
    let cell = Cell {
        phase: Phase::Step,
        backend: backend.into(),
        workload: Workload::embedded().swap_remove(workload),
        scalar: ScalarKind::F64,
        threads: NonZeroUsize::MIN,
    };
    let measured = Measured {
        library: format!("{backend} 1.0"),
        threads_got: 1,
        environment: [("OMP_NUM_THREADS".to_owned(), "1".to_owned())].into(),
        data_sha256: "ab".repeat(32),
        start_ns: 1,
        open_ns: 2,
        plan_ns: 3,
        first_ns: 4,
        peak_memory_bytes: None,
        repeats: 10,
        cpu_ns: wall_ns.clone(),
        wall_ns,
        restless: 0,
    };
    Record::Cell(CellRecord {
        schema: SCHEMA,
        cell,
        child,
        cold_cache: false,
        machine: Machine::id_of(&Facts::read()),
        tool: Tool::this(),
        command: vec!["layerbench".into(), "measure \"ü\"\n".into()],
        rounds_started_unix_ms: workload as u64,
        outcome: Outcome::Measured(measured),
    })
}

fn lines(records: &[Record]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|record| serde_json::to_string(record).expect("plain data").into_bytes().into_iter().chain(*b"\n"))
        .collect()
}

fn read(text: &[u8]) -> Result<Vec<Record>, Error> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    journal::read(file.path())
}

#[test]
fn cut_anywhere_a_file_keeps_its_whole_lines() {
    let facts = Facts::read();
    let records = [
        Record::Machine(Machine::new(facts, Roofline::default())),
        record("a", 0, vec![10; 6], Child::First),
        record("a", 0, vec![11; 6], Child::Twin),
    ];
    let text = lines(&records);
    for end in 0..=text.len() {
        let whole = text[..end].iter().filter(|&&byte| byte == b'\n').count();
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
    std::fs::write(&path, &text[..text.len() - 5]).expect("written");
    let (mut file, found) = journal::Journal::open(&path).expect("a record file");
    assert_eq!(found, records[..1]);
    assert!(matches!(journal::Journal::open(&path), Err(Error::Io { action: "lock", .. })), "it is being written");
    file.append(&records[1..]).expect("there is room");
    drop(file);
    assert_eq!(journal::read(&path).expect("a record file"), records);
}

#[test]
fn a_bad_line_is_an_error_with_its_number() {
    let good = lines(&[record("a", 0, vec![10; 6], Child::First)]);
    let good = std::str::from_utf8(&good).expect("UTF-8");
    for (bad, part) in [
        ("\n".to_owned(), ":2: it is no record"),
        ("{}\n".to_owned(), "missing field `schema`"),
        (good.replace("\"schema\":2", "\"schema\":3"), "its schema is 3, and this version reads 2"),
        (good.replace("\"first\"", "\"twain\""), "twain"),
        (good.replace("\"batch\":209", "\"batch\":0"), "`batch` is 0"),
        (good.replace("\"kind\":\"cell\"", "\"kind\":\"sell\""), "sell"),
        (good.replace("[100,", "[-1,").replace("[10,", "[-1,"), "-1"),
        ("\0\0\0\n".to_owned(), "it is no record"),
    ] {
        let error = read(format!("{good}{bad}{good}").as_bytes()).expect_err(&bad).to_string();
        assert!(error.contains(part) && error.contains(":2: "), "{bad}: {error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&text);
    }

    #[test]
    fn an_interval_contains_its_median_and_lies_within_the_samples(
        samples in prop::collection::vec(1e-3_f64..1e3, 6..60),
        factor in 0.1_f64..10.0,
    ) {
        let (low, high) = median_interval(&samples).expect("six samples are enough");
        let centre = median(&samples);
        prop_assert!(low <= centre && centre <= high);
        prop_assert!(samples.contains(&low) && samples.contains(&high));
        // Units do not matter.
        let scaled: Vec<f64> = samples.iter().map(|sample| sample * factor).collect();
        prop_assert_eq!(median_interval(&scaled), Some((low * factor, high * factor)));
        prop_assert!(quantile(&samples, 0.0) <= low && quantile(&samples, 1.0) >= high);
        prop_assert!(quantile(&samples, 0.3) <= quantile(&samples, 0.7));
    }

    #[test]
    fn whatever_the_numbers_are_they_can_be_ranked_and_compared(
        times in prop::collection::vec(prop::collection::vec(1_u64..u64::MAX, 1..9), 2..9),
        kinds in prop::collection::vec((0_usize..2, 0_usize..3, 0_u64..3), 8),
    ) {
        let child = |(times, (backend, kind, rounds)): (Vec<u64>, (usize, usize, u64))| {
            let kind = [Child::First, Child::Twin, Child::Echo][kind];
            at(record(["a", "b"][backend], 0, times, Child::First), kind, rounds)
        };
        let records: Vec<Record> = times.into_iter().zip(kinds).map(child).collect();
        let read = read(&lines(&records)).expect("well-formed records");
        prop_assert_eq!(&read, &records);
        let results = Results::new(read);
        let _ = rank(&results);
        prop_assert_eq!(differences(&results, &results).len(), results.cells().len());
    }

    #[test]
    fn order_of_samples_and_contenders_does_not_matter(times in prop::collection::vec(1000_u64..2000, 9)) {
        let slow: Vec<u64> = times.iter().map(|time| 3 * time).collect();
        let records = [record("quick", 0, times, Child::First), record("slow", 0, slow, Child::First)];
        let places = |records: Vec<Record>| -> Vec<String> {
            let ranking = rank(&Results::new(records)).swap_remove(0);
            ranking.places.iter().map(|place| format!("{} {:.9}", place.contender.backend, place.score)).collect()
        };
        let forward = places(records.to_vec());
        prop_assert_eq!(&forward, &["quick 1.000000000", "slow 3.000000000"]);
        prop_assert_eq!(forward, places(records.into_iter().rev().collect()));
    }
}

/// Samples of one child: `offset` is what this child differs in, the rest is noise from sample to sample.
fn samples(random: &mut NumpyRandom, scale: f64, between: f64, within: f64) -> Vec<u64> {
    let offset = between * random.normal();
    (0..15).map(|_| (1e6 * scale * (offset + within * random.normal()).exp()) as u64).collect()
}

/// As a child of another kind, in rounds that began at `time`.
fn at(record: Record, child: Child, time: u64) -> Record {
    match record {
        Record::Cell(cell) => Record::Cell(CellRecord { child, rounds_started_unix_ms: time, ..cell }),
        machine => machine,
    }
}

/// Two runs over twenty cells in five groups; `scale` is the second's time over the first's. From group to group the machine drifts by 2%, from
/// child to child times differ by 1%, from sample to sample by 1%. Each group has two twins, and two echoes of earlier cells.
fn two_runs(random: &mut NumpyRandom, scale: f64) -> [Results; 2] {
    [1.0, scale].map(|scale| {
        let mut records = Vec::new();
        for group in 0..8 {
            let drift = (0.02 * random.normal()).exp();
            let mut child = |backend: usize, workload: usize, child| {
                let times = samples(random, scale * drift, 0.01, 0.01);
                at(record(&format!("b{backend}"), workload, times, Child::First), child, group)
            };
            if group < 5 {
                records.extend((0..4).map(|backend| child(backend, group as usize, Child::First)));
                records.extend((1..3).map(|backend| child(backend, group as usize, Child::Twin)));
            }
            if group > 0 {
                let earlier = |back: u64| (group.min(5) - 1).saturating_sub(back) as usize;
                records.extend([child(0, earlier(0), Child::Echo), child(3, earlier(group / 2), Child::Echo)]);
            }
        }
        Results::new(records)
    })
}

#[test]
fn equal_cells_are_called_equal_and_slower_ones_slower() {
    let mut random = NumpyRandom::new(7);
    let mut share = |scale, wanted: Verdict| {
        let runs = 60;
        let hits = (0..runs).map(|_| {
            let [a, b] = two_runs(&mut random, scale);
            assert_eq!((a.cells().len(), a.noise(Kind::Twins).pairs(), a.noise(Kind::Echoes).pairs()), (20, 10, 14));
            differences(&a, &b).iter().filter(|difference| difference.verdict == wanted).count()
        });
        hits.sum::<usize>() as f64 / (20 * runs) as f64
    };
    // Not less than promised, and not so much more that nothing would ever be told.
    let equal = share(1.0, Verdict::NoDifference);
    assert!((0.95..0.995).contains(&equal), "{equal}");
    // Times of two runs differ by 3.2%, and the margin is 2.1 times as much.
    let slower = share(1.15, Verdict::Slower);
    assert!(slower >= 0.95, "{slower}");
    let faster = share(0.87, Verdict::Faster);
    assert!(faster >= 0.95, "{faster}");
}

/// One group of two contenders with four children each, as `measure` makes of it.
#[test]
fn rankings_tie_equals_and_tell_ten_percent() {
    let mut random = NumpyRandom::new(3);
    let mut untied = |scale: f64| {
        let runs = 300;
        let hits = (0..runs).filter(|_| {
            let mut children = |backend: &str, scale: f64| -> Vec<Record> {
                let child =
                    |child| at(record(backend, 0, samples(&mut random, scale, 0.02, 0.01), Child::First), child, 0);
                [Child::First, Child::Twin, Child::Twin, Child::Twin].map(child).into()
            };
            let records = [children("a", 1.0), children("b", scale)].concat();
            !rank(&Results::new(records)).swap_remove(0).places[1].is_tied()
        });
        hits.count() as f64 / f64::from(runs)
    };
    // Nominally 5%, with three standard deviations of so many trials on either side.
    let false_alarms = untied(1.0);
    assert!((0.012..0.088).contains(&false_alarms), "{false_alarms}");
    let found = untied(1.1);
    assert!(found >= 0.95, "{found}");
}

/// The deviation for one thread, and the pairs.
fn noise(records: Vec<Record>, kind: Kind) -> (Option<f64>, usize) {
    let results = Results::new(records);
    (results.noise(kind).deviations()[0], results.noise(kind).pairs())
}

fn cell(index: usize) -> Record {
    record("a", index, vec![1000; 6], Child::First)
}

/// A further child of [`cell`], slower by so many percent.
fn further(index: usize, percent: f64, child: Child, time: u64) -> Record {
    at(record("a", index, vec![(1000.0 * (percent / 100.0).exp()).round() as u64; 6], Child::First), child, time)
}

#[test]
fn noise_is_that_of_the_pairs() {
    let twin = |percent: f64| further(0, percent, Child::Twin, 0);
    let deviation = |records: Vec<Record>, expected: f64, expected_pairs: usize| {
        let (deviation, pairs) = noise(records, Kind::Twins);
        assert!(
            (deviation.expect("pairs") - expected).abs() < 1e-3 && pairs == expected_pairs,
            "{deviation:?} {pairs}"
        );
    };
    assert_eq!(noise(vec![cell(0)], Kind::Twins), (None, 0));
    // A twin without its cell says nothing.
    assert_eq!(noise(vec![twin(10.0)], Kind::Twins), (None, 0));
    // Logarithms of 0 and 0.1: a variance of 0.005 per child, 0.01 of their ratio.
    deviation(vec![cell(0), twin(10.0)], 0.1, 1);
    // 0, 0.1, -0.1: 0.01 per child.
    deviation(vec![cell(0), twin(10.0), twin(-10.0)], 0.02_f64.sqrt(), 2);
    // What is common to all twins is the first child's deviation, not as many of their own.
    deviation(vec![cell(0), twin(10.0), twin(10.2), twin(9.8)], 0.005_f64.sqrt(), 3);
    // The same record twice is one.
    deviation(vec![cell(0), twin(10.0), twin(10.0)], 0.1, 1);
}

#[test]
fn noise_between_runs_is_that_of_the_echoes() {
    // Cell 0 has a twin, and echoes in the rounds of cells 1 and 2.
    let echo = |percent, time| further(0, percent, Child::Echo, time);
    let records = || vec![cell(0), further(0, 0.1, Child::Twin, 0), cell(1), echo(5.0, 1), cell(2), echo(-5.0, 2)];
    let (deviation, pairs) = noise(records(), Kind::Echoes);
    assert!((deviation.expect("echoes") - 0.05).abs() < 1e-3 && pairs == 2, "{deviation:?}");
    assert_eq!(noise(records(), Kind::Twins).1, 1);

    // It is what a difference allows for: t of two is 4.3.
    let other = |percent: f64| Results::new([further(0, percent, Child::First, 0)]);
    let verdict =
        |records: Vec<Record>, percent| differences(&Results::new(records), &other(percent)).swap_remove(0).verdict;
    assert_eq!(verdict(records(), 20.0), Verdict::NoDifference);
    assert_eq!(verdict(records(), 23.0), Verdict::Slower);
    // At one time only: 12.7.
    let at_once = || vec![cell(0), cell(1), echo(5.0, 1), echo(-5.0, 1)];
    assert_eq!(verdict(at_once(), 60.0), Verdict::NoDifference);
    assert_eq!(verdict(at_once(), 66.0), Verdict::Slower);
    // Without an echo nothing is known, whatever the twins say.
    let reason = verdict(vec![cell(0), further(0, 0.1, Child::Twin, 0)], 50.0);
    assert!(
        matches!(&reason, Verdict::NotComparable(reason) if reason.contains("no A/A pair of different times")),
        "{reason}"
    );
}

#[test]
fn what_ran_at_different_times_is_ranked_with_the_noise_between_times() {
    let slower = |time| at(record("b", 0, vec![1100; 6], Child::First), Child::First, time);
    let is_tied = |records: Vec<Record>| rank(&Results::new(records)).swap_remove(0).places[1].is_tied();
    let twin = || further(0, 0.2, Child::Twin, 0);
    let echoes = || [further(0, 9.0, Child::Echo, 7), further(0, -9.0, Child::Echo, 8)];
    let with = |time| [vec![cell(0), twin(), slower(time)], echoes().to_vec()].concat();
    assert!(!is_tied(with(0)), "in the same rounds 10% is far more than twins differ in");
    assert!(is_tied(with(1)), "at another time it is not");
    assert!(is_tied(vec![cell(0), slower(0)]), "nothing is known of the noise");
}

#[test]
fn a_cell_is_held_against_its_like_on_the_same_machine() {
    let on = |machine: &str, ns: u64, child, time| match at(record("a", 0, vec![ns; 6], Child::First), child, time) {
        Record::Cell(cell) => Record::Cell(CellRecord { machine: machine.into(), ..cell }),
        machine => machine,
    };
    let of = |cells: &[(&str, u64)]| {
        let cells = cells.iter().map(|&(machine, ns)| on(machine, ns, Child::First, 0));
        Results::new(cells.chain([on("x", 2, Child::Echo, 1)]).collect::<Vec<_>>())
    };
    let names = |a: &Results, b: &Results| -> Vec<String> {
        differences(a, b)
            .iter()
            .map(|found| format!("{:?} {}", found.time_ns.map(|ns| ns.map(|ns| 10.0 * ns)), found.verdict))
            .collect()
    };
    let (x, xy, y) = (of(&[("x", 2)]), of(&[("y", 7), ("x", 2)]), of(&[("y", 7)]));
    assert_eq!(
        names(&x, &xy),
        ["[Some(2.0), Some(2.0)] no difference", "[None, Some(7.0)] not comparable: it is in the second file only"]
    );
    assert_eq!(
        names(&xy, &x),
        ["[Some(7.0), None] not comparable: it is in the first file only", "[Some(2.0), Some(2.0)] no difference"]
    );
    assert!(names(&x, &y)[0].contains("the machines differ"));
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
fn only_shared_cells_count_and_ties_are_marked() {
    let steady = |time: u64| (0..15).map(|i| 1000 * time + i % 5).collect::<Vec<u64>>();
    let noisy = (0..15).map(|i| if i % 2 == 0 { 90_000 } else { 112_000 }).collect::<Vec<u64>>();
    let results = Results::new([
        record("a", 0, steady(100), Child::First),
        record("b", 0, noisy.clone(), Child::First),
        record("c", 0, steady(200), Child::First),
        record("a", 1, steady(100), Child::First),
        record("b", 1, noisy, Child::First),
        record("c", 1, steady(800), Child::First),
        record("a", 0, steady(100), Child::Twin),
        record("a", 1, steady(100), Child::Twin),
        // Nobody else has this one: it would make `c` look good.
        record("c", 2, steady(1), Child::First),
    ]);
    let ranking = rank(&results).swap_remove(0);
    assert_eq!((ranking.shared, ranking.left_out), (2, 1));
    let last = &ranking.places[2];
    assert_eq!(last.contender.backend, "c");
    // sqrt(2 * 8) = 4 to the best of each cell.
    assert!((last.score / 4.0 - 1.0).abs() < 0.15 && !last.is_tied(), "{last:?}");
    assert!(ranking.places[1].is_tied(), "{ranking:?}");
    assert!(rank(&Results::new([])).is_empty());
}

#[test]
fn a_share_above_the_limit_is_shown_marked_and_explained() {
    let shown = |gflops: f64| {
        let roofline = Roofline {
            peaks: vec![Peak { isa: Isa::Portable, scalar: ScalarKind::F64, threads: 1, gflops }],
            curve: vec![Point { bytes: 1 << 20, threads: 1, pages: Pages::Small, gb_per_s: 1e9 }],
            gaps: Vec::new(),
        };
        let machine = Machine::new(Facts::read(), roofline);
        let results = Results::new([Record::Machine(machine), record("a", 0, vec![1_000_000; 6], Child::First)]);
        let share = results.summary(&results.cells()[0]).and_then(|summary| summary.roofline_share);
        let table = report::Format::Markdown.render(&report::cells(&results));
        (share.expect("there are limits"), table, report::above_the_limit(&results))
    };
    let (share, table, sentence) = shown(1e6);
    assert!(share < 1.0 && !table.contains('!') && sentence.is_empty(), "{table}{sentence}");
    // A limit that the cell exceeds: by how much is shown, and nothing is cut.
    let (above, table, sentence) = shown(1e6 * share / 1.18);
    assert!((above - 1.18).abs() < 1e-9, "{above}");
    assert!(table.contains("| 118% ! |") && sentence.contains("`!`: faster than the limit"), "{table}{sentence}");
}
