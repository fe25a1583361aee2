//! The default [`Trainer`]: made of an engine's layers.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArcArray2, ArrayView2, s};

use crate::error::Result;
use crate::layer::{BoundLayer, Engine, FirstLayer, ImplicitBound, Trainer, Training, Upstream, expect_columns};
use crate::model::{Architecture, Grads, Loss, Parameters, State, UpdateRule, view, view_mut};
use crate::network::Network;
use crate::scalar::Scalar;

/// A bound first layer and a [`Network`] of the layers above it. A step is [`gradients`](Self::gradients), then [`update`](Self::update):
/// whatever must stand between (a sum over machines, clipping) does so.
pub struct LayerTrainer<T: Scalar> {
    first: Box<dyn BoundLayer<T>>,
    above: Option<Network<T>>,
    architecture: Architecture,
    loss: Loss,
    rule: Box<dyn UpdateRule<T>>,
    y: ArcArray2<T>,
    batch: usize,
    /// Units of the first layer.
    units: usize,
    /// Z and A of the first layer, and its dA (or the gradient of the loss, where it is also the last), each (n, m).
    z: Vec<T>,
    a: Vec<T>,
    upstream: Vec<T>,
}

impl<T: Scalar> LayerTrainer<T> {
    /// Plans a run.
    ///
    /// # Errors
    /// As [`Training::check`], or where the engine cannot do such layers.
    pub fn new(engine: &Arc<dyn Engine<T>>, training: &Training<T>) -> Result<Self> {
        training.check()?;
        let Training { start, loss, rule, first_layer, x, y, batch } = training;
        let spec = training.architecture().layer(0, *batch);
        let mut above = match start.above_first() {
            Some(parameters) => Some(Network::with_parameters(engine, parameters)?.with_loss(*loss)),
            None => None,
        };
        if let Some(above) = &mut above {
            above.plan(*batch)?;
        }
        let unit_by_example = vec![T::zero(); spec.outputs * batch];
        let mut trainer = LayerTrainer {
            first: match first_layer {
                FirstLayer::Plain => engine.bind(spec, x.clone())?,
                FirstLayer::Implicit => Box::new(ImplicitBound::new(engine, spec, x.clone())?),
            },
            above,
            architecture: start.architecture().clone(),
            loss: *loss,
            rule: rule.fresh(),
            y: y.clone(),
            batch: *batch,
            units: spec.outputs,
            z: unit_by_example.clone(),
            a: unit_by_example.clone(),
            upstream: unit_by_example,
        };
        trainer.import(start)?;
        Ok(trainer)
    }

    /// The first half of a step: the cost on these columns of X, and all gradients of the mean cost.
    ///
    /// # Errors
    /// As [`Trainer::step_on`].
    pub fn gradients(&mut self, columns: Range<usize>) -> Result<f64> {
        expect_columns(&columns, 1..=self.batch, self.y.ncols())?;
        let m = columns.len();
        let LayerTrainer { first, above, y, z, a, upstream, loss, units, .. } = self;
        let dim = (*units, m);
        let size = dim.0 * dim.1;
        let (z, a, upstream) = (&mut z[..size], &mut a[..size], &mut upstream[..size]);
        let y = y.slice(s![.., columns.clone()]);
        let scale = T::one() / T::of(m as f64);
        first.forward(columns.clone(), view_mut(dim, z), view_mut(dim, a))?;
        match above {
            Some(above) => {
                above.forward(view(dim, a))?;
                let cost = above.cost(y)?;
                above.backward(view(dim, a), y, Some(view_mut(dim, upstream)))?;
                first.backward(columns, view(dim, z), Upstream::Da(view(dim, upstream)), scale)?;
                Ok(cost)
            }
            None => {
                let cost = loss.cost(view(dim, z), y)?;
                loss.gradient(view(dim, a), y, view_mut(dim, upstream))?;
                first.backward(columns, view(dim, z), loss.upstream(view(dim, upstream)), scale)?;
                Ok(cost)
            }
        }
    }

