//! A layer made of three products, and how their parts are shared out among threads. What is computed in which order depends on the shape
//! alone: the bits are the same on any number of threads.

use std::ops::Range;
use std::sync::Arc;

use ndarray::parallel::prelude::*;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::ThreadPool;

use super::kernels::Kernels;
use super::product::{Operand, Part, Product, Scratch, depth};
use crate::backend::pool;
use crate::error::Result;
use crate::layer::{Activation, Grads, Layer, LayerSpec, Params, Upstream};
use crate::model::{view, view_mut};
use crate::scalar::Scalar;

/// Multiply-adds below which handing work to another thread costs more than it saves.
const GRAIN: usize = 1 << 17;
/// Z of at most so many numbers is summed in slices of the inputs: few units and few examples are too little to share out.
const SLICED_NUMBERS: usize = 1 << 14;
/// At most so many slices, each of so many chunks at least.
const SLICES: usize = 8;
const CHUNKS_PER_SLICE: usize = 4;

/// The threads of an engine; none of their own where there is one.
pub(super) type Threads = Option<Arc<ThreadPool>>;

pub(super) struct SimdLayer<T: 'static> {
    kernels: Kernels<T>,
    threads: Threads,
    spec: LayerSpec,
    /// Slices of the sum over the inputs in the forward pass.
    slices: usize,
    /// dZ, (n, m).
    dz: Vec<T>,
    /// Z of all slices but the first, each (n, m).
    partial: Vec<T>,
    /// One for each thread.
    scratch: Vec<Scratch<T>>,
}

impl<T: Scalar> SimdLayer<T> {
    pub fn new(kernels: Kernels<T>, threads: Threads, spec: LayerSpec) -> Self {
        let LayerSpec { inputs, outputs, batch, .. } = spec;
        let size = outputs * batch;
        let chunks = inputs / depth(&kernels, false, batch);
        let slices = if size <= SLICED_NUMBERS { (chunks / CHUNKS_PER_SLICE).clamp(1, SLICES) } else { 1 };
        let count = threads.as_ref().map_or(1, |pool| pool.current_num_threads());
        // Rows and steps of the three products.
        let shapes = [(outputs, inputs), (outputs, batch), (inputs, outputs)];
        let rows = shapes.iter().map(|shape| shape.0).max().unwrap_or(0);
        let steps = shapes.iter().map(|shape| shape.1).max().unwrap_or(0);
        SimdLayer {
            kernels,
            threads,
            spec,
            slices,
            dz: vec![T::zero(); size],
            partial: vec![T::zero(); (slices - 1) * size],
            scratch: (0..count).map(|_| Scratch::new(&kernels, rows, steps)).collect(),
        }
    }
}

/// Runs a pass where the engine's threads are.
fn on_pool(threads: &Threads, pass: impl FnOnce() + Send) {
    match threads {
        Some(pool) => pool::within(pool, pass),
        None => pass(),
    }
}

/// Whether this is worth more than one thread.
fn is_shared(threads: &Threads, work: usize) -> bool {
    threads.is_some() && work >= GRAIN
}

/// Part number `index` of `count` of a range whose pieces begin at multiples of `unit`.
fn share(range: usize, unit: usize, index: usize, count: usize) -> Range<usize> {
    let units = range.div_ceil(unit);
    let place = |index: usize| (units * index / count * unit).min(range);
    place(index)..place(index + 1)
}

