//! What a guarded reader may use: little until the file has said what it holds, then in proportion to that.
//!
//! | what | limit for the headers of a file of s bytes | and for a set of n bytes unpacked, in c chunks |
//! | --- | --- | --- |
//! | address space, beyond what is mapped at the start | 256 MiB + s | + 2 n + 3 times the largest chunk + c * 8 KiB |
//! | processor time, beyond that of the start | 1 s + s / 16 MiB s | + n / 4 MiB s + c / 2,000 s |
//! | wall time, watched by the parent | 30 s + 10 times the processor time | the same |
//! | files written, core dumps | none | |
//!
//! Of its processor time a sound file takes a tenth or less (zlib unpacks 100 MiB a second and more), so that a slow machine raises no
//! alarm. A reader that runs in circles is ended by its processor time, however busy the machine; wall time is for one that sleeps.

use std::fmt;
use std::io;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::file::MAX_BYTES;
use crate::child::{self, Usage};

/// Most chunks of a set: libhdf5 takes 4 KiB of memory for each while it reads.
pub(super) const MAX_CHUNKS: u64 = 1 << 18;
/// Most bytes of unpacked chunks: those at the edges may reach beyond the set.
pub(super) const MAX_UNPACKED: u64 = 2 * MAX_BYTES as u64;

/// What the values of a set take once they are unpacked, as its file declares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unpacked {
    /// Whole chunks, also where they reach beyond the shape.
    pub bytes: u64,
    /// 0 where the values lie one behind the other.
    pub chunks: u64,
    /// Bytes.
    pub largest_chunk: u64,
}

impl Unpacked {
    /// Whether a set can be as large as that. `Err` says what is wrong.
    pub fn expect_plausible(&self) -> Result<(), String> {
        let Unpacked { bytes, chunks, largest_chunk } = *self;
        if chunks > MAX_CHUNKS {
            return Err(format!("it has {chunks} chunks, the limit is {MAX_CHUNKS}; write it in larger chunks"));
        }
        if bytes > MAX_UNPACKED || largest_chunk > MAX_BYTES as u64 {
            return Err(format!(
                "it unpacks to {bytes} bytes in chunks of up to {largest_chunk}, the limits are {MAX_UNPACKED} and {MAX_BYTES}; \
                 write it in smaller chunks"
            ));
        }
        Ok(())
    }
}

/// Both, read one after the other.
impl Add for Unpacked {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Unpacked {
            bytes: self.bytes.saturating_add(other.bytes),
            chunks: self.chunks.saturating_add(other.chunks),
            largest_chunk: self.largest_chunk.max(other.largest_chunk),
        }
    }
}

/// What a child may use.
pub(super) struct Limits {
    /// Bytes of address space beyond what is mapped at the start.
    pub memory: u64,
    /// Whole seconds beyond those of the start.
    pub processor_s: u64,
    pub wall: Duration,
    /// What they are for, as in "the limit for ...".
    pub subject: String,
}

impl Limits {
    /// Until the file has said what it holds: its headers and indices are no larger than the file.
    pub fn for_headers(file_bytes: u64) -> Self {
        let subject = format!("the headers of a file of {}", Megabytes(file_bytes));
        Limits::new((256 << 20) + file_bytes, 1 + file_bytes / (16 << 20), subject)
    }

    /// From then on, counted from the start.
    pub fn for_set(file_bytes: u64, unpacked: &Unpacked) -> Self {
        let Unpacked { bytes, chunks, largest_chunk } = *unpacked;
        let headers = Limits::for_headers(file_bytes);
        let memory = headers.memory + 2 * bytes + 3 * largest_chunk + (chunks << 13);
        let subject = match chunks {
            0 => format!("{} of values", Megabytes(bytes)),
            _ => format!("{} of values in {chunks} chunks", Megabytes(bytes)),
        };
        Limits::new(memory, headers.processor_s + bytes / (4 << 20) + chunks / 2000, subject)
    }

    fn new(memory: u64, processor_s: u64, subject: String) -> Self {
        Limits { memory, processor_s, wall: Duration::from_secs(30 + 10 * processor_s), subject }
    }

    /// On this process; can be done again with others.
    pub fn impose(&self, start: &Usage) -> io::Result<()> {
        child::Limits { memory: self.memory, processor_s: self.processor_s }.impose(start)
    }
}

/// With one digit after the point; bytes where that would be 0.0.
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..100_000 => write!(f, "{} bytes", self.0),
            bytes => write!(f, "{:.1} MB", bytes as f64 / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_what_is_unpacked_and_not_the_files_size() {
        let small = Limits::for_headers(1 << 20);
        assert_eq!((small.memory >> 20, small.processor_s), (257, 1));
        let blank = Unpacked { bytes: 983_040_000, chunks: 313, largest_chunk: 3 << 20 };
        let large = Limits::for_set(1 << 20, &blank);
        assert!(large.processor_s > 200 && large.wall > Duration::from_secs(2000));
        assert!(large.memory > 2 * blank.bytes && large.memory < 3 << 30);
        assert_eq!(large.subject, "983.0 MB of values in 313 chunks");
        // What a mutant of a small file can claim gives it no time.
        assert_eq!(Limits::for_set(1 << 13, &Unpacked { bytes: 1 << 20, ..Unpacked::default() }).processor_s, 1);
    }

    #[test]
    fn absurd_claims_are_refused() {
        let sound = Unpacked { bytes: MAX_UNPACKED, chunks: MAX_CHUNKS, largest_chunk: MAX_BYTES as u64 };
        sound.expect_plausible().expect("at the limit");
        for (absurd, expectation) in [
            (Unpacked { bytes: MAX_UNPACKED + 1, ..sound }, "smaller chunks"),
            (Unpacked { chunks: MAX_CHUNKS + 1, ..sound }, "larger chunks"),
            (Unpacked { largest_chunk: MAX_BYTES as u64 + 1, ..sound }, "smaller chunks"),
            (sound + sound, "larger chunks"),
        ] {
            let problem = absurd.expect_plausible().expect_err(expectation);
            assert!(problem.contains(expectation), "{problem}");
        }
        let huge = Unpacked { bytes: u64::MAX, chunks: u64::MAX, largest_chunk: u64::MAX };
        assert_eq!(huge + sound, huge);
    }
}
