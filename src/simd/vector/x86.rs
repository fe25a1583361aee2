//! The registers of x86-64: SSE2, AVX2 with FMA, AVX-512F (and of AVX-512 no more than F).

use std::arch::x86_64::*;

use super::Vector;

vector!(__m128 of 4 f32, _mm_set1_ps, _mm_add_ps, _mm_mul_ps, |x, a, b| _mm_add_ps(_mm_mul_ps(x, a), b), { first_by_value!(); });
vector!(__m128d of 2 f64, _mm_set1_pd, _mm_add_pd, _mm_mul_pd, |x, a, b| _mm_add_pd(_mm_mul_pd(x, a), b), { first_by_value!(); });

/// Lane masks of AVX2: all bits of a lane, or none.
macro_rules! lanes_of_avx2 {
    ($set1:ident, $compare:ident, $indices:expr, $load:ident, $store:ident) => {
        type Mask = __m256i;

        #[inline(always)]
        unsafe fn mask(count: usize) -> __m256i {
            // SAFETY: the caller vouches for the instruction set.
            unsafe { $compare($set1(count as _), $indices) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const Self::Item, mask: __m256i) -> Self {
            // SAFETY: the caller's promise: what is masked out is not read.
            unsafe { $load(from, mask) }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut Self::Item, mask: __m256i) {
            // SAFETY: the caller's promise: what is masked out is not written.
            unsafe { $store(to, mask, self) }
        }
    };
}

/// Rows to be transposed; those beyond `$rows` are zero.
macro_rules! rows_of {
    ($from:ident, $stride:ident, $rows:ident, $count:literal) => {{
        let mut rows = [Self::splat(0.0); $count];
        for (index, row) in rows.iter_mut().enumerate() {
            if index < $rows {
                *row = Self::load($from.add(index * $stride));
            }
        }
        rows
    }};
}

vector!(__m256 of 8 f32, _mm256_set1_ps, _mm256_add_ps, _mm256_mul_ps, |x, a, b| _mm256_fmadd_ps(x, a, b), {
    lanes_of_avx2!(
        _mm256_set1_epi32,
        _mm256_cmpgt_epi32,
        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        _mm256_maskload_ps,
        _mm256_maskstore_ps
    );

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, rows: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let r = rows_of!(from, from_stride, rows, 8);
            let mut columns = [Self::splat(0.0); 8];
            // Of each four rows: vectors whose 128-bit lanes q have the four values of column 4q + c.
            let mut fours = [[Self::splat(0.0); 4]; 2];
            for (four, r) in fours.iter_mut().zip(r.as_chunks::<4>().0) {
                let (low, high) = (_mm256_unpacklo_ps(r[0], r[1]), _mm256_unpackhi_ps(r[0], r[1]));
                let (low2, high2) = (_mm256_unpacklo_ps(r[2], r[3]), _mm256_unpackhi_ps(r[2], r[3]));
                let pair = |a, b| (_mm256_castps_pd(a), _mm256_castps_pd(b));
                let ((low, low2), (high, high2)) = (pair(low, low2), pair(high, high2));
                four[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, low2));
                four[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, low2));
                four[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high, high2));
                four[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high, high2));
            }
            for c in 0..4 {
                columns[c] = _mm256_permute2f128_ps::<0x20>(fours[0][c], fours[1][c]);
                columns[4 + c] = _mm256_permute2f128_ps::<0x31>(fours[0][c], fours[1][c]);
            }
            for (index, column) in columns.into_iter().enumerate() {
                column.store(to.add(index * to_stride));
            }
        }
    }
});

vector!(__m256d of 4 f64, _mm256_set1_pd, _mm256_add_pd, _mm256_mul_pd, |x, a, b| _mm256_fmadd_pd(x, a, b), {
    lanes_of_avx2!(
        _mm256_set1_epi64x,
        _mm256_cmpgt_epi64,
        _mm256_setr_epi64x(0, 1, 2, 3),
        _mm256_maskload_pd,
        _mm256_maskstore_pd
    );

    #[inline(always)]
    unsafe fn transpose(from: *const f64, from_stride: usize, rows: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let r = rows_of!(from, from_stride, rows, 4);
            let (even, odd) = (_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpackhi_pd(r[0], r[1]));
            let (even2, odd2) = (_mm256_unpacklo_pd(r[2], r[3]), _mm256_unpackhi_pd(r[2], r[3]));
            _mm256_permute2f128_pd::<0x20>(even, even2).store(to);
            _mm256_permute2f128_pd::<0x20>(odd, odd2).store(to.add(to_stride));
            _mm256_permute2f128_pd::<0x31>(even, even2).store(to.add(2 * to_stride));
            _mm256_permute2f128_pd::<0x31>(odd, odd2).store(to.add(3 * to_stride));
        }
    }
});

