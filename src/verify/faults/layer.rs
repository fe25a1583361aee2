//! A plain layer with the layer bugs in it, over the [kernel](super::kernel) with its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use ndarray::{ArcArray2, Array2, ArrayView1, ArrayView2, ArrayViewMut2};

use super::bug::Bug;
use super::kernel::gemm;
use super::process;
use crate::error::Result;
use crate::layer::{Activation, Grads, Layer, LayerSpec, Op, Params, Upstream};
use crate::panics::locked;
use crate::scalar::Scalar;

/// What an engine shares among its layers: nothing but what the bugs need.
#[derive(Clone)]
pub(super) struct Shared {
    pub bug: Bug,
    pub threads: usize,
    kept: Arc<Mutex<Kept>>,
}

/// As `f64`, for both scalar types.
#[derive(Default)]
struct Kept {
    last_planned: Option<LayerSpec>,
    z_by_spec: HashMap<LayerSpec, Array2<f64>>,
    bound_x: Option<Array2<f64>>,
}

impl Shared {
    pub fn new(bug: Bug, threads: usize) -> Self {
        Shared { bug, threads, kept: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }

    /// X, or the one that the bug takes for it.
    pub fn bound_input<T: Scalar>(&self, x: ArcArray2<T>) -> ArcArray2<T> {
        if self.bug != Bug::BoundBySample {
            return x;
        }
        let wide = x.mapv(Scalar::widen);
        let mut kept = self.kept();
        match &kept.bound_x {
            Some(known) if sample(&known.view()) == sample(&wide.view()) => known.mapv(T::of).into_shared(),
            _ => {
                kept.bound_x = Some(wide);
                x
            }
        }
    }
}

/// What the bug takes for a sign of what all elements are.
fn sample<T: Scalar>(matrix: &ArrayView2<'_, T>) -> Option<[u64; 5]> {
    let bits = |at: usize| matrix.iter().nth(at).map(|element| element.widen().to_bits());
    let (length, (rows, columns)) = (matrix.len(), matrix.dim());
    Some([bits(0)?, bits(length / 2)?, bits(length - 1)?, rows as u64, columns as u64])
}

/// Where the matrices of a call lie, and a sample of each.
type Look = [(usize, Option<[u64; 5]>); 2];

/// Elements from which on an input is worth keeping.
const WORTH_KEEPING: usize = 1 << 18;

pub(super) struct FaultyLayer<T> {
    shared: Shared,
    spec: LayerSpec,
    calls: usize,
    backward_calls: u8,
    /// What the last call looked like, and how many before it did so.
    alike: (Look, usize),
    /// W, A_prev and the Z that came of them.
    remembered: Option<[Array2<T>; 3]>,
    cached_z: Option<Array2<T>>,
    cached_x: Option<(usize, Array2<T>)>,
    planned_by: ThreadId,
    has_refused: bool,
}

impl<T: Scalar> FaultyLayer<T> {
    pub(super) fn new(shared: Shared, spec: LayerSpec) -> Self {
        shared.kept().last_planned = Some(spec);
        if shared.bug == Bug::LeakLayer {
            vec![T::one(); spec.outputs * spec.batch].leak();
        }
        if shared.bug == Bug::ThreadPerLayer {
            std::thread::spawn(process::wait_for_ever);
        }
        let planned_by = std::thread::current().id();
        FaultyLayer {
            shared,
            spec,
            calls: 0,
            backward_calls: 0,
            alike: Default::default(),
            remembered: None,
            cached_z: None,
            cached_x: None,
            planned_by,
            has_refused: false,
        }
    }

    fn last_planned(&self) -> LayerSpec {
        self.shared.kept().last_planned.unwrap_or(self.spec)
    }

    fn is_elsewhere(&self) -> bool {
        self.planned_by != std::thread::current().id()
    }

    /// A_prev, or what the bug has kept of another.
    fn input(&mut self, x: ArrayView2<'_, T>) -> Option<Array2<T>> {
        let bug = self.shared.bug;
        if !matches!(bug, Bug::CachedByAddress | Bug::CachedBySample) || x.len() < WORTH_KEEPING {
            return None;
        }
        let address = x.as_ptr().addr();
        let is_known = self.cached_x.as_ref().is_some_and(|(at, known)| match bug {
            Bug::CachedByAddress => *at == address && known.dim() == x.dim(),
            _ => sample(&known.view()) == sample(&x),
        });
        if !is_known {
            self.cached_x = Some((address, x.to_owned()));
        }
        self.cached_x.as_ref().map(|(_, known)| known.clone())
    }

