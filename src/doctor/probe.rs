//! What a child of `doctor` does: a few matrix products with OpenBLAS as its environment has it, checked or timed, and what the library
//! reads back. The parent decides what the environment is.
//!
//! Operands are small odd integers, so that every result is exact whatever the order of summation.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::backend::{Entry, OpenBlas, openblas};
use crate::error::Result;
use crate::layer::{Activation, Backend, Engine, Grads, Layer, LayerSpec, Params, Upstream};
use crate::measure::cpu_time;
use crate::scalar::ScalarKind;
use crate::verify::expect_verified;

/// What a child answers, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The kernel that the library reads back.
    pub kernel: String,
    /// The threads that the library says it has.
    pub obtained: usize,
    /// CPU time over wall time of the first product.
    pub used: f64,
    /// What is wrong with the results, if anything.
    pub wrong: Option<String>,
    /// The shortest time of each product.
    pub seconds: Vec<f64>,
}

/// A product that is timed.
pub struct Product {
    /// How reports call it.
    pub name: &'static str,
    spec: LayerSpec,
    pass: Pass,
}

enum Pass {
    /// Z = W X.
    Forward,
    /// dW = dZ X^T.
    WeightGradient,
}

const FIRST_LAYER: LayerSpec = LayerSpec { inputs: 12288, outputs: 20, batch: 209, activation: Activation::Identity };
const SQUARE: LayerSpec = LayerSpec { inputs: 512, outputs: 512, batch: 512, activation: Activation::Identity };

/// The reference workload's first layer forward and backward, and the square that everybody quotes.
pub const PRODUCTS: [Product; 3] = [
    Product { name: "20x12288x209", spec: FIRST_LAYER, pass: Pass::Forward },
    Product { name: "20x209x12288", spec: FIRST_LAYER, pass: Pass::WeightGradient },
    Product { name: "512x512x512", spec: SQUARE, pass: Pass::Forward },
];

impl Product {
    /// Floating-point operations.
    pub fn flops(&self) -> f64 {
        2.0 * self.spec.inputs as f64 * self.spec.outputs as f64 * self.spec.batch as f64
    }
}

/// The exact check of `verify` in both scalar types, and the products that will be timed.
pub fn check(threads: NonZeroUsize) -> Result<Answer> {
    let entry = Entry::both(OpenBlas);
    let failure = ScalarKind::ALL.iter().find_map(|&scalar| expect_verified(&entry, scalar, &[threads], &[]).err());
    let mut answer = run(threads, 1)?;
    answer.wrong = failure.map(|error| error.to_string()).or(answer.wrong);
    Ok(answer)
}

/// Times each product.
pub fn time(threads: NonZeroUsize) -> Result<Answer> {
    run(threads, 5)
}

fn run(threads: NonZeroUsize, repeats: usize) -> Result<Answer> {
    let engine: Arc<dyn Engine<f64>> = OpenBlas.open(threads)?;
    let (mut seconds, mut used, mut wrong) = (Vec::new(), 0.0_f64, None);
    for (position, product) in PRODUCTS.iter().enumerate() {
        let mut work = Work::new(engine.as_ref(), product)?;
        work.multiply()?;
        let mut shortest = f64::INFINITY;
        for _ in 0..repeats {
            let (cpu, clock) = (cpu_time(), Instant::now());
            work.multiply()?;
            let wall = clock.elapsed().as_secs_f64();
            shortest = shortest.min(wall);
            if position == 0 {
                used = used.max((cpu_time() - cpu) / wall);
            }
        }
        seconds.push(shortest);
        wrong = wrong.or_else(|| work.complaint());
    }
    Ok(Answer { kernel: openblas::corename(), obtained: engine.threads(), used, wrong, seconds })
}

struct Work<'a> {
    product: &'a Product,
    layer: Box<dyn Layer<f64>>,
    w: Array2<f64>,
    b: Array2<f64>,
    x: Array2<f64>,
    dz: Array2<f64>,
    z: Array2<f64>,
    a: Array2<f64>,
    dw: Array2<f64>,
    db: Array2<f64>,
}

