//! The traits of the [layer](crate::layer) module, answered by a child.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2};

use super::arena::Arena;
use super::connection::Connection;
use super::process::Process;
use super::protocol::{Reply, Request, Subject};
use crate::backend::Entry;
use crate::child::Program;
use crate::error::{Error, Result};
use crate::layer::{Backend, BoundLayer, Engine, Grads, Layer, LayerSpec, Params, Profile, Reason, Upstream};
use crate::machine::FloatState;
use crate::model::{State, UpdateRule};
use crate::panics::locked;
use crate::scalar::Scalar;

/// A backend whose engines live in children, one for each thread count. A lost child is an error of the call; the next opening starts
/// another.
pub struct Remote<T: Scalar> {
    program: Program,
    subject: Subject,
    profile: Profile,
    limit: Duration,
    connections: Mutex<BTreeMap<NonZeroUsize, Arc<Connection>>>,
    /// What was said first.
    available: OnceLock<std::result::Result<(), Reason>>,
    scalar: PhantomData<T>,
}

impl<T: Scalar> Remote<T> {
    /// The backend of `entry` as `program` has it, which must come to serve under the verb [`VERB`](crate::child::VERB). A reply may
    /// take `limit`.
    pub fn new(program: &Program, entry: &Entry, limit: Duration) -> Self {
        let subject = Subject { backend: entry.name().into(), scalar: T::KIND };
        Remote::of(program.clone(), subject, entry.profile().clone(), limit)
    }

    fn of(program: Program, subject: Subject, profile: Profile, limit: Duration) -> Self {
        let (connections, available) = (Mutex::default(), OnceLock::new());
        Remote { program, subject, profile, limit, connections, available, scalar: PhantomData }
    }

    /// The same in processes of its own.
    pub fn another(&self) -> Self {
        Remote::of(self.program.clone(), self.subject.clone(), self.profile.clone(), self.limit)
    }

    fn connection(&self, threads: NonZeroUsize) -> Result<Arc<Connection>> {
        let mut connections = locked(&self.connections);
        match connections.get(&threads) {
            Some(connection) if !connection.is_lost() => return Ok(Arc::clone(connection)),
            // It was lost between two calls.
            Some(connection) if !connection.was_told() => return Err(connection.why_lost()),
            _ => {}
        }
        let connection = Arc::new(Connection::start(&self.program, &self.subject, threads, self.limit)?);
        connections.insert(threads, Arc::clone(&connection));
        Ok(connection)
    }

    /// An engine on `threads` threads in the child that otherwise computes on `of`: two thread counts in one process.
    ///
    /// # Errors
    /// Of the backend, also where it has one thread count for its whole process.
    pub fn open_beside(&self, of: NonZeroUsize, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        open(self.connection(of)?, threads)
    }

    fn started(&self, threads: NonZeroUsize) -> Option<Arc<Connection>> {
        locked(&self.connections).get(&threads).cloned()
    }

    /// Whether the backend can run, as a child says. The inner error is its reason.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost) and what else keeps the child from saying so.
    pub fn availability(&self) -> Result<std::result::Result<(), Reason>> {
        if let Err(error) = Arena::create(1 << 16) {
            let reason = format!(
                "no memory can be shared with the processes it computes in: {error}; a limit on files (ulimit -f, -n) holds for that too"
            );
            return Ok(Err(Reason(reason)));
        }
        let connection = self.connection(NonZeroUsize::MIN)?;
        let available = match connection.ask(Request::Available)? {
            Reply::Unavailable(None) => Ok(()),
            Reply::Unavailable(Some(reason)) => Err(Reason(reason)),
            other => return Err(connection.unexpected(&other)),
        };
        self.available.get_or_init(|| available.clone());
        Ok(available)
    }

    /// The floating-point modes of the thread in the child that stands for this one; inside [`Engine::run`] those of all workers of the pool
    /// that it is in.
    ///
    /// # Errors
    /// Where the child is lost.
    pub fn float_states(&self, threads: NonZeroUsize) -> Result<Vec<FloatState>> {
        let connection = self.connection(threads)?;
        match connection.ask(Request::FloatStates)? {
            Reply::FloatStates(states) => Ok(states),
            other => Err(connection.unexpected(&other)),
        }
    }

    /// Heap allocations in all passes on so many threads; none where the program does not count them
    /// ([`Counting`](crate::Counting)) or nothing has run.
    pub fn allocations(&self, threads: NonZeroUsize) -> Option<u64> {
        self.started(threads)?.allocations()
    }

    /// The child that computes on so many threads, as it is seen from outside.
    pub fn process(&self, threads: NonZeroUsize) -> Option<Process> {
        self.started(threads).filter(|connection| !connection.is_lost()).map(|connection| connection.process())
    }

