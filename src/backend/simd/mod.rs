//! `simd`: kernels of our own for every instruction set that the CPU has, made for layers of few units on long rows.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `kernels` | tiles in registers, packing, rows; compiled for each instruction set |
//! | `product` | products in blocks that fit the caches |
//! | `layer` | a layer made of products, and what each thread does of it |
//!
//! Skinny layers need no packed copy of X: going forward it is read as it lies, in vectors of examples, against a few rows of W that are packed as
//! they come; going backward panels of a few rows are transposed in the L1 cache. What is summed in which order depends on the shape and on the
//! instruction set, never on the number of threads.

mod kernels;
mod layer;
mod product;

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use kernels::HasKernels;

use self::kernels::Kernels;
use self::layer::{SimdLayer, Threads};
use super::pool;
use crate::error::Result;
use crate::layer::{Backend, Dependency, Determinism, Engine, Layer, LayerSpec, Profile};
use crate::scalar::Scalar;
use crate::simd::Isa;

const NAME: &str = "simd";

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simd;

impl<T: HasKernels> Backend<T> for Simd {
    fn name(&self) -> &str {
        NAME
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "vector kernels of our own (LAYERBENCH_ISA chooses the instruction set)".into(),
            dependency: Dependency::None,
            parallel: true,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        let kernels = T::kernels(Isa::chosen()?);
        // The caller's own thread is enough for one.
        let pool = (threads.get() > 1).then(|| pool::open(NAME, threads, "simd")).transpose()?;
        Ok(Arc::new(SimdEngine { kernels, threads: pool }))
    }
}

struct SimdEngine<T: 'static> {
    kernels: Kernels<T>,
    threads: Threads,
}

impl<T: Scalar> Engine<T> for SimdEngine<T> {
    fn threads(&self) -> usize {
        self.threads.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    fn description(&self) -> String {
        let Kernels { isa, rows, vectors, .. } = &self.kernels;
        format!("{isa}, tiles of {rows} rows and {vectors} vectors")
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(SimdLayer::new(self.kernels, self.threads.clone(), spec)))
    }

    fn run(&self, job: &mut (dyn FnMut() + Send)) {
        match &self.threads {
            Some(pool) => pool.install(job),
            None => job(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;
    use crate::layer::{Activation, Grads, Params, Upstream};
    use crate::model::NumpyRandom;

    /// Odd integers: every sum of their products is exact.
    fn matrix<T: Scalar>(random: &mut NumpyRandom, (rows, columns): (usize, usize)) -> Array2<T> {
        Array2::from_shape_simple_fn((rows, columns), || T::of(2.0 * (random.normal() * 3.0).round() + 1.0))
    }

    /// Z, A, dW, db and dA of a layer, each in a larger matrix of NaN, which must stay so.
    fn pass<T: Scalar>(engine: &dyn Engine<T>, spec: LayerSpec, m: usize, seed: u32) -> Vec<Array2<T>> {
        let (n, k) = (spec.outputs, spec.inputs);
        let random = &mut NumpyRandom::new(seed);
        let (w, b) = (matrix::<T>(random, (n, k + 3)), matrix::<T>(random, (n, 1)));
        let (x, upstream) = (matrix::<T>(random, (k, m + 1)), matrix::<T>(random, (n, m + 2)));
        let params = || Params { w: w.slice(s![.., 1..k + 1]), b: b.view() };
        let room = |(rows, columns): (usize, usize)| Array2::from_elem((rows + 2, columns + 3), T::nan());
        let inner = |(rows, columns): (usize, usize)| s![1..rows + 1, 2..columns + 2];
        let dims = [(n, m), (n, m), (n, k), (n, 1), (k, m)];
        let mut rooms = dims.map(room);
        let mut layer = engine.plan(spec).expect("any shape");
        let [z, a, dw, db, da] = &mut rooms;
        engine.run(&mut || {
            let x = x.slice(s![.., ..m]);
            layer.forward(params(), x, z.slice_mut(inner(dims[0])), a.slice_mut(inner(dims[1]))).expect("it fits");
            let grads = Grads { dw: dw.slice_mut(inner(dims[2])), db: db.slice_mut(inner(dims[3])) };
            let upstream = Upstream::Da(upstream.slice(s![.., 1..m + 1]));
            let da = Some(da.slice_mut(inner(dims[4])));
            layer.backward(params(), x, z.slice(inner(dims[0])), upstream, T::of(0.5), grads, da).expect("it fits");
        });
        rooms.iter().zip(dims).for_each(|(room, dim)| {
            let outside = room
                .indexed_iter()
                .filter(|((row, column), _)| !(1..dim.0 + 1).contains(row) || !(2..dim.1 + 2).contains(column));
            assert!(outside.into_iter().all(|(_, value)| value.is_nan()), "{spec:?}, {m}: written beside its output");
        });
        rooms.into_iter().zip(dims).map(|(room, dim)| room.slice(inner(dim)).to_owned()).collect()
    }

    fn engine<T: HasKernels>(isa: Isa, threads: usize) -> SimdEngine<T> {
        let count = NonZeroUsize::new(threads).expect("not zero");
        let pool = || pool::open(NAME, count, "simd").expect("a few threads");
        SimdEngine { kernels: T::kernels(isa), threads: (threads > 1).then(pool) }
    }

    fn every_set_is_exact<T: HasKernels>() {
        let naive = crate::backend::Naive.open(NonZeroUsize::MIN).expect("always");
        let shapes = [
            (1, 1, 1),
            (2, 3, 4),
            (7, 20, 209),
            (8, 64, 48),
            (9, 65, 49),
            (20, 700, 209),
            (5, 1, 7),
            (1, 300, 33),
            (17, 257, 5),
            (200, 31, 25),
            (3, 0, 5),
            (3, 5, 0),
            (64, 9, 1),
            (4, 6000, 17),
        ];
        for isa in Isa::available().into_iter().chain([Isa::Portable]) {
            for (seed, (outputs, inputs, m)) in shapes.into_iter().enumerate() {
                let spec = LayerSpec { inputs, outputs, batch: m + seed % 2, activation: Activation::Relu };
                let expected = pass::<T>(naive.as_ref(), spec, m, seed as u32);
                for threads in [1, 3] {
                    let found = pass::<T>(&engine::<T>(isa, threads), spec, m, seed as u32);
                    assert!(found == expected, "{isa}, {threads} threads, {spec:?}");
                }
            }
        }
    }

    #[test]
    fn every_set_is_exact_in_f64() {
        every_set_is_exact::<f64>();
    }

    #[test]
    fn every_set_is_exact_in_f32() {
        every_set_is_exact::<f32>();
    }
}
