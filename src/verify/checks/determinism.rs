//! Determinism: which runs must give the same bits.

use std::num::NonZeroUsize;

use super::Probe;
use crate::backend::Entry;
use crate::error::Result;
use crate::layer::{Activation, Backend, Determinism, Engine};
use crate::remote::Remote;
use crate::scalar::Scalar;
use crate::verify::cases::{Depth, Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

/// Layers that are computed at once, each by a caller of its own: of different shapes, one of them with many rows, one large enough that
/// libraries share it out among threads.
const AT_ONCE: [Shape; 8] = [
    Shape::new(100_000, 1, 1),
    Shape::new(3, 5, 7),
    Shape::new(64, 130, 33),
    Shape::new(17, 3, 9),
    Shape::new(5, 12, 33),
    Shape::new(5, 12, 33),
    Shape::new(20, 130, 17),
    Shape::new(8, 700, 8),
];
/// How often each caller does its part.
const TIMES: usize = 2;

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
    let large = probe.depth() > Depth::Quick || probe.is_last();
    let is_tried = |shape: &Shape| large || shape.work() <= 1 << 20;
    probe.each_where(&[Table::Ordinary, Table::SharedOut], is_tried, |shape, seed| {
        let mut found = Comparison::default();
        let first = outputs_of(engine.as_ref(), shape, seed)?;
        let again = |engine: &dyn Engine<T>| -> Result<Trial<T>> {
            let mut again = first.clone();
            again.spoil_outputs();
            again.run(engine, T::of(0.1))?;
            Ok(again)
        };
        // Parts of a sum that are added as they arrive seldom come in another order.
        for _ in 0..if shape.work() > 1 << 20 { 6 } else { 3 } {
            hold(&mut found, "of a new layer", &again(engine.as_ref())?, &first);
        }
        let another = entry.open::<T>(threads)?;
        hold(&mut found, "of a new engine", &again(another.as_ref())?, &first);
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

/// The same calls in another process, which has done nothing before.
pub(super) fn processes<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let Some(remote) = probe.remote() else {
        probe.skip("the backend computes in the judge's own process, and in no other");
        return Ok(());
    };
    let (engine, another) = (probe.open()?, remote.another());
    let in_another = Backend::open(&another, probe.threads())?;
    // What it makes at the first call it makes once, whoever comes first.
    const FIRST: [Shape; 8] = [Shape::new(5, 12, 33); 8];
    let mut alone = Vec::new();
    for (caller, &shape) in FIRST.iter().enumerate() {
        alone.push(outputs_of(engine.as_ref(), shape, caller as u32)?);
    }
    let first_calls = at_once(FIRST.len(), |caller| outputs_of(in_another.as_ref(), FIRST[caller], caller as u32))?;
    another.end_stretch()?;
    let mut first_found = Comparison::default();
    for ((got, alone), shape) in first_calls.iter().zip(&alone).zip(FIRST) {
        hold(&mut first_found, &format!("of {shape}, the first calls of another process, eight at once"), got, alone);
    }
    let mut first_found = Some(first_found);
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = first_found.take().unwrap_or_default();
        let (expected, got) =
            (outputs_of(engine.as_ref(), shape, seed)?, outputs_of(in_another.as_ref(), shape, seed)?);
        another.end_stretch()?;
        hold(&mut found, "of another process", &got, &expected);
        Ok(found)
    })
}

/// Several engines at the same time, each opened in its own thread: each with a layer of its own and in another order of passes;
/// where there is time, all with the same one too.
pub(super) fn concurrent<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (entry, threads) = (probe.entry().clone(), probe.threads());
    let (quick, remote) = (probe.depth() == Depth::Quick, probe.remote());
    probe.each_of(if quick { &AT_ONCE[6..7] } else { &AT_ONCE[5..7] }, |shape, seed| {
        let mut found = Comparison::default();
        if !quick {
            hold_together::<T>(&entry, threads, &[shape; AT_ONCE.len()], |_| seed, &mut found)?;
        }
        hold_together::<T>(&entry, threads, &AT_ONCE, |caller| seed.wrapping_add(caller as u32), &mut found)?;
        // The callers are gone: so shall be what stands for them.
        remote.map_or(Ok(()), Remote::end_stretch)?;
        Ok(found)
    })
}

/// Each caller does its part with all the others; alone it gave what is expected.
fn hold_together<T: Scalar>(
    entry: &Entry,
    threads: NonZeroUsize,
    shapes: &[Shape],
    seed: impl Fn(usize) -> u32,
    found: &mut Comparison,
) -> Result<()> {
    let engine = entry.open::<T>(threads)?;
    let alone = shapes.iter().enumerate().map(|(caller, &shape)| outputs_of(engine.as_ref(), shape, seed(caller)));
    let alone = alone.collect::<Result<Vec<_>>>()?;
    drop(engine);
    let work = |caller: usize| {
        let engine = entry.open::<T>(threads)?;
        let (mut trial, scale) = (alone[caller].clone(), T::of(0.1));
        let mut layer = engine.plan(trial.spec)?;
        let mut all = Vec::new();
        for _ in 0..TIMES {
            if caller.is_multiple_of(2) {
                trial.spoil_outputs();
                trial.forward(engine.as_ref(), layer.as_mut())?;
                trial.backward(engine.as_ref(), layer.as_mut(), Kind::Da, scale)?;
            } else {
                // Backward first, with the Z that is right: other callers are at another pass.
                trial.z.assign(&alone[caller].z);
                trial.backward(engine.as_ref(), layer.as_mut(), Kind::Da, scale)?;
                trial.z.fill(T::nan());
                trial.forward(engine.as_ref(), layer.as_mut())?;
            }
            all.push(trial.clone());
        }
        Ok(all)
    };
    for ((trials, alone), shape) in at_once(shapes.len(), work)?.into_iter().zip(&alone).zip(shapes) {
        for trial in trials {
            hold(found, &format!("of {shape}, one engine among eight"), &trial, alone);
        }
    }
    Ok(())
}

/// What the callers found, each in a thread of its own.
fn at_once<R: Send>(callers: usize, work: impl Fn(usize) -> Result<R> + Sync) -> Result<Vec<R>> {
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..callers).map(|caller| scope.spawn(move || work(caller))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let outcomes: Vec<Result<R>> = workers.into_iter().map(join).collect();
        outcomes.into_iter().collect()
    })
}
