//! Numbers as they were printed, by NumPy or PyTorch or by hand: how many digits there are says how well they are known.

use ndarray::Array2;

use super::fields::Bad;
use super::golden::Printed;

/// The numbers of a printed array of that shape; layout does not matter (that of the notebook's pages is damaged).
///
/// A print has one number of decimals throughout and leaves zeros at the end out, or one in each mantissa: `[0.5  0.1234]` has four. So the unit
/// of the last digit comes from the longest decimals, and from each number's own exponent.
pub(super) fn parse(path: &str, name: &str, text: &str, dim: (usize, usize)) -> Result<Printed, Bad> {
    let bad = |problem: String| Bad::new(path, problem);
    if text.contains("...") || text.contains('…') {
        let how = "numpy.set_printoptions(threshold=sys.maxsize) prints all";
        return Err(bad(format!("numbers are left out (`...`); {how}")));
    }
    let numbers = words(text).map(|word| Number::parse(word).ok_or(word)).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(|word| bad(format!("not numbers: `{word}` is none, or is not finite")))?;
    let count = numbers.len();
    let numbers = Array2::from_shape_vec(dim, numbers)
        .map_err(|_| bad(format!("has {count} numbers, the function returns {}", dim.0 * dim.1)))?;
    let decimals = numbers.iter().map(|number| number.decimals).max().unwrap_or(0);
    Ok(Printed {
        name: name.into(),
        half_units: numbers.mapv(|number| half_unit(number.exponent - decimals)),
        values: numbers.mapv(|number| number.value),
    })
}

/// Half of 10^power.
fn half_unit(power: i32) -> f64 {
    // By the parser: a power of ten is right to the last bit.
    format!("5e{}", power - 1).parse().expect("it is a number")
}

/// The words in which numbers stand: without brackets, commas, and what `repr` puts around an array.
fn words(text: &str) -> impl Iterator<Item = &str> {
    const AROUND: [&str; 5] = ["array", "tensor", "np.float64", "np.float32", "np.array"];
    let words = text.split(|c: char| "[](),".contains(c) || c.is_whitespace());
    words.filter(|word| !word.is_empty() && !AROUND.contains(word) && !word.starts_with("dtype="))
}

#[derive(Clone, Copy)]
struct Number {
    value: f64,
    /// Digits after the point.
    decimals: i32,
    /// The power of ten behind them.
    exponent: i32,
}

impl Number {
    fn parse(word: &str) -> Option<Self> {
        let value = word.parse::<f64>().ok().filter(|value| value.is_finite())?;
        let (mantissa, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        // Beyond these there is nothing for a double to be held to, and powers of ten would overflow.
        const MOST: i32 = 400;
        let decimals = i32::try_from(decimals).ok().filter(|&decimals| decimals <= MOST)?;
        let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() <= MOST)?;
        Some(Number { value, decimals, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn parsed(text: &str, dim: (usize, usize)) -> Printed {
        parse("p", "Z", text, dim).unwrap_or_else(|bad| panic!("{text}: {}", bad.problem))
    }

    #[test]
    fn the_last_digit_is_that_of_the_print() {
        for (text, values, half_units) in [
            ("[[ 1.8676 -0.9773]]", [1.8676, -0.9773], [5e-5, 5e-5]),
            ("[[1.23456789e+04 5.00000000e-01]]", [12345.6789, 0.5], [5e-5, 5e-10]),
            ("[[0.5        0.12345678]]", [0.5, 0.12345678], [5e-9, 5e-9]),
            ("[[1. 2.]]", [1.0, 2.0], [0.5, 0.5]),
            ("1, 20", [1.0, 20.0], [0.5, 0.5]),
            ("[[123456.25 1.5]]", [123456.25, 1.5], [5e-3, 5e-3]),
            ("[[2E5 1.5E-3]]", [2e5, 1.5e-3], [5e3, 5e-5]),
            ("array([[ 1.8676, -0.9773]])", [1.8676, -0.9773], [5e-5, 5e-5]),
            ("tensor([[ 1.8676, -0.9773]], dtype=torch.float64)", [1.8676, -0.9773], [5e-5, 5e-5]),
            ("array([[1.5, 2.5]], dtype=float32)", [1.5, 2.5], [0.05, 0.05]),
        ] {
            let printed = parsed(text, (1, 2));
            assert_eq!((printed.values, printed.half_units), (array![values], array![half_units]), "{text}");
        }
        assert_eq!(parsed("np.float64(0.41493159961539694)", (1, 1)).half_units[(0, 0)], 5e-18);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        for (text, part) in [
            ("[[1. 2. ... 3.]]", "numbers are left out"),
            ("[[1. nan]]", "`nan`"),
            ("[[1. inf]]", "`inf`"),
            ("[[1. x]]", "`x`"),
            ("[[1.]]", "has 1 numbers, the function returns 2"),
            ("", "has 0 numbers"),
            ("[[1e99999999999 0e500]]", "is none"),
        ] {
            let bad = parse("p", "Z", text, (1, 2)).expect_err(text);
            assert!(bad.problem.contains(part), "{text}: {}", bad.problem);
        }
    }
}
