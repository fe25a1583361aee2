//! The exact check: small odd integers, whose sums of products are exact in any order, so that every backend must agree with
//! integer arithmetic bit for bit. No tolerance is needed, and one dropped or doubled product shows.
//!
//! Factors are at most q with `k q^2 + q < 2^p` for each accumulation of length k (p = 24 or 53 bits): then every partial sum
//! is an integer that the scalar type represents. Odd factors: no product is zero, none can be lost unseen.

use ndarray::{Array2, ArrayView2};
use rand_mt::Mt;

use super::compare::{Worst, worst};
use crate::error::Result;
use crate::layer::{Activation, Engine, Grads, LayerSpec, Params, Upstream};
use crate::network::in_run;
use crate::scalar::Scalar;

/// The name of this check in reports.
pub const NAME: &str = "exact_integers";

/// (n, n_prev, m): one of each, the sizes around lane widths, and the reference workload's first layers.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 5, 7),
    (7, 1, 5),
    (5, 7, 1),
    (3, 17, 9),
    (8, 8, 8),
    (31, 33, 32),
    (65, 63, 64),
    (1, 5, 209),
    (5, 7, 209),
    (7, 12288, 209),
    (20, 12288, 209),
];

/// Runs the check on one engine: forward, and backward with both kinds of upstream.
///
/// # Errors
/// Of the engine.
pub fn check<T: Scalar>(engine: &dyn Engine<T>) -> Result<Worst> {
    let mut all: Option<Worst> = None;
    for (position, &(outputs, inputs, batch)) in SHAPES.iter().enumerate() {
        for activation in [Activation::Relu, Activation::Identity] {
            let spec = LayerSpec { inputs, outputs, batch, activation };
            let found = check_shape(engine, spec, position as u32 + 1)?;
            all = Some(match all {
                Some(worst) => worst.or_worse(found),
                None => found,
            });
        }
    }
    Ok(all.expect("there are shapes"))
}

fn check_shape<T: Scalar>(engine: &dyn Engine<T>, spec: LayerSpec, seed: u32) -> Result<Worst> {
    let LayerSpec { inputs, outputs, batch, activation } = spec;
    let mut random = Mt::new(seed);
    let mut odd = |dim, longest| odd_integers(dim, limit::<T>(longest), &mut random);
    // W and dZ take part in two products each: the longer sum bounds them.
    let w = odd((outputs, inputs), inputs.max(outputs));
    let b = odd((outputs, 1), inputs);
    let x = odd((inputs, batch), inputs.max(batch));
    let da = odd((outputs, batch), batch.max(outputs));

    let relu = activation == Activation::Relu;
    let mut want_z = integer_product(w.view(), x.view());
    for (mut row, b) in want_z.rows_mut().into_iter().zip(&b) {
        row.mapv_inplace(|z| z + b);
    }
    let want_a = want_z.mapv(|z| if relu { z.max(0) } else { z });
    let mut dz = da.clone();
    dz.zip_mut_with(&want_z, |dz, &z| *dz = if relu && z <= 0 { 0 } else { *dz });

    let scalars = |integers: &Array2<i32>| integers.mapv(|i| T::of(f64::from(i)));
    let (w_t, b_t, x_t, da_t, z_t, dz_t) =
        (scalars(&w), scalars(&b), scalars(&x), scalars(&da), scalars(&want_z), scalars(&dz));
    let nan = |dim| Array2::from_elem(dim, T::nan());
    let params = Params { w: w_t.view(), b: b_t.view() };
    let (mut z, mut a) = (nan(want_z.dim()), nan(want_z.dim()));
    let mut layer = engine.plan(spec)?;
    in_run(engine, || layer.forward(params, x_t.view(), z.view_mut(), a.view_mut()))?;

    let mut verdict = hold("Z", spec, &z, &want_z).or_worse(hold("A", spec, &a, &want_a));
    let want_dw = integer_product(dz.view(), x.t());
    let want_db = integer_product(dz.view(), Array2::ones((batch, 1)).view());
    let want_dx = integer_product(w.t(), dz.view());
    for upstream in [Upstream::Da(da_t.view()), Upstream::Dz(dz_t.view())] {
        let (mut dw, mut db, mut dx) = (nan(w.dim()), nan(b.dim()), nan(x.dim()));
        in_run(engine, || {
            let grads = Grads { dw: dw.view_mut(), db: db.view_mut() };
            layer.backward(params, x_t.view(), z_t.view(), upstream, T::one(), grads, Some(dx.view_mut()))
        })?;
        for (what, got, want) in [("dW", &dw, &want_dw), ("db", &db, &want_db), ("dA_prev", &dx, &want_dx)] {
            verdict = verdict.or_worse(hold(what, spec, got, want));
        }
    }
    Ok(verdict)
}

fn hold<T: Scalar>(what: &str, spec: LayerSpec, got: &Array2<T>, want: &Array2<i32>) -> Worst {
    let LayerSpec { inputs, outputs, batch, activation } = spec;
    let label = format!("{what} at {outputs}x{inputs}x{batch} {activation}");
    worst(&label, &got.mapv(Scalar::widen), &want.mapv(f64::from), |_| 0.0)
}

/// The largest factor for sums of `length` products and one bias, at most 15: enough to tell factors apart.
fn limit<T: Scalar>(length: usize) -> i32 {
    let integers = 1.0 / T::UNIT_ROUNDOFF;
    (1..=15).rev().step_by(2).find(|&q| f64::from(length as i32 * q * q + q) <= integers).unwrap_or(1)
}

/// Odd integers of both signs, at most `limit` in size.
fn odd_integers(dim: (usize, usize), limit: i32, random: &mut Mt) -> Array2<i32> {
    let count = (limit + 1) as u64;
    Array2::from_shape_simple_fn(dim, || 2 * ((u64::from(random.next_u32()) * count) >> 32) as i32 - limit)
}

/// A B. Integers in f64 would do as well, but then the reference would be what is tested.
fn integer_product(a: ArrayView2<'_, i32>, b: ArrayView2<'_, i32>) -> Array2<i32> {
    let b = b.as_standard_layout();
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    for (mut c, a) in c.rows_mut().into_iter().zip(a.rows()) {
        for (&a, b) in a.iter().zip(b.rows()) {
            c.zip_mut_with(&b, |c, &b| *c += a * b);
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_odd_of_both_signs_and_within_the_limit() {
        let numbers = odd_integers((50, 40), 15, &mut Mt::new(1));
        assert!(numbers.iter().all(|n| n % 2 != 0 && n.abs() <= 15));
        assert!(numbers.iter().any(|&n| n == 15) && numbers.iter().any(|&n| n == -15));
    }

    #[test]
    fn every_partial_sum_is_a_representable_integer() {
        for &(n, k, m) in &SHAPES {
            for length in [n, k, m] {
                let q = limit::<f32>(length);
                assert!(length as i32 * q * q + q <= 1 << 24, "{length}: {q}");
                assert!(q >= 15 || length > 10_000, "{length}: {q} is needlessly small");
            }
        }
    }
}
