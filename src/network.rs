//! A network on an engine: parameters, gradients and activations in arenas, and its planned layers. What a network is as data is in
//! [`model`](crate::model), training loops are in [`train`](crate::train), pictures in [`data`](crate::data).
//!
//! ```
//! use layerbench::Registry;
//! use layerbench::model::Init;
//! use layerbench::network::Network;
//! use ndarray::array;
//!
//! let engine = Registry::builtin().open::<f64>("ndarray", 1)?;
//! let mut network = Network::new(&engine, &"2,4,1".parse()?, Init::He, 1)?;
//! let probabilities = network.predict(array![[0.0, 1.0, -1.0], [2.0, 0.0, 1.0]].view())?;
//! assert_eq!(probabilities.dim(), (1, 3));
//! assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
//! # Ok::<(), layerbench::Error>(())
//! ```

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use crate::error::{Error, Result};
use crate::layer::{Engine, Layer, Upstream};
use crate::model::{Architecture, Gradients, Init, Loss, Parameters, UpdateRule, view, view_mut};
use crate::scalar::Scalar;

/// A network on an engine.
///
/// It is planned for the largest batch so far. A call with no more examples than that allocates nothing (the network; backends declare
/// what they need).
pub struct Network<T: Scalar> {
    engine: Arc<dyn Engine<T>>,
    parameters: Parameters<T>,
    gradients: Gradients<T>,
    loss: Loss,
    plan: Plan<T>,
}

/// What depends on the batch: planned layers, and the arenas that they write to.
struct Plan<T: Scalar> {
    /// The most examples of a call.
    batch: usize,
    /// Those of the last one.
    examples: usize,
    layers: Vec<Box<dyn Layer<T>>>,
    /// Z1, A1, Z2, A2, ..., each (n, m).
    activations: Vec<T>,
    /// dA1, dA2, ..., and dZL at the end, each (n, m).
    upstream: Vec<T>,
}

impl<T: Scalar> Network<T> {
    /// A new network with initialised parameters (see [`Parameters::initialized`]).
    ///
    /// # Errors
    /// Where the engine cannot do such layers.
    pub fn new(engine: &Arc<dyn Engine<T>>, architecture: &Architecture, init: Init, seed: u32) -> Result<Self> {
        Self::with_parameters(engine, Parameters::initialized(architecture, init, seed))
    }

    /// A network with given parameters.
    ///
    /// # Errors
    /// Where the engine cannot do such layers.
    pub fn with_parameters(engine: &Arc<dyn Engine<T>>, parameters: Parameters<T>) -> Result<Self> {
        let plan = Plan::new(engine.as_ref(), parameters.architecture(), 0)?;
        let gradients = Parameters::zeros(parameters.architecture());
        Ok(Network { engine: Arc::clone(engine), parameters, gradients, loss: Loss::default(), plan })
    }

    /// The same with another loss than cross-entropy.
    #[must_use]
    pub fn with_loss(self, loss: Loss) -> Self {
        Network { loss, ..self }
    }

    /// The sizes of the layers.
    pub fn architecture(&self) -> &Architecture {
        self.parameters.architecture()
    }

    /// The engine that does the arithmetic.
    pub fn engine(&self) -> &Arc<dyn Engine<T>> {
        &self.engine
    }

