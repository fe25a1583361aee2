//! The sizes of the thread pools, from the environment as each library reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Warning;

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
enum Reading {
    Count(usize),
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
    /// use layerbench::doctor::ThreadLibrary;
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

    fn read(self, value: &str) -> Reading {
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

    /// Values, up to the one that counts, that say to the library something else than to a reader.
    fn misread(self, environment: &BTreeMap<String, String>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for &variable in self.variables() {
            let Some(value) = environment.get(variable) else { continue };
            let taken = match self.read(value) {
                Reading::Count(threads) => Some(threads),
                Reading::OwnChoice => break,
                Reading::Nothing => None,
            };
            if plain(variable, value) != Some(taken.unwrap_or(0)) {
                warnings.push(Warning::UnreadableCount { variable: variable.into(), value: value.clone(), taken });
            }
            if taken.is_some() {
                break;
            }
        }
        warnings
    }
}

/// The number that a reader sees in a value; of OpenMP's lists, such as `4,2`, the first level's.
fn plain(variable: &str, value: &str) -> Option<usize> {
    let mut levels = value.split(',').map(|level| level.trim().parse::<usize>().ok());
    let first = levels.next()??;
    let further: Option<Vec<usize>> = levels.collect();
    let is_list = !further?.is_empty();
    (!is_list || variable == "OMP_NUM_THREADS").then_some(first)
}

/// C's: space, a sign, digits; the rest is not looked at, and what is too large for an `int` is cut off.
fn atoi(value: &str) -> i32 {
    let value = value.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match value.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let digits = digits.bytes().take_while(u8::is_ascii_digit).map(|digit| i64::from(digit - b'0'));
    let number = digits.fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(digit));
    (sign * number) as i32
}

/// The thread pools of a program that was started in this environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threads {
    /// Threads that can run at once.
    pub usable: usize,
    /// Rayon's global pool. (This program's own engines have pools of the size that they are asked for.)
    pub rayon: Count,
    /// The BLAS's threads until a program sets them; `None` without a BLAS.
    pub blas: Option<Count>,
}

/// A number of threads and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    /// The number.
    pub threads: usize,
    /// The variable that set it; `None` for the library's own choice.
    pub set_by: Option<&'static str>,
}

