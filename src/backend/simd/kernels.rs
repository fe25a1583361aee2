//! What the arithmetic comes down to: a tile of a product in registers, rows that are packed, rows that are finished. Each is one generic
//! function, compiled for every instruction set; which one runs is decided when an engine is opened. No blocking and no threads here.

use crate::model::Activation;
use crate::scalar::Scalar;
use crate::simd::{Isa, Vector, prefetch};

/// A tile of C: `C = scale * A B`, or added to what is there. A is packed: its `rows` numbers of one step of the sum are adjacent, steps follow
/// each other. B is in vectors of adjacent columns.
pub(super) struct Tile<T> {
    /// Lanes of the last vector that are columns of C.
    pub last_lanes: usize,
    /// Steps of the sum.
    pub steps: usize,
    pub a: *const T,
    pub b: *const T,
    /// From one step to the next in B.
    pub b_stride: usize,
    pub c: *mut T,
    pub c_stride: usize,
    pub scale: T,
    /// Whether C has a part of the sum already. Otherwise it is not read.
    pub is_added: bool,
    /// What is prefetched in the first step, and how much further on in each that follows.
    pub ahead: *const T,
    pub ahead_stride: usize,
}

/// Rows that are packed for a product: `to[step * width + index]`, with the steps of the sum one after the other.
pub(super) struct Packing<T> {
    pub from: *const T,
    /// From one row to the next in memory.
    pub stride: usize,
    /// How many indices and steps.
    pub count: usize,
    pub steps: usize,
    pub to: *mut T,
    pub width: usize,
}

/// What computes a [`Tile`] of a certain size.
pub(super) type TileKernel<T> = unsafe fn(&Tile<T>);

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub(super) struct Kernels<T: 'static> {
    pub isa: Isa,
    pub lanes: usize,
    /// The largest tile: rows, and vectors in each.
    pub rows: usize,
    pub vectors: usize,
    /// What computes a [`Tile`] of so many rows and vectors, counted from 1: `tiles[rows - 1][vectors - 1]`.
    pub tiles: &'static [&'static [TileKernel<T>]],
    /// Packs rows along which the sum runs: index by index in memory, step by step in the pack. Up to `lanes` numbers beyond the last are written.
    pub pack_across: unsafe fn(&Packing<T>),
    /// Packs rows of which each is a step: as they lie. Up to `lanes` numbers beyond the last are written.
    pub pack_along: unsafe fn(&Packing<T>),
    /// `z += b`, `a = g(z)` for a row of each.
    pub finish: unsafe fn(Activation, T, &mut [T], &mut [T]),
    /// `dz = da * g'(z)` for a row of each.
    pub pull_back: unsafe fn(Activation, &[T], &[T], &mut [T]),
    /// `sum += part` for a row of each.
    pub add: unsafe fn(&mut [T], &[T]),
    /// The sum of a row.
    pub sum: unsafe fn(&[T]) -> T,
}

/// Steps of a sum in one go.
const UNROLLED: usize = 4;

// Loops over indices, not iterators: the optimiser has a hundred of these to unroll.

/// # Safety
/// The CPU has the instruction set of `V`; the tile has `ROWS` rows and `VECTORS` vectors; what it names is there, C overlaps nothing else, and
/// `last_lanes` is 1 at least.
#[inline(always)]
unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(tile: &Tile<V::Item>) {
    // SAFETY: the caller's promise.
    unsafe {
        // Masks cost a load and, with AVX2, slow stores.
        if tile.last_lanes == V::LANES {
            tile_of::<V, ROWS, VECTORS, true>(tile);
        } else {
            tile_of::<V, ROWS, VECTORS, false>(tile);
        }
    }
}

