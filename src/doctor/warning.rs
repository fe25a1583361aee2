//! Everything that `doctor` can complain of, each with a way to mend it. The codes in JSON are the variants' names and stay.

use serde::Serialize;

use super::trial::{OwnChoice, Ratio};

/// Something that makes results wrong, slow or misleading.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are explained by the message")]
pub enum Warning {
    /// The kernel that would run now computes wrong results.
    WrongKernel { kernel: String, detail: String, line: Option<String> },
    /// The kernel that would run now crashed, hung or said nothing.
    ProbeFailed { reason: String },
    /// Another kernel of the same library is faster.
    FasterKernel { kernel: String, speedup: Ratio, line: String },
    /// Too few rounds in the time that `doctor` takes: no kernel can be told from another.
    TooBusy { rounds: usize, quota: Option<f64> },
    /// Threads that share nothing are together slower than they should be.
    PeakNotReached { threads: usize, share: f64, quota: Option<f64> },
    /// A part of the roofline could not be measured.
    LimitUnknown { gap: String },
    /// The library runs another kernel than `OPENBLAS_CORETYPE` names. That need not be its own choice.
    CoretypeIgnored { asked: String, kernel: String, own: Option<OwnChoice> },
    /// `OPENBLAS_CORETYPE` overrides the library's choice.
    CoretypeSet { value: String, own: Option<OwnChoice> },
    /// `OPENBLAS_L2_SIZE` overrides what the library knows of the cache.
    L2SizeSet { value: String },
    /// More threads than can run at once.
    Oversubscribed { who: String, threads: usize, usable: usize },
    /// Two thread pools that would be multiplied where one calls the other.
    NestedThreads { rayon: usize, blas: usize, usable: usize },
    /// A thread count that is not a number, and what the library takes from it all the same.
    UnreadableCount { variable: String, value: String, taken: Option<usize> },
    /// Threads that were obtained and did no work.
    ThreadsUnused { asked: usize, used: f64, quota: Option<f64> },
    /// A build without threads.
    SequentialBuild,
    /// A build whose threads belong to OpenMP.
    OpenMpBuild,
    /// A quota of CPU time below the number of cores.
    QuotaBelowCores { quota: f64, cores: usize, usable: usize },
    /// A frequency governor that saves power.
    Governor { governor: String },
    /// Instruction sets that the operating system keeps from programs.
    InstructionSetsRefused { names: Vec<String> },
}

