//! `rayon`: loops over fixed tiles, shared out among the threads of a pool.
//!
//! Every output element belongs to one tile, whose place and summation order depend on the shape alone. Which thread does a
//! tile is left to chance, so the result is bit-identical for any number of threads. No hand-made SIMD: inner loops over
//! `LANES` independent sums are left to the compiler.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::ThreadPool;

use super::pool;
use crate::error::Result;
use crate::layer::{
    Activation, Backend, Dependency, Determinism, Engine, Grads, Layer, LayerSpec, Params, Profile, Upstream,
};
use crate::machine::ThreadLibrary;
use crate::scalar::Scalar;

const NAME: &str = "rayon";

/// Columns of a tile, and independent partial sums of a dot product: enough to hide the latency of an addition.
const LANES: usize = 16;
/// Rows of a tile of Z, and columns of a tile of dW.
const ROWS: usize = 32;
/// Steps of the inner dimension between two stores of a tile's row: `DEPTH * LANES` numbers of X stay in the L1 cache.
const DEPTH: usize = 128;
/// Multiply-adds below which handing work to another thread costs more than it saves.
const GRAIN: usize = 1 << 14;

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rayon;

impl<T: Scalar> Backend<T> for Rayon {
    fn name(&self) -> &str {
        NAME
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "parallel loops over fixed tiles".into(),
            dependency: Dependency::Crate("rayon".into()),
            parallel: true,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(RayonEngine { pool: pool::open(NAME, threads, "layer")? }))
    }
}

struct RayonEngine {
    pool: Arc<ThreadPool>,
}

impl<T: Scalar> Engine<T> for RayonEngine {
    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    fn description(&self) -> String {
        "parallel loops".into()
    }

    fn thread_library(&self) -> Option<ThreadLibrary> {
        Some(ThreadLibrary::Rayon)
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(RayonLayer { pool: Arc::clone(&self.pool), spec, dz: Array2::zeros((spec.outputs, spec.batch)) }))
    }

    fn run(&self, job: &mut (dyn FnMut() + Send)) {
        self.pool.install(job);
    }
}

struct RayonLayer<T> {
    pool: Arc<ThreadPool>,
    spec: LayerSpec,
    dz: Array2<T>,
}

impl<T: Scalar> Layer<T> for RayonLayer<T> {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        mut z: ArrayViewMut2<'_, T>,
        mut a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        self.spec.check_forward(&params, &a_prev, &z, &a)?;
        let LayerSpec { inputs, activation, .. } = self.spec;
        pool::within(&self.pool, || {
            z.axis_chunks_iter_mut(Axis(0), ROWS)
                .into_par_iter()
                .zip(a.axis_chunks_iter_mut(Axis(0), ROWS))
                .zip(params.w.axis_chunks_iter(Axis(0), ROWS))
                .zip(params.b.axis_chunks_iter(Axis(0), ROWS))
                .for_each(|(((mut z, mut a), w), b)| {
                    let tile_work = z.nrows() * inputs.max(1) * LANES;
                    z.axis_chunks_iter_mut(Axis(1), LANES)
                        .into_par_iter()
                        .zip(a.axis_chunks_iter_mut(Axis(1), LANES))
                        .zip(a_prev.axis_chunks_iter(Axis(1), LANES))
                        .with_min_len(tiles_per_task(tile_work))
                        .for_each(|((mut z, mut a), x)| {
                            for (mut row, &b) in z.rows_mut().into_iter().zip(&b) {
                                row.fill(b);
                            }
                            add_product(&mut z, |i, p| w[(i, p)], &x);
                            a.zip_mut_with(&z, |a, &z| *a = activation.apply(z));
                        });
                });
        });
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
        let activation = self.spec.activation;
        let scratch = &mut self.dz;
        pool::within(&self.pool, || {
            let dz = match upstream {
                Upstream::Dz(dz) => dz,
                Upstream::Da(da) => {
                    let mut dz = scratch.slice_mut(s![.., ..da.ncols()]);
                    pull_back(activation, z, da, dz.view_mut());
                    scratch.slice(s![.., ..da.ncols()])
                }
            };
            weight_gradient(scale, dz, a_prev, grads.dw);
            for (db, row) in grads.db.into_iter().zip(dz.rows()) {
                *db = scale * row.sum();
            }
            if let Some(da_prev) = da_prev {
                input_gradient(params.w, dz, da_prev);
            }
        });
        Ok(())
    }
}

/// How many tiles make a task worth handing over; depends on the shape only.
fn tiles_per_task(tile_work: usize) -> usize {
    GRAIN.div_ceil(tile_work.max(1))
}

