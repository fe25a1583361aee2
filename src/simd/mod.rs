//! Vector instruction sets: which of them may be used here, their vectors, and code that is compiled for each. Kernels of backends and of
//! measurements stand on this.
//!
//! A kernel is one generic function over `Vector`, compiled once for each set in a `shell!`; which one runs is decided at run time, by what the
//! CPU has *and* the operating system lets programs use ([`Isa::available`]). `LAYERBENCH_ISA=avx2` makes [`Isa::chosen`] a narrower set than the
//! widest, for kernels of backends; the measurements of the machine try every set that it has.

mod isa;
mod vector;

pub(crate) use isa::refused_by_system;
pub use isa::{Isa, VARIABLE, instruction_sets};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use vector::shell;
pub(crate) use vector::{Vector, prefetch};
