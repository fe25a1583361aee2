//! Criterion benches for any backend, for use in its own crate; needs the feature `criterion`. Layer passes only: whole
//! workloads are the command line's.
//!
//! ```no_run
//! # use layerbench::{Entry, backend::Naive};
//! fn benches(criterion: &mut criterion::Criterion) {
//!     layerbench::measure::criterion::bench_layers(criterion, &Entry::both(Naive));
//! }
//! criterion::criterion_group!(group, benches);
//! criterion::criterion_main!(group);
//! ```

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};

use super::{QUIET_LIMIT, wait_until_quiet};
use crate::backend::Entry;
use crate::layer::{Activation, Engine};
use crate::scalar::{Scalar, ScalarKind};
use crate::verify::cases::Shape;
use crate::verify::trial::{Kind, Trial};
use crate::verify::{Venue, expect_verified, fixture};

/// The layers of the reference workload that have work, and two square ones.
const SHAPES: [Shape; 4] =
    [Shape::new(20, 12288, 209), Shape::new(7, 20, 209), Shape::new(64, 64, 64), Shape::new(256, 256, 256)];

/// Benches forward and backward passes of one layer, as `<phase>/<backend>/<shape>-<scalar>-<threads>`, in each scalar type, on one
/// thread and on all. The backend is verified first.
///
/// # Panics
/// Where it is unavailable or fails verification: what is wrong is not timed.
pub fn bench_layers(criterion: &mut Criterion, entry: &Entry) {
    for scalar in ScalarKind::ALL.into_iter().filter(|&scalar| entry.supports(scalar)) {
        match scalar {
            ScalarKind::F32 => bench_as::<f32>(criterion, entry),
            ScalarKind::F64 => bench_as::<f64>(criterion, entry),
        }
    }
}

fn bench_as<T: Scalar>(criterion: &mut Criterion, entry: &Entry) {
    let counts = entry.thread_counts(crate::machine::cores());
    // With `--test` nothing is timed.
    if !std::env::args().any(|argument| argument == "--test") {
        expect_verified(entry, T::KIND, &counts, &fixture::embedded(), &Venue::ThisProcess)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    for &threads in &counts {
        let engine = entry.open::<T>(threads).unwrap_or_else(|error| panic!("{error}"));
        for shape in SHAPES {
            let id = BenchmarkId::new(entry.name(), format!("{shape}-{}-{threads}", T::KIND));
            bench_shape(criterion, engine.as_ref(), shape, &id);
        }
    }
}

fn bench_shape<T: Scalar>(criterion: &mut Criterion, engine: &dyn Engine<T>, shape: Shape, id: &BenchmarkId) {
    let mut trial = Trial::<T>::normal(shape, Activation::Relu, 1);
    let mut layer = engine.plan(trial.spec).expect("it was verified on such layers");
    // Forward is one product, backward with dA_prev two: criterion's elements are floating-point operations.
    let flops = 2 * shape.work() as u64;
    let mut forward = criterion.benchmark_group("forward");
    forward.throughput(Throughput::Elements(flops)).bench_function(id.clone(), |bencher| {
        wait_until_quiet(QUIET_LIMIT);
        bencher.iter_custom(|passes| {
            let clock = Instant::now();
            for _ in 0..passes {
                trial.forward(engine, layer.as_mut()).expect("it was verified");
            }
            clock.elapsed()
        });
    });
    forward.finish();
    // Z is there, whatever the command line selects.
    trial.forward(engine, layer.as_mut()).expect("it was verified");
    let mut backward = criterion.benchmark_group("backward");
    backward.throughput(Throughput::Elements(2 * flops)).bench_function(id.clone(), |bencher| {
        wait_until_quiet(QUIET_LIMIT);
        bencher.iter_custom(|passes| {
            let clock = Instant::now();
            for _ in 0..passes {
                trial.backward(engine, layer.as_mut(), Kind::Da, T::one()).expect("it was verified");
            }
            clock.elapsed()
        });
    });
    backward.finish();
}
