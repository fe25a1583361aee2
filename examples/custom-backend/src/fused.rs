//! `fused`, through the other door: a `Layer` of its own, which computes Z and A of a row while the row is in cache, and dW, db and
//! dA_prev in one pass over dZ. In f64 only, to show that an entry may support one scalar type.

use std::num::NonZeroUsize;
use std::sync::Arc;

use layerbench::Result;
use layerbench::layer::{Backend, Dependency, Determinism, Engine, Grads, Layer, LayerSpec, Params, Profile, Upstream};
use ndarray::{Array1, ArrayView2, ArrayViewMut2, s};

/// The backend.
pub struct Fused;

impl Backend<f64> for Fused {
    fn name(&self) -> &str {
        "fused"
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "one pass per direction (an example)".into(),
            dependency: Dependency::None,
            parallel: false,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<f64>>> {
        Ok(Arc::new(FusedEngine))
    }
}

struct FusedEngine;

impl Engine<f64> for FusedEngine {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        "fused loops".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<f64>>> {
        Ok(Box::new(FusedLayer { spec, dz: Array1::zeros(spec.batch) }))
    }
}

/// Scratch memory is one row of dZ.
struct FusedLayer {
    spec: LayerSpec,
    dz: Array1<f64>,
}

impl Layer<f64> for FusedLayer {
    fn forward(
        &mut self,
        params: Params<'_, f64>,
        a_prev: ArrayView2<'_, f64>,
        mut z: ArrayViewMut2<'_, f64>,
        mut a: ArrayViewMut2<'_, f64>,
    ) -> Result<()> {
        self.spec.check_forward(&params, &a_prev, &z, &a)?;
        for (i, (mut z, mut a)) in z.rows_mut().into_iter().zip(a.rows_mut()).enumerate() {
            z.fill(params.b[(i, 0)]);
            for (&w, x) in params.w.row(i).iter().zip(a_prev.rows()) {
                z.scaled_add(w, &x);
            }
            a.zip_mut_with(&z, |a, &z| *a = self.spec.activation.apply(z));
        }
        Ok(())
    }

    fn backward(
        &mut self,
        params: Params<'_, f64>,
        a_prev: ArrayView2<'_, f64>,
        z: ArrayView2<'_, f64>,
        upstream: Upstream<'_, f64>,
        scale: f64,
        grads: Grads<'_, f64>,
        mut da_prev: Option<ArrayViewMut2<'_, f64>>,
    ) -> Result<()> {
        self.spec.check_backward(&params, &a_prev, &z, &upstream, &grads, da_prev.as_ref())?;
        let Grads { mut dw, mut db } = grads;
        // A call may have fewer examples than were planned for.
        let mut row = self.dz.slice_mut(s![..a_prev.ncols()]);
        if let Some(da_prev) = &mut da_prev {
            da_prev.fill(0.0);
        }
        for i in 0..self.spec.outputs {
            match upstream {
                Upstream::Dz(dz) => row.assign(&dz.row(i)),
                Upstream::Da(da) => {
                    for ((dz, &z), &da) in row.iter_mut().zip(z.row(i)).zip(da.row(i)) {
                        *dz = self.spec.activation.pull_back(z, da);
                    }
                }
            }
            db[(i, 0)] = scale * row.sum();
            for (p, x) in a_prev.rows().into_iter().enumerate() {
                dw[(i, p)] = scale * row.dot(&x);
                if let Some(da_prev) = &mut da_prev {
                    da_prev.row_mut(p).scaled_add(params.w[(i, p)], &row);
                }
            }
        }
        Ok(())
    }
}
