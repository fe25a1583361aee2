//! The parent's hold on one child: lanes, one for each thread that calls, and one thread that listens for all of them.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use super::arena::Arena;
use super::layout::Layout;
use super::process::Process;
use super::protocol::{Answered, Asked, First, FirstWord, Reply, Request, Subject};
use crate::child::{Child, Failure, Patience, Program, Speaker};
use crate::error::{Error, Result};
use crate::panics::locked;

/// Arenas up to this size are kept for the next lane.
const MOST_SPARED: usize = 1 << 20;
/// How long the end of a child is waited for that did not answer in time.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A child that computes on so many threads.
pub(super) struct Connection {
    pub subject: Subject,
    pub threads: NonZeroUsize,
    process: Process,
    /// How long a single reply may take.
    limit: Duration,
    speaker: Mutex<Speaker>,
    /// The same, for who does not want to wait for whoever speaks.
    hanging_up: Speaker,
    lanes: Mutex<HashMap<ThreadId, Arc<Mutex<Lane>>>>,
    listening: Arc<Listening>,
    listener: Option<JoinHandle<()>>,
    /// Memory of lanes that have ended, for those that come.
    spare: Mutex<Vec<(Option<Arena>, Layout)>>,
    next_lane: AtomicU32,
    next_number: AtomicU64,
    dropped: Mutex<Vec<u64>>,
    allocations: AtomicU64,
    counts_allocations: AtomicBool,
    was_told: AtomicBool,
    /// What went wrong where no call could say so.
    complaint: Mutex<Option<String>>,
}

/// What the listening thread shares.
#[derive(Default)]
struct Listening {
    /// Where each lane's replies go; empty once the child is lost.
    replies: Mutex<HashMap<u32, Sender<Reply>>>,
    lost: Mutex<Option<Failure>>,
}

/// What stands for a thread of this process.
pub(super) struct Lane {
    number: u32,
    replies: Receiver<Reply>,
    arena: Option<Arena>,
    /// Whether the child's thread has the arena too.
    is_shared: bool,
    pub layout: Layout,
    /// Engines whose run is entered with the next request.
    entering: Vec<u64>,
    /// Replies that were not waited for.
    owed: usize,
}

impl Connection {
    /// Starts a child and waits for its first word.
    pub fn start(program: &Program, subject: &Subject, threads: NonZeroUsize, limit: Duration) -> Result<Self> {
        let command = program.serving(threads);
        let listening = Arc::new(Listening::default());
        let (started, has_started) = channel();
        // The system ends a child with the thread that has started it: that one stays.
        let listener = std::thread::Builder::new().name("listener".into()).spawn({
            let (listening, subject) = (Arc::clone(&listening), subject.clone());
            move || {
                let begun = Child::start(command).and_then(|mut child| {
                    child.receive::<FirstWord>(limit, 0)?;
                    let (mut speaker, hanging_up) = (child.speaker()?, child.speaker()?);
                    // What takes no more is seen by whoever waits for the answer.
                    speaker.limit(limit).map_err(Failure::Start)?;
                    // A child that takes nothing is seen below.
                    let _ = speaker.send(&First::Serve(subject));
                    Ok((child, speaker, hanging_up))
                });
                match begun {
                    Ok((child, speaker, hanging_up)) => {
                        let id = child.id();
                        if started.send(Ok((speaker, hanging_up, id))).is_ok() {
                            listening.run(child);
                        }
                    }
                    Err(failure) => drop(started.send(Err(failure))),
                }
            }
        });
        let lost =
            |why: String| Error::Lost { name: subject.backend.clone(), threads: threads.get(), why, late: false };
        let listener = listener.map_err(|error| lost(format!("no thread can be started to listen to it: {error}")))?;
        let begun = has_started.recv().map_err(|_| lost("its listener is gone".into()))?;
        let (speaker, hanging_up, id) = begun.map_err(|failure| lost(failure.to_string()))?;
        Ok(Connection {
            subject: subject.clone(),
            threads,
            process: Process(id),
            limit,
            speaker: Mutex::new(speaker),
            hanging_up,
            was_told: false.into(),
            lanes: Mutex::default(),
            listening,
            listener: Some(listener),
            spare: Mutex::default(),
            next_lane: AtomicU32::new(0),
            next_number: AtomicU64::new(0),
            dropped: Mutex::default(),
            allocations: AtomicU64::new(0),
            counts_allocations: false.into(),
            complaint: Mutex::default(),
        })
    }

    /// The child as it is seen from outside.
    pub fn process(&self) -> Process {
        self.process
    }

    /// A number for an engine or a layer.
    pub fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Has the child drop what has this number, before its next request.
    pub fn drop_number(&self, number: u64) {
        locked(&self.dropped).push(number);
    }