    /// W1, b1, ..., WL, bL.
    pub fn parameters(&self) -> &Parameters<T> {
        &self.parameters
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> &mut Parameters<T> {
        &mut self.parameters
    }

    /// What the last [`backward`](Self::backward) found.
    pub fn gradients(&self) -> &Gradients<T> {
        &self.gradients
    }

    /// The same, to be changed before the [`update`](Self::update): clipped, summed over machines.
    pub fn gradients_mut(&mut self) -> &mut Gradients<T> {
        &mut self.gradients
    }

    /// Plans for up to m examples, unless the plan is for as many already. Other calls do this by themselves; call it to have the
    /// allocations behind you.
    ///
    /// # Errors
    /// Where the engine cannot do such layers.
    pub fn plan(&mut self, batch: usize) -> Result<()> {
        if self.plan.batch < batch {
            self.plan = Plan::new(self.engine.as_ref(), self.parameters.architecture(), batch)?;
        }
        Ok(())
    }

    /// `L_model_forward`: AL (nL, m) for X (n0, m). Z and A of every layer are kept for [`backward`](Self::backward).
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Layout`] where X does not fit.
    pub fn forward(&mut self, x: ArrayView2<'_, T>) -> Result<ArrayView2<'_, T>> {
        self.plan(x.ncols())?;
        let m = x.ncols();
        // Until all of it is there, there is nothing.
        self.plan.examples = 0;
        let mut below: &mut [T] = &mut [];
        let mut rest = self.plan.activations.as_mut_slice();
        for (index, layer) in self.plan.layers.iter_mut().enumerate() {
            let spec = self.parameters.architecture().layer(index, m);
            let size = spec.outputs * spec.batch;
            let (z, above) = rest.split_at_mut(size);
            let (a, above) = above.split_at_mut(size);
            let a_prev = if index == 0 { x } else { view((spec.inputs, spec.batch), below) };
            let dim = (spec.outputs, spec.batch);
            layer.forward(self.parameters.layer(index), a_prev, view_mut(dim, z), view_mut(dim, a))?;
            (below, rest) = (a, above);
        }
        self.plan.examples = m;
        Ok(self.output())
    }

    /// AL (nL, m) of the last forward pass.
    pub fn output(&self) -> ArrayView2<'_, T> {
        self.activation(self.architecture().layers() - 1)
    }

    /// Z (n, m) of layer `index` (from 0) in the last forward pass.
    pub fn linear(&self, index: usize) -> ArrayView2<'_, T> {
        self.plan.z_and_a(self.architecture(), index).0
    }

    /// A (n, m) of layer `index` (from 0) in the last forward pass.
    pub fn activation(&self, index: usize) -> ArrayView2<'_, T> {
        self.plan.z_and_a(self.architecture(), index).1
    }

    /// The cost of the last forward pass against Y (nL, m), computed stably from Z.
    ///
    /// # Errors
    /// [`Error::Shape`] where Y does not fit, [`Error::Architecture`] where the loss is not for such a network.
    pub fn cost(&self, y: ArrayView2<'_, T>) -> Result<f64> {
        self.loss.expect(self.architecture())?;
        self.loss.cost(self.linear(self.architecture().layers() - 1), y)
    }

    /// The gradients of the mean cost for the last forward pass on the same `x`, starting from dZ = A - Y.
    ///
    /// `dx` is the gradient of X, (n0, m), without the 1/m (the notebook's convention); leave it out where nobody needs it.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Layout`] where an argument does not fit the last forward pass, [`Error::Architecture`] where the loss is not
    /// for such a network.
    pub fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        self.loss.expect(self.architecture())?;
        let Network { parameters, gradients, plan, loss, .. } = self;
        plan.backward(parameters, gradients, *loss, (x, y), dx)
    }

    /// New parameters from the gradients of the last [`backward`](Self::backward). Layer 0 is layer `first` of the network that the rule
    /// counts in.
    ///
    /// # Errors
    /// None in practice: the gradients are this network's own.
    pub fn update(&mut self, first: usize, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        self.parameters.update(&self.gradients, first, rule)
    }

    /// The probability of class 1, (nL, m), for X (n0, m).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn predict(&mut self, x: ArrayView2<'_, T>) -> Result<Array2<T>> {
        let engine = Arc::clone(&self.engine);
        in_run(engine.as_ref(), || self.forward(x).map(|a| a.to_owned()))
    }

    /// The answers that are right: `A > 0.5` is class 1, as in the course's `predict`. `y` is (nL, m), of 0 and 1.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] where Y does not fit.
    pub fn count_correct(&mut self, x: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Result<usize> {
        let a = self.predict(x)?;
        if a.dim() != y.dim() {
            return Err(Error::Shape { what: "Y", expected: a.dim(), found: y.dim() });
        }
        let half = T::of(0.5);
        Ok(a.iter().zip(y).filter(|&(&a, &y)| (a > half) == (y > half) && !a.is_nan()).count())
    }
}

