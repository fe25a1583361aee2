//! `whole`: an engine that owns the whole training step of a network of one layer, as a device would that keeps everything to itself.
//! Whatever else it is asked for it leaves to the layers of `naive`.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use layerbench::Result;
use layerbench::backend::Naive;
use layerbench::layer::{Backend, Engine, FirstLayer, Layer, LayerSpec, Profile, Trainer, Training, expect_columns};
use layerbench::model::{Descent, Loss, Parameters};
use ndarray::{ArcArray2, Axis, s};

/// The backend.
pub struct Whole;

impl Backend<f64> for Whole {
    fn name(&self) -> &str {
        "whole"
    }

    fn profile(&self) -> Profile {
        Profile { summary: "whole steps of one layer (an example)".into(), ..Backend::<f64>::profile(&Naive) }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<f64>>> {
        Ok(Arc::new(WholeEngine(Naive.open(threads)?)))
    }
}

struct WholeEngine(Arc<dyn Engine<f64>>);

impl Engine<f64> for WholeEngine {
    fn threads(&self) -> usize {
        self.0.threads()
    }

    fn description(&self) -> String {
        "whole steps".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<f64>>> {
        self.0.plan(spec)
    }

    fn trainer(&self, training: &Training<f64>) -> Result<Option<Box<dyn Trainer<f64>>>> {
        let Training { start, loss: Loss::CrossEntropy, rule, first_layer: FirstLayer::Plain, x, y, batch } = training
        else {
            return Ok(None);
        };
        let (1, Some(descent)) = (training.architecture().layers(), rule.as_descent()) else { return Ok(None) };
        Ok(Some(Box::new(WholeStep { parameters: start.clone(), descent, x: x.clone(), y: y.clone(), batch: *batch })))
    }
}

struct WholeStep {
    parameters: Parameters<f64>,
    descent: Descent<f64>,
    x: ArcArray2<f64>,
    y: ArcArray2<f64>,
    batch: usize,
}

impl Trainer<f64> for WholeStep {
    fn examples(&self) -> usize {
        self.x.ncols()
    }

    fn step_on(&mut self, columns: Range<usize>) -> Result<f64> {
        expect_columns(&columns, 1..=self.batch, self.examples())?;
        let (x, y) = (self.x.slice(s![.., columns.clone()]), self.y.slice(s![.., columns]));
        let m = x.ncols() as f64;
        let layer = self.parameters.layer(0);
        let z = layer.w.dot(&x) + layer.b;
        let cost = Loss::CrossEntropy.cost(z.view(), y)?;
        let dz = z.mapv(|z| 1.0 / (1.0 + (-z).exp())) - y;
        let (dw, db) = (dz.dot(&x.t()) / m, dz.sum_axis(Axis(1)).insert_axis(Axis(1)) / m);
        let (w, b) = self.parameters.layer_mut(0);
        self.descent.apply(w, b, dw.view(), db.view());
        Ok(cost)
    }

    fn export(&self) -> Result<Parameters<f64>> {
        Ok(self.parameters.clone())
    }

    fn import(&mut self, parameters: &Parameters<f64>) -> Result<()> {
        self.parameters.copy_from(parameters)
    }
}
