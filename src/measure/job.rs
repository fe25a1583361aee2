//! One phase of a workload on one engine, ready to be timed. Used by the measured children and by the criterion benches.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Examples;
use crate::error::Result;
use crate::layer::{Descent, Engine};
use crate::network::{Network, Parameters, in_run};
use crate::scalar::Scalar;
use crate::train::{Composed, Trainer};
use crate::workload::{LEARNING_RATE, Phase, SEED, Workload};

/// A phase of a workload, planned on an engine, with its data. It holds what its phase needs and no more.
pub struct Job<T: Scalar> {
    engine: Arc<dyn Engine<T>>,
    examples: Examples<T>,
    start: Parameters<T>,
    work: Work<T>,
}

enum Work<T: Scalar> {
    Forward(Network<T>),
    Backward(Network<T>),
    Step(Box<Composed<T>>),
    Train { steps: u32 },
}

impl<T: Scalar> Job<T> {
    /// Plans a phase of `workload` on `engine`; `examples` are the workload's ([`Workload::examples`]).
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) or [`Error::Shape`](crate::Error::Shape) where examples and workload do not
    /// fit, or of the engine.
    pub fn new(engine: &Arc<dyn Engine<T>>, workload: &Workload, phase: Phase, examples: Examples<T>) -> Result<Self> {
        let start = Parameters::initialized(&workload.architecture, workload.init, SEED);
        let network = || -> Result<Network<T>> {
            let mut network = Network::with_parameters(engine, start.clone())?;
            network.plan(workload.batch)?;
            Ok(network)
        };
        let work = match phase {
            Phase::Forward => Work::Forward(network()?),
            Phase::Backward => Work::Backward(network()?),
            Phase::Step => Work::Step(Box::new(trainer(engine, &start, &examples)?)),
            Phase::Train => Work::Train { steps: workload.train_steps },
        };
        let mut job = Job { engine: Arc::clone(engine), examples, start, work };
        job.reset()?;
        Ok(job)
    }

    /// Goes back to the initial parameters; the backward phase gets the state of a forward pass to start from.
    ///
    /// # Errors
    /// Of the engine.
    pub fn reset(&mut self) -> Result<()> {
        let Job { engine, examples, start, work } = self;
        match work {
            Work::Step(trainer) => trainer.import(start),
            Work::Backward(network) => in_run(engine.as_ref(), || network.forward(examples.x.view()).map(drop)),
            Work::Forward(_) | Work::Train { .. } => Ok(()),
        }
    }

    /// The time of `repeats` passes. Entering the engine's thread pool is outside the clock.
    /// Steps change the parameters: [`reset`](Self::reset) before each sample.
    ///
    /// # Errors
    /// Of the engine.
    pub fn run(&mut self, repeats: u64) -> Result<Duration> {
        let Job { engine, examples: Examples { x, y }, start, work } = self;
        let (examples_x, examples_y) = (x.view(), y.view());
        match work {
            Work::Forward(network) => timed(engine, repeats, || network.forward(examples_x).map(sink)),
            Work::Backward(network) => timed(engine, repeats, || network.backward(examples_x, examples_y, None)),
            Work::Step(trainer) => timed(engine, repeats, || trainer.step().map(sink)),
            Work::Train { steps } => {
                let examples = Examples { x: x.clone(), y: y.clone() };
                timed(engine, repeats, || {
                    let mut trainer = trainer(engine, start, &examples)?;
                    for _ in 0..*steps {
                        black_box(trainer.step()?);
                    }
                    trainer.export().map(sink)
                })
            }
        }
    }
}

/// Makes the compiler believe that a result is looked at.
fn sink<R>(result: R) {
    black_box(result);
}

fn trainer<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    start: &Parameters<T>,
    examples: &Examples<T>,
) -> Result<Composed<T>> {
    let descent = Descent::plain(T::of(LEARNING_RATE));
    Composed::new(engine, start, examples.x.clone(), examples.y.view(), descent)
}

fn timed<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    repeats: u64,
    mut pass: impl FnMut() -> Result<()> + Send,
) -> Result<Duration> {
    in_run(engine.as_ref(), || {
        let clock = Instant::now();
        for _ in 0..repeats {
            pass()?;
        }
        Ok(clock.elapsed())
    })
}
