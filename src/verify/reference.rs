//! What must come out of a call: computed by plain loops that share no code with any backend, each number with a bound on the
//! error that a correct computation in the scalar type under test may have.
//!
//! Sums are compensated (`Sums`): as good as twice `f64`'s precision. The bounds are those of running error analysis (Higham,
//! *Accuracy and Stability of Numerical Algorithms*, 2002, sections 3.1 and 3.3); [`tolerances`](super::tolerances) lists them.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::golden::{Call, LayerCase};
use super::tolerances::{Growth, SIGMOID_CURVATURE, SIGMOID_ROUNDINGS};
use crate::layer::Activation;
use crate::model::{Architecture, Init, Parameters};
use crate::scalar::Scalar;

/// A matrix and, element by element, what its error may be.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// The value.
    pub value: Array2<f64>,
    /// The bound on the error of a correct computation.
    pub error: Array2<f64>,
}

impl Bounded {
    /// A value without error.
    pub fn exact(value: Array2<f64>) -> Self {
        let error = Array2::zeros(value.dim());
        Bounded { value, error }
    }

    fn from_fn(dim: (usize, usize), f: impl Fn((usize, usize)) -> (f64, f64)) -> Self {
        let mut bounded = Bounded::exact(Array2::zeros(dim));
        for ((at, value), error) in bounded.value.indexed_iter_mut().zip(&mut bounded.error) {
            (*value, *error) = f(at);
        }
        bounded
    }

    /// The transpose.
    pub fn t(&self) -> Self {
        Bounded { value: self.value.t().to_owned(), error: self.error.t().to_owned() }
    }

    fn at(&self, at: (usize, usize)) -> (f64, f64) {
        (self.value[at], self.error[at])
    }
}

/// W and b of a layer, or dW and db.
pub(crate) type Layer = (Bounded, Bounded);

/// All outputs of a call in scalar type `T`, whose inputs are first rounded to `T`.
pub fn outputs<T: Scalar>(call: &Call) -> BTreeMap<String, Bounded> {
    // A fixture may hold any data: the statistical bound would be wrong.
    // And it is a fixture's values that results are held against.
    let reference = Reference { element_u: T::UNIT_ROUNDOFF, ..Reference::of::<T>(Growth::Hard) };
    let rounded = |matrix: &Array2<f64>| matrix.mapv(|x| T::of(x).widen());
    let input = |matrix: &Array2<f64>| Bounded::exact(rounded(matrix));
    let layers = |layers: &[LayerCase]| -> Vec<Layer> { layers.iter().map(|l| (input(&l.w), input(&l.b))).collect() };
    let start = |architecture: &Architecture, init: Init, seed: u32| -> Vec<Layer> {
        exact_layers(&Parameters::<T>::initialized(architecture, init, seed))
    };
    let mut out = BTreeMap::new();
    let mut put = |name: &str, bounded: Bounded| drop(out.insert(name.to_owned(), bounded));
    match call {
        Call::Initialize { architecture, init, seed } => {
            put_layers(&mut put, "", &start(architecture, *init, *seed));
        }
        Call::Forward { layer, a_prev, activation } => {
            let z = reference.linear(&input(&layer.w), &input(a_prev), &input(&layer.b));
            if let Some(activation) = activation {
                put("A", reference.activate(*activation, &z));
            }
            put("Z", z);
        }
        Call::Activate { z, activation } => put("A", reference.activate(*activation, &input(z))),
        Call::ActivationBackward { da, z, activation } => {
            put("dZ", reference.pull_back(*activation, &input(z), &input(da)));
        }
        Call::ModelForward { x, parameters } => {
            let caches =
                reference.model_forward(&input(x), &layers(parameters), &notebook_activations(parameters.len()));
            let (last, _) = caches.last().expect("at least one layer");
            put("AL", last.clone());
            put("caches_len", Bounded::exact(Array2::from_elem((1, 1), parameters.len() as f64)));
            let mut a_prev = input(x);
            for (index, ((a, z), layer)) in caches.iter().zip(layers(parameters)).enumerate() {
                put(&format!("caches[{index}].A_prev"), a_prev);
                put(&format!("caches[{index}].W"), layer.0);
                put(&format!("caches[{index}].b"), layer.1);
                put(&format!("caches[{index}].Z"), z.clone());
                a_prev = a.clone();
            }
        }
        Call::Predict { x, parameters } => {
            let caches =
                reference.model_forward(&input(x), &layers(parameters), &notebook_activations(parameters.len()));
            let (al, _) = caches.last().expect("at least one layer");
            // An answer may go either way where the probability is within its error of one half.
            put(
                "predictions",
                Bounded::from_fn(al.value.dim(), |at| {
                    let (a, error) = al.at(at);
                    (f64::from(a > 0.5), if (a - 0.5).abs() <= error { 1.0 } else { 0.0 })
                }),
            );
            put("probabilities", al.clone());
        }
        Call::Cost { al, y } => put("cost", cost_from_a(&rounded(al), &rounded(y))),
        Call::Backward { upstream, is_da, a_prev, layer, z, activation } => {
            let upstream = input(upstream);
            let dz = if *is_da { reference.pull_back(*activation, &input(z), &upstream) } else { upstream };
            let m = dz.value.ncols();
            let (dw, db) = reference.gradients(&dz, &input(a_prev), 1.0 / m as f64);
            put("dA_prev", reference.product(&input(&layer.w).t(), &dz));
            put("dW", dw);
            put("db", db);
            if *is_da {
                put("dZ", dz);
            }
        }
        Call::ModelBackward { al, y, caches, names } => {
            let mut da = reference.cost_slope(&rounded(al), &rounded(y));
            for (index, cache) in caches.iter().enumerate().rev() {
                let activation = Activation::in_notebook(index, caches.len());
                let dz = reference.pull_back(activation, &input(&cache.z), &da);
                let (dw, db) = reference.gradients(&dz, &input(&cache.a_prev), 1.0 / dz.value.ncols() as f64);
                da = reference.product(&input(&cache.layer.w).t(), &dz);
                put(&format!("dW{}", index + 1), dw);
                put(&format!("db{}", index + 1), db);
                put(&names.da_of_input(index), da.clone());
            }
        }
        Call::Update { parameters, grads, rate } => {
            let rate = T::of(*rate).widen();
            let updated: Vec<_> = layers(parameters)
                .iter()
                .zip(&layers(grads))
                .map(|(layer, grads)| reference.update(layer, grads, rate))
                .collect();
            put_layers(&mut put, "", &updated);
        }
        Call::Train { x, y, architecture, init, seed, rate, iterations } => {
            let (x, y, rate) = (input(x), rounded(y), T::of(*rate).widen());
            let mut parameters = start(architecture, *init, *seed);
            let activations = architecture.activations();
            let mut costs = Vec::new();
            for _ in 0..*iterations {
                costs.push(reference.step((&x, &y), &mut parameters, activations, rate));
            }
            put("costs", Bounded::from_fn((1, costs.len()), |(_, i)| costs[i]));
            put_layers(&mut put, "", &parameters);
        }
    }
    out
}

