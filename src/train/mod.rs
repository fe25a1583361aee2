//! Training: the [`Trainer`] level, its default that composes layers, and the loop. No files, no progress display.

mod run;

use std::ops::ControlFlow;
use std::sync::Arc;

use ndarray::{ArcArray2, Array2, ArrayView2};

use crate::error::{Error, Result};
use crate::layer::{BoundLayer, Descent, Engine, Upstream};
use crate::network::{Network, Parameters, in_run, loss};
use crate::scalar::Scalar;

pub use run::{End, Leg, Outcome, run};

/// One training run: data and parameters are inside.
///
/// The default is [`Composed`]. A backend that must own the whole step (a GPU, a cluster) supplies its own, and is validated by
/// its trajectory and its parameters.
pub trait Trainer<T: Scalar>: Send {
    /// One step of full-batch gradient descent. Returns the cost before the update.
    ///
    /// # Errors
    /// Where the backend reports one.
    fn step(&mut self) -> Result<f64>;

    /// The current parameters.
    ///
    /// # Errors
    /// Where the backend cannot hand them out.
    fn export(&self) -> Result<Parameters<T>>;

    /// Goes back (or on) to the given parameters.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where they are of another architecture.
    fn import(&mut self, parameters: &Parameters<T>) -> Result<()>;
}

/// The default [`Trainer`]: a bound first layer and a [`Network`] of the layers above it.
pub struct Composed<T: Scalar> {
    first: Box<dyn BoundLayer<T>>,
    above: Option<Network<T>>,
    parameters: Parameters<T>,
    y: Array2<T>,
    z: Array2<T>,
    a: Array2<T>,
    /// dA of the first layer, or its dZ where it is also the last.
    upstream: Array2<T>,
    scale: T,
    descent: Descent<T>,
}

impl<T: Scalar> Composed<T> {
    /// Plans a run from `parameters` on X (n0, m) and Y (nL, m).
    ///
    /// # Errors
    /// [`Error::Mismatch`] where data and network do not fit, [`Error::Setting`] for a rate that is not finite and positive
    /// or no examples, or where the engine cannot do such layers.
    pub fn new(
        engine: &Arc<dyn Engine<T>>,
        parameters: &Parameters<T>,
        x: ArcArray2<T>,
        y: ArrayView2<'_, T>,
        descent: Descent<T>,
    ) -> Result<Self> {
        let architecture = parameters.architecture();
        let batch = x.ncols();
        expect("X", format!("{} rows", architecture.inputs()), format!("{} rows", x.nrows()))?;
        expect("Y", format!("shape ({}, {batch})", architecture.outputs()), format!("shape {:?}", y.dim()))?;
        if batch == 0 {
            return Err(Error::Setting { what: "the number of examples", found: "0".into(), expected: "at least 1" });
        }
        check_rate(descent.rate.widen())?;
        let spec = architecture.layer(0, batch);
        let mut above = match parameters.above_first() {
            Some(parameters) => Some(Network::with_parameters(engine, parameters)?),
            None => None,
        };
        if let Some(above) = &mut above {
            above.plan(batch)?;
        }
        let unit_by_example = Array2::zeros((spec.outputs, batch));
        let mut trainer = Composed {
            first: engine.bind(spec, x)?,
            above,
            parameters: parameters.clone(),
            y: y.to_owned(),
            z: unit_by_example.clone(),
            a: unit_by_example.clone(),
            upstream: unit_by_example,
            scale: T::one() / T::of(batch as f64),
            descent,
        };
        trainer.import(parameters)?;
        Ok(trainer)
    }
}

impl<T: Scalar> Trainer<T> for Composed<T> {
    fn step(&mut self) -> Result<f64> {
        let Composed { first, above, y, z, a, upstream, scale, descent, .. } = self;
        first.forward(z.view_mut(), a.view_mut())?;
        match above {
            Some(above) => {
                above.forward(a.view())?;
                let cost = above.cost(y.view())?;
                above.backward(a.view(), y.view(), Some(upstream.view_mut()))?;
                above.descend(*descent)?;
                first.descend(z.view(), Upstream::Da(upstream.view()), *scale, *descent)?;
                Ok(cost)
            }
            None => {
                let cost = loss::cost_from_z(z.view(), y.view())?;
                loss::output_gradient(a.view(), y.view(), upstream.view_mut())?;
                first.descend(z.view(), Upstream::Dz(upstream.view()), *scale, *descent)?;
                Ok(cost)
            }
        }
    }

    fn export(&self) -> Result<Parameters<T>> {
        let mut parameters = self.parameters.clone();
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
        self.parameters.copy_from(parameters)?;
        self.first.import(parameters.layer(0))?;
        if let Some(above) = &mut self.above {
            let count = above.parameters().values().len();
            let start = parameters.values().len() - count;
            above.parameters_mut().values_mut().copy_from_slice(&parameters.values()[start..]);
        }
        Ok(())
    }
}

/// Runs `iterations` steps inside the engine. `watch` sees each iteration (from 0) and its cost, and may end the run early.
/// Returns the costs, each before the update of its iteration.
///
/// # Errors
/// [`Error::Diverged`] at the first cost that is not finite; the trainer then holds the parameters after that step. Errors of
/// the trainer.
pub fn train<T: Scalar>(
    engine: &dyn Engine<T>,
    trainer: &mut dyn Trainer<T>,
    iterations: usize,
    watch: &mut (dyn FnMut(usize, f64) -> ControlFlow<()> + Send),
) -> Result<Vec<f64>> {
    in_run(engine, || {
        let mut costs = Vec::with_capacity(iterations.min(1 << 20));
        for iteration in 0..iterations {
            let cost = trainer.step()?;
            if !cost.is_finite() {
                return Err(Error::Diverged { what: "the cost", value: cost, iteration });
            }
            costs.push(cost);
            if watch(iteration, cost).is_break() {
                break;
            }
        }
        Ok(costs)
    })
}

impl<T: Scalar> Network<T> {
    /// Trains on X (n0, m) and Y (nL, m) by full-batch gradient descent and returns the cost before each update.
    ///
    /// # Errors
    /// As [`Composed::new`] and [`train`].
    pub fn train(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        learning_rate: f64,
        iterations: usize,
    ) -> Result<Vec<f64>> {
        let engine = Arc::clone(self.engine());
        let x = x.as_standard_layout().into_owned().into_shared();
        let descent = Descent::plain(T::of(learning_rate));
        let mut trainer = Composed::new(&engine, self.parameters(), x, y, descent)?;
        let costs = train(engine.as_ref(), &mut trainer, iterations, &mut |_, _| ControlFlow::Continue(()))?;
        self.parameters_mut().copy_from(&trainer.export()?)?;
        Ok(costs)
    }
}

/// Learning rates that make sense.
///
/// # Errors
/// [`Error::Setting`] for anything but a finite positive number.
pub fn check_rate(rate: f64) -> Result<()> {
    if rate.is_finite() && rate > 0.0 {
        return Ok(());
    }
    Err(Error::Setting { what: "the learning rate", found: rate.to_string(), expected: "a finite positive number" })
}

fn expect(what: &'static str, expected: String, found: String) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Mismatch { what, expected, found }) }
}
