//! One vector register as a type, for whoever writes a kernel once for all instruction sets.

use crate::scalar::Scalar;

/// Asks for the cache line at an address, into the L2 cache. Any address will do: what cannot be read is not.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; every x86-64 CPU has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// One vector register: `LANES` values of `Item` and nothing else.
///
/// # Safety
/// The type consists of exactly `LANES` values of `Item`. Its functions may be called where the CPU has the instruction set only.
pub(crate) unsafe trait Vector: Copy {
    type Item: Scalar;
    const LANES: usize;
    /// Which lanes, for [`load_first`](Self::load_first) and [`store_first`](Self::store_first).
    type Mask: Copy;

    unsafe fn splat(value: Self::Item) -> Self;

    unsafe fn add(self, other: Self) -> Self;

    unsafe fn mul(self, other: Self) -> Self;

    /// `self * a + b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;

    /// Adjacent values, aligned or not.
    ///
    /// # Safety
    /// They can be read.
    #[inline(always)]
    unsafe fn load(from: *const Self::Item) -> Self {
        // SAFETY: the caller's promise; any bits are values.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    /// To adjacent places, aligned or not.
    ///
    /// # Safety
    /// They can be written.
    #[inline(always)]
    unsafe fn store(self, to: *mut Self::Item) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    /// The first `count` lanes, at most [`LANES`](Self::LANES).
    unsafe fn mask(count: usize) -> Self::Mask;

    /// The masked lanes from memory, zero in the others, whose memory is not touched.
    ///
    /// # Safety
    /// The masked ones can be read.
    unsafe fn load_first(from: *const Self::Item, mask: Self::Mask) -> Self;

    /// The masked lanes to memory; that of the others is not touched.
    ///
    /// # Safety
    /// The masked ones can be written.
    unsafe fn store_first(self, to: *mut Self::Item, mask: Self::Mask);

    /// The transpose of `rows` rows (at most `LANES`, `from_stride` apart) of `LANES` values each: `LANES` rows of `LANES` values, `to_stride`
    /// apart, stored from the first to the last. Values beyond `rows` in each are zero: where `to_stride` is `rows`, only those of the last row
    /// are left to see.
    ///
    /// # Safety
    /// The rows can be read, and `(LANES - 1) * to_stride + LANES` values from `to` can be written.
    #[inline(always)]
    unsafe fn transpose(
        from: *const Self::Item,
        from_stride: usize,
        rows: usize,
        to: *mut Self::Item,
        to_stride: usize,
    ) {
        for column in 0..Self::LANES {
            for row in 0..Self::LANES {
                // SAFETY: the caller's promise.
                unsafe {
                    let value = if row < rows { *from.add(row * from_stride + column) } else { Self::Item::default() };
                    *to.add(column * to_stride + row) = value;
                }
            }
        }
    }
}

/// What types without masks of their own do with the first lanes: value by value.
macro_rules! first_by_value {
    () => {
        type Mask = usize;

        #[inline(always)]
        unsafe fn mask(count: usize) -> usize {
            count
        }

        #[inline(always)]
        unsafe fn load_first(from: *const Self::Item, count: usize) -> Self {
            // SAFETY: a vector is its lanes; the caller's promise for the rest.
            unsafe {
                let mut vector = Self::splat(Self::Item::default());
                let lanes = (&raw mut vector).cast::<Self::Item>();
                for lane in 0..count {
                    *lanes.add(lane) = *from.add(lane);
                }
                vector
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut Self::Item, count: usize) {
            let lanes = (&raw const self).cast::<Self::Item>();
            for lane in 0..count {
                // SAFETY: a vector is its lanes; the caller's promise for the rest.
                unsafe { *to.add(lane) = *lanes.add(lane) };
            }
        }
    };
}

// SAFETY: an array of N items.
unsafe impl<T: Scalar, const N: usize> Vector for [T; N] {
    type Item = T;
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        [value; N]
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for lane in 0..N {
            self[lane] += other[lane];
        }
        self
    }

    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        for lane in 0..N {
            self[lane] *= other[lane];
        }
        self
    }

    // Not T::mul_add: without hardware for it that is a slow library function.
    #[inline(always)]
    unsafe fn mul_add(mut self, a: Self, b: Self) -> Self {
        for lane in 0..N {
            self[lane] = self[lane] * a[lane] + b[lane];
        }
        self
    }

    first_by_value!();
}

/// A vector type of `std::arch`: its lanes, `splat`, `add`, `mul`, `mul_add`, and what else it has of its own.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    (
        $vector:ident of $lanes:literal $item:ty, $splat:ident, $add:ident, $mul:ident, |$x:ident, $a:ident, $b:ident| $mul_add:expr,
        { $($more:tt)* }
    ) => {
        // SAFETY: the type is a register of that many lanes.
        unsafe impl Vector for $vector {
            type Item = $item;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: $item) -> Self {
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $mul(self, other) }
            }

            #[inline(always)]
            unsafe fn mul_add(self, $a: Self, $b: Self) -> Self {
                let $x = self;
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $mul_add }
            }

            $($more)*
        }
    };
}

