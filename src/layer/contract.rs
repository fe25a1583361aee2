//! The one place where the arguments of a layer's calls are held against its shape. Nothing is computed here.

use std::ops::{Range, RangeInclusive};

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Grads, LayerSpec, Params, Upstream};
use crate::error::{Error, Result};

impl LayerSpec {
    /// Holds the arguments of [`Layer::forward`](super::Layer::forward) against the planned shape: m is the columns of A_prev, at most as many
    /// as planned, and everything else has as many. Every implementation calls this first; kernels may then rely on it for memory safety.
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
        let m = self.check_inputs(params, a_prev)?;
        check("Z", (self.outputs, m), z.dim(), z.strides())?;
        check("A", (self.outputs, m), a.dim(), a.strides())
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
        let m = self.check_inputs(params, a_prev)?;
        check("Z", (self.outputs, m), z.dim(), z.strides())?;
        let view = upstream.view();
        let name = match upstream {
            Upstream::Da(_) => "dA",
            Upstream::Dz(_) => "dZ",
        };
        check(name, (self.outputs, m), view.dim(), view.strides())?;
        check("dW", (self.outputs, self.inputs), grads.dw.dim(), grads.dw.strides())?;
        check("db", (self.outputs, 1), grads.db.dim(), grads.db.strides())?;
        match da_prev {
            Some(d) => check("dA_prev", (self.inputs, m), d.dim(), d.strides()),
            None => Ok(()),
        }
    }

    /// The number of examples of a call.
    fn check_inputs<T>(&self, params: &Params<'_, T>, a_prev: &ArrayView2<'_, T>) -> Result<usize> {
        check("W", (self.outputs, self.inputs), params.w.dim(), params.w.strides())?;
        check("b", (self.outputs, 1), params.b.dim(), params.b.strides())?;
        let m = a_prev.ncols().min(self.batch);
        check("A_prev", (self.inputs, m), a_prev.dim(), a_prev.strides())?;
        Ok(m)
    }
}

/// Holds the columns of X that a call names against those that it has, and their number against the sizes that whoever is called can do.
///
/// # Errors
/// [`Error::Columns`].
pub fn expect_columns(columns: &Range<usize>, sizes: RangeInclusive<usize>, available: usize) -> Result<()> {
    let &Range { start: first, end: last } = columns;
    if first <= last && last <= available && sizes.contains(&columns.len()) {
        return Ok(());
    }
    Err(Error::Columns { first, last, available })
}

pub(super) fn expect_dim(what: &'static str, expected: (usize, usize), found: (usize, usize)) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Shape { what, expected, found }) }
}

/// Shape first, then layout: adjacent columns, rows that do not overlap. Strides of an axis that is never stepped along
/// (a single row or column, or an empty matrix) mean nothing and may be anything.
fn check(what: &'static str, expected: (usize, usize), found: (usize, usize), strides: &[isize]) -> Result<()> {
    expect_dim(what, expected, found)?;
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
    fn columns_are_of_x_in_order_and_as_many_as_can_be_done() {
        for (first, last, sizes, is_fine) in [
            (0, 5, 1..=5, true),
            (5, 5, 0..=5, true),
            (2, 5, 1..=3, true),
            (5, 5, 1..=5, false),
            (2, 6, 1..=5, false),
            (3, 2, 0..=5, false),
            (1, 5, 1..=3, false),
        ] {
            let outcome = expect_columns(&(first..last), sizes, 5);
            assert_eq!(outcome.is_ok(), is_fine, "{first}..{last}: {outcome:?}");
            assert!(matches!(outcome, Ok(()) | Err(Error::Columns { available: 5, .. })));
        }
    }

    #[test]
    fn a_wrong_shape_names_the_matrix_and_both_shapes() {
        let error = check("dW", (3, 2), (2, 3), &[3, 1]).expect_err("shapes differ");
        assert_eq!(error.to_string(), "dW has shape (2, 3), expected (3, 2)");
    }
}
