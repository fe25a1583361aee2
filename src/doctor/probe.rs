//! What a child of `doctor` does: a few matrix products with OpenBLAS as its environment has it, checked or timed, and what the library
//! reads back. The parent decides what the environment is.
//!
//! Operands are small odd integers, so that every result is exact whatever the order of summation.

use std::num::NonZeroUsize;
use std::time::Instant;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::backend::{OpenBlas, openblas};
use crate::error::Result;
use crate::layer::{Activation, Backend, Engine, Grads, Layer, LayerSpec, Params, Upstream};
use crate::measure::cpu_time;
use crate::scalar::Scalar;

/// What a child answers, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The kernel that the library reads back.
    pub kernel: String,
    /// The threads that the library says it has.
    pub obtained: usize,
    /// CPU time over wall time of the first product; 0 where nothing was timed.
    pub used: f64,
    /// What is wrong with the results, if anything.
    pub wrong: Option<String>,
    /// The shortest time of each of [`PRODUCTS`]; empty where nothing was timed.
    pub seconds: Vec<f64>,
}

/// A product that is timed.
pub struct Product {
    /// How reports call it: m x k x n.
    pub name: &'static str,
    spec: LayerSpec,
    output: Output,
}

/// Which of a layer's three products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// Z = W X.
    Z,
    /// dW = dZ X^T.
    Dw,
    /// dX = W^T dZ.
    Dx,
}

const fn layer(outputs: usize, inputs: usize, batch: usize) -> LayerSpec {
    LayerSpec { inputs, outputs, batch, activation: Activation::Identity }
}

/// The reference workload's first layer forward and backward, and the square that everybody quotes.
pub const PRODUCTS: [Product; 3] = [
    Product { name: "20x12288x209", spec: layer(20, 12288, 209), output: Output::Z },
    Product { name: "20x209x12288", spec: layer(20, 12288, 209), output: Output::Dw },
    Product { name: "512x512x512", spec: layer(512, 512, 512), output: Output::Z },
];

/// What is checked beside them: the other first layer, and sizes around the widths of vectors and blocks.
const CHECKED: [LayerSpec; 8] = [
    layer(7, 12288, 209),
    layer(5, 7, 209),
    layer(1, 5, 209),
    layer(1, 1, 1),
    layer(8, 8, 8),
    layer(31, 33, 32),
    layer(65, 63, 64),
    layer(257, 129, 255),
];

impl Product {
    /// Floating-point operations.
    pub fn flops(&self) -> f64 {
        2.0 * self.spec.inputs as f64 * self.spec.outputs as f64 * self.spec.batch as f64
    }
}

/// All three products of every shape in both scalar types.
///
/// # Errors
/// Of the engine.
pub fn check(threads: NonZeroUsize) -> Result<Answer> {
    let wrong = match complaint_of::<f64>(threads)? {
        Some(complaint) => Some(complaint),
        None => complaint_of::<f32>(threads)?,
    };
    Ok(Answer { kernel: openblas::corename(), obtained: openblas::threads(), used: 0.0, wrong, seconds: Vec::new() })
}

fn complaint_of<T: Scalar>(threads: NonZeroUsize) -> Result<Option<String>>
where
    OpenBlas: Backend<T>,
{
    let engine = OpenBlas.open(threads)?;
    for spec in PRODUCTS.iter().map(|product| product.spec).chain(CHECKED) {
        let mut work = Work::<T>::new(engine.as_ref(), spec)?;
        for output in [Output::Z, Output::Dw, Output::Dx] {
            work.multiply(output)?;
            if let Some(complaint) = work.complaint(output) {
                return Ok(Some(complaint));
            }
        }
    }
    Ok(None)
}

/// How often a product is timed.
const REPEATS: usize = 5;

/// Times each product in `f64`; the results are checked as well, outside the clock.
///
/// # Errors
/// Of the engine.
pub fn time(threads: NonZeroUsize) -> Result<Answer> {
    let engine = Backend::<f64>::open(&OpenBlas, threads)?;
    let (mut seconds, mut used, mut wrong) = (Vec::new(), 0.0_f64, None);
    for (position, product) in PRODUCTS.iter().enumerate() {
        let mut work = Work::new(engine.as_ref(), product.spec)?;
        work.multiply(product.output)?;
        let mut shortest = f64::INFINITY;
        for _ in 0..REPEATS {
            let (cpu, clock) = (cpu_time(), Instant::now());
            work.multiply(product.output)?;
            let wall = clock.elapsed().as_secs_f64();
            shortest = shortest.min(wall);
            // Only of the first: threads that were woken once spin on beside whatever comes later.
            if position == 0 {
                used = used.max((cpu_time() - cpu) / wall);
            }
        }
        seconds.push(shortest);
        wrong = wrong.or_else(|| work.complaint(product.output));
    }
    Ok(Answer { kernel: openblas::corename(), obtained: engine.threads(), used, wrong, seconds })
}

struct Work<T: Scalar> {
    spec: LayerSpec,
    layer: Box<dyn Layer<T>>,
    w: Array2<T>,
    b: Array2<T>,
    x: Array2<T>,
    dz: Array2<T>,
    z: Array2<T>,
    a: Array2<T>,
    dw: Array2<T>,
    db: Array2<T>,
    dx: Array2<T>,
}

