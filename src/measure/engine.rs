//! The measuring engine: runs cells that compete in rounds of balanced order, one parked child each, and in the same rounds reads the
//! limits that they are held against. It keeps no files and judges nothing.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cell::Cell;
use super::gauges::Gauge;
use super::order;
use super::process::Child;
use super::protocol::{Failure, Prepared, Reply, Request, Sample, Subject, Task};
use super::record::{Child as ChildKind, Limits, Measured, Outcome};
pub use super::settings::Settings;

/// The fewest rounds that give an interval for a median; a group that the deadline cuts below is not kept.
pub const FEWEST_ROUNDS: usize = 6;

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
    /// What was verified in this run, and how that went: each once, in a child of its own.
    verified: Vec<(Subject, Result<(), Failure>)>,
}

/// A child and what is known of it.
struct Contender<'a> {
    cell: &'a Cell,
    kind: ChildKind,
    start: Duration,
    prepared: Prepared,
    samples: Vec<Sample>,
    /// The child, or why there is none any more.
    child: Result<Child, Failure>,
}

impl Measurer {
    /// One with these settings.
    pub fn new(settings: Settings) -> Self {
        Measurer { settings, verified: Vec::new() }
    }

    /// The units of work of so many children: each one's preparation and samples.
    pub fn units(&self, children: usize) -> u64 {
        (children * (self.settings.rounds + 1)) as u64
    }

    /// Measures children in the same rounds: those of a group of cells that compete, and further ones. The limits are those of the
    /// group's cells.
    pub fn measure(&mut self, children: &[(Cell, ChildKind)], watch: &mut dyn FnMut(Event<'_>)) -> Rounds {
        let started_unix_ms = unix_ms();
        let (mut rounds, mut contenders) = (Rounds::default(), Vec::new());
        for (cell, child) in children {
            if self.is_over() {
                return rounds;
            }
            watch(Event::Preparing(cell));
            match self.prepare(cell, *child) {
                Ok(contender) => contenders.push(contender),
                Err(failure) => {
                    let (cell, child, outcome) = (cell.clone(), *child, Outcome::Failed(failure));
                    rounds.finished.push(Finished { cell, child, started_unix_ms, outcome });
                    watch(Event::Done(self.settings.rounds as u64));
                }
            }
            watch(Event::Done(1));
        }
        let of_the_group = contenders.iter().filter(|contender| contender.kind == ChildKind::First);
        let mut gauges = Gauge::of(of_the_group.map(|contender| contender.cell), &self.settings);
        'rounds: for round in 0..self.settings.rounds {
            if self.is_over() && round < FEWEST_ROUNDS {
                return rounds;
            }
            if self.is_over() {
                break;
            }
            for turn in order::of_round(round, contenders.len() + gauges.len()) {
                if self.is_stopped() {
                    // A round that is not whole is none.
                    contenders.iter_mut().for_each(|contender| contender.samples.truncate(round));
                    gauges.iter_mut().for_each(|gauge| gauge.forget_after(round));
                    if round < FEWEST_ROUNDS {
                        return rounds;
                    }
                    break 'rounds;
                }
                match contenders.get_mut(turn) {
                    Some(contender) => {
                        contender.sample(self.settings.timeout, || self.is_over());
                        watch(Event::Done(1));
                    }
                    None => gauges[turn - contenders.len()].read(&self.settings),
                }
            }
        }
        for gauge in gauges {
            match gauge.finish() {
                Ok(limits) => rounds.limits.push(limits),
                Err(failure) => watch(Event::NoLimit(&failure)),
            }
        }
        for contender in contenders {
            let (cell, child) = (contender.cell.clone(), contender.kind);
            let outcome = contender.finish(self.settings.timeout);
            rounds.finished.push(Finished { cell, child, started_unix_ms, outcome });
        }
        rounds.in_time = true;
        rounds
    }

    fn is_over(&self) -> bool {
        self.is_stopped() || self.settings.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_stopped(&self) -> bool {
        self.settings.stop.load(Ordering::Relaxed)
    }

    fn prepare<'a>(&mut self, cell: &'a Cell, kind: ChildKind) -> Result<Contender<'a>, Failure> {
        self.verify(cell)?;
        loop {
            let (mut child, start) = Child::start(&self.settings.program, cell, self.settings.timeout)?;
            let was_stopped = child.was_stopped();
            let sample_ns = u64::try_from(self.settings.sample.as_nanos()).unwrap_or(u64::MAX);
            let task = Task { cell: cell.clone(), sample_ns, flush_bytes: self.settings.flush_bytes };
            let reply = child.ask(&Request::Prepare(task), "preparation", self.settings.timeout)?;
            // The run was stopped meanwhile (Ctrl-Z): what clocks showed is neither the time of a start nor of a plan.
            if (was_stopped || child.was_stopped()) && !self.is_over() {
                continue;
            }
            let Reply::Ready(prepared) = reply else { return Err(reply.unexpected()) };
            let samples = Vec::with_capacity(self.settings.rounds);
            return Ok(Contender { cell, kind, start, prepared, samples, child: Ok(child) });
        }
    }

    /// Whether the cell's backend computes rightly in its scalar type on its threads.
    fn verify(&mut self, cell: &Cell) -> Result<(), Failure> {
        let Cell { backend, scalar, threads, .. } = cell;
        let subject = Subject { backend: backend.clone(), scalar: *scalar, threads: *threads };
        if let Some((_, verdict)) = self.verified.iter().find(|(known, _)| *known == subject) {
            return verdict.clone();
        }
        let ask = |request| {
            let (mut child, _) = Child::start(&self.settings.program, cell, self.settings.timeout)?;
            match child.ask(&request, "verification", self.settings.timeout)? {
                Reply::Verified => Ok(()),
                other => Err(other.unexpected()),
            }
        };
        let verdict = ask(Request::Verify(subject.clone()));
        self.verified.push((subject, verdict.clone()));
        verdict
    }
}

