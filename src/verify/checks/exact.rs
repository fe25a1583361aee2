//! T0: odd integers, whose sums of products are exact in any order, so that every backend must agree with integer arithmetic
//! bit for bit. No tolerance is needed, and one dropped or doubled product shows.
//!
//! Factors are at most q with `k q^2 + q < 2^p` for each accumulation of length k (p = 24 or 53 bits): then every partial sum
//! is an integer that the scalar type represents. Odd factors: no product is zero, none can be lost unseen.
//!
//! Products of more than 2^26 multiply-adds are not computed again but held by Freivalds' test (*Probabilistic machines can use less running
//! time*, IFIP 1977): `C r = A (B r)` in 64-bit integers. The weights r are odd, so that a single wrong element always shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use ndarray::{Array2, ArrayView2, Axis, LinalgScalar};
use rand_mt::Mt;

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, Engine};
use crate::panics::locked;
use crate::scalar::{Scalar, ScalarKind};
use crate::verify::cases::{Depth, Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::trial::{ACTIVATIONS, Kind, Trial};

const ACTIVATED: [Activation; 2] = [Activation::Relu, Activation::Identity];

/// Above so many multiply-adds a product is not computed again.
const LARGE: usize = 1 << 26;

/// Z and A.
pub(super) fn forward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Exact, Table::Long, Table::Drawn], |shape, seed| {
        let mut found = Comparison::default();
        if shape.work() > LARGE {
            Large::new::<T>(shape, seed).hold(engine.as_ref(), Pass::Forward, &mut found)?;
            return Ok(found);
        }
        for activation in ACTIVATED {
            hold_forward(engine.as_ref(), &Integers::shared::<T>(shape, activation, seed), &mut found)?;
        }
        Ok(found)
    })
}

/// dW, db and dA_prev, from dA and from dZ.
pub(super) fn backward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Exact, Table::Long, Table::Drawn], |shape, seed| {
        let mut found = Comparison::default();
        if shape.work() > LARGE {
            Large::new::<T>(shape, seed).hold(engine.as_ref(), Pass::Both, &mut found)?;
            return Ok(found);
        }
        for activation in ACTIVATED {
            let integers = Integers::shared::<T>(shape, activation, seed);
            for kind in [Kind::Da, Kind::Dz] {
                hold_backward(engine.as_ref(), &integers, kind, 1.0, &mut found)?;
            }
        }
        Ok(found)
    })
}

/// dW and db carry the scale, dA_prev does not.
pub(super) fn scale<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let integers = Integers::new::<T>(shape, Activation::Relu, seed);
        for scale in [2.0, 0.25, -1.0, 1.0 / 1024.0] {
            hold_backward(engine.as_ref(), &integers, Kind::Da, scale, &mut found)?;
        }
        Ok(found)
    })
}

/// The layers that are measured, at the batches that they are measured at. Outputs of one unit are there too, and large products.
pub(super) fn workload<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    let all = match probe.depth() {
        Depth::Quick => probe.is_last(),
        Depth::Normal => probe.is_outermost(),
        Depth::Full => true,
    };
    let is_tried = |shape: &Shape| all || shape.work() <= WORTH_SPARING;
    probe.each_where(&[Table::Workload], is_tried, |shape, seed| {
        let mut found = Comparison::default();
        if shape.work() > LARGE {
            Large::new::<T>(shape, seed).hold(engine.as_ref(), Pass::Both, &mut found)?;
            return Ok(found);
        }
        let integers = Integers::shared::<T>(shape, Activation::Relu, seed);
        hold_forward(engine.as_ref(), &integers, &mut found)?;
        hold_backward(engine.as_ref(), &integers, Kind::Da, 1.0, &mut found)?;
        Ok(found)
    })
}

