//! Training: the [`Trainer`] of a run, the default that is made of layers, and the loop. No files, no progress display.

mod layer_trainer;
mod run;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::layer::{Engine, Trainer, Training};
use crate::network::in_run;
use crate::scalar::Scalar;

pub use layer_trainer::LayerTrainer;
pub use run::{End, Leg, Outcome, run};

/// Whoever does this run on this engine: the engine's own trainer, or else one that is made of its layers. The one place that makes any.
///
/// # Errors
/// As [`Training::check`], or where the engine cannot do such a run.
pub fn trainer<T: Scalar>(engine: &Arc<dyn Engine<T>>, training: &Training<T>) -> Result<Box<dyn Trainer<T>>> {
    training.check()?;
    match engine.trainer(training)? {
        Some(trainer) => Ok(trainer),
        None => Ok(Box::new(LayerTrainer::new(engine, training)?)),
    }
}

/// Runs `iterations` steps inside the engine. `watch` sees each iteration (from 0) and its cost, and may end the run early.
/// Returns the costs, each before the update of its iteration.
///
/// # Errors
/// [`Error::Diverged`] at the first cost that is not finite; the trainer then holds the parameters after that step. Errors of
/// the trainer.
pub fn train<T: Scalar>(
    engine: &dyn Engine<T>,
    trainer: &mut dyn Trainer<T>,
    iterations: usize,
    watch: &mut (dyn FnMut(usize, f64) -> ControlFlow<()> + Send),
) -> Result<Vec<f64>> {
    in_run(engine, || {
        let mut costs = Vec::with_capacity(iterations.min(1 << 20));
        for iteration in 0..iterations {
            let cost = trainer.step()?;
            if !cost.is_finite() {
                return Err(Error::Diverged { what: "the cost", value: cost, iteration });
            }
            costs.push(cost);
            if watch(iteration, cost).is_break() {
                break;
            }
        }
        Ok(costs)
    })
}
