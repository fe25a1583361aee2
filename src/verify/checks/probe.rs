//! What a check sees: a backend at one thread count in one scalar type, the shapes and seeds to run over, and a place for what
//! it finds.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::backend::Entry;
use crate::error::Result;
use crate::layer::Engine;
use crate::machine::FloatState;
use crate::remote::Remote;
use crate::scalar::Scalar;
use crate::verify::Place;
use crate::verify::cases::{Depth, Draw, Shape, Table, seeds};
use crate::verify::compare::Comparison;
use crate::verify::suite::Suite;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Cases that were run.
    pub executed: usize,
    /// All comparisons together.
    pub comparison: Comparison,
    /// Where the worst of them was.
    pub worst_at: Option<Place>,
    /// Why the check, or a part of it, was not run.
    pub skipped: Option<String>,
}

/// A backend at one thread count, handed to a check.
pub struct Probe<'a, T: Scalar> {
    entry: &'a Entry,
    /// Where the entry's engines live; none for this process.
    remote: Option<&'a Remote<T>>,
    threads: NonZeroUsize,
    /// Those that the check is run on, rising.
    all_threads: &'a [NonZeroUsize],
    check: &'a str,
    suite: &'a Suite,
    shape: Option<Shape>,
    seed: Option<u32>,
    findings: Findings,
}

impl<'a, T: Scalar> Probe<'a, T> {
    /// Nothing found yet.
    pub fn new(
        entry: &'a Entry,
        remote: Option<&'a Remote<T>>,
        (threads, all_threads): (NonZeroUsize, &'a [NonZeroUsize]),
        check: &'a str,
        suite: &'a Suite,
    ) -> Self {
        Probe {
            entry,
            remote,
            threads,
            all_threads,
            check,
            suite,
            shape: None,
            seed: None,
            findings: Findings::default(),
        }
    }

    /// The backend.
    pub fn entry(&self) -> &'a Entry {
        self.entry
    }

    /// The thread count.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// Whether no smaller, or no larger, thread count is tried: some checks need not run on all.
    pub fn is_outermost(&self) -> bool {
        [self.all_threads.first(), self.all_threads.last()].contains(&Some(&self.threads))
    }

    /// Whether no smaller thread count is tried.
    pub fn is_first(&self) -> bool {
        self.all_threads.first() == Some(&self.threads)
    }

    /// Whether no larger thread count is tried.
    pub fn is_last(&self) -> bool {
        self.all_threads.last() == Some(&self.threads)
    }

    /// How much is to be tried.
    pub fn depth(&self) -> Depth {
        self.suite.depth
    }

    /// Opens an engine.
    ///
    /// # Errors
    /// Of the backend.
    pub fn open(&self) -> Result<Arc<dyn Engine<T>>> {
        self.entry.open(self.threads)
    }

    /// The children that the backend computes in; none where it does so in this process.
    pub fn remote(&self) -> Option<&'a Remote<T>> {
        self.remote
    }

    /// What reads the floating-point modes of the thread on which the backend is called from this one; inside
    /// [`Engine::run`] those of all workers of the pool that it is in.
    pub fn float_states(&self) -> impl Fn() -> Result<Vec<FloatState>> + Send + Sync + use<'a, T> {
        let (remote, threads) = (self.remote, self.threads);
        move || match remote {
            Some(remote) => remote.float_states(threads),
            None => Ok(FloatState::here()),
        }
    }

    /// Notes why a part is not run.
    pub fn skip(&mut self, reason: impl Into<String>) {
        self.findings.skipped = Some(reason.into());
    }

    /// Runs `case` for each seed and each shape of the tables, or for the ones that were asked for, up to the first failure.
    ///
    /// # Errors
    /// The first error of a case; [`place`](Self::place) then tells which.
    pub fn each(&mut self, tables: &[Table], case: impl FnMut(Shape, u32) -> Result<Comparison>) -> Result<()> {
        let (suite, check) = (self.suite, self.check);
        self.over(|seed| shapes(suite, check, tables, seed), case)
    }

    /// The same over those shapes of the tables that are worth it.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn each_where(
        &mut self,
        tables: &[Table],
        is_tried: impl Fn(&Shape) -> bool,
        case: impl FnMut(Shape, u32) -> Result<Comparison>,
    ) -> Result<()> {
        let (suite, check) = (self.suite, self.check);
        let tried = |seed| shapes(suite, check, tables, seed).into_iter().filter(&is_tried).collect();
        self.over(tried, case)
    }

    /// The shapes of some tables for a seed.
    pub fn shapes(&self, tables: &[Table], seed: u32) -> Vec<Shape> {
        shapes(self.suite, self.check, tables, seed)
    }

    /// The same over shapes of the check's own.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn each_of(&mut self, shapes: &[Shape], case: impl FnMut(Shape, u32) -> Result<Comparison>) -> Result<()> {
        self.over(|_| shapes.to_vec(), case)
    }

    fn over(
        &mut self,
        shapes: impl Fn(u32) -> Vec<Shape>,
        mut case: impl FnMut(Shape, u32) -> Result<Comparison>,
    ) -> Result<()> {
        for seed in self.suite.seed.map_or_else(|| seeds(self.suite.depth), |seed| vec![seed]) {
            for shape in self.suite.shape.map_or_else(|| shapes(seed), |shape| vec![shape]) {
                (self.shape, self.seed) = (Some(shape), Some(seed));
                if !self.record(case(shape, seed)?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Runs `case` for each seed, where shapes have no meaning.
    ///
    /// # Errors
    /// The first error of a case.
    pub fn each_seed(&mut self, mut case: impl FnMut(u32) -> Result<Comparison>) -> Result<()> {
        for seed in self.suite.seed.map_or_else(|| seeds(self.suite.depth), |seed| vec![seed]) {
            self.seed = Some(seed);
            if !self.record(case(seed)?) {
                break;
            }
        }
        Ok(())
    }

    /// Runs a check that is a single case.
    ///
    /// # Errors
    /// Of the case.
    pub fn once(&mut self, case: impl FnOnce(&Self) -> Result<Comparison>) -> Result<()> {
        let found = case(self)?;
        self.record(found);
        Ok(())
    }

    /// Takes in the result of a case. Returns whether to go on.
    fn record(&mut self, found: Comparison) -> bool {
        self.findings.executed += 1;
        if self.findings.comparison.absorb(found) {
            self.findings.worst_at = Some(self.place());
        }
        self.findings.comparison.is_within()
    }

    /// The case that is being run, or was last.
    pub fn place(&self) -> Place {
        Place { threads: self.threads.get(), shape: self.shape, seed: self.seed }
    }

    /// All that was found.
    pub fn into_findings(self) -> Findings {
        self.findings
    }
}

fn shapes(suite: &Suite, check: &str, tables: &[Table], seed: u32) -> Vec<Shape> {
    let is_first = seed == suite.seed.unwrap_or_else(|| seeds(suite.depth)[0]);
    let draw = Draw { depth: suite.depth, seed, run: suite.draw, check, workloads: &suite.workloads, is_first };
    tables.iter().flat_map(|table| table.shapes(&draw)).collect()
}