impl<T: Scalar> Plan<T> {
    fn new(engine: &dyn Engine<T>, architecture: &Architecture, batch: usize) -> Result<Self> {
        let specs = (0..architecture.layers()).map(|index| architecture.layer(index, batch));
        let layers = specs.map(|spec| engine.plan(spec)).collect::<Result<Vec<_>>>()?;
        let units: usize = architecture.dims()[1..].iter().sum();
        let size = units.checked_mul(batch).filter(|&size| size <= isize::MAX as usize / 32).ok_or_else(|| {
            Error::Setting {
                what: "the number of examples",
                found: batch.to_string(),
                expected: "so many that the activations fit into memory",
            }
        })?;
        Ok(Plan {
            batch,
            examples: batch,
            layers,
            activations: vec![T::zero(); 2 * size],
            upstream: vec![T::zero(); size],
        })
    }

    /// Z and A of a layer.
    fn z_and_a(&self, architecture: &Architecture, index: usize) -> (ArrayView2<'_, T>, ArrayView2<'_, T>) {
        let units_below: usize = architecture.dims()[1..=index].iter().sum();
        let dim = (architecture.dims()[index + 1], self.examples);
        let (start, size) = (2 * units_below * self.examples, dim.0 * dim.1);
        let (z, a) = self.activations[start..start + 2 * size].split_at(size);
        (view(dim, z), view(dim, a))
    }

    fn backward(
        &mut self,
        parameters: &Parameters<T>,
        gradients: &mut Gradients<T>,
        loss: Loss,
        (x, y): (ArrayView2<'_, T>, ArrayView2<'_, T>),
        mut dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        let architecture = parameters.architecture();
        // No examples have zero gradients, not 0 times infinity.
        let scale = T::one() / T::of(self.examples.max(1) as f64);
        // Taken out so that the layers and the activations can be borrowed beside it; put back below, also on an error.
        let mut arena = std::mem::take(&mut self.upstream);
        let mut layers = std::mem::take(&mut self.layers);
        let outcome = (|| {
            let units: usize = architecture.dims()[1..].iter().sum();
            let mut rest = &mut arena[..units * self.examples];
            for index in (0..layers.len()).rev() {
                let spec = architecture.layer(index, self.examples);
                let dim = (spec.outputs, spec.batch);
                let (z, a) = self.z_and_a(architecture, index);
                let (below, this) = rest.split_at_mut(rest.len() - dim.0 * dim.1);
                let upstream = if index + 1 == layers.len() {
                    loss.gradient(a, y, view_mut(dim, this))?;
                    loss.upstream(view(dim, this))
                } else {
                    Upstream::Da(view(dim, this))
                };
                let (a_prev, da_prev) = if index == 0 {
                    (x, dx.take())
                } else {
                    let dim = (spec.inputs, spec.batch);
                    let start = below.len() - dim.0 * dim.1;
                    (self.z_and_a(architecture, index - 1).1, Some(view_mut(dim, &mut below[start..])))
                };
                let grads = gradients.grads_mut(index);
                layers[index].backward(parameters.layer(index), a_prev, z, upstream, scale, grads, da_prev)?;
                rest = below;
            }
            Ok(())
        })();
        (self.upstream, self.layers) = (arena, layers);
        outcome
    }
}

/// Runs `job` inside the engine (see [`Engine::run`]) and hands its result out.
pub fn in_run<T: Scalar, R: Send>(engine: &dyn Engine<T>, job: impl FnOnce() -> R + Send) -> R {
    let mut job = Some(job);
    let mut result = None;
    engine.run(&mut || {
        if let Some(job) = job.take() {
            result = Some(job());
        }
    });
    result.expect("Engine::run runs the job")
}