    /// Allocations in all passes so far; none where the program does not count them.
    pub fn allocations(&self) -> Option<u64> {
        self.counts_allocations.load(Ordering::Relaxed).then(|| self.allocations.load(Ordering::Relaxed))
    }

    /// Notes what went wrong where no call can say so.
    fn complain(&self, what: String) {
        locked(&self.complaint).get_or_insert(what);
    }

    /// Whether nobody answers any more.
    pub fn is_lost(&self) -> bool {
        locked(&self.listening.lost).is_some()
    }

    /// Whether somebody was told that nobody answers any more.
    pub fn was_told(&self) -> bool {
        self.was_told.load(Ordering::Relaxed)
    }

    /// Ends all lanes and their threads: the next call from anywhere is on a new one. What was dropped last is dropped then too.
    ///
    /// # Errors
    /// Where the child was lost and nobody was told yet, or something went wrong that no call could say.
    pub fn end_lanes(&self) -> Result<()> {
        let mut outcome = Ok(());
        let lanes: Vec<_> = locked(&self.lanes).drain().map(|(_, lane)| lane).collect();
        let has_dropped = !locked(&self.dropped).is_empty();
        let last = (has_dropped && lanes.is_empty()).then(|| self.new_lane());
        for lane in lanes.into_iter().chain(last) {
            let mut lane = locked(&lane);
            if !self.is_lost() {
                let ended = self.expect_done_on(&mut lane, Request::End);
                outcome = outcome.and(ended);
            }
            locked(&self.listening.replies).remove(&lane.number);
            let (arena, layout) = (lane.arena.take(), std::mem::take(&mut lane.layout));
            if arena.as_ref().is_some_and(|arena| arena.bytes() <= MOST_SPARED) {
                locked(&self.spare).push((arena, layout));
            }
        }
        if let Some(complaint) = locked(&self.complaint).take() {
            outcome = outcome.and(Err(Error::Told(complaint)));
        }
        if self.is_lost() && !self.was_told() {
            outcome = outcome.and(Err(self.why_lost()));
        }
        outcome
    }

    /// The lane of the calling thread.
    fn lane(&self) -> Arc<Mutex<Lane>> {
        Arc::clone(locked(&self.lanes).entry(std::thread::current().id()).or_insert_with(|| self.new_lane()))
    }

    fn new_lane(&self) -> Arc<Mutex<Lane>> {
        let number = self.next_lane.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = channel();
        // Of a child that is lost nobody waits for anything: then `replies` is closed.
        if !self.is_lost() {
            locked(&self.listening.replies).insert(number, sender);
        }
        if self.is_lost() {
            locked(&self.listening.replies).clear();
        }
        let (arena, layout) = locked(&self.spare).pop().unwrap_or_default();
        Arc::new(Mutex::new(Lane { number, replies, arena, is_shared: false, layout, entering: Vec::new(), owed: 0 }))
    }

    /// From here to [`leave`](Self::leave) the calling thread's requests are served inside the engine's run. It is entered with the first.
    pub fn enter(&self, engine: u64) {
        locked(&self.lane()).entering.push(engine);
    }

    /// Leaves the run that was entered last. Its answer is taken with that to the next request.
    pub fn leave(&self) {
        let lane = self.lane();
        let mut lane = locked(&lane);
        if lane.entering.pop().is_none() {
            // A child that is gone is seen at the next request.
            let _ = self.say(&mut lane, Request::Leave);
            lane.owed += 1;
        }
    }

    /// Asks on the calling thread's lane.
    pub fn ask(&self, request: Request) -> Result<Reply> {
        let lane = self.lane();
        let mut lane = locked(&lane);
        self.ask_on(&mut lane, request)
    }

    /// Asks for something that has no other answer than that it is done.
    pub fn expect_done(&self, request: Request) -> Result<()> {
        let lane = self.lane();
        let mut lane = locked(&lane);
        self.expect_done_on(&mut lane, request)
    }

    /// The calling thread's lane with no matrices on it, for a [`call`](Self::call).
    pub fn with_lane<R>(&self, use_it: impl FnOnce(&mut Lane) -> Result<R>) -> Result<R> {
        let lane = self.lane();
        let mut lane = locked(&lane);
        lane.layout.clear();
        use_it(&mut lane)
    }