/// Parameters without error.
pub(crate) fn exact_layers<T: Scalar>(parameters: &Parameters<T>) -> Vec<Layer> {
    let exact = |index| {
        let layer = parameters.layer(index);
        (Bounded::exact(layer.w.mapv(Scalar::widen)), Bounded::exact(layer.b.mapv(Scalar::widen)))
    };
    (0..parameters.architecture().layers()).map(exact).collect()
}

fn notebook_activations(layers: usize) -> Vec<Activation> {
    (0..layers).map(|index| Activation::in_notebook(index, layers)).collect()
}

fn put_layers(put: &mut impl FnMut(&str, Bounded), prefix: &str, layers: &[Layer]) {
    for (index, (w, b)) in layers.iter().enumerate() {
        put(&format!("{prefix}W{}", index + 1), w.clone());
        put(&format!("{prefix}b{}", index + 1), b.clone());
    }
}

/// Sums of products in which no rounding is lost: the compensated dot product of Ogita, Rump and Oishi (SIAM J. Sci. Comput. 26,
/// 2005, algorithm 5.3), a row of them at a time. The result is as if computed in twice the precision, then rounded.
struct Sums {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Sums {
    fn starting_at(value: f64, columns: usize) -> Self {
        Sums { high: vec![value; columns], low: vec![0.0; columns] }
    }

    /// Adds `w x` to the sum of column `j`.
    #[inline]
    fn add(&mut self, j: usize, w: f64, x: f64) {
        let product = w * x;
        let product_error = w.mul_add(x, -product);
        let sum = self.high[j] + product;
        let part = sum - self.high[j];
        let sum_error = (self.high[j] - (sum - part)) + (product - part);
        self.high[j] = sum;
        self.low[j] += product_error + sum_error;
    }

