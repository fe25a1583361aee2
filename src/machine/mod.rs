//! What this computer is, and the most it can do: facts as the system tells them, and a measured roofline. Knows no backend and no
//! workload, and judges nothing. Beside it, since it is of the environment too: what libraries read of it.
//!
//! The method of the measurements is in `docs/measuring-the-machine.md`.

mod bandwidth;
mod buffer;
mod curve;
mod facts;
mod float_state;
mod fma;
mod gauge;
mod library;
mod parse;
mod rate;
mod roofline;
mod team;
mod thread_library;

pub use buffer::{Pages, flush_caches};
pub use curve::{Point, most_bytes};
pub use facts::{Cache, CacheKind, Class, Cores, Facts, node};
pub use float_state::FloatState;
pub use gauge::{Gauge, Limit};
pub use library::library_of;
pub(crate) use parse::bytes_of;
pub use roofline::{Depth, Peak, Roofline};
pub(crate) use thread_library::Reading;
pub use thread_library::{Asked, ThreadLibrary};
