//! One workload on one engine, ready to be timed phase by phase. Used by the main job and by the criterion benches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{ArcArray2, Array2};

use crate::data::PictureSet;
use crate::error::Result;
use crate::layer::{Descent, Engine};
use crate::network::{Network, Parameters, in_run};
use crate::scalar::Scalar;
use crate::train::{Composed, Trainer};
use crate::workload::{LEARNING_RATE, Phase, SEED, Workload};

/// A workload, planned on an engine, with its data.
pub struct Job<T: Scalar> {
    engine: Arc<dyn Engine<T>>,
    network: Network<T>,
    trainer: Composed<T>,
    start: Parameters<T>,
    x: ArcArray2<T>,
    y: Array2<T>,
}

impl<T: Scalar> Job<T> {
    /// Plans `workload` on `engine`; X and Y come from `pictures`.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) where pictures and architecture do not fit, or of the engine.
    pub fn new(engine: &Arc<dyn Engine<T>>, workload: &Workload, pictures: &PictureSet) -> Result<Self> {
        pictures.expect_features(workload.architecture.inputs())?;
        let (x, y) = (pictures.x::<T>(), pictures.y::<T>());
        let start = Parameters::initialized(&workload.architecture, workload.init, SEED);
        let descent = Descent::plain(T::of(LEARNING_RATE));
        let mut job = Job {
            engine: Arc::clone(engine),
            network: Network::with_parameters(engine, start.clone())?,
            trainer: Composed::new(engine, &start, x.clone(), y.view(), descent)?,
            start,
            x,
            y,
        };
        job.reset()?;
        Ok(job)
    }

    /// Goes back to the initial parameters, and leaves the state of a forward pass for the backward phase.
    ///
    /// # Errors
    /// Of the engine.
    pub fn reset(&mut self) -> Result<()> {
        self.trainer.import(&self.start)?;
        let Job { engine, network, x, .. } = self;
        in_run(engine.as_ref(), || network.forward(x.view()).map(drop))
    }

    /// The time of `repeats` passes of a phase. Entering the engine's thread pool is outside the clock.
    /// Steps change the parameters: [`reset`](Self::reset) before each sample.
    ///
    /// # Errors
    /// Of the engine.
    pub fn run(&mut self, phase: Phase, repeats: u64) -> Result<Duration> {
        let Job { engine, network, trainer, x, y, .. } = self;
        in_run(engine.as_ref(), || {
            let clock = Instant::now();
            for _ in 0..repeats {
                match phase {
                    Phase::Forward => {
                        std::hint::black_box(network.forward(x.view())?);
                    }
                    Phase::Backward => network.backward(x.view(), y.view(), None)?,
                    Phase::Step => {
                        std::hint::black_box(trainer.step()?);
                    }
                }
            }
            Ok(clock.elapsed())
        })
    }
}
