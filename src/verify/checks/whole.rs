//! Layers of whole numbers that a check can change as it likes: identity, from dZ, scale one. Their sums are exact in any order, as T0's
//! are, which has integers of its own; no check here.

use ndarray::{Array2, Axis};
use rand_mt::Mt;

use super::exact::{limit, odd_integers, product};
use crate::layer::Activation;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::Trial;

/// The inputs, as `f64`.
#[derive(Clone)]
pub(super) struct Whole {
    shape: Shape,
    pub w: Array2<f64>,
    pub b: Array2<f64>,
    pub x: Array2<f64>,
    pub dz: Array2<f64>,
}

/// The outputs.
pub(super) struct Truth {
    pub z: Array2<f64>,
    pub dw: Array2<f64>,
    pub db: Array2<f64>,
    pub dx: Array2<f64>,
}

impl Whole {
    /// Odd numbers of both signs, as large as keeps the shape's sums exact in `f32`.
    pub fn odd(shape: Shape, seed: u32) -> Self {
        let Shape { outputs, inputs, batch } = shape;
        let longest = outputs.max(inputs).max(batch);
        let mut random = Mt::new(seed);
        let mut odd = |dim| odd_integers(dim, limit::<f32>(longest), &mut random).mapv(f64::from);
        let (w, b, x, dz) = (odd((outputs, inputs)), odd((outputs, 1)), odd((inputs, batch)), odd((outputs, batch)));
        Whole { shape, w, b, x, dz }
    }

    /// A trial of them.
    pub fn trial<T: Scalar>(&self) -> Trial<T> {
        let mut inputs = [&self.w, &self.b, &self.x, &self.dz].into_iter();
        Trial::filled(self.shape, Activation::Identity, |_| inputs.next().expect("a trial has four inputs").mapv(T::of))
    }

    /// What must come out.
    pub fn truth(&self) -> Truth {
        let mut z = product(self.w.view(), self.x.view());
        z += &self.b;
        Truth {
            z,
            dw: product(self.dz.view(), self.x.t()),
            db: self.dz.sum_axis(Axis(1)).insert_axis(Axis(1)),
            dx: product(self.w.t(), self.dz.view()),
        }
    }
}

impl Truth {
    /// Holds all outputs of both passes against it.
    pub fn hold<T: Scalar>(&self, found: &mut Comparison, when: &str, got: &Trial<T>) {
        for ((what, got), want) in got.outputs().into_iter().zip([&self.z, &self.z, &self.dw, &self.db, &self.dx]) {
            found.within(&format!("{what} {when}"), got, want, |_| 0.0);
        }
    }
}
