//! Threads as the system sees them: how many work, and whether they rest when there is nothing to do. All of it needs a process of the
//! backend's own, which is looked at from outside.
//!
//! Processor times of threads come late and coarse, threads may live for one product only, and other programs take their share. So
//! nothing here is measured against a clock: a thread works in a moment in which it runs or waits for a core, and what counts is how
//! many do so at the same time, in half of a few moments or in a quarter of many. Whoever waits for others (a caller whose pool computes) is not among them.
//! A failure must show in every one of several tries.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Probe;
use crate::error::{Error, Result};
use crate::layer::{Activation, Engine};
use crate::network::in_run;
use crate::remote::{Process, Remote};
use crate::scalar::Scalar;
use crate::verify::cases::{Depth, Shape};
use crate::verify::compare::Comparison;
use crate::verify::trial::Trial;

const NO_PROCESS: &str = "the backend computes in the judge's own process, whose threads are not its own";

/// Moments with work that a verdict needs, and how far apart they are.
const MOMENTS: usize = 12;
const APART: Duration = Duration::from_micros(300);
/// Sizes of the cubes that are multiplied: the first in which there are enough moments.
const SIZES: [usize; 4] = [160, 320, 640, 1024];
/// Passes of one size, at the most, until there are enough.
const PASSES: usize = 6;
/// Passes of the smallest before anything is seen.
const WARM_UP: usize = 30;
/// Moments of which a quarter says something.
const MANY: usize = 40;
/// Moments of a pass that takes long: some 30 ms.
const LONG: usize = 100;
/// How often a verdict of guilty is looked into again.
const TRIES: usize = 5;

/// How many threads worked at once, in moments in which any did.
struct Work(Vec<usize>);

impl Work {
    /// So many and more in a quarter of the moments, where there are many: a backend may share out only a part of its pass. Of few, in half of
    /// them: moments in which work is handed over are among them.
    fn often(&self) -> usize {
        let mut counts = self.0.clone();
        counts.sort_unstable();
        let place = if counts.len() >= MANY { counts.len() * 3 / 4 } else { counts.len() / 2 };
        counts.get(place).copied().unwrap_or(0)
    }

    /// Whether the passes take so long that sharing them out pays for anybody.
    fn is_long(&self) -> bool {
        self.0.len() >= LONG
    }

    /// Whether two worked at once in more than a tenth of them.
    fn has_two(&self) -> bool {
        10 * self.0.iter().filter(|&&count| count >= 2).count() > self.0.len()
    }
}

/// Forward passes of a layer of `size`, until there are enough moments of work, or it is clear that there will not be.
fn work_of<T: Scalar>(engine: &dyn Engine<T>, process: Process, size: usize) -> Result<Work> {
    let shape = Shape::new(size, size, size);
    let mut trial = Trial::<T>::filled(shape, Activation::Identity, |dim| {
        ndarray::Array2::from_shape_fn(dim, |(i, j)| T::of(((5 * i + 3 * j) % 7) as f64 - 3.0))
    });
    let mut layer = engine.plan(trial.spec)?;
    let mut counts = Vec::new();
    in_run(engine, || {
        // Threads are started and memory is touched for the first time; and a backend may take more of them once a layer is called often.
        for _ in 0..if size == SIZES[0] { WARM_UP } else { 1 } {
            trial.forward_inside(layer.as_mut())?;
        }
        for pass in 0..PASSES {
            let has_ended = AtomicBool::new(false);
            let (outcome, seen) = std::thread::scope(|scope| {
                let watch = scope.spawn(|| {
                    let mut seen = Vec::new();
                    while !has_ended.load(Ordering::Relaxed) {
                        seen.push(working(process));
                        std::thread::sleep(APART);
                    }
                    seen
                });
                let outcome = trial.forward_inside(layer.as_mut());
                has_ended.store(true, Ordering::Relaxed);
                (outcome, watch.join().unwrap_or_default())
            });
            outcome?;
            counts.extend(seen.into_iter().filter(|&count| count > 0));
            if counts.len() >= MOMENTS || counts.len() * (PASSES / (pass + 1)) < MOMENTS {
                break;
            }
        }
        Ok(Work(counts))
    })
}

