//! A backend in another process: the same traits, each call of which a child answers. Whoever judges keeps what was expected; the child
//! gets inputs and gives back outputs, and whatever it does to its own process is seen from outside.
//!
//! [`Remote`] is the parent's side: a [`Backend`](crate::layer::Backend) whose engines live in children of a [`Program`](crate::child::Program), one child for each
//! thread count. `serve` is the child's side. They speak the `protocol` over a [`Channel`](crate::child::Channel); matrices lie in an
//! `arena` that both have mapped, laid out as the caller's views are: same strides, same alignment, with NaN around them. What was changed
//! there and is no output is an error of the call.
//!
//! Threads are mirrored: calls from different threads here are made on different threads there, each call of one thread on the same one,
//! and what runs inside [`Engine::run`](crate::layer::Engine::run) here does so there.
//!
//! It is made against mistakes and carelessness (a crash, a hang, output, closed descriptors, state that is left), not against a backend that
//! sets out to attack the process it runs in.

mod arena;
mod backend;
mod connection;
mod fate;
mod layout;
mod process;
mod protocol;
mod serve;

pub use backend::Remote;
pub use process::{Process, ThreadState};
pub use protocol::Subject;
pub(crate) use serve::{Wanted, serve};
