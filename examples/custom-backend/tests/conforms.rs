//! The whole suite of layerbench on each backend.

use custom_backend::{Fused, Outer};
use layerbench::Entry;
use layerbench::verify::conformance::assert_conforms;

/// So that `allocations_per_product` is held too: the backends compute in children of this very program.
#[global_allocator]
static ALLOCATOR: layerbench::Counting = layerbench::Counting;

#[test]
fn outer_conforms() {
    assert_conforms(&Entry::both(Outer));
}

#[test]
fn fused_conforms() {
    assert_conforms(&Entry::f64(Fused));
}