impl<T: Scalar> Product<T> {
    /// All of C, by all threads: its rows or its columns are shared out, whichever are more.
    ///
    /// # Safety
    /// As [`compute`](Self::compute), for all of C.
    unsafe fn compute_all(&self, kernels: &Kernels<T>, threads: &Threads, scratch: &mut [Scratch<T>]) {
        let (rows, columns) = self.dim;
        let panel = kernels.vectors * kernels.lanes;
        let (tiles, panels) = (rows.div_ceil(kernels.rows), columns.div_ceil(panel));
        let count = scratch.len().min(tiles.max(panels));
        let part = |index: usize| {
            if panels >= tiles {
                Part { columns: share(columns, panel, index, count), ..self.whole() }
            } else {
                Part { rows: share(rows, kernels.rows, index, count), ..self.whole() }
            }
        };
        if count > 1 && is_shared(threads, rows * columns * self.steps) {
            scratch[..count].par_iter_mut().enumerate().for_each(|(index, scratch)| {
                // SAFETY: the caller's promise; the parts do not overlap.
                unsafe { self.compute(kernels, &part(index), scratch) }
            });
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.compute(kernels, &self.whole(), &mut scratch[0]) }
        }
    }
}

/// The product of two operands, of so many steps, into C.
fn product<T: Scalar>([a, b]: [Operand<T>; 2], steps: usize, c: &mut ArrayViewMut2<'_, T>, scale: T) -> Product<T> {
    let (dim, c_stride) = (c.dim(), row_stride(c.dim(), c.strides()));
    Product { a, b, c: c.as_mut_ptr(), c_stride, dim, steps, scale }
}

fn operand<T: Scalar>(matrix: &ArrayView2<'_, T>, is_summed_along_rows: bool) -> Operand<T> {
    Operand { at: matrix.as_ptr(), stride: row_stride(matrix.dim(), matrix.strides()), is_summed_along_rows }
}

/// The stride of a single row means nothing and may be anything.
fn row_stride((rows, columns): (usize, usize), strides: &[isize]) -> usize {
    if rows > 1 { strides[0] as usize } else { columns }
}

