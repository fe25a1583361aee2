//! What will really run on this machine, and what stands in its way: the report behind the verb `doctor`. Nothing is printed here.
//!
//! What a library says of itself is shown beside what it did: a kernel is believed when the library reads it back, a thread count when
//! the CPU clock shows it.

#[cfg(feature = "openblas")]
mod kernels;
#[cfg(feature = "openblas")]
mod openblas;
#[cfg(feature = "openblas")]
pub(crate) mod probe;
mod threads;
mod trial;
mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Serialize;

pub use threads::{Count, Threads};
pub use trial::{OwnChoice, Ratio, Status, Trial, Trials};
pub use warning::{Told, Warning};

use crate::machine::{Depth, Facts, Roofline};
use crate::scalar::ScalarKind;

/// The name and version of the JSON form, documented in `docs/doctor.md`.
pub const SCHEMA: &str = "layerbench-doctor/2";

/// Everything that `doctor` found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// This crate's version.
    pub layerbench: &'static str,
    /// The computer.
    pub machine: Facts,
    /// What it can do at most.
    pub roofline: Roofline,
    /// The sizes of the thread pools.
    pub threads: Threads,
    /// The BLAS libraries of this build.
    pub blas: Vec<Blas>,
    /// The HDF5 library of this build.
    pub hdf5: Option<Hdf5>,
    /// What to mend, the gravest first.
    pub warnings: Vec<Told>,
}

/// A BLAS library that is linked in.
#[derive(Clone, Debug, Serialize)]
pub struct Blas {
    /// The backend that uses it.
    pub backend: &'static str,
    /// The file that its symbols come from.
    pub path: Option<PathBuf>,
    /// Its name and version.
    pub version: String,
    /// Its build options in its own words.
    pub config: String,
    /// The kernel that it chose, as read back.
    pub kernel: String,
    /// What it makes threads with: `sequential`, `pthreads`, `openmp`.
    pub thread_model: String,
    /// Its variables that are set in the environment.
    pub environment: BTreeMap<String, String>,
    /// Threads of a run with all cores; `None` where nothing was run.
    pub threads: Option<ThreadsUsed>,
    /// The kernels that it could use here, timed; `None` where nothing was run.
    pub trials: Option<Trials>,
}

/// Threads asked for, as against threads that worked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ThreadsUsed {
    /// The number that was asked for.
    pub asked: usize,
    /// The number that the library says it has.
    pub obtained: usize,
    /// CPU time over wall time of a matrix product.
    pub used: f64,
}

/// The linked HDF5 library.
#[derive(Clone, Debug, Serialize)]
pub struct Hdf5 {
    /// Its version.
    pub version: String,
    /// The file that its symbols come from.
    pub path: Option<PathBuf>,
}

/// Looks at everything.
///
/// Children run the BLAS's kernels, so that a crash or a hang of a kernel is a line in the report; `child` is the command that starts
/// one, which is the hidden half of the verb `doctor`. `progress` is told of each. Without `child` no kernel is run, and less of the
/// roofline is measured.
pub fn examine(child: Option<&dyn Fn() -> Command>, progress: &mut dyn FnMut(&str)) -> Report {
    let machine = Facts::read();
    let depth = if child.is_some() { Depth::Full } else { Depth::Brief };
    let roofline = Roofline::measure(&[1, machine.cores.usable], depth, progress);
    of(machine, roofline, child, progress)
}

/// The same of a machine that was measured already; its roofline has one thread and all usable ones.
pub fn of(
    machine: Facts,
    roofline: Roofline,
    child: Option<&dyn Fn() -> Command>,
    progress: &mut dyn FnMut(&str),
) -> Report {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    let usable = machine.cores.usable;
    let mut warnings = of_machine(&machine);
    // What this leaves below all threads is nobody else's doing.
    let quota = machine.cores.quota.filter(|&quota| quota < usable as f64);
    warnings.extend(of_roofline(&roofline, usable, quota));
    #[cfg(feature = "openblas")]
    let blas = vec![openblas::examine(&environment, openblas::Limit { usable, quota }, child, progress, &mut warnings)];
    #[cfg(not(feature = "openblas"))]
    let (blas, _, _) = (Vec::new(), child, progress);
    let threads = Threads::of(&environment, usable, blas_threads(), &mut warnings);

    let mut warnings: Vec<Told> = warnings.into_iter().map(Told::from).collect();
    warnings.sort_by_key(|told| told.warning.gravity());
    let layerbench = env!("CARGO_PKG_VERSION");
    Report { schema: SCHEMA, layerbench, machine, roofline, threads, blas, hdf5: hdf5(), warnings }
}