impl Warning {
    /// What is the matter, in one sentence.
    pub fn message(&self) -> String {
        match self {
            Warning::WrongKernel { kernel, detail, .. } => {
                format!("OpenBLAS's {kernel} kernel computes wrong results here: {detail}")
            }
            Warning::ProbeFailed { reason } => format!("a matrix product with the present settings failed: {reason}"),
            Warning::FasterKernel { kernel, speedup, .. } => {
                format!("OpenBLAS is {speedup} times as fast with its {kernel} kernel")
            }
            Warning::TooBusy { rounds, .. } => {
                format!("only {rounds} rounds were done in the time there is: no kernel can be told from another")
            }
            Warning::PeakNotReached { threads, share, .. } => format!(
                "{threads} threads reach {:.0}% of {threads} times the peak of one: the lines above are too low to hold results against",
                100.0 * share
            ),
            Warning::LimitUnknown { gap } => format!("not measured: {gap}"),
            Warning::CoretypeIgnored { asked, kernel, own } => {
                let empty = if asked.is_empty() { " is empty, which is not unset, and" } else { "" };
                format!(
                    "OPENBLAS_CORETYPE={asked}{empty} names no kernel of this library; OpenBLAS then runs {kernel}{}",
                    unset(own.as_ref(), kernel)
                )
            }
            Warning::CoretypeSet { value, own } => {
                format!(
                    "OPENBLAS_CORETYPE={value} chooses the kernel in the library's place{}",
                    unset(own.as_ref(), value)
                )
            }
            Warning::L2SizeSet { value } => {
                format!("OPENBLAS_L2_SIZE={value} is set: OpenBLAS's block sizes may not fit this CPU")
            }
            Warning::Oversubscribed { who, threads, usable } => {
                let verb = if is_variable(who) { "asks for" } else { "has" };
                format!("{who} {verb} {threads} threads, and {usable} can run at once")
            }
            Warning::NestedThreads { rayon, blas, usable } => format!(
                "a program that calls BLAS inside rayon gets {rayon} x {blas} threads, and {usable} can run at once"
            ),
            Warning::UnreadableCount { variable, value, taken } => {
                let taken = match taken {
                    Some(threads) => format!("the library reads {threads} from it"),
                    None => "it is ignored".to_owned(),
                };
                format!("{variable}={value} is not a number of threads: {taken}")
            }
            Warning::ThreadsUnused { asked, used, .. } => {
                format!("OpenBLAS was given {asked} threads and kept {used:.1} cores busy")
            }
            Warning::SequentialBuild => "this OpenBLAS was built without threads".into(),
            Warning::OpenMpBuild => {
                "this OpenBLAS takes its threads from OpenMP: setting their number from outside may do nothing".into()
            }
            Warning::QuotaBelowCores { quota, cores, usable } => format!(
                "a quota allows {quota:.2} cores of CPU time on {cores} cores: threads beyond {usable} are stopped and started"
            ),
            Warning::Governor { governor } => {
                format!("the frequency governor is `{governor}`: the clock changes while something is timed")
            }
            Warning::InstructionSetsRefused { names } => {
                format!("the CPU has {}, and the operating system does not let programs use it", names.join(", "))
            }
        }
    }

    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            Warning::WrongKernel { line: Some(line), .. } => format!("{line}, or install another version of OpenBLAS"),
            Warning::WrongKernel { line: None, .. } => "install another version of OpenBLAS".into(),
            Warning::ProbeFailed { .. } => {
                "unset OPENBLAS_CORETYPE if it is set; else install another version of OpenBLAS".into()
            }
            Warning::FasterKernel { line, .. } => line.clone(),
            // Whoever is held back by a quota looks for other programs in vain.
            Warning::TooBusy { quota: Some(quota), .. }
            | Warning::PeakNotReached { quota: Some(quota), .. }
            | Warning::ThreadsUnused { quota: Some(quota), .. } => format!(
                "the control group's quota is {quota:.2} cores: raise it (a container's CPU limit), or ask for fewer threads"
            ),
            Warning::TooBusy { quota: None, .. } => "run `doctor` again when nothing else runs".into(),
            Warning::PeakNotReached { quota: None, .. } => {
                "run `doctor` again when nothing else runs; hyper-threads and power limits do this too".into()
            }
            Warning::LimitUnknown { .. } => {
                "results that need it have no share of the roofline; give this program more memory and threads".into()
            }
            Warning::CoretypeIgnored { .. } => {
                "unset OPENBLAS_CORETYPE, or take one of the names that `doctor` lists as timed".into()
            }
            Warning::CoretypeSet { .. } => {
                "keep it only if you know why it is set; `unset OPENBLAS_CORETYPE` gives the library its choice back"
                    .into()
            }
            Warning::L2SizeSet { .. } => "keep it only if you know why it is set; else: unset OPENBLAS_L2_SIZE".into(),
            Warning::Oversubscribed { who, usable, .. } if is_variable(who) => format!("export {who}={usable}"),
            Warning::Oversubscribed { usable, .. } => format!("export OPENBLAS_NUM_THREADS={usable}"),
            Warning::NestedThreads { .. } => {
                "export OPENBLAS_NUM_THREADS=1 for such a program; layerbench itself never nests them".into()
            }
            Warning::UnreadableCount { variable, .. } => format!("unset {variable}, or give it a number"),
            Warning::ThreadsUnused { quota: None, .. } => {
                "look for other load on this machine; where there is none, the product is too small for more threads"
                    .into()
            }
            Warning::SequentialBuild | Warning::OpenMpBuild => {
                "install the pthread build (Debian, Ubuntu: libopenblas0-pthread)".into()
            }
            Warning::QuotaBelowCores { usable, .. } => {
                format!("raise the container's quota, or keep to {usable} threads: OpenBLAS counts cores, not quotas")
            }
            Warning::Governor { .. } => "cpupower frequency-set -g performance".into(),
            Warning::InstructionSetsRefused { .. } => {
                "look at the kernel's command line (`noxsave`, `clearcpuid`) and at the hypervisor's settings".into()
            }
        }
    }

    /// The order in which warnings are told: wrong results first, then lost speed, then what is only worth knowing.
    pub(super) fn gravity(&self) -> u8 {
        match self {
            Warning::WrongKernel { .. } | Warning::ProbeFailed { .. } => 0,
            Warning::FasterKernel { .. } | Warning::CoretypeIgnored { .. } => 1,
            Warning::Oversubscribed { .. }
            | Warning::NestedThreads { .. }
            | Warning::UnreadableCount { .. }
            | Warning::ThreadsUnused { .. }
            | Warning::SequentialBuild
            | Warning::OpenMpBuild
            | Warning::QuotaBelowCores { .. }
            | Warning::TooBusy { .. }
            | Warning::LimitUnknown { .. }
            | Warning::PeakNotReached { .. } => 2,
            Warning::CoretypeSet { .. }
            | Warning::L2SizeSet { .. }
            | Warning::Governor { .. }
            | Warning::InstructionSetsRefused { .. } => 3,
        }
    }
}

