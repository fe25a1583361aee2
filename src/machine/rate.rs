//! Teams of threads that multiply and add, or that read, and the rate at which they do. The [`Roofline`](super::Roofline) keeps it once,
//! a [`Gauge`](super::Gauge) takes it again and again.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::bandwidth::Reader;
use super::buffer::{Buffer, Line, Pages};
use super::fma::Kernel;
use super::team::shortest;
use crate::error::Result;
use crate::scalar::ScalarKind;
use crate::simd::Isa;

/// Threads that multiply and add in registers.
pub struct Multiplying {
    kernel: Kernel,
    threads: usize,
    /// Rounds of the kernel in a run.
    rounds: u32,
}

impl Multiplying {
    /// With that instruction set, in runs that take about `run`; `None` where the machine lacks the set.
    pub fn new(isa: Isa, scalar: ScalarKind, threads: usize, run: Duration) -> Option<Self> {
        let kernel = Kernel::new(isa, scalar)?;
        let mut rounds = 1 << 10;
        loop {
            let clock = Instant::now();
            black_box(kernel.run(black_box(rounds)));
            if clock.elapsed() >= run || rounds >= Kernel::MOST_ROUNDS {
                return Some(Multiplying { kernel, threads, rounds });
            }
            rounds *= 2;
        }
    }

    /// The best of so many runs, in GFLOP/s of all threads together.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where there are not so many threads.
    pub fn gflops(&self, runs: usize) -> Result<f64> {
        let job = || {
            black_box(self.kernel.run(black_box(self.rounds)));
        };
        let time = shortest(&mut vec![job; self.threads], runs)?;
        Ok(self.threads as f64 * self.kernel.flops(self.rounds) / time.as_secs_f64() / 1e9)
    }
}

/// Threads that read, each memory of its own.
pub struct Reading {
    reader: Reader,
    /// One for each thread.
    buffers: Vec<Buffer>,
}

/// A thread reads at least this much in a run, so that the run lasts much longer than the threads' starts are apart.
const BYTES_READ: usize = 16 << 20;

impl Reading {
    /// `bytes` on each thread.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where there is not so much memory, or not on such pages.
    pub fn new(bytes: usize, threads: usize, pages: Pages) -> Result<Self> {
        let buffers = (0..threads).map(|_| Buffer::new(bytes.max(1), pages)).collect::<Result<_>>()?;
        Ok(Reading { reader: Reader::widest(), buffers })
    }

    /// Bytes that a thread reads in a run: its memory, or as often as makes [`BYTES_READ`].
    pub fn bytes_of_a_run(&self) -> usize {
        let bytes = self.buffers[0].len() * size_of::<Line>();
        (BYTES_READ / bytes).max(1) * bytes
    }

    /// The best of so many runs, in GB/s of all threads together.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where there are not so many threads.
    pub fn gb_per_s(&mut self, runs: usize) -> Result<f64> {
        let (reader, bytes) = (self.reader, self.bytes_of_a_run());
        let job = |buffer: &mut Buffer| {
            buffer.touch();
            let passes = bytes / (buffer.len() * size_of::<Line>());
            for _ in 0..passes {
                black_box(reader.sum(black_box(buffer)));
            }
        };
        let mut jobs: Vec<_> = self.buffers.iter_mut().map(|buffer| move || job(buffer)).collect();
        let time = shortest(&mut jobs, runs)?;
        Ok((jobs.len() * bytes) as f64 / time.as_secs_f64() / 1e9)
    }
}
