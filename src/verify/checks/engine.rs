//! The engine as such: it is what was asked for, and nothing else in silence.

use std::num::NonZeroUsize;

use super::Probe;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::verify::compare::Comparison;

/// Exactly the threads that were asked for, the same description at each opening, and a refusal where a serial backend is asked
/// for more than one.
pub(super) fn as_asked<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    probe.once(|probe| {
        let mut found = Comparison::default();
        let first = probe.open()?;
        found.equal("threads of the engine", first.threads() as f64, probe.threads().get() as f64);
        let again = probe.open()?;
        found.equal("threads of a second engine", again.threads() as f64, probe.threads().get() as f64);
        let same = first.description() == again.description() && !first.description().is_empty();
        found.equal("engines that describe themselves alike, of two", 1.0 + f64::from(u8::from(same)), 2.0);
        if !probe.entry().profile().parallel {
            let two = NonZeroUsize::MIN.saturating_add(1);
            let refused = probe.entry().open::<T>(two).is_err();
            found.equal("refusals of a second thread by a serial backend", f64::from(u8::from(refused)), 1.0);
        }
        Ok(found)
    })
}