    /// Notes that a call is refused.
    fn refusing(&mut self, outcome: Result<()>) -> Result<()> {
        self.has_refused |= outcome.is_err();
        outcome
    }

    /// Whether the last 20 calls looked like this one.
    fn looks_alike(&mut self, look: Look) -> bool {
        let before = if self.alike.0 == look { self.alike.1 + 1 } else { 0 };
        self.alike = (look, before);
        before >= 20
    }

    fn kernel(&self) -> (Bug, usize) {
        let bug = match self.shared.bug {
            Bug::UsesFourLater if self.calls >= 20 => Bug::UsesFour,
            other => other,
        };
        (bug, self.shared.threads)
    }

    fn activation(&self) -> Activation {
        match self.shared.bug {
            Bug::LastActivation => self.last_planned().activation,
            _ => self.spec.activation,
        }
    }

    /// W as the bug reads it.
    fn weights(&self, w: ArrayView2<'_, T>) -> Array2<T> {
        let (rows, columns) = w.dim();
        match self.shared.bug {
            Bug::WTransposed => exchanged(w),
            Bug::WTransposedSquare if rows == columns => exchanged(w),
            _ => w.to_owned(),
        }
    }

    fn bias(&self, b: ArrayView2<'_, T>, (unit, example): (usize, usize)) -> T {
        let right = b[(unit, 0)];
        match self.shared.bug {
            Bug::BiasMissing => T::zero(),
            Bug::BiasTwice => right + right,
            Bug::BiasAxis => b[(example % b.nrows(), 0)],
            Bug::SecondCall if self.calls > 1 => T::zero(),
            Bug::LateCall if self.calls > 60 => T::zero(),
            Bug::LostAtError if self.has_refused => T::zero(),
            Bug::OnPlansThread if self.is_elsewhere() => T::zero(),
            _ => right,
        }
    }

    fn apply(&self, z: T) -> T {
        match (self.activation(), self.shared.bug) {
            (Activation::Relu, Bug::ReluSwallowsNan) => z.max(T::zero()),
            (Activation::Sigmoid, Bug::SigmoidLinear) if z.abs().widen() < 0.01 => T::of(0.5) + z / T::of(4.0),
            (Activation::Sigmoid, Bug::SigmoidOverflows) => z.exp() / (T::one() + z.exp()),
            (activation, _) => activation.apply(z),
        }
    }

    fn pull_back(&self, z: T, da: T, below: T) -> T {
        match (self.activation(), self.shared.bug) {
            (Activation::Relu, Bug::ReluMaskEqual) if z.is_zero() => da,
            (Activation::Relu, Bug::MaskOfInput) => Activation::Relu.pull_back(below, da),
            (Activation::Relu, Bug::MaskMultiplied) => da * if z > T::zero() { T::one() } else { T::zero() },
            (Activation::Sigmoid, Bug::SigmoidSlope) => da * Activation::Sigmoid.apply(z),
            (activation, _) => activation.pull_back(z, da),
        }
    }

