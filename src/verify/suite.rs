//! Which checks are run on a backend, and the driver that runs them: one outcome for each check and fixture case. What a check
//! does is in [`checks`](super::checks).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cases::{Depth, Shape};
use super::checks::{Probe, Tier};
use super::fixture;
use super::golden::Case;
use super::venue::Venue;
use super::{Lost, Outcome, Place, Status, actual, checks, compare, tolerances};
use crate::backend::Entry;
use crate::error::{Error, Result};
use crate::layer::Backend;
use crate::panics::panic_text;
use crate::remote::Remote;
use crate::scalar::{Scalar, ScalarKind};
use crate::workload::Workload;

/// A selection of checks, shapes, seeds and threads.
#[derive(Clone, Debug)]
pub struct Suite {
    /// How much is tried.
    pub depth: Depth,
    /// Only these tiers; empty for all.
    pub tiers: Vec<Tier>,
    /// Only these checks and fixture cases, by name; empty for all.
    pub checks: Vec<String>,
    /// Only this shape, in checks that run over shapes.
    pub shape: Option<Shape>,
    /// Only this seed.
    pub seed: Option<u32>,
    /// Only these thread counts; empty for those of the depth.
    pub threads: Vec<NonZeroUsize>,
    /// The fixture cases.
    pub fixtures: Vec<Case>,
    /// The workloads whose layers are tried.
    pub workloads: Vec<Workload>,
    /// From which shapes are drawn; another in each run.
    pub draw: u32,
    /// Set from outside to end a run after the check that is being run; the others are skipped then, and nothing is known of them.
    pub stop: Option<Arc<AtomicBool>>,
}

/// Tried on every machine, whatever it has: faults of a split show where a share is empty or uneven.
const THREADS: [usize; 6] = [1, 2, 3, 4, 7, 8];
/// A backend that hangs does so in one check after the other, and each costs the whole time limit.
const MOST_LATE: usize = 3;

impl Suite {
    /// Everything of that depth, with the embedded fixtures and workloads, on newly drawn shapes.
    pub fn new(depth: Depth) -> Self {
        Suite {
            depth,
            tiers: Vec::new(),
            checks: Vec::new(),
            shape: None,
            seed: None,
            threads: Vec::new(),
            fixtures: fixture::embedded(),
            workloads: Workload::embedded(),
            draw: fresh_seed(),
            stop: None,
        }
    }

    /// Refuses names that neither a check nor a fixture case has: a mistyped name must not select nothing and pass.
    ///
    /// # Errors
    /// [`Error::Setting`] with the name.
    pub fn expect_known_names(&self) -> Result<()> {
        let known = |name: &&String| {
            checks::all().iter().any(|check| check.name == **name) || self.fixtures.iter().any(|c| c.name == **name)
        };
        match self.checks.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Setting {
                what: "the check",
                found: format!("`{name}`"),
                expected: "a name that `list` shows, or that of a fixture case",
            }),
        }
    }

    /// The thread counts for a backend: one; and for a parallel one those that are tried everywhere and all `cores`.
    pub fn thread_counts(&self, entry: &Entry, cores: NonZeroUsize) -> Vec<NonZeroUsize> {
        if !self.threads.is_empty() {
            return self.threads.clone();
        }
        let mut counts = entry.thread_counts(cores);
        if entry.profile().parallel {
            counts.extend(THREADS.into_iter().filter_map(NonZeroUsize::new));
            counts.sort_unstable();
            counts.dedup();
        }
        counts
    }

    /// Runs the selection on one backend in one scalar type, handing each outcome to `sink` as soon as it is known.
    pub fn run(&self, venue: &Venue, entry: &Entry, scalar: ScalarKind, sink: &mut dyn FnMut(Outcome)) {
        match scalar {
            ScalarKind::F32 => self.run_as::<f32>(venue, entry, sink),
            ScalarKind::F64 => self.run_as::<f64>(venue, entry, sink),
        }
    }

    fn run_as<T: Scalar>(&self, venue: &Venue, entry: &Entry, sink: &mut dyn FnMut(Outcome)) {
        let whole = |status| Outcome::without_cases("all", None, entry, T::KIND, status);
        if !entry.supports(T::KIND) {
            return sink(whole(Status::Skipped(format!("it does not compute in {}", T::KIND))));
        }
        let remote = match venue {
            Venue::Children { program, limit } => Some(Arc::new(Remote::<T>::new(program, entry, *limit))),
            Venue::ThisProcess => None,
        };
        let available = match &remote {
            Some(remote) => remote.availability(),
            None => Ok(entry.available()),
        };
        match available {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return sink(whole(Status::Unavailable(reason.to_string()))),
            Err(error) => return sink(whole(Status::Failed(Some(error.to_string())))),
        }
        let cores = crate::machine::cores();
        let mut threads = self.thread_counts(entry, cores);
        if !entry.profile().parallel {
            threads.retain(|count| count.get() == 1);
        }
        if threads.is_empty() {
            return sink(whole(Status::Skipped("it is serial, and other thread counts were asked for".into())));
        }
        let entry = match &remote {
            Some(remote) => entry.answered_by::<T>(Arc::clone(remote) as Arc<dyn Backend<T>>),
            None => entry.clone(),
        };
        let mut trial = Trial { suite: self, entry: &entry, remote: remote.as_deref(), threads: &threads, late: 0 };
        for case in self.fixtures.iter().filter(|case| self.selects(Tier::T2, &case.name)) {
            sink(trial.outcome(&case.name, Tier::T2, &|probe| {
                probe.once(|probe| {
                    let got = actual::run(&probe.open()?, &case.call)?;
                    Ok(compare::judge_case::<T>(case, &got))
                })
            }));
        }
        for check in checks::all().iter().filter(|check| self.selects(check.tier, check.name)) {
            let mut outcome = trial.outcome(check.name, check.tier, &|probe| check.run(probe));
            outcome.may_pass_alone |= check.by_luck();
            sink(outcome);
        }
    }

    fn selects(&self, tier: Tier, name: &str) -> bool {
        (self.tiers.is_empty() || self.tiers.contains(&tier))
            && (self.checks.is_empty() || self.checks.iter().any(|chosen| chosen == name))
    }
}

