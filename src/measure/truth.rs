//! Whether results of timed passes are right: forward and backward passes against exact arithmetic with its bounds, steps against a replay within
//! the tolerances of trajectories. Only parts are looked at: once where that is cheap, and wherever a replay gave something else. A library
//! whose sums come in another order from run to run breaks a promise ([`layer`](crate::layer)), and is not wrong.

use ndarray::{Array2, Axis};

use super::cell::Cell;
use super::change::{self, draw};
use super::job::Job;
use super::protocol::{Cause, Failure, Passes};
use super::results::{Lines, Matrix, Part, matrices};
use super::sampling::Shown;
use crate::data::Examples;
use crate::error::Result;
use crate::layer::Activation;
use crate::model::Architecture;
use crate::scalar::{Scalar, ScalarKind};
use crate::verify::compare::{Comparison, Worst};
use crate::verify::reference::{Bounded, Layer, Reference, exact_layers};
use crate::verify::tolerances::{Growth, TRAJECTORY_F32, TRAJECTORY_F32_STEPS, TRAJECTORY_F64};
use crate::workload::Phase;

/// So many rows of gradients and parameters, and columns of activations, are looked at: the changed one and others that are drawn.
const LOOKS: usize = 4;

/// What the parent wants to see of a sample's last pass.
pub(super) fn parts(cell: &Cell, passes: Passes) -> Vec<Part> {
    let (architecture, batch) = (&cell.workload.architecture, cell.workload.batch);
    let layers = architecture.layers();
    let last = passes.count.saturating_sub(1);
    let all = Lines::First;
    let dim = |layer: usize| (architecture.dims()[layer + 1], architecture.dims()[layer]);
    let column = change::of_x::<f64>(passes.seed, last, (architecture.inputs(), batch)).0.1;
    let columns = Lines::These(some(batch, Some(column)));
    // Rows of W and b of a layer; b has the same.
    let (changed_layer, changed_row) = changed_row(architecture, cell.phase, passes.seed, last);
    let rows: Vec<Lines> = (0..layers)
        .map(|layer| Lines::These(some(dim(layer).0, (layer == changed_layer).then_some(changed_row))))
        .collect();
    let part = |matrix| {
        let (rows, columns) = match matrix {
            Matrix::Z(layer) | Matrix::A(layer) if cell.phase == Phase::Forward => (all(dim(layer).0), columns.clone()),
            // Backward starts from all of them.
            Matrix::Z(layer) | Matrix::A(layer) => (all(dim(layer).0), all(batch)),
            Matrix::Dw(layer) | Matrix::W(layer) => (rows[layer].clone(), all(dim(layer).1)),
            Matrix::Db(layer) | Matrix::B(layer) => (rows[layer].clone(), all(1)),
            Matrix::Cost => (all(1), all(1)),
        };
        Part { matrix, rows, columns }
    };
    let mut wanted = matrices(cell.phase, layers);
    if cell.phase == Phase::Backward {
        wanted.extend(matrices(Phase::Forward, layers));
    }
    wanted.into_iter().map(part).collect()
}

/// Whether the truth of a pass costs a fraction of a second. Of steps there is none.
pub(super) fn is_cheap(cell: &Cell) -> bool {
    const PRODUCTS: usize = 1 << 27;
    let batch = cell.workload.batch;
    let layers =
        || (0..cell.workload.architecture.layers()).map(|layer| cell.workload.architecture.layer(layer, batch));
    let products = match cell.phase {
        Phase::Forward => layers().map(|spec| LOOKS.saturating_mul(spec.inputs).saturating_mul(spec.outputs)).sum(),
        // Some rows of each dW, and above the first layer all of dA.
        Phase::Backward => layers()
            .enumerate()
            .map(|(layer, spec)| {
                let rows = if layer > 0 { LOOKS + spec.outputs } else { LOOKS };
                rows.saturating_mul(spec.inputs).saturating_mul(batch)
            })
            .fold(0, usize::saturating_add),
        Phase::Step | Phase::Train => usize::MAX,
    };
    products <= PRODUCTS
}

