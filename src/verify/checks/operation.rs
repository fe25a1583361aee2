//! T1: the products of one layer on random data, against compensated sums and the bound of rounding. Activations are T3's.

use ndarray::Array2;
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

/// The reference workload's own layer only where time does not matter: T0 has it exactly.
fn tables(depth: Depth) -> &'static [Table] {
    if depth == Depth::Full {
        &[Table::Ordinary, Table::Long, Table::Workload]
    } else {
        &[Table::Ordinary, Table::Long]
    }
}

/// Z.
pub(super) fn forward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(tables(probe.depth()), |shape, seed| {
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        hold_forward(engine.as_ref(), trial, Growth::Statistical, &mut found)?;
        Ok(found)
    })
}

/// dW, db and dA_prev, from dZ.
pub(super) fn backward<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(tables(probe.depth()), |shape, seed| {
        let mut found = Comparison::default();
        let trial = Trial::<T>::normal(shape, Activation::Identity, seed);
        hold_backward(engine.as_ref(), trial, Growth::Statistical, &mut found)?;
        Ok(found)
    })
}

/// Data of one sign, where roundings do not cancel: random between 1/2 and 3/2, and all the same.
pub(super) fn one_sign<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each(tables(probe.depth()), |shape, seed| {
        let mut found = Comparison::default();
        for trial in [positive(shape, seed), constant(shape)] {
            hold_forward(engine.as_ref(), trial.clone(), Growth::Hard, &mut found)?;
            hold_backward(engine.as_ref(), trial, Growth::Hard, &mut found)?;
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

/// A matrix as the reference takes it.
pub(super) fn exact<T: Scalar>(matrix: &Array2<T>) -> Bounded {
    Bounded::exact(matrix.mapv(Scalar::widen))
}

fn hold_forward<T: Scalar>(
    engine: &dyn Engine<T>,
    mut trial: Trial<T>,
    growth: Growth,
    found: &mut Comparison,
) -> Result<()> {
    let mut layer = engine.plan(trial.spec)?;
    trial.forward(engine, layer.as_mut())?;
    let truth = Reference::of::<T>(growth).linear(&exact(&trial.w), &exact(&trial.x), &exact(&trial.b));
    found.bounded("Z", &trial.z, &truth);
    found.same_bits("A", trial.a.view(), trial.z.view());
    Ok(())
}

fn hold_backward<T: Scalar>(
    engine: &dyn Engine<T>,
    mut trial: Trial<T>,
    growth: Growth,
    found: &mut Comparison,
) -> Result<()> {
    // The notebook's scale, which is no power of two; Z is not looked at.
    let scale = T::one() / T::of(trial.spec.batch.max(1) as f64);
    let mut layer = engine.plan(trial.spec)?;
    trial.backward(engine, layer.as_mut(), Kind::Dz, scale)?;
    let reference = Reference::of::<T>(growth);
    let dz = exact(&trial.upstream);
    let (dw, db) = reference.gradients(&dz, &exact(&trial.x), scale.widen());
    found.bounded("dW", &trial.dw, &dw);
    found.bounded("db", &trial.db, &db);
    found.bounded("dA_prev", &trial.dx, &reference.product(&exact(&trial.w).t(), &dz));
    Ok(())
}
