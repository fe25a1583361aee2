//! The parent's hold on a measured child: what it is started with, and what its failures mean for a cell.

use std::time::{Duration, Instant};

use super::cell::Cell;

use super::protocol::{Cause, Failure, Reply, Request};
use crate::child::{self, Program, environment};

/// A started child.
pub(super) struct Child(child::Child);

impl Child {
    /// Starts `program` for `cell` and waits for its first word. Answers the child and the time that took.
    pub(super) fn start(program: &Program, cell: &Cell, timeout: Duration) -> Result<(Self, Duration), Failure> {
        let clock = Instant::now();
        let mut command = program.command(&[child::VERB]);
        command.envs(environment::set(cell.threads));
        let mut child = child::Child::start(command).map_err(|failure| told("start", &failure))?;
        match child.receive::<Reply>(timeout, 0).map_err(|failure| told("start", &failure))?.said {
            Reply::Started => Ok((Child(child), clock.elapsed())),
            other => {
                let message = format!("{other:?} was its first word");
                Err(Failure { cause: Cause::Protocol, message })
            }
        }
    }

    /// Sends a request and waits for the reply. [`Reply::Failed`] comes back as the error; `doing` goes into messages.
    pub(super) fn ask(&mut self, request: &Request, doing: &str, timeout: Duration) -> Result<Reply, Failure> {
        match self.0.ask(request, &[], timeout, 0).map_err(|failure| told(doing, &failure))?.said {
            Reply::Failed(failure) => Err(failure),
            reply => Ok(reply),
        }
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
