//! The sizes of the thread pools, and what is odd about the variables that they come from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Warning;
use crate::machine::{Asked, Reading, ThreadLibrary};

/// Values, up to the one that counts, that say to the library something else than to a reader.
fn misread(library: ThreadLibrary, environment: &BTreeMap<String, String>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for &variable in library.variables() {
        let Some(value) = environment.get(variable) else { continue };
        let taken = match library.read(value) {
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

/// The number that a reader sees in a value; of OpenMP's lists, such as `4,2`, the first level's.
fn plain(variable: &str, value: &str) -> Option<usize> {
    let mut levels = value.split(',').map(|level| level.trim().parse::<usize>().ok());
    let first = levels.next()??;
    let further: Option<Vec<usize>> = levels.collect();
    let is_list = !further?.is_empty();
    (!is_list || variable == "OMP_NUM_THREADS").then_some(first)
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
            warnings.extend(misread(library, environment));
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
