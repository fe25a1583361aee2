//! Reading memory as fast as it comes: the sum of a buffer, in whole cache lines. No clock here.
//!
//! Integers, since their sum is the same in any order: the compiler is free to use the widest loads, and the result proves that every
//! word was read.

use super::isa::Isa;

/// A cache line: aligned, so that no load straddles two.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line([u64; 8]);

/// `bytes` of memory, each word its own index: touched, so that its pages exist.
pub fn buffer(bytes: usize) -> Vec<Line> {
    (0..bytes as u64 / size_of::<Line>() as u64)
        .map(|line| Line(std::array::from_fn(|word| 8 * line + word as u64)))
        .collect()
}

/// The sum of the words of [`buffer`]'s first `lines` lines, modulo 2^64.
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

/// Eight registers of sums, so that no addition waits for the one before.
#[inline(always)]
fn sum<const LINES: usize>(lines: &[Line]) -> u64 {
    let mut sums = [[0_u64; 8]; LINES];
    let (blocks, rest) = lines.as_chunks::<LINES>();
    for block in blocks {
        for (sums, line) in sums.iter_mut().zip(block) {
            for (sum, word) in sums.iter_mut().zip(line.0) {
                *sum = sum.wrapping_add(word);
            }
        }
    }
    let words = sums.as_flattened().iter().chain(rest.iter().flat_map(|line| &line.0));
    words.fold(0, |sum, word| sum.wrapping_add(*word))
}

/// # Safety
/// None: plain Rust. Unsafe to fit beside the others.
unsafe fn baseline(lines: &[Line]) -> u64 {
    sum::<2>(lines)
}

/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(lines: &[Line]) -> u64 {
    sum::<4>(lines)
}

/// # Safety
/// The CPU has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(lines: &[Line]) -> u64 {
    sum::<8>(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let lines = buffer(1000 * 64 + 63);
        assert_eq!(lines.len(), 1000);
        let reader = Reader::widest();
        for count in [0, 1, 7, 8, 9, 999, 1000] {
            assert_eq!(reader.sum(&lines[..count]), expected_sum(count), "{count} lines");
            assert_eq!(sum::<2>(&lines[..count]), expected_sum(count), "{count} lines");
        }
    }
}
