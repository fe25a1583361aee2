//! Memory: windows of larger matrices, guards around outputs, inputs that stay as they are. Data are T0's integers, so that
//! numbers must be right to the last bit.

use ndarray::{Array2, s};

use super::Probe;
use super::exact::Integers;
use crate::error::Result;
use crate::layer::{Activation, Engine, Grads, Params};
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::{Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

/// Rows above and below a window.
const ROWS: usize = 1;
/// Columns to its left: the offsets break every alignment from 8 to 64 bytes.
const OFFSETS: [usize; 4] = [1, 2, 3, 5];
/// Columns to its right.
const RIGHT: usize = 2;

/// `matrix` within a larger one that is full of `fill`, `left` columns in.
fn inside<T: Scalar>(matrix: &Array2<T>, left: usize, fill: T) -> Array2<T> {
    let (rows, columns) = matrix.dim();
    let mut larger = Array2::from_elem((rows + 2 * ROWS, left + columns + RIGHT), fill);
    larger.slice_mut(s![ROWS..ROWS + rows, left..left + columns]).assign(matrix);
    larger
}

macro_rules! window {
    ($larger:expr, $left:expr) => {
        $larger.slice(s![ROWS..$larger.nrows() - ROWS, $left..$larger.ncols() - RIGHT])
    };
}
macro_rules! window_mut {
    ($larger:expr, $left:expr) => {{
        let (rows, columns) = $larger.dim();
        $larger.slice_mut(s![ROWS..rows - ROWS, $left..columns - RIGHT])
    }};
}

/// Z, A, dW, db and dA_prev, each within a larger matrix.
struct Windows<T> {
    left: usize,
    outputs: [Array2<T>; 5],
}

impl<T: Scalar> Windows<T> {
    /// Runs both passes with NaN around each input and `guard` around each output.
    fn run(engine: &dyn Engine<T>, integers: &Integers, left: usize, guard: T) -> Result<Self> {
        let trial: Trial<T> = integers.trial(Kind::Da);
        let [w, b, x, upstream] = trial.inputs().map(|(_, matrix)| inside(matrix, left, T::nan()));
        let z_in = inside(&trial.z, left, T::nan());
        let empty = |matrix: &Array2<T>| inside(&Array2::from_elem(matrix.dim(), T::nan()), left, guard);
        let [mut z, mut a, mut dw, mut db, mut dx] = trial.outputs().map(|(_, matrix)| empty(matrix));
        let params = Params { w: window!(w, left), b: window!(b, left) };
        let mut layer = engine.plan(trial.spec)?;
        in_run(engine, || {
            layer.forward(params, window!(x, left), window_mut!(z, left), window_mut!(a, left))?;
            let grads = Grads { dw: window_mut!(dw, left), db: window_mut!(db, left) };
            let (z, upstream) = (window!(z_in, left), Kind::Da.of(window!(upstream, left)));
            layer.backward(params, window!(x, left), z, upstream, T::one(), grads, Some(window_mut!(dx, left)))
        })?;
        Ok(Windows { left, outputs: [z, a, dw, db, dx] })
    }
}

/// The numbers are right.
pub(super) fn windows<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary, Table::SharedOut, Table::Drawn], |shape, seed| {
        let mut found = Comparison::default();
        let integers = Integers::shared::<T>(shape, Activation::Relu, seed);
        let truth = integers.truth();
        for &left in &OFFSETS[..if shape.work() > 1 << 20 { 1 } else { OFFSETS.len() }] {
            let windows = Windows::<T>::run(engine.as_ref(), &integers, left, T::of(77.0))?;
            for (larger, (what, want)) in windows.outputs.iter().zip(&truth) {
                let label = format!("{what}, {left} columns into its rows");
                found.within(&label, &window!(larger, windows.left).to_owned(), want, |_| 0.0);
            }
        }
        Ok(found)
    })
}

/// The guards are whole.
pub(super) fn guards<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape, seed| {
        let mut found = Comparison::default();
        let integers = Integers::new::<T>(shape, Activation::Relu, seed);
        let guard = T::of(77.0);
        let names = ["Z", "A", "dW", "db", "dA_prev"];
        for left in OFFSETS {
            let mut windows = Windows::<T>::run(engine.as_ref(), &integers, left, guard)?;
            for (larger, what) in windows.outputs.iter_mut().zip(names) {
                window_mut!(larger, left).fill(guard);
                let whole = Array2::from_elem(larger.dim(), guard);
                found.same_bits(&format!("around {what}, {left} columns in"), larger.view(), whole.view());
            }
        }
        Ok(found)
    })
}

/// The same of a bound layer, X too: in a second pass as in the first.
pub(super) fn bound_windows<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[Shape::new(3, 5, 7), Shape::new(20, 130, 33), Shape::new(20, 400, 209)], |shape, seed| {
        let mut found = Comparison::default();
        let batch = shape.batch;
        let integers = Integers::new::<T>(shape, Activation::Relu, seed);
        let trial = integers.trial::<T>(Kind::Da);
        let left = OFFSETS[0];
        let [w, b, x, _] = trial.inputs().map(|(_, matrix)| inside(matrix, left, T::nan()));
        let empty = |like: &Array2<T>| Array2::from_elem(like.dim(), T::nan());
        // X as a window of a larger matrix; and the larger matrix (of its own rows), with the columns that are wanted.
        let x = x.into_shared();
        let rows = s![ROWS..x.nrows() - ROWS, ..];
        let window = s![ROWS..x.nrows() - ROWS, left..left + batch];
        for (x, first) in [(x.clone().slice_move(window), 0), (x.slice_move(rows), left)] {
            let mut bound = engine.bind(trial.spec, x)?;
            bound.import(Params { w: window!(w, left), b: window!(b, left) })?;
            for pass in ["first", "second"] {
                let [mut z, mut a] = [&trial.z, &trial.a].map(|matrix| inside(&empty(matrix), left, T::nan()));
                let columns = first..first + batch;
                in_run(engine.as_ref(), || bound.forward(columns, window_mut!(z, left), window_mut!(a, left)))?;
                for ((what, want), got) in integers.outputs().iter().zip([&z, &a]) {
                    found.within(&format!("{what} of the {pass} pass"), &window!(got, left).to_owned(), want, |_| 0.0);
                }
            }
            let (mut exported, mut biases) = (empty(&w), empty(&b));
            bound.export(window_mut!(exported, left), window_mut!(biases, left))?;
            found.same_bits("W after export", exported.view(), w.view());
            found.same_bits("b after export", biases.view(), b.view());
        }
        Ok(found)
    })
}

/// Inputs keep their bits through both passes, whatever the upstream is.
pub(super) fn inputs<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(&[Table::Ordinary], |shape: Shape, seed| {
        let mut found = Comparison::default();
        for kind in [Kind::Da, Kind::Dz] {
            let mut trial = Trial::<T>::normal(shape, Activation::Relu, seed);
            let before = trial.clone();
            let mut layer = engine.plan(trial.spec)?;
            trial.forward(engine.as_ref(), layer.as_mut())?;
            let z = trial.z.clone();
            trial.backward(engine.as_ref(), layer.as_mut(), kind, T::of(0.5))?;
            for ((what, after), (_, before)) in trial.inputs().into_iter().zip(before.inputs()) {
                found.same_bits(&format!("{what} after a pass from {kind}"), after.view(), before.view());
            }
            found.same_bits(&format!("Z after a pass from {kind}"), trial.z.view(), z.view());
        }
        Ok(found)
    })
}
