//! A training run that can be stopped, checkpointed, resumed and saved from divergence. No files here: the caller writes them.

use std::ops::ControlFlow;

use super::train;
use crate::error::{Error, Result};
use crate::layer::{Engine, Trainer};
use crate::model::{Parameters, State};
use crate::scalar::Scalar;

/// Steps between two copies of the state, without a checkpoint: at most so many are done again when a run diverges.
const SNAPSHOT_EVERY: usize = 100;

/// How far a run goes, and where it starts.
#[derive(Clone, Debug)]
pub struct Span {
    /// Costs of the steps that are done already; empty for a new run. The trainer holds the state after them.
    pub costs: Vec<f64>,
    /// The number of steps of the whole run, those done included.
    pub planned: usize,
    /// Steps between two calls of `checkpoint`, counted from the run's start.
    pub checkpoint_every: Option<usize>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// All planned steps are done.
    Finished,
    /// `watch` ended it.
    Stopped,
    /// The cost before this step (from 0) was not finite. Nothing of that step is in the result.
    Diverged {
        /// The step.
        iteration: usize,
        /// Its cost.
        cost: f64,
    },
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Trained<T> {
    /// The cost before each step done; all are finite.
    pub costs: Vec<f64>,
    /// The parameters after the last step done. After a divergence: the last ones whose cost was finite.
    pub parameters: Parameters<T>,
    /// All that the trainer needs to go on from there.
    pub state: State<T>,
    /// How it ended.
    pub end: End,
}

/// Runs a span. `watch` sees each step (from 0) with its cost and may stop the run after it; `checkpoint` gets the state and the costs
/// so far at every multiple of `checkpoint_every`, but not at the end.
///
/// The result does not depend on where a run was cut: for an engine whose results are the same from run to run, resuming from a
/// checkpoint continues bit for bit.
///
/// # Errors
/// Of the trainer; a divergence is no error here.
pub fn run<T: Scalar>(
    engine: &dyn Engine<T>,
    trainer: &mut dyn Trainer<T>,
    span: Span,
    watch: &mut (dyn FnMut(usize, f64) -> ControlFlow<()> + Send),
    checkpoint: &mut dyn FnMut(&State<T>, &[f64]),
) -> Result<Trained<T>> {
    let Span { mut costs, planned, checkpoint_every } = span;
    let ended =
        |trainer: &dyn Trainer<T>, costs, state, end| Ok(Trained { costs, parameters: trainer.export()?, state, end });
    // The state at the start of this stretch and of the one before, with the steps done by then.
    let mut current = (costs.len(), trainer.save()?);
    let mut before = current.clone();
    while costs.len() < planned {
        let start = costs.len();
        let every = checkpoint_every.unwrap_or(SNAPSHOT_EVERY).clamp(1, SNAPSHOT_EVERY);
        // To the next multiple, so that resumed and uninterrupted runs make their checkpoints at the same steps.
        let to_checkpoint = checkpoint_every.map_or(usize::MAX, |every| every - start % every);
        let steps = every.min(to_checkpoint).min(planned - start);
        let mut stopped = false;
        let mut seen = Vec::with_capacity(steps);
        let result = train(engine, trainer, steps, &mut |step, cost| {
            seen.push(cost);
            let flow = watch(start + step, cost);
            stopped = flow.is_break();
            flow
        });
        costs.extend(seen);
        match result {
            Ok(_) => before = std::mem::replace(&mut current, (costs.len(), trainer.save()?)),
            Err(Error::Diverged { value, iteration, .. }) => {
                let iteration = start + iteration;
                // The parameters before the last step gave the last finite cost: go back and walk there again.
                let (from, state) = if iteration > start { current } else { before };
                let good = iteration.saturating_sub(1).max(from);
                trainer.restore(&state)?;
                train(engine, trainer, good - from, &mut |_, _| ControlFlow::Continue(()))?;
                costs.truncate(good);
                let state = trainer.save()?;
                return ended(trainer, costs, state, End::Diverged { iteration, cost: value });
            }
            Err(error) => return Err(error),
        }
        if stopped {
            return ended(trainer, costs, current.1, End::Stopped);
        }
        if costs.len() < planned && checkpoint_every.is_some_and(|every| costs.len().is_multiple_of(every)) {
            checkpoint(&current.1, &costs);
        }
    }
    ended(trainer, costs, current.1, End::Finished)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use ndarray::Array2;

    use super::*;
    use crate::backend::Registry;
    use crate::model::Architecture;

    /// Costs 1, 0.9, 0.8, ... until `bad`, where the parameters of the step before have spoilt it. The parameter counts steps.
    struct Counting {
        parameters: Parameters<f64>,
        bad: usize,
    }

    impl Trainer<f64> for Counting {
        fn examples(&self) -> usize {
            1
        }

        fn step_on(&mut self, _: Range<usize>) -> Result<f64> {
            let done = self.parameters.values()[0];
            self.parameters.values_mut()[0] += 1.0;
            Ok(if done < self.bad as f64 { 1.0 - 0.001 * done } else { f64::NAN })
        }

        fn export(&self) -> Result<Parameters<f64>> {
            Ok(self.parameters.clone())
        }

        fn import(&mut self, parameters: &Parameters<f64>) -> Result<()> {
            self.parameters.copy_from(parameters)
        }
    }

    fn counted(bad: usize, span: Span, stop_after: usize) -> (Trained<f64>, Vec<usize>) {
        let engine = Registry::builtin().open::<f64>("naive", 1).expect("built in");
        let mut parameters = Parameters::zeros(&Architecture::new(&[1, 1]).expect("sizes"));
        parameters.values_mut()[0] = span.costs.len() as f64;
        let mut trainer = Counting { parameters, bad };
        let mut checkpoints = Vec::new();
        let watch =
            &mut |step, _| if step + 1 == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let outcome = run(engine.as_ref(), &mut trainer, span, watch, &mut |state, costs| {
            let (mut w, mut b) = (Array2::zeros((1, 1)), Array2::zeros((1, 1)));
            state.copy_layer(0, w.view_mut(), b.view_mut()).expect("it is the parameters");
            assert_eq!(w[(0, 0)], costs.len() as f64);
            checkpoints.push(costs.len());
        });
        (outcome.expect("the trainer has no errors"), checkpoints)
    }

    fn span(planned: usize, checkpoint_every: Option<usize>) -> Span {
        Span { costs: Vec::new(), planned, checkpoint_every }
    }

    #[test]
    fn checkpoints_come_at_multiples_and_not_at_the_end() {
        for (every, expected) in [(1, vec![1, 2, 3, 4]), (2, vec![2, 4]), (5, vec![]), (300, vec![])] {
            let (outcome, checkpoints) = counted(usize::MAX, span(5, Some(every)), 0);
            assert_eq!((outcome.end, outcome.costs.len(), checkpoints), (End::Finished, 5, expected));
        }
        let (_, checkpoints) = counted(usize::MAX, span(1000, Some(250)), 0);
        assert_eq!(checkpoints, [250, 500, 750]);
        let resumed = Span { costs: vec![1.0; 130], planned: 1000, checkpoint_every: Some(250) };
        let (outcome, checkpoints) = counted(usize::MAX, resumed, 0);
        assert_eq!((outcome.costs.len(), checkpoints), (1000, vec![250, 500, 750]));
    }

    #[test]
    fn a_stopped_run_holds_what_was_done() {
        for stop in [1, 99, 100, 101, 250] {
            let (outcome, _) = counted(usize::MAX, span(1000, None), stop);
            assert_eq!((outcome.end, outcome.costs.len()), (End::Stopped, stop));
            assert_eq!(outcome.parameters.values()[0], stop as f64);
        }
    }

    /// Wherever the first bad cost falls in a stretch, the result is the last state with a finite cost.
    #[test]
    fn a_diverged_run_goes_back_to_the_last_finite_cost() {
        for bad in [1, 2, 50, 99, 100, 101, 102, 199, 200, 201, 399] {
            let (outcome, _) = counted(bad, span(1000, None), 0);
            assert!(
                matches!(outcome.end, End::Diverged { iteration, cost } if iteration == bad && cost.is_nan()),
                "{bad}"
            );
            assert_eq!(outcome.costs.len(), bad - 1, "{bad}");
            assert_eq!(outcome.parameters.values()[0], (bad - 1) as f64, "{bad}");
        }
        let (outcome, _) = counted(0, span(10, None), 0);
        assert_eq!((outcome.costs.len(), outcome.parameters.values()[0]), (0, 0.0));
    }
}
