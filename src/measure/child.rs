//! The measured child: plans, calibrates, then makes passes whenever the parent says so, and says what they gave; or serves as a
//! backend that is checked; or reads a limit of the machine at the same moments. It decides nothing, and does not know whether it is timed or replays.

use std::time::Duration;

use super::clock::Clock;
use super::library::Library;
use super::protocol::{Cause, Failure, GaugeTask, Passes, Prepared, Reply, Request, Stated, Task};
use super::results::{Part, Results};
use super::{Job, QUIET_LIMIT, cpu_time, wait_until_quiet};
use crate::backend::Registry;
use crate::child::{Channel, PROTOCOL};
use crate::error::{Error, Result};
use crate::machine::{Gauge, bytes_of, flush_caches};
use crate::remote;
use crate::scalar::{Scalar, ScalarKind};

/// Passes before each sample go on for this long, and are at least one: other processes had the caches since.
const WARM_UP: Duration = Duration::from_millis(2);

/// Serves the parent until it says [`Request::Finish`] or is gone.
///
/// # Errors
/// Of the channel. What goes wrong with the cell is told to the parent.
pub(crate) fn serve(registry: &Registry, mut channel: Channel) -> std::io::Result<()> {
    reply(&mut channel, &Reply::Started { protocol: PROTOCOL })?;
    let first = channel.receive()?;
    if let Some(Request::Serve(subject)) = first {
        return remote::serve(registry, &subject, channel);
    }
    let channel = &mut channel;
    let task = match first {
        Some(Request::Prepare(task)) => task,
        Some(Request::Gauge(task)) => return serve_gauge(task, channel),
        Some(other) => {
            return reply(channel, &Reply::Failed(failure(Cause::Protocol, format!("{other:?} came first"))));
        }
        None => return Ok(()),
    };
    match task.cell.scalar {
        ScalarKind::F32 => serve_as::<f32>(registry, &task, channel),
        ScalarKind::F64 => serve_as::<f64>(registry, &task, channel),
    }
}

fn reply(channel: &mut Channel, reply: &Reply) -> std::io::Result<()> {
    channel.send(reply, &[])
}

fn serve_as<T: Scalar>(registry: &Registry, task: &Task, channel: &mut Channel) -> std::io::Result<()> {
    let (mut sampler, prepared) = match Sampler::<T>::prepare(registry, task) {
        Ok(ready) => ready,
        Err(failure) => return reply(channel, &Reply::Failed(failure)),
    };
    wait_until_quiet(QUIET_LIMIT);
    reply(channel, &Reply::Ready(prepared))?;
    while let Some(request) = channel.receive()? {
        let answer = match request {
            Request::WarmUp(passes) => sampler.warm_up(passes).map(|()| Reply::Warm),
            Request::Go => sampler.go().map(Reply::Done),
            Request::Digest => sampler.results().map(|results| Reply::Digested(results.digest())),
            Request::Show(parts) => match sampler.show(&parts) {
                Ok(bytes) => {
                    channel.send(&Reply::Shown, &[&bytes])?;
                    continue;
                }
                Err(error) => Err(error),
            },
            Request::Rest => Ok(Reply::Rested { quiet: wait_until_quiet(QUIET_LIMIT) }),
            Request::Finish => {
                return reply(channel, &Reply::Finished { peak_memory_bytes: sampler.peak_memory() });
            }
            other => Ok(Reply::Failed(failure(Cause::Protocol, format!("{other:?} came too late")))),
        };
        let answer = answer.unwrap_or_else(|error| Reply::Failed(error.into()));
        reply(channel, &answer)?;
        if matches!(answer, Reply::Failed(_)) {
            break;
        }
    }
    Ok(())
}

/// Until its requests end: there is nothing to say at the end.
fn serve_gauge(task: GaugeTask, channel: &mut Channel) -> std::io::Result<()> {
    let mut gauge = match Gauge::new(task.scalar, task.threads, task.bytes_per_thread) {
        Ok(gauge) => gauge,
        Err(error) => return reply(channel, &Reply::Failed(error.into())),
    };
    reply(channel, &Reply::GaugeReady)?;
    while let Some(request) = channel.receive()? {
        let answer = match request {
            Request::Read => gauge.read().map_or_else(|error| Reply::Failed(error.into()), Reply::Gauged),
            other => Reply::Failed(failure(Cause::Protocol, format!("{other:?} came too late"))),
        };
        reply(channel, &answer)?;
    }
    Ok(())
}