/// Shapes with a size of zero.
pub(super) fn empty<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Empty], |shape, seed| {
        let mut found = Comparison::default();
        for activation in ACTIVATIONS {
            let mut trial = Trial::<T>::normal(shape, activation, seed);
            trial.run(engine.as_ref(), T::of(2.0))?;
            let wide = |matrix: &Array2<T>| matrix.mapv(Scalar::widen);
            if shape.inputs == 0 {
                let b = wide(&trial.b).broadcast(trial.z.dim()).expect("one column broadcasts").to_owned();
                found.within("Z", &trial.z, &b, |_| 0.0);
            }
            // By value, not by bits: an empty sum may well be -0.
            let mut zero = |what, got: &Array2<T>| found.within(what, got, &Array2::zeros(got.dim()), |_| 0.0);
            if shape.batch == 0 {
                zero("dW", &trial.dw);
                zero("db", &trial.db);
            }
            if shape.outputs == 0 {
                zero("dA_prev", &trial.dx);
            }
        }
        // Half of what is demanded here is zero by definition: no reason for mistrust.
        found.zeros = 0;
        Ok(found)
    })
}

/// A trial of odd integers, and Z and dZ of it.
pub(super) struct Integers {
    inputs: Inputs,
    activation: Activation,
    z: Array2<i32>,
    dz: Array2<i32>,
    /// Computed where they are asked for.
    gradients: OnceLock<Gradients>,
}

/// dW, db and dA_prev for a scale of one.
struct Gradients {
    dw: Array2<f64>,
    db: Array2<f64>,
    dx: Array2<f64>,
}

impl Integers {
    /// Small enough for `T`. The activation is the identity or ReLU.
    pub(super) fn new<T: Scalar>(shape: Shape, activation: Activation, seed: u32) -> Self {
        let inputs = Inputs::odd::<T>(shape, seed);
        let mut z = product(inputs.w.view(), inputs.x.view());
        for (mut row, b) in z.rows_mut().into_iter().zip(&inputs.b) {
            row.mapv_inplace(|z| z + b);
        }
        let relu = activation == Activation::Relu;
        let mut dz = inputs.upstream.clone();
        dz.zip_mut_with(&z, |dz, &z| *dz = if relu && z <= 0 { 0 } else { *dz });
        Integers { inputs, activation, z, dz, gradients: OnceLock::new() }
    }

    /// The same, from a small store where the same were made before: a check runs on several thread counts, and a large reference takes longer
    /// than what is held against it.
    pub(super) fn shared<T: Scalar>(shape: Shape, activation: Activation, seed: u32) -> Arc<Self> {
        type Made = (ScalarKind, u32, Arc<Integers>);
        static STORE: Mutex<VecDeque<Made>> = Mutex::new(VecDeque::new());
        if shape.work() < WORTH_KEEPING {
            return Arc::new(Integers::new::<T>(shape, activation, seed));
        }
        let is_it = |(scalar, with, made): &&Made| {
            (*scalar, *with, made.inputs.shape, made.activation) == (T::KIND, seed, shape, activation)
        };
        if let Some((.., made)) = locked(&STORE).iter().find(is_it) {
            return Arc::clone(made);
        }
        let made = Arc::new(Integers::new::<T>(shape, activation, seed));
        let mut store = locked(&STORE);
        store.push_back((T::KIND, seed, Arc::clone(&made)));
        while store.iter().map(|(.., made)| made.elements()).sum::<usize>() > MOST_KEPT {
            store.pop_front();
        }
        made
    }

    fn elements(&self) -> usize {
        // W, X, upstream, Z and dZ as integers, and the gradients, which take twice as much.
        3 * (self.inputs.w.len() + self.inputs.x.len() + self.z.len())
    }

    /// The inputs; Z is what forward must give, for a backward pass alone.
    pub(super) fn trial<T: Scalar>(&self, kind: Kind) -> Trial<T> {
        let mut trial = self.inputs.trial(self.activation);
        if kind == Kind::Dz {
            trial.upstream = scalars(&self.dz);
        }
        trial.z = scalars(&self.z);
        trial
    }

