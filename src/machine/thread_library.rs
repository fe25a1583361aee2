//! The number of threads that a library takes from the environment, as it reads it.

/// A library that makes threads of its own and takes their number from the environment. Each has its own way to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadLibrary {
    /// OpenBLAS with threads of its own (the pthread build): C's `atoi` of each variable until one gives more than 0.
    OpenBlas,
    /// Rayon: a variable must be a number wholly; 0 is its own choice, whatever comes after.
    Rayon,
}

/// The number of threads that a library takes from a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number. A library may start fewer: OpenBLAS no more than there are cores.
    pub threads: usize,
    /// The variable.
    pub variable: &'static str,
    /// Its value as it stands there, which need not be the number.
    pub value: String,
}

/// What a value says to a library.
pub(crate) enum Reading {
    /// So many.
    Count(usize),
    /// None: it does as it likes.
    OwnChoice,
    /// It looks at the next variable.
    Nothing,
}

impl ThreadLibrary {
    /// The variables that it looks at, in this order.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            ThreadLibrary::OpenBlas => &["OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"],
            ThreadLibrary::Rayon => &["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"],
        }
    }

    /// What it takes from an environment, and from which variable; `None` where it is left to its own choice. `get` answers a
    /// variable's value.
    ///
    /// ```
    /// use layerbench::machine::ThreadLibrary;
    ///
    /// let environment = |name: &str| (name == "OMP_NUM_THREADS").then(|| "1,4".to_owned());
    /// let asked = ThreadLibrary::OpenBlas.asked(environment).expect("it is set");
    /// assert_eq!((asked.threads, asked.variable), (1, "OMP_NUM_THREADS"));
    /// assert_eq!(ThreadLibrary::Rayon.asked(environment), None);
    /// ```
    pub fn asked(self, get: impl Fn(&str) -> Option<String>) -> Option<Asked> {
        for &variable in self.variables() {
            let Some(value) = get(variable) else { continue };
            match self.read(&value) {
                Reading::Count(threads) => return Some(Asked { threads, variable, value }),
                Reading::OwnChoice => return None,
                Reading::Nothing => {}
            }
        }
        None
    }

    /// What one value says.
    pub(crate) fn read(self, value: &str) -> Reading {
        match self {
            ThreadLibrary::OpenBlas => match usize::try_from(atoi(value)) {
                Ok(0) | Err(_) => Reading::Nothing,
                Ok(threads) => Reading::Count(threads),
            },
            ThreadLibrary::Rayon => match value.parse::<usize>() {
                Ok(0) => Reading::OwnChoice,
                Ok(threads) => Reading::Count(threads.min(rayon::max_num_threads())),
                Err(_) => Reading::Nothing,
            },
        }
    }
}

/// C's: space, a sign, digits; the rest is not looked at, and what is too large for an `int` is cut off.
fn atoi(value: &str) -> i32 {
    let value = value.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match value.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let digits = digits.bytes().take_while(u8::is_ascii_digit).map(|digit| sign * i64::from(digit - b'0'));
    digits.fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(digit)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(library: ThreadLibrary, variables: &[(&str, &str)]) -> Option<(usize, &'static str)> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        library.asked(get).map(|asked| (asked.threads, asked.variable))
    }

    /// Each line was tried with OpenBLAS 0.3.21 on two cores, as far as two cores can show it.
    #[test]
    fn openblas_reads_as_c_does() {
        for (value, threads) in [
            ("1", Some(1)),
            ("1x", Some(1)),
            ("1,4", Some(1)),
            (" \t+3 of 4", Some(3)),
            ("2.9", Some(2)),
            ("4294967297", Some(1)),
            ("99999999999999999999", None),
            ("-99999999999999999999", None),
            ("0", None),
            ("0x10", None),
            ("-1", None),
            ("x1", None),
            ("", None),
        ] {
            for variable in ["OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"] {
                let found = asked(ThreadLibrary::OpenBlas, &[(variable, value)]);
                assert_eq!(found, threads.map(|threads| (threads, variable)), "{variable}={value}");
            }
        }
    }

    #[test]
    fn openblas_takes_the_first_variable_that_gives_a_number() {
        let all = |first, second, third| {
            let variables = [("OMP_NUM_THREADS", third), ("GOTO_NUM_THREADS", second), ("OPENBLAS_NUM_THREADS", first)];
            asked(ThreadLibrary::OpenBlas, &variables)
        };
        assert_eq!(all("1", "2", "3"), Some((1, "OPENBLAS_NUM_THREADS")));
        assert_eq!(all("0", "2", "3"), Some((2, "GOTO_NUM_THREADS")));
        assert_eq!(all("x", "-2", "3,1"), Some((3, "OMP_NUM_THREADS")));
        assert_eq!(all("", "", ""), None);
    }

    #[test]
    fn rayon_reads_a_whole_number_or_nothing() {
        for (value, threads) in
            [("3", Some(3)), ("+3", Some(3)), ("3x", None), ("1,4", None), (" 3", None), ("-1", None), ("", None)]
        {
            let found = asked(ThreadLibrary::Rayon, &[("RAYON_NUM_THREADS", value), ("OMP_NUM_THREADS", "7")]);
            assert_eq!(found, threads.map(|threads| (threads, "RAYON_NUM_THREADS")), "{value}");
        }
        let both = |new, old| asked(ThreadLibrary::Rayon, &[("RAYON_NUM_THREADS", new), ("RAYON_RS_NUM_CPUS", old)]);
        assert_eq!(both("x", "5"), Some((5, "RAYON_RS_NUM_CPUS")));
        assert_eq!(both("0", "5"), None, "0 is an answer");
        assert_eq!(both("99999999", "5"), Some((rayon::max_num_threads(), "RAYON_NUM_THREADS")));
    }
}
