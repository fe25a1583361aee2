//! `openblas`: `cblas_?gemm` of the OpenBLAS library that the program is linked to, called directly.
//!
//! OpenBLAS has one thread count for the whole process. An engine holds a lease on it: engines with the same count share
//! it, a different count is a typed error until the last of them is gone. OpenBLAS's own memory is its own: a Rust
//! allocator cannot see it.

mod library;

use std::ffi::c_int;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use blas_src as _;
use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE, cblas_dgemm, cblas_sgemm};
use ndarray::{ArrayView2, ArrayViewMut2};

pub use library::{ThreadModel, config, corename, path, thread_model, threads};

use crate::error::{Error, Result};
use crate::layer::{Backend, Dense, Dependency, Determinism, Engine, Kernels, Layer, LayerSpec, Op, Profile};
use crate::machine::ThreadLibrary;
use crate::panics::locked;
use crate::scalar::Scalar;

const NAME: &str = "openblas";

// Not a standard function, so not in cblas-sys.
unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
}

/// The backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenBlas;

impl<T: Gemm> Backend<T> for OpenBlas {
    fn name(&self) -> &str {
        NAME
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "cblas gemm of the linked OpenBLAS".into(),
            dependency: Dependency::SystemLibrary("libopenblas".into()),
            parallel: true,
            determinism: Determinism::FixedThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(OpenBlasEngine { lease: Arc::new(Lease::take(threads)?) }))
    }
}

/// Who holds OpenBLAS's global thread count.
struct Held {
    threads: usize,
    leases: usize,
}

static HELD: Mutex<Held> = Mutex::new(Held { threads: 0, leases: 0 });

/// The guarded state is two integers, always consistent: a panic elsewhere does not spoil it.
fn held() -> MutexGuard<'static, Held> {
    locked(&HELD)
}

/// A share in the global thread count; dropping the last one frees it.
struct Lease {
    threads: usize,
}

impl Lease {
    fn take(threads: NonZeroUsize) -> Result<Self> {
        let asked = threads.get();
        let refuse = |reason: String| Error::Threads { name: NAME.into(), asked, reason };
        let mut held = held();
        if held.leases > 0 && held.threads != asked {
            return Err(refuse(format!(
                "OpenBLAS has one thread count per process, and an open engine holds it at {}; drop that engine first",
                held.threads
            )));
        }
        if held.leases == 0 {
            let wanted = c_int::try_from(asked).map_err(|_| refuse("that is more than OpenBLAS can count".into()))?;
            // SAFETY: plain integer setter, serialised by the mutex; no engine is open, so no gemm of ours is running.
            unsafe { openblas_set_num_threads(wanted) };
            // The setter silently does nothing in some builds, and clips at the build's maximum: believe only the answer.
            let got = library::threads();
            if got != asked {
                return Err(refuse(format!(
                    "it answers that it has {got}; ask for at most that, or install the pthread build (libopenblas0-pthread)"
                )));
            }
            if !buffers_can_be_had(asked) {
                return Err(refuse(format!(
                    "OpenBLAS takes {} MiB of address space for each thread, and would try for ever to get it: raise the limit \
                     (ulimit -v), or ask for fewer threads",
                    BUFFER_BYTES >> 20
                )));
            }
        }
        held.threads = asked;
        held.leases += 1;
        Ok(Lease { threads: asked })
    }
}

/// What OpenBLAS reserves for each thread at its first product (its BUFFER_SIZE on x86-64).
const BUFFER_BYTES: usize = 128 << 20;

/// Whether that much could be reserved now, and as much again for whatever else the program does. OpenBLAS asks without end where it is
/// refused (OpenBLAS#5289): who asks first gets an error.
fn buffers_can_be_had(threads: usize) -> bool {
    let mut reserved = Vec::new();
    (0..=threads).all(|_| {
        let mut buffer = Vec::<u8>::new();
        let done = std::hint::black_box(&mut buffer).try_reserve_exact(BUFFER_BYTES).is_ok();
        reserved.push(buffer);
        done
    })
}

impl Drop for Lease {
    fn drop(&mut self) {
        held().leases -= 1;
    }
}

struct OpenBlasEngine {
    lease: Arc<Lease>,
}

impl<T: Gemm> Engine<T> for OpenBlasEngine {
    fn threads(&self) -> usize {
        self.lease.threads
    }

