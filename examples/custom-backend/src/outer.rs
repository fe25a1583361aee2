//! `outer`, through the easy door: one matrix product, as a sum of outer products. The rest has default bodies.

use std::num::NonZeroUsize;
use std::sync::Arc;

use layerbench::layer::{Backend, Dense, Dependency, Determinism, Engine, Kernels, Layer, LayerSpec, Op, Profile};
use layerbench::{Result, Scalar};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The backend.
pub struct Outer;

impl<T: Scalar> Backend<T> for Outer {
    fn name(&self) -> &str {
        "outer"
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "sums of outer products (an example)".into(),
            dependency: Dependency::None,
            parallel: false,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    // It is serial, and says so: it is never asked for more than one thread.
    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(OuterEngine))
    }
}

struct OuterEngine;

impl<T: Scalar> Engine<T> for OuterEngine {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        "outer products".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(Dense::new(OuterProducts, spec)))
    }
}

struct OuterProducts;

impl<T: Scalar> Kernels<T> for OuterProducts {
    fn gemm(
        &mut self,
        alpha: T,
        (a_op, a): (Op, ArrayView2<'_, T>),
        (b_op, b): (Op, ArrayView2<'_, T>),
        mut c: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        // c may hold NaN: it is overwritten first, never scaled.
        c.fill(T::zero());
        let (a, b) = (oriented(a_op, a), oriented(b_op, b));
        for (column, row) in a.columns().into_iter().zip(b.rows()) {
            for (mut c_row, &a) in c.rows_mut().into_iter().zip(column) {
                c_row.zip_mut_with(&row, |c, &b| *c += a * b);
            }
        }
        c.mapv_inplace(|c| alpha * c);
        Ok(())
    }
}

/// The operand as it enters the product: transposing a view costs nothing.
fn oriented<T>(op: Op, view: ArrayView2<'_, T>) -> ArrayView2<'_, T> {
    if op == Op::Plain { view } else { view.reversed_axes() }
}
