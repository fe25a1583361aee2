//! The shape of a layer, and the one place where arguments are held against it. Nothing is computed here.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Activation, Grads, Params, Upstream};
use crate::error::{Error, Result};

/// The shape of one layer and its activation: all that planning needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LayerSpec {
    /// n_prev, the number of inputs (rows of A_prev, columns of W).
    pub inputs: usize,
    /// n, the number of units (rows of W, Z and A).
    pub outputs: usize,
    /// m, the number of examples (columns of A_prev, Z and A).
    pub batch: usize,
    /// g.
    pub activation: Activation,
}

impl LayerSpec {
    /// Holds the arguments of [`Layer::forward`](super::Layer::forward) against the planned shape.
    /// Every implementation calls this first; kernels may then rely on it for memory safety.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Layout`], naming the matrix.
    pub fn check_forward<T>(
        &self,
        params: &Params<'_, T>,
        a_prev: &ArrayView2<'_, T>,
        z: &ArrayViewMut2<'_, T>,
        a: &ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        self.check_inputs(params, a_prev)?;
        self.check_output_sized("Z", z.dim(), z.strides())?;
        self.check_output_sized("A", a.dim(), a.strides())
    }

    /// Holds the arguments of [`Layer::backward`](super::Layer::backward) against the planned shape.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Layout`], naming the matrix.
    pub fn check_backward<T>(
        &self,
        params: &Params<'_, T>,
        a_prev: &ArrayView2<'_, T>,
        z: &ArrayView2<'_, T>,
        upstream: &Upstream<'_, T>,
        grads: &Grads<'_, T>,
        da_prev: Option<&ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        self.check_inputs(params, a_prev)?;
        self.check_output_sized("Z", z.dim(), z.strides())?;
        let view = upstream.view();
        let name = match upstream {
            Upstream::Da(_) => "dA",
            Upstream::Dz(_) => "dZ",
        };
        self.check_output_sized(name, view.dim(), view.strides())?;
        check("dW", (self.outputs, self.inputs), grads.dw.dim(), grads.dw.strides())?;
        check("db", (self.outputs, 1), grads.db.dim(), grads.db.strides())?;
        match da_prev {
            Some(d) => check("dA_prev", (self.inputs, self.batch), d.dim(), d.strides()),
            None => Ok(()),
        }
    }

    fn check_inputs<T>(&self, params: &Params<'_, T>, a_prev: &ArrayView2<'_, T>) -> Result<()> {
        check("W", (self.outputs, self.inputs), params.w.dim(), params.w.strides())?;
        check("b", (self.outputs, 1), params.b.dim(), params.b.strides())?;
        check("A_prev", (self.inputs, self.batch), a_prev.dim(), a_prev.strides())
    }

    fn check_output_sized(&self, what: &'static str, found: (usize, usize), strides: &[isize]) -> Result<()> {
        check(what, (self.outputs, self.batch), found, strides)
    }
}

/// Shape first, then layout: adjacent columns, rows that do not overlap. Strides of an axis that is never stepped along
/// (a single row or column, or an empty matrix) mean nothing and may be anything.
fn check(what: &'static str, expected: (usize, usize), found: (usize, usize), strides: &[isize]) -> Result<()> {
    if found != expected {
        return Err(Error::Shape { what, expected, found });
    }
    let (rows, columns) = found;
    let empty = rows == 0 || columns == 0;
    let adjacent = columns <= 1 || strides[1] == 1;
    let ordered = rows <= 1 || strides[0] >= columns as isize;
    if empty || (adjacent && ordered) { Ok(()) } else { Err(Error::Layout { what, strides: strides.to_vec() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    fn rows_with_a_gap_are_fine_and_columns_with_a_gap_are_not() {
        let wide = Array2::<f64>::zeros((4, 9));
        let gap = wide.slice(s![.., 2..7]);
        assert!(check("Z", (4, 5), gap.dim(), gap.strides()).is_ok());
        let skipping = wide.slice(s![.., ..;2]);
        assert!(matches!(check("Z", (4, 5), skipping.dim(), skipping.strides()), Err(Error::Layout { what: "Z", .. })));
        let transposed = wide.t();
        assert!(matches!(check("Z", (9, 4), transposed.dim(), transposed.strides()), Err(Error::Layout { .. })));
        let upside_down = wide.slice(s![..;-1, ..]);
        assert!(matches!(check("Z", (4, 9), upside_down.dim(), upside_down.strides()), Err(Error::Layout { .. })));
        let one_row_again_and_again = wide.slice(s![..1, ..]);
        let broadcast = one_row_again_and_again.broadcast((3, 9)).expect("one row broadcasts");
        assert!(matches!(check("W", (3, 9), broadcast.dim(), broadcast.strides()), Err(Error::Layout { .. })));
    }

    #[test]
    fn a_wrong_shape_names_the_matrix_and_both_shapes() {
        let error = check("dW", (3, 2), (2, 3), &[3, 1]).expect_err("shapes differ");
        assert_eq!(error.to_string(), "dW has shape (2, 3), expected (3, 2)");
    }
}