/// Lane masks of AVX-512: a bit for each lane.
macro_rules! lanes_of_avx512 {
    ($mask:ty, $load:ident, $store:ident) => {
        type Mask = $mask;

        #[inline(always)]
        unsafe fn mask(count: usize) -> $mask {
            ((1_u32 << count) - 1) as $mask
        }

        #[inline(always)]
        unsafe fn load_first(from: *const Self::Item, mask: $mask) -> Self {
            // SAFETY: the caller's promise: what is masked out is not read.
            unsafe { $load(mask, from) }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut Self::Item, mask: $mask) {
            // SAFETY: the caller's promise: what is masked out is not written.
            unsafe { $store(to, mask, self) }
        }
    };
}

/// Of four vectors the four whose 128-bit lanes are their lanes 0, 1, 2, 3.
macro_rules! lanes_transposed {
    ($shuffle:ident, $v:expr) => {{
        let v = $v;
        let (low, low2) = ($shuffle::<0x44>(v[0], v[1]), $shuffle::<0x44>(v[2], v[3]));
        let (high, high2) = ($shuffle::<0xEE>(v[0], v[1]), $shuffle::<0xEE>(v[2], v[3]));
        [
            $shuffle::<0x88>(low, low2),
            $shuffle::<0xDD>(low, low2),
            $shuffle::<0x88>(high, high2),
            $shuffle::<0xDD>(high, high2),
        ]
    }};
}

vector!(__m512 of 16 f32, _mm512_set1_ps, _mm512_add_ps, _mm512_mul_ps, |x, a, b| _mm512_fmadd_ps(x, a, b), {
    lanes_of_avx512!(__mmask16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps);

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, rows: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let r = rows_of!(from, from_stride, rows, 16);
            // Of each four rows: vectors whose 128-bit lanes q have the four values of column 4q + c.
            let mut fours = [[Self::splat(0.0); 4]; 4];
            for (four, r) in fours.iter_mut().zip(r.as_chunks::<4>().0) {
                let (low, high) = (_mm512_unpacklo_ps(r[0], r[1]), _mm512_unpackhi_ps(r[0], r[1]));
                let (low2, high2) = (_mm512_unpacklo_ps(r[2], r[3]), _mm512_unpackhi_ps(r[2], r[3]));
                let (low, low2) = (_mm512_castps_pd(low), _mm512_castps_pd(low2));
                let (high, high2) = (_mm512_castps_pd(high), _mm512_castps_pd(high2));
                four[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, low2));
                four[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, low2));
                four[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, high2));
                four[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, high2));
            }
            #[allow(clippy::needless_range_loop, reason = "it is the second index")]
            for c in 0..4 {
                let columns = lanes_transposed!(_mm512_shuffle_f32x4, [fours[0][c], fours[1][c], fours[2][c], fours[3][c]]);
                for (q, column) in columns.into_iter().enumerate() {
                    fours[q][c] = column;
                }
            }
            for (q, four) in fours.into_iter().enumerate() {
                for (c, column) in four.into_iter().enumerate() {
                    column.store(to.add((4 * q + c) * to_stride));
                }
            }
        }
    }
});

vector!(__m512d of 8 f64, _mm512_set1_pd, _mm512_add_pd, _mm512_mul_pd, |x, a, b| _mm512_fmadd_pd(x, a, b), {
    lanes_of_avx512!(__mmask8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd);

    #[inline(always)]
    unsafe fn transpose(from: *const f64, from_stride: usize, rows: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let r = rows_of!(from, from_stride, rows, 8);
            // Vectors whose 128-bit lanes q have two values of column 2q, or 2q + 1.
            let even = [
                _mm512_unpacklo_pd(r[0], r[1]),
                _mm512_unpacklo_pd(r[2], r[3]),
                _mm512_unpacklo_pd(r[4], r[5]),
                _mm512_unpacklo_pd(r[6], r[7]),
            ];
            let odd = [
                _mm512_unpackhi_pd(r[0], r[1]),
                _mm512_unpackhi_pd(r[2], r[3]),
                _mm512_unpackhi_pd(r[4], r[5]),
                _mm512_unpackhi_pd(r[6], r[7]),
            ];
            let (even, odd) = (lanes_transposed!(_mm512_shuffle_f64x2, even), lanes_transposed!(_mm512_shuffle_f64x2, odd));
            for q in 0..4 {
                even[q].store(to.add(2 * q * to_stride));
                odd[q].store(to.add((2 * q + 1) * to_stride));
            }
        }
    }
});