/// dZ = dA * g'(Z), all (n, m), into scratch memory.
fn pull_back<T: Scalar>(
    activation: Activation,
    z: ArrayView2<'_, T>,
    da: ArrayView2<'_, T>,
    mut dz: ArrayViewMut2<'_, T>,
) {
    // An exponential costs about as much as sixteen multiply-adds.
    let columns = LANES * tiles_per_task(z.nrows() * LANES * 16);
    dz.axis_chunks_iter_mut(Axis(1), columns)
        .into_par_iter()
        .zip(z.axis_chunks_iter(Axis(1), columns))
        .zip(da.axis_chunks_iter(Axis(1), columns))
        .for_each(|((mut dz, z), da)| {
            ndarray::Zip::from(&mut dz).and(&z).and(&da).for_each(|dz, &z, &da| *dz = activation.pull_back(z, da));
        });
}

/// dW = scale * dZ A_prev^T; `dz` is (n, m), `a_prev` is (n_prev, m), `dw` is (n, n_prev).
fn weight_gradient<T: Scalar>(
    scale: T,
    dz: ArrayView2<'_, T>,
    a_prev: ArrayView2<'_, T>,
    mut dw: ArrayViewMut2<'_, T>,
) {
    let tile_work = dz.len() * ROWS;
    dw.axis_chunks_iter_mut(Axis(1), ROWS)
        .into_par_iter()
        .zip(a_prev.axis_chunks_iter(Axis(0), ROWS))
        .with_min_len(tiles_per_task(tile_work))
        .for_each(|(mut dw, x)| {
            // A row of A_prev outside: it is the large matrix, and dZ stays in cache.
            for (mut column, x) in dw.columns_mut().into_iter().zip(x.rows()) {
                let x = x.to_slice().expect("checked: columns are adjacent");
                for (dw, dz) in column.iter_mut().zip(dz.rows()) {
                    *dw = scale * dot(dz.to_slice().expect("checked: columns are adjacent"), x);
                }
            }
        });
}

/// dA_prev = W^T dZ; `w` is (n, n_prev), `dz` is (n, m), `da_prev` is (n_prev, m).
fn input_gradient<T: Scalar>(w: ArrayView2<'_, T>, dz: ArrayView2<'_, T>, mut da_prev: ArrayViewMut2<'_, T>) {
    let block_work = dz.len() * ROWS;
    da_prev
        .axis_chunks_iter_mut(Axis(0), ROWS)
        .into_par_iter()
        .zip(w.axis_chunks_iter(Axis(1), ROWS))
        .with_min_len(tiles_per_task(block_work))
        .for_each(|(mut da, w)| {
            da.fill(T::zero());
            for (mut da, dz) in da.axis_chunks_iter_mut(Axis(1), LANES).zip(dz.axis_chunks_iter(Axis(1), LANES)) {
                add_product(&mut da, |p, i| w[(i, p)], &dz);
            }
        });
}

/// C += coefficients * X for a tile C (rows, at most LANES); X is (k, the same columns); `coefficient(i, p)` is of row i, step p.
/// Each element is summed over p in order, whatever the blocking.
fn add_product<T: Scalar>(
    c: &mut ArrayViewMut2<'_, T>,
    coefficient: impl Fn(usize, usize) -> T,
    x: &ArrayView2<'_, T>,
) {
    let (k, columns) = x.dim();
    for start in (0..k).step_by(DEPTH) {
        let end = k.min(start + DEPTH);
        for (i, mut c_row) in c.rows_mut().into_iter().enumerate() {
            let c_row = c_row.as_slice_mut().expect("a tile's columns are adjacent");
            // A full tile's row lives in registers: its length must be a constant for that.
            if let Ok(c_row) = <&mut [T; LANES]>::try_from(&mut *c_row) {
                let mut sums = *c_row;
                for p in start..end {
                    let factor = coefficient(i, p);
                    let x_row = x.row(p);
                    let x_row = x_row.to_slice().expect("checked: columns are adjacent");
                    let x_row = <&[T; LANES]>::try_from(x_row).expect("x has the columns of c");
                    for (sum, &x) in sums.iter_mut().zip(x_row) {
                        *sum += factor * x;
                    }
                }
                *c_row = sums;
            } else {
                for p in start..end {
                    let factor = coefficient(i, p);
                    for (sum, j) in c_row.iter_mut().zip(0..columns) {
                        *sum += factor * x[(p, j)];
                    }
                }
            }
        }
    }
}

/// The dot product, in LANES interleaved partial sums that are then added in order, then the tail.
fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); LANES];
    let (a_lanes, a_tail) = a.as_chunks::<LANES>();
    let (b_lanes, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail: T = a_tail.iter().zip(b_tail).map(|(&a, &b)| a * b).sum();
    sums.into_iter().sum::<T>() + tail
}
