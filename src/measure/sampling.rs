//! What a measured child, timed or not, is asked for again and again: passes, their digest, rest. Nothing is judged here.

use std::time::Duration;

use ndarray::Array2;

use super::clocks::Times;
use super::process::Child;
use super::protocol::{Failure, Passes, Reply, Request};
use super::results::{Matrix, Part};

/// Parts of what a sample gave.
pub(super) struct Shown {
    pub passes: Passes,
    /// Whether the replay gave the same.
    pub is_replayed: bool,
    pub parts: Vec<Part>,
    pub numbers: Vec<Array2<f64>>,
}

impl Shown {
    /// The part of a matrix, with its numbers.
    pub fn of(&self, matrix: Matrix) -> Option<(&Part, &Array2<f64>)> {
        self.parts.iter().zip(&self.numbers).find(|(part, _)| part.matrix == matrix)
    }
}

/// Has passes made. Where the run was stopped meanwhile (Ctrl-Z), once more: what clocks showed is no time of a pass.
pub(super) fn go(
    child: &mut Child,
    passes: Passes,
    timeout: Duration,
    is_over: impl Fn() -> bool,
) -> Result<Times, Failure> {
    loop {
        match child.ask(&Request::WarmUp(passes), "a warm-up", timeout)? {
            Reply::Warm => {}
            other => return Err(other.unexpected()),
        }
        let (reply, seen) = child.watch(&Request::Go, "a sample", timeout)?;
        let Reply::Done(stated) = reply else { return Err(reply.unexpected()) };
        if child.was_stopped() && !is_over() {
            continue;
        }
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let cpu = seen.cpu.map_or(stated.cpu_ns, nanoseconds);
        return Ok(Times { stated: stated.wall_ns, seen: nanoseconds(seen.wall), cpu });
    }
}

/// What the last pass gave.
pub(super) fn digest(child: &mut Child, timeout: Duration) -> Result<String, Failure> {
    match child.ask(&Request::Digest, "a digest", timeout)? {
        Reply::Digested(digest) => Ok(digest),
        other => Err(other.unexpected()),
    }
}

/// Waits until the child is quiet; answers whether it is.
pub(super) fn rest(child: &mut Child, timeout: Duration) -> Result<bool, Failure> {
    match child.ask(&Request::Rest, "a rest", timeout)? {
        Reply::Rested { quiet } => Ok(quiet),
        other => Err(other.unexpected()),
    }
}
