//! The measuring engine: runs cells that compete in rounds of balanced order, one parked child each, and in the same rounds reads the
//! limits that they are held against. It keeps no files and judges nothing.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::cell::Cell;
use super::change;
use super::contender::Contender;
use super::gauges::Gauge;
use super::process::Child;
use super::protocol::Failure;
use super::race::{Contestant, Race};
use super::record::{Child as ChildKind, Limits, Outcome};
use super::replay::{self, Replay};
pub use super::settings::{FEWEST_ROUNDS, Settings};

/// A child that is through.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The cell.
    pub cell: Cell,
    /// Which of the cell's children it is.
    pub child: ChildKind,
    /// When its rounds began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Samples or failure.
    pub outcome: Outcome,
}

/// What the rounds of a group gave.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    /// The children that are through.
    pub finished: Vec<Finished>,
    /// The limits that the group's cells are held against, one value a round; those that were read in every round.
    pub limits: Vec<Limits>,
    /// Whether the rounds took place: the deadline may come before, and then there are failures at the most.
    pub in_time: bool,
}

/// What happens meanwhile, for a display of progress.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A child is being prepared.
    Preparing(&'a Cell),
    /// A limit could not be read in these rounds, for this reason.
    NoLimit(&'a Failure),
    /// One unit of work is over: a child is ready (or failed), or a sample is taken (or will not be).
    Done(u64),
}

/// Measures the groups of one run.
pub struct Measurer {
    settings: Settings,
}

impl Measurer {
    /// One with these settings.
    pub fn new(settings: Settings) -> Self {
        Measurer { settings }
    }

    /// The units of work of so many children: each one's preparation and samples.
    pub fn units(&self, children: usize) -> u64 {
        (children * (self.settings.rounds + 1)) as u64
    }

    /// Measures children in the same rounds: those of a group of cells that compete, and further ones. The limits are those of the
    /// group's cells.
    pub fn measure(&self, children: &[(Cell, ChildKind)], watch: &mut dyn FnMut(Event<'_>)) -> Rounds {
        let mut measurement = match self.begin(children, watch) {
            Ok(measurement) => measurement,
            Err(rounds) => return rounds,
        };
        while measurement.rounds() < self.settings.rounds {
            if self.is_over() || !measurement.round(watch) {
                if measurement.rounds() < FEWEST_ROUNDS {
                    return measurement.abandon();
                }
                break;
            }
        }
        measurement.finish(watch)
    }

    /// Prepares children that are to be measured in the same rounds, for whoever decides for himself who stays in.
    ///
    /// # Errors
    /// There was no time, or the run was stopped: what is known of those that failed meanwhile.
    pub fn begin<'a>(
        &'a self,
        children: &'a [(Cell, ChildKind)],
        watch: &mut dyn FnMut(Event<'_>),
    ) -> Result<Measurement<'a>, Rounds> {
        let started_unix_ms = unix_ms();
        let (mut rounds, mut contenders) = (Rounds::default(), Vec::new());
        for (cell, child) in children {
            if self.is_over() {
                return Err(rounds);
            }
            watch(Event::Preparing(cell));
            match self.prepare(cell, *child) {
                Ok(contender) => contenders.push(contender),
                // What is said of a cell whose judging was stopped is nothing.
                Err(_) if self.is_stopped() => return Err(rounds),
                Err(failure) => {
                    let (cell, child, outcome) = (cell.clone(), *child, Outcome::Failed(failure));
                    rounds.finished.push(Finished { cell, child, started_unix_ms, outcome });
                    watch(Event::Done(self.settings.rounds as u64));
                }
            }
            watch(Event::Done(1));
        }
        // Drawn now, so that what must come out is known while the timed child still has what came out, and before any cell is timed.
        let seeds: Rc<[u64]> = (0..self.settings.rounds).map(|_| change::draw()).collect();
        if !self.replay(&mut contenders, &seeds, watch) {
            return Err(rounds);
        }
        let of_the_group = contenders.iter().filter(|contender| contender.kind == ChildKind::First);
        let gauges = Gauge::of(of_the_group.map(|contender| contender.cell), &self.settings);
        let turns = contenders.into_iter().map(|contender| Turn::Contender(Box::new(contender)));
        let turns = turns.chain(gauges.into_iter().map(|gauge| Turn::Gauge(Box::new(gauge))));
        let race = Race::new(turns.map(|turn| InTurn { turn, seeds: Rc::clone(&seeds), measurer: self }).collect());
        Ok(Measurement { measurer: self, race, failed: rounds.finished, started_unix_ms })
    }

    fn is_over(&self) -> bool {
        self.is_stopped() || self.settings.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_stopped(&self) -> bool {
        self.settings.stop.load(Ordering::Relaxed)
    }

    fn prepare<'a>(&self, cell: &'a Cell, kind: ChildKind) -> Result<Contender<'a>, Failure> {
        let error_over_bound = self.settings.judge.judge(cell)?;
        let (child, start, prepared) = Child::prepare(cell, &self.settings)?;
        Ok(Contender::new(cell, kind, error_over_bound, start, prepared, child))
    }

    /// Replays each cell once for all its children. Answers whether there was time for that.
    fn replay(&self, contenders: &mut [Contender<'_>], seeds: &[u64], watch: &mut dyn FnMut(Event<'_>)) -> bool {
        struct Known<'a> {
            cell: &'a Cell,
            passes: u64,
            replay: Result<Rc<Replay>, Failure>,
        }
        let mut all: Vec<Known<'_>> = Vec::new();
        for contender in contenders {
            if self.is_over() {
                return false;
            }
            let (cell, passes) = (contender.cell, contender.passes);
            let place = all.iter().position(|known| known.cell == cell).unwrap_or_else(|| {
                watch(Event::Preparing(cell));
                let replay = Replay::of(cell, passes, seeds, &self.settings).map(Rc::new);
                all.push(Known { cell, passes, replay });
                all.len() - 1
            });
            let known = &all[place];
            // A twin makes as many passes as its cell's first child: they differ in nothing, and one replay is for both.
            contender.passes = known.passes;
            match &known.replay {
                Ok(replay) => contender.replay = Some(Rc::clone(replay)),
                Err(failure) => contender.child = Err(failure.clone()),
            }
        }
        true
    }
}