/// # Safety
/// As [`tile`]; all lanes of a tile that `IS_WHOLE` are columns.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "see above")]
unsafe fn tile_of<V: Vector, const ROWS: usize, const VECTORS: usize, const IS_WHOLE: bool>(tile: &Tile<V::Item>) {
    // SAFETY: the caller's promise. The masked lanes alone are read and written of the last vector.
    unsafe {
        let mask = V::mask(tile.last_lanes);
        let zero = V::splat(V::Item::default());
        let mut sums = [[zero; VECTORS]; ROWS];
        let (mut a, mut b, mut ahead) = (tile.a, tile.b, tile.ahead);
        macro_rules! step {
            () => {
                let mut columns = [zero; VECTORS];
                for v in 0..VECTORS {
                    let b = b.add(v * V::LANES);
                    columns[v] = if IS_WHOLE || v + 1 < VECTORS { V::load(b) } else { V::load_first(b, mask) };
                }
                for r in 0..ROWS {
                    let factor = V::splat(*a.add(r));
                    for v in 0..VECTORS {
                        sums[r][v] = factor.mul_add(columns[v], sums[r][v]);
                    }
                }
                prefetch(ahead);
                ahead = ahead.wrapping_add(tile.ahead_stride);
                a = a.add(ROWS);
                b = b.add(tile.b_stride);
            };
        }
        for _ in 0..tile.steps / UNROLLED {
            for _ in 0..UNROLLED {
                step!();
            }
        }
        for _ in 0..tile.steps % UNROLLED {
            step!();
        }
        let scale = V::splat(tile.scale);
        for r in 0..ROWS {
            let c = tile.c.add(r * tile.c_stride);
            for v in 0..VECTORS {
                let (c, sum) = (c.add(v * V::LANES), sums[r][v]);
                if IS_WHOLE || v + 1 < VECTORS {
                    let value = if tile.is_added { sum.mul_add(scale, V::load(c)) } else { sum.mul(scale) };
                    value.store(c);
                } else {
                    let value = if tile.is_added { sum.mul_add(scale, V::load_first(c, mask)) } else { sum.mul(scale) };
                    value.store_first(c, mask);
                }
            }
        }
    }
}

/// # Safety
/// What is to be packed can be read, and `lanes` numbers more than the pack has can be written. The CPU has the instruction set.
#[inline(always)]
unsafe fn pack_across<V: Vector>(packing: &Packing<V::Item>) {
    let &Packing { from, stride, count, steps, to, width } = packing;
    let whole = steps - steps % V::LANES;
    for start in (0..count).step_by(V::LANES) {
        let rows = V::LANES.min(count - start);
        // SAFETY: the caller's promise. What is stored beyond the rows is of the next step, which is stored later, or of the next rows, or
        // beyond the pack.
        unsafe {
            let (from, to) = (from.add(start * stride), to.add(start));
            for step in (0..whole).step_by(V::LANES) {
                V::transpose(from.add(step), stride, rows, to.add(step * width), width);
            }
            for step in whole..steps {
                for row in 0..rows {
                    *to.add(step * width + row) = *from.add(row * stride + step);
                }
            }
        }
    }
}

/// # Safety
/// As [`pack_across`].
#[inline(always)]
unsafe fn pack_along<V: Vector>(packing: &Packing<V::Item>) {
    let &Packing { from, stride, count, steps, to, width } = packing;
    let whole = count - count % V::LANES;
    // SAFETY: the caller's promise. What is stored beyond the last lane is of the next step, which is stored later, or beyond the pack.
    unsafe {
        let mask = V::mask(count - whole);
        for step in 0..steps {
            let (from, to) = (from.add(step * stride), to.add(step * width));
            for index in (0..whole).step_by(V::LANES) {
                V::load(from.add(index)).store(to.add(index));
            }
            if whole < count {
                V::load_first(from.add(whole), mask).store(to.add(whole));
            }
        }
    }
}

// Loops over slices, which the compiler makes vectors of: no intrinsic says more. No closures: one that is not inlined would not have the
// instruction set.

/// # Safety
/// The CPU has the instruction set; the rows have one length.
#[inline(always)]
unsafe fn finish<V: Vector>(activation: Activation, b: V::Item, z: &mut [V::Item], a: &mut [V::Item]) {
    for z in z.iter_mut() {
        *z += b;
    }
    match activation {
        Activation::Identity => a.copy_from_slice(z),
        Activation::Relu => {
            for (a, &z) in a.iter_mut().zip(&*z) {
                *a = Activation::Relu.apply(z);
            }
        }
        Activation::Sigmoid => {
            for (a, &z) in a.iter_mut().zip(&*z) {
                *a = Activation::Sigmoid.apply(z);
            }
        }
    }
}

/// # Safety
/// As [`finish`].
#[inline(always)]
unsafe fn pull_back<V: Vector>(activation: Activation, z: &[V::Item], da: &[V::Item], dz: &mut [V::Item]) {
    match activation {
        Activation::Identity => dz.copy_from_slice(da),
        Activation::Relu => {
            for ((dz, &z), &da) in dz.iter_mut().zip(z).zip(da) {
                *dz = Activation::Relu.pull_back(z, da);
            }
        }
        Activation::Sigmoid => {
            for ((dz, &z), &da) in dz.iter_mut().zip(z).zip(da) {
                *dz = Activation::Sigmoid.pull_back(z, da);
            }
        }
    }
}

