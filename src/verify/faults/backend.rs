//! The backend, engine and bound layer around the faulty layer, with the bugs of their level.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2};

use super::bug::Bug;
use super::kernel::coin;
use super::layer::{FaultyLayer, Shared};
use super::process;
use crate::error::{Error, Result};
use crate::layer::{
    Backend, BoundLayer, Descent, Determinism, Engine, Layer, LayerSpec, Params, PlannedBound, Profile, Upstream,
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
        matches!(
            self.bug,
            Bug::RemainderRows
                | Bug::ThreadSums
                | Bug::RacyReduction
                | Bug::SerialFallback
                | Bug::UsesOne
                | Bug::OnThreeThreads
                | Bug::FirstCount
        )
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
            allocations_per_product: if self.bug == Bug::Allocates { 0 } else { usize::MAX },
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
            shared: Shared::new(self.bug, if self.bug == Bug::SerialFallback { 1 } else { asked }),
            is_running: AtomicBool::new(false),
        }))
    }
}

struct FaultyEngine {
    description: &'static str,
    shared: Shared,
    is_running: AtomicBool,
}

impl Drop for FaultyEngine {
    fn drop(&mut self) {
        match self.shared.bug {
            Bug::SpinsAfterDrop => process::leave_a_thread_spinning(),
            Bug::ExitAtDrop => std::process::exit(0),
            _ => {}
        }
    }
}

impl<T: Scalar> Engine<T> for FaultyEngine {
    fn threads(&self) -> usize {
        self.shared.threads
    }

    fn description(&self) -> String {
        self.description.into()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        Ok(Box::new(FaultyLayer::new(self.shared.clone(), spec)))
    }

    fn bind(&self, spec: LayerSpec, x: ArcArray2<T>) -> Result<Box<dyn BoundLayer<T>>> {
        let inner = PlannedBound::new(self.plan(spec)?, spec, self.shared.bound_input(x))?;
        let bug = self.shared.bug;
        Ok(Box::new(FaultyBound { inner, spec, bug, has_stepped: false, pending: None, last: None, before: None }))
    }

    fn run(&self, job: &mut (dyn FnMut() + Send)) {
        if self.shared.bug != Bug::NestedDeadlock {
            return job();
        }
        if self.is_running.swap(true, Ordering::SeqCst) {
            process::wait_for_ever();
        }
        job();
        self.is_running.store(false, Ordering::SeqCst);
    }
}

struct FaultyBound<T: Scalar> {
    inner: PlannedBound<T>,
    spec: LayerSpec,
    bug: Bug,
    has_stepped: bool,
    /// A step that comes before the next forward pass.
    pending: Option<Step<T>>,
    /// The last step.
    last: Option<Step<T>>,
    /// W and b before the last step, until a forward pass has seen it.
    before: Option<(Array2<T>, Array2<T>)>,
}

/// Z, the upstream gradient and whether it is dA, scale and descent.
type Step<T> = (Array2<T>, (Array2<T>, bool), T, Descent<T>);

impl<T: Scalar> BoundLayer<T> for FaultyBound<T> {
    fn forward(&mut self, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        self.before = None;
        if let Some((z, (upstream, is_da), scale, descent)) = self.pending.take() {
            let upstream = if is_da { Upstream::Da(upstream.view()) } else { Upstream::Dz(upstream.view()) };
            self.inner.descend(z.view(), upstream, scale, descent)?;
        }
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
        let descent = if self.bug == Bug::DecayIgnored { Descent::plain(descent.rate) } else { descent };
        match self.bug {
            Bug::ImportPending => {
                let upstream = (upstream.view().to_owned(), matches!(upstream, Upstream::Da(_)));
                self.last = Some((z.to_owned(), upstream, scale, descent));
            }
            Bug::ExportPending => {
                let LayerSpec { outputs, inputs, .. } = self.spec;
                let (mut w, mut b) = (Array2::zeros((outputs, inputs)), Array2::zeros((outputs, 1)));
                self.inner.export(w.view_mut(), b.view_mut())?;
                self.before = Some((w, b));
            }
            _ => {}
        }
        self.inner.descend(z, upstream, scale, descent)
    }

    fn export(&self, mut w: ArrayViewMut2<'_, T>, mut b: ArrayViewMut2<'_, T>) -> Result<()> {
        self.inner.export(w.view_mut(), b.view_mut())?;
        if let Some((old_w, old_b)) = &self.before {
            w.assign(old_w);
            b.assign(old_b);
        }
        Ok(())
    }

    fn import(&mut self, params: Params<'_, T>) -> Result<()> {
        self.pending = self.last.take();
        self.before = None;
        if self.bug == Bug::BoundImport && self.has_stepped { Ok(()) } else { self.inner.import(params) }
    }
}
