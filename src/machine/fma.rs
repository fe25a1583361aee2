//! Kernels that do nothing but multiply and add, in registers: the peak rate of an instruction set. No clock here.
//!
//! `x = x * one + step` on enough independent chains that the next one can start before the last one is done: an FMA of 4 cycles on
//! two units needs 8, and NEON cores with four units need 16. With `one` and `step` both 1 every chain counts its rounds exactly, so
//! that the sum proves that the work was done; the compiler is not told the two values.

use std::hint::black_box;

use crate::scalar::{Scalar, ScalarKind};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::simd::shell;
use crate::simd::{Isa, Vector};

/// One kernel, known to run here.
#[derive(Clone, Copy)]
pub struct Kernel {
    run: unsafe fn(u32) -> f64,
    lanes: usize,
    chains: usize,
}

impl Kernel {
    /// Chains count in `f32` as well: beyond 2^24 it cannot count, so a run has at most this many rounds.
    pub const MOST_ROUNDS: u32 = 1 << 23;

    /// The kernel of that set and scalar type; `None` where this machine, or the architecture of this build, lacks the set.
    pub fn new(isa: Isa, scalar: ScalarKind) -> Option<Kernel> {
        use ScalarKind::{F32, F64};
        if isa != Isa::Portable && !Isa::available().contains(&isa) {
            return None;
        }
        Some(match (isa, scalar) {
            (Isa::Portable, F32) => kernel::<[f32; 8], 8>(portable::<[f32; 8], 8>),
            (Isa::Portable, F64) => kernel::<[f64; 4], 8>(portable::<[f64; 4], 8>),
            #[cfg(target_arch = "x86_64")]
            (isa, scalar) => x86::kernel_of(isa, scalar)?,
            #[cfg(target_arch = "aarch64")]
            (isa, scalar) => aarch64::kernel_of(isa, scalar)?,
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            _ => return None,
        })
    }

    /// Runs `rounds` rounds; the sum over all chains and lanes.
    pub fn run(&self, rounds: u32) -> f64 {
        // SAFETY: `new` gives kernels of instruction sets that were detected only.
        unsafe { (self.run)(rounds) }
    }

    /// Every chain starts at its index and counts one per round, in every lane.
    #[cfg(test)]
    pub fn expected_sum(&self, rounds: u32) -> f64 {
        let chains = self.chains as f64;
        self.lanes as f64 * (chains * f64::from(rounds) + chains * (chains - 1.0) / 2.0)
    }

    /// Floating-point operations of `rounds` rounds: a multiplication and an addition count as two.
    pub fn flops(&self, rounds: u32) -> f64 {
        2.0 * (self.lanes * self.chains) as f64 * f64::from(rounds)
    }
}

fn kernel<V: Vector, const CHAINS: usize>(run: unsafe fn(u32) -> f64) -> Kernel {
    Kernel { run, lanes: V::LANES, chains: CHAINS }
}

/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn count<V: Vector, const CHAINS: usize>(rounds: u32) -> f64 {
    let item = |value: f64| V::Item::of(value);
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let (one, step) = (V::splat(black_box(item(1.0))), V::splat(black_box(item(1.0))));
        let mut chains = [one; CHAINS];
        for (index, chain) in chains.iter_mut().enumerate() {
            *chain = V::splat(item(index as f64));
        }
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = chain.mul_add(one, step);
            }
        }
        // By the trait's promise.
        let lanes = std::slice::from_raw_parts(chains.as_ptr().cast::<V::Item>(), CHAINS * V::LANES);
        lanes.iter().map(|lane| lane.widen()).sum()
    }
}

/// # Safety
/// None: plain Rust. Unsafe to fit beside the others.
unsafe fn portable<V: Vector, const CHAINS: usize>(rounds: u32) -> f64 {
    // SAFETY: arrays need no instruction set.
    unsafe { count::<V, CHAINS>(rounds) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Isa, Kernel, ScalarKind, Vector, count, kernel, shell};

    shell!(sse2: "sse2", fn count<const CHAINS: usize>(rounds: u32) -> f64);
    shell!(avx2: "avx2,fma", fn count<const CHAINS: usize>(rounds: u32) -> f64);
    shell!(avx512: "avx512f", fn count<const CHAINS: usize>(rounds: u32) -> f64);

    /// 16 registers hold 14 chains and the two constants. AVX-512 has 32 registers.
    pub fn kernel_of(isa: Isa, scalar: ScalarKind) -> Option<Kernel> {
        use ScalarKind::{F32, F64};
        Some(match (isa, scalar) {
            (Isa::Sse2, F32) => kernel::<__m128, 14>(sse2::<__m128, 14>),
            (Isa::Sse2, F64) => kernel::<__m128d, 14>(sse2::<__m128d, 14>),
            (Isa::Avx2, F32) => kernel::<__m256, 12>(avx2::<__m256, 12>),
            (Isa::Avx2, F64) => kernel::<__m256d, 12>(avx2::<__m256d, 12>),
            (Isa::Avx512, F32) => kernel::<__m512, 16>(avx512::<__m512, 16>),
            (Isa::Avx512, F64) => kernel::<__m512d, 16>(avx512::<__m512d, 16>),
            _ => return None,
        })
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;

    use super::{Isa, Kernel, ScalarKind, Vector, count, kernel, shell};

    shell!(neon: "neon", fn count<const CHAINS: usize>(rounds: u32) -> f64);

    pub fn kernel_of(isa: Isa, scalar: ScalarKind) -> Option<Kernel> {
        Some(match (isa, scalar) {
            (Isa::Neon, ScalarKind::F32) => kernel::<float32x4_t, 24>(neon::<float32x4_t, 24>),
            (Isa::Neon, ScalarKind::F64) => kernel::<float64x2_t, 24>(neon::<float64x2_t, 24>),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_counts_every_round() {
        for isa in Isa::available().into_iter().chain([Isa::Portable]) {
            for scalar in ScalarKind::ALL {
                let kernel = Kernel::new(isa, scalar).expect("it is available");
                for rounds in [0, 1, 2, 1_000, 65_537, Kernel::MOST_ROUNDS] {
                    assert_eq!(kernel.run(rounds), kernel.expected_sum(rounds), "{isa} {scalar} {rounds}");
                }
            }
        }
    }

    #[test]
    fn operations_are_counted_by_hand() {
        let kernel = Kernel::new(Isa::Portable, ScalarKind::F64).expect("always there");
        // 4 lanes, 8 chains, a multiplication and an addition.
        assert_eq!(kernel.flops(10), 640.0);
    }

    #[test]
    fn what_the_machine_lacks_is_refused() {
        for isa in [Isa::Sse2, Isa::Avx2, Isa::Avx512, Isa::Neon] {
            let there = Isa::available().contains(&isa);
            assert_eq!(Kernel::new(isa, ScalarKind::F64).is_some(), there, "{isa}");
        }
    }
}
