//! What becomes of a child: one thread waits for its end, all others are told.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::protocol::Nothing;
use crate::child::{Child, Failure};
use crate::panics::locked;

/// How long the end of a child is waited for that has been given up.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long one that has closed a lane gets to end by itself: then its own way of ending tells more.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of how a child ends.
#[derive(Default)]
pub(super) struct Fate {
    known: Mutex<Known>,
    is_over: Condvar,
}

#[derive(Default)]
struct Known {
    /// Why it is lost: the first reason that was found.
    failure: Option<Failure>,
    /// Whether it has ended.
    is_over: bool,
}

impl Fate {
    /// Waits for the child's end. On the thread that has started it: the system ends a child with that.
    pub fn watch(&self, mut child: Child) {
        let failure = match child.listen::<Nothing>() {
            Ok(nothing) => match nothing {},
            Err(failure) => failure,
        };
        let mut known = locked(&self.known);
        known.failure = Some(match known.failure.take() {
            // We have hung up, and know why.
            Some(earlier) => earlier.with_words(failure.words()),
            None => failure,
        });
        known.is_over = true;
        self.is_over.notify_all();
    }

    /// Whether nobody answers any more.
    pub fn is_lost(&self) -> bool {
        locked(&self.known).failure.is_some()
    }

    /// Gives the child up. That it ends now is our doing: whoever asks from now on is told the same.
    pub fn give_up(&self, failure: Failure, hang_up: impl FnOnce()) {
        locked(&self.known).failure.get_or_insert(failure);
        hang_up();
        // It leaves its last words.
        self.wait(LAST_WORDS);
    }

    /// After a lane was closed, which most often means that the child ends.
    pub fn is_closed(&self, hang_up: impl FnOnce()) {
        if !self.wait(GRACE) {
            self.give_up(Failure::Closed(String::new()), hang_up);
        }
    }

    /// Whether it ends within so long.
    fn wait(&self, limit: Duration) -> bool {
        let waited = self.is_over.wait_timeout_while(locked(&self.known), limit, |known| !known.is_over);
        waited.map_or_else(|poisoned| poisoned.into_inner().0.is_over, |(known, _)| known.is_over)
    }

    /// Why it is lost, and whether that is for lack of an answer in time.
    pub fn told(&self) -> (String, bool) {
        let known = locked(&self.known);
        let why = known.failure.as_ref().map_or_else(|| "it is gone".into(), ToString::to_string);
        (why, matches!(known.failure, Some(Failure::Late(..))))
    }
}