impl<T: Scalar> Work<T> {
    fn new(engine: &dyn Engine<T>, spec: LayerSpec) -> Result<Self> {
        let LayerSpec { inputs, outputs, batch, .. } = spec;
        let nan = |dim| Array2::from_elem(dim, T::nan());
        Ok(Work {
            spec,
            layer: engine.plan(spec)?,
            w: odd_integers((outputs, inputs)),
            b: Array2::zeros((outputs, 1)),
            x: odd_integers((inputs, batch)),
            dz: odd_integers((outputs, batch)),
            z: nan((outputs, batch)),
            a: nan((outputs, batch)),
            dw: nan((outputs, inputs)),
            db: nan((outputs, 1)),
            dx: nan((inputs, batch)),
        })
    }

    /// `Dx` brings dW as well: a layer has no pass for it alone.
    fn multiply(&mut self, output: Output) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        match output {
            Output::Z => self.layer.forward(params, self.x.view(), self.z.view_mut(), self.a.view_mut()),
            Output::Dw | Output::Dx => self.layer.backward(
                params,
                self.x.view(),
                self.z.view(),
                Upstream::Dz(self.dz.view()),
                T::one(),
                Grads { dw: self.dw.view_mut(), db: self.db.view_mut() },
                (output == Output::Dx).then(|| self.dx.view_mut()),
            ),
        }
    }

    /// Holds the result C = A B against A (B v) for a vector v without zeros: that costs next to nothing, and one wrong element
    /// of C shows. All numbers are integers below 2^53 (C's below 2^24), so nothing is rounded.
    fn complaint(&self, output: Output) -> Option<String> {
        let wide = |matrix: &Array2<T>| matrix.mapv(Scalar::widen);
        let (w, x, dz) = (wide(&self.w), wide(&self.x), wide(&self.dz));
        let (c, v) = match output {
            Output::Z => (wide(&self.z), without_zeros(x.ncols())),
            Output::Dw => (wide(&self.dw), without_zeros(x.nrows())),
            Output::Dx => (wide(&self.dx), without_zeros(x.ncols())),
        };
        let expected = match output {
            Output::Z => w.dot(&x.dot(&v)),
            Output::Dw => dz.dot(&x.t().dot(&v)),
            Output::Dx => w.t().dot(&dz.dot(&v)),
        };
        let got = c.dot(&v);
        let (row, (got, expected)) =
            got.iter().zip(&expected).enumerate().find(|(_, (got, expected))| got != expected)?;
        let LayerSpec { inputs, outputs, batch, .. } = self.spec;
        Some(format!(
            "row {row} of {output:?} at {outputs}x{inputs}x{batch} in {} sums to {got}, expected {expected}",
            T::KIND
        ))
    }
}

/// Odd integers from -7 to 7, without pattern enough to cancel.
fn odd_integers<T: Scalar>((rows, columns): (usize, usize)) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        let mixed = (i * columns + j) as u64 ^ 0x9E37_79B9;
        T::of(f64::from((mixed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 61) as u32) * 2.0 - 7.0)
    })
}

fn without_zeros(length: usize) -> Array1<f64> {
    Array1::from_shape_fn(length, |i| (2 * (i % 16)) as f64 - 15.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work<T: Scalar>() -> Work<T>
    where
        crate::backend::Naive: Backend<T>,
    {
        let engine = Backend::<T>::open(&crate::backend::Naive, NonZeroUsize::MIN).expect("always there");
        Work::new(engine.as_ref(), layer(20, 700, 209)).expect("an ordinary shape")
    }

    fn add<T: Scalar>(work: &mut Work<T>, output: Output, place: (usize, usize), amount: f64) {
        let c = match output {
            Output::Z => &mut work.z,
            Output::Dw => &mut work.dw,
            Output::Dx => &mut work.dx,
        };
        c[place] += T::of(amount);
    }

    fn one_wrong_element_shows<T: Scalar>()
    where
        crate::backend::Naive: Backend<T>,
    {
        let mut work = work::<T>();
        for output in [Output::Z, Output::Dw, Output::Dx] {
            assert!(work.complaint(output).is_some(), "NaN of an output that was never written must show");
            work.multiply(output).expect("it multiplies");
            assert_eq!(work.complaint(output), None);
            for place in [(0, 0), (19, 208), (7, 100)] {
                add(&mut work, output, place, 1.0);
                let words = work.complaint(output).expect("one element is off by one");
                assert!(words.starts_with(&format!("row {} of {output:?} at 20x700x209", place.0)), "{words}");
                add(&mut work, output, place, -1.0);
            }
        }
    }

    #[test]
    fn a_right_product_passes_and_one_wrong_element_shows() {
        one_wrong_element_shows::<f64>();
        one_wrong_element_shows::<f32>();
    }

    #[test]
    fn operands_are_odd_of_both_signs_and_sums_stay_exact() {
        let numbers: Array2<f64> = odd_integers((20, 209));
        assert!(numbers.iter().all(|n| n.abs() <= 7.0 && (n % 2.0).abs() == 1.0));
        for value in [-7.0, -1.0, 1.0, 7.0] {
            assert!(numbers.iter().any(|&n| n == value));
        }
        assert!(without_zeros(209).iter().all(|&v| v != 0.0));
        for spec in PRODUCTS.iter().map(|product| product.spec).chain(CHECKED) {
            let longest = spec.inputs.max(spec.outputs).max(spec.batch);
            assert!(longest * 49 < 1 << 24, "{spec:?}");
        }
    }
}
