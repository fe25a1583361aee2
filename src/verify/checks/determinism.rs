//! Determinism: which runs must give the same bits.

use std::num::NonZeroUsize;

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, Determinism, Engine};
use crate::scalar::Scalar;
use crate::verify::cases::{Depth, Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::trial::Trial;

/// Engines that work at once.
const AT_ONCE: usize = 8;

fn outputs_of<T: Scalar>(engine: &dyn Engine<T>, shape: Shape, seed: u32) -> Result<Trial<T>> {
    let mut trial = Trial::normal(shape, Activation::Sigmoid, seed);
    trial.run(engine, T::of(0.1))?;
    Ok(trial)
}

fn hold<T: Scalar>(found: &mut Comparison, when: &str, got: &Trial<T>, expected: &Trial<T>) {
    for ((what, got), (_, expected)) in got.outputs().into_iter().zip(expected.outputs()) {
        found.same_bits(&format!("{what} {when}"), got.view(), expected.view());
    }
}

/// On a new layer of the same engine, and on a new engine. (The same layer again is a check of its state.)
pub(super) fn repeated<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    let (entry, threads) = (probe.entry().clone(), probe.threads());
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let first = outputs_of(engine.as_ref(), shape, seed)?;
        for _ in 0..3 {
            hold(&mut found, "of a new layer", &outputs_of(engine.as_ref(), shape, seed)?, &first);
        }
        let another = entry.open::<T>(threads)?;
        hold(&mut found, "of a new engine", &outputs_of(another.as_ref(), shape, seed)?, &first);
        Ok(found)
    })
}

/// On one thread and on the probe's.
pub(super) fn threads<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let profile = probe.entry().profile();
    if profile.determinism != Determinism::AnyThreads {
        probe.skip("it promises equal bits for a fixed number of threads only");
        return Ok(());
    }
    if !profile.parallel {
        probe.skip("it is serial: there is one thread count");
        return Ok(());
    }
    if probe.threads() == NonZeroUsize::MIN {
        probe.skip("only one thread was asked for");
        return Ok(());
    }
    let one = probe.entry().open::<T>(NonZeroUsize::MIN)?;
    let many = probe.open()?;
    let tables: &[Table] = if probe.depth() == Depth::Full {
        &[Table::Ordinary, Table::Long, Table::Workload]
    } else {
        &[Table::Ordinary, Table::Long]
    };
    probe.each(tables, |shape, seed| {
        let mut found = Comparison::default();
        let expected = outputs_of(one.as_ref(), shape, seed)?;
        hold(&mut found, "against one thread", &outputs_of(many.as_ref(), shape, seed)?, &expected);
        Ok(found)
    })
}

/// Several engines at the same time, each opened in its own thread.
pub(super) fn concurrent<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (entry, threads) = (probe.entry().clone(), probe.threads());
    probe.each(&[Table::Little], |shape, seed| {
        let mut found = Comparison::default();
        let alone = outputs_of(entry.open::<T>(threads)?.as_ref(), shape, seed)?;
        let work = || {
            let engine = entry.open::<T>(threads)?;
            (0..4).map(|_| outputs_of(engine.as_ref(), shape, seed)).collect::<Result<Vec<_>>>()
        };
        let together: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        });
        for trials in together {
            for trial in trials? {
                hold(&mut found, "of one engine among eight", &trial, &alone);
            }
        }
        Ok(found)
    })
}
