//! One vector register as a type, for whoever writes a kernel once for all instruction sets.

use crate::scalar::Scalar;

/// One vector register: `LANES` values of `Item` and nothing else.
///
/// # Safety
/// The type consists of exactly `LANES` values of `Item`. Its functions may be called where the CPU has the instruction set only.
pub(crate) unsafe trait Vector: Copy {
    type Item: Scalar;
    const LANES: usize;
    unsafe fn splat(value: Self::Item) -> Self;
    /// `self * a + b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
}

// SAFETY: an array of N items.
unsafe impl<T: Scalar, const N: usize> Vector for [T; N] {
    type Item = T;
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        [value; N]
    }

    // Not T::mul_add: without hardware for it that is a slow library function.
    #[inline(always)]
    unsafe fn mul_add(mut self, a: Self, b: Self) -> Self {
        for lane in 0..N {
            self[lane] = self[lane] * a[lane] + b[lane];
        }
        self
    }
}

/// A vector type of `std::arch`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    ($vector:ident of $lanes:literal $item:ty, $splat:ident, |$x:ident, $a:ident, $b:ident| $mul_add:expr) => {
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
            unsafe fn mul_add(self, $a: Self, $b: Self) -> Self {
                let $x = self;
                // SAFETY: the caller vouches for the instruction set.
                unsafe { $mul_add }
            }
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
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    vector!(__m128 of 4 f32, _mm_set1_ps, |x, a, b| _mm_add_ps(_mm_mul_ps(x, a), b));
    vector!(__m128d of 2 f64, _mm_set1_pd, |x, a, b| _mm_add_pd(_mm_mul_pd(x, a), b));
    vector!(__m256 of 8 f32, _mm256_set1_ps, |x, a, b| _mm256_fmadd_ps(x, a, b));
    vector!(__m256d of 4 f64, _mm256_set1_pd, |x, a, b| _mm256_fmadd_pd(x, a, b));
    vector!(__m512 of 16 f32, _mm512_set1_ps, |x, a, b| _mm512_fmadd_ps(x, a, b));
    vector!(__m512d of 8 f64, _mm512_set1_pd, |x, a, b| _mm512_fmadd_pd(x, a, b));
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;

    use super::Vector;

    vector!(float32x4_t of 4 f32, vdupq_n_f32, |x, a, b| vfmaq_f32(b, x, a));
    vector!(float64x2_t of 2 f64, vdupq_n_f64, |x, a, b| vfmaq_f64(b, x, a));
}
