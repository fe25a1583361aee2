//! What is derived from records, on made-up numbers: noise, rankings and differences with known answers.

#![cfg(feature = "cli")]

mod common;

use common::records::{at, cell, further, limits, lines, machine, measured, read, record, run};
use layerbench::compare::difference::{self, Difference, Verdict, differences};
use layerbench::compare::ranking::rank;
use layerbench::compare::{Kind, Results};
use layerbench::measure::record::{Cause, CellRecord, Child, Failure, Library, Outcome, Record, RunId};
use layerbench::measure::statistics::{median, median_interval, quantile};
use layerbench::model::NumpyRandom;
use layerbench::{ScalarKind, report};
use proptest::prelude::*;

proptest! {
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

/// Two runs over twenty cells in five groups; `scale` is the second's time over the first's. From group to group the machine drifts by 2%, from
/// child to child times differ by 1%, from sample to sample by 1%. Each group has two twins, and two echoes of earlier cells.
fn two_runs(random: &mut NumpyRandom, scale: f64) -> [Results; 2] {
    [(run(), 1.0), (second_run(), scale)].map(|(run, scale)| {
        let mut records = Vec::new();
        for group in 0..8 {
            let drift = (0.02 * random.normal()).exp();
            let mut child = |backend: usize, workload: usize, child| {
                let times = samples(random, scale * drift, 0.01, 0.01);
                of_run(at(record(&format!("b{backend}"), workload, times, Child::First), child, group), run)
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

fn second_run() -> RunId {
    "00000000000000000000000000000002".parse().expect("32 digits")
}

fn of_run(record: Record, run: RunId) -> Record {
    match record {
        Record::Cell(cell) => Record::Cell(CellRecord { run, ..cell }),
        other => other,
    }
}

/// A file that is held against its own copy, or against what it was before more was measured into it, has its echoes once.
#[test]
fn echoes_that_stand_in_both_files_count_once() {
    let [a, b] = two_runs(&mut NumpyRandom::new(3), 1.0);
    let pairs = |a: &Results, b: &Results| difference::noise(a, b).pairs();
    assert_eq!((pairs(&a, &a), pairs(&a, &b)), (14, 28));
    assert_eq!(difference::noise(&a, &a), *a.noise(Kind::Echoes));
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
    // Echoes of an earlier program, environment or library count for nothing: not in the sum, and not as times.
    let changed: [fn(&mut CellRecord); 3] = [
        |record| record.tool.revision = "another".into(),
        |record| record.environment = [("OMP_NUM_THREADS".to_owned(), "2".to_owned())].into(),
        |record| measured(record).library.description = "another".into(),
    ];
    for change in changed {
        let old = (3..9).map(|time| {
            let Record::Cell(mut cell) = echo(0.1, time) else { unreachable!("it is one") };
            change(&mut cell);
            Record::Cell(cell)
        });
        let records = || records().into_iter().chain(old.clone()).collect::<Vec<_>>();
        assert_eq!(noise(records(), Kind::Echoes).1, 2);
        assert_eq!(verdict(records(), 20.0), Verdict::NoDifference);
        assert_eq!(verdict(records(), 23.0), Verdict::Slower);
    }
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
fn a_cell_is_held_against_its_like_on_the_same_node_then_in_its_class() {
    let on = |(machine, node): (&str, &str), ns: u64, child, time| match at(
        record("a", 0, vec![ns; 6], Child::First),
        child,
        time,
    ) {
        Record::Cell(cell) => Record::Cell(CellRecord { machine: machine.into(), node: node.into(), ..cell }),
        other => other,
    };
    let of = |cells: &[(&'static str, &'static str, u64)]| {
        let of_cell = |&(machine, node, ns): &(&'static str, &'static str, u64)| {
            [on((machine, node), ns, Child::First, 0), on((machine, node), ns, Child::Echo, 1)]
        };
        Results::new(cells.iter().flat_map(of_cell).collect::<Vec<_>>())
    };
    let names = |a: &Results, b: &Results| -> Vec<String> {
        let name = |found: &Difference| {
            let nodes = found.nodes.as_ref().map_or(String::new(), |[a, b]| format!(" ({a}, {b})"));
            format!("{:?} {}{nodes}", found.time_ns.map(|ns| ns.map(|ns| 10.0 * ns)), found.verdict)
        };
        differences(a, b).iter().map(name).collect()
    };
    let (x, xy, y) = (of(&[("x", "n", 2)]), of(&[("y", "n", 7), ("x", "n", 2)]), of(&[("y", "n", 7)]));
    let alone = |file: &str| format!("not comparable: it is in the {file} file only");
    assert_eq!(
        names(&x, &xy),
        ["[Some(2.0), Some(2.0)] no difference".into(), format!("[None, Some(7.0)] {}", alone("second"))]
    );
    assert_eq!(
        names(&xy, &x),
        [format!("[Some(7.0), None] {}", alone("first")), "[Some(2.0), Some(2.0)] no difference".into()]
    );
    assert!(names(&x, &y)[0].contains("the machines differ"));
    // Of one class: the same node first, then whichever there is, which is told.
    let (n, nm, m) = (of(&[("x", "n", 2)]), of(&[("x", "m", 7), ("x", "n", 2)]), of(&[("x", "m", 7)]));
    assert_eq!(names(&n, &nm)[0], "[Some(2.0), Some(2.0)] no difference");
    assert_eq!(names(&n, &m), ["[Some(2.0), Some(7.0)] slower (n, m)"]);
    // Neither is ranked with the other, nor do the noises mix.
    assert_eq!(nm.cells().len(), 2);
    assert_eq!(nm.noise(Kind::Echoes).pairs(), 2);
}

#[test]
fn a_library_is_its_file_and_its_description() {
    let with = |ns: u64, sha256: Option<&str>, description: &str| {
        let Record::Cell(mut first) = record("a", 0, vec![ns; 6], Child::First) else { unreachable!("it is one") };
        measured(&mut first).library =
            Library { sha256: sha256.map(Into::into), ..Library::of(description.into(), None) };
        let echo = CellRecord { child: Child::Echo, rounds: 1, ..first.clone() };
        Results::new([Record::Cell(first), Record::Cell(echo)])
    };
    let verdict = |a: &Results, b: &Results| differences(a, b).swap_remove(0).verdict.to_string();
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let first = with(1000, Some(&one), "BLAS 1");
    assert_eq!(verdict(&first, &with(1000, Some(&one), "BLAS 1")), "no difference");
    assert_eq!(verdict(&first, &with(1000, None, "BLAS 1")), "no difference");
    let told = verdict(&first, &with(1000, Some(&two), "BLAS 1"));
    assert_eq!(
        told,
        "not comparable: the library differs: BLAS 1 (sha256 111111111111) and BLAS 1 (sha256 222222222222)"
    );
    assert!(verdict(&first, &with(1000, Some(&one), "BLAS 1, another kernel")).contains("the library differs"));
}

#[test]
fn what_a_run_found_is_what_its_cells_are_held_against() {
    let later: RunId = "f".repeat(32).parse().expect("32 digits");
    let of_run = |run, index| match cell(index) {
        Record::Cell(cell) => Record::Cell(CellRecord { run, ..cell }),
        other => other,
    };
    let results = Results::new([
        Record::Machine(machine(run(), 1.0)),
        cell(0),
        limits(run(), 0, vec![3.0]),
        // The same machine in a later run.
        Record::Machine(machine(later, 2.0)),
        of_run(later, 1),
        limits(later, 0, vec![4.0]),
        limits(later, 1, vec![5.0]),
        of_run(later, 2),
    ]);
    let peaks: Vec<Option<f64>> =
        results.cells().iter().map(|cell| results.machine(cell)?.roofline.peak(ScalarKind::F64, 1)).collect();
    assert_eq!(peaks, [Some(1.0), Some(2.0), Some(2.0)]);
    let limits: Vec<_> = results.cells().iter().map(|cell| Some(results.limits(cell)?.peak_gflops[0])).collect();
    assert_eq!(limits, [Some(3.0), Some(5.0), None]);
    // Rounds of the same number in two runs are not the same rounds.
    let twin = |run| Results::new([cell(0), at(of_run(run, 0), Child::Twin, 0)]).noise(Kind::Twins).pairs();
    assert_eq!((twin(run()), twin(later)), (1, 0));
}

#[test]
fn the_sentence_tells_of_the_tie_that_there_is() {
    // The second is always 10% behind; the third is noisy, and ahead of it nowhere for sure.
    let steady = |time: u64| (0..15).map(|i| 1000 * time + i % 5).collect::<Vec<u64>>();
    let noisy = (0..15).map(|i| if i < 7 { 90_000 } else { 160_000 + i }).collect::<Vec<u64>>();
    let results = Results::new([
        Record::Machine(machine(run(), 1e9)),
        record("a", 0, steady(100), Child::First),
        record("b", 0, steady(110), Child::First),
        record("c", 0, noisy, Child::First),
        record("a", 0, steady(100), Child::Twin),
    ]);
    let ranking = rank(&results).swap_remove(0);
    let tied: Vec<_> =
        ranking.places[1..].iter().map(|place| (place.contender.backend.as_str(), place.is_tied())).collect();
    assert_eq!(tied, [("b", false), ("c", true)], "{ranking:?}");
    let machine = report::machine(&results, &results.cells()[0]);
    assert!(machine.ends_with("node node \"ü\"") && machine.contains(" core"), "{machine}");
    let sentence = report::sentence(&ranking, &machine);
    let start = format!(
        "Too close to call on {machine}: a on 1 thread (a 1.0) and c on 1 thread. The ratio of their times is 1.60,"
    );
    assert!(sentence.starts_with(&start), "{sentence}");
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

/// What is right in one process and wrong in the next is wrong.
#[test]
fn a_cell_with_a_wrong_twin_has_no_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let Record::Cell(mut twin) = at(record("quick", 0, vec![1000; 6], Child::First), Child::Twin, 0) else {
        panic!("it is a cell")
    };
    let failed = |cause| Outcome::Failed(Failure { cause, message: "dW is off".into() });
    for (cause, code) in [(Cause::Verification, 4), (Cause::Clock, 4), (Cause::Crash, 0)] {
        twin.outcome = failed(cause);
        let honest = |backend: &str, time| record(backend, 0, vec![time; 6], Child::First);
        let all = [honest("quick", 1_000_000), honest("slow", 3_000_000), Record::Cell(twin.clone())];
        std::fs::write(&path, lines(&all)).expect("written");
        let mut command = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
        let output = command.arg("rank").arg(&path).output().expect("it runs");
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert_eq!(told.contains("another process of this cell gave a wrong result: dW is off"), code == 4, "{told}");
        let places = rank(&Results::new(all.to_vec())).swap_remove(0).places.len();
        assert_eq!(places, if code == 4 { 1 } else { 2 });
    }
}

/// A cell that is faster than the machine can be has no place and no verdict; the others are ranked without it.
#[test]
fn a_rate_above_the_peak_is_listed_as_mistrusted_and_nothing_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let honest = |backend: &str, time| record(backend, 0, vec![time; 6], Child::First);
    let Record::Cell(cell) = honest("slow", 3_000_000) else { panic!("it is a cell") };
    let gflops = |time: f64| cell.cell.workload.flops(cell.cell.phase) / (time / 10.0);
    // In one of its rounds the machine could do a little more than the second needs, and far less than the first.
    let peak = limits(run(), 0, vec![gflops(2e7), gflops(1_950_000.0), gflops(3e7)]);
    let all = [peak, honest("cheat", 1_000_000), honest("quick", 2_000_000), honest("slow", 3_000_000)];
    let write = |records: &[Record]| std::fs::write(&path, lines(records)).expect("written");
    let program = |args: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("layerbench").expect("it was built");
        let output =
            command.args(args).args([&path].repeat(1 + usize::from(args[0] == "diff"))).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    write(&all);
    let ranking = rank(&Results::new(all.to_vec())).swap_remove(0);
    let names: Vec<&str> = ranking.places.iter().map(|place| place.contender.backend.as_str()).collect();
    assert_eq!((names, ranking.left_out), (vec!["quick", "slow"], 0));
    for format in ["text", "json", "csv", "markdown"] {
        for args in [&["rank", "--format", format][..], &["rank", "--cells", "--format", format]] {
            let (code, told) = program(args);
            assert_eq!((code, told.matches("MISTRUSTED").count()), (Some(4), 1), "{told}");
            assert!(told.contains("1.95 times the highest peak") && told.contains("quick"), "{told}");
        }
        let (code, told) = program(&["diff", "--format", format]);
        assert_eq!(code, Some(4), "{told}");
        assert!(told.contains("MISTRUSTED") && told.contains("in the first file"), "{told}");
    }
    assert!(program(&["rank"]).1.contains("quick on 1 thread"));
    // Nothing is left to rank, or nothing is mistrusted.
    write(&all[..2]);
    let (code, told) = program(&["rank"]);
    assert_eq!((code, told.matches("MISTRUSTED").count()), (Some(4), 1), "{told}");
    write(&[&all[..1], &all[2..]].concat());
    let (code, told) = program(&["rank"]);
    assert_eq!((code, told.matches("MISTRUSTED").count()), (Some(0), 0), "{told}");
}