    /// Asks with the matrices that lie on the lane. Afterwards outputs can be taken from it.
    pub fn call(&self, lane: &mut Lane, request: Request) -> Result<()> {
        lane.layout.finish();
        let bytes = lane.layout.bytes();
        if lane.arena.as_ref().is_none_or(|arena| arena.bytes() < bytes) {
            // The old one goes first: two would need twice the memory.
            lane.arena = None;
            let wanted = if bytes < MOST_SPARED { bytes.next_power_of_two() } else { bytes };
            let arena = Arena::create(wanted.next_multiple_of(1 << 16));
            lane.arena = Some(arena.map_err(|error| self.lost(format!("no memory can be shared with it: {error}")))?);
            lane.is_shared = false;
        }
        if let Some(arena) = lane.arena.as_ref().filter(|_| !lane.is_shared) {
            self.expect_done_on(lane, Request::Arena { path: arena.path().to_owned(), bytes: arena.bytes() })?;
            lane.is_shared = true;
        }
        if let Some(arena) = &mut lane.arena {
            lane.layout.write(arena);
        }
        let outcome = self.expect_done_on(lane, request);
        let is_refused = matches!(outcome, Err(Error::Shape { .. } | Error::Layout { .. }));
        if let (Some(arena), true) = (&lane.arena, is_refused || outcome.is_ok()) {
            lane.layout.read(arena);
        }
        // A call that is refused has no outputs.
        if is_refused {
            lane.layout.expect_untouched()?;
        }
        outcome
    }

    fn expect_done_on(&self, lane: &mut Lane, request: Request) -> Result<()> {
        match self.ask_on(lane, request)? {
            Reply::Done => Ok(()),
            Reply::Computed { allocations } => {
                self.counts_allocations.store(allocations.is_some(), Ordering::Relaxed);
                self.allocations.fetch_add(allocations.unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask_on(&self, lane: &mut Lane, request: Request) -> Result<Reply> {
        // A child that is gone is seen below, with the reason.
        let _ = self.say(lane, request);
        while lane.owed > 0 {
            lane.owed -= 1;
            match self.reply(lane)? {
                Reply::Done => {}
                Reply::Failed(complaint) => self.complain(complaint.into_error(&self.subject.backend).to_string()),
                other => return Err(self.unexpected(&other)),
            }
        }
        match self.reply(lane)? {
            Reply::Failed(complaint) => Err(complaint.into_error(&self.subject.backend)),
            reply => Ok(reply),
        }
    }

    fn reply(&self, lane: &Lane) -> Result<Reply> {
        let mut patience = Patience::of(self.limit);
        loop {
            let Some(slice) = patience.slice() else {
                // Whoever asks from now on is told the same: that it ends now is our doing.
                locked(&self.listening.lost).get_or_insert(Failure::Late(self.limit, String::new()));
                self.hanging_up.hang_up();
                // It leaves its last words.
                while lane.replies.recv_timeout(LAST_WORDS).is_ok() {}
                return Err(self.why_lost());
            };
            let start = Instant::now();
            match lane.replies.recv_timeout(slice) {
                Ok(reply) => return Ok(reply),
                Err(RecvTimeoutError::Timeout) => patience.count(start, slice),
                Err(RecvTimeoutError::Disconnected) => return Err(self.why_lost()),
            }
        }
    }

    fn say(&self, lane: &mut Lane, request: Request) -> std::io::Result<()> {
        let dropped = std::mem::take(&mut *locked(&self.dropped));
        let enter = std::mem::take(&mut lane.entering);
        let (lane, read_only) = (lane.number, lane.layout.inputs());
        locked(&self.speaker).send(&Asked { lane, dropped, read_only, enter, request })
    }

    /// That it is lost, and why.
    pub fn why_lost(&self) -> Error {
        self.was_told.store(true, Ordering::Relaxed);
        let failure = locked(&self.listening.lost);
        let why = failure.as_ref().map_or_else(|| "it is gone".into(), ToString::to_string);
        let late = matches!(*failure, Some(Failure::Late(..)));
        Error::Lost { name: self.subject.backend.clone(), threads: self.threads.get(), why, late }
    }

    /// What an answer means that nobody had asked for.
    pub fn unexpected(&self, reply: &Reply) -> Error {
        self.lost(format!("it answered {reply:?}, which nobody had asked for"))
    }

    fn lost(&self, why: String) -> Error {
        Error::Lost { name: self.subject.backend.clone(), threads: self.threads.get(), why, late: false }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hanging_up.hang_up();
        if let Some(listener) = self.listener.take() {
            // It has nothing to say.
            let _ = listener.join();
        }
    }
}

impl Listening {
    /// Hands replies to their lanes for as long as the child lives.
    fn run(&self, mut child: Child) {
        let failure = loop {
            match child.listen::<Answered>() {
                // A lane that was given up has nobody waiting.
                Ok(Answered { lane, reply }) => {
                    if let Some(sender) = locked(&self.replies).get(&lane) {
                        let _ = sender.send(reply);
                    }
                }
                Err(failure) => break failure,
            }
        };
        match &mut *locked(&self.lost) {
            // We have hung up.
            Some(Failure::Late(_, words)) => *words = failure.words().to_owned(),
            lost => *lost = Some(failure),
        }
        // Whoever waits sees that nothing will come.
        locked(&self.replies).clear();
    }
}