/// `shell!(avx2: "avx2,fma", fn sum<const N: usize>(numbers: &[f64]) -> f64)` is the function `avx2`, in which `sum`, generic over a [`Vector`] and
/// inlined always, is compiled for that instruction set.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! shell {
    ($name:ident: $features:literal, fn $kernel:ident<$(const $constant:ident: usize),*>($($argument:ident: $type:ty),*) -> $result:ty) => {
        /// # Safety
        /// The CPU has the instruction set, and what the kernel asks for holds.
        #[target_feature(enable = $features)]
        unsafe fn $name<V: Vector, $(const $constant: usize),*>($($argument: $type),*) -> $result {
            // SAFETY: the caller vouches for it.
            unsafe { $kernel::<V, $($constant),*>($($argument),*) }
        }
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use shell;

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;

    use super::Vector;

    vector!(float32x4_t of 4 f32, vdupq_n_f32, vaddq_f32, vmulq_f32, |x, a, b| vfmaq_f32(b, x, a), { first_by_value!(); });
    vector!(float64x2_t of 2 f64, vdupq_n_f64, vaddq_f64, vmulq_f64, |x, a, b| vfmaq_f64(b, x, a), { first_by_value!(); });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads, stores and transposes at every count, beside memory that must not be touched.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn moves<V: Vector>(from: &[V::Item]) -> bool {
        let lanes = V::LANES;
        let guard = V::Item::of(-1.0);
        let mut right = true;
        for count in 0..=lanes {
            let mut to = vec![guard; lanes + 1];
            // SAFETY: `to` has more lanes than that, and `from` ends with the last that may be read.
            unsafe {
                let mask = V::mask(count);
                let first = V::load_first(from[from.len() - count..].as_ptr(), mask);
                first.store_first(to.as_mut_ptr(), mask);
                right &= to[..count] == from[from.len() - count..] && to[count..].iter().all(|&value| value == guard);
                first.store(to.as_mut_ptr());
                right &= to[..count] == from[from.len() - count..]
                    && to[count..lanes].iter().all(|&value| value == V::Item::of(0.0));
            }
            right &= to[lanes] == guard;
        }
        // A stride that is no multiple of anything.
        let stride = lanes + 3;
        for rows in 1..=lanes {
            for to_stride in [rows, lanes, 2 * lanes] {
                let mut to = vec![guard; lanes * to_stride + lanes];
                // SAFETY: `from` has (LANES - 1) * stride + LANES values at least, `to` as many as are written.
                unsafe { V::transpose(from.as_ptr(), stride, rows, to.as_mut_ptr(), to_stride) };
                for column in 0..lanes {
                    for row in 0..rows {
                        right &= to[column * to_stride + row] == from[row * stride + column];
                    }
                }
                right &= to[(lanes - 1) * to_stride + lanes..].iter().all(|&value| value == guard);
            }
        }
        right
    }

    fn numbers<T: Scalar>(lanes: usize) -> Vec<T> {
        (1..=lanes * (lanes + 3)).map(|number| T::of(number as f64)).collect()
    }

    #[test]
    fn values_go_where_they_belong_and_nowhere_else() {
        // SAFETY: arrays need no instruction set.
        unsafe {
            assert!(moves::<[f64; 4]>(&numbers(4)));
            assert!(moves::<[f32; 8]>(&numbers(8)));
            assert!(moves::<[f32; 1]>(&numbers(1)));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn registers_too() {
        use std::arch::x86_64::*;

        use crate::simd::Isa;

        macro_rules! shell_of {
            ($name:ident, $features:literal) => {
                #[target_feature(enable = $features)]
                unsafe fn $name<V: Vector>(from: &[V::Item]) -> bool {
                    // SAFETY: the caller vouches for it.
                    unsafe { moves::<V>(from) }
                }
            };
        }
        shell_of!(avx2, "avx2,fma");
        shell_of!(avx512, "avx512f");
        // SAFETY: every x86-64 CPU has SSE2, and the others are asked for.
        unsafe {
            assert!(moves::<__m128d>(&numbers(2)) && moves::<__m128>(&numbers(4)));
            if Isa::available().contains(&Isa::Avx2) {
                assert!(avx2::<__m256d>(&numbers(4)) && avx2::<__m256>(&numbers(8)));
            }
            if Isa::available().contains(&Isa::Avx512) {
                assert!(avx512::<__m512d>(&numbers(8)) && avx512::<__m512>(&numbers(16)));
            }
        }
    }
}