    fn description(&self) -> String {
        // The configuration starts with the name and the version; the options after them are `doctor`'s business.
        let config = config();
        let version = config.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        format!("{version}, kernel {}", corename())
    }

    fn library(&self) -> Option<PathBuf> {
        path()
    }

    fn thread_library(&self) -> Option<ThreadLibrary> {
        Some(ThreadLibrary::OpenBlas)
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        for size in [spec.inputs, spec.outputs, spec.batch] {
            if c_int::try_from(size).is_err() {
                return Err(Error::Backend {
                    name: NAME.into(),
                    reason: format!("a dimension of {size} does not fit the 32-bit integers of cblas"),
                });
            }
        }
        Ok(Box::new(Dense::new(Cblas { _lease: Arc::clone(&self.lease) }, spec)))
    }
}

/// The kernels. A layer holds the lease too: it may outlive its engine.
struct Cblas {
    _lease: Arc<Lease>,
}

impl<T: Gemm> Kernels<T> for Cblas {
    fn gemm(
        &mut self,
        alpha: T,
        a: (Op, ArrayView2<'_, T>),
        b: (Op, ArrayView2<'_, T>),
        mut c: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        let (m, k) = a.0.dim(&a.1);
        let n = c.ncols();
        let ld_a = leading_dimension(a.1.dim(), a.1.strides())?;
        let ld_b = leading_dimension(b.1.dim(), b.1.strides())?;
        let ld_c = leading_dimension(c.dim(), c.strides())?;
        // SAFETY: `Dense` has checked every view against the planned shape: op(a) is (m, k), op(b) is (k, n), c is (m, n), rows
        // are adjacent columns, and consecutive rows are one leading dimension apart. Dimensions
        // fit c_int by `plan`. c is borrowed mutably, so it does not overlap a or b; with beta = 0 it is not read.
        unsafe {
            T::gemm(
                [transpose(a.0), transpose(b.0)],
                [m as c_int, n as c_int, k as c_int],
                alpha,
                (a.1.as_ptr(), ld_a),
                (b.1.as_ptr(), ld_b),
                (c.as_mut_ptr(), ld_c),
            );
        }
        Ok(())
    }
}

fn transpose(op: Op) -> CBLAS_TRANSPOSE {
    match op {
        Op::Plain => CBLAS_TRANSPOSE::CblasNoTrans,
        Op::Transposed => CBLAS_TRANSPOSE::CblasTrans,
    }
}

/// The distance between rows. cblas insists that it is at least the row's length, also where there is a single row and the
/// stride means nothing.
fn leading_dimension((rows, columns): (usize, usize), strides: &[isize]) -> Result<c_int> {
    let elements = if rows > 1 { strides[0] } else { columns as isize };
    c_int::try_from(elements).map_err(|_| Error::Backend {
        name: NAME.into(),
        reason: format!("a row distance of {elements} does not fit the 32-bit integers of cblas"),
    })
}

/// The one difference between the two scalar types: which function of the library is called. Sealed with [`Scalar`].
pub trait Gemm: Scalar {
    /// Row-major `C = alpha * op(A) op(B)`.
    ///
    /// # Safety
    /// With `[m, n, k]` positive, op(a) is (m, k), op(b) is (k, n), c is (m, n), each with its leading dimension, and c overlaps
    /// neither.
    unsafe fn gemm(
        ops: [CBLAS_TRANSPOSE; 2],
        dims: [c_int; 3],
        alpha: Self,
        a: (*const Self, c_int),
        b: (*const Self, c_int),
        c: (*mut Self, c_int),
    );
}

macro_rules! gemm {
    ($scalar:ty, $function:ident) => {
        impl Gemm for $scalar {
            unsafe fn gemm(
                ops: [CBLAS_TRANSPOSE; 2],
                [m, n, k]: [c_int; 3],
                alpha: Self,
                a: (*const Self, c_int),
                b: (*const Self, c_int),
                c: (*mut Self, c_int),
            ) {
                let layout = CBLAS_LAYOUT::CblasRowMajor;
                // SAFETY: the caller's promise is cblas's demand.
                unsafe { $function(layout, ops[0], ops[1], m, n, k, alpha, a.0, a.1, b.0, b.1, 0.0, c.0, c.1) }
            }
        }
    };
}

gemm!(f32, cblas_sgemm);
gemm!(f64, cblas_dgemm);