    fn get(&self, j: usize) -> f64 {
        let sum = self.high[j] + self.low[j];
        // Infinity has no rounding error, and its compensation is NaN; the plain sum is in `high`.
        if sum.is_nan() { self.high[j] } else { sum }
    }
}

/// The arithmetic of layers in a scalar type of unit roundoff `u`, with its bounds.
pub(crate) struct Reference {
    /// Of a sum's roundings.
    u: f64,
    /// Of all other roundings. Sums are compensated here; everything else rounds in this reference too, in `f64`.
    element_u: f64,
    tiny: f64,
    growth: Growth,
}

impl Reference {
    /// For results in `T` that are held against this reference's values.
    pub(crate) fn of<T: Scalar>(growth: Growth) -> Self {
        let element_u = T::UNIT_ROUNDOFF + f64::UNIT_ROUNDOFF;
        Reference { u: T::UNIT_ROUNDOFF, element_u, tiny: T::SMALLEST_SUBNORMAL, growth }
    }

    /// A B, each element with the errors of its operands and of its own sum.
    pub(crate) fn product(&self, a: &Bounded, b: &Bounded) -> Bounded {
        let zero = Bounded::exact(Array2::zeros((a.value.nrows(), 1)));
        self.linear(a, b, &zero)
    }

    /// W X + b.
    pub(super) fn linear(&self, w: &Bounded, x: &Bounded, b: &Bounded) -> Bounded {
        let (k, columns) = x.value.dim();
        let mut out = Bounded::exact(Array2::zeros((w.value.nrows(), columns)));
        let (x_values, x_errors) = (x.value.as_standard_layout(), x.error.as_standard_layout());
        let rounding = self.growth.factor(k) * self.u;
        for i in 0..w.value.nrows() {
            let (start, start_error) = b.at((i, 0));
            let mut sums = Sums::starting_at(start, columns);
            let mut sizes = vec![start.abs(); columns];
            let mut carried = vec![start_error; columns];
            for p in 0..k {
                let (w, w_error) = w.at((i, p));
                let row = x_values.row(p);
                for (j, &x) in row.iter().enumerate() {
                    sums.add(j, w, x);
                    sizes[j] += (w * x).abs();
                }
                for ((carried, &x), &x_error) in carried.iter_mut().zip(row).zip(x_errors.row(p)) {
                    *carried += w.abs() * x_error + w_error * (x.abs() + x_error);
                }
            }
            for j in 0..columns {
                out.value[(i, j)] = sums.get(j);
                out.error[(i, j)] = carried[j] + rounding * sizes[j] + k as f64 * self.tiny;
            }
        }
        out
    }

    pub(super) fn activate(&self, activation: Activation, z: &Bounded) -> Bounded {
        Bounded::from_fn(z.value.dim(), |at| {
            let (z, error) = z.at(at);
            match activation {
                Activation::Identity => (z, error),
                Activation::Relu => (if z <= 0.0 { 0.0 } else { z }, error),
                Activation::Sigmoid => {
                    let a = sigmoid(z);
                    (a, error / 4.0 + SIGMOID_ROUNDINGS * self.element_u * a + self.tiny)
                }
            }
        })
    }

    pub(crate) fn pull_back(&self, activation: Activation, z: &Bounded, da: &Bounded) -> Bounded {
        Bounded::from_fn(z.value.dim(), |at| {
            let ((z, z_error), (da, da_error)) = (z.at(at), da.at(at));
            match activation {
                Activation::Identity => (da, da_error),
                Activation::Relu => {
                    let dz = if z <= 0.0 { 0.0 } else { da };
                    let undecided = z_error > 0.0 && z.abs() <= z_error;
                    let error = match (undecided, z <= 0.0) {
                        (true, _) => da.abs() + da_error,
                        (false, true) => 0.0,
                        (false, false) => da_error,
                    };
                    (dz, error)
                }
                Activation::Sigmoid => {
                    let slope = sigmoid(z) * sigmoid(-z);
                    let error = slope * da_error + SIGMOID_CURVATURE * (da.abs() + da_error) * z_error;
                    (da * slope, error + SIGMOID_ROUNDINGS * self.element_u * da.abs() + self.tiny)
                }
            }
        })
    }

