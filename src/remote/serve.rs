//! The child's side: does what it is asked to on the thread that it is asked for, and decides nothing.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use ndarray::{ArcArray2, Array2, s};

use super::arena::{Access, Arena};
use super::protocol::{Asked, Complaint, First, FirstWord, Opening, Region, Reply, Request, Subject};
use crate::allocator::Counting;
use crate::backend::{self, Registry};
use crate::child::{Channel, PROTOCOL};
use crate::error::{Error, Result};
use crate::layer::{BoundLayer, Descent, Engine, Grads, Layer, Params, Upstream};
use crate::machine::FloatState;
use crate::panics::{locked, panic_text};
use crate::scalar::{Scalar, ScalarKind};

/// Serves the parent until it is gone, after the first word and the first request have been exchanged.
///
/// # Errors
/// Of the channel. What goes wrong with the backend is told to the parent.
pub(crate) fn serve(registry: &Registry, subject: &Subject, channel: Channel) -> io::Result<()> {
    match subject.scalar {
        ScalarKind::F32 => serve_as::<f32>(registry, subject, channel),
        ScalarKind::F64 => serve_as::<f64>(registry, subject, channel),
    }
}

/// A parent's subject, before it is served: for a program that does not have all backends in one registry.
pub(crate) struct Wanted {
    /// What the parent wants.
    pub subject: Subject,
    channel: Channel,
}

impl Wanted {
    /// Says the first word and waits for the first request; none where the parent is gone.
    ///
    /// # Errors
    /// Of the channel, also where this process was not started by a parent.
    pub fn wait() -> io::Result<Option<Self>> {
        let mut channel = Channel::of_child()?;
        channel.send(&FirstWord::Started { protocol: PROTOCOL }, &[])?;
        let first = channel.receive::<First>()?;
        Ok(first.map(|First::Serve(subject)| Wanted { subject, channel }))
    }

    /// Serves it with the backends of `registry`.
    ///
    /// # Errors
    /// As [`serve`].
    pub fn serve(self, registry: &Registry) -> io::Result<()> {
        serve(registry, &self.subject, self.channel)
    }
}

/// What the lanes share.
struct Server<T: Scalar> {
    entry: std::result::Result<backend::Entry, String>,
    engines: Mutex<HashMap<u64, Arc<dyn Engine<T>>>>,
    layers: Mutex<HashMap<u64, Planned<T>>>,
}

enum Planned<T: Scalar> {
    Layer(Box<dyn Layer<T>>),
    Bound(Box<dyn BoundLayer<T>>),
}

fn serve_as<T: Scalar>(registry: &Registry, subject: &Subject, mut channel: Channel) -> io::Result<()> {
    let server = Arc::new(Server::<T> {
        entry: registry.get(&subject.backend).cloned().map_err(|error| error.to_string()),
        engines: Mutex::default(),
        layers: Mutex::default(),
    });
    Counting::exempt_this_thread();
    while let Some(Opening::Lane) = channel.receive()? {
        let lane = channel.take_passed().ok_or_else(|| io::Error::other("a lane came without its channel"))?;
        let server = Arc::clone(&server);
        let mut speaker = lane.speaker()?;
        // It ends with the lane or with the process.
        let thread = std::thread::Builder::new().spawn(move || {
            let mut lane = Lane { channel: lane, server, arena: None, protected: 0, has_ended: false, at_leave: None };
            lane.serve(Where::Outside);
        });
        if let Err(error) = thread {
            let complaint = Complaint::Other(format!("no thread can be started for its calls: {error}"));
            // The lane is closed then, which the parent sees too.
            let _ = speaker.send(&Reply::Failed(complaint));
        }
    }
    Ok(())
}

/// A thread that stands for one of the parent's.
struct Lane<T: Scalar> {
    channel: Channel,
    server: Arc<Server<T>>,
    arena: Option<Arena>,
    /// Bytes of it that are read-only.
    protected: usize,
    has_ended: bool,
    /// What went wrong with what was dropped before a run was left.
    at_leave: Option<Complaint>,
}

/// Where a lane's requests are served.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Outside,
    /// Inside an engine's run.
    Inside,
}

impl<T: Scalar> Lane<T> {
    /// Serves requests until the lane ends or, inside a run, until the parent leaves that.
    fn serve(&mut self, at: Where) {
        while !self.has_ended
            && let Ok(Some(Asked { dropped, read_only, enter, request })) = self.channel.receive()
        {
            let dropped = self.drop_all(&dropped);
            match request {
                Request::Leave if at == Where::Inside => {
                    self.at_leave = dropped.err();
                    return;
                }
                Request::Leave => self.say(Reply::Done),
                Request::End => {
                    self.has_ended = true;
                    self.say(dropped.map_or_else(Reply::Failed, |()| Reply::Done));
                }
                request => match dropped.and_then(|()| Ok(self.protect(read_only)?)) {
                    Ok(()) => self.within(&enter, request),
                    Err(complaint) => self.say(Reply::Failed(complaint)),
                },
            }
        }
    }

