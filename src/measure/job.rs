//! One phase of a workload on one engine, ready to be timed. Used by the measured children and by the criterion benches.

use std::hint::black_box;
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use super::change;
use super::clock::Clock;
use super::results::Results;
use crate::data::Examples;
use crate::error::Result;
use crate::layer::{Engine, FirstLayer, Trainer, Training};
use crate::model::Parameters;
use crate::network::{Network, in_run};
use crate::scalar::Scalar;
use crate::train::trainer;
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
    /// Starts from the state of a forward pass, which may not have been made yet.
    Backward {
        network: Network<T>,
        has_state: bool,
    },
    Step {
        trainer: Box<dyn Trainer<T>>,
        cost: f64,
    },
    Train {
        steps: u32,
        first_layer: FirstLayer,
        last: Option<(Parameters<T>, f64)>,
    },
}

impl<T: Scalar> Job<T> {
    /// Plans a phase of `workload` on `engine`, and makes no pass; `examples` are the workload's ([`Workload::examples`]).
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) or [`Error::Shape`](crate::Error::Shape) where examples and workload do not
    /// fit, or of the engine.
    pub fn new(engine: &Arc<dyn Engine<T>>, workload: &Workload, phase: Phase, examples: Examples<T>) -> Result<Self> {
        Job::from_start(engine, workload, (phase, FirstLayer::Plain), examples, Job::start(workload))
    }

    /// The workload's initial parameters. Drawing them takes longer than most planning.
    pub(super) fn start(workload: &Workload) -> Parameters<T> {
        Parameters::initialized(&workload.architecture, workload.init, SEED)
    }

    /// As [`new`](Self::new), with [`start`](Self::start) drawn before: what is left is planning.
    pub(super) fn from_start(
        engine: &Arc<dyn Engine<T>>,
        workload: &Workload,
        (phase, first_layer): (Phase, FirstLayer),
        examples: Examples<T>,
        start: Parameters<T>,
    ) -> Result<Self> {
        let network = || -> Result<Network<T>> {
            let mut network = Network::with_parameters(engine, start.clone())?;
            network.plan(workload.batch)?;
            Ok(network)
        };
        let work = match phase {
            Phase::Forward => Work::Forward(network()?),
            Phase::Backward => Work::Backward { network: network()?, has_state: false },
            Phase::Step => Work::Step { trainer: begun(engine, &start, &examples, first_layer)?, cost: f64::NAN },
            Phase::Train => Work::Train { steps: workload.train_steps, first_layer, last: None },
        };
        Ok(Job { engine: Arc::clone(engine), examples, start, work })
    }

    /// Goes back to the initial parameters, one of them changed as the seed says; the backward phase gets the state of a forward pass to
    /// start from.
    ///
    /// # Errors
    /// Of the engine.
    pub fn reset(&mut self, seed: u64) -> Result<()> {
        let Job { engine, examples, start, work } = self;
        match work {
            Work::Step { trainer, .. } => changed(start, seed, 0, |start| trainer.import(start)),
            Work::Backward { network, has_state } => {
                in_run(engine.as_ref(), || network.forward(examples.x.view()).map(drop))?;
                *has_state = true;
                Ok(())
            }
            Work::Forward(_) | Work::Train { .. } => Ok(()),
        }
    }

    /// The time of so many passes. Each finds one element changed, where and by how much follows from the seed and the number of the pass:
    /// of X going forward, of X and of the labels going backward, of the parameters that a training run starts from. Entering the engine's
    /// thread pool is outside the clock, and so is the forward pass that the first backward pass needs.
    /// Steps change the parameters: [`reset`](Self::reset) before each sample.
    ///
    /// # Errors
    /// Of the engine.
    pub fn run(&mut self, seed: u64, passes: u64) -> Result<Duration> {
        if matches!(self.work, Work::Backward { has_state: false, .. }) {
            self.reset(seed)?;
        }
        let Job { engine, examples, start, work } = self;
        match work {
            Work::Forward(network) => {
                let mut x = examples.x.view_mut();
                timed(engine, passes, |pass| {
                    let (at, by) = change::of_x(seed, pass, x.dim());
                    let changed = x[at] + by;
                    let was = replace(&mut x[at], changed);
                    let outcome = network.forward(x.view()).map(sink);
                    x[at] = was;
                    outcome
                })
            }
            Work::Backward { network, .. } => {
                let (mut x, mut y) = (examples.x.view_mut(), examples.y.view_mut());
                timed(engine, passes, |pass| {
                    let ((at, by), label) = (change::of_x(seed, pass, x.dim()), change::of_y(seed, pass, y.dim()));
                    let (changed, flipped) = (x[at] + by, T::one() - y[label]);
                    let (was, was_label) = (replace(&mut x[at], changed), replace(&mut y[label], flipped));
                    let outcome = network.backward(x.view(), y.view(), None);
                    (x[at], y[label]) = (was, was_label);
                    outcome
                })
            }
            Work::Step { trainer, cost } => timed(engine, passes, |_| {
                *cost = black_box(trainer.step()?);
                Ok(())
            }),
            Work::Train { steps, first_layer, last } => {
                let examples = &*examples;
                timed(engine, passes, |pass| {
                    changed(start, seed, pass, |start| {
                        let mut trainer = begun(engine, start, examples, *first_layer)?;
                        let mut cost = f64::NAN;
                        for _ in 0..*steps {
                            cost = black_box(trainer.step()?);
                        }
                        *last = Some((trainer.export()?, cost));
                        Ok(())
                    })
                })
            }
        }
    }

    /// What the last pass gave; none before the first training run.
    ///
    /// # Errors
    /// Of the engine.
    pub(super) fn results(&self) -> Result<Option<Results<'_, T>>> {
        Ok(match &self.work {
            Work::Forward(network) => Some(Results::Activations(network)),
            Work::Backward { network, .. } => Some(Results::Gradients(network)),
            Work::Step { trainer, cost } => Some(Results::parameters(trainer.export()?, *cost)),
            Work::Train { last, .. } => {
                last.as_ref().map(|(parameters, cost)| Results::parameters(parameters.clone(), *cost))
            }
        })
    }
}

