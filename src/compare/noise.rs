//! How far two children of the same cell lie apart, from the A/A pairs of the records: what no child's samples can show. Twins run in the
//! same rounds, echoes at another time.

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
    /// Between times of the same rounds: of all twins of `results`; none where there is no pair, and then nothing is known of it.
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

    /// Between times of different runs: of all echoes of `results`; none where there are none. Slow drifts of the machine are in
    /// it, and the two runs that are compared may lie further apart than any echo from its cell: it is the least that is to be
    /// expected.
    pub fn between_runs<'a>(results: impl IntoIterator<Item = &'a Results>) -> Option<Self> {
        let logs: Vec<f64> = results.into_iter().flat_map(Results::echo_logs).collect();
        let squares: f64 = logs.iter().map(|log| log * log).sum();
        let pairs = logs.len();
        (pairs > 0).then(|| Noise { deviation: (squares / pairs as f64).sqrt(), pairs })
    }

    /// How far the ratio of two cells' times may be off for the noise alone, with a probability of 95%, as a natural logarithm: where the
    /// times are geometric means over so many children of each. Student's t allows for how well the deviation is known.
    pub fn margin(&self, children: [usize; 2]) -> f64 {
        self.margin_of_mean([children])
    }

    /// The same for the geometric mean of several such ratios, each of its own children: their deviations average out.
    pub(super) fn margin_of_mean(&self, ratios: impl IntoIterator<Item = [usize; 2]>) -> f64 {
        // In variances of one child.
        let of_ratio = |children: [usize; 2]| children.iter().map(|&count| 1.0 / count as f64).sum::<f64>();
        let (sum, count) =
            ratios.into_iter().fold((0.0, 0.0), |(sum, count), ratio| (sum + of_ratio(ratio), count + 1.0));
        t_quantile(self.pairs) * self.deviation * (sum / 2.0).sqrt() / count
    }
}

/// Widens the interval of a ratio, which knows of deviations from sample to sample, by those from child to child.
pub(super) fn widened(ratio: f64, (low, high): (f64, f64), margin: f64) -> (f64, f64) {
    let further = |of: f64| of.ln().max(0.0).hypot(margin).exp();
    (ratio / further(ratio / low), ratio * further(high / ratio))
}
