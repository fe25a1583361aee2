//! What a timed pass gave, by name: its digest, and parts of it as numbers. Nothing is judged here.

use std::fmt;

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::data::Hasher;
use crate::model::Parameters;
use crate::network::Network;
use crate::scalar::Scalar;
use crate::workload::Phase;

/// A matrix of a phase. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Matrix {
    Z(usize),
    A(usize),
    Dw(usize),
    Db(usize),
    W(usize),
    B(usize),
    /// The cost of the last step, before its update; (1, 1).
    Cost,
}

/// As people number them.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matrix::Z(layer) => write!(f, "Z{}", layer + 1),
            Matrix::A(layer) => write!(f, "A{}", layer + 1),
            Matrix::Dw(layer) => write!(f, "dW{}", layer + 1),
            Matrix::Db(layer) => write!(f, "db{}", layer + 1),
            Matrix::W(layer) => write!(f, "W{}", layer + 1),
            Matrix::B(layer) => write!(f, "b{}", layer + 1),
            Matrix::Cost => f.write_str("the cost"),
        }
    }
}

/// Rows and columns of a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub matrix: Matrix,
    pub rows: Lines,
    pub columns: Lines,
}

/// Which rows, or columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lines {
    /// So many from the first.
    First(usize),
    These(Vec<usize>),
}

impl Lines {
    pub fn len(&self) -> usize {
        match self {
            Lines::First(count) => *count,
            Lines::These(lines) => lines.len(),
        }
    }

    /// Their numbers, of those below `count`.
    pub fn below(&self, count: usize) -> Vec<usize> {
        match self {
            Lines::First(all) => (0..count.min(*all)).collect(),
            Lines::These(lines) => lines.iter().copied().filter(|&line| line < count).collect(),
        }
    }

    /// The number of the line at a place.
    pub fn at(&self, place: usize) -> usize {
        match self {
            Lines::First(_) => place,
            Lines::These(lines) => lines.get(place).copied().unwrap_or(place),
        }
    }
}

impl Part {
    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// These rows and columns of a matrix. What it does not have is left out.
    pub fn of<T: Scalar>(&self, matrix: ArrayView2<'_, T>) -> Array2<f64> {
        let rows = matrix.select(Axis(0), &self.rows.below(matrix.nrows()));
        rows.select(Axis(1), &self.columns.below(matrix.ncols())).mapv(Scalar::widen)
    }
}

/// The results of a phase's pass.
pub(super) enum Results<'a, T: Scalar> {
    /// Of a forward pass: Z and A of all layers.
    Activations(&'a Network<T>),
    /// Of a backward pass: dW and db of all layers.
    Gradients(&'a Network<T>),
    /// Of steps: the parameters and the last cost.
    Parameters(Box<(Parameters<T>, f64)>),
}

impl<T: Scalar> Results<'_, T> {
    pub fn parameters(parameters: Parameters<T>, cost: f64) -> Self {
        Results::Parameters(Box::new((parameters, cost)))
    }

    /// SHA-256 of all numbers as little-endian doubles, row by row, in the order of [`matrices`].
    pub fn digest(&self) -> String {
        let mut hash = Hasher::new();
        let (phase, layers) = match self {
            Results::Activations(network) => (Phase::Forward, network.architecture().layers()),
            Results::Gradients(network) => (Phase::Backward, network.architecture().layers()),
            Results::Parameters(results) => (Phase::Step, results.0.architecture().layers()),
        };
        let mut bytes = Vec::new();
        for matrix in matrices(phase, layers) {
            for row in self.view(matrix).iter().flat_map(|matrix| matrix.rows()) {
                bytes.clear();
                bytes.extend(row.iter().flat_map(|number| number.widen().to_le_bytes()));
                hash.update(&bytes);
            }
        }
        if let Results::Parameters(results) = self {
            hash.update(&results.1.to_le_bytes());
        }
        hash.finish().to_string()
    }

    /// The numbers of these rows and columns, row by row; of a backward pass also of Z and A, which it starts from.
    pub fn part(&self, part: &Part) -> Array2<f64> {
        match (self, part.matrix) {
            (Results::Parameters(results), Matrix::Cost) => Array2::from_elem((1, 1), results.1),
            // What is no result of this phase has no numbers.
            _ => self.view(part.matrix).map_or(Array2::zeros((0, 0)), |matrix| part.of(matrix)),
        }
    }

    fn view(&self, matrix: Matrix) -> Option<ArrayView2<'_, T>> {
        match (self, matrix) {
            (Results::Activations(network) | Results::Gradients(network), Matrix::Z(layer)) => {
                Some(network.linear(layer))
            }
            (Results::Activations(network) | Results::Gradients(network), Matrix::A(layer)) => {
                Some(network.activation(layer))
            }
            (Results::Gradients(network), Matrix::Dw(layer)) => Some(network.gradients().layer(layer).w),
            (Results::Gradients(network), Matrix::Db(layer)) => Some(network.gradients().layer(layer).b),
            (Results::Parameters(results), Matrix::W(layer)) => Some(results.0.layer(layer).w),
            (Results::Parameters(results), Matrix::B(layer)) => Some(results.0.layer(layer).b),
            _ => None,
        }
    }
}

/// The results of a phase, in their order: Z1, A1, Z2, ...; dW1, db1, dW2, ...; W1, b1, W2, ..., the cost.
pub(super) fn matrices(phase: Phase, layers: usize) -> Vec<Matrix> {
    let of_layers = |of: fn(usize) -> [Matrix; 2]| (0..layers).flat_map(of).collect::<Vec<_>>();
    match phase {
        Phase::Forward => of_layers(|layer| [Matrix::Z(layer), Matrix::A(layer)]),
        Phase::Backward => of_layers(|layer| [Matrix::Dw(layer), Matrix::Db(layer)]),
        Phase::Step | Phase::Train => {
            let mut all = of_layers(|layer| [Matrix::W(layer), Matrix::B(layer)]);
            all.push(Matrix::Cost);
            all
        }
    }
}
