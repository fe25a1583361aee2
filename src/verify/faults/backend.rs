//! The backend, engine and bound layer around the faulty layer, with the bugs of their level.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArcArray2, ArrayView2, ArrayViewMut2};

use super::bug::Bug;
use super::kernel::coin;
use super::layer::{FaultyLayer, Shared};
use crate::error::{Error, Result};
use crate::layer::{
    Activation, Backend, BoundLayer, Descent, Determinism, Engine, Layer, LayerSpec, Params, PlannedBound, Profile,
    Upstream,
};
use crate::scalar::Scalar;

/// A backend with one seeded bug.
pub(super) struct Faulty {
    pub bug: Bug,
    pub name: &'static str,
}

impl Faulty {
    /// Whether the bug needs threads; the others are spared the second run.
    fn parallel(&self) -> bool {
        matches!(self.bug, Bug::RemainderRows | Bug::ThreadSums | Bug::RacyReduction | Bug::SerialFallback)
    }
}

impl<T: Scalar> Backend<T> for Faulty {
    fn name(&self) -> &str {
        self.name
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "a seeded bug",
            dependency: "",
            parallel: self.parallel(),
            determinism: Determinism::AnyThreads,
            allocations_per_product: usize::MAX,
            keeps_subnormals: true,
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        let asked = threads.get();
        if asked > 1 && !self.parallel() {
            return Err(Error::Threads { name: self.name.into(), asked, reason: "it is serial; ask for 1".into() });
        }
        let other = self.bug == Bug::OtherBackend && coin();
        Ok(Arc::new(FaultyEngine {
            description: if other { "another backend" } else { "plain loops with a bug" },
            shared: Shared {
                bug: self.bug,
                threads: if self.bug == Bug::SerialFallback { 1 } else { asked },
                last_planned: Arc::new(Mutex::new(Activation::Identity)),
            },
        }))
    }
}

struct FaultyEngine {
    description: &'static str,
    shared: Shared,
}

impl<T: Scalar> Engine<T> for FaultyEngine {
    fn threads(&self) -> usize {
        self.shared.threads
    }

    fn description(&self) -> String {
        self.description.into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        *self.shared.last_planned.lock().unwrap_or_else(PoisonError::into_inner) = spec.activation;
        Ok(Box::new(FaultyLayer::new(self.shared.clone(), spec)))
    }

    fn bind(&self, spec: LayerSpec, x: ArcArray2<T>) -> Result<Box<dyn BoundLayer<T>>> {
        let inner = PlannedBound::new(self.plan(spec)?, spec, x)?;
        Ok(Box::new(FaultyBound { inner, bug: self.shared.bug, has_stepped: false }))
    }
}

struct FaultyBound<T: Scalar> {
    inner: PlannedBound<T>,
    bug: Bug,
    has_stepped: bool,
}

impl<T: Scalar> BoundLayer<T> for FaultyBound<T> {
    fn forward(&mut self, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        self.inner.forward(z, a)
    }

    fn descend(
        &mut self,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        descent: Descent<T>,
    ) -> Result<()> {
        self.has_stepped = true;
        let scale = if self.bug == Bug::BoundScale { T::one() } else { scale };
        self.inner.descend(z, upstream, scale, descent)
    }

    fn export(&self, w: ArrayViewMut2<'_, T>, b: ArrayViewMut2<'_, T>) -> Result<()> {
        self.inner.export(w, b)
    }

    fn import(&mut self, params: Params<'_, T>) -> Result<()> {
        if self.bug == Bug::BoundImport && self.has_stepped { Ok(()) } else { self.inner.import(params) }
    }
}