struct Sampler<T: Scalar> {
    job: Job<T>,
    /// What it goes for.
    passes: Passes,
    /// Before each sample so many bytes of memory are written; none for samples with warm caches.
    flush_bytes: Option<usize>,
    past: Past,
    /// As it was when results were first asked for: taking them out needs memory too.
    peak_memory: Option<u64>,
}

/// The seeds of passes that are not timed.
struct Past(u64);

impl Past {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

impl<T: Scalar> Sampler<T> {
    /// Opens, plans and calls for the first time. Another child has verified: here it would have started the library's threads and found
    /// its kernels, and the first call would be none.
    fn prepare(registry: &Registry, task: &Task) -> std::result::Result<(Self, Prepared), Failure> {
        let cell = &task.cell;
        let entry = registry.get(&cell.backend)?;
        let examples = cell.workload.examples::<T>()?;
        let data_sha256 = examples.sha256();
        let start = Job::start(&cell.workload);

        let clock = Clock::start();
        let engine = entry.open::<T>(cell.threads)?;
        let open = clock.elapsed();
        let clock = Clock::start();
        let mut job = Job::from_start(&engine, &cell.workload, (cell.phase, cell.first_layer), examples, start)?;
        let plan = clock.elapsed();
        let mut past = Past(task.seed);
        let first = job.run(past.next(), 1)?;

        let repeats = match task.flush_bytes {
            None => calibrate(&mut job, Duration::from_nanos(task.sample_ns), &mut past)?,
            Some(_) => 1,
        };
        let prepared = Prepared {
            library: Library::of(engine.description(), engine.library().as_deref()),
            threads_got: engine.threads(),
            data_sha256,
            open_ns: nanoseconds(open),
            plan_ns: nanoseconds(plan),
            first_ns: nanoseconds(first),
            repeats,
        };
        let passes = Passes { seed: past.next(), count: repeats };
        let flush_bytes = task.flush_bytes;
        Ok((Sampler { job, passes, flush_bytes, past, peak_memory: None }, prepared))
    }

    fn warm_up(&mut self, passes: Passes) -> Result<()> {
        if self.flush_bytes.is_none() {
            let clock = Clock::start();
            while {
                self.job.run(self.past.next(), 1)?;
                clock.elapsed() < WARM_UP
            } {}
        }
        self.passes = passes;
        self.job.reset(passes.seed)?;
        self.flush_bytes.map_or(Ok(()), flush_caches)
    }

    fn go(&mut self) -> Result<Stated> {
        let cpu = cpu_time();
        let wall = self.job.run(self.passes.seed, self.passes.count)?;
        let cpu = cpu_time() - cpu;
        Ok(Stated { wall_ns: nanoseconds(wall), cpu_ns: (cpu * 1e9) as u64 })
    }

    fn results(&mut self) -> Result<Results<'_, T>> {
        self.peak_memory = self.peak_memory.or_else(peak_memory);
        let none =
            || Error::Setting { what: "a request for results", found: "no pass".into(), expected: "one before it" };
        self.job.results()?.ok_or_else(none)
    }

    fn show(&mut self, parts: &[Part]) -> Result<Vec<u8>> {
        let results = self.results()?;
        let numbers = parts.iter().flat_map(|part| results.part(part));
        Ok(numbers.flat_map(f64::to_le_bytes).collect())
    }

    /// What is written to empty the caches would be counted as the backend's: then it stays unknown.
    fn peak_memory(&self) -> Option<u64> {
        if self.flush_bytes.is_none() { self.peak_memory.or_else(peak_memory) } else { None }
    }
}

/// How many passes take about `sample`.
fn calibrate<T: Scalar>(job: &mut Job<T>, sample: Duration, past: &mut Past) -> Result<u64> {
    let (mut repeats, mut pass_s, mut long_enough) = (1_u64, f64::INFINITY, 0);
    loop {
        let seed = past.next();
        job.reset(seed)?;
        let took = job.run(seed, repeats)?;
        pass_s = pass_s.min(took.as_secs_f64().max(1e-9) / repeats as f64);
        let wanted = (sample.as_secs_f64() / pass_s).ceil().max(1.0) as u64;
        // A quarter of the sample's time is long enough to reckon from; twice, since the system may have held up one of them.
        if 4 * took >= sample {
            long_enough += 1;
            if long_enough == 2 {
                return Ok(wanted);
            }
        } else {
            repeats = wanted.clamp(2 * repeats, 100 * repeats);
        }
    }
}

/// The most memory that was resident, in bytes (Linux's `VmHWM`).
fn peak_memory() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn failure(cause: Cause, message: String) -> Failure {
    Failure { cause, message }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        failure(Cause::Error, error.to_string())
    }
}
