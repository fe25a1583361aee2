//! Workloads: a named architecture with its batch, its start, its data, and its operation counts. They are data: the
//! embedded ones are the files of `benchmarks/`, users add their own. The clocks are in [`measure`](crate::measure).

mod format;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::{Examples, PictureSet, Split};
use crate::error::{Error, Result};
use crate::layer::FirstLayer;
use crate::model::{Architecture, Init, LayerSpec};
use crate::scalar::Scalar;

/// A network and the examples that it is run on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "format::Flat", into = "format::Flat")]
pub struct Workload {
    /// Letters, digits, `-`, `_` and `.`; unique in a run.
    pub name: String,
    /// The sizes of its layers.
    pub architecture: Architecture,
    /// How its weights start, from [`SEED`].
    pub init: Init,
    /// m.
    pub batch: usize,
    /// Where X and Y come from.
    pub data: DataKind,
    /// Steps of one pass of [`Phase::Train`].
    pub train_steps: u32,
}

/// Where X and Y come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// Seeded: X standard normal, Y fair coins.
    #[default]
    Normal,
    /// The embedded training pictures: 12288 inputs, one output, 209 examples.
    Pictures,
}

impl DataKind {
    fn expect_fit(self, architecture: &Architecture, batch: usize) -> std::result::Result<(), String> {
        let found = (architecture.inputs(), architecture.outputs(), batch);
        match self {
            DataKind::Pictures if found != (12288, 1, 209) => Err(format!(
                "`data` is `pictures`, which are for 12288 inputs, 1 output and a batch of 209; the workload has {}, {} and {}",
                found.0, found.1, found.2
            )),
            _ => Ok(()),
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The forward pass of all layers.
    Forward,
    /// The backward pass of all layers, down to dW1 and db1, without the gradient of the pixels.
    Backward,
    /// A training step: forward, cost, backward, update.
    Step,
    /// A training run: planning, binding X, [`Workload::train_steps`] steps, and handing out the parameters. What a backend
    /// prepares once to make its steps cheap is paid here.
    Train,
}

impl Phase {
    /// All phases, in the order in which reports list them.
    pub const ALL: [Phase; 4] = [Phase::Forward, Phase::Backward, Phase::Step, Phase::Train];

    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Step => "step",
            Phase::Train => "train",
        }
    }
}

/// The seed of all initial weights.
pub const SEED: u32 = 1;
/// The seed of all [`DataKind::Normal`] examples.
pub const DATA_SEED: u32 = 2;
/// The learning rate of both of the course's models, and of every workload.
pub const LEARNING_RATE: f64 = 0.0075;

impl Workload {
    /// The course's models, which the main job measures: `two-layer` [12288, 7, 1] and `l-layer` [12288, 20, 7, 5, 1].
    pub fn reference() -> [Workload; 2] {
        ["two-layer", "l-layer"].map(|name| Workload::find(name).expect("benchmarks/course.toml has it"))
    }

    /// All workloads of this crate.
    pub fn embedded() -> Vec<Workload> {
        format::embedded()
    }

    /// The embedded workload of that name.
    pub fn find(name: &str) -> Option<Workload> {
        Workload::embedded().into_iter().find(|workload| workload.name == name)
    }

    /// Reads the workloads of a TOML file; docs/workloads.md has the format.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Workload`], which names the file, the workload and what is wrong.
    pub fn read(path: &Path) -> Result<Vec<Workload>> {
        format::read(path)
    }

    /// X and Y.
    ///
    /// # Errors
    /// [`Error::Workload`] where a workload that was put together by hand does not fit its own data.
    pub fn examples<T: Scalar>(&self) -> Result<Examples<T>> {
        match self.data {
            DataKind::Normal => {
                let (inputs, outputs) = (self.architecture.inputs(), self.architecture.outputs());
                Ok(Examples::normal(inputs, outputs, self.batch, DATA_SEED))
            }
            DataKind::Pictures => {
                self.data.expect_fit(&self.architecture, self.batch).map_err(|problem| Error::Workload {
                    file: "-".into(),
                    workload: self.name.clone(),
                    problem,
                })?;
                Ok(Examples::of_pictures(&PictureSet::synthetic(Split::Train)))
            }
        }
    }

