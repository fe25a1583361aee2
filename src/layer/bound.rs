//! The first layer of a training run, bound to its constant input, and the default that wraps any [`Layer`].
//!
//! It owns its parameters and their update because a fused or implicit way may never form W at all. It lives beside
//! the layer trait, not beside the network, because an [`Engine`](super::Engine) makes it.

use std::ops::Range;

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2, s};

use super::contract::{expect_columns, expect_dim};
use super::{Grads, Layer, LayerSpec, Params, Upstream};
use crate::error::Result;
use crate::model::{State, UpdateRule};
use crate::scalar::Scalar;

/// A first layer bound to its constant input X (n_prev, M); it owns W, b and their update.
///
/// A call names the columns of X that it is on: m of the M.
pub trait BoundLayer<T: Scalar>: Send {
    /// Z = W X + b and A = g(Z), both (n, m), overwritten.
    ///
    /// # Errors
    /// As [`Layer::forward`], and where there are no such columns.
    fn forward(&mut self, columns: Range<usize>, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()>;

    /// `dW = scale * dZ X^T`, `db = scale * row sums of dZ`, or whatever else the next [`update`](Self::update) goes by. `z` is what forward
    /// gave.
    ///
    /// # Errors
    /// As [`Layer::backward`], and where there are no such columns.
    fn backward(
        &mut self,
        columns: Range<usize>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
    ) -> Result<()>;

    /// dW and db of the last backward pass, to be looked at and changed (clipped, summed over machines) before the update; none from a way that
    /// never forms them.
    fn gradients(&mut self) -> Option<Grads<'_, T>>;

    /// New parameters from the last backward pass.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where this way cannot follow the rule.
    fn update(&mut self, rule: &mut dyn UpdateRule<T>) -> Result<()>;

    /// Writes the current parameters: `w` is (n, n_prev), `b` is (n, 1).
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where they are not as bound.
    fn export(&self, w: ArrayViewMut2<'_, T>, b: ArrayViewMut2<'_, T>) -> Result<()>;

    /// Replaces the parameters.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where they are not as bound.
    fn import(&mut self, params: Params<'_, T>) -> Result<()>;

    /// Adds what it needs to go on bit for bit: W and b as layer 0, or what it has instead of them.
    ///
    /// # Errors
    /// Where the layer cannot hand it out.
    fn save(&self, state: &mut State<T>) -> Result<()>;

    /// Goes back (or on) to what was saved.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) where it is not in the state.
    fn restore(&mut self, state: &State<T>) -> Result<()>;
}

/// The default [`BoundLayer`], the plain way: any planned [`Layer`], with its own W, b and gradients. Parameters start at zero.
pub struct PlannedBound<T: Scalar> {
    layer: Box<dyn Layer<T>>,
    x: ArcArray2<T>,
    /// The most columns of a call.
    batch: usize,
    w: Array2<T>,
    b: Array2<T>,
    dw: Array2<T>,
    db: Array2<T>,
}

impl<T: Scalar> PlannedBound<T> {
    /// Binds `layer`, planned for `spec`, to `x`, which may have more columns than a call takes.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where `x` has not so many rows, or fewer columns than planned.
    pub fn new(layer: Box<dyn Layer<T>>, spec: LayerSpec, x: ArcArray2<T>) -> Result<Self> {
        expect_dim("X", (spec.inputs, spec.batch.max(x.ncols())), x.dim())?;
        let weights = Array2::zeros((spec.outputs, spec.inputs));
        let biases = Array2::zeros((spec.outputs, 1));
        Ok(PlannedBound { layer, x, batch: spec.batch, w: weights.clone(), b: biases.clone(), dw: weights, db: biases })
    }
}

/// These columns of X, where it has them and they are no more than planned.
fn columns_of<T>(x: &ArcArray2<T>, batch: usize, columns: Range<usize>) -> Result<ArrayView2<'_, T>> {
    expect_columns(&columns, 0..=batch, x.ncols())?;
    Ok(x.slice(s![.., columns]))
}

impl<T: Scalar> BoundLayer<T> for PlannedBound<T> {
    fn forward(&mut self, columns: Range<usize>, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        let x = columns_of(&self.x, self.batch, columns)?;
        self.layer.forward(Params { w: self.w.view(), b: self.b.view() }, x, z, a)
    }

    fn backward(
        &mut self,
        columns: Range<usize>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
    ) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        let grads = Grads { dw: self.dw.view_mut(), db: self.db.view_mut() };
        // No da_prev: nobody needs the gradient of the pixels.
        self.layer.backward(params, columns_of(&self.x, self.batch, columns)?, z, upstream, scale, grads, None)
    }

    fn gradients(&mut self) -> Option<Grads<'_, T>> {
        Some(Grads { dw: self.dw.view_mut(), db: self.db.view_mut() })
    }

    fn update(&mut self, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        rule.update(0, self.w.view_mut(), self.b.view_mut(), self.dw.view(), self.db.view());
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

    fn save(&self, state: &mut State<T>) -> Result<()> {
        state.put_layer(0, Params { w: self.w.view(), b: self.b.view() });
        Ok(())
    }

    fn restore(&mut self, state: &State<T>) -> Result<()> {
        state.copy_layer(0, self.w.view_mut(), self.b.view_mut())
    }
}
