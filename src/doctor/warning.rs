//! Everything that `doctor` can complain of, each with a way to mend it. The codes in JSON are the variants' names and stay.

use serde::Serialize;

use super::trial::Ratio;

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
    TooBusy { rounds: usize },
    /// Threads that share nothing are together slower than they should be.
    PeakNotReached { threads: usize, share: f64 },
    /// A part of the roofline could not be measured.
    LimitUnknown { gap: String },
    /// The library runs another kernel than `OPENBLAS_CORETYPE` asks for.
    CoretypeIgnored { asked: String, kernel: String },
    /// `OPENBLAS_CORETYPE` overrides the library's choice.
    CoretypeSet { value: String },
    /// `OPENBLAS_L2_SIZE` overrides what the library knows of the cache.
    L2SizeSet { value: String },
    /// More threads than can run at once.
    Oversubscribed { who: String, threads: usize, usable: usize },
    /// Two thread pools that would be multiplied where one calls the other.
    NestedThreads { rayon: usize, blas: usize, usable: usize },
    /// A thread count that is not a number.
    UnreadableCount { variable: String, value: String },
    /// Threads that were obtained and did no work.
    ThreadsUnused { asked: usize, used: f64 },
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
            Warning::TooBusy { rounds } => {
                format!(
                    "this machine is so busy that only {rounds} rounds were done: no kernel can be told from another"
                )
            }
            Warning::PeakNotReached { threads, share } => format!(
                "{threads} threads reach {:.0}% of {threads} times the peak of one: the lines above are too low to hold results against",
                100.0 * share
            ),
            Warning::LimitUnknown { gap } => format!("not measured: {gap}"),
            Warning::CoretypeIgnored { asked, kernel } => {
                format!("OPENBLAS_CORETYPE={asked} has no effect: the library runs its {kernel} kernel")
            }
            Warning::CoretypeSet { value } => {
                format!("OPENBLAS_CORETYPE={value} is set: the kernel is not the library's own choice")
            }
            Warning::L2SizeSet { value } => {
                format!("OPENBLAS_L2_SIZE={value} is set: OpenBLAS's block sizes may not fit this CPU")
            }
            Warning::Oversubscribed { who, threads, usable } => {
                format!("{who} gives {threads} threads, and {usable} can run at once")
            }
            Warning::NestedThreads { rayon, blas, usable } => format!(
                "a program that calls BLAS inside rayon gets {rayon} x {blas} threads, and {usable} can run at once"
            ),
            Warning::UnreadableCount { variable, value } => {
                format!("{variable}={value} is not a number of threads: it is ignored")
            }
            Warning::ThreadsUnused { asked, used } => {
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
            Warning::TooBusy { .. } => "run `doctor` again when nothing else runs".into(),
            Warning::PeakNotReached { .. } => {
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
            Warning::ThreadsUnused { .. } => {
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
        assert_eq!(json["message"], "RAYON_NUM_THREADS gives 64 threads, and 2 can run at once");
    }
}
