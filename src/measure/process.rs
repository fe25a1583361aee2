//! The parent's hold on a measured child: what it is started with, and what its failures mean for a cell.

use std::thread::sleep;
use std::time::{Duration, Instant};

use ndarray::Array2;

use super::cell::Cell;
use super::change::draw;
use super::clock::Clock;
use super::protocol::{Cause, Failure, Prepared, Reply, Request, Task};
use super::results::Part;
use super::settings::Settings;
use crate::child::{self, Program};

/// After an answer the child's thread goes to sleep, and only then its CPU time is whole: this is long enough for that.
const SETTLING: Duration = Duration::from_micros(100);

/// A started child.
pub(super) struct Child(child::Child);

/// What the parent sees of a request, whatever the child says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// From before it was sent until after the answer came.
    pub wall: Duration,
    /// CPU time of all threads of the child meanwhile; none where the system does not tell it.
    pub cpu: Option<Duration>,
}

impl Child {
    /// Starts `program` for `cell` and waits for its first word. Answers the child and the time that took.
    pub(super) fn start(program: &Program, cell: &Cell, timeout: Duration) -> Result<(Self, Duration), Failure> {
        let clock = Instant::now();
        let mut child =
            child::Child::start(program.serving(cell.threads)).map_err(|failure| told("start", &failure))?;
        match child.receive::<Reply>(timeout, 0).map_err(|failure| told("start", &failure))?.said {
            Reply::Started { protocol } => match child::expect_protocol(protocol) {
                Ok(()) => Ok((Child(child), clock.elapsed())),
                Err(message) => Err(Failure { cause: Cause::Protocol, message }),
            },
            other => {
                let message = format!("{other:?} was its first word");
                Err(Failure { cause: Cause::Protocol, message })
            }
        }
    }

    /// Starts a child for a cell and has it get ready, timed or not. Where this run was stopped meanwhile (Ctrl-Z) once more: what clocks showed
    /// is neither the time of a start nor of a plan.
    pub(super) fn prepare(cell: &Cell, settings: &Settings) -> Result<(Self, Duration, Prepared), Failure> {
        let sample_ns = u64::try_from(settings.sample.as_nanos()).unwrap_or(u64::MAX);
        loop {
            let (mut child, start) = Child::start(&settings.program, cell, settings.timeout)?;
            let was_stopped = child.was_stopped();
            let task = Task { cell: cell.clone(), sample_ns, flush_bytes: settings.flush_bytes, seed: draw() };
            let reply = child.ask(&Request::Prepare(task), "preparation", settings.timeout)?;
            if was_stopped || child.was_stopped() {
                continue;
            }
            let Reply::Ready(prepared) = reply else { return Err(reply.unexpected()) };
            return Ok((child, start, prepared));
        }
    }

    /// Sends a request and waits for the reply. [`Reply::Failed`] comes back as the error; `doing` goes into messages.
    pub(super) fn ask(&mut self, request: &Request, doing: &str, timeout: Duration) -> Result<Reply, Failure> {
        match self.0.ask(request, &[], timeout, 0).map_err(|failure| told(doing, &failure))?.said {
            Reply::Failed(failure) => Err(failure),
            reply => Ok(reply),
        }
    }

    /// The same, and what was seen of it.
    pub(super) fn watch(
        &mut self,
        request: &Request,
        doing: &str,
        timeout: Duration,
    ) -> Result<(Reply, Seen), Failure> {
        sleep(SETTLING);
        let before = self.0.cpu_time();
        let clock = Clock::start();
        let reply = self.ask(request, doing, timeout)?;
        let wall = clock.elapsed();
        sleep(SETTLING);
        let cpu = before.zip(self.0.cpu_time()).map(|(before, after)| after.saturating_sub(before));
        Ok((reply, Seen { wall, cpu }))
    }

    /// Has these parts of the last results shown, as rows behind each other.
    pub(super) fn show(&mut self, parts: &[Part], timeout: Duration) -> Result<Vec<Array2<f64>>, Failure> {
        let doing = "the showing of results";
        let numbers: usize = parts.iter().map(Part::len).sum();
        let request = Request::Show(parts.to_vec());
        let message = self.0.ask(&request, &[], timeout, 8 * numbers).map_err(|failure| told(doing, &failure))?;
        match message.said {
            Reply::Shown if message.bytes.len() == 8 * numbers => {}
            Reply::Failed(failure) => return Err(failure),
            other => return Err(other.unexpected()),
        }
        let mut rest = message.bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight")));
        let part = |part: &Part| {
            Array2::from_shape_simple_fn((part.rows.len(), part.columns.len()), || rest.next().unwrap_or(f64::NAN))
        };
        Ok(parts.iter().map(part).collect())
    }

    /// Whether this run was stopped (Ctrl-Z) while the last reply was waited for.
    pub(super) fn was_stopped(&self) -> bool {
        self.0.was_stopped()
    }
}

fn told(doing: &str, failure: &child::Failure) -> Failure {
    let (cause, hint) = match failure {
        child::Failure::Start(_) => (Cause::Error, ""),
        child::Failure::Ended(..) | child::Failure::Closed(_) => (Cause::Crash, ""),
        child::Failure::Late(..) => (Cause::Timeout, "; --timeout allows more"),
        child::Failure::Nonsense(_) => (Cause::Protocol, ""),
    };
    Failure { cause, message: format!("during {doing}: {failure}{hint}") }
}