impl<'a> Work<'a> {
    fn new(engine: &dyn Engine<f64>, product: &'a Product) -> Result<Self> {
        let LayerSpec { inputs, outputs, batch, .. } = product.spec;
        let nan = |dim| Array2::from_elem(dim, f64::NAN);
        Ok(Work {
            product,
            layer: engine.plan(product.spec)?,
            w: odd_integers((outputs, inputs)),
            b: Array2::zeros((outputs, 1)),
            x: odd_integers((inputs, batch)),
            dz: odd_integers((outputs, batch)),
            z: nan((outputs, batch)),
            a: nan((outputs, batch)),
            dw: nan((outputs, inputs)),
            db: nan((outputs, 1)),
        })
    }

    fn multiply(&mut self) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        match self.product.pass {
            Pass::Forward => self.layer.forward(params, self.x.view(), self.z.view_mut(), self.a.view_mut()),
            Pass::WeightGradient => self.layer.backward(
                params,
                self.x.view(),
                self.z.view(),
                Upstream::Dz(self.dz.view()),
                1.0,
                Grads { dw: self.dw.view_mut(), db: self.db.view_mut() },
                None,
            ),
        }
    }

    /// Holds the result C = A B against A (B v) for a vector v without zeros, which costs next to nothing and where one wrong
    /// element of C shows: all numbers are integers below 2^53.
    fn complaint(&self) -> Option<String> {
        let (c, expected) = match self.product.pass {
            Pass::Forward => (&self.z, self.w.dot(&self.x.dot(&probe(self.x.ncols())))),
            Pass::WeightGradient => (&self.dw, self.dz.dot(&self.x.t().dot(&probe(self.x.nrows())))),
        };
        let got = c.dot(&probe(c.ncols()));
        let (row, (got, expected)) =
            got.iter().zip(&expected).enumerate().find(|(_, (got, expected))| got != expected)?;
        Some(format!("{}: row {row} of the result sums to {got}, expected {expected}", self.product.name))
    }
}

/// Odd integers from -7 to 7, without pattern enough to cancel.
fn odd_integers((rows, columns): (usize, usize)) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        let mixed = (i * columns + j) as u64 ^ 0x9E37_79B9;
        f64::from((mixed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 61) as u32) * 2.0 - 7.0
    })
}

fn probe(length: usize) -> Array1<f64> {
    Array1::from_shape_fn(length, |i| (2 * (i % 16)) as f64 - 15.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Arc<dyn Engine<f64>> {
        crate::backend::Naive.open(NonZeroUsize::MIN).expect("always there")
    }

    #[test]
    fn a_right_product_passes_and_one_wrong_element_shows() {
        for product in &PRODUCTS[..2] {
            let mut work = Work::new(engine().as_ref(), product).expect("an ordinary shape");
            assert!(work.complaint().is_some(), "NaN of an output that was never written must show");
            work.multiply().expect("it multiplies");
            assert_eq!(work.complaint(), None);
            let c = if matches!(product.pass, Pass::Forward) { &mut work.z } else { &mut work.dw };
            for (i, j) in [(0, 0), (19, 208), (7, 100)] {
                c[(i, j)] += 1.0;
                assert!(work_complains(product, c, i), "{} at {i},{j}", product.name);
                c[(i, j)] -= 1.0;
            }
        }
    }

    fn work_complains(product: &Product, c: &Array2<f64>, row: usize) -> bool {
        let mut work = Work::new(engine().as_ref(), product).expect("an ordinary shape");
        (work.z, work.dw) = (c.clone(), c.clone());
        work.complaint().is_some_and(|words| words.contains(&format!("row {row} ")))
    }

    #[test]
    fn operands_are_odd_of_both_signs() {
        let numbers = odd_integers((20, 209));
        assert!(numbers.iter().all(|n| n.abs() <= 7.0 && (n % 2.0).abs() == 1.0));
        for value in [-7.0, -1.0, 1.0, 7.0] {
            assert!(numbers.iter().any(|&n| n == value));
        }
        assert!(probe(209).iter().all(|&v| v != 0.0));
    }
}
