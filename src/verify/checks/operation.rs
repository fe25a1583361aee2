//! T1: the products of one layer on random data, against compensated sums and the bound of rounding. Activations are T3's.

use ndarray::{Array2, Axis};
use rand_mt::Mt;

use super::Probe;
use crate::error::Result;
use crate::layer::{Activation, Engine};
use crate::scalar::Scalar;
use crate::verify::cases::{Depth, Shape, Table};
use crate::verify::compare::Comparison;
use crate::verify::reference::{Bounded, Reference};
use crate::verify::tolerances::Growth;
use crate::verify::trial::{Kind, Trial};

const TABLES: [Table; 3] = [Table::Ordinary, Table::Long, Table::DrawnLittle];

/// How many columns of each output are held where the product has more multiply-adds than are computed again: a wrong kernel is seldom
/// wrong in few columns, and T0 sees each element.
fn columns(depth: Depth, shape: Shape) -> usize {
    let (full, columns) = match depth {
        Depth::Quick => (1 << 20, 8),
        Depth::Normal => (1 << 22, 64),
        Depth::Full => (1 << 26, 64),
    };
    if shape.work() > full { columns } else { usize::MAX }
}

/// Z.
pub(super) fn forward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (engine, depth) = (probe.open()?, probe.depth());
    probe.each(&TABLES, |shape, seed| {
        let drawn = Drawn { most: columns(depth, shape), seed };
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        hold_forward(engine.as_ref(), trial, Growth::Statistical, drawn, &mut found)?;
        Ok(found)
    })
}

/// dW, db and dA_prev, from dZ.
pub(super) fn backward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (engine, depth) = (probe.open()?, probe.depth());
    probe.each(&TABLES, |shape, seed| {
        let drawn = Drawn { most: columns(depth, shape), seed };
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        hold_backward(engine.as_ref(), trial, Growth::Statistical, drawn, &mut found)?;
        Ok(found)
    })
}

/// Data of one sign, where roundings do not cancel: random between 1/2 and 3/2, and all the same.
pub(super) fn one_sign<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (engine, depth) = (probe.open()?, probe.depth());
    probe.each(&TABLES, |shape, seed| {
        let drawn = Drawn { most: columns(depth, shape), seed };
        let mut found = Comparison::default();
        for trial in [positive(shape, seed), constant(shape)] {
            hold_forward(engine.as_ref(), trial.clone(), Growth::Hard, drawn, &mut found)?;
            hold_backward(engine.as_ref(), trial, Growth::Hard, drawn, &mut found)?;
        }
        Ok(found)
    })
}

fn positive<T: Scalar>(shape: Shape, seed: u32) -> Trial<T> {
    let mut random = Mt::new(seed);
    let mut number = || T::of(0.5 + f64::from(random.next_u32()) / f64::from(u32::MAX));
    Trial::filled(shape, Activation::Identity, |dim| Array2::from_shape_simple_fn(dim, &mut number))
}

/// A third is rounded in both types, and so is each of its sums.
fn constant<T: Scalar>(shape: Shape) -> Trial<T> {
    Trial::filled(shape, Activation::Identity, |dim| Array2::from_elem(dim, T::of(1.0 / 3.0)))
}

/// The layers that are measured, at the batches that they are measured at.
pub(super) fn workload<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let (engine, depth) = (probe.open()?, probe.depth());
    // T0 has them exactly on every thread count.
    if depth < Depth::Full && !probe.is_outermost() {
        return Ok(());
    }
    let is_tried = |shape: &Shape| depth > Depth::Quick || shape.work() <= 1 << 22;
    probe.each_where(&[Table::Workload], is_tried, |shape, seed| {
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        let drawn = Drawn { most: columns(depth, shape), seed };
        hold_forward(engine.as_ref(), trial.clone(), Growth::Statistical, drawn, &mut found)?;
        hold_backward(engine.as_ref(), trial, Growth::Statistical, drawn, &mut found)?;
        Ok(found)
    })
}

/// A matrix as the reference takes it.
pub(super) fn exact<T: Scalar>(matrix: &Array2<T>) -> Bounded {
    Bounded::exact(matrix.mapv(Scalar::widen))
}

/// Some columns of an output, drawn, or all.
#[derive(Clone, Copy)]
struct Drawn {
    most: usize,
    seed: u32,
}

impl Drawn {
    /// Of so many.
    fn of(self, columns: usize) -> Vec<usize> {
        if columns <= self.most {
            return (0..columns).collect();
        }
        let mut random = Mt::new(self.seed);
        let mut drawn: Vec<usize> = (1..self.most).map(|_| random.next_u32() as usize % columns).collect();
        // The last lies in a kernel's tail.
        drawn.push(columns - 1);
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    }
}

fn hold_forward<T: Scalar>(
    engine: &dyn Engine<T>,
    mut trial: Trial<T>,
    growth: Growth,
    drawn: Drawn,
    found: &mut Comparison,
) -> Result<()> {
    let mut layer = engine.plan(trial.spec)?;
    trial.forward(engine, layer.as_mut())?;
    let columns = drawn.of(trial.x.ncols());
    let truth = Reference::of::<T>(growth).linear(&exact(&trial.w), &some(&trial.x, &columns), &exact(&trial.b));
    found.bounded(&among("Z", &columns, trial.z.ncols()), &trial.z.select(Axis(1), &columns), &truth);
    found.same_bits("A", trial.a.view(), trial.z.view());
    Ok(())
}

fn hold_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    mut trial: Trial<T>,
    growth: Growth,
    drawn: Drawn,
    found: &mut Comparison,
) -> Result<()> {
    // The notebook's scale, which is no power of two; Z is not looked at.
    let scale = T::one() / T::of(trial.spec.batch.max(1) as f64);
    let mut layer = engine.plan(trial.spec)?;
    trial.backward(engine, layer.as_mut(), Kind::Dz, scale)?;
    let reference = Reference::of::<T>(growth);
    let inputs = drawn.of(trial.x.nrows());
    let (dw, db) = reference.gradients(
        &exact(&trial.upstream),
        &Bounded::exact(trial.x.select(Axis(0), &inputs).mapv(Scalar::widen)),
        scale.widen(),
    );
    found.bounded(&among("dW", &inputs, trial.dw.ncols()), &trial.dw.select(Axis(1), &inputs), &dw);
    found.bounded("db", &trial.db, &db);
    let columns = drawn.of(trial.x.ncols());
    let dx = reference.product(&exact(&trial.w).t(), &some(&trial.upstream, &columns));
    found.bounded(&among("dA_prev", &columns, trial.dx.ncols()), &trial.dx.select(Axis(1), &columns), &dx);
    Ok(())
}

/// Some columns of a matrix, as the reference takes it.
fn some<T: Scalar>(matrix: &Array2<T>, columns: &[usize]) -> Bounded {
    Bounded::exact(matrix.select(Axis(1), columns).mapv(Scalar::widen))
}

/// An output's name; its columns are counted among the drawn ones.
fn among(what: &str, columns: &[usize], all: usize) -> String {
    if columns.len() == all { what.into() } else { format!("{what} in {} drawn columns", columns.len()) }
}