    /// Floating-point operations of the matrix products of a pass: 2 k per element of a product of inner size k. Bias, activation,
    /// cost and update (under 1% in the course's models) are not counted, so that rates are comparable with those of plain gemm.
    /// A training run counts its steps and nothing else.
    pub fn flops(&self, phase: Phase) -> f64 {
        self.flops_by(FirstLayer::Plain, phase)
    }

    /// The same with another way of the first layer in the steps. Of an implicit one a training run also counts what is made before and after its steps.
    pub fn flops_by(&self, first_layer: FirstLayer, phase: Phase) -> f64 {
        let product = |index: usize| {
            let spec = self.architecture.layer(index, self.batch);
            2.0 * spec.inputs as f64 * spec.outputs as f64 * spec.batch as f64
        };
        let layers = self.architecture.layers();
        let forward: f64 = (0..layers).map(product).sum();
        // dW of every layer, dA_prev of every layer but the first.
        let backward = forward + (1..layers).map(product).sum::<f64>();
        let plain = match phase {
            Phase::Forward => forward,
            Phase::Backward => backward,
            Phase::Step => forward + backward,
            Phase::Train => self.steps(phase) * self.flops(Phase::Step),
        };
        let first = self.architecture.layer(0, self.batch);
        let of_first = |way: FirstLayer| match phase {
            Phase::Forward | Phase::Backward => 0.0,
            Phase::Step => way.multiply_adds_of_step(first),
            Phase::Train => way.multiply_adds(first, self.train_steps as usize),
        };
        plain + 2.0 * (of_first(first_layer) - of_first(FirstLayer::Plain))
    }

    /// Steps of a pass: [`train_steps`](Self::train_steps) in a training run, else one.
    fn steps(&self, phase: Phase) -> f64 {
        if phase == Phase::Train { f64::from(self.train_steps) } else { 1.0 }
    }

    /// Bytes that are in use at once: X, parameters and gradients, and Z, A and the upstream gradient of each layer. The cache that
    /// holds them is where a pass finds its data.
    pub fn footprint<T: Scalar>(&self) -> f64 {
        self.footprint_by::<T>(FirstLayer::Plain)
    }

    /// The same of steps with another way of the first layer.
    pub fn footprint_by<T: Scalar>(&self, first_layer: FirstLayer) -> f64 {
        let layers = (0..self.architecture.layers()).map(|index| self.architecture.layer(index, self.batch));
        let numbers: usize =
            layers.map(|spec| 2 * spec.outputs * (spec.inputs + 1) + 3 * spec.outputs * spec.batch).sum();
        let first = self.architecture.layer(0, self.batch);
        let LayerSpec { inputs: k, outputs: n, batch: m, .. } = first;
        let numbers = match first_layer {
            FirstLayer::Plain => k * m + numbers,
            // G, U, S and the change of U in place of X, W and dW.
            FirstLayer::Implicit => m * m + 3 * n * m + numbers - 2 * n * k,
        };
        (numbers * size_of::<T>()) as f64
    }

    /// Bytes that a pass must move at the least: each matrix that it reads or writes once, as if a layer's operands came from memory
    /// and stayed in cache for the layer's time. With [`flops`](Self::flops) it places a pass on the roofline.
    pub fn bytes<T: Scalar>(&self, phase: Phase) -> f64 {
        self.bytes_by::<T>(FirstLayer::Plain, phase)
    }

