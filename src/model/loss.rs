//! What training makes small: the loss as data, and cross-entropy (notebook equation 7) with its gradients. Everything is summed in `f64`,
//! whatever the scalar.

use ndarray::{ArrayView2, ArrayViewMut2, Zip};

use super::{Activation, Architecture, Upstream};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A loss. Its cost is the mean over examples; its gradients carry no 1/m.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loss {
    /// Cross-entropy of a sigmoid's probabilities; the notebook's.
    #[default]
    CrossEntropy,
}

impl Loss {
    /// Whether a network can be trained with it.
    ///
    /// # Errors
    /// [`Error::Architecture`] where its last activation does not go with this loss.
    pub fn expect(self, architecture: &Architecture) -> Result<()> {
        match (self, architecture.activations().last()) {
            (Loss::CrossEntropy, Some(Activation::Sigmoid)) => Ok(()),
            (Loss::CrossEntropy, _) => Err(Error::Architecture {
                found: architecture.to_string(),
                problem: "cross-entropy is for probabilities: the last activation must be sigmoid".into(),
            }),
        }
    }

    /// The cost of the last layer's Z against Y, both (nL, m).
    ///
    /// # Errors
    /// [`Error::Shape`] where Y is shaped otherwise.
    pub fn cost<T: Scalar>(self, z: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Result<f64> {
        match self {
            Loss::CrossEntropy => cost_from_z(z, y),
        }
    }

    /// Writes the gradient that training starts from, (nL, m); [`upstream`](Self::upstream) says of what it is one.
    ///
    /// # Errors
    /// [`Error::Shape`] where the three are not shaped alike.
    pub fn gradient<T: Scalar>(
        self,
        a: ArrayView2<'_, T>,
        y: ArrayView2<'_, T>,
        gradient: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        match self {
            Loss::CrossEntropy => output_gradient(a, y, gradient),
        }
    }

    /// That gradient as the last layer takes it.
    pub fn upstream<T>(self, gradient: ArrayView2<'_, T>) -> Upstream<'_, T> {
        match self {
            Loss::CrossEntropy => Upstream::Dz(gradient),
        }
    }
}

/// The cost from the last layer's Z, (n, m): the mean over examples of `y softplus(-z) + (1 - y) softplus(z)`.
///
/// Equal to equation 7 with a = sigmoid(z), without its 0/0 and infinities: finite for every finite Z. Y need not be 0/1.
///
/// # Errors
/// [`Error::Shape`] where Y is shaped otherwise.
pub fn cost_from_z<T: Scalar>(z: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Result<f64> {
    mean_over_examples(z, y, |z, y| {
        // softplus(z) = max(z, 0) + ln(1 + exp(-|z|)); the two logarithms of the sum are the same one.
        // Not `z.max(0.0)`: Rust's max drops a NaN.
        let positive = if z < 0.0 { 0.0 } else { z };
        positive - z * y + (-z.abs()).exp().ln_1p()
    })
}

/// The notebook's `compute_cost`, from A (n, m): the mean over examples of `-(y ln a + (1 - y) ln(1 - a))`.
///
/// A term whose weight is 0 counts as 0, so that a certain right answer costs nothing (the notebook has NaN there).
/// A certain wrong answer costs +infinity, which is what equation 7 says. An `a` outside [0, 1] gives NaN.
///
/// # Errors
/// [`Error::Shape`] where Y is shaped otherwise.
pub fn cost_from_a<T: Scalar>(a: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Result<f64> {
    let term = |weight: f64, log: f64| if weight == 0.0 && !log.is_nan() { 0.0 } else { weight * log };
    mean_over_examples(a, y, |a, y| -(term(y, a.ln()) + term(1.0 - y, (-a).ln_1p())))
}

/// dZ = A - Y of sigmoid with cross-entropy, (n, m); carries no 1/m.
///
/// # Errors
/// [`Error::Shape`] where the three are not shaped alike.
pub fn output_gradient<T: Scalar>(a: ArrayView2<'_, T>, y: ArrayView2<'_, T>, dz: ArrayViewMut2<'_, T>) -> Result<()> {
    same_shape(a.dim(), y.dim())?;
    same_shape(a.dim(), dz.dim())?;
    Zip::from(dz).and(a).and(y).for_each(|dz, &a, &y| *dz = a - y);
    Ok(())
}

/// The notebook's `dAL = -(Y/AL - (1-Y)/(1-AL))`, one element. Infinite or NaN for certain answers, as in the notebook:
/// training uses [`output_gradient`]. It carries no 1/m.
pub fn cost_slope<T: Scalar>(a: T, y: T) -> T {
    -(y / a - (T::one() - y) / (T::one() - a))
}

fn mean_over_examples<T: Scalar>(
    values: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    term: impl Fn(f64, f64) -> f64,
) -> Result<f64> {
    same_shape(values.dim(), y.dim())?;
    let mut sum = 0.0;
    Zip::from(values).and(y).for_each(|&value, &y| sum += term(value.widen(), y.widen()));
    Ok(sum / values.ncols() as f64)
}

fn same_shape(expected: (usize, usize), found: (usize, usize)) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Shape { what: "Y", expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::array;

    #[test]
    fn both_costs_agree_where_both_are_defined() {
        let z = array![[0.3, -2.0, 5.0, 0.0]];
        let y = array![[1.0, 0.0, 0.0, 1.0]];
        let a = z.mapv(|z: f64| 1.0 / (1.0 + (-z).exp()));
        let from_z = cost_from_z(z.view(), y.view()).expect("same shape");
        assert_relative_eq!(from_z, cost_from_a(a.view(), y.view()).expect("same shape"), max_relative = 1e-14);
    }

    #[test]
    fn certain_answers() {
        let cost = |a: f64, y: f64| cost_from_a(array![[a]].view(), array![[y]].view()).expect("same shape");
        assert_eq!(cost(1.0, 1.0), 0.0);
        assert_eq!(cost(0.0, 0.0), 0.0);
        assert_eq!(cost(0.0, 1.0), f64::INFINITY);
        assert_eq!(cost(1.0, 0.0), f64::INFINITY);
        assert!(cost(1.5, 1.0).is_nan());
        assert!(cost(f64::NAN, 1.0).is_nan());
        let stable = |z: f64, y: f64| cost_from_z(array![[z]].view(), array![[y]].view()).expect("same shape");
        assert_eq!(stable(800.0, 0.0), 800.0);
        assert_eq!(stable(800.0, 1.0), 0.0);
        assert_eq!(stable(-800.0, 1.0), 800.0);
        assert!(stable(f64::NAN, 1.0).is_nan());
    }
}