/// Hands the parameters on with one of them changed, and undoes that.
fn changed<T: Scalar, R>(
    start: &mut Parameters<T>,
    seed: u64,
    pass: u64,
    job: impl FnOnce(&Parameters<T>) -> Result<R>,
) -> Result<R> {
    let (place, by) = change::of_parameters::<T>(seed, pass, start.values().len());
    let was = start.values()[place];
    start.values_mut()[place] += by;
    let outcome = job(start);
    start.values_mut()[place] = was;
    outcome
}

/// Makes the compiler believe that a result is looked at.
fn sink<R>(result: R) {
    black_box(result);
}

/// A training run on the examples that has made no step.
fn begun<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    start: &Parameters<T>,
    examples: &Examples<T>,
    first_layer: FirstLayer,
) -> Result<Box<dyn Trainer<T>>> {
    let (x, y) = (examples.x.clone(), examples.y.to_shared());
    let plain = Training::plain(start.clone(), x, y, T::of(LEARNING_RATE));
    trainer(engine, &Training { first_layer, ..plain })
}

fn timed<T: Scalar>(
    engine: &Arc<dyn Engine<T>>,
    passes: u64,
    mut pass: impl FnMut(u64) -> Result<()> + Send,
) -> Result<Duration> {
    in_run(engine.as_ref(), || {
        let clock = Clock::start();
        for number in 0..passes {
            pass(number)?;
        }
        Ok(clock.elapsed())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ndarray::{ArrayView2, ArrayViewMut2};

    use super::*;
    use crate::layer::{Dense, Kernels, Layer, LayerSpec, Op};

    /// An engine that counts its products and computes nothing.
    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Engine<f64> for Counting {
        fn threads(&self) -> usize {
            1
        }

        fn description(&self) -> String {
            "counting".into()
        }

        fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<f64>>> {
            Ok(Box::new(Dense::new(self.clone(), spec)))
        }
    }

    impl Kernels<f64> for Counting {
        fn gemm(
            &mut self,
            _: f64,
            _: (Op, ArrayView2<'_, f64>),
            _: (Op, ArrayView2<'_, f64>),
            mut c: ArrayViewMut2<'_, f64>,
        ) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            c.fill(0.5);
            Ok(())
        }
    }

    #[test]
    fn planning_makes_no_pass_and_a_pass_what_its_phase_has() {
        let workload = Workload::find("planar").expect("embedded");
        // Two layers: a forward pass is two products; a backward pass is two gradients of weights and one of what is between the layers.
        let (forward, backward) = (2, 3);
        let steps = workload.train_steps as usize;
        for (phase, before_the_first, a_pass) in [
            (Phase::Forward, 0, forward),
            (Phase::Backward, forward, backward),
            (Phase::Step, 0, forward + backward),
            (Phase::Train, 0, steps * (forward + backward)),
        ] {
            let counting = Counting::default();
            let products = || counting.0.swap(0, Ordering::Relaxed);
            let engine: Arc<dyn Engine<f64>> = Arc::new(counting.clone());
            let examples = workload.examples().expect("they fit");
            let mut job = Job::new(&engine, &workload, phase, examples).expect("it fits");
            assert_eq!(products(), 0, "{phase:?}: planning");
            job.run(1, 1).expect("it runs");
            assert_eq!(products(), before_the_first + a_pass, "{phase:?}: the first");
            job.run(1, 3).expect("it runs");
            assert_eq!(products(), 3 * a_pass, "{phase:?}: three more");
        }
    }
}