    /// Ends a stretch of work: what was dropped is dropped in the children, threads that call from now on are others there, and what is lost
    /// will be started anew.
    ///
    /// # Errors
    /// What went wrong and no call could say.
    pub fn end_stretch(&self) -> Result<()> {
        let mut connections = locked(&self.connections);
        let outcome = connections.values().map(|connection| connection.end_lanes()).fold(Ok(()), Result::and);
        connections.retain(|_, connection| !connection.is_lost());
        outcome
    }
}

impl<T: Scalar> Backend<T> for Remote<T> {
    fn name(&self) -> &str {
        &self.subject.backend
    }

    fn profile(&self) -> Profile {
        self.profile.clone()
    }

    /// As a child of its own says, which ends then.
    fn available(&self) -> std::result::Result<(), Reason> {
        if let Some(said) = self.available.get() {
            return said.clone();
        }
        match self.another().availability() {
            Ok(said) => self.available.get_or_init(|| said).clone(),
            Err(error) => Err(Reason(format!("asked whether it can run, {error}"))),
        }
    }

    fn open(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        open(self.connection(threads)?, threads)
    }
}

fn open<T: Scalar>(connection: Arc<Connection>, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
    let number = connection.number();
    match connection.ask(Request::Open { engine: number, threads })? {
        Reply::Opened { threads, description } => {
            Ok(Arc::new(RemoteEngine { hold: Hold { connection, number }, threads, description }))
        }
        other => Err(connection.unexpected(&other)),
    }
}

/// Something in the child, for as long as it is wanted.
struct Hold {
    connection: Arc<Connection>,
    number: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.connection.drop_number(self.number);
    }
}

struct RemoteEngine {
    hold: Hold,
    threads: usize,
    description: String,
}

impl<T: Scalar> Engine<T> for RemoteEngine {
    fn threads(&self) -> usize {
        self.threads
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        let Hold { connection, number: engine } = &self.hold;
        let hold = Hold { connection: Arc::clone(connection), number: connection.number() };
        connection.expect_done(Request::Plan { engine: *engine, layer: hold.number, spec })?;
        Ok(Box::new(RemoteLayer(hold)))
    }

    fn bind(&self, spec: LayerSpec, x: ArcArray2<T>) -> Result<Box<dyn BoundLayer<T>>> {
        let Hold { connection, number: engine } = &self.hold;
        let hold = Hold { connection: Arc::clone(connection), number: connection.number() };
        connection.with_lane(|lane| {
            let x = lane.layout.put("X", x.view());
            lane.layout.begin_outputs();
            connection.call(lane, Request::Bind { engine: *engine, layer: hold.number, spec, x })?;
            lane.layout.expect_untouched()
        })?;
        Ok(Box::new(RemoteBound { hold, spec }))
    }

    fn run(&self, job: &mut (dyn FnMut() + Send)) {
        let Hold { connection, number: engine } = &self.hold;
        // Leaves whether the job returns or panics.
        struct Inside<'a>(&'a Connection);
        impl Drop for Inside<'_> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }
        connection.enter(*engine);
        let _inside = Inside(connection);
        job();
    }
}

/// A planned layer.
struct RemoteLayer(Hold);

/// A bound layer.
struct RemoteBound {
    hold: Hold,
    spec: LayerSpec,
}

impl<T: Scalar> Layer<T> for RemoteLayer {
    fn forward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayViewMut2<'_, T>,
        a: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        let Hold { connection, number: layer } = &self.0;
        connection.with_lane(|lane| {
            let put = &mut lane.layout;
            let (w, b, a_prev) = (put.put("W", params.w), put.put("b", params.b), put.put("A_prev", a_prev));
            put.begin_outputs();
            let (z_place, a_place) = (put.put("Z", z.view()), put.put("A", a.view()));
            connection.call(lane, Request::Forward { layer: *layer, w, b, a_prev, z: z_place, a: a_place })?;
            lane.layout.take(&z_place, z);
            lane.layout.take(&a_place, a);
            lane.layout.expect_untouched()
        })
    }

    fn backward(
        &mut self,
        params: Params<'_, T>,
        a_prev: ArrayView2<'_, T>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
        grads: Grads<'_, T>,
        da_prev: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<()> {
        let Hold { connection, number: layer } = &self.0;
        let Grads { dw, db } = grads;
        let (upstream, is_da) = parts(upstream);
        connection.with_lane(|lane| {
            let put = &mut lane.layout;
            let (w, b, a_prev) = (put.put("W", params.w), put.put("b", params.b), put.put("A_prev", a_prev));
            let (z, upstream) = (put.put("Z", z), put.put(if is_da { "dA" } else { "dZ" }, upstream));
            put.begin_outputs();
            let (dw_place, db_place) = (put.put("dW", dw.view()), put.put("db", db.view()));
            let da_place = da_prev.as_ref().map(|da_prev| put.put("dA_prev", da_prev.view()));
            let request = Request::Backward {
                layer: *layer,
                w,
                b,
                a_prev,
                z,
                upstream,
                is_da,
                scale: scale.widen().into(),
                dw: dw_place,
                db: db_place,
                da_prev: da_place,
            };
            connection.call(lane, request)?;
            lane.layout.take(&dw_place, dw);
            lane.layout.take(&db_place, db);
            if let (Some(place), Some(da_prev)) = (da_place, da_prev) {
                lane.layout.take(&place, da_prev);
            }
            lane.layout.expect_untouched()
        })
    }
}

