//! Reading memory as fast as it comes: the sum of a buffer, in whole cache lines. No clock here.
//!
//! Integers, since their sum is the same in any order: the widest loads may be used, and the result proves that every word was read.

use super::buffer::Line;
use crate::simd::Isa;

/// The sum of the words of the first `lines` lines of a buffer whose words are their own indices, modulo 2^64.
#[cfg(test)]
pub fn expected_sum(lines: usize) -> u64 {
    let words = 8 * lines as u128;
    (words * words.saturating_sub(1) / 2) as u64
}

/// How to read with the widest loads of this machine.
#[derive(Clone, Copy)]
pub struct Reader {
    sum: unsafe fn(&[Line]) -> u64,
}

impl Reader {
    /// The widest that [`Isa::available`] lists.
    pub fn widest() -> Self {
        let sum: unsafe fn(&[Line]) -> u64 = match Isa::available().last() {
            #[cfg(target_arch = "x86_64")]
            Some(Isa::Avx512) => avx512,
            #[cfg(target_arch = "x86_64")]
            Some(Isa::Avx2) => avx2,
            _ => baseline,
        };
        Reader { sum }
    }

    /// The sum of all words, modulo 2^64.
    pub fn sum(&self, lines: &[Line]) -> u64 {
        // SAFETY: `widest` takes an instruction set that was detected.
        unsafe { (self.sum)(lines) }
    }
}

/// The sum of a few lines, one word after the other.
fn plain(lines: &[Line]) -> u64 {
    lines.iter().flat_map(|line| &line.0).fold(0, |sum, word| sum.wrapping_add(*word))
}

/// # Safety
/// None: plain Rust. Unsafe to fit beside the others.
unsafe fn baseline(lines: &[Line]) -> u64 {
    plain(lines)
}

/// Eight vectors of sums, so that no addition waits for the one before: the sum of whole blocks of eight vectors. Intrinsics, and each vector
/// by name: what a compiler makes of a loop, or of an array, changes with the optimisation level, and with it the figure.
#[cfg(target_arch = "x86_64")]
macro_rules! sum_of_blocks {
    ($blocks:expr, $vector:ty, $zero:ident, $add:ident, $load:ident, $words:literal) => {{
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = [$zero(); 8];
        for block in $blocks {
            let vectors = block.as_ptr().cast::<$vector>();
            // SAFETY: a block is eight vectors, each aligned to its own size.
            unsafe {
                a = $add(a, $load(vectors));
                b = $add(b, $load(vectors.add(1)));
                c = $add(c, $load(vectors.add(2)));
                d = $add(d, $load(vectors.add(3)));
                e = $add(e, $load(vectors.add(4)));
                f = $add(f, $load(vectors.add(5)));
                g = $add(g, $load(vectors.add(6)));
                h = $add(h, $load(vectors.add(7)));
            }
        }
        // SAFETY: any bits are integers.
        let words: [u64; $words] = unsafe { std::mem::transmute([a, b, c, d, e, f, g, h]) };
        words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
    }};
}

/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(lines: &[Line]) -> u64 {
    use std::arch::x86_64::{__m256i, _mm256_add_epi64, _mm256_load_si256, _mm256_setzero_si256};
    let (blocks, rest) = lines.as_chunks::<4>();
    let sum = sum_of_blocks!(blocks, __m256i, _mm256_setzero_si256, _mm256_add_epi64, _mm256_load_si256, 32);
    plain(rest).wrapping_add(sum)
}

/// # Safety
/// The CPU has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(lines: &[Line]) -> u64 {
    use std::arch::x86_64::{__m512i, _mm512_add_epi64, _mm512_load_si512, _mm512_setzero_si512};
    let (blocks, rest) = lines.as_chunks::<8>();
    let sum = sum_of_blocks!(blocks, __m512i, _mm512_setzero_si512, _mm512_add_epi64, _mm512_load_si512, 64);
    plain(rest).wrapping_add(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::buffer::{Buffer, Pages};

    #[test]
    fn every_word_is_read() {
        let mut lines = Buffer::new(1000 * 64, Pages::Small).expect("there is memory");
        lines.touch();
        let reader = Reader::widest();
        for count in [0, 1, 7, 8, 9, 999, 1000] {
            assert_eq!(reader.sum(&lines[..count]), expected_sum(count), "{count} lines");
            assert_eq!(plain(&lines[..count]), expected_sum(count), "{count} lines");
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: it was detected.
                assert_eq!(unsafe { avx2(&lines[..count]) }, expected_sum(count), "{count} lines");
            }
        }
    }
}