/// The layer and the row of the parameter that was changed before the last pass. Steps have it from their sample's reset.
fn changed_row(architecture: &Architecture, phase: Phase, seed: u64, last: u64) -> (usize, usize) {
    let count = architecture.dims().windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum();
    let pass = if phase == Phase::Train { last } else { 0 };
    let mut place = change::of_parameters::<f64>(seed, pass, count).0;
    for (layer, pair) in architecture.dims().windows(2).enumerate() {
        let (weights, all) = (pair[1] * pair[0], pair[1] * (pair[0] + 1));
        if place < all {
            return (layer, if place < weights { place / pair[0] } else { place - weights });
        }
        place -= all;
    }
    (0, 0)
}

/// Some numbers below `count`, one of them given.
fn some(count: usize, given: Option<usize>) -> Vec<usize> {
    let mut some: Vec<usize> = given.into_iter().collect();
    while some.len() < LOOKS.min(count) {
        let another = (draw() % count as u64) as usize;
        if !some.contains(&another) {
            some.push(another);
        }
    }
    some
}

/// Holds what was shown against what is true.
///
/// # Errors
/// [`Cause::Verification`], with the place, both values and the bound; and those of `replayed`, which has the same parts shown by a child that is
/// not timed.
pub(super) fn hold(
    cell: &Cell,
    shown: &Shown,
    replayed: impl FnOnce() -> std::result::Result<Vec<Array2<f64>>, Failure>,
) -> std::result::Result<(), Failure> {
    let worst = match cell.phase {
        Phase::Forward | Phase::Backward => match cell.scalar {
            ScalarKind::F32 => of_exact::<f32>(cell, shown)?,
            ScalarKind::F64 => of_exact::<f64>(cell, shown)?,
        },
        Phase::Step | Phase::Train => of_replay(cell, shown, &replayed()?),
    };
    match worst.filter(|worst| !worst.is_within()) {
        None => Ok(()),
        Some(worst) => Err(Failure {
            cause: Cause::Verification,
            message: format!(
                "the last of {} timed passes gave a wrong result: {worst}; its results are {}those of the same passes in a process that is not \
                 timed. The backend returns results of other inputs, or leaves out work, when it is called again and again",
                shown.passes.count,
                if shown.is_replayed { "" } else { "not " },
            ),
        }),
    }
}

/// The worst number of a part, at its place in the whole.
fn worst_of(part: &Part, name: &str, got: &Array2<f64>, expected: &Bounded) -> Option<Worst> {
    let mut comparison = Comparison::default();
    comparison.bounded(name, got, expected);
    comparison.worst.map(|worst| {
        let index = worst.index.map(|(row, column)| (part.rows.at(row), part.columns.at(column)));
        Worst { index, ..worst }
    })
}

fn worse(a: Option<Worst>, b: Option<Worst>) -> Option<Worst> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.or_worse(b)),
        (a, b) => a.or(b),
    }
}

/// Steps against the replay of the same steps.
fn of_replay(cell: &Cell, shown: &Shown, replayed: &[Array2<f64>]) -> Option<Worst> {
    let steps = if cell.phase == Phase::Train { u64::from(cell.workload.train_steps) } else { shown.passes.count };
    let tolerance = match cell.scalar {
        ScalarKind::F64 => TRAJECTORY_F64,
        // The tolerance of so many steps; what is apart then drifts on at that rate at the most, about.
        ScalarKind::F32 => TRAJECTORY_F32 * (steps as f64 / TRAJECTORY_F32_STEPS as f64).max(1.0),
    };
    let parts = shown.parts.iter().zip(&shown.numbers).zip(replayed);
    parts
        .map(|((part, got), expected)| {
            // Relative to the largest number of the part: single ones may be as small as they like.
            let size = expected.iter().map(|number| number.abs()).fold(0.0, f64::max);
            let error = Array2::from_elem(expected.dim(), tolerance * size);
            let expected = Bounded { value: expected.clone(), error };
            worst_of(part, &part.matrix.to_string(), got, &expected)
        })
        .fold(None, worse)
}

