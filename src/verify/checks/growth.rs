//! Memory over time: what a pass may allocate, and that nothing is left behind by it. Both are counted in the backend's own process.

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, Layer};
use crate::network::in_run;
use crate::remote::Process;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

const NO_PROCESS: &str = "the backend computes in the judge's own process, whose memory is not its own";

/// Passes before anything is counted: threads start, queues grow, libraries set themselves up.
const WARM_UP: usize = 6;
/// Passes that are counted together.
const TOGETHER: usize = 8;
/// What happens once (a queue that grows, a thread that works for the first time) is not in every one of so many counts.
const COUNTS: usize = 8;

/// Allocations of each pass are at most those that the backend declares for its products.
pub(super) fn allocations<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let declared = probe.entry().profile().allocations_per_product;
    let Some(remote) = probe.remote() else {
        probe.skip(NO_PROCESS);
        return Ok(());
    };
    if declared == usize::MAX {
        probe.skip("the backend promises nothing about its allocations");
        return Ok(());
    }
    let threads = probe.threads();
    let engine = probe.open()?;
    let mut is_counted = true;
    probe.each_of(&[Shape::new(20, 130, 40), Shape::new(5, 12, 33)], |shape, seed| {
        let mut found = Comparison::default();
        let mut trial = Trial::<T>::normal(shape, Activation::Relu, seed);
        let mut layer = engine.plan(trial.spec)?;
        in_run(engine.as_ref(), || {
            for (pass, products) in [(Pass::Forward, 1), (Pass::Backward, 2), (Pass::WithoutInput, 1)] {
                for _ in 0..WARM_UP {
                    pass.call(&mut trial, layer.as_mut())?;
                }
                let most = (declared * products * TOGETHER) as u64;
                let mut fewest = u64::MAX;
                for _ in 0..COUNTS {
                    let before = remote.allocations(threads);
                    for _ in 0..TOGETHER {
                        pass.call(&mut trial, layer.as_mut())?;
                    }
                    let Some((before, after)) = before.zip(remote.allocations(threads)) else {
                        is_counted = false;
                        return Ok(());
                    };
                    fewest = fewest.min(after - before);
                    if fewest <= most {
                        break;
                    }
                }
                let of_a_pass = |count: u64| count as f64 / TOGETHER as f64;
                let label = format!(
                    "allocations in {}, of whose products each may make the {declared} that the profile declares",
                    pass.name()
                );
                found.equal(&label, of_a_pass(fewest.max(most)), of_a_pass(most));
            }
            Ok(())
        })?;
        Ok(found)
    })?;
    if !is_counted {
        probe.skip(
            "this program counts no allocations: declare `#[global_allocator] static ALLOCATOR: layerbench::Counting = \
             layerbench::Counting;` in it",
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Pass {
    Forward,
    Backward,
    WithoutInput,
}

impl Pass {
    fn name(self) -> &'static str {
        match self {
            Pass::Forward => "a forward pass",
            Pass::Backward => "a backward pass",
            Pass::WithoutInput => "a backward pass without dA_prev",
        }
    }

    fn call<T: Scalar>(self, trial: &mut Trial<T>, layer: &mut dyn Layer<T>) -> Result<()> {
        match self {
            Pass::Forward => trial.forward_inside(layer),
            Pass::Backward => trial.backward_inside(layer, Kind::Da, T::one(), true),
            Pass::WithoutInput => trial.backward_inside(layer, Kind::Da, T::one(), false),
        }
    }
}

/// Many outputs for little work: what is left behind weighs more than what is computed.
const WIDE: Shape = Shape::new(128, 4, 128);
/// Rounds that are weighed together, and how often, at the most.
const ROUNDS: usize = 16;
const WEIGHINGS: usize = 5;
/// Some pages, whatever the shape.
const LEAST_ALLOWED: usize = 1 << 16;

/// A pass leaves no memory behind, nor does a layer that is dropped.
pub(super) fn growth<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let Some(remote) = probe.remote() else {
        probe.skip(NO_PROCESS);
        return Ok(());
    };
    let threads = probe.threads();
    let engine = probe.open()?;
    let Some(process) = remote.process(threads).filter(|process| process.private_bytes().is_some()) else {
        probe.skip("the system does not tell how much memory a process has of its own");
        return Ok(());
    };
    probe.each_of(&[WIDE], |shape, seed| {
        let mut found = Comparison::default();
        let mut trial = Trial::<T>::normal(shape, Activation::Relu, seed);
        // Half of what n m numbers of each round would come to. Allocators keep a little here and there; they do not go on with it.
        let allowed = (ROUNDS * shape.outputs * shape.batch * size_of::<T>() / 2).max(LEAST_ALLOWED) as u64;
        let mut layer = engine.plan(trial.spec)?;
        let of_passes = in_run(engine.as_ref(), || {
            least_growth(process, allowed, || {
                trial.forward_inside(layer.as_mut())?;
                trial.backward_inside(layer.as_mut(), Kind::Da, T::one(), true)
            })
        })?;
        let of_layers = least_growth(process, allowed, || {
            let mut layer = engine.plan(trial.spec)?;
            trial.forward_inside(layer.as_mut())?;
            trial.backward_inside(layer.as_mut(), Kind::Da, T::one(), true)
        })?;
        for (what, grown) in [("of a used layer", of_passes), ("of new layers", of_layers)] {
            let per_round = if grown > allowed { grown as f64 / ROUNDS as f64 } else { 0.0 };
            found.equal(&format!("bytes left behind by both passes {what}"), per_round, 0.0);
        }
        Ok(found)
    })
}

/// By how much the process has grown in the weighing in which it has grown least; none after the first that is within what is allowed.
fn least_growth(process: Process, allowed: u64, mut round: impl FnMut() -> Result<()>) -> Result<u64> {
    for _ in 0..WARM_UP {
        round()?;
    }
    let mut least = u64::MAX;
    for _ in 0..WEIGHINGS {
        let before = process.private_bytes();
        for _ in 0..ROUNDS {
            round()?;
        }
        let Some((before, after)) = before.zip(process.private_bytes()) else { return Ok(0) };
        least = least.min(after.saturating_sub(before));
        if least <= allowed {
            break;
        }
    }
    Ok(least)
}
