//! Inputs and outputs of one layer, and the ways to run a layer on them. Nothing is judged here.

use ndarray::{Array2, ArrayView2};

use super::cases::Shape;
use crate::error::Result;
use crate::layer::{Activation, Engine, Grads, Layer, LayerSpec, Params, Upstream};
use crate::model::NumpyRandom;
use crate::network::in_run;
use crate::scalar::Scalar;

/// A layer's inputs, and its outputs, which are NaN until a pass writes them: what is read or left alone shows.
#[derive(Clone, Debug)]
pub struct Trial<T> {
    /// The layer.
    pub spec: LayerSpec,
    /// W, (n, n_prev).
    pub w: Array2<T>,
    /// b, (n, 1).
    pub b: Array2<T>,
    /// A_prev, (n_prev, m).
    pub x: Array2<T>,
    /// dA or dZ, (n, m).
    pub upstream: Array2<T>,
    /// Z, (n, m): output of forward, input of backward.
    pub z: Array2<T>,
    /// A, (n, m).
    pub a: Array2<T>,
    /// dW, (n, n_prev).
    pub dw: Array2<T>,
    /// db, (n, 1).
    pub db: Array2<T>,
    /// dA_prev, (n_prev, m).
    pub dx: Array2<T>,
}

/// What the upstream matrix is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// dA.
    Da,
    /// dZ.
    Dz,
}

impl Kind {
    /// The matrix as a layer takes it.
    pub fn of<T>(self, upstream: ArrayView2<'_, T>) -> Upstream<'_, T> {
        match self {
            Kind::Da => Upstream::Da(upstream),
            Kind::Dz => Upstream::Dz(upstream),
        }
    }
}

/// The activations that there are.
pub const ACTIVATIONS: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::Sigmoid];

impl<T: Scalar> Trial<T> {
    /// Inputs from `fill`, called for W, b, A_prev and the upstream gradient in this order.
    pub fn filled(shape: Shape, activation: Activation, mut fill: impl FnMut((usize, usize)) -> Array2<T>) -> Self {
        let Shape { outputs, inputs, batch } = shape;
        let nan = |dim| Array2::from_elem(dim, T::nan());
        Trial {
            spec: shape.spec(activation),
            w: fill((outputs, inputs)),
            b: fill((outputs, 1)),
            x: fill((inputs, batch)),
            upstream: fill((outputs, batch)),
            z: nan((outputs, batch)),
            a: nan((outputs, batch)),
            dw: nan((outputs, inputs)),
            db: nan((outputs, 1)),
            dx: nan((inputs, batch)),
        }
    }

    /// Normal random inputs; W is divided by the root of n_prev, so that Z stays where a sigmoid is not flat.
    pub fn normal(shape: Shape, activation: Activation, seed: u32) -> Self {
        let mut random = NumpyRandom::new(seed);
        let mut trial =
            Trial::filled(shape, activation, |dim| Array2::from_shape_simple_fn(dim, || T::of(random.normal())));
        let root = T::of((shape.inputs.max(1) as f64).sqrt());
        trial.w.mapv_inplace(|w| w / root);
        trial
    }

    /// Plans a layer, then [`forward`](Self::forward) and [`backward`](Self::backward) from dA with dA_prev.
    ///
    /// # Errors
    /// Of the engine.
    pub fn run(&mut self, engine: &dyn Engine<T>, scale: T) -> Result<()> {
        self.run_from(engine, Kind::Da, scale)
    }

    /// The same from dA or dZ.
    ///
    /// # Errors
    /// Of the engine.
    pub fn run_from(&mut self, engine: &dyn Engine<T>, kind: Kind, scale: T) -> Result<()> {
        let mut layer = engine.plan(self.spec)?;
        self.forward(engine, layer.as_mut())?;
        self.backward(engine, layer.as_mut(), kind, scale)
    }

    /// Z and A.
    ///
    /// # Errors
    /// Of the layer.
    pub fn forward(&mut self, engine: &dyn Engine<T>, layer: &mut dyn Layer<T>) -> Result<()> {
        in_run(engine, || self.forward_inside(layer))
    }

    /// The same for callers that are inside the engine's run, or do not want to be.
    ///
    /// # Errors
    /// Of the layer.
    pub fn forward_inside(&mut self, layer: &mut dyn Layer<T>) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        layer.forward(params, self.x.view(), self.z.view_mut(), self.a.view_mut())
    }

    /// dW, db and dA_prev, from the trial's own Z.
    ///
    /// # Errors
    /// Of the layer.
    pub fn backward(&mut self, engine: &dyn Engine<T>, layer: &mut dyn Layer<T>, kind: Kind, scale: T) -> Result<()> {
        in_run(engine, || self.backward_inside(layer, kind, scale, true))
    }

    /// The same for callers that are inside the engine's run, or do not want to be; dA_prev where it is asked for.
    ///
    /// # Errors
    /// Of the layer.
    pub fn backward_inside(
        &mut self,
        layer: &mut dyn Layer<T>,
        kind: Kind,
        scale: T,
        with_da_prev: bool,
    ) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        let (x, z, upstream) = (self.x.view(), self.z.view(), kind.of(self.upstream.view()));
        let grads = Grads { dw: self.dw.view_mut(), db: self.db.view_mut() };
        let dx = with_da_prev.then(|| self.dx.view_mut());
        layer.backward(params, x, z, upstream, scale, grads, dx)
    }

    /// Makes all outputs NaN again.
    pub fn spoil_outputs(&mut self) {
        for output in [&mut self.z, &mut self.a, &mut self.dw, &mut self.db, &mut self.dx] {
            output.fill(T::nan());
        }
    }

    /// The four inputs with their names.
    pub fn inputs(&self) -> [(&'static str, &Array2<T>); 4] {
        [("W", &self.w), ("b", &self.b), ("A_prev", &self.x), ("dA", &self.upstream)]
    }

    /// The five outputs with their names.
    pub fn outputs(&self) -> [(&'static str, &Array2<T>); 5] {
        [("Z", &self.z), ("A", &self.a), ("dW", &self.dw), ("db", &self.db), ("dA_prev", &self.dx)]
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Kind::Da => "dA",
            Kind::Dz => "dZ",
        })
    }
}