/// A backend that is on trial in one scalar type.
struct Trial<'a, T: Scalar> {
    suite: &'a Suite,
    entry: &'a Entry,
    remote: Option<&'a Remote<T>>,
    threads: &'a [NonZeroUsize],
    /// How many checks had to be ended for want of an answer.
    late: usize,
}

impl<T: Scalar> Trial<'_, T> {
    /// But for [`Depth::Full`], only checks of arithmetic and of bits run on all thread counts; the others on the fewest, the most, and an
    /// odd one between.
    fn threads_of(&self, tier: Tier) -> Vec<NonZeroUsize> {
        const BETWEEN: usize = 3;
        let counts = self.threads.iter().copied();
        if self.suite.depth == Depth::Full || matches!(tier, Tier::T0 | Tier::T1 | Tier::Determinism) {
            return counts.collect();
        }
        let outermost = [self.threads.first(), self.threads.last()];
        counts.filter(|count| count.get() == BETWEEN || outermost.contains(&Some(count))).collect()
    }

    /// One check on each thread count, up to the first failure.
    fn outcome(&mut self, name: &str, tier: Tier, run: &(dyn Fn(&mut Probe<'_, T>) -> Result<()> + Sync)) -> Outcome {
        let mut outcome = Outcome::without_cases(name, Some(tier), self.entry, T::KIND, Status::Passed);
        if self.suite.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            outcome.status = Status::Skipped("the run was stopped".into());
            return outcome;
        }
        if self.late >= MOST_LATE {
            let reason = format!("not run: {MOST_LATE} checks before it got no answer in time");
            outcome.status = Status::Failed(Some(reason));
            return outcome;
        }
        let mut skipped = None;
        let (mut numbers, mut zeros) = (0, 0);
        let threads = self.threads_of(tier);
        for &count in &threads {
            let mut probe = Probe::new(self.entry, self.remote, (count, &threads), name, self.suite);
            // In a thread of its own: floating-point modes that a backend leaves changed end with it, and a panic is a result.
            let start = std::thread::Builder::new();
            let ended = std::thread::scope(|scope| Ok(start.spawn_scoped(scope, || run(&mut probe))?.join()))
                .unwrap_or_else(|error: std::io::Error| Ok(Err(no_thread(self.entry, count, error))));
            let end = self.remote.map_or(Ok(()), Remote::end_stretch);
            let place = Place { threads: count.get(), ..probe.place() };
            let found = probe.into_findings();
            outcome.executed += found.executed;
            (numbers, zeros) = (numbers + found.comparison.numbers, zeros + found.comparison.zeros);
            let error = match ended {
                Ok(result) => result.and(end).err().map(|error| {
                    outcome.lost = Lost::of(&error);
                    outcome.may_pass_alone = outcome.lost.is_some();
                    self.late += usize::from(outcome.lost == Some(Lost::Late));
                    error.to_string()
                }),
                Err(payload) => Some(format!("it panicked: {}", panic_text(payload.as_ref()))),
            };
            if let Some(error) = error {
                (outcome.status, outcome.at) = (Status::Failed(Some(error)), Some(place));
                return outcome;
            }
            if found
                .comparison
                .worst
                .as_ref()
                .is_some_and(|w| outcome.worst.as_ref().is_none_or(|o| w.ratio() > o.ratio()))
            {
                (outcome.worst, outcome.at) = (found.comparison.worst, found.worst_at);
            }
            if outcome.worst.as_ref().is_some_and(|worst| !worst.is_within()) {
                outcome.status = Status::Failed(None);
                return outcome;
            }
            skipped = skipped.or(found.skipped);
        }
        if outcome.executed == 0 || numbers == 0 {
            // Nothing compared is never a pass.
            let reason = skipped.unwrap_or_else(|| "nothing in it matches the shape that was asked for".into());
            outcome.status = Status::Skipped(reason);
        } else if zeros as f64 > tolerances::MISTRUSTED_ZEROS * numbers as f64 {
            outcome.status = Status::Mistrusted(format!("{zeros} of {numbers} expected numbers are zero"));
        }
        outcome
    }
}

/// From the system, or from the clock where that has none.
fn fresh_seed() -> u32 {
    getrandom::u32().unwrap_or_else(|_| {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        time.map_or(1, |time| time.subsec_nanos())
    })
}

/// Limits on processes count threads too.
fn no_thread(entry: &Entry, asked: NonZeroUsize, error: std::io::Error) -> Error {
    let reason = format!("no thread can be started for its check: {error}");
    Error::Threads { name: entry.name().into(), asked: asked.get(), reason }
}
