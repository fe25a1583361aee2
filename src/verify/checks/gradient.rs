//! T4: the gradients of a small network against complex steps, `f'(x) = Im f(x + ih) / h`, which have no cancellation and so no
//! error but rounding. ReLU is linear on either side of its kink: there the step goes with the side of the real part.
//!
//! The network is the layer under test, then one sigmoid unit, then the mean cross-entropy.

use ndarray::Array2;
use num_complex::Complex64;

use super::Probe;
use super::operation::exact;
use crate::error::Result;
use crate::layer::{Activation, Engine};
use crate::model::loss;
use crate::scalar::Scalar;
use crate::verify::cases::{Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::reference::{Bounded, Reference};
use crate::verify::tolerances::{COMPLEX_STEP_ROUNDINGS, Growth};
use crate::verify::trial::{Kind, Trial};

/// Its square is below any rounding.
const STEP: f64 = 1e-100;

/// W, b and A_prev of the first layer, W and b of the second.
pub(super) fn complex_step<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Little], |shape, seed| {
        let mut found = Comparison::default();
        if shape.batch > 0 {
            for activation in [Activation::Sigmoid, Activation::Relu] {
                let mut network = TwoLayers::new(shape, activation, seed);
                let bounds = network.bounds();
                let derivatives = network.derivatives();
                let gradients = network.gradients(engine.as_ref())?;
                for (((what, got), derivative), bound) in gradients.iter().zip(&derivatives).zip(&bounds) {
                    let own = COMPLEX_STEP_ROUNDINGS * f64::UNIT_ROUNDOFF * norm(derivative);
                    found.norm(&format!("{what} ({activation})"), got, derivative, norm(bound) + own);
                }
            }
        }
        Ok(found)
    })
}

fn norm(matrix: &Array2<f64>) -> f64 {
    matrix.iter().map(|x| x * x).sum::<f64>().sqrt()
}

struct TwoLayers<T> {
    first: Trial<T>,
    last: Trial<T>,
    y: Array2<T>,
}

impl<T: Scalar> TwoLayers<T> {
    fn new(shape: Shape, activation: Activation, seed: u32) -> Self {
        let first = Trial::<T>::normal(shape, activation, seed);
        let above = Shape::new(1, shape.outputs, shape.batch);
        let last = Trial::<T>::normal(above, Activation::Sigmoid, seed + 1);
        // Answers of both kinds, unrelated to the data.
        let y = last.upstream.mapv(|random| if random > T::zero() { T::one() } else { T::zero() });
        TwoLayers { first, last, y }
    }

    fn examples(&self) -> f64 {
        self.y.ncols() as f64
    }

    /// Of the backend. dA_prev carries no 1/m by the notebook's convention: it is m times the derivative.
    fn gradients(&mut self, engine: &dyn Engine<T>) -> Result<[(&'static str, Array2<f64>); 5]> {
        let TwoLayers { first, last, y } = self;
        let scale = T::one() / T::of(y.ncols() as f64);
        let mut layers = [engine.plan(first.spec)?, engine.plan(last.spec)?];
        first.forward(engine, layers[0].as_mut())?;
        last.x.assign(&first.a);
        last.forward(engine, layers[1].as_mut())?;
        loss::output_gradient(last.a.view(), y.view(), last.upstream.view_mut())?;
        last.backward(engine, layers[1].as_mut(), Kind::Dz, scale)?;
        first.upstream.assign(&last.dx);
        first.backward(engine, layers[0].as_mut(), Kind::Da, scale)?;
        let wide = |matrix: &Array2<T>| matrix.mapv(Scalar::widen);
        let per_example = wide(&self.first.dx) / self.examples();
        let TwoLayers { first, last, .. } = self;
        Ok([
            ("dW1", wide(&first.dw)),
            ("db1", wide(&first.db)),
            ("dA0 / m", per_example),
            ("dW2", wide(&last.dw)),
            ("db2", wide(&last.db)),
        ])
    }

    /// What the error of each of the five may be, element by element.
    fn bounds(&self) -> [Array2<f64>; 5] {
        let TwoLayers { first, last, y } = self;
        let reference = Reference::of::<T>(Growth::Statistical);
        let scale = (T::one() / T::of(self.examples())).widen();
        let (w1, x, w2) = (exact(&first.w), exact(&first.x), exact(&last.w));
        let z1 = reference.linear(&w1, &x, &exact(&first.b));
        let a1 = reference.activate(first.spec.activation, &z1);
        let a2 = reference.activate(Activation::Sigmoid, &reference.linear(&w2, &a1, &exact(&last.b)));
        let difference = &a2.value - &y.mapv(Scalar::widen);
        let rounding = difference.mapv(|d| (T::UNIT_ROUNDOFF + f64::UNIT_ROUNDOFF) * d.abs());
        let dz2 = Bounded { error: &a2.error + &rounding, value: difference };
        let (dw2, db2) = reference.gradients(&dz2, &a1, scale);
        let dz1 = reference.pull_back(first.spec.activation, &z1, &reference.product(&w2.t(), &dz2));
        let (dw1, db1) = reference.gradients(&dz1, &x, scale);
        let dx = reference.product(&w1.t(), &dz1);
        [dw1.error, db1.error, dx.error / self.examples(), dw2.error, db2.error]
    }

    /// By complex steps in `f64`, one for each number.
    fn derivatives(&self) -> [Array2<f64>; 5] {
        let complex = |matrix: &Array2<T>| matrix.mapv(|x| Complex64::new(x.widen(), 0.0));
        let TwoLayers { first, last, .. } = self;
        let mut inputs = [&first.w, &first.b, &first.x, &last.w, &last.b].map(complex);
        let mut derivatives = inputs.each_ref().map(|matrix| Array2::zeros(matrix.dim()));
        for (which, derivative) in derivatives.iter_mut().enumerate() {
            for (at, derivative) in derivative.indexed_iter_mut() {
                inputs[which][at].im = STEP;
                *derivative = self.cost(&inputs).im / STEP;
                inputs[which][at].im = 0.0;
            }
        }
        derivatives
    }

    fn cost(&self, [w1, b1, x, w2, b2]: &[Array2<Complex64>; 5]) -> Complex64 {
        let a1 = (w1.dot(x) + b1).mapv(|z| match self.first.spec.activation {
            Activation::Relu if z.re <= 0.0 => Complex64::new(0.0, 0.0),
            Activation::Relu | Activation::Identity => z,
            Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        });
        let z2 = w2.dot(&a1) + b2;
        // softplus(z) - y z, as in the library, but on |z| by the sign of the real part.
        let terms = z2.iter().zip(&self.y).map(|(&z, y)| {
            let (positive, size) = if z.re > 0.0 { (z, z) } else { (Complex64::new(0.0, 0.0), -z) };
            positive - z * y.widen() + (1.0 + (-size).exp()).ln()
        });
        terms.sum::<Complex64>() / self.examples()
    }
}
