//! T3: a layer through its activation and back, with the errors of one pass carried into the next. Single products are T1's.

use super::Probe;
use super::operation::exact;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::verify::cases::Table;
use crate::verify::compare::Comparison;
use crate::verify::reference::Reference;
use crate::verify::tolerances::Growth;
use crate::verify::trial::{ACTIVATIONS, Trial};

/// Forward, then backward from dA with the Z that came out.
pub(super) fn layer<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    let reference = Reference::of::<T>(Growth::Statistical);
    probe.each(&[Table::Ordinary, Table::DrawnLittle], |shape, seed| {
        let mut found = Comparison::default();
        for activation in ACTIVATIONS {
            let mut trial = Trial::<T>::normal(shape, activation, seed);
            let scale = T::one() / T::of(shape.batch.max(1) as f64);
            trial.run(engine.as_ref(), scale)?;
            let (w, x) = (exact(&trial.w), exact(&trial.x));
            let z = reference.linear(&w, &x, &exact(&trial.b));
            let a = reference.activate(activation, &z);
            let dz = reference.pull_back(activation, &z, &exact(&trial.upstream));
            let (dw, db) = reference.gradients(&dz, &x, scale.widen());
            let dx = reference.product(&w.t(), &dz);
            for ((what, got), truth) in trial.outputs().into_iter().zip([&z, &a, &dw, &db, &dx]) {
                found.bounded(&format!("{what} ({activation})"), got, truth);
            }
        }
        Ok(found)
    })
}