    /// dW and db of every layer (from 0), between the two halves of a step: to be looked at, and changed. A first layer that never forms its
    /// gradients is left out.
    pub fn each_gradient(&mut self, see: &mut dyn FnMut(usize, Grads<'_, T>)) {
        if let Some(grads) = self.first.gradients() {
            see(0, grads);
        }
        if let Some(above) = &mut self.above {
            let gradients = above.gradients_mut();
            for index in 0..gradients.architecture().layers() {
                see(index + 1, gradients.grads_mut(index));
            }
        }
    }

    /// The second half of a step: new parameters from the gradients.
    ///
    /// # Errors
    /// Where the way of the first layer cannot follow the rule.
    pub fn update(&mut self) -> Result<()> {
        self.rule.begin_step();
        // The only one that may refuse, before any other has moved.
        self.first.update(self.rule.as_mut())?;
        match &mut self.above {
            Some(above) => above.update(1, self.rule.as_mut()),
            None => Ok(()),
        }
    }
}

impl<T: Scalar> Trainer<T> for LayerTrainer<T> {
    fn examples(&self) -> usize {
        self.y.ncols()
    }

    fn step_on(&mut self, columns: Range<usize>) -> Result<f64> {
        let cost = self.gradients(columns)?;
        self.update()?;
        Ok(cost)
    }

    fn export(&self) -> Result<Parameters<T>> {
        let mut parameters = Parameters::zeros(&self.architecture);
        let (w, b) = parameters.layer_mut(0);
        self.first.export(w, b)?;
        if let Some(above) = &self.above {
            let values = above.parameters().values();
            let start = parameters.values().len() - values.len();
            parameters.values_mut()[start..].copy_from_slice(values);
        }
        Ok(parameters)
    }

    fn import(&mut self, parameters: &Parameters<T>) -> Result<()> {
        parameters.expect_architecture(&self.architecture)?;
        self.rule = self.rule.fresh();
        self.first.import(parameters.layer(0))?;
        if let Some(above) = &mut self.above {
            let count = above.parameters().values().len();
            let start = parameters.values().len() - count;
            above.parameters_mut().values_mut().copy_from_slice(&parameters.values()[start..]);
        }
        Ok(())
    }

    fn save(&self) -> Result<State<T>> {
        let mut state = State::default();
        self.first.save(&mut state)?;
        if let Some(above) = &self.above {
            above.parameters().save(1, &mut state);
        }
        let mut of_rule = State::default();
        self.rule.save(&mut of_rule);
        state.absorb(of_rule)?;
        Ok(state)
    }

    fn restore(&mut self, state: &State<T>) -> Result<()> {
        self.first.restore(state)?;
        if let Some(above) = &mut self.above {
            above.parameters_mut().restore(1, state)?;
        }
        self.rule.restore(state)
    }
}

impl<T: Scalar> Network<T> {
    /// Trains on X (n0, m) and Y (nL, m) by full-batch gradient descent and returns the cost before each update.
    ///
    /// # Errors
    /// As [`trainer`](super::trainer) and [`train`](super::train).
    pub fn train(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        learning_rate: f64,
        iterations: usize,
    ) -> Result<Vec<f64>> {
        let engine = Arc::clone(self.engine());
        let owned = |matrix: ArrayView2<'_, T>| matrix.as_standard_layout().into_owned().into_shared();
        let training = Training::plain(self.parameters().clone(), owned(x), owned(y), T::of(learning_rate));
        let mut trainer = super::trainer(&engine, &training)?;
        let watch = &mut |_, _| std::ops::ControlFlow::Continue(());
        let costs = super::train(engine.as_ref(), trainer.as_mut(), iterations, watch)?;
        self.parameters_mut().copy_from(&trainer.export()?)?;
        Ok(costs)
    }
}
