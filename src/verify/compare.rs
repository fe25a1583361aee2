//! Holding numbers against numbers: the largest error with respect to its bound, and where it is. The bounds are in
//! [`tolerances`](super::tolerances). Every comparison is written so that NaN fails.

use std::fmt;

use ndarray::{Array2, ArrayView2};

use super::Outputs;
use super::golden::{Call, Case, Printed};
use super::reference::{self, Bounded};
use crate::scalar::{Scalar, ScalarKind};

/// The number that is worst off with respect to its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Which output, such as `dW1`.
    pub what: String,
    /// Its place in it; none for a single number.
    pub index: Option<(usize, usize)>,
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
    /// Whether the error is within the bound. NaN is not, and a bound that is not finite bounds nothing.
    pub fn is_within(&self) -> bool {
        is_within(self.error, self.bound)
    }

    /// error / bound: 0 for no error at all, infinite for an error where none is allowed, NaN or a missing number; above 1 wherever the bound
    /// means nothing.
    pub fn ratio(&self) -> f64 {
        ratio(self.error, self.bound)
    }

    /// The worse of the two.
    pub fn or_worse(self, other: Worst) -> Worst {
        if other.ratio() > self.ratio() { other } else { self }
    }
}

fn is_within(error: f64, bound: f64) -> bool {
    error <= bound && bound.is_finite()
}

fn ratio(error: f64, bound: f64) -> f64 {
    match (is_within(error, bound), error == 0.0) {
        (true, true) => 0.0,
        (true, false) => error / bound,
        (false, _) => {
            // Not below 1, so that a failure always outranks what passed; an error of NaN compares with nothing.
            let ratio = error / bound;
            if ratio.is_nan() { f64::INFINITY } else { ratio.max(1.0 + f64::EPSILON) }
        }
    }
}

const UNWRITTEN: &str = " (outputs are full of NaN before a pass: it was not written, or what it was made of was not)";

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worst { what, index, got, expected, error, bound } = self;
        let place = index.map_or(String::new(), |(i, j)| format!("[{i},{j}]"));
        if self.error == 0.0 && self.is_within() {
            // The first of many: its place says nothing.
            f.write_str("exact")
        } else if self.is_within() {
            let share = self.ratio();
            write!(f, "largest error {error:.1e} ({share:.2} of the bound) at {what}{place}")
        } else if *bound == 0.0 && index.is_none() {
            write!(f, "{what}: {got}, expected {expected}")
        } else {
            write!(f, "{what}{place} is {got:?}, expected {expected:?}: error {error:.3e}, bound {bound:.3e}")?;
            // The commonest mistake of a new backend.
            let unwritten = if got.is_nan() && expected.is_finite() { UNWRITTEN } else { "" };
            f.write_str(unwritten)
        }
    }
}

/// Several outputs held against what was expected of them.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The number that is worst off; none where nothing was compared.
    pub worst: Option<Worst>,
    /// How many numbers were compared.
    pub numbers: usize,
    /// How many of them were expected to be zero.
    pub zeros: usize,
}

impl Comparison {
    /// Whether nothing is out of its bound.
    pub fn is_within(&self) -> bool {
        self.worst.as_ref().is_none_or(Worst::is_within)
    }

    /// Takes in what another comparison found. Returns whether its worst is now the worst.
    pub fn absorb(&mut self, other: Comparison) -> bool {
        self.numbers += other.numbers;
        self.zeros += other.zeros;
        self.take(other.worst)
    }

    fn take(&mut self, found: Option<Worst>) -> bool {
        let Some(found) = found else { return false };
        let worse = self.worst.as_ref().is_none_or(|worst| found.ratio() > worst.ratio());
        if worse {
            self.worst = Some(found);
        }
        worse
    }

