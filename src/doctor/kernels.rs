//! Which of OpenBLAS's kernels is right and fastest on this CPU: candidates, rounds, and the choice. How a child is run is the
//! caller's affair, so that crashes and hangs can be tried without any.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::probe::{Answer, PRODUCTS};
use super::trial::{Ratio, Status, Trial, Trials};
use crate::measure::statistics::{geometric_mean, median, median_interval};
use crate::measure::{Contestant, Race};

/// Nine rounds give an interval of 96%.
const ROUNDS: usize = 9;
/// Fewer give no interval.
pub const FEWEST_ROUNDS: usize = 6;
/// The rounds end early after this time, on a machine so busy that nothing can be recommended anyway.
const LONGEST: Duration = Duration::from_secs(15);
/// After this many rounds, whoever was clearly slower in each of them goes home.
const TRIAL_ROUNDS: usize = 3;
const CLEARLY_SLOWER: f64 = 0.8;
/// Less than this is not worth a line in anybody's profile.
const WORTH_TELLING: f64 = 1.05;

/// OpenBLAS's names for its kernels on x86-64, and what a CPU needs for each: its own requirements, and whatever the compiler was
/// allowed to use for it. One per generation of instruction sets; the kernels for AMD's FMA4, and those between SSE3 and SSE4.2,
/// are left out.
const CANDIDATES: [(&str, &[&str]); 8] = [
    ("Prescott", &["sse3"]),
    ("Nehalem", &["sse4.2"]),
    ("Sandybridge", &["avx"]),
    ("Haswell", &["avx2", "fma"]),
    ("Zen", &["avx2", "fma"]),
    ("SkylakeX", &["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]),
    ("Cooperlake", &["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16"]),
    ("SapphireRapids", &["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "avx512fp16", "avxvnni"]),
];

/// What a child finds in `OPENBLAS_CORETYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What this process has found there, the empty string too.
    AsIs(Option<String>),
    /// Nothing: the library's own choice.
    Unset,
    /// A name.
    Name(&'static str),
}

impl Setting {
    fn coretype(&self) -> Option<String> {
        match self {
            Setting::AsIs(value) => value.clone(),
            Setting::Unset => None,
            Setting::Name(name) => Some((*name).to_owned()),
        }
    }

    /// The line for a shell.
    fn line(coretype: Option<&str>) -> String {
        match coretype {
            Some(name) => format!("export OPENBLAS_CORETYPE={name}"),
            None => "unset OPENBLAS_CORETYPE".to_owned(),
        }
    }
}

/// What a child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Everything once, results checked.
    Check,
    /// The products, timed; results checked as well.
    Time,
}

/// The settings worth trying on a CPU with these instruction sets: the present one first.
pub fn settings(present: Option<String>, instruction_sets: &[String]) -> Vec<Setting> {
    let usable = |needs: &[&str]| needs.iter().all(|need| instruction_sets.iter().any(|set| set == need));
    let names = CANDIDATES.iter().filter(|(_, needs)| usable(needs)).map(|&(name, _)| Setting::Name(name));
    let unset = present.is_some().then_some(Setting::Unset);
    [Setting::AsIs(present)].into_iter().chain(unset).chain(names).collect()
}

/// Checks every setting, then times those that are right, in rounds of balanced order: a slow minute of the machine hits all
/// alike. `run` has a child do a task; where there is no answer it says what became of the child.
pub fn compare<'a>(settings: Vec<Setting>, threads: usize, run: &'a mut Run<'a>) -> Trials {
    let run = RefCell::new(run);
    let mut race = Race::new(
        settings
            .into_iter()
            .map(|setting| InTurn { candidate: Candidate::checked(setting, &run), run: &run })
            .collect(),
    );
    let base = |race: &Race<InTurn<'_, '_>>| {
        race.contestants().next().map(|present| present.candidate.samples.clone()).unwrap_or_default()
    };
    let clock = Instant::now();
    while race.rounds() < ROUNDS && clock.elapsed() <= LONGEST {
        race.round(&|| false, &mut |_| ());
        if race.rounds() == TRIAL_ROUNDS {
            let base = base(&race);
            let is_slower = |in_turn: &InTurn<'_, '_>| {
                in_turn.candidate.speedups(&base).iter().all(|&speedup| speedup < CLEARLY_SLOWER)
            };
            let slower: Vec<bool> = race.contestants().map(is_slower).collect();
            // The present setting is what all others are held against.
            (1..slower.len()).filter(|&index| slower[index]).for_each(|index| race.dismiss(index));
        }
    }
    let base = base(&race);
    let rounds = base.len();
    let mut trials = race.into_contestants().map(|in_turn| in_turn.candidate.trial(&base));
    let now = trials.next().expect("the present setting is the first");
    let now = Trial { speedup: None, ..now };
    let products = PRODUCTS.iter().map(|product| product.name).collect();
    Trials { threads, rounds, products, now, others: trials.collect() }
}

struct Candidate {
    setting: Setting,
    kernel: Option<String>,
    status: Status,
    /// Seconds per product; one entry per round.
    samples: Vec<Vec<f64>>,
}

/// Has a child with a setting do a task.
type Run<'a> = dyn FnMut(&Setting, Task) -> Result<Answer, Status> + 'a;

/// A candidate in a race, with what runs it.
struct InTurn<'a, 'b> {
    candidate: Candidate,
    run: &'a RefCell<&'b mut Run<'b>>,
}

impl Contestant for InTurn<'_, '_> {
    fn turn(&mut self, _: usize) {
        if self.candidate.status == Status::Timed
            && let Some(seconds) = self.candidate.take(Task::Time, self.run)
        {
            self.candidate.samples.push(seconds);
        }
    }

    fn forget_after(&mut self, rounds: usize) {
        self.candidate.samples.truncate(rounds);
    }
}

impl Candidate {
    fn checked(setting: Setting, run: &RefCell<&mut Run<'_>>) -> Self {
        let mut candidate = Candidate { setting, kernel: None, status: Status::Timed, samples: Vec::new() };
        candidate.take(Task::Check, run);
        candidate
    }

    /// Has a child do the task; whatever is not as it should be ends in the status.
    fn take(&mut self, task: Task, run: &RefCell<&mut Run<'_>>) -> Option<Vec<f64>> {
        let answer = (run.borrow_mut())(&self.setting, task);
        self.status = match answer {
            Err(status) => status,
            Ok(answer) => {
                let asked = if let Setting::Name(name) = self.setting { name } else { &answer.kernel };
                let ignored = !answer.kernel.eq_ignore_ascii_case(asked);
                self.kernel = Some(answer.kernel);
                match answer.wrong {
                    _ if ignored => Status::Ignored,
                    Some(detail) => Status::Wrong(detail),
                    None => {
                        self.status = Status::Timed;
                        return Some(answer.seconds);
                    }
                }
            }
        };
        None
    }

    /// How many times as fast as the base, in each round that both were in.
    fn speedups(&self, base: &[Vec<f64>]) -> Vec<f64> {
        let of_round = |(theirs, ours): (&Vec<f64>, &Vec<f64>)| {
            geometric_mean(theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours))
        };
        base.iter().zip(&self.samples).map(of_round).collect()
    }

    fn trial(self, base: &[Vec<f64>]) -> Trial {
        let speedups = self.speedups(base);
        let timed = self.status == Status::Timed;
        let speedup = (timed && !speedups.is_empty())
            .then(|| Ratio { median: median(&speedups), interval: median_interval(&speedups) });
        let rate = |(index, product): (usize, &super::probe::Product)| {
            let seconds: Vec<f64> = self.samples.iter().map(|sample| sample[index]).collect();
            product.flops() / median(&seconds) / 1e9
        };
        let gflops = if timed && !self.samples.is_empty() {
            PRODUCTS.iter().enumerate().map(rate).collect()
        } else {
            Vec::new()
        };
        Trial { coretype: self.setting.coretype(), kernel: self.kernel, status: self.status, gflops, speedup }
    }
}

/// The setting to recommend, with its line for a shell: surely faster than the present one, by more than a trifle, and another kernel.
/// Of those that cannot be told from the fastest, the library's own choice, else the first in the list.
pub fn faster(trials: &Trials) -> Option<(&Trial, Ratio, String)> {
    let surely = |trial: &Trial| {
        let ratio = trial.speedup?;
        let (low, high) = ratio.interval?;
        (trial.kernel != trials.now.kernel && low > 1.0 && ratio.median > WORTH_TELLING).then_some((ratio, high))
    };
    let fastest = trials.others.iter().filter_map(surely).map(|(ratio, _)| ratio.median).max_by(f64::total_cmp)?;
    let found = trials.others.iter().filter_map(|trial| {
        let (ratio, high) = surely(trial)?;
        (high >= fastest).then_some((trial, ratio))
    });
    let (trial, ratio) = found.min_by_key(|(trial, _)| trial.coretype.is_some())?;
    Some((trial, ratio, Setting::line(trial.coretype.as_deref())))
}

/// A setting whose results are right, for whoever's are not: the fastest of them.
pub fn right(trials: &Trials) -> Option<String> {
    let speed = |trial: &Trial| geometric_mean(trial.gflops.iter().copied());
    let timed = trials.others.iter().filter(|trial| trial.status == Status::Timed && !trial.gflops.is_empty());
    let best = timed.max_by(|a, b| speed(a).total_cmp(&speed(b)))?;
    Some(Setting::line(best.coretype.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kernel: &str, seconds: f64) -> Result<Answer, Status> {
        Ok(Answer {
            kernel: kernel.into(),
            obtained: 1,
            used: 1.0,
            wrong: None,
            seconds: vec![seconds; PRODUCTS.len()],
        })
    }

    fn all_names() -> Vec<Setting> {
        let everything: Vec<String> =
            CANDIDATES.iter().flat_map(|(_, needs)| needs.iter().map(|&n| n.into())).collect();
        settings(Some("Haswell".into()), &everything)
    }

    #[test]
    fn candidates_are_what_the_cpu_can_run() {
        let sets = ["sse3", "sse4.2", "avx", "avx2", "fma"].map(String::from);
        let found = settings(None, &sets);
        let names: Vec<_> = found.iter().map(Setting::coretype).collect();
        let expected = ["Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen"];
        assert_eq!(names[0], None);
        assert!(names[1..].iter().flatten().eq(expected), "{names:?}");
        assert_eq!(settings(Some("Zen".into()), &[]), [Setting::AsIs(Some("Zen".into())), Setting::Unset]);
        assert_eq!(all_names().len(), 2 + CANDIDATES.len());
    }

    #[test]
    fn every_kind_of_end_is_a_line_and_only_the_right_are_timed() {
        let mut timed = Vec::new();
        let trials = compare(all_names(), 1, &mut |setting, task| {
            if task == Task::Time {
                timed.push(setting.clone());
            }
            match setting {
                Setting::AsIs(_) | Setting::Unset | Setting::Name("Haswell") => answer("Haswell", 1.0),
                Setting::Name("Prescott") => Err(Status::Crashed("SIGILL".into())),
                Setting::Name("Cooperlake") => Err(Status::TimedOut("10 s".into())),
                Setting::Name("Sandybridge") => answer("Haswell", 0.1),
                Setting::Name("Nehalem") => Ok(Answer { wrong: Some("off by one".into()), ..answer("Nehalem", 0.1)? }),
                Setting::Name("Zen") => answer("Zen", 5.0),
                Setting::Name("SkylakeX") => answer("SKYLAKEX", 0.5),
                Setting::Name(name) => answer(name, 0.9),
            }
        });
        let status = |name: &str| {
            let found = trials.others.iter().find(|trial| trial.coretype.as_deref() == Some(name));
            &found.expect("it is a line").status
        };
        assert_eq!(*status("Prescott"), Status::Crashed("SIGILL".into()));
        assert_eq!(*status("Cooperlake"), Status::TimedOut("10 s".into()));
        assert_eq!(*status("Sandybridge"), Status::Ignored);
        assert_eq!(*status("Nehalem"), Status::Wrong("off by one".into()));
        assert_eq!(trials.now.status, Status::Timed);
        let count = |name| timed.iter().filter(|setting| **setting == Setting::Name(name)).count();
        for name in ["Prescott", "Cooperlake", "Sandybridge", "Nehalem"] {
            assert_eq!(count(name), 0, "{name} must not be timed");
        }
        assert_eq!((count("SkylakeX"), count("Zen")), (ROUNDS, TRIAL_ROUNDS));

        let (trial, ratio, line) = faster(&trials).expect("SkylakeX is twice as fast");
        assert_eq!(trial.kernel.as_deref(), Some("SKYLAKEX"));
        assert_eq!(ratio, Ratio { median: 2.0, interval: Some((2.0, 2.0)) });
        assert_eq!(line, "export OPENBLAS_CORETYPE=SkylakeX");
    }

    #[test]
    fn a_crash_while_it_is_timed_is_told() {
        let mut calls = 0;
        let trials = compare(vec![Setting::AsIs(None), Setting::Name("Zen")], 1, &mut |setting, task| {
            calls += 1;
            match (setting, task) {
                (Setting::Name(_), Task::Time) => Err(Status::Crashed("gone".into())),
                (Setting::Name(name), Task::Check) => answer(name, 1.0),
                _ => answer("Haswell", 1.0),
            }
        });
        assert_eq!(trials.others[0].status, Status::Crashed("gone".into()));
        assert_eq!(calls, 2 + ROUNDS + 1);
        assert_eq!(faster(&trials), None);
    }

    #[test]
    fn noise_a_trifle_and_the_same_kernel_are_not_recommended() {
        let one_other = |kernel: &'static str, seconds: &mut dyn FnMut() -> f64| {
            let settings = vec![Setting::AsIs(None), Setting::Name(kernel)];
            let trials = compare(settings, 1, &mut |setting, _| match setting {
                Setting::AsIs(_) => answer("Haswell", 1.0),
                _ => answer(kernel, seconds()),
            });
            faster(&trials).map(|(_, _, line)| line)
        };
        assert_eq!(one_other("Zen", &mut || 0.97), None);
        assert_eq!(one_other("Haswell", &mut || 0.5), None);
        let mut turn = 0;
        let mut noisy = || {
            turn += 1;
            if turn % 2 == 0 { 0.4 } else { 1.6 }
        };
        assert_eq!(one_other("Zen", &mut noisy), None);
        assert_eq!(one_other("Zen", &mut || 0.5).as_deref(), Some("export OPENBLAS_CORETYPE=Zen"));
    }

    #[test]
    fn the_librarys_own_choice_is_preferred_among_equals() {
        let settings = vec![Setting::AsIs(Some("Haswell".into())), Setting::Unset, Setting::Name("SkylakeX")];
        let trials = compare(settings, 1, &mut |setting, _| match setting {
            Setting::AsIs(_) => answer("Haswell", 1.0),
            _ => answer("SkylakeX", 0.5),
        });
        assert_eq!(faster(&trials).map(|found| found.2).as_deref(), Some("unset OPENBLAS_CORETYPE"));
    }

    #[test]
    fn whoever_is_wrong_gets_a_way_out() {
        let settings = vec![Setting::AsIs(None), Setting::Name("Zen"), Setting::Name("Haswell")];
        let trials = compare(settings, 1, &mut |setting, _| match setting {
            Setting::AsIs(_) => Ok(Answer { wrong: Some("off".into()), ..answer("SkylakeX", 0.1)? }),
            Setting::Name("Zen") => answer("Zen", 1.0),
            _ => answer("Haswell", 0.5),
        });
        assert_eq!(trials.now.status, Status::Wrong("off".into()));
        assert_eq!(faster(&trials), None);
        assert_eq!(right(&trials).as_deref(), Some("export OPENBLAS_CORETYPE=Haswell"));
    }
}