impl<T: Scalar> BoundLayer<T> for RemoteBound {
    fn forward(&mut self, columns: Range<usize>, z: ArrayViewMut2<'_, T>, a: ArrayViewMut2<'_, T>) -> Result<()> {
        let Hold { connection, number: layer } = &self.hold;
        connection.with_lane(|lane| {
            let (z_place, a_place) = (lane.layout.put("Z", z.view()), lane.layout.put("A", a.view()));
            connection.call(lane, Request::BoundForward { layer: *layer, columns, z: z_place, a: a_place })?;
            lane.layout.take(&z_place, z);
            lane.layout.take(&a_place, a);
            lane.layout.expect_untouched()
        })
    }

    fn backward(
        &mut self,
        columns: Range<usize>,
        z: ArrayView2<'_, T>,
        upstream: Upstream<'_, T>,
        scale: T,
    ) -> Result<()> {
        let Hold { connection, number: layer } = &self.hold;
        let (upstream, is_da) = parts(upstream);
        connection.with_lane(|lane| {
            let (z, upstream) = (lane.layout.put("Z", z), lane.layout.put(if is_da { "dA" } else { "dZ" }, upstream));
            lane.layout.begin_outputs();
            let scale = scale.widen().into();
            connection.call(lane, Request::BoundBackward { layer: *layer, columns, z, upstream, is_da, scale })?;
            lane.layout.expect_untouched()
        })
    }

    /// They stay there.
    fn gradients(&mut self) -> Option<Grads<'_, T>> {
        None
    }

    fn update(&mut self, rule: &mut dyn UpdateRule<T>) -> Result<()> {
        let Hold { connection, number: layer } = &self.hold;
        let descent = rule.as_descent().ok_or_else(|| Error::Setting {
            what: "the update rule",
            found: rule.description(),
            expected: "gradient descent: another process is told of no other",
        })?;
        let (rate, decay) = (descent.rate.widen().into(), descent.decay.widen().into());
        connection.expect_done(Request::Update { layer: *layer, rate, decay })
    }

    fn export(&self, w: ArrayViewMut2<'_, T>, b: ArrayViewMut2<'_, T>) -> Result<()> {
        let Hold { connection, number: layer } = &self.hold;
        connection.with_lane(|lane| {
            let (w_place, b_place) = (lane.layout.put("W", w.view()), lane.layout.put("b", b.view()));
            connection.call(lane, Request::Export { layer: *layer, w: w_place, b: b_place })?;
            lane.layout.take(&w_place, w);
            lane.layout.take(&b_place, b);
            lane.layout.expect_untouched()
        })
    }

    fn import(&mut self, params: Params<'_, T>) -> Result<()> {
        let Hold { connection, number: layer } = &self.hold;
        connection.with_lane(|lane| {
            let (w, b) = (lane.layout.put("W", params.w), lane.layout.put("b", params.b));
            lane.layout.begin_outputs();
            connection.call(lane, Request::Import { layer: *layer, w, b })?;
            lane.layout.expect_untouched()
        })
    }

    fn save(&self, state: &mut State<T>) -> Result<()> {
        let LayerSpec { outputs, inputs, .. } = self.spec;
        let (mut w, mut b) = (Array2::zeros((outputs, inputs)), Array2::zeros((outputs, 1)));
        self.export(w.view_mut(), b.view_mut())?;
        state.put_layer(0, Params { w: w.view(), b: b.view() });
        Ok(())
    }

    fn restore(&mut self, state: &State<T>) -> Result<()> {
        let LayerSpec { outputs, inputs, .. } = self.spec;
        let (mut w, mut b) = (Array2::zeros((outputs, inputs)), Array2::zeros((outputs, 1)));
        state.copy_layer(0, w.view_mut(), b.view_mut())?;
        self.import(Params { w: w.view(), b: b.view() })
    }
}

fn parts<T>(upstream: Upstream<'_, T>) -> (ArrayView2<'_, T>, bool) {
    match upstream {
        Upstream::Da(view) => (view, true),
        Upstream::Dz(view) => (view, false),
    }
}