    /// Holds `got` against `expected` with a bound for each element. A different shape is an infinite error. Non-finite
    /// numbers must be the same: NaN for NaN, an infinity for the same infinity.
    pub fn within<T: Scalar>(
        &mut self,
        what: &str,
        got: &Array2<T>,
        expected: &Array2<f64>,
        bound: impl Fn((usize, usize)) -> f64,
    ) {
        self.hold(what, got.view(), expected.view(), |at, got, expected| {
            let (got, same) = (got.widen(), got.widen() == *expected || (got.is_nan() && expected.is_nan()));
            if same {
                (0.0, 0.0)
            } else if expected.is_finite() {
                ((got - expected).abs(), bound(at))
            } else {
                (f64::INFINITY, 0.0)
            }
        });
    }

    /// Holds `got` against a value with its bounds.
    pub fn bounded<T: Scalar>(&mut self, what: &str, got: &Array2<T>, expected: &Bounded) {
        self.within(what, got, &expected.value, |at| expected.error[at]);
    }

    /// Demands the same bits.
    pub fn same_bits<T: Scalar>(&mut self, what: &str, got: ArrayView2<'_, T>, expected: ArrayView2<'_, T>) {
        self.hold(what, got, expected, |_, got, expected| {
            let (got, expected) = (got.widen(), expected.widen());
            // Zeros of different sign, and NaN against a number, have no difference to show.
            let error = (got - expected).abs();
            let error = if error > 0.0 { error } else { f64::INFINITY };
            (if got.to_bits() == expected.to_bits() { 0.0 } else { error }, 0.0)
        });
    }

    /// Demands that a single number, a count of something, be another. Zero is as good as any.
    pub fn equal(&mut self, what: &str, got: f64, expected: f64) {
        self.numbers += 1;
        let error = if got == expected { 0.0 } else { (got - expected).abs() };
        self.take(Some(Worst { what: what.into(), index: None, got, expected, error, bound: 0.0 }));
    }

    /// Holds the 2-norm of a difference against one bound.
    pub fn norm(&mut self, what: &str, got: &Array2<f64>, expected: &Array2<f64>, bound: f64) {
        let norm = |matrix: &Array2<f64>| matrix.iter().map(|x| x * x).sum::<f64>().sqrt();
        self.numbers += expected.len();
        self.zeros += expected.iter().filter(|&&x| x == 0.0).count();
        let error = if got.dim() == expected.dim() { norm(&(got - expected)) } else { f64::INFINITY };
        let what = format!("the norm of {what}");
        let (got, expected) = (norm(got), norm(expected));
        self.take(Some(Worst { what, index: None, got, expected, error, bound }));
    }

    /// Finds the worst element; `judge` gives error and bound.
    fn hold<T: Scalar, E: Scalar>(
        &mut self,
        what: &str,
        got: ArrayView2<'_, T>,
        expected: ArrayView2<'_, E>,
        judge: impl Fn((usize, usize), &T, &E) -> (f64, f64),
    ) {
        let worst = |index, got, expected, error, bound| Worst {
            what: what.into(),
            index: Some(index),
            got,
            expected,
            error,
            bound,
        };
        if got.dim() != expected.dim() {
            self.take(Some(worst((0, 0), f64::NAN, f64::NAN, f64::INFINITY, 0.0)));
            return;
        }
        self.numbers += expected.len();
        let mut found: Option<((usize, usize), f64, f64)> = None;
        let mut highest = f64::NEG_INFINITY;
        for ((at, got), want) in got.indexed_iter().zip(expected) {
            self.zeros += usize::from(want.is_zero());
            let (error, bound) = judge(at, got, want);
            let ratio = ratio(error, bound);
            if ratio > highest {
                highest = ratio;
                found = Some((at, error, bound));
            }
        }
        self.take(found.map(|(at, error, bound)| worst(at, got[at].widen(), expected[at].widen(), error, bound)));
    }
}