impl<T: Scalar> Layer<T> for SimdLayer<T> {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        mut z: ArrayViewMut2<'_, T>,
        mut a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        self.spec.check_forward(&params, &a_prev, &z, &a)?;
        let SimdLayer { kernels, threads, spec, slices, partial, scratch, .. } = self;
        let (n, m) = z.dim();
        let inputs = spec.inputs;
        if n == 0 || m == 0 {
            return Ok(());
        }
        let (kernels, slices, activation) = (&*kernels, *slices, spec.activation);
        on_pool(threads, || {
            let product = product([operand(&params.w, true), operand(&a_prev, false)], inputs, &mut z, T::one());
            let partial = &mut partial[..(slices - 1) * n * m];
            if inputs == 0 {
                z.fill(T::zero());
            } else if slices == 1 {
                // SAFETY: shapes and strides are checked, z is borrowed mutably; the scratch is planned for such products.
                unsafe { product.compute_all(kernels, threads, scratch) };
            } else {
                let others = product.onto(partial.as_mut_ptr(), m);
                let compute = |index: usize, scratch: &mut Scratch<T>| {
                    let steps = inputs * index / slices..inputs * (index + 1) / slices;
                    let part = Part { steps, ..product.whole() };
                    let slice = if index == 0 { product } else { others.behind((index - 1) * n * m) };
                    // SAFETY: as above; each slice has a C of its own.
                    unsafe { slice.compute(kernels, &part, scratch) }
                };
                if is_shared(threads, n * m * inputs) {
                    let count = scratch.len().min(slices);
                    scratch[..count].par_iter_mut().enumerate().for_each(|(share, scratch)| {
                        for index in slices * share / count..slices * (share + 1) / count {
                            compute(index, scratch);
                        }
                    });
                } else {
                    (0..slices).for_each(|index| compute(index, &mut scratch[0]));
                }
            }
            let partial = &*partial;
            let finish = |row: usize, mut z: ArrayViewMut2<'_, T>, mut a: ArrayViewMut2<'_, T>| {
                for (index, (mut z, mut a)) in z.rows_mut().into_iter().zip(a.rows_mut()).enumerate() {
                    let z = z.as_slice_mut().expect("checked: columns are adjacent");
                    let a = a.as_slice_mut().expect("checked: columns are adjacent");
                    let row = row + index;
                    // SAFETY: the kernels are of this CPU, and the rows have m numbers each.
                    unsafe {
                        for slice in partial.chunks_exact(n * m) {
                            (kernels.add)(z, &slice[row * m..][..m]);
                        }
                        (kernels.finish)(activation, params.b[(row, 0)], z, a);
                    }
                }
            };
            if is_shared(threads, n * m * slices) {
                let rows = n.div_ceil(4 * scratch.len());
                z.axis_chunks_iter_mut(Axis(0), rows)
                    .into_par_iter()
                    .zip(a.axis_chunks_iter_mut(Axis(0), rows))
                    .enumerate()
                    .for_each(|(chunk, (z, a))| finish(chunk * rows, z, a));
            } else {
                finish(0, z.view_mut(), a.view_mut());
            }
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
        mut grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        self.spec.check_backward(&params, &a_prev, &z, &upstream, &grads, da_prev.as_ref())?;
        let SimdLayer { kernels, threads, spec, dz, scratch, .. } = self;
        let (n, m) = z.dim();
        let inputs = spec.inputs;
        let (kernels, activation) = (&*kernels, spec.activation);
        on_pool(threads, || {
            let dz = match upstream {
                Upstream::Dz(dz) => dz,
                Upstream::Da(da) => {
                    let scratch = &mut dz[..n * m];
                    pull_back(kernels, threads, activation, [z, da], view_mut((n, m), scratch));
                    view((n, m), scratch)
                }
            };
            if m == 0 {
                grads.dw.fill(T::zero());
                grads.db.fill(T::zero());
                return;
            }
            for (db, row) in grads.db.iter_mut().zip(dz.rows()) {
                let row = row.to_slice().expect("checked: columns are adjacent");
                // SAFETY: the kernels are of this CPU.
                *db = scale * unsafe { (kernels.sum)(row) };
            }
            if n > 0 && inputs > 0 {
                let product = product([operand(&dz, true), operand(&a_prev, true)], m, &mut grads.dw, scale);
                // SAFETY: shapes and strides are checked, dW is borrowed mutably; the scratch is planned for such products.
                unsafe { product.compute_all(kernels, threads, scratch) };
            }
            let Some(mut da_prev) = da_prev else { return };
            if n == 0 {
                da_prev.fill(T::zero());
            } else if inputs > 0 {
                let product = product([operand(&params.w, false), operand(&dz, false)], n, &mut da_prev, T::one());
                // SAFETY: as above, of dA.
                unsafe { product.compute_all(kernels, threads, scratch) };
            }
        });
        Ok(())
    }
}

/// dZ = dA * g'(Z), all (n, m), into memory of the layer.
fn pull_back<T: Scalar>(
    kernels: &Kernels<T>,
    threads: &Threads,
    activation: Activation,
    [z, da]: [ArrayView2<'_, T>; 2],
    dz: ArrayViewMut2<'_, T>,
) {
    let rows = |mut dz: ArrayViewMut2<'_, T>, z: ArrayView2<'_, T>, da: ArrayView2<'_, T>| {
        for ((mut dz, z), da) in dz.rows_mut().into_iter().zip(z.rows()).zip(da.rows()) {
            let dz = dz.as_slice_mut().expect("it is the layer's own");
            let z = z.to_slice().expect("checked: columns are adjacent");
            let da = da.to_slice().expect("checked: columns are adjacent");
            // SAFETY: the kernels are of this CPU, and the rows have m numbers each.
            unsafe { (kernels.pull_back)(activation, z, da, dz) };
        }
    };
    // An exponential costs about as much as sixteen multiply-adds.
    if is_shared(threads, 16 * dz.len()) {
        let mut dz = dz;
        dz.axis_chunks_iter_mut(Axis(0), 1)
            .into_par_iter()
            .zip(z.axis_chunks_iter(Axis(0), 1))
            .zip(da.axis_chunks_iter(Axis(0), 1))
            .for_each(|((dz, z), da)| rows(dz, z, da));
    } else {
        rows(dz, z, da);
    }
}
