//! Two backends of a crate that is not layerbench, one through each door of the layer trait. `tests/conforms.rs` and
//! `benches/layers.rs` put them through the conformance kit.

mod fused;
mod outer;

pub use fused::Fused;
pub use outer::Outer;