/// Judges what a backend returned for a case.
pub fn judge_case<T: Scalar>(case: &Case, got: &Outputs) -> Comparison {
    let missing = Array2::<f64>::zeros((0, 0));
    let got = |name: &str| got.get(name).unwrap_or(&missing);
    let mut all = Comparison::default();
    if T::KIND == ScalarKind::F64 {
        judge_fixture(case, "", got, &mut all);
    } else {
        let truth = reference::outputs::<T>(&case.call);
        let printed = case.printed.iter().filter(|printed| !case.expected.contains_key(&printed.name));
        let printed = printed.map(|printed| (&printed.name, &printed.values));
        for (name, expected) in case.expected.iter().chain(printed) {
            let bounded = &truth[name];
            all.within(name, got(name), &bounded.value, |at| bounded.error[at].max(author_bound(case, expected[at])));
        }
        // A wrong digit in the file must not hide behind `f32`.
        let truth = reference::outputs::<f64>(&case.call);
        let mut of_file = Comparison::default();
        judge_fixture(case, OF_FILE, |name| &truth[name].value, &mut of_file);
        // What the file expects is what may be too many zeros.
        (all.numbers, all.zeros) = (0, 0);
        all.absorb(of_file);
    }
    if matches!(case.call, Call::Initialize { .. }) {
        // No backend computes these: parameters that start as zero are what was asked for.
        all.zeros = 0;
    }
    all
}

/// Behind the name of an output where the file's number is at fault, whatever a backend says.
pub(super) const OF_FILE: &str = " of the fixture file";