    fn say(&mut self, reply: Reply) {
        // A parent that is gone ends this process.
        let _ = self.channel.send(&reply, &[]);
    }

    /// Inputs of a layer are not to be written, and whoever does is ended by a signal.
    fn protect(&mut self, read_only: usize) -> Result<()> {
        let Some(arena) = self.arena.as_ref().filter(|_| self.protected != read_only) else { return Ok(()) };
        let protect = |bytes, access| {
            let failed = |source| Error::Io { action: "protect", path: "shared memory".into(), source };
            arena.protect(bytes, access).map_err(failed)
        };
        protect(self.protected, Access::Write)?;
        protect(read_only, Access::Read)?;
        self.protected = read_only;
        Ok(())
    }

    fn drop_all(&self, numbers: &[u64]) -> std::result::Result<(), Complaint> {
        let layers: Vec<_> = numbers.iter().filter_map(|number| locked(&self.server.layers).remove(number)).collect();
        let engines: Vec<_> = numbers.iter().filter_map(|number| locked(&self.server.engines).remove(number)).collect();
        guarded(|| {
            drop(layers);
            drop(engines);
            Ok(())
        })
    }

    /// Answers a request, inside the runs of these engines, and what comes there until the parent leaves them. The answer to leaving comes
    /// from here, when the run has ended.
    fn within(&mut self, enter: &[u64], request: Request) {
        let Some((&outer, inner)) = enter.split_first() else {
            let reply = self.reply(request);
            return self.say(reply);
        };
        let engine = match self.engine(outer) {
            Ok(engine) => engine,
            Err(error) => return self.say(Reply::Failed(error.into())),
        };
        let (mut times, mut request) = (0, Some(request));
        let outcome = guarded(|| {
            engine.run(&mut || {
                times += 1;
                if let Some(request) = request.take() {
                    self.within(inner, request);
                    self.serve(Where::Inside);
                }
            });
            Ok(())
        });
        if self.has_ended {
            return;
        }
        let outcome = outcome.and(self.at_leave.take().map_or(Ok(()), Err));
        self.say(match (outcome, times) {
            (Err(complaint), _) => Reply::Failed(complaint),
            (Ok(()), 1) => Reply::Done,
            (Ok(()), times) => {
                Reply::Failed(Complaint::Other(format!("Engine::run ran its job {times} times, not once")))
            }
        });
    }

    fn reply(&mut self, request: Request) -> Reply {
        guarded(|| self.handle(request)).unwrap_or_else(Reply::Failed)
    }

    fn engine(&self, number: u64) -> Result<Arc<dyn Engine<T>>> {
        locked(&self.server.engines).get(&number).cloned().ok_or_else(|| protocol("an engine that there is not"))
    }

    fn handle(&mut self, request: Request) -> Result<Reply> {
        let entry = || self.server.entry.as_ref().map_err(|message| Error::Told(message.clone()));
        match request {
            Request::Arena { path, bytes } => {
                (self.arena, self.protected) = (None, 0);
                self.arena =
                    Some(Arena::open(&path, bytes).map_err(|source| Error::Io { action: "map", path, source })?);
            }
            Request::Available => return Ok(Reply::Unavailable(entry()?.available().err().map(|reason| reason.0))),
            Request::Open { engine, threads } => {
                let opened = entry()?.open::<T>(threads)?;
                let reply = Reply::Opened { threads: opened.threads(), description: opened.description() };
                locked(&self.server.engines).insert(engine, opened);
                return Ok(reply);
            }
            Request::Plan { engine, layer, spec } => {
                let planned = self.engine(engine)?.plan(spec)?;
                locked(&self.server.layers).insert(layer, Planned::Layer(planned));
            }
            Request::Bind { engine, layer, spec, x } => {
                let x = self.bound_input(&x)?;
                let bound = self.engine(engine)?.bind(spec, x)?;
                locked(&self.server.layers).insert(layer, Planned::Bound(bound));
            }
            Request::FloatStates => return Ok(Reply::FloatStates(FloatState::here())),
            Request::Leave | Request::End => return Err(protocol("a request out of its order")),
            pass => return self.pass(pass),
        }
        Ok(Reply::Done)
    }

    /// X as the parent has it: rows with a gap behind them have one here too.
    fn bound_input(&self, place: &Region) -> Result<ArcArray2<T>> {
        // SAFETY: the only view.
        let x = unsafe { self.arena()?.view::<T>(place) }.map_err(Error::Told)?;
        let ((rows, columns), stride) = (x.dim(), place.strides.0);
        if rows < 2 || stride <= columns {
            return Ok(x.to_owned().into_shared());
        }
        let mut larger = Array2::from_elem((rows, stride), T::nan());
        larger.slice_mut(s![.., ..columns]).assign(&x);
        Ok(larger.into_shared().slice_move(s![.., ..columns]))
    }

    fn arena(&self) -> Result<&Arena> {
        self.arena.as_ref().ok_or_else(|| protocol("matrices before there is an arena"))
    }