impl Report {
    /// Whether what would run now computes wrong results.
    pub fn is_wrong(&self) -> bool {
        self.warnings.iter().any(|told| matches!(told.warning, Warning::WrongKernel { .. }))
    }
}

fn of_machine(machine: &Facts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !machine.refused_by_system.is_empty() {
        warnings.push(Warning::InstructionSetsRefused { names: machine.refused_by_system.clone() });
    }
    if let (Some(quota), Some(cores)) = (machine.cores.quota, machine.cores.affinity)
        && quota < cores as f64
    {
        warnings.push(Warning::QuotaBelowCores { quota, cores, usable: machine.cores.usable });
    }
    if let Some(governor) = machine.governor.as_deref().filter(|&governor| governor != "performance") {
        warnings.push(Warning::Governor { governor: governor.to_owned() });
    }
    warnings
}

/// All threads ought to reach nearly so many times the peak of one.
const PEAK_SHARE: f64 = 0.85;

fn of_roofline(roofline: &Roofline, threads: usize, quota: Option<f64>) -> Vec<Warning> {
    let share = |scalar| Some(roofline.peak(scalar, threads)? / roofline.peak(scalar, 1)? / threads as f64);
    let share = ScalarKind::ALL.into_iter().filter_map(share).min_by(f64::total_cmp);
    let low = share.filter(|&share| share < PEAK_SHARE).map(|share| Warning::PeakNotReached { threads, share, quota });
    low.into_iter().chain(roofline.gaps.iter().cloned().map(|gap| Warning::LimitUnknown { gap })).collect()
}

/// The threads that BLAS starts with, without being asked by this program.
fn blas_threads() -> Option<usize> {
    #[cfg(feature = "openblas")]
    return Some(crate::backend::openblas::threads());
    #[cfg(not(feature = "openblas"))]
    return None;
}

#[cfg(feature = "hdf5")]
fn hdf5() -> Option<Hdf5> {
    unsafe extern "C" {
        fn H5get_libversion(major: *mut u32, minor: *mut u32, release: *mut u32) -> std::ffi::c_int;
    }
    let (major, minor, release) = hdf5::library_version();
    // Only its address is taken: the crate above calls it, with its lock.
    let path = crate::machine::library_of(H5get_libversion as *const std::ffi::c_void);
    Some(Hdf5 { version: format!("{major}.{minor}.{release}"), path })
}

#[cfg(not(feature = "hdf5"))]
fn hdf5() -> Option<Hdf5> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Peak;
    use crate::simd::Isa;

    #[test]
    fn a_peak_that_does_not_grow_with_the_threads_is_told() {
        let peak = |scalar, threads, gflops| Peak { isa: Isa::Portable, scalar, threads, gflops };
        let mut roofline = Roofline::default();
        assert_eq!(of_roofline(&roofline, 2, None), []);
        for scalar in ScalarKind::ALL {
            roofline.peaks.extend([peak(scalar, 1, 10.0), peak(scalar, 2, 19.0)]);
        }
        assert_eq!(of_roofline(&roofline, 2, None), []);
        assert_eq!(of_roofline(&roofline, 1, None), []);
        roofline.peaks[3].gflops = 12.0;
        let told = |quota| Warning::PeakNotReached { threads: 2, share: 0.6, quota };
        assert_eq!(of_roofline(&roofline, 2, None), [told(None)]);
        assert_eq!(of_roofline(&roofline, 2, Some(1.2)), [told(Some(1.2))]);
        roofline.gaps.push("the rest: no memory".into());
        let warnings = of_roofline(&roofline, 2, None);
        assert_eq!(Told::from(warnings[1].clone()).message, "not measured: the rest: no memory");
    }

    #[test]
    fn a_quota_a_governor_and_a_cautious_system_are_told() {
        let mut machine = Facts::read();
        machine.governor = Some("powersave".into());
        machine.refused_by_system = vec!["avx512f".into()];
        machine.cores.affinity = Some(8);
        machine.cores.quota = Some(1.5);
        let messages: Vec<String> =
            of_machine(&machine).into_iter().map(|warning| Told::from(warning).message).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        machine.governor = Some("performance".into());
        machine.refused_by_system.clear();
        machine.cores.quota = Some(8.0);
        assert_eq!(of_machine(&machine), []);
    }
}
