//! Data that invite a shortcut: what looks alike and is not, and zeros. Everything is exact.

use super::Probe;
use super::whole::Whole;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::Kind;

const SHAPES: [Shape; 4] = [Shape::new(5, 12, 33), Shape::new(9, 7, 8), Shape::new(3, 64, 20), Shape::new(33, 65, 17)];

/// Examples, units and rows that agree nearly everywhere; zeros of both signs.
pub(super) fn alike<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&SHAPES, |shape, seed| {
        let mut found = Comparison::default();
        for (name, whole) in [
            ("neighbours alike at both ends", neighbours(shape, seed)),
            ("one input apart", one_apart(shape, seed)),
            ("zeros in places", with_zeros(shape, seed)),
            ("rows repeated", repeated(shape, seed)),
        ] {
            let mut trial = whole.trial::<T>();
            let mut layer = engine.plan(trial.spec)?;
            trial.forward(engine.as_ref(), layer.as_mut())?;
            trial.backward(engine.as_ref(), layer.as_mut(), Kind::Dz, T::one())?;
            whole.truth().hold(&mut found, &format!("({name})"), &trial);
        }
        // Zeros are part of what is tried here.
        found.zeros = 0;
        Ok(found)
    })
}

/// Pairs of neighbouring examples, and of units, that agree in the first two and the last two elements only.
fn neighbours(shape: Shape, seed: u32) -> Whole {
    let mut whole = Whole::odd(shape, seed);
    for matrix in [&mut whole.x, &mut whole.dz] {
        let (rows, columns) = matrix.dim();
        for column in (1..columns).step_by(2) {
            for row in (0..rows).filter(|&row| row < 2 || row + 2 >= rows) {
                matrix[(row, column)] = matrix[(row, column - 1)];
            }
        }
    }
    let (rows, columns) = whole.w.dim();
    for row in (1..rows).step_by(2) {
        for column in (0..columns).filter(|&column| column < 2 || column + 2 >= columns) {
            whole.w[(row, column)] = whole.w[(row - 1, column)];
        }
    }
    whole
}

/// All examples are the first but for one input each, all units but for one weight each.
fn one_apart(shape: Shape, seed: u32) -> Whole {
    let mut whole = Whole::odd(shape, seed);
    for matrix in [&mut whole.x, &mut whole.dz] {
        let (rows, columns) = matrix.dim();
        for column in 1..columns {
            let first = matrix.column(0).to_owned();
            matrix.column_mut(column).assign(&first);
            let row = (7 * column) % rows.max(1);
            if let Some(element) = matrix.get_mut((row, column)) {
                *element = -*element;
            }
        }
    }
    let (rows, columns) = whole.w.dim();
    for row in 1..rows {
        let first = whole.w.row(0).to_owned();
        whole.w.row_mut(row).assign(&first);
        if let Some(element) = whole.w.get_mut((row, (5 * row) % columns.max(1))) {
            *element = -*element;
        }
    }
    whole
}

/// Every third element of each input is zero, of either sign; so are a row and a column.
fn with_zeros(shape: Shape, seed: u32) -> Whole {
    let mut whole = Whole::odd(shape, seed);
    for matrix in [&mut whole.w, &mut whole.b, &mut whole.x, &mut whole.dz] {
        for (place, element) in matrix.iter_mut().enumerate() {
            match place % 6 {
                2 => *element = 0.0,
                5 => *element = -0.0,
                _ => {}
            }
        }
        let (rows, columns) = matrix.dim();
        if rows > 2 && columns > 2 {
            matrix.row_mut(1).fill(0.0);
            matrix.column_mut(columns - 2).fill(-0.0);
        }
    }
    whole
}

/// Rows that are the same as others, next to them and far away.
fn repeated(shape: Shape, seed: u32) -> Whole {
    let mut whole = Whole::odd(shape, seed);
    for matrix in [&mut whole.w, &mut whole.x, &mut whole.dz] {
        let rows = matrix.nrows();
        for (from, to) in [(0, 1), (0, rows.saturating_sub(1)), (rows / 2, 2)] {
            if to < rows {
                let row = matrix.row(from).to_owned();
                matrix.row_mut(to).assign(&row);
            }
        }
    }
    whole
}