impl Contender<'_> {
    fn sample(&mut self, timeout: Duration, is_over: impl Fn() -> bool) {
        let Ok(child) = &mut self.child else { return };
        let failure = loop {
            match child.ask(&Request::Sample, "a sample", timeout) {
                // The run was stopped meanwhile (Ctrl-Z): what the clock showed is no time of a pass.
                Ok(Reply::Sampled(_)) if child.was_stopped() && !is_over() => {}
                Ok(Reply::Sampled(sample)) => return self.samples.push(sample),
                Ok(other) => break other.unexpected(),
                Err(failure) => break failure,
            }
        };
        self.child = Err(failure);
    }

    fn finish(self, timeout: Duration) -> Outcome {
        let Contender { start, prepared, samples, child, .. } = self;
        let last = child.and_then(|mut child| child.ask(&Request::Finish, "its end", timeout));
        let peak_memory_bytes = match last {
            Ok(Reply::Finished { peak_memory_bytes }) => peak_memory_bytes,
            Ok(other) => return Outcome::Failed(other.unexpected()),
            Err(failure) => return Outcome::Failed(failure),
        };
        let Prepared { library, threads_got, data_sha256, open_ns, plan_ns, first_ns, repeats } = prepared;
        Outcome::Measured(Measured {
            library,
            threads_got,
            data_sha256,
            start_ns: u64::try_from(start.as_nanos()).unwrap_or(u64::MAX),
            open_ns,
            plan_ns,
            first_ns,
            peak_memory_bytes,
            repeats,
            wall_ns: samples.iter().map(|sample| sample.wall_ns).collect(),
            cpu_ns: samples.iter().map(|sample| sample.cpu_ns).collect(),
            restless: samples.iter().map(|sample| u32::from(!sample.quiet)).sum(),
            digest: None,
            error_over_bound: None,
        })
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

#[cfg(all(test, unix))]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::child::Program;
    use crate::measure::FirstLayer;
    use crate::measure::protocol::Cause;
    use crate::scalar::ScalarKind;
    use crate::workload::{Phase, Workload};

    /// Runs against `tests/fake-child`.
    fn measurer(rounds: usize) -> Measurer {
        Measurer::new(Settings {
            program: Program::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-child")),
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
    fn measure(measurer: &mut Measurer, children: &[(Cell, ChildKind)]) -> (Rounds, Vec<String>) {
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
        let (rounds, reasons) = measure(&mut measurer(7), &children);
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
    fn a_gauge_that_fails_is_told_and_costs_no_cell_anything() {
        let children = ["a", "b"].map(|backend| (cell(backend, "planar", ScalarKind::F32), ChildKind::First));
        let (rounds, reasons) = measure(&mut measurer(6), &children);
        assert!(rounds.in_time && rounds.limits.is_empty(), "{:?}", rounds.limits);
        assert!(matches!(reasons.as_slice(), [reason] if reason.contains("as announced")), "{reasons:?}");
        let measured = |child: &&Finished| matches!(child.outcome, Outcome::Measured(_));
        assert_eq!(rounds.finished.iter().filter(measured).count(), 2);
    }

    #[test]
    fn a_backend_is_verified_once_in_a_child_of_its_own() {
        let wrong = cell("wrong", "planar", ScalarKind::F64);
        let children = [(wrong.clone(), ChildKind::First), (wrong, ChildKind::Twin)];
        let mut measurer = measurer(6);
        let mut failures = Vec::new();
        for _ in 0..2 {
            for child in measure(&mut measurer, &children).0.finished {
                let Outcome::Failed(failure) = child.outcome else { panic!("it is never timed") };
                failures.push(failure);
            }
        }
        assert_eq!((failures.len(), failures[0].cause), (4, Cause::Verification));
        assert!(failures.iter().all(|failure| *failure == failures[0]), "each process has its number: {failures:?}");
    }
}
