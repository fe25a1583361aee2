//! `naive`: plain loops, the readable reference. The loop order lets the innermost loop walk along rows; there is no
//! blocking, no threads, no unrolling by hand, and nothing is shared with the other backends but the activation functions.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

use crate::error::Result;
use crate::layer::{Backend, Dependency, Determinism, Engine, Grads, Layer, LayerSpec, Params, Profile, Upstream};
use crate::scalar::Scalar;

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Naive;

impl<T: Scalar> Backend<T> for Naive {
    fn name(&self) -> &str {
        "naive"
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "plain loops, the readable reference".into(),
            dependency: Dependency::None,
            parallel: false,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(NaiveEngine))
    }
}

struct NaiveEngine;

impl<T: Scalar> Engine<T> for NaiveEngine {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        "plain loops".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(NaiveLayer { spec, dz: Array2::zeros((spec.outputs, spec.batch)) }))
    }
}

struct NaiveLayer<T> {
    spec: LayerSpec,
    dz: Array2<T>,
}

/// The row of a checked view as a slice: its columns are adjacent.
fn row<'a, T>(matrix: &'a ArrayView2<'_, T>, i: usize) -> &'a [T] {
    matrix.row(i).to_slice().expect("checked: columns are adjacent")
}

impl<T: Scalar> Layer<T> for NaiveLayer<T> {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        mut z: ArrayViewMut2<'_, T>,
        mut a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        self.spec.check_forward(&params, &a_prev, &z, &a)?;
        for i in 0..self.spec.outputs {
            let mut z_row = z.row_mut(i);
            let z_row = z_row.as_slice_mut().expect("checked: columns are adjacent");
            z_row.fill(params.b[(i, 0)]);
            for p in 0..self.spec.inputs {
                let w = params.w[(i, p)];
                for (z, &x) in z_row.iter_mut().zip(row(&a_prev, p)) {
                    *z += w * x;
                }
            }
            for (a, &z) in a.row_mut(i).iter_mut().zip(&*z_row) {
                *a = self.spec.activation.apply(z);
            }
        }
        Ok(())
    }

    fn backward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        mut grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        self.spec.check_backward(&params, &a_prev, &z, &upstream, &grads, da_prev.as_ref())?;
        let dz = match upstream {
            Upstream::Dz(dz) => dz,
            Upstream::Da(da) => {
                for i in 0..self.spec.outputs {
                    for j in 0..da.ncols() {
                        self.dz[(i, j)] = self.spec.activation.pull_back(z[(i, j)], da[(i, j)]);
                    }
                }
                self.dz.slice(s![.., ..da.ncols()])
            }
        };
        // p outside, i inside: a row of A_prev, the large matrix, is used by all units while it is in cache.
        for p in 0..self.spec.inputs {
            for i in 0..self.spec.outputs {
                let mut sum = T::zero();
                for (&dz, &x) in row(&dz, i).iter().zip(row(&a_prev, p)) {
                    sum += dz * x;
                }
                grads.dw[(i, p)] = scale * sum;
            }
        }
        for i in 0..self.spec.outputs {
            let mut sum = T::zero();
            for &dz in row(&dz, i) {
                sum += dz;
            }
            grads.db[(i, 0)] = scale * sum;
        }
        if let Some(mut da_prev) = da_prev {
            for p in 0..self.spec.inputs {
                let mut da_row = da_prev.row_mut(p);
                let da_row = da_row.as_slice_mut().expect("checked: columns are adjacent");
                da_row.fill(T::zero());
                for i in 0..self.spec.outputs {
                    let w = params.w[(i, p)];
                    for (da, &dz) in da_row.iter_mut().zip(row(&dz, i)) {
                        *da += w * dz;
                    }
                }
            }
        }
        Ok(())
    }
}
