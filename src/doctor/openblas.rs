//! The linked OpenBLAS: what it says of itself, and what children of this program find when they use it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::child::{self, Failure};
use super::kernels::{self, Setting, Task};
use super::probe::Answer;
use super::{Blas, Status, ThreadsUsed, Trials, Warning};
use crate::backend::openblas::{self, ThreadModel};
use crate::machine::instruction_sets;

const CORETYPE: &str = "OPENBLAS_CORETYPE";
const L2_SIZE: &str = "OPENBLAS_L2_SIZE";
/// A child needs about a second, a few on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);
/// Below this share of the threads asked for, some did nothing.
const BUSY_SHARE: f64 = 0.7;

/// Nothing is run without a way to start a child.
pub fn examine(
    environment: &BTreeMap<String, String>,
    usable: usize,
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
    let coretype = environment.get(CORETYPE).filter(|value| !value.is_empty());
    match coretype {
        Some(asked) if asked.eq_ignore_ascii_case(&kernel) => {
            warnings.push(Warning::CoretypeSet { value: asked.clone() });
        }
        Some(asked) => {
            warnings.push(Warning::CoretypeIgnored { asked: asked.clone(), kernel: kernel.clone() });
        }
        None => {}
    }
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
    let Some(child) = child else { return blas };

    progress("OpenBLAS on all threads");
    let present = Setting::AsIs(coretype.cloned());
    match run_child(child(), &present, Task::Time, usable) {
        Ok(Answer { obtained, used, .. }) => {
            if used < BUSY_SHARE * usable as f64 {
                warnings.push(Warning::ThreadsUnused { asked: usable, used });
            }
            blas.threads = Some(ThreadsUsed { asked: usable, obtained, used });
        }
        Err(Failure::Crashed(reason) | Failure::TimedOut(reason)) => warnings.push(Warning::ProbeFailed { reason }),
    }

    let sets: Vec<String> = instruction_sets().into_iter().map(str::to_owned).collect();
    // A build for one CPU has one kernel: there is nothing to choose from.
    let settings =
        if blas.config.contains("DYNAMIC_ARCH") { kernels::settings(coretype.cloned(), &sets) } else { vec![present] };
    let trials = kernels::compare(settings, 1, &mut |setting, task| {
        let name = match setting {
            Setting::AsIs(_) => "as it is",
            Setting::Unset => "by its own choice",
            Setting::Name(name) => name,
        };
        progress(&format!("OpenBLAS's kernel {name}"));
        run_child(child(), setting, task, 1)
    });
    warnings.extend(of_trials(&trials));
    blas.trials = Some(trials);
    blas
}

fn of_trials(trials: &Trials) -> Option<Warning> {
    let kernel = || trials.now.kernel.clone().unwrap_or_default();
    match &trials.now.status {
        Status::Wrong(detail) => {
            let (detail, line) = (detail.clone(), kernels::right(trials));
            Some(Warning::WrongKernel { kernel: kernel(), detail, line })
        }
        Status::Crashed(reason) | Status::TimedOut(reason) => Some(Warning::ProbeFailed { reason: reason.clone() }),
        Status::Timed if trials.rounds < kernels::FEWEST_ROUNDS && !trials.others.is_empty() => {
            Some(Warning::TooBusy { rounds: trials.rounds })
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
        Setting::AsIs(_) => {}
        Setting::Unset => drop(command.env_remove(CORETYPE)),
        Setting::Name(name) => drop(command.env(CORETYPE, name)),
    }
    let text = child::answer(&mut command, LIMIT)?;
    // The library itself may have said something before (`OPENBLAS_VERBOSE`).
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| Failure::Crashed(format!("its answer cannot be read: {error}")))
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
        let Some(Warning::WrongKernel { kernel, detail, line }) = of_trials(&trials) else { panic!("it is wrong") };
        assert_eq!((kernel.as_str(), detail.as_str()), ("Haswell", "off"));
        assert_eq!(line.as_deref(), Some("export OPENBLAS_CORETYPE=Zen"));

        trials.now = trial("Haswell", Status::Timed, None);
        assert!(matches!(of_trials(&trials), Some(Warning::FasterKernel { kernel, .. }) if kernel == "Zen"));
        trials.rounds = 5;
        assert_eq!(of_trials(&trials), Some(Warning::TooBusy { rounds: 5 }));
        trials.now = trial("Haswell", Status::TimedOut("slow".into()), None);
        assert!(matches!(of_trials(&trials), Some(Warning::ProbeFailed { reason }) if reason == "slow"));
    }
}
