//! A whole training run: what it is, and the trait of whoever does it. They stand here because an [`Engine`](super::Engine) may be the one.

use std::fmt;
use std::ops::Range;

use ndarray::ArcArray2;

use crate::error::{Error, Result};
use crate::model::{Architecture, Descent, LayerSpec, Loss, Parameters, State, UpdateRule};
use crate::scalar::Scalar;

/// What a training run is: all that its result depends on, but for who computes it.
#[derive(Debug)]
pub struct Training<T: Scalar> {
    /// What it starts from. The architecture is theirs.
    pub start: Parameters<T>,
    /// What is made small.
    pub loss: Loss,
    /// How gradients become new parameters.
    pub rule: Box<dyn UpdateRule<T>>,
    /// How the layer that is bound to X computes and updates.
    pub first_layer: FirstLayer,
    /// X, (n0, M).
    pub x: ArcArray2<T>,
    /// Y, (nL, M).
    pub y: ArcArray2<T>,
    /// The most columns of X that a step is on.
    pub batch: usize,
}

impl<T: Scalar> Training<T> {
    /// The notebook's: full-batch gradient descent on cross-entropy, the first layer like any other.
    pub fn plain(start: Parameters<T>, x: ArcArray2<T>, y: ArcArray2<T>, rate: T) -> Self {
        let batch = x.ncols();
        let rule = Box::new(Descent::plain(rate));
        Training { start, loss: Loss::CrossEntropy, rule, first_layer: FirstLayer::Plain, x, y, batch }
    }

    /// The network's sizes and activations.
    pub fn architecture(&self) -> &Architecture {
        self.start.architecture()
    }

    /// Holds its parts against each other.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where data and network do not fit, [`Error::Setting`] for a rate that is not finite and positive or no examples,
    /// [`Error::Architecture`] where the loss is not for such a network.
    pub fn check(&self) -> Result<()> {
        let architecture = self.architecture();
        let examples = self.x.ncols();
        expect("X", format!("{} rows", architecture.inputs()), format!("{} rows", self.x.nrows()))?;
        expect("Y", format!("shape ({}, {examples})", architecture.outputs()), format!("shape {:?}", self.y.dim()))?;
        if examples == 0 {
            return Err(Error::Setting { what: "the number of examples", found: "0".into(), expected: "at least 1" });
        }
        if self.batch == 0 || self.batch > examples {
            return Err(Error::Setting {
                what: "the batch",
                found: self.batch.to_string(),
                expected: "at least 1 and at most the number of examples",
            });
        }
        if let Some(descent) = self.rule.as_descent() {
            crate::model::check_rate(descent.rate.widen())?;
        }
        self.loss.expect(architecture)
    }
}

fn expect(what: &'static str, expected: String, found: String) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Mismatch { what, expected, found }) }
}

/// A way of the first layer, which is bound to its constant X.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstLayer {
    /// As any other layer: forward, backward, update.
    #[default]
    Plain,
    /// W is not formed while training ([`ImplicitBound`](super::ImplicitBound)). For gradient descent only.
    Implicit,
}

impl FirstLayer {
    /// All ways, in the order in which reports list them.
    pub const ALL: [FirstLayer; 2] = [FirstLayer::Plain, FirstLayer::Implicit];

    /// Whether this is the plain way.
    pub fn is_plain(&self) -> bool {
        *self == FirstLayer::Plain
    }

    /// Multiply-adds that the first layer of a run takes this way: the steps, and what it makes before and after them. `spec.batch` are all
    /// examples, and each step is on all of them.
    pub fn multiply_adds(self, spec: LayerSpec, steps: usize) -> f64 {
        let [k, n, m] = [spec.inputs, spec.outputs, spec.batch].map(|size| size as f64);
        let around = match self {
            FirstLayer::Plain => 0.0,
            // Half of X^T X, W0 X, and S X^T at the end.
            FirstLayer::Implicit => k * m * m / 2.0 + 2.0 * n * k * m,
        };
        steps as f64 * self.multiply_adds_of_step(spec) + around
    }

    /// Those of a step alone.
    pub fn multiply_adds_of_step(self, spec: LayerSpec) -> f64 {
        let [k, n, m] = [spec.inputs, spec.outputs, spec.batch].map(|size| size as f64);
        match self {
            FirstLayer::Plain => 2.0 * n * k * m,
            FirstLayer::Implicit => n * m * m,
        }
    }

    /// The way with the least arithmetic for such a run of gradient descent: implicit where the layer is wider than it has examples and the run long
    /// enough to pay for X^T X.
    pub fn cheapest(spec: LayerSpec, steps: usize) -> FirstLayer {
        let pays = FirstLayer::Implicit.multiply_adds(spec, steps) < FirstLayer::Plain.multiply_adds(spec, steps);
        if spec.inputs > spec.batch && pays { FirstLayer::Implicit } else { FirstLayer::Plain }
    }
}

impl fmt::Display for FirstLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            FirstLayer::Plain => "plain",
            FirstLayer::Implicit => "implicit",
        })
    }
}

/// One training run: data and parameters are inside.
///
/// The default is [`LayerTrainer`](crate::train::LayerTrainer). An engine that owns the whole step supplies its own
/// ([`Engine::trainer`](super::Engine::trainer)). `verify` holds the engine's layers, and no trainer of its own yet: `measure` holds that against a replay of
/// itself only, and whoever writes one tests it against the default, as `examples/custom-backend` does.
pub trait Trainer<T: Scalar>: Send {
    /// M, the columns of X.
    fn examples(&self) -> usize;

    /// One step on these columns of X, as many as the run's batch or fewer. Returns the cost before the update.
    ///
    /// # Errors
    /// [`Error::Columns`] where there are no such columns or they are too many, and where the backend reports one.
    fn step_on(&mut self, columns: Range<usize>) -> Result<f64>;

    /// One step on all columns of X.
    ///
    /// # Errors
    /// As [`step_on`](Self::step_on).
    fn step(&mut self) -> Result<f64> {
        self.step_on(0..self.examples())
    }

    /// The current parameters.
    ///
    /// # Errors
    /// Where the backend cannot hand them out.
    fn export(&self) -> Result<Parameters<T>>;

    /// Begins anew from the given parameters, as before the first step.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where they are of another architecture.
    fn import(&mut self, parameters: &Parameters<T>) -> Result<()>;

    /// All that it needs to go on bit for bit. The default is for trainers that remember nothing but the parameters.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    fn save(&self) -> Result<State<T>> {
        let mut state = State::default();
        self.export()?.save(0, &mut state);
        Ok(state)
    }

    /// Goes back (or on) to what was saved.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the state is of another run.
    fn restore(&mut self, state: &State<T>) -> Result<()> {
        let mut parameters = self.export()?;
        parameters.restore(0, state)?;
        self.import(&parameters)
    }
}
