//! The whole suite of layerbench on each backend.

use std::num::NonZeroUsize;
use std::sync::Arc;

use custom_backend::{Fused, Outer};
use layerbench::layer::{Backend, Dense, Dependency, Determinism, Engine, Kernels, Layer, LayerSpec, Op, Profile};
use layerbench::verify::Suite;
use layerbench::verify::cases::Depth;
use layerbench::verify::conformance::{assert_conforms, assert_conforms_to};
use layerbench::{Entry, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

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

/// Ends its process, as if all were well.
#[derive(Clone, Copy)]
struct Exits;

impl Backend<f64> for Exits {
    fn name(&self) -> &str {
        "exits"
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "ends its process".into(),
            dependency: Dependency::None,
            parallel: false,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<f64>>> {
        Ok(Arc::new(*self))
    }
}

impl Engine<f64> for Exits {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        "exits".into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<f64>>> {
        Ok(Box::new(Dense::new(*self, spec)))
    }
}

impl Kernels<f64> for Exits {
    fn gemm(
        &mut self,
        _: f64,
        _: (Op, ArrayView2<'_, f64>),
        _: (Op, ArrayView2<'_, f64>),
        _: ArrayViewMut2<'_, f64>,
    ) -> Result<()> {
        std::process::exit(0)
    }
}

/// The test goes on, and says which check the process was lost in.
#[test]
#[should_panic(
    expected = "FAILED t0_scale in f64: the process of backend `exits` on 1 threads is lost: it ended with exit code 0"
)]
fn a_backend_that_ends_its_process_does_not_conform() {
    let suite = Suite { checks: vec!["t0_scale".into()], ..Suite::new(Depth::Quick) };
    assert_conforms_to(&Entry::f64(Exits), &suite);
}
