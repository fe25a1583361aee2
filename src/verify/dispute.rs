//! Where a fixture case fails on every backend, and they agree with each other and with the reference: then the file is alone, and how
//! its number differs tells what was probably meant. The case fails all the same.

use std::collections::BTreeSet;
use std::fmt;

use super::compare::{OF_FILE, Worst};
use super::golden::Case;
use super::reference;
use super::{Outcome, Outputs};
use crate::scalar::Scalar;
use crate::text::visible;

/// One number of a file, against everybody else's.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispute {
    /// The case's name.
    pub case: String,
    /// How many backends agree.
    pub backends: usize,
    /// Which output, such as `Z`.
    pub what: String,
    /// The place in it.
    pub index: (usize, usize),
    /// What they say.
    pub got: f64,
    /// What the file says.
    pub expected: f64,
    /// What the file's numbers look like.
    pub likely: Likely,
}

/// What the author of a file probably did.
#[derive(Clone, Debug, PartialEq)]
pub enum Likely {
    /// The result was printed with fewer digits.
    Printed,
    /// The inputs were printed with fewer digits too: the result differs by more than its last digit.
    PrintedInputs,
    /// It was computed in `f32`; this tolerance would accept it.
    Float32(f64),
    /// The number is wrong, or that of other inputs.
    Wrong,
}

/// Says so where the file alone is at fault for a case that failed. `outcomes` may be of other cases too.
pub fn dispute(case: &Case, outcomes: &[Outcome]) -> Option<Dispute> {
    let of_case = outcomes.iter().filter(|outcome| outcome.check == case.name && outcome.executed > 0);
    let of_case: Vec<&Outcome> = of_case.collect();
    let truth = reference::outputs::<f64>(&case.call);
    let mut found: Option<&Worst> = None;
    for outcome in &of_case {
        let worst = outcome.worst.as_ref().filter(|worst| outcome.failed() && !worst.is_within())?;
        let of_file = worst.what.strip_suffix(OF_FILE);
        if of_file.is_none() {
            // What the backend itself says must be right.
            let bounded = truth.get(worst.what.strip_suffix(AS_PRINTED).unwrap_or(&worst.what))?;
            let index = worst.index?;
            let error = (worst.got - bounded.value.get(index)?).abs();
            let is_right = error <= 2.0 * bounded.error[index];
            if !is_right {
                return None;
            }
        }
        // A backend's own number tells more than the reference's.
        if found.is_none_or(|found| found.what.ends_with(OF_FILE)) {
            found = Some(worst);
        }
    }
    let worst = found?;
    let what = worst.what.strip_suffix(OF_FILE).unwrap_or(&worst.what);
    let backends = of_case.iter().map(|outcome| &outcome.backend).collect::<BTreeSet<_>>().len();
    let truth: Outputs = truth.into_iter().map(|(name, bounded)| (name, bounded.value)).collect();
    let Worst { index, got, expected, .. } = *worst;
    let likely = if what.ends_with(AS_PRINTED) { Likely::Wrong } else { likely(case, &truth, got, expected) };
    Some(Dispute { case: case.name.clone(), backends, what: what.into(), index: index?, got, expected, likely })
}

const AS_PRINTED: &str = " as printed";

fn likely(case: &Case, truth: &Outputs, got: f64, expected: f64) -> Likely {
    let pairs = || case.expected.iter().flat_map(|(name, values)| values.iter().zip(&truth[name]));
    let worst = pairs().map(|(file, truth)| (file - truth).abs() / (1.0 + file.abs())).fold(0.0, f64::max);
    // Few numbers with all digits of a double are those of an `f32`: 29 bits of each would have to be zero by chance.
    let in_f32 =
        pairs().all(|(file, _)| f64::from(*file as f32) == *file) && pairs().any(|(file, _)| digits(*file) > 9);
    if in_f32 && worst < 1e-3 {
        // The power of ten above, with room for other machines' rounding.
        return Likely::Float32(10_f64.powi((2.0 * worst).log10().ceil() as i32));
    }
    let unit = last_digit(expected);
    let error = (got - expected).abs();
    if digits(expected) < FULL_DIGITS && error <= 0.5 * unit * (1.0 + 1e-6) {
        Likely::Printed
    } else if digits(expected) < FULL_DIGITS && error <= SOME_UNITS * unit && error <= 1e-3 * got.abs() {
        Likely::PrintedInputs
    } else if worst <= SOME_UNITS * f32::UNIT_ROUNDOFF {
        Likely::Float32(10_f64.powi((2.0 * worst).log10().ceil() as i32))
    } else {
        Likely::Wrong
    }
}

/// A number with more has not been printed short.
const FULL_DIGITS: usize = 13;
/// So far is a result off whose inputs were rounded to its last digit.
const SOME_UNITS: f64 = 64.0;

/// Significant digits of the shortest text that gives the number.
fn digits(number: f64) -> usize {
    let text = format!("{number:e}");
    text.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).count()
}

/// The unit of the last of them.
fn last_digit(number: f64) -> f64 {
    let text = format!("{number:e}");
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    10_f64.powi(exponent + 1 - digits(number) as i32)
}