/// What is known of the library's choice where the variable is unset, beside the kernel that runs now.
fn unset(own: Option<&OwnChoice>, now: &str) -> String {
    match own {
        None => String::new(),
        Some(own) if own.kernel.eq_ignore_ascii_case(now) => ", as it does unset".into(),
        Some(OwnChoice { kernel, speedup: None }) => format!(", while unset it runs {kernel}"),
        Some(OwnChoice { kernel, speedup: Some(speedup) }) => {
            format!(", while unset it runs {kernel}, {speedup} times as fast")
        }
    }
}

/// Names of variables have no lower-case letters.
fn is_variable(who: &str) -> bool {
    !who.contains(|c: char| c.is_ascii_lowercase())
}

/// A warning with its words.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// What it is about, for programs.
    #[serde(flatten)]
    pub warning: Warning,
    /// [`Warning::message`].
    pub message: String,
    /// [`Warning::hint`].
    pub hint: String,
}

impl From<Warning> for Told {
    fn from(warning: Warning) -> Self {
        Told { message: warning.message(), hint: warning.hint(), warning }
    }
}

impl Told {
    /// The warning's code in JSON.
    pub fn code(&self) -> String {
        let json = serde_json::to_value(&self.warning).unwrap_or_default();
        json["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_message_and_hint_are_in_the_json() {
        let told = Told::from(Warning::Oversubscribed { who: "RAYON_NUM_THREADS".into(), threads: 64, usable: 2 });
        assert_eq!(told.code(), "oversubscribed");
        let json = serde_json::to_value(&told).expect("plain data");
        assert_eq!(json["threads"], 64);
        assert_eq!(json["hint"], "export RAYON_NUM_THREADS=2");
        assert_eq!(json["message"], "RAYON_NUM_THREADS asks for 64 threads, and 2 can run at once");
    }
    #[test]
    fn a_kernel_that_was_chosen_is_held_against_the_librarys_own() {
        let own = |kernel: &str, speedup| Some(OwnChoice { kernel: kernel.into(), speedup });
        let ratio = Ratio { median: 1.04, interval: Some((0.97, 1.1)) };
        let ignored = |asked: &str, own| Warning::CoretypeIgnored { asked: asked.into(), kernel: "New".into(), own };
        let set = |own| Warning::CoretypeSet { value: "new".into(), own };
        let names_none = "names no kernel of this library; OpenBLAS then runs New";
        for (warning, message) in [
            (ignored("foo", None), format!("OPENBLAS_CORETYPE=foo {names_none}")),
            (ignored("foo", own("New", Some(ratio))), format!("OPENBLAS_CORETYPE=foo {names_none}, as it does unset")),
            (
                ignored("foo", own("Old", Some(ratio))),
                format!("OPENBLAS_CORETYPE=foo {names_none}, while unset it runs Old, 1.04 (0.97-1.10) times as fast"),
            ),
            (
                ignored("", own("Old", None)),
                format!("OPENBLAS_CORETYPE= is empty, which is not unset, and {names_none}, while unset it runs Old"),
            ),
            (
                set(own("Old", None)),
                "OPENBLAS_CORETYPE=new chooses the kernel in the library's place, while unset it runs Old".to_owned(),
            ),
            (
                set(own("New", None)),
                "OPENBLAS_CORETYPE=new chooses the kernel in the library's place, as it does unset".to_owned(),
            ),
        ] {
            assert_eq!(warning.message(), message);
        }
    }

    #[test]
    fn what_a_quota_explains_is_not_put_on_other_programs() {
        let of = |quota| {
            [
                Warning::TooBusy { rounds: 3, quota },
                Warning::PeakNotReached { threads: 2, share: 0.5, quota },
                Warning::ThreadsUnused { asked: 2, used: 1.0, quota },
            ]
        };
        for (without, with) in of(None).into_iter().zip(of(Some(1.25))) {
            assert!(with.hint().contains("quota is 1.25 cores"), "{}", with.hint());
            assert!(!without.hint().contains("quota"), "{}", without.hint());
            assert!(!with.hint().contains("else runs") && !with.hint().contains("other load"), "{}", with.hint());
        }
    }
}
