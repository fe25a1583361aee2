//! The implicit way of the first layer: W is never formed while training.
//!
//! X is constant and gradient descent changes W by multiples of dZ X^T alone. So U = W X follows from G = X^T X (M, M), which is made once:
//! `W <- k W - a dZ X^T` is `U <- k U - a dZ G`, with k = 1 - rate * decay and a = rate * scale. A step costs n M m products instead of 2 n n_prev m: it
//! pays where the layer is wider than X has columns, and the run long enough to pay for G. W itself is `c W0 - S X^T`, with c the product of all
//! k and `S <- k S + a dZ`, and is formed only when it is asked for.
//!
//! It is the algebra of gradient descent, with or without decay; a rule that divides element by element (Adam) has none. Rounding errors of U are those
//! of a sum over the steps, not of one product: see docs/first-layer.md for how far it drifts.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2, s};

use super::contract::{expect_columns, expect_dim};
use super::{Activation, BoundLayer, Engine, Grads, Layer, LayerSpec, Params, Upstream};
use crate::error::{Error, Result};
use crate::model::{State, Tensor, UpdateRule, view, view_mut};
use crate::panics::locked;
use crate::scalar::Scalar;

/// Rows of G that are made at once: G is symmetric, and what is left of a block's diagonal has been made already.
const BLOCK: usize = 64;

/// Names of what is saved.
const U: &str = "implicit.U";
const S: &str = "implicit.S";
const C: &str = "implicit.c";
const B: &str = "b1";

/// A [`BoundLayer`] that never forms W. Parameters start at zero.
pub struct ImplicitBound<T: Scalar> {
    spec: LayerSpec,
    x: ArcArray2<T>,
    /// X^T X, (M, M).
    g: Array2<T>,
    /// Multiplies by X: W X going forward, S X^T going backward. Behind a lock because handing out W is one of its passes.
    with_x: Mutex<Box<dyn Layer<T>>>,
    /// Multiplies by G, from the right.
    with_g: Box<dyn Layer<T>>,
    /// W X without b, (n, M).
    u: Array2<T>,
    /// (n, M).
    s: Array2<T>,
    c: T,
    w0: ArcArray2<T>,
    b: Array2<T>,
    /// dZ of the last backward pass, (n, m), its columns and its scale.
    dz: Vec<T>,
    columns: Range<usize>,
    scale: T,
    /// dZ G, (n, M), which is to be multiplied by `factor`, and db.
    du: Array2<T>,
    factor: T,
    db: Array2<T>,
    /// What the products ask for and nobody needs: weights and biases of zero, and a second copy of an output.
    zeros: Array2<T>,
    zero: Array2<T>,
    spare: Array2<T>,
}

impl<T: Scalar> ImplicitBound<T> {
    /// The name that a saved state has for what W starts from, (n, n_prev).
    pub const START: &str = "implicit.W0";

    /// Binds a layer to `x`, which may have more columns than a call takes: makes X^T X on `engine`.
    ///
    /// # Errors
    /// [`Error::Shape`] where `x` has not so many rows, or fewer columns than planned; of the engine.
    pub fn new(engine: &Arc<dyn Engine<T>>, spec: LayerSpec, x: ArcArray2<T>) -> Result<Self> {
        let all = x.ncols();
        expect_dim("X", (spec.inputs, spec.batch.max(all)), x.dim())?;
        let LayerSpec { inputs, outputs, batch, .. } = spec;
        let linear = |inputs, outputs, batch| LayerSpec { inputs, outputs, batch, activation: Activation::Identity };
        let with_x = Mutex::new(engine.plan(linear(inputs, outputs, all))?);
        let with_g = engine.plan(linear(all, outputs, batch))?;
        let weights = Array2::<T>::zeros((outputs, inputs));
        let units = Array2::zeros((outputs, all));
        Ok(ImplicitBound {
            spec,
            g: gram(engine, &x)?,
            x,
            with_x,
            with_g,
            u: units.clone(),
            s: units.clone(),
            c: T::one(),
            w0: weights.into_shared(),
            b: Array2::zeros((outputs, 1)),
            dz: vec![T::zero(); outputs * batch],
            columns: 0..0,
            scale: T::zero(),
            du: units.clone(),
            factor: T::zero(),
            db: Array2::zeros((outputs, 1)),
            zeros: units.clone(),
            zero: Array2::zeros((outputs, 1)),
            spare: units,
        })
    }

