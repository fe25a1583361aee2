//! The first layer of a training run, bound to its constant input, and the default that wraps any [`Layer`].
//!
//! It owns its parameters and their update because a fused or implicit way may never form W at all. It lives beside
//! the layer trait, not beside the network, because an [`Engine`](super::Engine) makes it.

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2};

use super::{Grads, Layer, LayerSpec, Params, Upstream};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// One step of gradient descent: `W <- (1 - rate * decay) W - rate * dW`, `b <- b - rate * db` (notebook equations 16 and 17
/// for decay = 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent<T> {
    /// The learning rate alpha.
    pub rate: T,
    /// The L2 coefficient lambda/m; 0 in the notebook. Biases do not decay.
    pub decay: T,
}

impl<T: Scalar> Descent<T> {
    /// Plain gradient descent.
    pub fn plain(rate: T) -> Self {
        Descent { rate, decay: T::zero() }
    }

    /// Updates one layer's parameters from its gradients.
    pub fn apply(
        &self,
        mut w: ArrayViewMut2<'_, T>,
        mut b: ArrayViewMut2<'_, T>,
        dw: ArrayView2<'_, T>,
        db: ArrayView2<'_, T>,
    ) {
        // With decay = 0 this is exactly 1, and 1 * w is w: the plain step keeps its bits.
        let keep = T::one() - self.rate * self.decay;
        w.zip_mut_with(&dw, |w, &dw| *w = keep * *w - self.rate * dw);
        b.zip_mut_with(&db, |b, &db| *b -= self.rate * db);
    }
}

/// A first layer bound to its constant input X (n_prev, m); it owns W, b and their update.
pub trait BoundLayer<T: Scalar>: Send {
    /// Z = W X + b and A = g(Z), both (n, m), overwritten.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn forward(&mut self, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()>;

    /// One step of descent along `dW = scale * dZ X^T`, `db = scale * row sums of dZ`. `z` is what forward gave.
    ///
    /// # Errors
    /// As [`Layer::backward`].
    fn descend(&mut self, z: ArrayView2<'_, T>, upstream: Upstream<'_, T>, scale: T, descent: Descent<T>)
    -> Result<()>;

    /// Writes the current parameters: `w` is (n, n_prev), `b` is (n, 1).
    ///
    /// # Errors
    /// [`Error::Shape`] where they are not as bound.
    fn export(&self, w: ArrayViewMut2<'_, T>, b: ArrayViewMut2<'_, T>) -> Result<()>;

    /// Replaces the parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] where they are not as bound.
    fn import(&mut self, params: Params<'_, T>) -> Result<()>;
}

/// The default [`BoundLayer`]: any planned [`Layer`], with its own W, b and gradients. Parameters start at zero.
pub struct PlannedBound<T: Scalar> {
    layer: Box<dyn Layer<T>>,
    x: ArcArray2<T>,
    w: Array2<T>,
    b: Array2<T>,
    dw: Array2<T>,
    db: Array2<T>,
}

impl<T: Scalar> PlannedBound<T> {
    /// Binds `layer`, planned for `spec`, to `x`.
    ///
    /// # Errors
    /// [`Error::Shape`] where `x` is not (inputs, batch).
    pub fn new(layer: Box<dyn Layer<T>>, spec: LayerSpec, x: ArcArray2<T>) -> Result<Self> {
        expect_dim("X", (spec.inputs, spec.batch), x.dim())?;
        let weights = Array2::zeros((spec.outputs, spec.inputs));
        let biases = Array2::zeros((spec.outputs, 1));
        Ok(PlannedBound { layer, x, w: weights.clone(), b: biases.clone(), dw: weights, db: biases })
    }
}

impl<T: Scalar> BoundLayer<T> for PlannedBound<T> {
    fn forward(&mut self, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        self.layer.forward(Params { w: self.w.view(), b: self.b.view() }, self.x.view(), z, a)
    }

    fn descend(
        &mut self,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        descent: Descent<T>,
    ) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        let grads = Grads { dw: self.dw.view_mut(), db: self.db.view_mut() };
        // No da_prev: nobody needs the gradient of the pixels.
        self.layer.backward(params, self.x.view(), z, upstream, scale, grads, None)?;
        descent.apply(self.w.view_mut(), self.b.view_mut(), self.dw.view(), self.db.view());
        Ok(())
    }

    fn export(&self, mut w: ArrayViewMut2<'_, T>, mut b: ArrayViewMut2<'_, T>) -> Result<()> {
        expect_dim("W", self.w.dim(), w.dim())?;
        expect_dim("b", self.b.dim(), b.dim())?;
        w.assign(&self.w);
        b.assign(&self.b);
        Ok(())
    }

    fn import(&mut self, params: Params<'_, T>) -> Result<()> {
        expect_dim("W", self.w.dim(), params.w.dim())?;
        expect_dim("b", self.b.dim(), params.b.dim())?;
        self.w.assign(&params.w);
        self.b.assign(&params.b);
        Ok(())
    }
}

fn expect_dim(what: &'static str, expected: (usize, usize), found: (usize, usize)) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Shape { what, expected, found }) }
}
