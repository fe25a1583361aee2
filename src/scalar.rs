//! The two scalar types, and what generic code needs to know of each. No arithmetic lives here.

use std::any::Any;
use std::fmt;
use std::iter::Sum;

use ndarray::NdFloat;

/// A number type that a layer can be computed in: `f32` or `f64`, and no other (the trait is sealed).
///
/// `ndarray::NdFloat` brings the arithmetic, `exp`, `abs` and the rest.
pub trait Scalar: NdFloat + Sum + Default + Any + sealed::Sealed {
    /// Which of the two this is.
    const KIND: ScalarKind;
    /// Unit roundoff `u` of round-to-nearest: 2^-24 for `f32`, 2^-53 for `f64`.
    const UNIT_ROUNDOFF: f64;
    /// The smallest positive subnormal number, as `f64`.
    const SMALLEST_SUBNORMAL: f64;

    /// The nearest value of this type.
    fn of(value: f64) -> Self;

    /// The same value as `f64`; exact for both types.
    fn widen(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Scalar for f32 {
    const KIND: ScalarKind = ScalarKind::F32;
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;
    const SMALLEST_SUBNORMAL: f64 = f32::from_bits(1) as f64;

    #[inline]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline]
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const KIND: ScalarKind = ScalarKind::F64;
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 53) as f64;
    const SMALLEST_SUBNORMAL: f64 = f64::from_bits(1);

    #[inline]
    fn of(value: f64) -> Self {
        value
    }

    #[inline]
    fn widen(self) -> f64 {
        self
    }
}

/// The name of a scalar type at run time, as the command line and the reports spell it.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarKind {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl ScalarKind {
    /// Both kinds, in the order in which reports list them.
    pub const ALL: [ScalarKind; 2] = [ScalarKind::F64, ScalarKind::F32];
}

impl fmt::Display for ScalarKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ScalarKind::F32 => "f32",
            ScalarKind::F64 => "f64",
        })
    }
}

/// The same memory as bytes.
pub(crate) fn bytes_of<T: Scalar>(elements: &[T]) -> &[u8] {
    // SAFETY: both types of the sealed trait are plain numbers without padding; the slice is as long in bytes.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// The same memory as bytes, to be written.
pub(crate) fn bytes_of_mut<T: Scalar>(elements: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and every pattern of bits is a number.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), size_of_val(elements)) }
}