/// Threads that run or wait for a core, but for the first one: it hands over requests and computes nothing.
fn working(process: Process) -> usize {
    process.threads().iter().filter(|thread| thread.is_runnable && thread.id != process.0).count()
}

/// What an engine of `threads` must show, in one of several tries.
fn hold_count<T: Scalar>(engine: &dyn Engine<T>, process: Process, label: &str, found: &mut Comparison) -> Result<()> {
    let threads = engine.threads();
    let mut larger = SIZES[1..].iter().copied();
    let mut size = SIZES[0];
    let (mut fewest, mut has_two) = (usize::MAX, threads < 2);
    for _ in 0..TRIES {
        let work = loop {
            let work = work_of(engine, process, size)?;
            if work.0.len() >= MOMENTS {
                break work;
            }
            match larger.next() {
                Some(larger) => size = larger,
                // Nothing here takes long enough to be seen: no verdict.
                None => return Ok(()),
            }
        };
        fewest = fewest.min(work.often());
        has_two |= work.has_two();
        if fewest <= threads && has_two {
            break;
        }
        // Small products may rightly be left to one thread: the verdict is that on one that takes long.
        if !has_two
            && !work.is_long()
            && let Some(larger) = larger.next()
        {
            size = larger;
        }
    }
    found.equal(&format!("threads at work at once in {label}"), fewest.max(threads) as f64, threads as f64);
    found.equal(
        &format!("1 where {label} is serial or two of its threads work at once"),
        f64::from(u8::from(has_two)),
        1.0,
    );
    Ok(())
}