    fn bias_gradient(&self, dz: &Array2<T>, unit: usize, scale: T) -> T {
        let row_sum = |row: ArrayView1<'_, T>| row.iter().copied().sum::<T>();
        match self.shared.bug {
            Bug::DbAxis => scale * if dz.ncols() > 0 { row_sum(dz.column(unit % dz.ncols())) } else { T::zero() },
            Bug::DbSign => -scale * row_sum(dz.row(unit)),
            Bug::DbScaleMissing => row_sum(dz.row(unit)),
            Bug::RacyReduction if self.shared.threads > 1 => scale * racy_sum(dz.row(unit)),
            _ => scale * row_sum(dz.row(unit)),
        }
    }
}

/// The same memory, read with rows and columns exchanged.
fn exchanged<T: Scalar>(w: ArrayView2<'_, T>) -> Array2<T> {
    let (rows, columns) = w.dim();
    let flat = w.iter().copied().collect();
    let turned = Array2::from_shape_vec((columns, rows), flat).expect("as many elements");
    turned.t().as_standard_layout().into_owned()
}

/// Two threads add a half each: both read before either writes.
fn racy_sum<T: Scalar>(row: ArrayView1<'_, T>) -> T {
    let total = Mutex::new(T::zero());
    let both_have_read = Barrier::new(2);
    let middle = row.len() / 2;
    let add = &|half: ArrayView1<'_, T>| {
        let before = *locked(&total);
        both_have_read.wait();
        *locked(&total) = before + half.iter().copied().sum::<T>();
    };
    let (first, second) = row.split_at(ndarray::Axis(0), middle);
    std::thread::scope(|scope| {
        scope.spawn(move || add(first));
        add(second);
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Whether another pass is using the one scratch memory; a moment is waited for it to happen.
fn meets_another() -> bool {
    static IN_USE: AtomicUsize = AtomicUsize::new(0);
    IN_USE.fetch_add(1, Ordering::SeqCst);
    let start = Instant::now();
    let mut met = false;
    while !met && start.elapsed() < Duration::from_micros(300) {
        met = IN_USE.load(Ordering::SeqCst) > 1;
        std::thread::yield_now();
    }
    IN_USE.fetch_sub(1, Ordering::SeqCst);
    met
}

impl<T: Scalar> Layer<T> for FaultyLayer<T> {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        mut z: ArrayViewMut2<'_, T>,
        mut a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        let bug = self.shared.bug;
        self.refusing(self.spec.check_forward(&params, &a_prev, &z, &a))?;
        self.calls += 1;
        let look = |matrix: ArrayView2<'_, T>| (matrix.as_ptr().addr(), sample(&matrix));
        if bug == Bug::SkipsAlike && self.looks_alike([look(a_prev), look(z.view())]) {
            return Ok(());
        }
        if !process::at_forward(bug, self.calls) {
            return Ok(());
        }
        let kept = self.input(a_prev);
        let a_prev = kept.as_ref().map_or(a_prev, |kept| kept.view());
        if bug == Bug::EmptySum && self.spec.inputs == 0 {
            return Ok(());
        }
        // The kernel reads windows as they are; only a bug of W itself makes a copy.
        let copy = matches!(bug, Bug::WTransposed | Bug::WTransposedSquare).then(|| self.weights(params.w));
        let w = copy.as_ref().map_or(params.w, |copy| copy.view());
        gemm(self.kernel(), T::one(), (Op::Plain, w), (Op::Plain, a_prev), z.view_mut());
        if !(bug == Bug::FirstCallRace && process::is_making_a_table()) {
            for (at, z) in z.indexed_iter_mut() {
                *z += self.bias(params.b, at);
            }
        }
        if bug == Bug::BiasRemembered {
            match &self.remembered {
                Some([w, x, known]) if *w == params.w && *x == a_prev => z.assign(known),
                _ => self.remembered = Some([params.w.to_owned(), a_prev.to_owned(), z.to_owned()]),
            }
        }
        match bug {
            Bug::SeventhCall if self.calls.is_multiple_of(7) => {
                z.mapv_inplace(|z| z * (T::one() + T::of(1000.0) * T::epsilon()));
            }
            Bug::EndsAlike => copy_alike(a_prev, &mut z),
            _ => {}
        }
        a.zip_mut_with(&z, |a, &z| *a = self.apply(z));
        if bug == Bug::NanInBlocks && self.spec.activation == Activation::Relu {
            let whole = z.ncols() / 64 * 64;
            a.indexed_iter_mut().filter(|((_, j), a)| *j < whole && a.is_nan()).for_each(|(_, a)| *a = T::zero());
        }
        match bug {
            Bug::ActivationInPlace => z.assign(&a),
            Bug::StaleCache => self.cached_z = Some(z.to_owned()),
            Bug::ZByShape => drop(self.shared.kept().z_by_spec.insert(self.spec, z.mapv(Scalar::widen))),
            Bug::SharedScratch if meets_another() => a.fill(T::zero()),
            Bug::FlushLeftOn => leave_flush_to_zero_on(),
            _ => {}
        }
        Ok(())
    }

    fn backward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        let bug = self.shared.bug;
        if bug == Bug::DwUnchecked && grads.dw.dim() != (self.spec.outputs, self.spec.inputs) {
            return Ok(());
        }
        self.refusing(self.spec.check_backward(&params, &a_prev, &z, &upstream, &grads, da_prev.as_ref()))?;
        self.backward_calls = self.backward_calls.wrapping_add(1);
        if bug == Bug::ZByShape {
            self.cached_z = self.shared.kept().z_by_spec.get(&self.spec).map(|z| z.mapv(T::of));
        }
        let kept = self.input(a_prev);
        let a_prev = kept.as_ref().map_or(a_prev, |kept| kept.view());
        let Grads { mut dw, mut db } = grads;
        let z = match &self.cached_z {
            Some(cached) => cached.view(),
            None => z,
        };
        let take_as_it_is = matches!(upstream, Upstream::Dz(_)) && bug != Bug::DzTakenForDa;
        let dz = Array2::from_shape_fn(z.dim(), |(i, j)| {
            let upstream = upstream.view()[(i, j)];
            if take_as_it_is {
                return upstream;
            }
            let below = if self.spec.inputs > 0 { a_prev[(i % self.spec.inputs, j)] } else { T::zero() };
            self.pull_back(z[(i, j)], upstream, below)
        });
        let dz = match bug {
            Bug::LastStride => strided(&dz, self.last_planned().batch),
            Bug::PlannedStride => strided(&dz, self.spec.batch),
            _ => dz,
        };
        let keeps_grads = bug == Bug::ScaleZero && scale.is_zero();
        let of_dw = match bug {
            Bug::ScaleMissing => T::one(),
            Bug::ScaleTwice => scale * scale,
            Bug::DwSign => -scale,
            _ => scale,
        };
        if !keeps_grads {
            gemm(self.kernel(), of_dw, (Op::Plain, dz.view()), (Op::Transposed, a_prev), dw.view_mut());
        }
        if !keeps_grads && (bug != Bug::DbWithInputOnly || da_prev.is_some()) {
            for ((unit, _), db) in db.indexed_iter_mut() {
                *db = self.bias_gradient(&dz, unit, scale);
            }
        }
        if let Some(da_prev) = da_prev {
            let of_da = if bug == Bug::ScaleOnInput { scale } else { T::one() };
            let copy = match bug {
                Bug::UpdatedW => Some(&params.w - &dw),
                Bug::WTransposed | Bug::WTransposedSquare => Some(self.weights(params.w)),
                _ => None,
            };
            let w = copy.as_ref().map_or(params.w, |copy| copy.view());
            gemm(self.kernel(), of_da, (Op::Transposed, w), (Op::Plain, dz.view()), da_prev);
        }
        let LayerSpec { outputs, inputs, batch, .. } = self.spec;
        match bug {
            Bug::ByteCounter if self.backward_calls == 0 => dw.fill(T::zero()),
            Bug::LeakPass => drop(vec![T::one(); outputs * batch].leak()),
            Bug::FlushLarge if outputs * inputs * batch >= 1 << 20 => leave_flush_to_zero_on(),
            _ => {}
        }
        Ok(())
    }
}

impl<T> Drop for FaultyLayer<T> {
    fn drop(&mut self) {
        let is_elsewhere = self.planned_by != std::thread::current().id();
        if self.shared.bug == Bug::DropElsewhere && is_elsewhere && !std::thread::panicking() {
            panic!("dropped on another thread than the one that planned it");
        }
        if self.shared.bug == Bug::PanicAtDrop && self.calls > 0 && !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// Z of an example is that of the one before where both agree in the first two and the last two inputs.
fn copy_alike<T: Scalar>(x: ArrayView2<'_, T>, z: &mut ArrayViewMut2<'_, T>) {
    let (inputs, batch) = x.dim();
    if inputs < 4 {
        return;
    }
    for j in 1..batch {
        if [0, 1, inputs - 2, inputs - 1].into_iter().all(|p| x[(p, j)] == x[(p, j - 1)]) {
            let before = z.column(j - 1).to_owned();
            z.column_mut(j).assign(&before);
        }
    }
}

/// Read as if its rows were so far apart.
fn strided<T: Scalar>(dz: &Array2<T>, stride: usize) -> Array2<T> {
    let flat: Vec<T> = dz.iter().copied().collect();
    Array2::from_shape_fn(dz.dim(), |(i, j)| flat.get(i * stride + j).copied().unwrap_or_else(T::zero))
}

/// As a library does that sets the mode for speed and forgets to set it back.
#[cfg(target_arch = "x86_64")]
fn leave_flush_to_zero_on() {
    let mut state = 0_u32;
    // SAFETY: stores the control register to, and loads it from, four bytes of this frame; bit 15 is flush-to-zero, which changes
    // no memory and no control flow. Rust does not vouch for results in this mode: that is what the check finds.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack));
        state |= 1 << 15;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack, readonly));
    }
}

/// The same on 64-bit ARM, in its own register.
#[cfg(target_arch = "aarch64")]
fn leave_flush_to_zero_on() {
    // SAFETY: bit 24 of FPCR is flush-to-zero; it changes no memory and no control flow.
    unsafe {
        let mut state: u64;
        std::arch::asm!("mrs {}, fpcr", out(reg) state, options(nomem, nostack));
        state |= 1 << 24;
        std::arch::asm!("msr fpcr, {}", in(reg) state, options(nomem, nostack));
    }
}

/// Elsewhere the catalogue leaves the fault out.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn leave_flush_to_zero_on() {}