/// Children in the same rounds: prepared, and driven round by round.
pub struct Measurement<'a> {
    measurer: &'a Measurer,
    /// The cells, and behind them the gauges.
    race: Race<InTurn<'a>>,
    failed: Vec<Finished>,
    started_unix_ms: u64,
}

/// Whoever has a turn.
enum Turn<'a> {
    Contender(Box<Contender<'a>>),
    Gauge(Box<Gauge>),
}

struct InTurn<'a> {
    turn: Turn<'a>,
    seeds: Rc<[u64]>,
    measurer: &'a Measurer,
}

impl Contestant for InTurn<'_> {
    fn turn(&mut self, round: usize) {
        let Measurer { settings } = self.measurer;
        match &mut self.turn {
            Turn::Contender(contender) => {
                contender.sample(round, self.seeds[round], settings.timeout, || self.measurer.is_over());
            }
            Turn::Gauge(gauge) => gauge.read(settings),
        }
    }

    fn forget_after(&mut self, rounds: usize) {
        match &mut self.turn {
            Turn::Contender(contender) => contender.samples.truncate(rounds),
            Turn::Gauge(gauge) => gauge.forget_after(rounds),
        }
    }
}

impl Measurement<'_> {
    /// Rounds that were whole so far; at most as many as the [`Settings`] have.
    pub fn rounds(&self) -> usize {
        self.race.rounds()
    }

    /// The cells that could be prepared. They go by their places here.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.contestants().map(|contender| contender.cell)
    }

    /// Nanoseconds of a pass in each round that the cell was in, so far.
    pub fn times(&self, index: usize) -> Vec<f64> {
        self.contestants().nth(index).map(Contender::times).unwrap_or_default()
    }

    fn contestants(&self) -> impl Iterator<Item = &Contender<'_>> {
        self.race.contestants().filter_map(|in_turn| match &in_turn.turn {
            Turn::Contender(contender) => Some(contender.as_ref()),
            Turn::Gauge(_) => None,
        })
    }

    /// Takes a cell out: it is measured in the rounds that it was in.
    pub fn dismiss(&mut self, index: usize) {
        if index < self.cells().count() {
            self.race.dismiss(index);
        }
    }

    /// One round. Whether it took place, and was not stopped.
    pub fn round(&mut self, watch: &mut dyn FnMut(Event<'_>)) -> bool {
        if self.rounds() >= self.measurer.settings.rounds {
            return false;
        }
        let dismissed = self.race.contestants().count() - self.race.there();
        let is_whole = self.race.round(&|| self.measurer.is_stopped(), &mut |in_turn| {
            if let Turn::Contender(_) = in_turn.turn {
                watch(Event::Done(1));
            }
        });
        if dismissed > 0 {
            watch(Event::Done(dismissed as u64));
        }
        is_whole
    }

    /// Ends all children without another question: what is known of those that could not be prepared.
    pub fn abandon(self) -> Rounds {
        Rounds { finished: self.failed, ..Rounds::default() }
    }

    /// Asks for what there is to know at the end, and judges it.
    pub fn finish(self, watch: &mut dyn FnMut(Event<'_>)) -> Rounds {
        let Measurement { measurer: Measurer { settings }, race, failed, started_unix_ms, .. } = self;
        let mut rounds = Rounds { finished: failed, limits: Vec::new(), in_time: true };
        for in_turn in race.into_contestants() {
            match in_turn.turn {
                Turn::Contender(contender) => {
                    let (cell, child) = (contender.cell, contender.kind);
                    let replayed = |shown: &_| replay::show(cell, shown, settings);
                    let outcome = contender.finish(settings.timeout, replayed);
                    rounds.finished.push(Finished { cell: cell.clone(), child, started_unix_ms, outcome });
                }
                Turn::Gauge(gauge) => match gauge.finish() {
                    Ok(limits) => rounds.limits.push(limits),
                    Err(failure) => watch(Event::NoLimit(&failure)),
                },
            }
        }
        rounds
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

#[cfg(all(test, unix))]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::child::Program;
    use crate::layer::FirstLayer;
    use crate::measure::Judge;
    use crate::measure::protocol::Cause;
    use crate::scalar::ScalarKind;
    use crate::workload::{Phase, Workload};

    /// Only the backend `wrong` is.
    #[derive(Debug)]
    struct ByName;

    impl Judge for ByName {
        fn judge(&self, cell: &Cell) -> Result<f64, Failure> {
            let wrong = || Failure { cause: Cause::Verification, message: "as announced".into() };
            if cell.backend == "wrong" { Err(wrong()) } else { Ok(0.5) }
        }
    }

    /// Runs against `tests/fake-child`.
    fn measurer(rounds: usize) -> Measurer {
        Measurer::new(Settings {
            program: Program::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-child")),
            judge: Arc::new(ByName),
            rounds,
            sample: Duration::from_millis(1),
            timeout: Duration::from_secs(60),
            flush_bytes: None,
            deadline: None,
            stop: Arc::default(),
        })
    }

    fn cell(backend: &str, workload: &str, scalar: ScalarKind) -> Cell {
        let workload = Workload::find(workload).expect("embedded");
        let (phase, threads, first_layer) = (Phase::Step, NonZeroUsize::MIN, FirstLayer::Plain);
        Cell { phase, backend: backend.into(), workload, scalar, threads, first_layer }
    }

    /// What the rounds gave, and the reasons why limits are missing.
    fn measure(measurer: &Measurer, children: &[(Cell, ChildKind)]) -> (Rounds, Vec<String>) {
        let mut reasons = Vec::new();
        let rounds = measurer.measure(children, &mut |event| {
            if let Event::NoLimit(failure) = event {
                reasons.push(failure.message.clone());
            }
        });
        (rounds, reasons)
    }

    #[test]
    fn the_limit_of_a_group_is_read_once_in_each_of_its_rounds() {
        let planar = |backend| cell(backend, "planar", ScalarKind::F64);
        let echo = (cell("a", "l-layer", ScalarKind::F64), ChildKind::Echo);
        let children =
            [(planar("a"), ChildKind::First), (planar("b"), ChildKind::First), (planar("a"), ChildKind::Twin), echo];
        let (rounds, reasons) = measure(&measurer(7), &children);
        assert!(rounds.in_time && reasons.is_empty(), "{reasons:?}");
        let samples = rounds.finished.iter().map(|child| match &child.outcome {
            Outcome::Measured(measured) => measured.wall_ns.len(),
            Outcome::Failed(failure) => panic!("{failure:?}"),
        });
        assert_eq!(samples.collect::<Vec<_>>(), [7; 4]);
        // Neither the twin nor the echo has limits of its own.
        let limits = Limits {
            scalar: ScalarKind::F64,
            threads: NonZeroUsize::MIN,
            bytes_per_thread: planar("a").workload.footprint::<f64>() as u64,
            peak_gflops: (1..=7).map(|reading| f64::from(reading) + 0.5).collect(),
            gb_per_s: vec![20.0; 7],
        };
        assert_eq!(rounds.limits, [limits]);
    }

    #[test]
    fn whoever_is_dismissed_is_measured_in_the_rounds_that_it_was_in() {
        let children = ["a", "b"].map(|backend| (cell(backend, "planar", ScalarKind::F64), ChildKind::First));
        let measurer = measurer(7);
        let mut watch = |_: Event<'_>| ();
        let Ok(mut measurement) = measurer.begin(&children, &mut watch) else { panic!("there is time") };
        assert_eq!(measurement.cells().map(|cell| cell.backend.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        while measurement.round(&mut watch) {
            if measurement.rounds() == 3 {
                measurement.dismiss(1);
            }
        }
        assert_eq!((measurement.rounds(), measurement.times(0).len(), measurement.times(1).len()), (7, 7, 3));
        let lengths = measurement.finish(&mut watch).finished.into_iter().map(|child| match child.outcome {
            Outcome::Measured(measured) => measured.wall_ns.len(),
            Outcome::Failed(failure) => panic!("{failure:?}"),
        });
        assert_eq!(lengths.collect::<Vec<_>>(), [7, 3]);
    }

    #[test]
    fn a_gauge_that_fails_is_told_and_costs_no_cell_anything() {
        let children = ["a", "b"].map(|backend| (cell(backend, "planar", ScalarKind::F32), ChildKind::First));
        let (rounds, reasons) = measure(&measurer(6), &children);
        assert!(rounds.in_time && rounds.limits.is_empty(), "{:?}", rounds.limits);
        assert!(matches!(reasons.as_slice(), [reason] if reason.contains("as announced")), "{reasons:?}");
        let measured = |child: &&Finished| matches!(child.outcome, Outcome::Measured(_));
        assert_eq!(rounds.finished.iter().filter(measured).count(), 2);
    }

    #[test]
    fn what_is_judged_wrong_is_never_timed_and_what_is_right_keeps_its_largest_error() {
        let children = ["wrong", "a"].map(|backend| (cell(backend, "planar", ScalarKind::F64), ChildKind::First));
        let finished = measure(&measurer(6), &children).0.finished;
        let of = |backend: &str| &finished.iter().find(|child| child.cell.backend == backend).expect("it is").outcome;
        assert!(matches!(of("wrong"), Outcome::Failed(failure) if failure.cause == Cause::Verification));
        assert!(matches!(of("a"), Outcome::Measured(measured) if measured.error_over_bound == Some(0.5)));
    }

    /// How the children of the backend `name` end, in a phase of `planar` in `f64`.
    fn outcomes(name: &str, phase: Phase, kinds: &[ChildKind]) -> Vec<Outcome> {
        let cell = Cell { phase, ..cell(name, "planar", ScalarKind::F64) };
        let children: Vec<_> = kinds.iter().map(|&kind| (cell.clone(), kind)).collect();
        measure(&measurer(6), &children).0.finished.into_iter().map(|finished| finished.outcome).collect()
    }

    fn failure(name: &str, phase: Phase) -> Failure {
        match outcomes(name, phase, &[ChildKind::First]).swap_remove(0) {
            Outcome::Failed(failure) => failure,
            Outcome::Measured(measured) => panic!("{name}: {measured:?}"),
        }
    }

    #[test]
    fn a_child_is_not_believed_a_time_that_the_parent_did_not_see() {
        let slow = failure("slow-clock", Phase::Step);
        assert_eq!(slow.cause, Cause::Clock);
        assert!(slow.message.contains("it states 1.000 ms for passes that took "), "{}", slow.message);
        let fast = failure("fast-clock", Phase::Step);
        assert_eq!(fast.cause, Cause::Clock);
        assert!(fast.message.contains("it states 100000.000 ms for passes that took "), "{}", fast.message);
    }

    #[test]
    fn results_that_a_replay_gives_are_in_the_record_of_all_children() {
        let digests: Vec<Option<String>> = outcomes("a", Phase::Step, &[ChildKind::First, ChildKind::Twin])
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Measured(measured) => measured.digest,
                Outcome::Failed(failure) => panic!("{failure:?}"),
            })
            .collect();
        assert_eq!(digests, [Some("ab".to_owned()), Some("ab".to_owned())]);
    }

    #[test]
    fn results_that_a_replay_gives_may_be_wrong_in_both() {
        for phase in [Phase::Forward, Phase::Backward] {
            let failure = failure("a", phase);
            assert_eq!(failure.cause, Cause::Verification, "{failure:?}");
            assert!(failure.message.contains("its results are those of the same passes"), "{}", failure.message);
        }
    }

    #[test]
    fn results_that_a_replay_does_not_give_must_be_right() {
        // Of steps no truth is known but the replay's own: what is shown is the same there.
        let outcome = outcomes("moody", Phase::Step, &[ChildKind::First]).swap_remove(0);
        assert!(matches!(outcome, Outcome::Measured(_)), "{outcome:?}");
        for (name, phase) in [
            ("moody", Phase::Forward),
            ("moody", Phase::Backward),
            ("moody-noise", Phase::Step),
            ("moody-noise", Phase::Train),
        ] {
            let failure = failure(name, phase);
            assert_eq!(failure.cause, Cause::Verification, "{failure:?}");
            for part in ["the last of 4 timed passes", "not those of the same passes", "] is", "expected", "bound"] {
                assert!(failure.message.contains(part), "{phase:?}: {}", failure.message);
            }
        }
    }
}
