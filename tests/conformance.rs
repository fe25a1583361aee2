//! The contracts of the layer trait, one test each, on every backend in both scalar types at several thread counts.

mod common;

use std::sync::Arc;

use common::{for_each_engine, nan, normal};
use layerbench::layer::{Activation, Determinism, Engine, Grads, LayerSpec, Params, Upstream};
use layerbench::network::in_run;
use layerbench::{Error, Registry, Scalar};
use ndarray::{Array2, ArrayView2, s};

/// Inputs and outputs of one layer.
struct Fields<T> {
    spec: LayerSpec,
    w: Array2<T>,
    b: Array2<T>,
    x: Array2<T>,
    upstream: Array2<T>,
    z: Array2<T>,
    a: Array2<T>,
    dw: Array2<T>,
    db: Array2<T>,
    dx: Array2<T>,
}

/// Sizes around lane widths, one of each, the batch of 209, and more units than a tile has rows.
const SHAPES: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (1, 7, 3),
    (5, 1, 9),
    (4, 9, 1),
    (7, 33, 209),
    (20, 130, 17),
    (33, 16, 15),
    (66, 65, 31),
    (3, 257, 64),
    (40, 300, 130),
];
const ACTIVATIONS: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::Sigmoid];

impl<T: Scalar> Fields<T> {
    fn new((outputs, inputs, batch): (usize, usize, usize), activation: Activation) -> Self {
        Fields {
            spec: LayerSpec { inputs, outputs, batch, activation },
            w: normal((outputs, inputs), 1),
            b: normal((outputs, 1), 2),
            x: normal((inputs, batch), 3),
            upstream: normal((outputs, batch), 4),
            // Outputs start as NaN: one that is read or left alone shows.
            z: nan((outputs, batch)),
            a: nan((outputs, batch)),
            dw: nan((outputs, inputs)),
            db: nan((outputs, 1)),
            dx: nan((inputs, batch)),
        }
    }

    /// Forward, then backward from dA with dA_prev.
    fn run(&mut self, engine: &Arc<dyn Engine<T>>, scale: T) {
        let mut layer = engine.plan(self.spec).expect("an ordinary shape");
        in_run(engine.as_ref(), || {
            let params = Params { w: self.w.view(), b: self.b.view() };
            layer.forward(params, self.x.view(), self.z.view_mut(), self.a.view_mut()).expect("shapes fit");
            let grads = Grads { dw: self.dw.view_mut(), db: self.db.view_mut() };
            let upstream = Upstream::Da(self.upstream.view());
            let dx = Some(self.dx.view_mut());
            layer.backward(params, self.x.view(), self.z.view(), upstream, scale, grads, dx).expect("shapes fit");
        });
    }

