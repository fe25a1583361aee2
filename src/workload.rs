//! The reference workloads: a named architecture with its batch, its start and its floating-point operation counts.
//! The data comes from [`data`](crate::data), the clocks from [`measure`](crate::measure).

use crate::network::{Architecture, Init};

/// One of the course's two models on 209 pictures of 12288 numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// `two-layer` or `l-layer`.
    pub name: &'static str,
    /// The sizes of its layers.
    pub architecture: Architecture,
    /// How its weights start; the seed is 1 in both.
    pub init: Init,
    /// m.
    pub batch: usize,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The forward pass of all layers.
    Forward,
    /// The backward pass of all layers, down to dW1 and db1, without the gradient of the pixels.
    Backward,
    /// A whole training step: forward, cost, backward, update.
    Step,
}

impl Phase {
    /// All phases, in the order in which reports list them.
    pub const ALL: [Phase; 3] = [Phase::Forward, Phase::Backward, Phase::Step];

    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Step => "step",
        }
    }
}

/// The seed of both models' initial weights.
pub const SEED: u32 = 1;
/// The learning rate of both models.
pub const LEARNING_RATE: f64 = 0.0075;

impl Workload {
    /// Both models: `two-layer` [12288, 7, 1] and `l-layer` [12288, 20, 7, 5, 1].
    pub fn all() -> [Workload; 2] {
        let workload = |name, dims: &[usize], init| Workload {
            name,
            architecture: Architecture::new(dims).expect("the course's sizes are fine"),
            init,
            batch: 209,
        };
        [
            workload("two-layer", &[12288, 7, 1], Init::Normal(0.01)),
            workload("l-layer", &[12288, 20, 7, 5, 1], Init::InverseSqrt),
        ]
    }

    /// The model of that name.
    pub fn find(name: &str) -> Option<Workload> {
        Workload::all().into_iter().find(|workload| workload.name == name)
    }

    /// Floating-point operations of the matrix products of a phase: 2 k per element of a product of inner size k. Bias, activation,
    /// cost and update (under 1% here) are not counted, so that rates are comparable with those of plain gemm.
    pub fn flops(&self, phase: Phase) -> f64 {
        let product = |index: usize| {
            let spec = self.architecture.layer(index, self.batch);
            2.0 * spec.inputs as f64 * spec.outputs as f64 * spec.batch as f64
        };
        let layers = self.architecture.layers();
        let forward: f64 = (0..layers).map(product).sum();
        // dW of every layer, dA_prev of every layer but the first.
        let backward = forward + (1..layers).map(product).sum::<f64>();
        match phase {
            Phase::Forward => forward,
            Phase::Backward => backward,
            Phase::Step => forward + backward,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_counts_by_hand() {
        let two = Workload::find("two-layer").expect("exists");
        assert_eq!(two.flops(Phase::Forward), 2.0 * 209.0 * (12288.0 * 7.0 + 7.0));
        assert_eq!(two.flops(Phase::Backward), 2.0 * 209.0 * (12288.0 * 7.0 + 2.0 * 7.0));
        let deep = Workload::find("l-layer").expect("exists");
        let above = 20.0 * 7.0 + 7.0 * 5.0 + 5.0;
        assert_eq!(deep.flops(Phase::Step), 2.0 * 209.0 * (2.0 * 12288.0 * 20.0 + 3.0 * above));
    }
}