/// Results in `f64` against the file's own numbers.
fn judge_fixture<'a>(case: &Case, label: &str, got: impl Fn(&str) -> &'a Array2<f64>, all: &mut Comparison) {
    let truth = reference::outputs::<f64>(&case.call);
    for (name, expected) in &case.expected {
        let bounded = &truth[name];
        all.within(&format!("{name}{label}"), got(name), expected, |at| fixture_bound(case, bounded, expected, at));
    }
    for Printed { name, values, half_units } in &case.printed {
        let bounded = &truth[name];
        all.within(&format!("{name} as printed{label}"), got(name), values, |at| {
            // The text itself was rounded to a double.
            half_units[at] + f64::EPSILON * values[at].abs() + fixture_bound(case, bounded, values, at)
        });
    }
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

    fn judged(got: &Array2<f64>, expected: &Array2<f64>, bound: f64) -> Worst {
        let mut comparison = Comparison::default();
        comparison.within("Z", got, expected, |_| bound);
        comparison.worst.expect("something was compared")
    }

    #[test]
    fn a_bound_that_is_not_finite_allows_no_error() {
        for bound in [f64::INFINITY, f64::NAN] {
            for (got, expected) in [(f64::INFINITY, 5.0), (f64::MAX, 5.0), (4.0, 5.0), (5.0, f64::INFINITY)] {
                let worst = judged(&array![[got]], &array![[expected]], bound);
                assert!(!worst.is_within() && worst.ratio() > 1.0, "{worst:?}");
            }
            assert!(judged(&array![[5.0]], &array![[5.0]], bound).is_within(), "no error is none");
            let mut comparison = Comparison::default();
            comparison.norm("dW", &array![[1.0]], &array![[2.0]], bound);
            assert!(!comparison.is_within());
        }
        assert!(!judged(&array![[f64::INFINITY]], &array![[5.0]], 1.0).is_within());
    }

    #[test]
    fn nan_missing_and_infinite_numbers_fail() {
        let one = array![[1.0, 2.0]];
        let judge = |got: &Array2<f64>| judged(got, &one, 1e-3);
        assert!(judge(&one).is_within());
        assert!(judge(&array![[1.0, 2.0005]]).is_within());
        for bad in [array![[1.0, f64::NAN]], array![[1.0, f64::INFINITY]], array![[1.0]], array![[1.0, 2.01]]] {
            let verdict = judge(&bad);
            assert!(!verdict.is_within() && verdict.ratio() > 1.0, "{bad} passed: {verdict}");
        }
        assert!(!judged(&array![[1.5, 2.0]], &one, f64::NAN).is_within());
    }

    #[test]
    fn non_finite_numbers_must_be_the_same() {
        let special = array![[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]];
        assert!(judged(&special, &special, 0.0).is_within());
        for bad in [
            array![[1.0, f64::INFINITY, f64::NEG_INFINITY]],
            array![[f64::NAN, f64::NAN, f64::NEG_INFINITY]],
            array![[f64::NAN, f64::INFINITY, f64::INFINITY]],
        ] {
            assert!(!judged(&bad, &special, f64::INFINITY).is_within(), "{bad} passed");
        }
    }

    #[test]
    fn a_failure_outranks_everything_that_passed() {
        let close = judged(&array![[1.0 + 1e-3]], &array![[1.0]], 1.0001e-3);
        let failed = judged(&array![[1.0 + 1e-9]], &array![[1.0]], 0.0);
        let nan = judged(&array![[f64::NAN]], &array![[0.0]], f64::INFINITY);
        assert_eq!(close.clone().or_worse(failed.clone()), failed);
        assert_eq!(failed.clone().or_worse(close.clone()), failed);
        assert!(nan.clone().or_worse(close).got.is_nan());
    }

    #[test]
    fn bits_tell_zeros_of_different_sign_apart() {
        let mut comparison = Comparison::default();
        comparison.same_bits("Z", array![[0.0, f64::NAN]].view(), array![[0.0, f64::NAN]].view());
        assert!(comparison.is_within());
        comparison.same_bits("Z", array![[-0.0]].view(), array![[0.0]].view());
        assert!(!comparison.is_within());
    }

    fn worst(error: f64, bound: f64) -> Worst {
        Worst { what: "dW".into(), index: Some((0, 1)), got: 2.0, expected: 1.0, error, bound }
    }

    #[test]
    fn ratios_are_of_error_to_bound() {
        assert_eq!(worst(1.0, 4.0).ratio(), 0.25);
        assert_eq!(worst(4.0, 4.0).ratio(), 1.0);
        assert_eq!(worst(6.0, 4.0).ratio(), 1.5);
        assert_eq!((worst(0.0, 0.0).ratio(), worst(0.0, 4.0).ratio()), (0.0, 0.0));
        assert_eq!(worst(1.0, f64::INFINITY).ratio(), 1.0 + f64::EPSILON, "a bound that bounds nothing");
        // What fails is above 1, whatever the numbers are.
        for (error, bound) in [(1.0, 0.0), (f64::INFINITY, 1.0), (f64::NAN, 1.0), (0.0, f64::NAN)] {
            assert_eq!(worst(error, bound).ratio(), f64::INFINITY, "{error} {bound}");
        }
        assert_eq!(worst(1.0, -1.0).ratio(), 1.0 + f64::EPSILON);
        assert_eq!(worst(0.0, -1.0).ratio(), 1.0 + f64::EPSILON);
    }

    #[test]
    fn of_equals_the_first_is_kept() {
        let (first, second) = (worst(1.0, 2.0), Worst { index: Some((5, 5)), ..worst(2.0, 4.0) });
        assert_eq!(first.clone().or_worse(second.clone()).index, Some((0, 1)));
        let mut comparison = Comparison { worst: Some(first), numbers: 2, zeros: 1 };
        assert!(!comparison.absorb(Comparison { worst: Some(second), numbers: 30, zeros: 4 }));
        assert_eq!(
            (comparison.numbers, comparison.zeros, comparison.worst.as_ref().and_then(|w| w.index)),
            (32, 5, Some((0, 1)))
        );
        assert!(comparison.absorb(Comparison { worst: Some(worst(3.0, 4.0)), numbers: 1, zeros: 0 }));
        assert!(!comparison.absorb(Comparison::default()));
        assert_eq!(comparison.worst, Some(worst(3.0, 4.0)));
        // Of equals in one matrix too.
        assert_eq!(judged(&array![[1.5, 2.5, 9.0]], &array![[1.0, 2.0, 9.0]], 1.0).index, Some((0, 0)));
    }

    #[test]
    fn the_worst_is_told() {
        assert_eq!(worst(0.0, 1.0).to_string(), "exact");
        assert_eq!(worst(0.5, 1.0).to_string(), "largest error 5.0e-1 (0.50 of the bound) at dW[0,1]");
        assert_eq!(worst(1.0, 0.5).to_string(), "dW[0,1] is 2.0, expected 1.0: error 1.000e0, bound 5.000e-1");
        assert_eq!(worst(0.0, f64::NAN).to_string(), "dW[0,1] is 2.0, expected 1.0: error 0.000e0, bound NaN");
    }

    #[test]
    fn error_and_bound_are_those_of_the_element() {
        let mut found = Comparison::default();
        found.within("Z", &array![[1.0, 7.0], [3.0, 4.0]], &array![[1.0, 5.0], [3.5, 4.0]], |(i, j)| {
            (10 * i + j) as f64
        });
        // 2 of a bound of 1, and 0.5 of one of 10.
        assert_eq!(
            found.worst,
            Some(Worst { what: "Z".into(), index: Some((0, 1)), got: 7.0, expected: 5.0, error: 2.0, bound: 1.0 })
        );
        let mut found = Comparison::default();
        let value = Bounded { value: array![[1.0, 2.0]], error: array![[0.5, 0.25]] };
        found.bounded("A", &array![[1.25, 2.125]], &value);
        assert_eq!(found.worst.map(|worst| (worst.error, worst.bound)), Some((0.25, 0.5)));
        // Of the right shape there is none.
        let mut found = Comparison::default();
        found.within("Z", &array![[1.0]], &array![[1.0, 1.0]], |_| f64::INFINITY);
        assert_eq!(found.worst.map(|worst| (worst.error, worst.bound)), Some((f64::INFINITY, 0.0)));
    }

    #[test]
    fn single_numbers_and_norms() {
        let mut found = Comparison::default();
        found.equal("threads", 2.0, 2.0);
        assert!(found.is_within());
        found.equal("threads", 2.0, 3.0);
        assert_eq!(found.worst.as_ref().map(|worst| (worst.got, worst.error, worst.bound)), Some((2.0, 1.0, 0.0)));

        let mut found = Comparison::default();
        found.norm("dW", &array![[3.0, 1.0, 0.0]], &array![[0.0, 5.0, 0.0]], 10.0);
        let worst = found.worst.as_ref().expect("compared");
        assert_eq!((worst.error, worst.bound, worst.expected), (5.0, 10.0, 5.0));
        assert_eq!((worst.got, found.numbers, found.zeros), (10.0_f64.sqrt(), 3, 2));
        assert!(worst.what.contains("norm of dW"));
        found.norm("dW", &array![[3.0]], &array![[3.0, 0.0]], 10.0);
        assert!(!found.is_within());
    }

    #[test]
    fn differing_bits_have_an_error_that_shows() {
        let error = |got: f64, expected: f64| {
            let mut found = Comparison::default();
            found.same_bits("Z", array![[got]].view(), array![[expected]].view());
            found.worst.map(|worst| (worst.error, worst.bound))
        };
        assert_eq!(error(1.5, 1.0), Some((0.5, 0.0)));
        assert_eq!(error(1.0, 1.0), Some((0.0, 0.0)));
        assert_eq!(error(0.0, -0.0), Some((f64::INFINITY, 0.0)));
        assert_eq!(error(f64::NAN, 1.0), Some((f64::INFINITY, 0.0)));
    }

    #[test]
    fn an_author_may_widen_a_bound() {
        let mut case = crate::verify::fixture::embedded().swap_remove(0);
        let (bounded, expected) = (Bounded { value: array![[4.0]], error: array![[0.5]] }, array![[-4.0]]);
        case.tolerance = None;
        assert_eq!((fixture_bound(&case, &bounded, &expected, (0, 0)), author_bound(&case, -4.0)), (1.0, 0.0));
        case.tolerance = Some(0.25);
        assert_eq!((fixture_bound(&case, &bounded, &expected, (0, 0)), author_bound(&case, -4.0)), (1.25, 1.25));
    }

    #[test]
    fn expected_zeros_are_counted() {
        let mut comparison = Comparison::default();
        comparison.within("Z", &array![[0.0, 1.0, 0.0]], &array![[0.0, 1.0, 0.0]], |_| 0.0);
        assert_eq!((comparison.numbers, comparison.zeros), (3, 2));
    }
}
