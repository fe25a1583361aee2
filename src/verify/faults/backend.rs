//! The backend, engine and bound layer around the faulty layer, with the bugs of their level.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2};

use super::bug::Bug;
use super::kernel::coin;
use super::layer::{FaultyLayer, Shared};
use super::process;
use crate::error::Result;
use crate::layer::{
    Backend, BoundLayer, Dependency, Descent, Determinism, Engine, Grads, Layer, LayerSpec, Params, PlannedBound,
    Profile, Upstream,
};
use crate::model::{State, UpdateRule};
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
            summary: "a seeded bug".into(),
            dependency: Dependency::None,
            parallel: self.parallel(),
            determinism: Determinism::AnyThreads,
            allocations_per_product: if self.bug == Bug::Allocates { 0 } else { usize::MAX },
            keeps_subnormals: true,
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        let asked = threads.get();
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
        let bug = self.shared.bug;
        let x = if bug == Bug::BoundGap { without_gap(x) } else { self.shared.bound_input(x) };
        let inner = PlannedBound::new(self.plan(spec)?, spec, x)?;
        Ok(Box::new(FaultyBound {
            inner,
            spec,
            bug,
            has_stepped: false,
            has_written: false,
            is_unseen: false,
            pending: None,
            last: None,
            before: None,
        }))
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

/// As its memory reads without the gap behind each row; what lies in the gap is NaN.
fn without_gap<T: Scalar>(x: ArcArray2<T>) -> ArcArray2<T> {
    let (columns, stride) = (x.ncols(), x.strides()[0].max(1) as usize);
    let element = |(i, j): (usize, usize)| {
        let place = i * columns + j;
        x.get((place / stride, place % stride)).copied().unwrap_or_else(T::nan)
    };
    Array2::from_shape_fn(x.dim(), element).into_shared()
}

struct FaultyBound<T: Scalar> {
    inner: PlannedBound<T>,
    spec: LayerSpec,
    bug: Bug,
    has_stepped: bool,
    has_written: bool,
    /// Whether there was no forward pass since the last step.
    is_unseen: bool,
    /// A step that comes before the next forward pass.
    pending: Option<(Pass<T>, Descent<T>)>,
    /// The last backward pass, and the step along it.
    last: Option<(Pass<T>, Option<Descent<T>>)>,
    /// W and b before the last step, until a forward pass has seen it.
    before: Option<(Array2<T>, Array2<T>)>,
}

/// A backward pass: columns, Z, the upstream gradient and whether it is dA, scale.
type Pass<T> = (Range<usize>, Array2<T>, (Array2<T>, bool), T);

impl<T: Scalar> FaultyBound<T> {
    fn columns(&self, columns: Range<usize>) -> Range<usize> {
        if self.bug == Bug::BoundColumns { 0..columns.len() } else { columns }
    }
}

impl<T: Scalar> BoundLayer<T> for FaultyBound<T> {
    fn forward(&mut self, columns: Range<usize>, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        self.before = None;
        if let Some(((columns, z, (upstream, is_da), scale), mut descent)) = self.pending.take() {
            let upstream = if is_da { Upstream::Da(upstream.view()) } else { Upstream::Dz(upstream.view()) };
            self.inner.backward(columns, z.view(), upstream, scale)?;
            self.inner.update(&mut descent)?;
        }
        let columns = self.columns(columns);
        self.is_unseen = false;
        if self.bug == Bug::BoundOutputOnce && std::mem::replace(&mut self.has_written, true) {
            let mut elsewhere = Array2::zeros(a.dim());
            return self.inner.forward(columns, z, elsewhere.view_mut());
        }
        self.inner.forward(columns, z, a)
    }

    fn backward(
        &mut self,
        columns: Range<usize>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
    ) -> Result<()> {
        let scale = if self.bug == Bug::BoundScale { T::one() } else { scale };
        let columns = self.columns(columns);
        if self.bug == Bug::ImportPending {
            let upstream = (upstream.view().to_owned(), matches!(upstream, Upstream::Da(_)));
            self.last = Some(((columns.clone(), z.to_owned(), upstream, scale), None));
        }
        self.inner.backward(columns, z, upstream, scale)
    }

    fn gradients(&mut self) -> Option<Grads<'_, T>> {
        self.inner.gradients()
    }

    fn update(&mut self, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        self.has_stepped = true;
        let descent = rule.as_descent();
        if let (Some((_, step)), Some(descent)) = (&mut self.last, descent) {
            *step = Some(descent);
        }
        if self.bug == Bug::ExportPending {
            let LayerSpec { outputs, inputs, .. } = self.spec;
            let (mut w, mut b) = (Array2::zeros((outputs, inputs)), Array2::zeros((outputs, 1)));
            self.inner.export(w.view_mut(), b.view_mut())?;
            self.before = Some((w, b));
        }
        let is_unseen = std::mem::replace(&mut self.is_unseen, true);
        match (self.bug, descent) {
            (Bug::LazyDecay, Some(descent)) if is_unseen => self.inner.update(&mut Descent::plain(descent.rate)),
            (Bug::DecayIgnored, Some(descent)) => self.inner.update(&mut Descent::plain(descent.rate)),
            _ => self.inner.update(rule),
        }
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
        self.pending = self.last.take().and_then(|(pass, descent)| Some((pass, descent?)));
        self.before = None;
        if self.bug == Bug::BoundImport && self.has_stepped { Ok(()) } else { self.inner.import(params) }
    }

    fn save(&self, state: &mut State<T>) -> Result<()> {
        self.inner.save(state)
    }

    fn restore(&mut self, state: &State<T>) -> Result<()> {
        self.inner.restore(state)
    }
}