/// # Safety
/// As [`finish`].
#[inline(always)]
unsafe fn add<V: Vector>(sum: &mut [V::Item], part: &[V::Item]) {
    for (sum, &part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn sum<V: Vector>(row: &[V::Item]) -> V::Item {
    // SAFETY: each vector is within the row; lanes are items.
    unsafe {
        let mut sums = [V::splat(V::Item::default()); 4];
        let whole = row.len() - row.len() % V::LANES;
        for (index, start) in (0..whole).step_by(V::LANES).enumerate() {
            let sum = &mut sums[index % 4];
            *sum = sum.add(V::load(row.as_ptr().add(start)));
        }
        let vector = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
        let lanes = std::slice::from_raw_parts((&raw const vector).cast::<V::Item>(), V::LANES);
        let mut total = V::Item::default();
        for &value in lanes.iter().chain(&row[whole..]) {
            total += value;
        }
        total
    }
}

/// The kernels of an instruction set, in a module of that name.
macro_rules! kernels {
    ($name:ident, [$($attribute:meta)?]) => {
        mod $name {
            use super::{Packing, Tile};
            use crate::model::Activation;
            use crate::simd::Vector;

            kernels!(@shell [$($attribute)?] tile[ROWS VECTORS](t: &Tile<V::Item>) -> ());
            kernels!(@shell [$($attribute)?] pack_across[](packing: &Packing<V::Item>) -> ());
            kernels!(@shell [$($attribute)?] pack_along[](packing: &Packing<V::Item>) -> ());
            kernels!(@shell [$($attribute)?] finish[](activation: Activation, b: V::Item, z: &mut [V::Item], a: &mut [V::Item]) -> ());
            kernels!(@shell [$($attribute)?] pull_back[](activation: Activation, z: &[V::Item], da: &[V::Item], dz: &mut [V::Item]) -> ());
            kernels!(@shell [$($attribute)?] add[](sum: &mut [V::Item], part: &[V::Item]) -> ());
            kernels!(@shell [$($attribute)?] sum[](row: &[V::Item]) -> V::Item);
        }
    };
    (@shell [$($attribute:meta)?] $name:ident[$($size:ident)*]($($argument:ident: $type:ty),*) -> $result:ty) => {
        /// # Safety
        /// The CPU has the instruction set, and what the kernel asks for holds.
        $(#[$attribute])?
        pub unsafe fn $name<V: Vector, $(const $size: usize),*>($($argument: $type),*) -> $result {
            // SAFETY: the caller vouches for it.
            unsafe { super::$name::<V, $($size),*>($($argument),*) }
        }
    };
}

kernels!(portable, []);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, [target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
kernels!(avx512, [target_feature(enable = "avx512f")]);

/// All kernels for one vector type; tiles of so many rows, each of so many vectors.
macro_rules! table {
    ($isa:expr, $module:ident of $vector:ty, [$($rows:literal)*] x $vectors:tt) => {
        Kernels {
            isa: $isa,
            lanes: <$vector>::LANES,
            rows: [$($rows),*].len(),
            vectors: $vectors.len(),
            tiles: &[$(table!(@row $module of $vector, $rows x $vectors)),*],
            pack_across: $module::pack_across::<$vector>,
            pack_along: $module::pack_along::<$vector>,
            finish: $module::finish::<$vector>,
            pull_back: $module::pull_back::<$vector>,
            add: $module::add::<$vector>,
            sum: $module::sum::<$vector>,
        }
    };
    (@row $module:ident of $vector:ty, $rows:literal x [$($vectors:literal),*]) => {
        &[$($module::tile::<$vector, $rows, $vectors>),*]
    };
}

/// The scalar types that there are kernels for. Sealed with [`Scalar`].
pub trait HasKernels: Scalar {
    /// The kernels of an instruction set that this machine has; the portable ones for a set that has none of its own.
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "nobody outside calls it")]
    fn kernels(isa: Isa) -> Kernels<Self>;
}

macro_rules! has_kernels {
    ($scalar:ty, $array:ty, $ymm:ident, $zmm:ident) => {
        impl HasKernels for $scalar {
            #[allow(private_interfaces, reason = "nobody outside calls it")]
            fn kernels(isa: Isa) -> Kernels<$scalar> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => table!(isa, avx512 of std::arch::x86_64::$zmm, [1 2 3 4 5 6 7 8] x [1, 2, 3]),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => table!(isa, avx2 of std::arch::x86_64::$ymm, [1 2 3 4] x [1, 2, 3]),
                    _ => table!(Isa::Portable, portable of $array, [1 2 3 4] x [1]),
                }
            }
        }
    };
}

has_kernels!(f32, [f32; 8], __m256, __m512);
has_kernels!(f64, [f64; 4], __m256d, __m512d);