    /// Z and A.
    pub(super) fn outputs(&self) -> [(&'static str, Array2<f64>); 2] {
        let a = self.z.mapv(|z| if self.activation == Activation::Relu { z.max(0) } else { z });
        [("Z", self.z.mapv(f64::from)), ("A", a.mapv(f64::from))]
    }

    fn gradients(&self) -> &Gradients {
        self.gradients.get_or_init(|| {
            let Inputs { w, x, .. } = &self.inputs;
            Gradients {
                dw: product(self.dz.view(), x.t()).mapv(f64::from),
                db: row_sums(&self.dz),
                dx: product(w.t(), self.dz.view()).mapv(f64::from),
            }
        })
    }

    /// Z, A, dW, db and dA_prev for a scale of one, in the order of [`Trial::outputs`].
    pub(super) fn truth(&self) -> [(&'static str, Array2<f64>); 5] {
        let [z, a] = self.outputs();
        let Gradients { dw, db, dx } = self.gradients();
        [z, a, ("dW", dw.clone()), ("db", db.clone()), ("dA_prev", dx.clone())]
    }

    /// Holds all outputs of both passes.
    pub(super) fn hold<T: Scalar>(&self, found: &mut Comparison, when: &str, got: &Trial<T>) {
        for ((what, want), (_, got)) in self.truth().iter().zip(got.outputs()) {
            found.within(&format!("{what} {when}"), got, want, |_| 0.0);
        }
    }
}

fn hold_forward<T: Scalar>(engine: &dyn Engine<T>, integers: &Integers, found: &mut Comparison) -> Result<()> {
    let mut trial = integers.trial::<T>(Kind::Da);
    trial.spoil_outputs();
    let mut layer = engine.plan(trial.spec)?;
    trial.forward(engine, layer.as_mut())?;
    for ((what, want), got) in integers.outputs().iter().zip([&trial.z, &trial.a]) {
        found.within(&format!("{what} ({})", integers.activation), got, want, |_| 0.0);
    }
    Ok(())
}

fn hold_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    integers: &Integers,
    kind: Kind,
    scale: f64,
    found: &mut Comparison,
) -> Result<()> {
    let truth = integers.gradients();
    let mut trial = integers.trial::<T>(kind);
    let mut layer = engine.plan(trial.spec)?;
    trial.backward(engine, layer.as_mut(), kind, T::of(scale))?;
    let label = |what| format!("{what} ({}, from {kind}, scale {scale})", integers.activation);
    found.within(&label("dW"), &trial.dw, &(scale * &truth.dw), |_| 0.0);
    found.within(&label("db"), &trial.db, &(scale * &truth.db), |_| 0.0);
    found.within(&label("dA_prev"), &trial.dx, &truth.dx, |_| 0.0);
    Ok(())
}

/// What a large layer does.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    Both,
}

/// W, b, A_prev and the upstream gradient of a layer: odd integers, small enough for the sums that they are in.
struct Inputs {
    shape: Shape,
    w: Array2<i32>,
    b: Array2<i32>,
    x: Array2<i32>,
    upstream: Array2<i32>,
}

impl Inputs {
    fn odd<T: Scalar>(shape: Shape, seed: u32) -> Self {
        let Shape { outputs, inputs, batch } = shape;
        let mut random = Mt::new(seed);
        let mut odd = |dim, longest| odd_integers(dim, limit::<T>(longest), &mut random);
        // W and dZ take part in two products each: the longer sum bounds them.
        let w = odd((outputs, inputs), inputs.max(outputs));
        let b = odd((outputs, 1), inputs);
        let x = odd((inputs, batch), inputs.max(batch));
        let upstream = odd((outputs, batch), batch.max(outputs));
        Inputs { shape, w, b, x, upstream }
    }

