//! What this computer is, and the most it can do: facts as the system tells them, and a measured roofline. Knows no backend and no
//! workload, and judges nothing. Beside it, since it is of the environment too: what libraries read of it.
//!
//! The method of the measurements is in `docs/measuring-the-machine.md`.

#[cfg(feature = "judge")]
mod bandwidth;
#[cfg(feature = "judge")]
mod buffer;
#[cfg(feature = "judge")]
mod curve;
#[cfg(feature = "judge")]
mod facts;
#[cfg(feature = "judge")]
mod float_state;
#[cfg(feature = "judge")]
mod fma;
#[cfg(feature = "judge")]
mod gauge;
#[cfg(any(feature = "judge", feature = "openblas"))]
mod library;
#[cfg(feature = "judge")]
mod parse;
#[cfg(feature = "judge")]
mod rate;
#[cfg(feature = "judge")]
mod roofline;
#[cfg(feature = "judge")]
mod team;
mod thread_library;

#[cfg(feature = "judge")]
pub use buffer::{Pages, flush_caches};
#[cfg(feature = "judge")]
pub use curve::{Point, most_bytes};
#[cfg(feature = "judge")]
pub use facts::{Cache, CacheKind, Class, Cores, Facts, node};
#[cfg(feature = "judge")]
pub use float_state::FloatState;
#[cfg(feature = "judge")]
pub use gauge::{Gauge, Limit};
#[cfg(any(feature = "judge", feature = "openblas"))]
pub use library::library_of;
#[cfg(feature = "judge")]
pub(crate) use parse::bytes_of;
#[cfg(feature = "judge")]
pub use roofline::{Depth, Peak, Roofline};
pub(crate) use thread_library::Reading;
pub use thread_library::{Asked, ThreadLibrary};

/// The cores that this process may use: one at the least.
pub fn cores() -> std::num::NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN)
}
