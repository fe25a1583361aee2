//! Training: the [`Trainer`] of a run, the default that is made of layers, and the loop. No files, no progress display.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use layerbench::Registry;
//! use layerbench::layer::Training;
//! use layerbench::model::{Init, Parameters};
//! use layerbench::train::{train, trainer};
//! use ndarray::array;
//!
//! let engine = Registry::builtin().open::<f64>("naive", 1)?;
//! let start = Parameters::initialized(&"2,3,1".parse()?, Init::He, 1);
//! // Four examples, one a column, with their labels.
//! let (x, y) = (array![[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], array![[0.0, 1.0, 1.0, 1.0]]);
//! let run = Training::plain(start, x.into_shared(), y.into_shared(), 0.5);
//! let mut trainer = trainer(&engine, &run)?;
//! let costs = train(engine.as_ref(), trainer.as_mut(), 100, &mut |_, _| ControlFlow::Continue(()))?;
//! assert!(costs[99] < costs[0]);
//! # Ok::<(), layerbench::Error>(())
//! ```

mod layer_trainer;
mod run;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::layer::{Engine, Trainer, Training};
use crate::network::in_run;
use crate::scalar::Scalar;

pub use layer_trainer::LayerTrainer;
pub use run::{End, Span, Trained, run};

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
