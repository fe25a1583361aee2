//! The easy door for a new backend: implement [`Kernels`], whose one required function is a matrix product, and [`Dense`]
//! turns it into a [`Layer`]. A backend that fuses its passes implements `Layer` itself.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, Zip};

use super::{Activation, Grads, Layer, LayerSpec, Params, Upstream};
use crate::error::Result;
use crate::model::{view, view_mut};
use crate::scalar::Scalar;

/// Whether an operand of a product is taken as it lies in memory, or transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// As it lies.
    Plain,
    /// Its transpose.
    Transposed,
}

impl Op {
    /// (rows, columns) of the operand after this.
    pub fn dim<T>(self, matrix: &ArrayView2<'_, T>) -> (usize, usize) {
        let (rows, columns) = matrix.dim();
        match self {
            Op::Plain => (rows, columns),
            Op::Transposed => (columns, rows),
        }
    }
}

/// The kernels of a dense layer. Only [`gemm`](Self::gemm) has no default.
///
/// Every view is row-major with adjacent columns, rows possibly followed by a gap. Matrices handed to `gemm` have no
/// dimension of size zero: [`Dense`] deals with those.
pub trait Kernels<T: Scalar>: Send {
    /// `C = alpha * op(A) op(B)`. C is overwritten and must not be read: it may hold NaN.
    ///
    /// # Errors
    /// Where the library or device reports one; shapes are right already.
    fn gemm(
        &mut self,
        alpha: T,
        a: (Op, ArrayView2<'_, T>),
        b: (Op, ArrayView2<'_, T>),
        c: ArrayViewMut2<'_, T>,
    ) -> Result<()>;

    /// Z += b, one bias per row. `z` is (n, m), `b` is (n, 1).
    fn add_bias(&mut self, b: ArrayView2<'_, T>, mut z: ArrayViewMut2<'_, T>) {
        for (mut row, &b) in z.axis_iter_mut(Axis(0)).zip(b) {
            row.mapv_inplace(|z| z + b);
        }
    }

    /// A = g(Z). Both are (n, m).
    fn activate(&mut self, activation: Activation, z: ArrayView2<'_, T>, a: ArrayViewMut2<'_, T>) {
        Zip::from(a).and(z).for_each(|a, &z| *a = activation.apply(z));
    }

    /// dZ = dA * g'(Z). All are (n, m).
    fn activation_gradient(
        &mut self,
        activation: Activation,
        z: ArrayView2<'_, T>,
        da: ArrayView2<'_, T>,
        dz: ArrayViewMut2<'_, T>,
    ) {
        Zip::from(dz).and(z).and(da).for_each(|dz, &z, &da| *dz = activation.pull_back(z, da));
    }

    /// db = scale * row sums of dZ. `dz` is (n, m), `db` is (n, 1).
    fn bias_gradient(&mut self, scale: T, dz: ArrayView2<'_, T>, db: ArrayViewMut2<'_, T>) {
        for (db, row) in db.into_iter().zip(dz.rows()) {
            *db = scale * row.sum();
        }
    }
}

/// A [`Layer`] made of [`Kernels`]: product, bias and activation as separate passes, with dZ in scratch memory.
#[derive(Debug)]
pub struct Dense<K, T> {
    kernels: K,
    spec: LayerSpec,
    /// (n, m) numbers.
    dz: Vec<T>,
}

impl<T: Scalar, K: Kernels<T>> Dense<K, T> {
    /// Plans a layer of that shape.
    pub fn new(kernels: K, spec: LayerSpec) -> Self {
        Dense { kernels, spec, dz: vec![T::zero(); spec.outputs * spec.batch] }
    }
}

/// `C = alpha * op(A) op(B)` at any size: an empty product is zero.
fn product<T: Scalar, K: Kernels<T>>(
    kernels: &mut K,
    alpha: T,
    a: (Op, ArrayView2<'_, T>),
    b: (Op, ArrayView2<'_, T>),
    mut c: ArrayViewMut2<'_, T>,
) -> Result<()> {
    let (_, k) = a.0.dim(&a.1);
    if c.is_empty() {
        return Ok(());
    }
    if k == 0 {
        c.fill(T::zero());
        return Ok(());
    }
    kernels.gemm(alpha, a, b, c)
}

impl<T: Scalar, K: Kernels<T>> Layer<T> for Dense<K, T> {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        mut z: ArrayViewMut2<'_, T>,
        a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        self.spec.check_forward(&params, &a_prev, &z, &a)?;
        product(&mut self.kernels, T::one(), (Op::Plain, params.w), (Op::Plain, a_prev), z.view_mut())?;
        self.kernels.add_bias(params.b, z.view_mut());
        self.kernels.activate(self.spec.activation, z.view(), a);
        Ok(())
    }

    fn backward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        self.spec.check_backward(&params, &a_prev, &z, &upstream, &grads, da_prev.as_ref())?;
        let dz = match upstream {
            Upstream::Dz(dz) => dz,
            Upstream::Da(da) => {
                let scratch = &mut self.dz[..da.len()];
                self.kernels.activation_gradient(self.spec.activation, z, da, view_mut(da.dim(), scratch));
                view(da.dim(), scratch)
            }
        };
        product(&mut self.kernels, scale, (Op::Plain, dz), (Op::Transposed, a_prev), grads.dw)?;
        self.kernels.bias_gradient(scale, dz, grads.db);
        match da_prev {
            Some(da_prev) => product(&mut self.kernels, T::one(), (Op::Transposed, params.w), (Op::Plain, dz), da_prev),
            None => Ok(()),
        }
    }
}
