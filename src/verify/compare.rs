//! Holding numbers against numbers: the bounds of the fixtures' tier, and the largest error. Every comparison is written so
//! that NaN fails.
//!
//! | what | bound on abs(got - expected) | why |
//! | --- | --- | --- |
//! | fixture, f64 | twice the running error bound of [`reference`](mod@crate::verify::reference) | the fixture's numbers are rounded too |
//! | fixture, f32 | once that bound, against values recomputed in f64 from the rounded inputs | the f64 error is negligible |
//! | fixture with `tolerance` t | t + t abs(expected) | the author's word, as NumPy's `allclose` has it |
//! | printed digits, f64 | half a unit of the last printed decimal, plus the above | the text was rounded |
//! | the fixture itself, where f32 is checked | as fixture, f64, on the recomputed values | a wrong digit must not hide behind f32 |
//! | exact check | 0 | every intermediate value is an integer below 2^p |

use std::fmt;

use ndarray::Array2;

use super::Outputs;
use super::fixture::Case;
use super::reference::{self, Bounded};
use crate::scalar::{Scalar, ScalarKind};

/// The number that is worst off with respect to its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Which output, such as `dW1`.
    pub what: String,
    /// Its place in it.
    pub index: (usize, usize),
    /// What came.
    pub got: f64,
    /// What was expected.
    pub expected: f64,
    /// abs(got - expected).
    pub error: f64,
    /// What the error may be.
    pub bound: f64,
}

impl Worst {
    /// Whether the error is within the bound. NaN is not.
    pub fn is_within(&self) -> bool {
        self.error <= self.bound
    }

    /// error / bound: 0 for no error at all, infinite for an error where none is allowed, NaN or a missing number.
    pub fn ratio(&self) -> f64 {
        if self.error == 0.0 {
            0.0
        } else if self.error <= self.bound {
            self.error / self.bound
        } else {
            // Not below 1, so that a failure always outranks what passed; an error of NaN compares with nothing.
            let ratio = self.error / self.bound;
            if ratio.is_nan() { f64::INFINITY } else { ratio.max(1.0 + f64::EPSILON) }
        }
    }

    /// The worse of the two.
    pub fn or_worse(self, other: Worst) -> Worst {
        if other.ratio() > self.ratio() { other } else { self }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worst { what, index: (i, j), got, expected, error, bound } = self;
        if self.is_within() {
            let share = if *error == 0.0 { "exact".into() } else { format!("{:.2} of the bound", self.ratio()) };
            write!(f, "largest error {error:.1e} ({share}) at {what}[{i},{j}]")
        } else {
            write!(f, "{what}[{i},{j}] is {got:?}, expected {expected:?}: error {error:.3e}, bound {bound:.3e}")
        }
    }
}

/// The worst element of `got` against `expected` with an elementwise `bound`. A different shape is an infinite error.
pub fn worst(what: &str, got: &Array2<f64>, expected: &Array2<f64>, bound: impl Fn((usize, usize)) -> f64) -> Worst {
    let nothing = |error| Worst { what: what.into(), index: (0, 0), got: error, expected: 0.0, error, bound: 0.0 };
    if got.dim() != expected.dim() {
        return nothing(f64::INFINITY);
    }
    let element = |((index, &got), &expected): ((_, &f64), &f64)| {
        // Equal infinities have no difference that is a number.
        let error = if got == expected { 0.0 } else { (got - expected).abs() };
        Worst { what: what.into(), index, got, expected, error, bound: bound(index) }
    };
    got.indexed_iter().zip(expected).map(element).reduce(Worst::or_worse).unwrap_or_else(|| nothing(0.0))
}

/// Judges what a backend returned for a case.
pub fn judge_case<T: Scalar>(case: &Case, got: &Outputs) -> Worst {
    let truth = reference::outputs::<T>(&case.call);
    let in_f64 = T::KIND == ScalarKind::F64;
    let mut all = Vec::new();
    for (name, expected) in &case.expected {
        let missing = Array2::zeros((0, 0));
        let got = got.get(name).unwrap_or(&missing);
        let bounded = &truth[name];
        if in_f64 {
            all.push(worst(name, got, expected, |at| fixture_bound(case, bounded, expected, at)));
            for printed in case.printed.iter().filter(|printed| printed.name == *name) {
                let label = format!("{name} as printed");
                all.push(worst(&label, got, &printed.values, |at| {
                    printed.half_unit + fixture_bound(case, bounded, expected, at)
                }));
            }
        } else {
            all.push(worst(name, got, &bounded.value, |at| bounded.error[at].max(author_bound(case, expected[at]))));
        }
    }
    if !in_f64 {
        all.push(judge_fixture(case));
    }
    all.into_iter().reduce(Worst::or_worse).unwrap_or_else(|| Worst {
        what: "nothing".into(),
        index: (0, 0),
        got: f64::NAN,
        expected: f64::NAN,
        error: f64::NAN,
        bound: 0.0,
    })
}

/// The fixture's own numbers against the reference in `f64`.
fn judge_fixture(case: &Case) -> Worst {
    let truth = reference::outputs::<f64>(&case.call);
    case.expected
        .iter()
        .map(|(name, expected)| {
            let label = format!("{name} of the fixture file");
            let bounded = &truth[name];
            worst(&label, &bounded.value, expected, |at| fixture_bound(case, bounded, expected, at))
        })
        .reduce(Worst::or_worse)
        .expect("a case expects something")
}

fn fixture_bound(case: &Case, bounded: &Bounded, expected: &Array2<f64>, at: (usize, usize)) -> f64 {
    match case.tolerance {
        Some(_) => author_bound(case, expected[at]),
        None => 2.0 * bounded.error[at],
    }
}

fn author_bound(case: &Case, expected: f64) -> f64 {
    case.tolerance.map_or(0.0, |tolerance| tolerance + tolerance * expected.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn nan_missing_and_infinite_numbers_fail() {
        let one = array![[1.0, 2.0]];
        let judge = |got: Array2<f64>| worst("Z", &got, &one, |_| 1e-3);
        assert!(judge(one.clone()).is_within());
        assert!(judge(array![[1.0, 2.0005]]).is_within());
        for bad in [array![[1.0, f64::NAN]], array![[1.0, f64::INFINITY]], array![[1.0]], array![[1.0, 2.01]]] {
            let verdict = judge(bad.clone());
            assert!(!verdict.is_within() && verdict.ratio() > 1.0, "{bad} passed: {verdict}");
        }
        assert!(!worst("Z", &one, &one, |_| f64::NAN).or_worse(judge(array![[f64::NAN, 2.0]])).is_within());
    }

    #[test]
    fn a_failure_outranks_everything_that_passed() {
        let close = worst("a", &array![[1.0]], &array![[1.0 + 1e-3]], |_| 1.0001e-3);
        let failed = worst("b", &array![[1.0]], &array![[1.0 + 1e-9]], |_| 0.0);
        let nan = worst("c", &array![[f64::NAN]], &array![[0.0]], |_| f64::INFINITY);
        assert_eq!(close.clone().or_worse(failed.clone()).what, "b");
        assert_eq!(failed.or_worse(close.clone()).what, "b");
        assert_eq!(nan.or_worse(close).what, "c");
    }
}
