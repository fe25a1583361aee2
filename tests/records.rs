//! Record files and what is derived from them, on made-up numbers: torn files, rankings and differences with known answers.

use std::num::NonZeroUsize;

use layerbench::compare::difference::{Verdict, differences};
use layerbench::compare::ranking::rank;
use layerbench::compare::{Noise, Results};
use layerbench::machine::{Facts, Roofline};
use layerbench::measure::record::{CellRecord, Machine, Measured, Outcome, Record, SCHEMA, Tool};
use layerbench::measure::statistics::{median, median_interval, quantile};
use layerbench::measure::{Cell, journal};
use layerbench::network::NumpyRandom;
use layerbench::workload::{Phase, Workload};
use layerbench::{Error, ScalarKind};
use proptest::prelude::*;

fn record(backend: &str, workload: usize, wall_ns: Vec<u64>, twin: bool) -> Record {
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
        twin,
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
        record("a", 0, vec![10; 6], false),
        record("a", 0, vec![11; 6], true),
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
    let records = [record("a", 0, vec![10; 6], false), record("b", 0, vec![11; 6], false)];
    let text = lines(&records);
    std::fs::write(&path, &text[..text.len() - 5]).expect("written");
    let (mut file, found) = journal::Journal::open(&path).expect("a record file");
    assert_eq!(found, records[..1]);
    assert!(matches!(journal::Journal::open(&path), Err(Error::Io { action: "lock", .. })), "it is being written");
    file.append(&records[1]).expect("there is room");
    drop(file);
    assert_eq!(journal::read(&path).expect("a record file"), records);
}