    /// dW = scale * dZ A_prev^T and db = scale * row sums of dZ.
    pub(crate) fn gradients(&self, dz: &Bounded, a_prev: &Bounded, scale: f64) -> Layer {
        let scaled = |sum: Bounded, sizes: Array2<f64>| {
            Bounded::from_fn(sum.value.dim(), |at| {
                let (sum, error) = sum.at(at);
                (sum * scale, (error + 2.0 * self.element_u * sizes[at]) * scale.abs() + self.tiny)
            })
        };
        let ones = Bounded::exact(Array2::ones((dz.value.ncols(), 1)));
        let (dz_size, x_size) = (dz.value.mapv(f64::abs), a_prev.value.mapv(f64::abs));
        let dw = scaled(self.product(dz, &a_prev.t()), dz_size.dot(&x_size.t()));
        let db = scaled(self.product(dz, &ones), dz_size.dot(&ones.value));
        (dw, db)
    }

    fn update(&self, (w, b): &Layer, (dw, db): &Layer, rate: f64) -> Layer {
        let descend = |p: &Bounded, d: &Bounded| {
            Bounded::from_fn(p.value.dim(), |at| {
                let ((p, p_error), (d, d_error)) = (p.at(at), d.at(at));
                let error = p_error + rate * d_error + self.element_u * (p.abs() + 3.0 * (rate * d).abs()) + self.tiny;
                (p - rate * d, error)
            })
        };
        (descend(w, dw), descend(b, db))
    }

    /// A and Z of every layer.
    pub(crate) fn model_forward(
        &self,
        x: &Bounded,
        parameters: &[Layer],
        activations: &[Activation],
    ) -> Vec<(Bounded, Bounded)> {
        let mut caches: Vec<(Bounded, Bounded)> = Vec::new();
        for ((w, b), &activation) in parameters.iter().zip(activations) {
            let a_prev = caches.last().map_or(x, |(a, _)| a);
            let z = self.linear(w, a_prev, b);
            caches.push((self.activate(activation, &z), z));
        }
        caches
    }

    /// One training step on cross-entropy, the last activation a sigmoid; returns the cost before it, and its error.
    pub(super) fn step(
        &self,
        (x, y): (&Bounded, &Array2<f64>),
        parameters: &mut [Layer],
        activations: &[Activation],
        rate: f64,
    ) -> (f64, f64) {
        let caches = self.model_forward(x, parameters, activations);
        let (al, zl) = caches.last().expect("at least one layer");
        let m = y.ncols();
        let (mut cost, mut cost_error) = (0.0, 0.0);
        for (at, &y) in y.indexed_iter() {
            let (z, error) = zl.at(at);
            let term = z.max(0.0) - z * y + (-z.abs()).exp().ln_1p();
            cost += term / m as f64;
            // The slope of the loss is a - y; its size also bounds what the f64 sum may lose.
            let size = z.abs() * (1.0 + y.abs()) + 1.0;
            let sum_error = (m + 4) as f64 * f64::EPSILON * size;
            cost_error += ((sigmoid(z) - y).abs() * error + error * error / 8.0 + sum_error) / m as f64;
        }
        let mut dz = Bounded::from_fn(y.dim(), |at| {
            let (a, error) = al.at(at);
            (a - y[at], error + self.element_u * (a - y[at]).abs())
        });
        for index in (0..parameters.len()).rev() {
            let a_prev = if index == 0 { x } else { &caches[index - 1].0 };
            let grads = self.gradients(&dz, a_prev, 1.0 / m as f64);
            if index > 0 {
                let da = self.product(&parameters[index].0.t(), &dz);
                dz = self.pull_back(activations[index - 1], &caches[index - 1].1, &da);
            }
            parameters[index] = self.update(&parameters[index], &grads, rate);
        }
        (cost, cost_error)
    }

    fn cost_slope(&self, al: &Array2<f64>, y: &Array2<f64>) -> Bounded {
        Bounded::from_fn(al.dim(), |at| {
            let (right, wrong) = (y[at] / al[at], (1.0 - y[at]) / (1.0 - al[at]));
            (-(right - wrong), 4.0 * self.u * (right.abs() + wrong.abs()))
        })
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The cost is summed in `f64` whatever the scalar, so its error is that of `f64`.
fn cost_from_a(al: &Array2<f64>, y: &Array2<f64>) -> Bounded {
    let m = al.ncols();
    let (mut sum, mut size) = (0.0, 0.0);
    for (&a, &y) in al.iter().zip(y) {
        let right = if y == 0.0 { 0.0 } else { y * a.ln() };
        let wrong = if y == 1.0 { 0.0 } else { (1.0 - y) * (1.0 - a).ln() };
        sum -= right + wrong;
        size += right.abs() + wrong.abs() + y.abs() + (1.0 - y).abs();
    }
    let error = (m + 4) as f64 * f64::EPSILON / 2.0 * size / m as f64;
    Bounded::from_fn((1, 1), |_| (sum / m as f64, error))
}
