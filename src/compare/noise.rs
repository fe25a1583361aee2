//! How far two children of the same cell lie apart, from the A/A pairs of the records: what no child's samples can show.

use super::Results;
use crate::measure::statistics::t_quantile;

/// The engine's own noise, as a run's A/A pairs show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The standard deviation of the natural logarithm of the ratio of the times of two children of one cell. Without any noise it
    /// would be 0.
    pub deviation: f64,
    /// On how many differences between children of one cell it rests.
    pub pairs: usize,
}

impl Noise {
    /// Of all A/A pairs of `results`; none where there is no pair, and then nothing is known of it.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a Results>) -> Option<Self> {
        let (mut squares, mut pairs) = (0.0, 0);
        for logs in results.into_iter().flat_map(Results::twin_logs) {
            // The children of a cell: the one that counts, whose logarithm is 0, and its twins.
            let (children, sum) = (logs.len() + 1, logs.iter().sum::<f64>());
            squares += logs.iter().map(|log| log * log).sum::<f64>() - sum * sum / children as f64;
            pairs += logs.len();
        }
        // The variance of one child, twice: a ratio has two.
        (pairs > 0).then(|| Noise { deviation: (2.0 * squares / pairs as f64).sqrt(), pairs })
    }

    /// How far apart two children of one cell are with a probability of 95%, as a factor above 1. Student's t allows for how well the
    /// deviation is known: two pairs say little.
    pub fn factor(&self) -> f64 {
        self.factor_of_mean(1)
    }

    /// The same for the geometric mean over `groups` groups: each has its own children, whose differences average out.
    pub fn factor_of_mean(&self, groups: usize) -> f64 {
        (t_quantile(self.pairs) * self.deviation / (groups as f64).sqrt()).exp()
    }
}

/// Widens an interval of a ratio by what one child and the next differ in.
pub(super) fn widened((low, high): (f64, f64), factor: f64) -> (f64, f64) {
    (low / factor, high * factor)
}