#[test]
fn a_bad_line_is_an_error_with_its_number() {
    let good = lines(&[record("a", 0, vec![10; 6], false)]);
    let good = std::str::from_utf8(&good).expect("UTF-8");
    for (bad, part) in [
        ("\n".to_owned(), ":2: it is no record"),
        ("{}\n".to_owned(), "missing field `schema`"),
        (good.replace("\"schema\":1", "\"schema\":2"), "its schema is 2, and this version reads 1"),
        (good.replace("\"twin\"", "\"twain\""), "twain"),
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
    fn order_of_samples_and_contenders_does_not_matter(times in prop::collection::vec(1000_u64..2000, 9)) {
        let slow: Vec<u64> = times.iter().map(|time| 3 * time).collect();
        let records = [record("quick", 0, times, false), record("slow", 0, slow, false)];
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

/// Two runs over twenty cells, each with its A/A pairs; `scale` is the second's time over the first's.
fn two_runs(random: &mut NumpyRandom, scale: f64) -> [Results; 2] {
    [1.0, scale].map(|scale| {
        let records = (0..20).flat_map(|index| {
            let (backend, workload) = (format!("b{}", index / 5), index % 5);
            let twin = (index / 5 == workload % 4)
                .then(|| record(&backend, workload, samples(random, scale, 0.02, 0.01), true));
            [Some(record(&backend, workload, samples(random, scale, 0.02, 0.01), false)), twin].into_iter().flatten()
        });
        Results::new(records.collect::<Vec<_>>())
    })
}

#[test]
fn equal_cells_are_called_equal_and_slower_ones_slower() {
    let mut random = NumpyRandom::new(7);
    let mut share = |scale, wanted: Verdict| {
        let runs = 50;
        let hits = (0..runs).map(|_| {
            let [a, b] = two_runs(&mut random, scale);
            assert_eq!((a.cells().len(), Noise::of([&a, &b]).map(|noise| noise.pairs)), (20, Some(10)));
            differences(&a, &b).iter().filter(|difference| difference.verdict == wanted).count()
        });
        hits.sum::<usize>() as f64 / (20 * runs) as f64
    };
    // 2% from child to child, which no child's own samples show.
    let equal = share(1.0, Verdict::NoDifference);
    assert!(equal >= 0.95, "{equal}");
    let slower = share(1.25, Verdict::Slower);
    assert!(slower >= 0.95, "{slower}");
    let faster = share(0.8, Verdict::Faster);
    assert!(faster >= 0.95, "{faster}");
}

/// One group of two contenders with four children each, as `measure` makes of it.
#[test]
fn rankings_tie_equals_and_tell_ten_percent() {
    let mut random = NumpyRandom::new(3);
    let mut told = |scale: f64| {
        let runs = 300;
        let hits = (0..runs).filter(|_| {
            let children = |backend: &str, scale: f64, random: &mut NumpyRandom| -> Vec<Record> {
                (0..4).map(|child| record(backend, 0, samples(random, scale, 0.02, 0.01), child > 0)).collect()
            };
            let records = [children("a", 1.0, &mut random), children("b", scale, &mut random)].concat();
            let ranking = rank(&Results::new(records)).swap_remove(0);
            ranking.places[0].contender.backend == "a" && !ranking.places[1].is_tied()
                || scale == 1.0 && !ranking.places[1].is_tied()
        });
        hits.count() as f64 / f64::from(runs)
    };
    let (false_alarms, found) = (told(1.0), told(1.1));
    // Nominally 5%, and three standard deviations of so many trials.
    assert!(false_alarms <= 0.088, "{false_alarms}");
    assert!(found >= 0.95, "{found}");
}

#[test]
fn noise_is_that_of_the_pairs() {
    let of = |records: Vec<Record>| Noise::of([&Results::new(records)]);
    let cell = || record("a", 0, vec![1000; 6], false);
    let twin = |percent: f64| record("a", 0, vec![(1000.0 * (percent / 100.0).exp()).round() as u64; 6], true);
    assert_eq!(of(vec![cell()]), None);
    // A twin without its cell says nothing.
    assert_eq!(of(vec![twin(10.0)]), None);

    // Logarithms of 0 and 0.1: a variance of 0.005 per child, 0.01 of their ratio.
    let one = of(vec![cell(), twin(10.0)]).expect("a pair");
    assert!((one.deviation - 0.1).abs() < 1e-3 && one.pairs == 1, "{one:?}");
    // 0, 0.1, -0.1: 0.01 per child.
    let two = of(vec![cell(), twin(10.0), twin(-10.0)]).expect("pairs");
    assert!((two.deviation - 0.02_f64.sqrt()).abs() < 1e-3 && two.pairs == 2, "{two:?}");
    // What is common to all twins is the first child's deviation, not as many of their own.
    let common = of(vec![cell(), twin(10.0), twin(10.0), twin(10.0)]).expect("pairs");
    assert!((common.deviation - 0.005_f64.sqrt()).abs() < 1e-3 && common.pairs == 3, "{common:?}");

    // One pair knows little of how far the next lies apart; the more children, the less it matters.
    let known = Noise { deviation: 0.01, pairs: 20 };
    assert!(Noise { deviation: 0.01, pairs: 1 }.margin([1, 1]) > 5.0 * known.margin([1, 1]));
    assert!((known.margin([1, 1]) - 0.01 * 2.086).abs() < 1e-4, "{}", known.margin([1, 1]));
    assert!((known.margin([4, 4]) - 0.005 * 2.086).abs() < 1e-4);
}

#[test]
fn noise_between_runs_is_that_of_the_echoes() {
    let cell = |index| record("a", index, vec![1000; 6], false);
    let further = |index, time: u64, rounds: u64| match record("a", index, vec![time; 6], true) {
        Record::Cell(mut twin) => {
            twin.rounds_started_unix_ms = rounds;
            Record::Cell(twin)
        }
        machine => machine,
    };
    // Cell 0 has a twin, and echoes in the rounds of cells 1 and 2.
    let records = vec![cell(0), further(0, 1001, 0), cell(1), further(0, 1050, 1), cell(2), further(0, 952, 2)];
    let results = Results::new(records);
    let between = Noise::between_runs([&results]).expect("echoes");
    assert!((between.deviation - 0.049).abs() < 1e-3 && between.pairs == 2, "{between:?}");
    let within = Noise::of([&results]).expect("a twin");
    assert!((within.deviation - 0.001).abs() < 1e-5 && within.pairs == 1, "{within:?}");
    // What a diff allows for is the former.
    let other = Results::new([record("a", 0, vec![1100; 6], false)]);
    assert_eq!(differences(&results, &other)[0].verdict, Verdict::NoDifference);
    let quiet = Results::new([cell(0), further(0, 1001, 0)]);
    assert_eq!(differences(&quiet, &other)[0].verdict, Verdict::Slower);
}

#[test]
fn a_cell_is_held_against_its_like_on_the_same_machine() {
    let on = |machine: &str, time: u64| match record("a", 0, vec![time; 6], false) {
        Record::Cell(mut cell) => {
            cell.machine = machine.into();
            Record::Cell(cell)
        }
        machine => machine,
    };
    let (first, second) = (Results::new([on("x", 100)]), Results::new([on("y", 700), on("x", 300)]));
    let verdicts = |a: &Results, b: &Results| -> Vec<(Option<f64>, &str)> {
        let differences = differences(a, b);
        differences.iter().map(|found| (found.ratio.map(|(ratio, _)| ratio), found.verdict.name())).collect()
    };
    assert_eq!(verdicts(&first, &second), [(Some(3.0), "slower"), (None, "not comparable")]);
    let elsewhere = Results::new([on("y", 700)]);
    assert_eq!(verdicts(&first, &elsewhere), [(None, "not comparable")]);
}

#[test]
fn only_shared_cells_count_and_ties_are_marked() {
    let steady = |time: u64| (0..15).map(|i| 1000 * time + i % 5).collect::<Vec<u64>>();
    let noisy = (0..15).map(|i| if i % 2 == 0 { 90_000 } else { 112_000 }).collect::<Vec<u64>>();
    let results = Results::new([
        record("a", 0, steady(100), false),
        record("b", 0, noisy.clone(), false),
        record("c", 0, steady(200), false),
        record("a", 1, steady(100), false),
        record("b", 1, noisy, false),
        record("c", 1, steady(800), false),
        // Nobody else has this one: it would make `c` look good.
        record("c", 2, steady(1), false),
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