    /// U = W0 X, as W starts.
    fn begin(&mut self) -> Result<()> {
        let params = Params { w: self.w0.view(), b: self.zero.view() };
        locked(&self.with_x).forward(params, self.x.view(), self.u.view_mut(), self.spare.view_mut())?;
        self.s.fill(T::zero());
        self.c = T::one();
        Ok(())
    }
}

/// X^T, (M, k).
fn transposed<T: Scalar>(x: ArrayView2<'_, T>) -> Array2<T> {
    // So many columns at a time: their numbers in a row of X share a cache line.
    const COLUMNS: usize = 8;
    let (k, all) = x.dim();
    let mut transposed = Array2::zeros((all, k));
    for start in (0..all).step_by(COLUMNS) {
        let columns = start..all.min(start + COLUMNS);
        for (row, x) in x.rows().into_iter().enumerate() {
            for column in columns.clone() {
                transposed[(column, row)] = x[column];
            }
        }
    }
    transposed
}

/// X^T X, (M, M).
fn gram<T: Scalar>(engine: &Arc<dyn Engine<T>>, x: &ArcArray2<T>) -> Result<Array2<T>> {
    let (inputs, all) = x.dim();
    let transposed = transposed(x.view());
    let mut g = Array2::zeros((all, all));
    let mut scratch = Array2::zeros((BLOCK.min(all), all));
    let zeros = Array2::zeros((all, 1));
    let mut layer = None;
    for start in (0..all).step_by(BLOCK) {
        let end = all.min(start + BLOCK);
        let outputs = end - start;
        let spec = LayerSpec { inputs, outputs, batch: all, activation: Activation::Identity };
        let layer = match &mut layer {
            Some((planned, layer)) if *planned == spec => layer,
            other => &mut other.insert((spec, engine.plan(spec)?)).1,
        };
        let rows = s![start..end, start..];
        let params = Params { w: transposed.slice(s![start..end, ..]), b: zeros.slice(s![..outputs, ..]) };
        let spare = scratch.slice_mut(s![..outputs, ..all - start]);
        layer.forward(params, x.slice(s![.., start..]), g.slice_mut(rows), spare)?;
    }
    for row in 0..all {
        let below = row - row % BLOCK + BLOCK;
        for column in below..all {
            g[(column, row)] = g[(row, column)];
        }
    }
    Ok(g)
}

impl<T: Scalar> BoundLayer<T> for ImplicitBound<T> {
    fn forward(
        &mut self,
        columns: Range<usize>,
        mut z: ArrayViewMut2<'_, T>,
        mut a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        expect_columns(&columns, 0..=self.spec.batch, self.x.ncols())?;
        let dim = (self.spec.outputs, columns.len());
        expect_dim("Z", dim, z.dim())?;
        expect_dim("A", dim, a.dim())?;
        let activation = self.spec.activation;
        let u = self.u.slice(s![.., columns]);
        for (((mut z, mut a), u), &b) in z.rows_mut().into_iter().zip(a.rows_mut()).zip(u.rows()).zip(&self.b) {
            z.zip_mut_with(&u, |z, &u| *z = u + b);
            a.zip_mut_with(&z, |a, &z| *a = activation.apply(z));
        }
        Ok(())
    }

    fn backward(
        &mut self,
        columns: Range<usize>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
    ) -> Result<()> {
        expect_columns(&columns, 0..=self.spec.batch, self.x.ncols())?;
        let dim = (self.spec.outputs, columns.len());
        expect_dim("Z", dim, z.dim())?;
        expect_dim("the upstream gradient", dim, upstream.view().dim())?;
        let activation = self.spec.activation;
        let mut dz = view_mut(dim, &mut self.dz[..dim.0 * dim.1]);
        match upstream {
            Upstream::Dz(given) => dz.assign(&given),
            Upstream::Da(da) => {
                ndarray::Zip::from(&mut dz).and(z).and(da).for_each(|dz, &z, &da| *dz = activation.pull_back(z, da))
            }
        }
        (self.columns, self.scale) = (columns.clone(), scale);
        let all = self.x.ncols();
        if columns == (0..all) && self.spec.batch == all {
            // As a layer's output: of weights dZ, for an input G.
            let params = Params { w: dz.view(), b: self.zero.view() };
            self.with_g.forward(params, self.g.view(), self.du.view_mut(), self.spare.view_mut())?;
            for (db, dz) in self.db.iter_mut().zip(dz.rows()) {
                *db = scale * dz.sum();
            }
            self.factor = scale;
            return Ok(());
        }
        // G is symmetric: dZ G[columns, :] is dZ G[:, columns]^T, which is what the gradient of weights is for an input G[:, columns].
        let grads = Grads { dw: self.du.view_mut(), db: self.db.view_mut() };
        let params = Params { w: self.zeros.view(), b: self.b.view() };
        let g = self.g.slice(s![.., columns.clone()]);
        self.with_g.backward(params, g, dz.view(), Upstream::Dz(dz.view()), scale, grads, None)?;
        self.factor = T::one();
        Ok(())
    }

