//! The sizes of the thread pools, from the environment as their libraries read it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Warning;

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

/// In the order in which OpenBLAS looks at them.
const BLAS_VARIABLES: [&str; 3] = ["OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"];

impl Threads {
    /// `blas` is the count that the library started with.
    pub(super) fn of(
        environment: &BTreeMap<String, String>,
        usable: usize,
        blas: Option<usize>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let mut asked = |variable: &'static str| -> Option<Count> {
            let value = environment.get(variable)?;
            match value.trim().parse::<usize>() {
                // To both libraries 0 means their own choice.
                Ok(0) => None,
                Ok(threads) => {
                    if threads > usable {
                        warnings.push(Warning::Oversubscribed { who: variable.into(), threads, usable });
                    }
                    Some(Count { threads, set_by: Some(variable) })
                }
                Err(_) => {
                    warnings.push(Warning::UnreadableCount { variable: variable.into(), value: value.clone() });
                    None
                }
            }
        };
        let rayon = asked("RAYON_NUM_THREADS").unwrap_or(Count { threads: usable, set_by: None });
        let mut first_of_blas = None;
        for variable in BLAS_VARIABLES {
            first_of_blas =
                asked(variable).map(|count| count.set_by).filter(|_| first_of_blas.is_none()).or(first_of_blas);
        }
        let set_by = first_of_blas.flatten();
        let blas = blas.map(|threads| Count { threads, set_by });
        if let Some(blas) = &blas {
            let told = warnings
                .iter()
                .any(|warning| matches!(warning, Warning::Oversubscribed { who, .. } if Some(who.as_str()) == set_by));
            if blas.threads > usable && !told {
                let who = "OpenBLAS by its own choice".into();
                warnings.push(Warning::Oversubscribed { who, threads: blas.threads, usable });
            }
            // The defaults multiply too, on every machine: worth a warning only where somebody chose both.
            if rayon.set_by.is_some()
                && set_by.is_some()
                && rayon.threads.min(blas.threads) > 1
                && rayon.threads * blas.threads > usable
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

    fn of(variables: &[(&str, &str)], usable: usize, blas: Option<usize>) -> (Threads, Vec<Warning>) {
        let environment = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut warnings = Vec::new();
        (Threads::of(&environment, usable, blas, &mut warnings), warnings)
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
            let (_, warnings) = of(&[(variable, "many")], 2, Some(2));
            assert_eq!(warnings, [Warning::UnreadableCount { variable: variable.into(), value: "many".into() }]);
        }
    }

    #[test]
    fn the_first_variable_of_openblas_counts() {
        let (threads, _) = of(&[("OMP_NUM_THREADS", "2"), ("OPENBLAS_NUM_THREADS", "1")], 4, Some(1));
        assert_eq!(threads.blas, Some(Count { threads: 1, set_by: Some("OPENBLAS_NUM_THREADS") }));
        let (threads, _) = of(&[("OMP_NUM_THREADS", "2"), ("OPENBLAS_NUM_THREADS", "x")], 4, Some(2));
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