impl fmt::Display for Dispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dispute { case, backends, what, index: (i, j), got, expected, likely } = self;
        let who = if *backends == 1 { "the backend says".into() } else { format!("all {backends} backends say") };
        write!(f, "{}: {what}[{i},{j}]: {who} {got:?}, your file {expected:?}: ", visible(case))?;
        match likely {
            Likely::Printed => f.write_str("printed digits belong under `printed`"),
            Likely::PrintedInputs => {
                f.write_str("printed digits belong under `printed`, and inputs need all the digits they had")
            }
            Likely::Float32(tolerance) => {
                write!(f, "numbers computed in float32 need a `tolerance`; \"tolerance\": {tolerance:e} would do")
            }
            Likely::Wrong => f.write_str("it is alone with that"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::ScalarKind;
    use crate::verify::cases::Depth;
    use crate::verify::{Suite, Venue, fixture};
    use crate::{Entry, Registry};

    const EXACT: f64 = 0.1 * 0.7 + 0.3;

    fn case(expected: &str) -> Case {
        let text = format!(
            r#"{{"format": 1, "cases": [{{"name": "c", "function": "linear_forward",
                "inputs": {{"A": [[0.7, 700.0]], "W": [[0.1]], "b": [[0.3]]}}, "expected": {{"Z": [[{expected}, 70.3]]}}}}]}}"#
        );
        fixture::parse("f", &text).expect("well-formed").remove(0)
    }

    fn found(case: &Case, entries: &[Entry], scalars: &[ScalarKind]) -> Option<Dispute> {
        let suite = Suite { checks: vec!["c".into()], fixtures: vec![case.clone()], ..Suite::new(Depth::Quick) };
        let mut outcomes = Vec::new();
        for entry in entries {
            scalars.iter().for_each(|&scalar| {
                suite.run(&Venue::ThisProcess, entry, scalar, &mut |outcome| outcomes.push(outcome))
            });
        }
        dispute(case, &outcomes)
    }

    #[test]
    fn a_file_that_is_alone_is_told_what_it_probably_is() {
        let registry = Registry::builtin();
        for (expected, likely) in [
            ("0.37".into(), None),
            ("0.3700001".into(), Some(Likely::PrintedInputs)),
            ("0.8".into(), Some(Likely::Wrong)),
            (format!("{:?}", f64::from(EXACT as f32)), Some(Likely::Float32(1e-8))),
            (format!("{:?}", EXACT + 1.234567890123e-7), Some(Likely::Float32(1e-6))),
        ] {
            for scalars in [&ScalarKind::ALL[..], &[ScalarKind::F64], &[ScalarKind::F32]] {
                let mut case = case(&expected);
                if matches!(likely, Some(Likely::Float32(tolerance)) if tolerance == 1e-8) {
                    case.expected.get_mut("Z").expect("it is there")[(0, 1)] = f64::from(70.3_f32);
                }
                let found = found(&case, registry.entries(), scalars);
                match (&likely, &found) {
                    (Some(Likely::Float32(_)), Some(Dispute { likely: Likely::Float32(tolerance), .. })) => {
                        case.tolerance = Some(*tolerance);
                        assert_eq!(self::found(&case, registry.entries(), scalars), None, "{tolerance} does not do");
                    }
                    (likely, found) => {
                        assert_eq!(found.as_ref().map(|found| &found.likely), likely.as_ref(), "{expected}")
                    }
                }
                assert!(found.is_none_or(|found| found.backends == registry.entries().len()));
            }
        }
    }

    #[test]
    fn printed_digits_are_recognised() {
        let case = case("0.37");
        let truth: Outputs = [("Z".to_owned(), ndarray::array![[1.0 / 3.0, 70.3]])].into();
        let mut printed = case.clone();
        printed.expected.get_mut("Z").expect("it is there")[(0, 0)] = 0.3333;
        assert_eq!(likely(&printed, &truth, 1.0 / 3.0, 0.3333), Likely::Printed);
        assert_eq!(likely(&printed, &truth, 1.0 / 3.0, 0.3334), Likely::PrintedInputs);
        assert_eq!((digits(3.26295337), last_digit(3.26295337)), (9, 1e-8));
        assert_eq!((digits(-1200.0), last_digit(-1200.0)), (2, 100.0));
    }

    /// Where one backend is wrong, or right, the file is not alone.
    #[test]
    fn nothing_is_said_where_backends_differ() {
        let registry = Registry::builtin();
        let case = case("0.3700001");
        let mut outcomes = Vec::new();
        let suite = Suite { checks: vec!["c".into()], fixtures: vec![case.clone()], ..Suite::new(Depth::Quick) };
        for entry in registry.entries() {
            suite.run(&Venue::ThisProcess, entry, ScalarKind::F64, &mut |outcome| outcomes.push(outcome));
        }
        assert!(dispute(&case, &outcomes).is_some());
        let last = outcomes.last_mut().expect("there are some");
        let worst = last.worst.as_mut().expect("it failed");
        (worst.got, worst.error) = (worst.got + 1e-3, worst.error + 1e-3);
        assert_eq!(dispute(&case, &outcomes), None);
        outcomes.last_mut().expect("there are some").status = crate::verify::Status::Passed;
        assert_eq!(dispute(&case, &outcomes), None);
        assert_eq!(dispute(&case, &[]), None);
    }
}
