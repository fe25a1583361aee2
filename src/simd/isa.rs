//! Instruction sets: which of them this CPU has *and* the operating system lets programs use. Nothing is measured here.
//!
//! `is_x86_feature_detected!` asks both: it reads CPUID, and XCR0 for the registers that the system saves at a task switch. An
//! AVX-512 unit whose registers the system does not save counts as absent, because using it would be an illegal instruction.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The environment variable that chooses an instruction set.
pub const VARIABLE: &str = "LAYERBENCH_ISA";

/// A vector instruction set with kernels of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isa {
    /// Whatever the compiler makes of plain Rust for the target's baseline.
    Portable,
    /// 128-bit vectors, multiplication and addition apart.
    Sse2,
    /// 256-bit vectors with fused multiply-add (AVX2 and FMA).
    Avx2,
    /// 512-bit vectors (AVX-512F).
    Avx512,
    /// 128-bit vectors of AArch64 with fused multiply-add.
    Neon,
}

impl Isa {
    /// The sets that this machine can run, narrowest first. `Portable` only where there is no other.
    pub fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            sets.push(Isa::Sse2);
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Isa::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                sets.push(Isa::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if is_aarch64_feature_detected!("neon") {
            sets.push(Isa::Neon);
        }
        if sets.is_empty() {
            sets.push(Isa::Portable);
        }
        sets
    }

    /// The one that kernels are to use: the widest that there is, or the one that the environment variable [`VARIABLE`] names.
    ///
    /// # Errors
    /// [`Error::Setting`] where it names none, or one that this machine lacks: to go on with another would be to measure, or to test, another.
    pub fn chosen() -> Result<Isa> {
        Isa::choose(std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned()))
    }

    fn choose(wanted: Option<String>) -> Result<Isa> {
        let available = Isa::available();
        let Some(name) = wanted.filter(|name| !name.is_empty()) else {
            return Ok(available.last().copied().unwrap_or(Isa::Portable));
        };
        let refuse =
            |expected| Error::Setting { what: "the instruction set in LAYERBENCH_ISA", found: name.clone(), expected };
        let isa: Isa = name.parse().map_err(|()| refuse("portable, sse2, avx2, avx512 or neon"))?;
        // Plain Rust runs anywhere.
        if isa == Isa::Portable || available.contains(&isa) {
            Ok(isa)
        } else {
            Err(refuse("one that this CPU has and its operating system lets programs use"))
        }
    }
}

impl FromStr for Isa {
    type Err = ();

    /// Parses the names that records have: `portable`, `sse2`, `avx2`, `avx512`, `neon`.
    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text {
            "portable" => Ok(Isa::Portable),
            "sse2" => Ok(Isa::Sse2),
            "avx2" => Ok(Isa::Avx2),
            "avx512" => Ok(Isa::Avx512),
            "neon" => Ok(Isa::Neon),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Isa::Portable => "portable",
            Isa::Sse2 => "SSE2",
            Isa::Avx2 => "AVX2+FMA",
            Isa::Avx512 => "AVX-512",
            Isa::Neon => "NEON",
        })
    }
}

/// The instruction sets that matter for dense arithmetic and that programs may use here, by the names of Rust's `target_feature`.
pub fn instruction_sets() -> Vec<&'static str> {
    detected()
}

macro_rules! detect {
    ($is_detected:ident: $($name:tt)*) => {
        [$(($name, $is_detected!($name))),*].into_iter().filter(|&(_, usable)| usable).map(|(name, _)| name).collect()
    };
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<&'static str> {
    detect!(is_x86_feature_detected:
        "sse2" "sse3" "ssse3" "sse4.1" "sse4.2" "sse4a" "avx" "avx2" "fma" "f16c" "avxvnni" "avx512f" "avx512cd" "avx512bw"
        "avx512dq" "avx512vl" "avx512vnni" "avx512bf16" "avx512fp16")
}

#[cfg(target_arch = "aarch64")]
fn detected() -> Vec<&'static str> {
    detect!(is_aarch64_feature_detected: "neon" "fp16" "dotprod" "bf16" "i8mm" "sve" "sve2")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detected() -> Vec<&'static str> {
    Vec::new()
}

/// What the CPU announces and the operating system does not let programs use.
pub(crate) fn refused_by_system() -> Vec<&'static str> {
    let usable = detected();
    announced().into_iter().filter(|name| !usable.contains(name)).collect()
}

/// From CPUID alone; only the sets that need the system's help.
#[cfg(target_arch = "x86_64")]
fn announced() -> Vec<&'static str> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    if __cpuid(0).eax < 7 {
        return Vec::new();
    }
    let (basic, extended) = (__cpuid(1), __cpuid_count(7, 0));
    [
        ("avx", basic.ecx & 1 << 28),
        ("fma", basic.ecx & 1 << 12),
        ("avx2", extended.ebx & 1 << 5),
        ("avx512f", extended.ebx & 1 << 16),
    ]
    .into_iter()
    .filter(|&(_, bit)| bit != 0)
    .map(|(name, _)| name)
    .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn announced() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_runs_or_an_error() {
        let choose = |name: &str| Isa::choose(Some(name.to_owned()));
        let widest = *Isa::available().last().expect("one at least");
        assert_eq!((Isa::choose(None).expect("one"), choose("").expect("one")), (widest, widest));
        assert_eq!(choose("portable").expect("anywhere"), Isa::Portable);
        for isa in [Isa::Sse2, Isa::Avx2, Isa::Avx512, Isa::Neon] {
            let name = serde_json::to_value(isa).expect("plain data");
            let name = name.as_str().expect("a word");
            assert_eq!(name.parse(), Ok(isa));
            match choose(name) {
                Ok(chosen) => assert!(chosen == isa && Isa::available().contains(&isa)),
                Err(error) => {
                    assert!(!Isa::available().contains(&isa));
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
        let error = choose("avx9").expect_err("there is none").to_string();
        assert!(error.contains("avx9") && error.contains("avx512"), "{error}");
    }

    #[test]
    fn kernels_and_names_agree() {
        let (sets, names) = (Isa::available(), instruction_sets());
        assert!(!sets.is_empty());
        for (isa, name) in [(Isa::Sse2, "sse2"), (Isa::Avx2, "avx2"), (Isa::Avx512, "avx512f"), (Isa::Neon, "neon")] {
            assert_eq!(sets.contains(&isa), names.contains(&name), "{isa}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn what_is_usable_was_announced() {
        let announced = announced();
        for name in ["avx", "fma", "avx2", "avx512f"] {
            assert!(!instruction_sets().contains(&name) || announced.contains(&name), "{name}");
        }
    }
}
