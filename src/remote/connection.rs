//! The parent's hold on one child: lanes, one for each thread that calls, each with a channel of its own.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use super::arena::Arena;
use super::fate::Fate;
use super::layout::Layout;
use super::process::Process;
use super::protocol::{Asked, First, FirstWord, Opening, Reply, Request, Subject};
use crate::child::{Channel, Child, Failure, Patience, Program, Silence, Speaker, expect_protocol};
use crate::error::{Error, Result};
use crate::panics::locked;

/// Arenas up to this size are kept for the next lane.
const MOST_SPARED: usize = 1 << 20;

/// A child that computes on so many threads.
pub(super) struct Connection {
    pub subject: Subject,
    pub threads: NonZeroUsize,
    process: Process,
    /// How long a single reply may take.
    limit: Duration,
    /// To the child itself.
    speaker: Mutex<Speaker>,
    /// The same, for who does not want to wait for whoever speaks.
    hanging_up: Speaker,
    lanes: Mutex<HashMap<ThreadId, Arc<Mutex<Lane>>>>,
    fate: Arc<Fate>,
    watch: Option<JoinHandle<()>>,
    /// Memory of lanes that have ended, for those that come.
    spare: Mutex<Vec<(Option<Arena>, Layout)>>,
    next_number: AtomicU64,
    dropped: Mutex<Vec<u64>>,
    allocations: AtomicU64,
    counts_allocations: AtomicBool,
    was_told: AtomicBool,
    /// What went wrong where no call could say so.
    complaint: Mutex<Option<String>>,
}