    /// The same with another way of the first layer in the steps.
    pub fn bytes_by<T: Scalar>(&self, first_layer: FirstLayer, phase: Phase) -> f64 {
        // By what an implicit first layer differs: its step reads G, U, S, dU and dZ, and writes dU, U and S; it needs no X and no W.
        let of_step = match first_layer {
            FirstLayer::Plain => 0.0,
            FirstLayer::Implicit => {
                let first = self.architecture.layer(0, self.batch);
                let [k, n, m] = [first.inputs, first.outputs, first.batch].map(|size| size as f64);
                m * m + 8.0 * n * m - (2.0 * k * m + 5.0 * n * k)
            }
        };
        let layers = self.architecture.layers();
        let numbers = |of: &dyn Fn(usize, f64, f64, f64) -> f64| -> f64 {
            (0..layers)
                .map(|index| {
                    let spec = self.architecture.layer(index, self.batch);
                    of(index, spec.inputs as f64, spec.outputs as f64, spec.batch as f64)
                })
                .sum()
        };
        // Reads W, b and A_prev; writes Z and A.
        let forward = numbers(&|_, k, n, m| n * k + n + k * m + 2.0 * n * m);
        // Reads A_prev, Z and dA; writes dW and db; above the first layer reads W and writes dA_prev too.
        let backward = numbers(&|index, k, n, m| {
            let down = if index > 0 { n * k + k * m } else { 0.0 };
            k * m + 2.0 * n * m + n * k + n + down
        });
        // Reads and writes the parameters, reads the gradients.
        let update = numbers(&|_, k, n, _| 3.0 * (n * k + n));
        let step = forward + backward + update + of_step;
        let count = match phase {
            Phase::Forward => forward,
            Phase::Backward => backward,
            Phase::Step => step,
            Phase::Train => self.steps(phase) * step,
        };
        count * size_of::<T>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_counts_by_hand() {
        let [two, deep] = Workload::reference();
        assert_eq!(two.flops(Phase::Forward), 2.0 * 209.0 * (12288.0 * 7.0 + 7.0));
        assert_eq!(two.flops(Phase::Backward), 2.0 * 209.0 * (12288.0 * 7.0 + 2.0 * 7.0));
        let above = 20.0 * 7.0 + 7.0 * 5.0 + 5.0;
        assert_eq!(deep.flops(Phase::Step), 2.0 * 209.0 * (2.0 * 12288.0 * 20.0 + 3.0 * above));
        assert_eq!(deep.flops(Phase::Train), 100.0 * deep.flops(Phase::Step));
    }

    #[test]
    fn byte_counts_by_hand() {
        let planar = Workload::find("planar").expect("embedded");
        let (first, second) = (4.0 * 2.0 + 4.0 + 2.0 * 400.0 + 8.0 * 400.0, 4.0 + 1.0 + 4.0 * 400.0 + 2.0 * 400.0);
        assert_eq!(planar.bytes::<f64>(Phase::Forward), 8.0 * (first + second));
        let back_first = 2.0 * 400.0 + 8.0 * 400.0 + 12.0;
        let back_second = 4.0 * 400.0 + 2.0 * 400.0 + 5.0 + 4.0 + 4.0 * 400.0;
        assert_eq!(planar.bytes::<f32>(Phase::Backward), 4.0 * (back_first + back_second));
        let in_use = 2 * 400 + 2 * 4 * 3 + 3 * 4 * 400 + 2 * 5 + 3 * 400;
        assert_eq!(planar.footprint::<f32>(), 4.0 * f64::from(in_use));
        let update = 3.0 * (12.0 + 5.0);
        assert_eq!(planar.bytes::<f64>(Phase::Step), 8.0 * (first + second + back_first + back_second + update));
    }

    #[test]
    fn examples_have_the_workloads_sizes() {
        for workload in Workload::embedded() {
            let examples = workload.examples::<f32>().expect("embedded workloads fit their data");
            assert_eq!(examples.x.dim(), (workload.architecture.inputs(), workload.batch), "{}", workload.name);
            assert_eq!(examples.y.dim(), (workload.architecture.outputs(), workload.batch), "{}", workload.name);
        }
    }
}
