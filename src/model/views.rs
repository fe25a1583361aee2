//! The matrices of one layer, borrowed.

use ndarray::{ArrayView2, ArrayViewMut2};

/// The parameters of one layer: `w` is (n, n_prev), `b` is (n, 1).
#[derive(Clone, Copy, Debug)]
pub struct Params<'a, T> {
    /// Weights, (n, n_prev).
    pub w: ArrayView2<'a, T>,
    /// Biases, (n, 1).
    pub b: ArrayView2<'a, T>,
}

/// Where backward writes: `dw` is (n, n_prev), `db` is (n, 1). Both are overwritten.
#[derive(Debug)]
pub struct Grads<'a, T> {
    /// Gradient of the weights, (n, n_prev).
    pub dw: ArrayViewMut2<'a, T>,
    /// Gradient of the biases, (n, 1).
    pub db: ArrayViewMut2<'a, T>,
}

/// The gradient that comes from above, (n, m).
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a, T> {
    /// dA, the gradient of this layer's output: dZ = dA * g'(Z) is the layer's work.
    Da(ArrayView2<'a, T>),
    /// dZ itself: `linear_backward`, or the stable dZ = A - Y of sigmoid with cross-entropy. Z is not looked at.
    Dz(ArrayView2<'a, T>),
}

impl<'a, T> Upstream<'a, T> {
    /// The matrix, whichever it is.
    pub fn view(&self) -> ArrayView2<'a, T> {
        match self {
            Upstream::Da(view) | Upstream::Dz(view) => *view,
        }
    }
}