/// What stands for a thread of this process.
pub(super) struct Lane {
    channel: Channel,
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
        let fate = Arc::new(Fate::default());
        let (started, has_started) = channel();
        // The system ends a child with the thread that has started it: that one stays.
        let watch = std::thread::Builder::new().name("watch".into()).spawn({
            let (fate, subject) = (Arc::clone(&fate), subject.clone());
            move || {
                let begun = Child::start(command).and_then(|mut child| {
                    let FirstWord::Started { protocol } = child.receive::<FirstWord>(limit, 0)?.said;
                    expect_protocol(protocol).map_err(Failure::Nonsense)?;
                    let (mut speaker, hanging_up) = (child.speaker()?, child.speaker()?);
                    // What takes no more is seen by whoever waits for the answer.
                    speaker.limit_sending(limit).map_err(Failure::Start)?;
                    // A child that takes nothing is seen below.
                    let _ = speaker.send(&First::Serve(subject));
                    Ok((child, speaker, hanging_up))
                });
                match begun {
                    Ok((child, speaker, hanging_up)) => {
                        let id = child.id();
                        if started.send(Ok((speaker, hanging_up, id))).is_ok() {
                            fate.watch(child);
                        }
                    }
                    Err(failure) => drop(started.send(Err(failure))),
                }
            }
        });
        let lost =
            |why: String| Error::Lost { name: subject.backend.clone(), threads: threads.get(), why, late: false };
        let watch = watch.map_err(|error| lost(format!("no thread can be started to watch it: {error}")))?;
        let begun = has_started.recv().map_err(|_| lost("nobody watches it any more".into()))?;
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
            fate,
            watch: Some(watch),
            spare: Mutex::default(),
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
        self.fate.is_lost()
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
        let mut lanes: Vec<_> = locked(&self.lanes).drain().map(|(_, lane)| lane).collect();
        if lanes.is_empty() && !locked(&self.dropped).is_empty() && !self.is_lost() {
            lanes.push(Arc::new(Mutex::new(self.new_lane()?)));
        }
        for lane in lanes {
            let mut lane = locked(&lane);
            if !self.is_lost() {
                let ended = self.expect_done_on(&mut lane, Request::End);
                outcome = outcome.and(ended);
            }
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
    fn lane(&self) -> Result<Arc<Mutex<Lane>>> {
        let caller = std::thread::current().id();
        let mut lanes = locked(&self.lanes);
        if let Some(lane) = lanes.get(&caller) {
            return Ok(Arc::clone(lane));
        }
        let lane = Arc::new(Mutex::new(self.new_lane()?));
        lanes.insert(caller, Arc::clone(&lane));
        Ok(lane)
    }

    fn new_lane(&self) -> Result<Lane> {
        let opened = Channel::pair().and_then(|(channel, theirs)| {
            channel.limit_sending(self.limit)?;
            match locked(&self.speaker).pass(&Opening::Lane, &theirs) {
                // A child that is gone is seen at the first request.
                Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Err(error),
                _ => Ok(channel),
            }
        });
        let channel = opened.map_err(|error| self.lost(format!("no channel to it can be opened: {error}")))?;
        let (arena, layout) = locked(&self.spare).pop().unwrap_or_default();
        Ok(Lane { channel, arena, is_shared: false, layout, entering: Vec::new(), owed: 0 })
    }

    /// From here to [`leave`](Self::leave) the calling thread's requests are served inside the engine's run. It is entered with the first.
    pub fn enter(&self, engine: u64) {
        match self.lane() {
            Ok(lane) => locked(&lane).entering.push(engine),
            // What follows is not inside the run, wherever it is then.
            Err(error) => self.complain(error.to_string()),
        }
    }

    /// Leaves the run that was entered last. Its answer is taken with that to the next request.
    pub fn leave(&self) {
        let Ok(lane) = self.lane() else { return };
        let mut lane = locked(&lane);
        if lane.entering.pop().is_none() {
            // A child that is gone is seen at the next request.
            let _ = self.say(&mut lane, Request::Leave);
            lane.owed += 1;
        }
    }

    /// Asks on the calling thread's lane.
    pub fn ask(&self, request: Request) -> Result<Reply> {
        let lane = self.lane()?;
        let mut lane = locked(&lane);
        self.ask_on(&mut lane, request)
    }

    /// Asks for something that has no other answer than that it is done.
    pub fn expect_done(&self, request: Request) -> Result<()> {
        let lane = self.lane()?;
        let mut lane = locked(&lane);
        self.expect_done_on(&mut lane, request)
    }

    /// The calling thread's lane with no matrices on it, for a [`call`](Self::call).
    pub fn with_lane<R>(&self, use_it: impl FnOnce(&mut Lane) -> Result<R>) -> Result<R> {
        let lane = self.lane()?;
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
        let is_refused = matches!(outcome, Err(Error::Shape { .. } | Error::Layout { .. } | Error::Columns { .. }));
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

    fn reply(&self, lane: &mut Lane) -> Result<Reply> {
        let silence = match lane.channel.wait(&mut Patience::of(self.limit), 0) {
            Ok(Ok(message)) => return Ok(message.said),
            Ok(Err(silence)) => silence,
            // A socket that fails is one that has ended.
            Err(_) => Silence::Closed,
        };
        let hang_up = || self.hanging_up.hang_up();
        match silence {
            Silence::Closed => self.fate.is_closed(hang_up),
            Silence::Late => self.fate.give_up(Failure::Late(self.limit, String::new()), hang_up),
            Silence::Nonsense(found) => self.fate.give_up(Failure::Nonsense(found), hang_up),
        }
        Err(self.why_lost())
    }

    fn say(&self, lane: &mut Lane, request: Request) -> std::io::Result<()> {
        let dropped = std::mem::take(&mut *locked(&self.dropped));
        let enter = std::mem::take(&mut lane.entering);
        lane.channel.send(&Asked { dropped, read_only: lane.layout.inputs(), enter, request }, &[])
    }

    /// That it is lost, and why.
    pub fn why_lost(&self) -> Error {
        self.was_told.store(true, Ordering::Relaxed);
        let (why, late) = self.fate.told();
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
        if let Some(watch) = self.watch.take() {
            // It has nothing to say.
            let _ = watch.join();
        }
    }
}
