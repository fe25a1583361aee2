//! The linked OpenBLAS: what it says of itself, and what children of this program find when they use it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::kernels::{self, Setting, Task};
use super::probe::Answer;
use super::{Blas, OwnChoice, Status, ThreadsUsed, Trial, Trials, Warning};
use crate::backend::openblas::{self, ThreadModel};
use crate::child::{Child, Failure};
use crate::simd::instruction_sets;

const CORETYPE: &str = "OPENBLAS_CORETYPE";
const L2_SIZE: &str = "OPENBLAS_L2_SIZE";
/// A child needs about a second, a few on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);
/// Below this share of the threads asked for, some did nothing.
const BUSY_SHARE: f64 = 0.7;

/// What limits the threads of this process.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Threads that can run at once.
    pub usable: usize,
    /// The control group's quota, in cores, where it is below that.
    pub quota: Option<f64>,
}

/// Nothing is run without a way to start a child.
pub fn examine(
    environment: &BTreeMap<String, String>,
    Limit { usable, quota }: Limit,
    child: Option<&dyn Fn() -> Command>,
    progress: &mut dyn FnMut(&str),
    warnings: &mut Vec<Warning>,
) -> Blas {
    let config = openblas::config();
    let kernel = openblas::corename();
    let model = openblas::thread_model();
    match model {
        ThreadModel::Sequential => warnings.push(Warning::SequentialBuild),
        ThreadModel::OpenMp => warnings.push(Warning::OpenMpBuild),
        ThreadModel::Pthreads | ThreadModel::Unknown => {}
    }
    let coretype = environment.get(CORETYPE);
    if let Some(value) = environment.get(L2_SIZE) {
        warnings.push(Warning::L2SizeSet { value: value.clone() });
    }
    let mut blas = Blas {
        backend: "openblas",
        path: openblas::path(),
        version: config.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        kernel,
        thread_model: model.to_string(),
        environment: environment
            .iter()
            .filter(|(name, _)| {
                name.starts_with("OPENBLAS_") || *name == "GOTO_NUM_THREADS" || *name == "OMP_NUM_THREADS"
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        config,
        threads: None,
        trials: None,
    };
    let Some(child) = child else {
        warnings.extend(of_coretype(coretype, &blas.kernel, None));
        return blas;
    };

    progress("OpenBLAS on all threads");
    let present = Setting::AsIs(coretype.cloned());
    match run_child(child(), &present, Task::Time, usable) {
        Ok(Answer { obtained, used, wrong, kernel, .. }) => {
            if let Some(detail) = wrong {
                let detail = format!("on {usable} threads: {detail}");
                warnings.push(Warning::WrongKernel { kernel, detail, line: None });
            }
            if used < BUSY_SHARE * usable as f64 {
                warnings.push(Warning::ThreadsUnused { asked: usable, used, quota });
            }
            blas.threads = Some(ThreadsUsed { asked: usable, obtained, used });
        }
        Err(failure) => warnings.push(Warning::ProbeFailed { reason: failure.to_string() }),
    }

    let sets: Vec<String> = instruction_sets().into_iter().map(str::to_owned).collect();
    // A build for one CPU has one kernel: there is nothing to choose from.
    let sets = if blas.config.contains("DYNAMIC_ARCH") { sets } else { Vec::new() };
    let settings = kernels::settings(coretype.cloned(), &sets);
    let trials = kernels::compare(settings, 1, &mut |setting, task| {
        let name = match setting {
            Setting::AsIs(_) => "as it is",
            Setting::Unset => "by its own choice",
            Setting::Name(name) => name,
        };
        progress(&format!("OpenBLAS's kernel {name}"));
        run_child(child(), setting, task, 1).map_err(Status::from)
    });
    warnings.extend(of_trials(&trials, quota));
    let now = trials.now.kernel.as_ref().unwrap_or(&blas.kernel);
    warnings.extend(of_coretype(coretype, now, own_choice(&trials)));
    blas.trials = Some(trials);
    blas
}

/// What `OPENBLAS_CORETYPE` does here. What an unset, an empty and an unknown value do differs from CPU to CPU and from version to
/// version: only the library can tell.
fn of_coretype(value: Option<&String>, kernel: &str, own: Option<OwnChoice>) -> Option<Warning> {
    let value = value?.clone();
    Some(if value.eq_ignore_ascii_case(kernel) {
        Warning::CoretypeSet { value, own }
    } else {
        Warning::CoretypeIgnored { asked: value, kernel: kernel.to_owned(), own }
    })
}

/// What the library ran in the child without the variable.
fn own_choice(trials: &Trials) -> Option<OwnChoice> {
    let Trial { kernel, speedup, .. } = trials.others.iter().find(|trial| trial.coretype.is_none())?;
    Some(OwnChoice { kernel: kernel.clone()?, speedup: *speedup })
}

fn of_trials(trials: &Trials, quota: Option<f64>) -> Option<Warning> {
    let kernel = || trials.now.kernel.clone().unwrap_or_default();
    match &trials.now.status {
        Status::Wrong(detail) => {
            let (detail, line) = (detail.clone(), kernels::right(trials));
            Some(Warning::WrongKernel { kernel: kernel(), detail, line })
        }
        Status::Crashed(reason) | Status::TimedOut(reason) => Some(Warning::ProbeFailed { reason: reason.clone() }),
        Status::Timed if trials.rounds < kernels::FEWEST_ROUNDS && !trials.others.is_empty() => {
            Some(Warning::TooBusy { rounds: trials.rounds, quota })
        }
        Status::Timed | Status::Ignored => kernels::faster(trials).map(|(trial, speedup, line)| {
            let kernel = trial.kernel.clone().unwrap_or_default();
            Warning::FasterKernel { kernel, speedup, line }
        }),
    }
}

/// One child, with its environment set before it starts: OpenBLAS reads it when it is loaded.
fn run_child(mut command: Command, setting: &Setting, task: Task, threads: usize) -> Result<Answer, Failure> {
    command.args(["--threads", &threads.to_string()]);
    if task == Task::Check {
        command.arg("--check");
    }
    match setting {
        Setting::AsIs(Some(value)) => drop(command.env(CORETYPE, value)),
        Setting::AsIs(None) | Setting::Unset => drop(command.env_remove(CORETYPE)),
        Setting::Name(name) => drop(command.env(CORETYPE, name)),
    }
    Ok(Child::start(command)?.receive(LIMIT, 0)?.said)
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Late(..) => Status::TimedOut(failure.to_string()),
            _ => Status::Crashed(failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Ratio, Trial};

    fn trial(kernel: &str, status: Status, speedup: Option<f64>) -> Trial {
        let speedup = speedup.map(|median| Ratio { median, interval: Some((median, median)) });
        Trial { coretype: Some(kernel.into()), kernel: Some(kernel.into()), status, gflops: vec![1.0; 3], speedup }
    }

    #[test]
    fn a_wrong_kernel_outranks_a_faster_one() {
        let others = vec![trial("Zen", Status::Timed, Some(2.0))];
        let wrong = trial("Haswell", Status::Wrong("off".into()), None);
        let mut trials = Trials { threads: 1, rounds: 9, products: vec![], now: wrong, others };
        let Some(Warning::WrongKernel { kernel, detail, line }) = of_trials(&trials, None) else {
            panic!("it is wrong")
        };
        assert_eq!((kernel.as_str(), detail.as_str()), ("Haswell", "off"));
        assert_eq!(line.as_deref(), Some("export OPENBLAS_CORETYPE=Zen"));

        trials.now = trial("Haswell", Status::Timed, None);
        assert!(matches!(of_trials(&trials, None), Some(Warning::FasterKernel { kernel, .. }) if kernel == "Zen"));
        trials.rounds = 5;
        assert_eq!(of_trials(&trials, Some(0.5)), Some(Warning::TooBusy { rounds: 5, quota: Some(0.5) }));
        trials.now = trial("Haswell", Status::TimedOut("slow".into()), None);
        assert!(matches!(of_trials(&trials, None), Some(Warning::ProbeFailed { reason }) if reason == "slow"));
    }
    /// A library that runs one kernel unset, another for what it doesn't know, and each that is asked for by name; the `used` threads
    /// are few.
    fn fake() -> Command {
        let script = r#"
            case "${OPENBLAS_CORETYPE-unset}" in
                unset) kernel=Skylake seconds=0.5 ;;
                Haswell|Prescott) kernel=$OPENBLAS_CORETYPE seconds=3.0 ;;
                *) kernel=Cooperlake seconds=1.0 ;;
            esac
            echo "a word of the library's own"
            echo "{\"kernel\":\"$kernel\",\"obtained\":4,\"used\":0.5,\"wrong\":null,\"seconds\":[$seconds,$seconds,$seconds]}" >&0
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "fake"]);
        command
    }

    fn examined(coretype: Option<&str>, quota: Option<f64>) -> (Blas, Vec<Warning>) {
        let environment = coretype.map(|value| (CORETYPE.to_owned(), value.to_owned())).into_iter().collect();
        let mut warnings = Vec::new();
        let limit = Limit { usable: 4, quota };
        let blas = examine(&environment, limit, Some(&fake), &mut |_| (), &mut warnings);
        (blas, warnings)
    }

    #[test]
    fn what_a_coretype_does_is_asked_of_the_library() {
        let own = Some(OwnChoice {
            kernel: "Skylake".into(),
            speedup: Some(Ratio { median: 2.0, interval: Some((2.0, 2.0)) }),
        });
        for unknown in ["Abacus", ""] {
            let (blas, warnings) = examined(Some(unknown), None);
            let told =
                Warning::CoretypeIgnored { asked: unknown.into(), kernel: "Cooperlake".into(), own: own.clone() };
            assert!(warnings.contains(&told), "{warnings:#?}");
            let trials = blas.trials.expect("a child was there");
            assert_eq!(trials.now.coretype.as_deref(), Some(unknown));
            // That it is set to something useless is no reason to keep it.
            let line = "unset OPENBLAS_CORETYPE";
            let faster =
                |warning: &Warning| matches!(warning, Warning::FasterKernel { line: found, .. } if found == line);
            assert!(warnings.iter().any(faster), "{warnings:#?}");
        }
        let (_, warnings) = examined(Some("haswell"), None);
        assert!(matches!(&warnings[..], [.., Warning::CoretypeIgnored { kernel, .. }] if kernel == "Cooperlake"));
        let (_, warnings) = examined(Some("Haswell"), None);
        assert!(matches!(&warnings[..], [.., Warning::CoretypeSet { value, own: Some(_) }] if value == "Haswell"));
        let (_, warnings) = examined(None, None);
        let about_it =
            |warning: &Warning| matches!(warning, Warning::CoretypeIgnored { .. } | Warning::CoretypeSet { .. });
        assert!(!warnings.iter().any(about_it), "{warnings:#?}");
    }

    #[test]
    fn without_a_child_only_what_runs_is_told() {
        let environment = BTreeMap::from([(CORETYPE.to_owned(), "Abacus".to_owned())]);
        let mut warnings = Vec::new();
        let limit = Limit { usable: 1, quota: None };
        let blas = examine(&environment, limit, None, &mut |_| (), &mut warnings);
        let told = Warning::CoretypeIgnored { asked: "Abacus".into(), kernel: blas.kernel, own: None };
        assert!(warnings.contains(&told), "{warnings:#?}");
    }

    #[test]
    fn threads_that_a_quota_stops_are_not_put_on_other_load() {
        for quota in [None, Some(0.5)] {
            let (_, warnings) = examined(None, quota);
            assert!(warnings.contains(&Warning::ThreadsUnused { asked: 4, used: 0.5, quota }), "{warnings:#?}");
        }
    }
}
