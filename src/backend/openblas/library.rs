//! What OpenBLAS says of itself: version, build, kernel, thread model, and the file that it is in. Computes nothing.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::path::PathBuf;

use crate::machine::library_of;

// OpenBLAS's own entry points; cblas-sys has only the standard ones.
unsafe extern "C" {
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
    fn openblas_get_parallel() -> c_int;
    fn openblas_get_num_threads() -> c_int;
}

/// OpenBLAS's version and build options, as it tells them.
pub fn config() -> String {
    // SAFETY: takes no arguments and returns a static, NUL-terminated string.
    unsafe { text(openblas_get_config()) }
}

/// The name of the kernel family that OpenBLAS chose for this CPU, such as `Haswell` or `SkylakeX`.
pub fn corename() -> String {
    // SAFETY: takes no arguments and returns a static, NUL-terminated string.
    unsafe { text(openblas_get_corename()) }
}

/// The file that `cblas_dgemm` was loaded from: who answers, whatever the link line said.
pub fn path() -> Option<PathBuf> {
    library_of(cblas_sys::cblas_dgemm as *const c_void)
}

/// What OpenBLAS makes its threads with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadModel {
    /// None: the build is sequential.
    Sequential,
    /// Threads of its own.
    Pthreads,
    /// OpenMP's.
    OpenMp,
    /// An answer that this program does not know.
    Unknown,
}

impl fmt::Display for ThreadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ThreadModel::Sequential => "sequential",
            ThreadModel::Pthreads => "pthreads",
            ThreadModel::OpenMp => "openmp",
            ThreadModel::Unknown => "unknown",
        })
    }
}

/// What the linked OpenBLAS makes its threads with.
pub fn thread_model() -> ThreadModel {
    // SAFETY: plain integer getter.
    match unsafe { openblas_get_parallel() } {
        0 => ThreadModel::Sequential,
        1 => ThreadModel::Pthreads,
        2 => ThreadModel::OpenMp,
        _ => ThreadModel::Unknown,
    }
}

/// OpenBLAS's thread count now: what its environment asked for, until an engine is opened.
pub fn threads() -> usize {
    // SAFETY: plain integer getter.
    usize::try_from(unsafe { openblas_get_num_threads() }).unwrap_or(0)
}

/// # Safety
/// `string` is null, or points to a NUL-terminated string that lives while this runs.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return "unknown".into();
    }
    // SAFETY: not null, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().trim().to_owned()
}