    fn trial<T: Scalar>(&self, activation: Activation) -> Trial<T> {
        let mut inputs = [&self.w, &self.b, &self.x, &self.upstream].into_iter().map(scalars);
        Trial::filled(self.shape, activation, |_| inputs.next().expect("a trial has four inputs"))
    }
}

/// A layer whose products are not computed again. ReLU: its mask is that of the Z that came out, once that was held.
struct Large {
    inputs: Inputs,
    seed: u32,
}

impl Large {
    fn new<T: Scalar>(shape: Shape, seed: u32) -> Self {
        Large { inputs: Inputs::odd::<T>(shape, seed), seed }
    }

    fn hold<T: Scalar>(&self, engine: &dyn Engine<T>, pass: Pass, found: &mut Comparison) -> Result<()> {
        let Inputs { w, b, x, upstream, .. } = &self.inputs;
        let mut trial = self.inputs.trial::<T>(Activation::Relu);
        let mut layer = engine.plan(trial.spec)?;
        let mut random = Mt::new(self.seed);
        trial.forward(engine, layer.as_mut())?;
        freivalds("Z", &trial.z, (w.view(), x.view(), Some(b)), &mut random, found);
        found.within("A", &trial.a, &trial.z.mapv(|z| z.widen().max(0.0)), |_| 0.0);
        if pass == Pass::Forward || !found.is_within() {
            return Ok(());
        }
        let mut dz = upstream.clone();
        dz.zip_mut_with(&trial.z, |dz, &z| *dz = if z <= T::zero() { 0 } else { *dz });
        trial.backward(engine, layer.as_mut(), Kind::Da, T::one())?;
        freivalds("dW", &trial.dw, (dz.view(), x.t(), None), &mut random, found);
        found.within("db", &trial.db, &row_sums(&dz), |_| 0.0);
        freivalds("dA_prev", &trial.dx, (w.t(), dz.view(), None), &mut random, found);
        Ok(())
    }
}

/// Whether C = A B + c, by two vectors of odd weights: each row's weighted sum is exact. All that is summed stays far from 2^63.
fn freivalds<T: Scalar>(
    what: &str,
    got: &Array2<T>,
    (a, b, start): (ArrayView2<'_, i32>, ArrayView2<'_, i32>, Option<&Array2<i32>>),
    random: &mut Mt,
    found: &mut Comparison,
) {
    for _ in 0..2 {
        let weights: Vec<i64> = (0..got.ncols()).map(|_| 2 * i64::from(random.next_u32() % 16) - 15).collect();
        let sum =
            |row: ndarray::ArrayView1<'_, i32>| row.iter().zip(&weights).map(|(&b, &r)| i64::from(b) * r).sum::<i64>();
        let of_b: Vec<i64> = b.rows().into_iter().map(sum).collect();
        let total: i64 = weights.iter().sum();
        let expected = Array2::from_shape_fn((got.nrows(), 1), |(i, _)| {
            let products = a.row(i).iter().zip(&of_b).map(|(&a, &b)| i64::from(a) * b).sum::<i64>();
            (products + start.map_or(0, |start| i64::from(start[(i, 0)]) * total)) as f64
        });
        let came = Array2::from_shape_fn((got.nrows(), 1), |(i, _)| {
            let integer = |value: &T| Some(value.widen()).filter(|v| v.fract() == 0.0 && v.abs() < LARGEST_INTEGER);
            let terms = got.row(i).into_iter().zip(&weights);
            let sum = terms.map(|(value, &r)| Some(integer(value)? as i64 * r)).sum::<Option<i64>>();
            sum.map_or(f64::NAN, |sum| sum as f64)
        });
        found.within(&format!("the weighted sum of a row of {what}"), &came, &expected, |_| 0.0);
    }
}

/// No element of a right product is so large.
const LARGEST_INTEGER: f64 = (1_u64 << 40) as f64;
/// Multiply-adds from which on a layer is tried on some thread counts only, but for [`Depth::Full`].
const WORTH_SPARING: usize = 1 << 22;
/// Multiply-adds from which on a reference is kept for the next thread count.
const WORTH_KEEPING: usize = 1 << 18;
/// Elements of what is kept, in all, of four bytes.
const MOST_KEPT: usize = 1 << 25;