/// As many threads work as the engine has; and as the next engine of another count has, in the same process.
pub(super) fn used<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let Some(remote) = probe.remote() else {
        probe.skip(NO_PROCESS);
        return Ok(());
    };
    let threads = probe.threads();
    // Where time matters, small counts stand for all.
    let has_another = probe.entry().profile().parallel && (probe.depth() > Depth::Quick || threads.get() <= 2);
    let engine = probe.open()?;
    let Some(process) = remote.process(threads).filter(|_| Process::is_told_of()) else {
        probe.skip("the system does not tell what the threads of a process do");
        return Ok(());
    };
    if process.threads().is_empty() {
        let reason = "the threads of the backend's process cannot be seen: are descriptors left (ulimit -n)?";
        return Err(Error::Told(reason.into()));
    }
    // Where nothing is compared after all.
    probe.skip("no product here takes long enough for its threads to be seen");
    probe.once(|_| {
        let mut found = Comparison::default();
        hold_count(engine.as_ref(), process, &format!("an engine of {threads}"), &mut found)?;
        drop(engine);
        if has_another {
            let two = NonZeroUsize::MIN.saturating_add(1);
            let other = if threads == NonZeroUsize::MIN { two } else { NonZeroUsize::MIN };
            // Only now is the first engine gone in the child too.
            remote.float_states(threads)?;
            match remote.open_beside(threads, other) {
                Ok(engine) => {
                    let label = format!("an engine of {other} after one of {threads}");
                    found.equal(&format!("threads of {label}"), engine.threads() as f64, other.get() as f64);
                    hold_count(engine.as_ref(), process, &label, &mut found)?;
                }
                // One count for the whole process is no fault, where it is said.
                Err(Error::Threads { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        remote.float_states(threads)?;
        Ok(found)
    })
}

/// Moments without work that make a thread count as resting, all in a row.
const QUIET_MOMENTS: usize = 3;
const QUIET_APART: Duration = Duration::from_millis(4);
/// When a thread that was never seen resting is called restless, if it has used at least [`RESTLESS_CPU`] meanwhile.
const RESTLESS: Duration = Duration::from_millis(1500);
const RESTLESS_CPU: Duration = Duration::from_millis(300);
/// On a machine so busy that it has not: when nothing is said.
const UNDECIDED: Duration = Duration::from_secs(6);

/// Layers that are dropped before threads are counted again.
const LAYERS: usize = 40;
/// How often: the fewest count.
const BATCHES: usize = 2;

/// Threads of the child; none where it is gone.
fn count<T: Scalar>(remote: &Remote<T>, threads: NonZeroUsize) -> usize {
    remote.process(threads).map_or(0, |process| process.threads().len())
}

/// How many threads do not come to rest.
fn restless(process: Process) -> Option<usize> {
    let start = Instant::now();
    let at_first = process.threads();
    let mut ever = at_first.clone();
    let mut quiet = 0;
    loop {
        let now = process.threads();
        quiet = if now.iter().any(|thread| thread.is_runnable) { 0 } else { quiet + 1 };
        if quiet >= QUIET_MOMENTS {
            return Some(0);
        }
        ever.retain(|thread| now.iter().any(|now| now.id == thread.id && now.is_runnable));
        if start.elapsed() > RESTLESS {
            let used = |id: u32| {
                let cpu = |threads: &[crate::remote::ThreadState]| {
                    threads.iter().find(|thread| thread.id == id).map(|thread| thread.cpu).unwrap_or_default()
                };
                cpu(&now).saturating_sub(cpu(&at_first))
            };
            let count = ever.iter().filter(|thread| used(thread.id) >= RESTLESS_CPU).count();
            if count > 0 || ever.is_empty() {
                return Some(count);
            }
            if start.elapsed() > UNDECIDED {
                return None;
            }
        }
        std::thread::sleep(QUIET_APART);
    }
}

/// Soon after the last call, and after the engine is gone, no thread of the process works.
pub(super) fn quiet<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let Some(remote) = probe.remote() else {
        probe.skip(NO_PROCESS);
        return Ok(());
    };
    let threads = probe.threads();
    probe.once(|probe| {
        let mut found = Comparison::default();
        let engine = probe.open()?;
        let run = || Trial::<T>::normal(Shape::new(64, 64, 64), Activation::Relu, 1).run(engine.as_ref(), T::one());
        run()?;
        hold_rest(remote, threads, "after the last call", &mut found)?;
        // A pool that grows with use does so once; what is left of each layer comes again.
        let mut left = usize::MAX;
        for _ in 0..BATCHES {
            let before = count(remote, threads);
            for _ in 0..LAYERS {
                run()?;
            }
            // What was dropped is dropped in the child with the next request.
            remote.float_states(threads)?;
            // A thread that has ended is seen for a while.
            let start = Instant::now();
            let mut of_batch = count(remote, threads).saturating_sub(before);
            while of_batch >= LAYERS / 4 && start.elapsed() < RESTLESS {
                std::thread::sleep(QUIET_APART);
                of_batch = count(remote, threads).saturating_sub(before);
            }
            left = left.min(of_batch);
        }
        let label = format!("threads left behind by {LAYERS} layers that were planned, used and dropped");
        found.equal(&label, if left >= LAYERS / 4 { left as f64 } else { 0.0 }, 0.0);
        drop(engine);
        // Only now is it gone in the child too.
        remote.float_states(threads)?;
        hold_rest(remote, threads, "after the engine was dropped", &mut found)?;
        Ok(found)
    })
}

fn hold_rest<T: Scalar>(remote: &Remote<T>, threads: NonZeroUsize, when: &str, found: &mut Comparison) -> Result<()> {
    // What was dropped is dropped in the child with the next request; and that a process is gone is an error.
    remote.float_states(threads)?;
    if let Some(restless) = remote.process(threads).and_then(restless) {
        found.equal(&format!("threads without rest {when}"), restless as f64, 0.0);
    }
    Ok(())
}
