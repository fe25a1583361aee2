//! A backend in another process does what it does in this one, and what becomes of its process is an error and no more.

#![cfg(feature = "cli")]
#![cfg(target_os = "linux")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use layerbench::child::Program;
use layerbench::layer::{Activation, Backend, Descent, Engine, LayerSpec, Params, Upstream};
use layerbench::remote::Remote;
use layerbench::{Entry, Error, Registry};
use ndarray::{Array2, s};

const LIMIT: Duration = Duration::from_secs(120);
const SPEC: LayerSpec = LayerSpec { inputs: 6, outputs: 4, batch: 5, activation: Activation::Relu };

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("from 1")
}

fn remote(entry: &Entry) -> Remote<f64> {
    Remote::new(&Program::at(env!("CARGO_BIN_EXE_layerbench")), entry, LIMIT)
}

fn builtin(name: &str) -> Entry {
    Registry::builtin().get(name).expect("built in").clone()
}

fn numbers(dim: (usize, usize), seed: usize) -> Array2<f64> {
    Array2::from_shape_fn(dim, |(i, j)| ((7 * i + 3 * j + 5 * seed) % 11) as f64 - 5.0)
}

/// Z and A of a layer, and what a bound layer makes of it in a step.
fn outputs(engine: &Arc<dyn Engine<f64>>, seed: usize) -> layerbench::Result<Vec<Array2<f64>>> {
    let (w, b, x) = (numbers((4, 6), seed), numbers((4, 1), seed + 1), numbers((6, 5), seed + 2));
    let (mut z, mut a) = (Array2::from_elem((4, 5), f64::NAN), Array2::from_elem((4, 5), f64::NAN));
    let params = Params { w: w.view(), b: b.view() };
    let mut layer = engine.plan(SPEC)?;
    layer.forward(params, x.view(), z.view_mut(), a.view_mut())?;
    let mut bound = engine.bind(SPEC, x.to_shared())?;
    bound.import(params)?;
    bound.backward(0..5, z.view(), Upstream::Da(a.view()), 0.5)?;
    bound.update(&mut Descent { rate: 0.25, decay: 0.125 })?;
    let (mut w, mut b) = (Array2::zeros((4, 6)), Array2::zeros((4, 1)));
    bound.export(w.view_mut(), b.view_mut())?;
    Ok(vec![z, a, w, b])
}

#[test]
fn it_computes_the_same_from_any_thread_and_inside_a_run() {
    for entry in Registry::builtin().entries() {
        let count = threads(if entry.profile().parallel { 3 } else { 1 });
        let remote = remote(entry);
        let (there, here) = (remote.open(count).expect("it opens"), entry.open::<f64>(count).expect("it opens"));
        assert_eq!((there.threads(), there.description()), (here.threads(), here.description()));
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (there, here) = (&there, &here);
                scope.spawn(move || {
                    assert_eq!(outputs(there, seed).expect("computed"), outputs(here, seed).expect("computed"));
                });
            }
        });
        let mut inside = None;
        there.run(&mut || inside = Some(outputs(&there, 9)));
        let inside = inside.expect("the job was run").expect("computed");
        assert_eq!(inside, outputs(&here, 9).expect("computed"), "{}", entry.name());
        remote.end_stretch().expect("all was dropped");
    }
}

#[test]
fn errors_keep_their_type() {
    let remote = remote(&builtin("naive"));
    assert!(matches!(remote.open(threads(2)), Err(Error::Threads { asked: 2, .. })));
    let engine = remote.open(threads(1)).expect("it opens");
    let (w, b, x) = (numbers((4, 6), 1), numbers((4, 1), 2), numbers((6, 5), 3));
    let mut layer = engine.plan(SPEC).expect("it plans");
    let (mut z, mut a) = (Array2::zeros((4, 5)), Array2::zeros((4, 5)));
    let params = Params { w: w.view(), b: b.view() };
    let short = layer.forward(params, x.slice(s![..5, ..]), z.view_mut(), a.view_mut());
    assert!(matches!(short, Err(Error::Shape { what: "A_prev", expected: (6, 5), found: (5, 5) })), "{short:?}");
    let turned = numbers((6, 4), 1);
    let params = Params { w: turned.t(), b: b.view() };
    let turned = layer.forward(params, x.view(), z.view_mut(), a.view_mut());
    assert!(matches!(turned, Err(Error::Layout { what: "W", .. })), "{turned:?}");
}

/// The modes of the threads, the allocations of the passes and the process are seen.
#[test]
fn the_other_process_is_seen() {
    let remote = remote(&builtin("rayon"));
    let engine = remote.open(threads(2)).expect("it opens");
    outputs(&engine, 1).expect("computed");
    assert_eq!(remote.float_states(threads(2)).expect("they are told").len(), 1);
    let mut inside = None;
    engine.run(&mut || inside = Some(remote.float_states(threads(2))));
    assert_eq!(inside.expect("the job was run").expect("they are told").len(), 2);
    let process = remote.process(threads(2)).expect("it lives");
    assert_ne!(process.0, std::process::id());
    assert!(process.threads().len() > 2 && process.private_bytes().is_some_and(|bytes| bytes > 0));
    assert!(remote.process(threads(7)).is_none());
}

#[test]
fn a_lost_process_is_an_error_and_the_next_opening_starts_another() {
    let remote = remote(&builtin("naive"));
    let engine = remote.open(threads(1)).expect("it opens");
    let before = outputs(&engine, 1).expect("computed");
    let process = remote.process(threads(1)).expect("it lives");
    let number = rustix::process::Pid::from_raw(process.0 as i32).expect("a number");
    rustix::process::kill_process(number, rustix::process::Signal::ABORT).expect("it is ours");
    let lost = loop {
        match outputs(&engine, 1) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&lost, Error::Lost { threads: 1, late: false, why, .. } if why.contains("SIGABRT")), "{lost}");
    let engine = remote.open(threads(1)).expect("another is started");
    assert_eq!(outputs(&engine, 1).expect("computed"), before);
}

#[test]
fn a_program_that_does_not_serve_is_told() {
    let of = |program: &str| Remote::<f64>::new(&Program::at(program), &builtin("naive"), LIMIT).open(threads(1));
    let told = |program: &str| of(program).map(drop).expect_err("it does not serve").to_string();
    assert!(told("/bin/true").contains("it ended with exit code"), "{}", told("/bin/true"));
    assert!(told("/no/such/file").contains("it could not be started"), "{}", told("/no/such/file"));
    let unknown = Entry::f64(layerbench::backend::Naive);
    let program = Program::at(env!("CARGO_BIN_EXE_layerbench"));
    assert!(Remote::<f64>::new(&program, &unknown, LIMIT).open(threads(1)).is_ok(), "it has one of that name");
}