    fn outputs(&self) -> [(&'static str, &Array2<T>); 5] {
        [("Z", &self.z), ("A", &self.a), ("dW", &self.dw), ("db", &self.db), ("dA_prev", &self.dx)]
    }
}

fn same_bits<T: Scalar>(label: &str, got: ArrayView2<'_, T>, expected: ArrayView2<'_, T>) {
    assert_eq!(got.dim(), expected.dim(), "{label}");
    for ((at, got), expected) in got.indexed_iter().zip(expected) {
        assert_eq!(got.widen().to_bits(), expected.widen().to_bits(), "{label} at {at:?}: {got} and {expected}");
    }
}

/// `matrix` within a larger one that is full of `fill`.
fn inside<T: Scalar>(matrix: &Array2<T>, fill: T) -> Array2<T> {
    let (rows, columns) = matrix.dim();
    let mut larger = Array2::from_elem((rows + 2, columns + 5), fill);
    larger.slice_mut(s![1..=rows, 3..3 + columns]).assign(matrix);
    larger
}

macro_rules! window {
    ($larger:expr, $dim:expr) => {
        $larger.slice(s![1..=$dim.0, 3..3 + $dim.1])
    };
}
macro_rules! window_mut {
    ($larger:expr, $dim:expr) => {
        $larger.slice_mut(s![1..=$dim.0, 3..3 + $dim.1])
    };
}

/// Matrices may be windows of larger ones: the same numbers to the bound of rounding, and nothing outside is touched or read.
fn windows<T: Scalar>() {
    for_each_engine::<T>(|name, engine| {
        for shape in SHAPES {
            let mut dense = Fields::<T>::new(shape, Activation::Relu);
            dense.run(engine, T::of(0.5));
            let spec = dense.spec;
            // NaN around every input: what is read there shows in the output.
            let [w, b, x, upstream] = [&dense.w, &dense.b, &dense.x, &dense.upstream].map(|m| inside(m, T::nan()));
            let guard = T::of(77.0);
            let [mut z, mut a, mut dw, mut db, mut dx] = dense.outputs().map(|(_, m)| inside(&nan(m.dim()), guard));
            let (n_m, n_k, n_1, k_m) = (dense.z.dim(), dense.w.dim(), dense.b.dim(), dense.x.dim());
            let mut layer = engine.plan(spec).expect("an ordinary shape");
            let params = Params { w: window!(w, n_k), b: window!(b, n_1) };
            in_run(engine.as_ref(), || {
                let (z, a) = (window_mut!(z, n_m), window_mut!(a, n_m));
                layer.forward(params, window!(x, k_m), z, a).expect("windows are fine");
            });
            in_run(engine.as_ref(), || {
                let grads = Grads { dw: window_mut!(dw, n_k), db: window_mut!(db, n_1) };
                let (z, upstream) = (window!(z, n_m), Upstream::Da(window!(upstream, n_m)));
                let dx = Some(window_mut!(dx, k_m));
                layer.backward(params, window!(x, k_m), z, upstream, T::of(0.5), grads, dx).expect("windows are fine");
            });
            for (larger, (what, expected)) in [z, a, dw, db, dx].iter_mut().zip(dense.outputs()) {
                let label = format!("{name}, {shape:?}, {what}");
                let dim = expected.dim();
                for (got, expected) in window!(larger, dim).iter().zip(expected) {
                    let error = (got.widen() - expected.widen()).abs();
                    let bound = 1e3 * T::UNIT_ROUNDOFF * (1.0 + expected.widen().abs());
                    assert!(error <= bound, "{label}: {got} and {expected}");
                }
                window_mut!(larger, dim).fill(guard);
                assert!(larger.iter().all(|&value| value == guard), "{label}: written outside");
            }
        }
    });
}

#[test]
fn windows_of_larger_matrices_f32() {
    windows::<f32>();
}

#[test]
fn windows_of_larger_matrices_f64() {
    windows::<f64>();
}

/// dA_prev left out, dZ instead of dA, a second call, and a call on a used layer: dW and db keep their bits.
fn equivalent_calls<T: Scalar>() {
    for_each_engine::<T>(|name, engine| {
        for shape in SHAPES {
            for activation in ACTIVATIONS {
                let mut first = Fields::<T>::new(shape, activation);
                first.run(engine, T::of(0.25));
                let mut again = Fields::<T>::new(shape, activation);
                again.run(engine, T::of(0.25));
                for ((what, one), (_, two)) in first.outputs().iter().zip(again.outputs()) {
                    same_bits(&format!("{name}, {shape:?} {activation}, {what}, repeated"), two.view(), one.view());
                }
                let mut dz = first.upstream.clone();
                ndarray::Zip::from(&mut dz).and(&first.z).for_each(|dz, &z| *dz = activation.pull_back(z, *dz));
                let mut layer = engine.plan(first.spec).expect("an ordinary shape");
                let params = Params { w: first.w.view(), b: first.b.view() };
                for upstream in [Upstream::Da(first.upstream.view()), Upstream::Dz(dz.view())] {
                    let (mut dw, mut db) = (nan(first.dw.dim()), nan(first.db.dim()));
                    in_run(engine.as_ref(), || {
                        let grads = Grads { dw: dw.view_mut(), db: db.view_mut() };
                        let (x, z) = (first.x.view(), first.z.view());
                        layer.backward(params, x, z, upstream, T::of(0.25), grads, None).expect("shapes fit");
                    });
                    let label = format!("{name}, {shape:?} {activation}, without dA_prev");
                    same_bits(&label, dw.view(), first.dw.view());
                    same_bits(&label, db.view(), first.db.view());
                }
            }
        }
    });
}

#[test]
fn equivalent_calls_f32() {
    equivalent_calls::<f32>();
}

#[test]
fn equivalent_calls_f64() {
    equivalent_calls::<f64>();
}

/// Kernels define zero sizes: no inputs give Z = b, no examples give zero gradients, no units give nothing.
fn zero_sizes<T: Scalar>() {
    for_each_engine::<T>(|name, engine| {
        for shape in [(4, 0, 5), (4, 3, 0), (0, 3, 5), (0, 0, 0), (4, 0, 0)] {
            for activation in ACTIVATIONS {
                let mut fields = Fields::<T>::new(shape, activation);
                fields.run(engine, T::of(2.0));
                let label = format!("{name}, {shape:?} {activation}");
                if shape.1 == 0 {
                    for ((i, _), &z) in fields.z.indexed_iter() {
                        assert_eq!(z, fields.b[(i, 0)], "{label}");
                    }
                }
                if shape.2 == 0 {
                    assert!(fields.dw.iter().chain(&fields.db).all(|&d| d == T::zero()), "{label}");
                }
                if shape.0 == 0 {
                    assert!(fields.dx.iter().all(|&d| d == T::zero()), "{label}");
                }
            }
        }
    });
}

#[test]
fn zero_sizes_f32() {
    zero_sizes::<f32>();
}

#[test]
fn zero_sizes_f64() {
    zero_sizes::<f64>();
}

/// NaN lands where the contracts say and nowhere else.
fn not_a_number<T: Scalar>() {
    for_each_engine::<T>(|name, engine| {
        for shape in [(7, 33, 209), (40, 65, 31)] {
            let poisoned = |change: &dyn Fn(&mut Fields<T>)| {
                let mut fields = Fields::<T>::new(shape, Activation::Relu);
                change(&mut fields);
                fields.run(engine, T::one());
                fields
            };
            let rows = |m: &Array2<T>| -> Vec<usize> {
                let rows = m.rows().into_iter().enumerate();
                rows.filter(|(_, row)| row.iter().any(|v| v.is_nan())).map(|(i, _)| i).collect()
            };
            let columns = |m: &Array2<T>| rows(&m.t().to_owned());
            let all = |m: &Array2<T>| m.iter().all(|v| v.is_nan());

            let f = poisoned(&|f| f.w[(2, 5)] = T::nan());
            // ReLU(NaN) is NaN; where Z is NaN, dZ is dA: no gradient but dA_prev (through W) sees it.
            assert_eq!((rows(&f.z), rows(&f.a)), (vec![2], vec![2]), "{name}: NaN in W");
            assert!(f.a.row(2).iter().all(|a| a.is_nan()), "{name}: NaN in W");
            assert_eq!((rows(&f.dw), rows(&f.db), rows(&f.dx)), (vec![], vec![], vec![5]), "{name}: NaN in W");

            let f = poisoned(&|f| f.b[(3, 0)] = T::nan());
            assert_eq!((rows(&f.z), rows(&f.dx)), (vec![3], vec![]), "{name}: NaN in b");
            assert!(f.z.row(3).iter().all(|z| z.is_nan()), "{name}: NaN in b");

            let f = poisoned(&|f| f.x[(4, 6)] = T::nan());
            assert_eq!((columns(&f.z), columns(&f.a)), (vec![6], vec![6]), "{name}: NaN in A_prev");
            assert_eq!((columns(&f.dw), rows(&f.dx)), (vec![4], vec![]), "{name}: NaN in A_prev");
            assert!(f.dw.column(4).iter().all(|d| d.is_nan()), "{name}: NaN in A_prev");

            let alive = poisoned(&|_| ()).z.indexed_iter().find(|(_, z)| **z > T::zero()).map(|(at, _)| at);
            let alive = alive.expect("some Z is positive");
            let f = poisoned(&|f| f.upstream[alive] = T::nan());
            assert_eq!((rows(&f.dw), rows(&f.db)), (vec![alive.0], vec![alive.0]), "{name}: NaN in dA");
            assert_eq!((columns(&f.dx), all(&f.z)), (vec![alive.1], false), "{name}: NaN in dA");

            // Where Z <= 0, dZ is 0 whatever dA is.
            let dead = f.z.indexed_iter().find(|(_, z)| **z < T::zero()).map(|(at, _)| at).expect("some Z is negative");
            let f = poisoned(&|f| f.upstream[dead] = T::nan());
            assert_eq!((rows(&f.dw), rows(&f.db), rows(&f.dx)), (vec![], vec![], vec![]), "{name}: NaN in a dead dA");
        }
    });
}

#[test]
fn not_a_number_f32() {
    not_a_number::<f32>();
}

#[test]
fn not_a_number_f64() {
    not_a_number::<f64>();
}

/// The order in which a call's mistakes are looked for does not matter; that each is found and named does.
#[test]
fn wrong_shapes_and_layouts_are_typed_errors() {
    for_each_engine::<f64>(|name, engine| {
        let f = Fields::<f64>::new((4, 6, 5), Activation::Relu);
        let mut layer = engine.plan(f.spec).expect("an ordinary shape");
        let mut forward = |w: ArrayView2<'_, f64>, x: ArrayView2<'_, f64>, z_dim| {
            let (mut z, mut a) = (nan(z_dim), nan::<f64>((4, 5)));
            layer.forward(Params { w, b: f.b.view() }, x, z.view_mut(), a.view_mut())
        };
        let w_t = f.w.t().as_standard_layout().into_owned();
        assert!(matches!(forward(w_t.view(), f.x.view(), (4, 5)), Err(Error::Shape { what: "W", .. })), "{name}");
        assert!(matches!(forward(w_t.t(), f.x.view(), (4, 5)), Err(Error::Layout { what: "W", .. })), "{name}");
        let short = f.x.slice(s![..5, ..]);
        assert!(matches!(forward(f.w.view(), short, (4, 5)), Err(Error::Shape { what: "A_prev", .. })), "{name}");
        assert!(matches!(forward(f.w.view(), f.x.view(), (5, 4)), Err(Error::Shape { what: "Z", .. })), "{name}");

        let mut layer = engine.plan(f.spec).expect("an ordinary shape");
        let mut backward = |upstream, dw_dim, dx_dim| {
            let (mut dw, mut db, mut dx) = (nan(dw_dim), nan::<f64>((4, 1)), nan::<f64>(dx_dim));
            let grads = Grads { dw: dw.view_mut(), db: db.view_mut() };
            let params = Params { w: f.w.view(), b: f.b.view() };
            layer.backward(params, f.x.view(), f.a.view(), upstream, 1.0, grads, Some(dx.view_mut()))
        };
        let (good, bad) = (f.upstream.view(), f.x.view());
        assert!(matches!(backward(Upstream::Da(bad), (4, 6), (6, 5)), Err(Error::Shape { what: "dA", .. })), "{name}");
        assert!(matches!(backward(Upstream::Dz(bad), (4, 6), (6, 5)), Err(Error::Shape { what: "dZ", .. })), "{name}");
        assert!(matches!(backward(Upstream::Da(good), (6, 4), (6, 5)), Err(Error::Shape { what: "dW", .. })), "{name}");
        let wrong = backward(Upstream::Da(good), (4, 6), (5, 6));
        assert!(matches!(wrong, Err(Error::Shape { what: "dA_prev", .. })), "{name}");
    });
}

/// What claims to be bit-identical for any number of threads is.
#[test]
fn thread_counts_do_not_show_where_that_is_promised() {
    let _turn = common::alone();
    let registry = Registry::builtin();
    let promised: Vec<_> =
        registry.entries().iter().filter(|entry| entry.profile().determinism == Determinism::AnyThreads).collect();
    assert!(promised.iter().any(|entry| entry.name() == "rayon"));
    for entry in promised.into_iter().filter(|entry| entry.profile().parallel) {
        for shape in SHAPES.into_iter().chain([(20, 12288, 209)]) {
            let run = |threads: usize| {
                let engine = registry.open::<f64>(entry.name(), threads).expect("available");
                let mut fields = Fields::<f64>::new(shape, Activation::Sigmoid);
                fields.run(&engine, 0.1);
                fields
            };
            let one = run(1);
            for threads in [2, 3, 5, 8] {
                for ((what, expected), (_, got)) in one.outputs().iter().zip(run(threads).outputs()) {
                    let label = format!("{} on {threads} threads, {shape:?}, {what}", entry.name());
                    same_bits(&label, got.view(), expected.view());
                }
            }
        }
    }
}

#[test]
fn serial_backends_refuse_more_threads_and_nobody_takes_none() {
    let registry = Registry::builtin();
    for name in ["naive", "ndarray"] {
        assert!(matches!(registry.open::<f64>(name, 2), Err(Error::Threads { asked: 2, .. })));
    }
    assert!(matches!(registry.open::<f64>("naive", 0), Err(Error::Threads { asked: 0, .. })));
    assert!(matches!(registry.open::<f64>("cublas", 1), Err(Error::UnknownBackend { .. })));
}
