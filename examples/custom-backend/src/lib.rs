//! What a crate that is not layerbench adds to it, each in a file: two backends, one through each door of the layer trait, which
//! `tests/conforms.rs` and `benches/layers.rs` put through the conformance kit; a backend that owns the whole training step; an update rule.

mod fused;
mod momentum;
mod outer;
mod whole;

pub use fused::Fused;
pub use momentum::Momentum;
pub use outer::Outer;
pub use whole::Whole;
