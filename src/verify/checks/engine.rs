//! The engine as such: it is what was asked for, and nothing else in silence.

use super::Probe;
use super::whole::Whole;
use crate::error::Result;
use crate::layer::Params;
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::Kind;

/// Exactly the threads that were asked for, and the same description at each opening.
pub(super) fn as_asked<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    probe.once(|probe| {
        let mut found = Comparison::default();
        let first = probe.open()?;
        found.equal("threads of the engine", first.threads() as f64, probe.threads().get() as f64);
        let again = probe.open()?;
        found.equal("threads of a second engine", again.threads() as f64, probe.threads().get() as f64);
        let same = first.description() == again.description() && !first.description().is_empty();
        found.equal(
            "engines that describe themselves unlike the first, or not at all",
            f64::from(u8::from(!same)),
            0.0,
        );
        Ok(found)
    })
}

/// Layers are planned, bound and run, and the engine is entered once more, inside its own run.
pub(super) fn nested<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(3, 5, 7), Shape::new(33, 65, 17)], |shape, seed| {
        let mut found = Comparison::default();
        let whole = Whole::odd(shape, seed);
        let (mut trial, truth) = (whole.trial::<T>(), whole.truth());
        let mut of_bound = trial.clone();
        in_run(engine.as_ref(), || {
            let mut layer = engine.plan(trial.spec)?;
            trial.forward(engine.as_ref(), layer.as_mut())?;
            trial.backward_inside(layer.as_mut(), Kind::Dz, T::one(), true)?;
            let mut bound = engine.bind(trial.spec, trial.x.to_shared())?;
            bound.import(Params { w: trial.w.view(), b: trial.b.view() })?;
            let (z, a) = (of_bound.z.view_mut(), of_bound.a.view_mut());
            in_run(engine.as_ref(), || bound.forward(0..shape.batch, z, a))
        })?;
        truth.hold(&mut found, "of a layer planned inside the run", &trial);
        found.within("Z of a layer bound inside the run", &of_bound.z, &truth.z, |_| 0.0);
        Ok(found)
    })
}

/// Planned by one thread, called by two others, dropped by a fourth; bound layers too.
pub(super) fn other_threads<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    /// On a thread of its own.
    fn elsewhere<R: Send>(job: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| scope.spawn(job).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
    let engine = probe.open()?;
    let ask = probe.float_states();
    probe.each_of(&[Shape::new(6, 17, 4), Shape::new(5, 12, 33)], |shape, seed| {
        let mut found = Comparison::default();
        let whole = Whole::odd(shape, seed);
        let (mut trial, truth) = (whole.trial::<T>(), whole.truth());
        let mut layer = engine.plan(trial.spec)?;
        elsewhere(|| trial.forward(engine.as_ref(), layer.as_mut()))?;
        elsewhere(|| trial.backward(engine.as_ref(), layer.as_mut(), Kind::Dz, T::one()))?;
        truth.hold(&mut found, "of a layer that another thread has planned", &trial);
        trial.spoil_outputs();
        let mut bound = engine.bind(trial.spec, trial.x.to_shared())?;
        elsewhere(|| bound.import(Params { w: trial.w.view(), b: trial.b.view() }))?;
        let (z, a) = (trial.z.view_mut(), trial.a.view_mut());
        elsewhere(|| in_run(engine.as_ref(), || bound.forward(0..shape.batch, z, a)))?;
        found.within("Z of a layer that another thread has bound", &trial.z, &truth.z, |_| 0.0);
        elsewhere(|| {
            drop(layer);
            drop(bound);
            // What is dropped is gone in the backend's process with the next request of this thread.
            ask().map(drop)
        })?;
        trial.spoil_outputs();
        trial.run_from(engine.as_ref(), Kind::Dz, T::one())?;
        truth.hold(&mut found, "after layers were dropped elsewhere", &trial);
        Ok(found)
    })
}