    /// A call of a layer. It is out of the table meanwhile: others may be called at the same time.
    fn pass(&mut self, request: Request) -> Result<Reply> {
        let (Request::Forward { layer: number, .. }
        | Request::Backward { layer: number, .. }
        | Request::BoundForward { layer: number, .. }
        | Request::BoundBackward { layer: number, .. }
        | Request::Update { layer: number, .. }
        | Request::Export { layer: number, .. }
        | Request::Import { layer: number, .. }) = request
        else {
            return Err(protocol("a request that is no pass"));
        };
        let mut planned =
            locked(&self.server.layers).remove(&number).ok_or_else(|| protocol("a layer that there is not"))?;
        let outcome = catch_unwind(AssertUnwindSafe(|| match &mut planned {
            Planned::Layer(layer) => self.pass_of_layer(layer.as_mut(), &request),
            Planned::Bound(bound) => self.pass_of_bound(bound.as_mut(), &request),
        }));
        locked(&self.server.layers).insert(number, planned);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn pass_of_layer(&self, layer: &mut dyn Layer<T>, request: &Request) -> Result<Reply> {
        let arena = self.arena()?;
        // SAFETY: the parent lays out the matrices of a call side by side, and each is taken once.
        let view = |place| unsafe { arena.view::<T>(place) }.map_err(Error::Told);
        // SAFETY: as above.
        let view_mut = |place| unsafe { arena.view_mut::<T>(place) }.map_err(Error::Told);
        match request {
            Request::Forward { w, b, a_prev, z, a, .. } => {
                let (params, a_prev) = (Params { w: view(w)?, b: view(b)? }, view(a_prev)?);
                let (z, a) = (view_mut(z)?, view_mut(a)?);
                counted(|| layer.forward(params, a_prev, z, a))
            }
            Request::Backward { w, b, a_prev, z, upstream, is_da, scale, dw, db, da_prev, .. } => {
                let (params, a_prev) = (Params { w: view(w)?, b: view(b)? }, view(a_prev)?);
                let (z, upstream) = (view(z)?, upstream_of(view(upstream)?, *is_da));
                let grads = Grads { dw: view_mut(dw)?, db: view_mut(db)? };
                let da_prev = da_prev.as_ref().map(view_mut).transpose()?;
                counted(|| layer.backward(params, a_prev, z, upstream, T::of(scale.get()), grads, da_prev))
            }
            _ => Err(protocol("a bound layer's call of a planned one")),
        }
    }

    fn pass_of_bound(&self, bound: &mut dyn BoundLayer<T>, request: &Request) -> Result<Reply> {
        // It has no matrices, and may come before there is an arena.
        if let Request::Update { rate, decay, .. } = request {
            let mut descent = Descent { rate: T::of(rate.get()), decay: T::of(decay.get()) };
            return counted(|| bound.update(&mut descent));
        }
        let arena = self.arena()?;
        // SAFETY: as in `pass_of_layer`.
        let view = |place| unsafe { arena.view::<T>(place) }.map_err(Error::Told);
        // SAFETY: as above.
        let view_mut = |place| unsafe { arena.view_mut::<T>(place) }.map_err(Error::Told);
        match request {
            Request::BoundForward { columns, z, a, .. } => {
                let (z, a) = (view_mut(z)?, view_mut(a)?);
                counted(|| bound.forward(columns.clone(), z, a))
            }
            Request::BoundBackward { columns, z, upstream, is_da, scale, .. } => {
                let (z, upstream) = (view(z)?, upstream_of(view(upstream)?, *is_da));
                counted(|| bound.backward(columns.clone(), z, upstream, T::of(scale.get())))
            }
            Request::Export { w, b, .. } => bound.export(view_mut(w)?, view_mut(b)?).map(|()| Reply::Done),
            Request::Import { w, b, .. } => bound.import(Params { w: view(w)?, b: view(b)? }).map(|()| Reply::Done),
            _ => Err(protocol("a planned layer's call of a bound one")),
        }
    }
}

fn upstream_of<T>(view: ndarray::ArrayView2<'_, T>, is_da: bool) -> Upstream<'_, T> {
    if is_da { Upstream::Da(view) } else { Upstream::Dz(view) }
}

/// A pass, and what it allocated: the backend's own threads are all that are counted meanwhile, but for other lanes.
fn counted(pass: impl FnOnce() -> Result<()>) -> Result<Reply> {
    let before = Counting::allocations();
    pass()?;
    let after = Counting::allocations();
    Ok(Reply::Computed { allocations: after.zip(before).map(|(after, before)| after - before) })
}

/// What panics is an answer too.
fn guarded<R>(call: impl FnOnce() -> Result<R>) -> std::result::Result<R, Complaint> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(Complaint::from),
        Err(payload) => Err(Complaint::Panic(panic_text(payload.as_ref()).to_owned())),
    }
}

fn protocol(what: &str) -> Error {
    Error::Told(format!("the parent asked for {what}: they are of different versions"))
}
