//! Layer passes of each backend; the kit verifies a backend before it is timed.

use criterion::{Criterion, criterion_group, criterion_main};
use custom_backend::{Fused, Outer};
use layerbench::Entry;
use layerbench::measure::criterion::bench_layers;

fn layers(criterion: &mut Criterion) {
    for entry in [Entry::both(Outer), Entry::f64(Fused)] {
        bench_layers(criterion, &entry);
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