fn scalars<T: Scalar>(integers: &Array2<i32>) -> Array2<T> {
    integers.mapv(|i| T::of(f64::from(i)))
}

/// The largest factor for sums of `length` products and one bias, at most 15: enough to tell factors apart.
pub(super) fn limit<T: Scalar>(length: usize) -> i32 {
    // The reference sums in i32.
    let integers = (1.0 / T::UNIT_ROUNDOFF).min(f64::from(i32::MAX));
    (1..=15).rev().step_by(2).find(|&q| length as f64 * f64::from(q * q) + f64::from(q) <= integers).unwrap_or(1)
}

/// Odd integers of both signs, at most `limit` in size.
pub(super) fn odd_integers(dim: (usize, usize), limit: i32, random: &mut Mt) -> Array2<i32> {
    let count = (limit + 1) as u64;
    Array2::from_shape_simple_fn(dim, || 2 * ((u64::from(random.next_u32()) * count) >> 32) as i32 - limit)
}

/// db for a scale of one.
fn row_sums(dz: &Array2<i32>) -> Array2<f64> {
    dz.sum_axis(Axis(1)).insert_axis(Axis(1)).mapv(f64::from)
}

/// A B, by plain loops: no backend's product shall vouch for itself.
pub(super) fn product<N: LinalgScalar>(a: ArrayView2<'_, N>, b: ArrayView2<'_, N>) -> Array2<N> {
    let b = b.as_standard_layout();
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    for (mut c, a) in c.rows_mut().into_iter().zip(a.rows()) {
        for (&a, b) in a.iter().zip(b.rows()) {
            c.zip_mut_with(&b, |c, &b| *c = *c + a * b);
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::cases::{Depth, Draw};

    #[test]
    fn a_single_wrong_element_of_a_large_product_shows() {
        let large = Large::new::<f64>(Shape::new(5, 40, 30), 3);
        let Inputs { w, x, .. } = &large.inputs;
        let right = product(w.view(), x.view()).mapv(f64::from);
        let held = |got: &Array2<f64>| {
            let mut found = Comparison::default();
            freivalds("C", got, (w.view(), x.view(), None), &mut Mt::new(1), &mut found);
            found.is_within()
        };
        assert!(held(&right));
        for at in [(0, 0), (4, 29), (2, 17)] {
            for wrong in [right[at] + 1.0, -right[at], 0.0, f64::NAN, f64::INFINITY, right[at] + 0.5, 1e300] {
                let mut got = right.clone();
                got[at] = wrong;
                assert!(!held(&got), "{wrong} at {at:?}");
            }
        }
    }

    #[test]
    fn factors_are_odd_of_both_signs_and_within_the_limit() {
        let numbers = odd_integers((50, 40), 15, &mut Mt::new(1));
        assert!(numbers.iter().all(|n| n % 2 != 0 && n.abs() <= 15));
        assert!(numbers.iter().any(|&n| n == 15) && numbers.iter().any(|&n| n == -15));
    }

    #[test]
    fn every_partial_sum_is_a_representable_integer() {
        for table in [Table::Exact, Table::Long, Table::Workload] {
            let workloads = crate::workload::Workload::embedded();
            let draw = Draw { depth: Depth::Full, seed: 1, run: 1, check: "", workloads: &workloads, is_first: true };
            for Shape { outputs, inputs, batch } in table.shapes(&draw) {
                for length in [outputs, inputs, batch] {
                    let q = limit::<f32>(length);
                    assert!(length as i32 * q * q + q <= 1 << 24, "{length}: {q}");
                    assert!(q >= 15 || length > 10_000, "{length}: {q} is needlessly small");
                }
            }
        }
    }
}
