//! What is changed before a timed pass, so that no result of an earlier pass is its result: one element of each input that is not bound.
//!
//! Place and value follow from a seed, which the parent draws for each round, and the number of the pass within its sample: the same in
//! every child, and nothing that a backend could know before. Each change is undone after its pass.

use crate::scalar::Scalar;

/// A seed, from the operating system: nobody can know it before.
///
/// # Panics
/// Where the operating system has no random numbers.
pub(super) fn draw() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}

/// An element of X: its place, and what is added to it.
///
/// What is added must show in what comes out of a sum of k products beyond what rounding may do to it (Higham's bound, about `k u` times
/// the sum of the absolute values, in which k such elements stand). So it is larger than the elements by more than `k^2 u`: 1 to 2 in `f64`, and for
/// sums of a few thousand in `f32`; up to 300 in `f32` for the 12288 pixels of the course's pictures.
#[inline]
pub(super) fn of_x<T: Scalar>(seed: u64, pass: u64, dim: (usize, usize)) -> ((usize, usize), T) {
    let bits = bits(seed, pass, 1);
    let k = dim.0 as f64;
    ((within(bits >> 32, dim.0), within(bits, dim.1)), T::of(signed(bits) * (1.0 + 16.0 * k * k * T::UNIT_ROUNDOFF)))
}

/// The place of a label that is flipped.
#[inline]
pub(super) fn of_y(seed: u64, pass: u64, dim: (usize, usize)) -> (usize, usize) {
    let bits = bits(seed, pass, 2);
    (within(bits >> 32, dim.0), within(bits, dim.1))
}

/// One of so many parameters: its place, and what is added to it. Large beside what steps in another order of summation may differ in, small
/// enough that the descent goes on.
#[inline]
pub(super) fn of_parameters<T: Scalar>(seed: u64, pass: u64, count: usize) -> (usize, T) {
    let bits = bits(seed, pass, 3);
    // There are 2^31 parameters at the most.
    (within(bits >> 32, count), T::of(signed(bits) / 8.0))
}

/// Random bits of a pass (the finalizer of SplitMix64).
#[inline]
fn bits(seed: u64, pass: u64, stream: u64) -> u64 {
    let mut z = seed.wrapping_add((4 * pass + stream).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The low 32 bits as a number below `count`, without a division.
#[inline]
fn within(bits: u64, count: usize) -> usize {
    (((bits & 0xFFFF_FFFF) * count as u64) >> 32) as usize
}

/// Between 1 and 2, or -2 and -1.
#[inline]
fn signed(bits: u64) -> f64 {
    let size = 1.0 + f64::from((bits >> 16) as u16) / 65536.0;
    if bits & (1 << 15) == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_element_has_its_turn_and_every_pass_its_own() {
        let (mut x, mut y, mut parameters) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut values = BTreeSet::new();
        for pass in 0..2000 {
            let (at, by) = of_x::<f64>(7, pass, (5, 9));
            assert!((1.0..2.0001).contains(&by.abs()), "{by}");
            x.insert(at);
            y.insert(of_y(7, pass, (2, 9)));
            let (place, by) = of_parameters::<f32>(7, pass, 33);
            assert!((0.125..0.2501).contains(&by.abs()), "{by}");
            parameters.insert(place);
            values.insert(by.to_bits());
        }
        assert_eq!((x.len(), y.len(), parameters.len()), (45, 18, 33));
        assert!(values.len() > 1900, "{}", values.len());
        assert_eq!(of_x::<f64>(7, 3, (5, 9)), of_x::<f64>(7, 3, (5, 9)));
        assert_ne!(of_x::<f64>(7, 3, (5, 9)), of_x::<f64>(8, 3, (5, 9)));
        // What rounding may hide in 12288 products.
        assert!(of_x::<f32>(1, 1, (12288, 209)).1.abs() > 100.0);
    }
}