/// Forward and backward passes against exact arithmetic.
fn of_exact<T: Scalar>(cell: &Cell, shown: &Shown) -> Result<Option<Worst>> {
    let mut examples = cell.workload.examples::<T>()?;
    let start = Job::<T>::start(&cell.workload);
    let reference = Reference::of::<T>(Growth::Hard);
    let activations = start.architecture().activations().to_vec();
    let truth = Truth { reference, layers: exact_layers(&start), activations };
    // A backward pass starts from a forward pass over unchanged inputs.
    let state = if cell.phase == Phase::Backward { truth.forward(&examples, shown) } else { None };
    let Passes { seed, count } = shown.passes;
    let last = count.saturating_sub(1);
    let (at, by) = change::of_x::<T>(seed, last, examples.x.dim());
    examples.x[at] += by;
    if cell.phase == Phase::Forward {
        return Ok(truth.forward(&examples, shown));
    }
    let label = change::of_y(seed, last, examples.y.dim());
    examples.y[label] = T::one() - examples.y[label];
    Ok(worse(state, truth.backward(&examples, shown)))
}

struct Truth {
    reference: Reference,
    layers: Vec<Layer>,
    activations: Vec<Activation>,
}

impl Truth {
    /// Some columns of Z and A: each is a pass of its own.
    fn forward<T: Scalar>(&self, examples: &Examples<T>, shown: &Shown) -> Option<Worst> {
        let (first, _) = shown.of(Matrix::Z(0))?;
        // All that were asked for, or some where it was all.
        let places = if first.columns.len() <= LOOKS {
            (0..first.columns.len()).collect()
        } else {
            some(first.columns.len(), None)
        };
        let columns: Vec<usize> = places.iter().map(|&place| first.columns.at(place)).collect();
        let x = Bounded::exact(examples.x.select(Axis(1), &columns).mapv(Scalar::widen));
        let caches = self.reference.model_forward(&x, &self.layers, &self.activations);
        let each = caches.iter().enumerate().flat_map(|(layer, (a, z))| [(Matrix::Z(layer), z), (Matrix::A(layer), a)]);
        each.map(|(matrix, expected)| {
            let (part, got) = shown.of(matrix)?;
            let looked_at = Part { columns: Lines::These(columns.clone()), ..part.clone() };
            let got = got.select(Axis(1), &places);
            worst_of(&looked_at, &matrix.to_string(), &got, expected)
        })
        .fold(None, worse)
    }