    fn gradients(&mut self) -> Option<Grads<'_, T>> {
        None
    }

    fn update(&mut self, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        let Some(descent) = rule.as_descent() else {
            return Err(Error::Setting {
                what: "the update rule of an implicit first layer",
                found: rule.description(),
                expected: "gradient descent: it knows W by the sum of its gradients only; take the plain way",
            });
        };
        let keep = T::one() - descent.rate * descent.decay;
        let rate = descent.rate;
        let factor = rate * self.factor;
        self.u.zip_mut_with(&self.du, |u, &du| *u = keep * *u - factor * du);
        if keep != T::one() {
            self.s.mapv_inplace(|s| keep * s);
            self.c *= keep;
        }
        let dz = view((self.spec.outputs, self.columns.len()), &self.dz[..self.spec.outputs * self.columns.len()]);
        let step = rate * self.scale;
        self.s.slice_mut(s![.., self.columns.clone()]).zip_mut_with(&dz, |s, &dz| *s += step * dz);
        self.b.zip_mut_with(&self.db, |b, &db| *b -= rate * db);
        Ok(())
    }

    fn export(&self, mut w: ArrayViewMut2<'_, T>, mut b: ArrayViewMut2<'_, T>) -> Result<()> {
        expect_dim("W", self.w0.dim(), w.dim())?;
        expect_dim("b", self.b.dim(), b.dim())?;
        let mut db = Array2::zeros(self.b.dim());
        let mut sum = Array2::zeros(self.w0.dim());
        let params = Params { w: self.w0.view(), b: self.b.view() };
        let grads = Grads { dw: sum.view_mut(), db: db.view_mut() };
        locked(&self.with_x).backward(
            params,
            self.x.view(),
            self.s.view(),
            Upstream::Dz(self.s.view()),
            T::one(),
            grads,
            None,
        )?;
        let c = self.c;
        ndarray::Zip::from(&mut w).and(&self.w0).and(&sum).for_each(|w, &w0, &sum| *w = c * w0 - sum);
        b.assign(&self.b);
        Ok(())
    }

    fn import(&mut self, params: Params<'_, T>) -> Result<()> {
        expect_dim("W", self.w0.dim(), params.w.dim())?;
        expect_dim("b", self.b.dim(), params.b.dim())?;
        self.w0.assign(&params.w);
        self.b.assign(&params.b);
        self.begin()
    }

    fn save(&self, state: &mut State<T>) -> Result<()> {
        for (name, matrix) in [(U, &self.u), (S, &self.s), (B, &self.b)] {
            state.put_matrix(name, matrix.view());
        }
        // Not copied: it does not change while training.
        state.put(Self::START, Tensor::Matrix(self.w0.clone()));
        state.put(C, Tensor::Matrix(ArcArray2::from_elem((1, 1), self.c)));
        Ok(())
    }

    fn restore(&mut self, state: &State<T>) -> Result<()> {
        let mut c = Array2::zeros((1, 1));
        // All of it is there before anything changes.
        for (name, dim) in
            [(U, self.u.dim()), (S, self.s.dim()), (Self::START, self.w0.dim()), (B, self.b.dim()), (C, c.dim())]
        {
            expect_dim(name, dim, state.matrix(name)?.dim())?;
        }
        state.copy_matrix(C, c.view_mut())?;
        for (name, matrix) in [(U, &mut self.u), (S, &mut self.s), (B, &mut self.b)] {
            state.copy_matrix(name, matrix.view_mut())?;
        }
        state.copy_matrix(Self::START, self.w0.view_mut())?;
        self.c = c[(0, 0)];
        Ok(())
    }
}
