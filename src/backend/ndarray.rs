//! `ndarray`: the products of the ndarray crate, which are matrixmultiply's (pure Rust, SIMD chosen at run time).
//! The crate's `blas` feature stays off, so that this and `openblas` are two backends in one executable.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::error::Result;
use crate::layer::{Backend, Dense, Dependency, Determinism, Engine, Kernels, Layer, LayerSpec, Op, Profile};
use crate::scalar::Scalar;

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct NdArray;

impl<T: Scalar> Backend<T> for NdArray {
    fn name(&self) -> &str {
        "ndarray"
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "ndarray's own products (matrixmultiply)".into(),
            dependency: Dependency::Crate("ndarray".into()),
            parallel: false,
            determinism: Determinism::AnyThreads,
            // matrixmultiply takes a packing buffer at each call and gives it back.
            allocations_per_product: 1,
            keeps_subnormals: true,
        }
    }

    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(NdArrayEngine))
    }
}

struct NdArrayEngine;

impl<T: Scalar> Engine<T> for NdArrayEngine {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        "matrixmultiply through ndarray".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(Dense::new(MatrixMultiply, spec)))
    }
}

struct MatrixMultiply;

impl<T: Scalar> Kernels<T> for MatrixMultiply {
    fn gemm(
        &mut self,
        alpha: T,
        a: (Op, ArrayView2<'_, T>),
        b: (Op, ArrayView2<'_, T>),
        mut c: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        fn oriented<T>((op, view): (Op, ArrayView2<'_, T>)) -> ArrayView2<'_, T> {
            match op {
                Op::Plain => view,
                Op::Transposed => view.reversed_axes(),
            }
        }
        // beta = 0: c is not read.
        general_mat_mul(alpha, &oriented(a), &oriented(b), T::zero(), &mut c);
        Ok(())
    }
}