    /// Some rows of dW and db, from the Z and A that the child has.
    fn backward<T: Scalar>(&self, examples: &Examples<T>, shown: &Shown) -> Option<Worst> {
        let state = |matrix| shown.of(matrix).map(|(_, numbers)| Bounded::exact(numbers.clone()));
        let layers = self.layers.len();
        let scale = 1.0 / examples.y.ncols() as f64;
        let slope = state(Matrix::A(layers - 1))?.value - examples.y.mapv(Scalar::widen);
        let error = slope.mapv(|slope| (T::UNIT_ROUNDOFF + f64::UNIT_ROUNDOFF) * slope.abs());
        let mut dz = Bounded { value: slope, error };
        let mut found = None;
        for layer in (0..layers).rev() {
            let a_prev = match layer {
                0 => Bounded::exact(examples.x.mapv(Scalar::widen)),
                _ => state(Matrix::A(layer - 1))?,
            };
            let (part, dw) = shown.of(Matrix::Dw(layer))?;
            let rows = |of: &Array2<f64>| of.select(Axis(0), &part.rows.below(of.nrows()));
            let some = Bounded { value: rows(&dz.value), error: rows(&dz.error) };
            let (expected_dw, expected_db) = self.reference.gradients(&some, &a_prev, scale);
            found = worse(found, worst_of(part, &part.matrix.to_string(), dw, &expected_dw));
            let (part, db) = shown.of(Matrix::Db(layer))?;
            found = worse(found, worst_of(part, &part.matrix.to_string(), db, &expected_db));
            if layer > 0 {
                let da = self.reference.product(&self.layers[layer].0.t(), &dz);
                dz = self.reference.pull_back(self.activations[layer - 1], &state(Matrix::Z(layer - 1))?, &da);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::backend::{Naive, NdArray};
    use crate::layer::FirstLayer;
    use crate::layer::{Backend, Engine};
    use crate::workload::Workload;

    /// What passes with `seed` give, as an answer to a question about `asked`.
    fn shown<T: Scalar>(engine: &Arc<dyn Engine<T>>, cell: &Cell, parts: &[Part], asked: Passes, seed: u64) -> Shown {
        let examples = cell.workload.examples().expect("they fit");
        let mut job = Job::new(engine, &cell.workload, cell.phase, examples).expect("it fits");
        job.reset(seed).expect("it runs");
        job.run(seed, asked.count).expect("it runs");
        let results = job.results().expect("it runs").expect("a pass was made");
        let numbers = parts.iter().map(|part| results.part(part)).collect();
        Shown { passes: asked, parts: parts.to_vec(), numbers, is_replayed: seed == asked.seed }
    }

    /// Right results of two backends, whose sums come in different orders, are right; those of another sample are not.
    fn right_is_told_from_stale<T: Scalar>(workload: &str, phase: Phase, count: u64)
    where
        Naive: Backend<T>,
        NdArray: Backend<T>,
    {
        let (threads, workload) = (NonZeroUsize::MIN, Workload::find(workload).expect("embedded"));
        let (scalar, backend, first_layer) = (T::KIND, "naive".to_owned(), FirstLayer::Plain);
        let cell = Cell { phase, backend, workload, scalar, threads, first_layer };
        let naive = Backend::<T>::open(&Naive, threads).expect("it is here");
        let ndarray = Backend::<T>::open(&NdArray, threads).expect("it is here");
        let asked = Passes { seed: 11, count };
        let parts = parts(&cell, asked);
        let of_naive = |seed| shown(&naive, &cell, &parts, asked, seed);
        let replay = || Ok(shown(&ndarray, &cell, &parts, asked, asked.seed).numbers);
        assert_eq!(hold(&cell, &of_naive(asked.seed), replay), Ok(()), "{cell}");
        for stale in [12, 13, 14] {
            let failure = hold(&cell, &of_naive(stale), replay).expect_err("it is stale");
            assert_eq!(failure.cause, Cause::Verification, "{cell}: {failure:?}");
        }
    }

    #[test]
    fn stale_results_are_wrong_beyond_what_rounding_may_do() {
        // 12288 pixels in f32: the bound on a sum is larger than what a change of one of them by its own size does.
        for phase in [Phase::Forward, Phase::Backward] {
            for workload in ["two-layer", "l-layer"] {
                right_is_told_from_stale::<f32>(workload, phase, 2);
            }
            right_is_told_from_stale::<f32>("planar", phase, 5);
            right_is_told_from_stale::<f64>("planar", phase, 5);
        }
        right_is_told_from_stale::<f64>("l-layer", Phase::Forward, 1);
    }

    #[test]
    fn steps_from_another_start_are_told_from_steps_in_another_order_of_summation() {
        right_is_told_from_stale::<f32>("l-layer", Phase::Step, 3);
        right_is_told_from_stale::<f32>("planar", Phase::Step, 500);
        right_is_told_from_stale::<f64>("planar", Phase::Step, 500);
        right_is_told_from_stale::<f64>("planar", Phase::Train, 2);
    }

    #[test]
    fn a_worst_number_has_its_place_in_the_whole() {
        let part = Part { matrix: Matrix::Dw(0), rows: Lines::These(vec![7, 3]), columns: Lines::These(vec![5, 1]) };
        let expected = Bounded::exact(Array2::zeros((2, 2)));
        let mut got = expected.value.clone();
        got[(1, 0)] = 2.0;
        let worst = worst_of(&part, &part.matrix.to_string(), &got, &expected).expect("four numbers");
        assert_eq!(worst.to_string(), "dW1[3,5] is 2.0, expected 0.0: error 2.000e0, bound 0.000e0");
    }
}