impl Threads {
    /// `blas` is the count that the library started with.
    pub(super) fn of(
        environment: &BTreeMap<String, String>,
        usable: usize,
        blas: Option<usize>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let [of_rayon, of_blas] = [ThreadLibrary::Rayon, ThreadLibrary::OpenBlas].map(|library| {
            warnings.extend(library.misread(environment));
            library.asked(|name| environment.get(name).cloned())
        });
        for Asked { threads, variable, .. } in [&of_rayon, &of_blas].into_iter().flatten() {
            if *threads > usable {
                warnings.push(Warning::Oversubscribed { who: (*variable).into(), threads: *threads, usable });
            }
        }
        let rayon = match &of_rayon {
            Some(asked) => Count { threads: asked.threads, set_by: Some(asked.variable) },
            None => Count { threads: usable, set_by: None },
        };
        let blas = blas.map(|threads| Count { threads, set_by: of_blas.as_ref().map(|asked| asked.variable) });
        if let Some(blas) = &blas {
            let told = of_blas.is_some_and(|asked| asked.threads > usable);
            if blas.threads > usable && !told {
                let who = "OpenBLAS by its own choice".into();
                warnings.push(Warning::Oversubscribed { who, threads: blas.threads, usable });
            }
            // The defaults multiply too, on every machine: worth a warning only where somebody chose both.
            if rayon.set_by.is_some()
                && blas.set_by.is_some()
                && rayon.threads.min(blas.threads) > 1
                && rayon.threads.saturating_mul(blas.threads) > usable
            {
                warnings.push(Warning::NestedThreads { rayon: rayon.threads, blas: blas.threads, usable });
            }
        }
        Threads { usable, rayon, blas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn of(variables: &[(&str, &str)], usable: usize, blas: Option<usize>) -> (Threads, Vec<Warning>) {
        let mut warnings = Vec::new();
        (Threads::of(&environment(variables), usable, blas, &mut warnings), warnings)
    }

    fn asked(library: ThreadLibrary, variables: &[(&str, &str)]) -> Option<(usize, &'static str)> {
        let environment = environment(variables);
        library.asked(|name| environment.get(name).cloned()).map(|asked| (asked.threads, asked.variable))
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

    #[test]
    fn an_empty_environment_is_fine() {
        let (threads, warnings) = of(&[], 4, Some(4));
        assert_eq!(threads.rayon, Count { threads: 4, set_by: None });
        assert_eq!(threads.blas, Some(Count { threads: 4, set_by: None }));
        assert_eq!(warnings, []);
        assert_eq!(of(&[], 4, None).0.blas, None);
    }

    #[test]
    fn each_variable_is_held_against_the_cores() {
        for variable in ["RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"] {
            let (_, warnings) = of(&[(variable, "64")], 2, Some(2));
            assert_eq!(warnings, [Warning::Oversubscribed { who: variable.into(), threads: 64, usable: 2 }]);
            assert_eq!(of(&[(variable, "2")], 2, Some(2)).1, []);
            assert_eq!(of(&[(variable, "0")], 2, Some(2)).1, []);
        }
    }

    #[test]
    fn a_value_that_says_something_else_to_the_library_is_told() {
        let told = |variable: &str, value: &str| of(&[(variable, value)], 8, Some(1)).1;
        let unreadable = |variable: &str, value: &str, taken| {
            [Warning::UnreadableCount { variable: variable.into(), value: value.into(), taken }]
        };
        for (variable, value, taken) in [
            ("OPENBLAS_NUM_THREADS", "many", None),
            ("OPENBLAS_NUM_THREADS", "1x", Some(1)),
            ("OPENBLAS_NUM_THREADS", "1,4", Some(1)),
            ("OPENBLAS_NUM_THREADS", "4294967297", Some(1)),
            ("OMP_NUM_THREADS", "2,x", Some(2)),
            ("OMP_NUM_THREADS", "-2", None),
            ("RAYON_NUM_THREADS", "4x", None),
            ("RAYON_NUM_THREADS", " 4", None),
            ("RAYON_NUM_THREADS", "", None),
        ] {
            assert_eq!(told(variable, value), unreadable(variable, value, taken));
        }
        for (variable, value) in
            [("OMP_NUM_THREADS", "1,4"), ("OMP_NUM_THREADS", " 4 , 3,2"), ("OPENBLAS_NUM_THREADS", " 4")]
        {
            assert_eq!(told(variable, value), [], "{variable}={value}");
        }
        // What comes after the one that counts is never read.
        assert_eq!(of(&[("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "many")], 2, Some(1)).1, []);
    }

    #[test]
    fn the_variable_that_counts_is_named() {
        let (threads, _) = of(&[("OMP_NUM_THREADS", "2,1"), ("OPENBLAS_NUM_THREADS", "x")], 4, Some(2));
        assert_eq!(threads.blas, Some(Count { threads: 2, set_by: Some("OMP_NUM_THREADS") }));
    }

    #[test]
    fn a_library_that_counts_cores_beyond_the_quota_is_told() {
        let (_, warnings) = of(&[], 2, Some(64));
        let who = "OpenBLAS by its own choice".into();
        assert_eq!(warnings, [Warning::Oversubscribed { who, threads: 64, usable: 2 }]);
    }

    #[test]
    fn pools_that_were_both_chosen_are_multiplied() {
        let (_, warnings) = of(&[("RAYON_NUM_THREADS", "2"), ("OPENBLAS_NUM_THREADS", "2")], 2, Some(2));
        assert_eq!(warnings, [Warning::NestedThreads { rayon: 2, blas: 2, usable: 2 }]);
        assert_eq!(of(&[("RAYON_NUM_THREADS", "2"), ("OPENBLAS_NUM_THREADS", "1")], 2, Some(1)).1, []);
    }
}
