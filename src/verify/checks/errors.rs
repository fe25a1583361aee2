//! What must be refused, how, and what a refusal leaves behind: nothing.

use std::fmt;
use std::ops::Range;

use ndarray::{Array2, ArrayBase, ArrayView2, ArrayViewMut2, Axis, Ix2, RawData};

use super::Probe;
use super::exact::Integers;
use crate::error::{Error, Result};
use crate::layer::{Activation, BoundLayer, Engine, Grads, Layer, LayerSpec, Params};
use crate::network::in_run;
use crate::scalar::Scalar;
use crate::verify::cases::Shape;
use crate::verify::compare::Comparison;
use crate::verify::trial::{Kind, Trial};

/// All sizes differ, so that no exchange of two of them goes unseen.
const SHAPE: Shape = Shape::new(4, 6, 5);
const SPEC: LayerSpec = SHAPE.spec(Activation::Relu);
/// Of a bound X of that shape.
const ALL: Range<usize> = 0..SHAPE.batch;

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    RowMore,
    ColumnLess,
    Exchanged,
    ColumnMajor,
    UpsideDown,
}

const WRONGS: [Wrong; 5] = [Wrong::RowMore, Wrong::ColumnLess, Wrong::Exchanged, Wrong::ColumnMajor, Wrong::UpsideDown];

impl Wrong {
    /// A single column has no column order.
    fn applies_to(self, columns: usize) -> bool {
        self != Wrong::ColumnMajor || columns > 1
    }

    fn is_of_layout(self) -> bool {
        matches!(self, Wrong::ColumnMajor | Wrong::UpsideDown)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Wrong::RowMore => "with a row more",
            Wrong::ColumnLess => "with a column less",
            Wrong::Exchanged => "with rows and columns exchanged",
            Wrong::ColumnMajor => "in column order",
            Wrong::UpsideDown => "with its rows upside down",
        })
    }
}

/// An argument of a call, right or wrong.
struct Argument<T> {
    memory: Array2<T>,
    wrong: Option<Wrong>,
}

impl<T: Scalar> Argument<T> {
    fn right(matrix: &Array2<T>) -> Self {
        Argument { memory: matrix.clone(), wrong: None }
    }

    fn make(&mut self, wrong: Wrong) {
        let (rows, columns) = self.memory.dim();
        let value = self.memory.first().copied().unwrap_or_else(T::one);
        let dim = match wrong {
            Wrong::RowMore => (rows + 1, columns),
            Wrong::ColumnLess => (rows, columns - 1),
            Wrong::Exchanged | Wrong::ColumnMajor => (columns, rows),
            Wrong::UpsideDown => (rows, columns),
        };
        (self.memory, self.wrong) = (Array2::from_elem(dim, value), Some(wrong));
    }

    fn view(&self) -> ArrayView2<'_, T> {
        seen(self.wrong, self.memory.view())
    }

    fn view_mut(&mut self) -> ArrayViewMut2<'_, T> {
        seen(self.wrong, self.memory.view_mut())
    }

    fn is_unwritten(&self) -> bool {
        self.memory.iter().all(|element| element.is_nan())
    }
}

/// A view as the layer gets it.
fn seen<S: RawData>(wrong: Option<Wrong>, mut view: ArrayBase<S, Ix2>) -> ArrayBase<S, Ix2> {
    match wrong {
        Some(Wrong::ColumnMajor) => view.reversed_axes(),
        Some(Wrong::UpsideDown) => {
            view.invert_axis(Axis(0));
            view
        }
        _ => view,
    }
}

/// The matrices of both passes by their names.
struct Arguments<T> {
    w: Argument<T>,
    b: Argument<T>,
    x: Argument<T>,
    z: Argument<T>,
    z_out: Argument<T>,
    a_out: Argument<T>,
    upstream: Argument<T>,
    dw: Argument<T>,
    db: Argument<T>,
    dx: Argument<T>,
}

/// The calls of both kinds of layer, each with its arguments' names.
const FORWARD: [&str; 5] = ["W", "b", "A_prev", "Z", "A"];
const BACKWARD: [&str; 8] = ["W", "b", "A_prev", "Z", "dA", "dW", "db", "dA_prev"];

impl<T: Scalar> Arguments<T> {
    fn right() -> Self {
        let trial = Trial::<T>::normal(SHAPE, Activation::Relu, 1);
        let right = Argument::right;
        Arguments {
            w: right(&trial.w),
            b: right(&trial.b),
            x: right(&trial.x),
            z: right(&trial.upstream),
            z_out: right(&trial.z),
            a_out: right(&trial.a),
            upstream: right(&trial.upstream),
            dw: right(&trial.dw),
            db: right(&trial.db),
            dx: right(&trial.dx),
        }
    }

    fn forward(&mut self, layer: &mut dyn Layer<T>) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        layer.forward(params, self.x.view(), self.z_out.view_mut(), self.a_out.view_mut())
    }

    fn backward(&mut self, layer: &mut dyn Layer<T>, kind: Kind) -> Result<()> {
        let params = Params { w: self.w.view(), b: self.b.view() };
        let grads = Grads { dw: self.dw.view_mut(), db: self.db.view_mut() };
        let upstream = kind.of(self.upstream.view());
        layer.backward(params, self.x.view(), self.z.view(), upstream, T::one(), grads, Some(self.dx.view_mut()))
    }

    fn has_unwritten_outputs(&self) -> bool {
        [&self.z_out, &self.a_out, &self.dw, &self.db, &self.dx].into_iter().all(Argument::is_unwritten)
    }
}

/// Holds the end of a call that must be refused. A lost process is an error of the check.
fn hold_refusal(
    found: &mut Comparison,
    call: &str,
    (names, wrong): (&[&str], Wrong),
    outcome: Result<()>,
    is_unwritten: bool,
) -> Result<()> {
    let told = match &outcome {
        Err(error @ (Error::Lost { .. } | Error::Trespass { .. })) => {
            let reason = format!("{call} with a {} {wrong}: {error}", names[0]);
            return Err(Error::Told(reason));
        }
        Ok(()) => "was taken".to_owned(),
        Err(error) => format!("was refused with: {error}"),
    };
    let named = match &outcome {
        Err(Error::Shape { what, .. }) => !wrong.is_of_layout() && names.contains(what),
        Err(Error::Layout { what, .. }) => wrong.is_of_layout() && names.contains(what),
        _ => false,
    };
    let label = format!("refusals by name and kind of 1 {call} with a {} {wrong}, which {told}:", names[0]);
    found.equal(&label, f64::from(u8::from(named)), 1.0);
    let label = format!("{call} with a {} {wrong}: refusals before anything was written, of 1", names[0]);
    found.equal(&label, f64::from(u8::from(is_unwritten)), 1.0);
    Ok(())
}

/// Whom a refusal may name. The columns of A_prev are those of the call: where they are fewer, it is Z that does not have as many.
fn names(wronged: &'static str, wrong: Wrong) -> Vec<&'static str> {
    let also = (wronged == "A_prev" && wrong == Wrong::ColumnLess).then_some("Z");
    [wronged].into_iter().chain(also).collect()
}

/// Every argument of every call, in every wrong form, is refused by name, before anything is written.
pub(super) fn refusals<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    probe.once(|probe| {
        let engine = probe.open()?;
        let mut found = Comparison::default();
        let mut layer = engine.plan(SPEC)?;
        for wrong in WRONGS {
            for name in FORWARD {
                let mut arguments = Arguments::<T>::right();
                let argument = match name {
                    "W" => &mut arguments.w,
                    "b" => &mut arguments.b,
                    "A_prev" => &mut arguments.x,
                    "Z" => &mut arguments.z_out,
                    _ => &mut arguments.a_out,
                };
                if !wrong.applies_to(argument.memory.ncols()) {
                    continue;
                }
                argument.make(wrong);
                let outcome = arguments.forward(layer.as_mut());
                let unwritten = arguments.has_unwritten_outputs();
                hold_refusal(&mut found, "forward", (&names(name, wrong), wrong), outcome, unwritten)?;
            }
            for name in BACKWARD {
                for kind in [Kind::Da, Kind::Dz] {
                    let mut arguments = Arguments::<T>::right();
                    let argument = match name {
                        "W" => &mut arguments.w,
                        "b" => &mut arguments.b,
                        "A_prev" => &mut arguments.x,
                        "Z" => &mut arguments.z,
                        "dA" => &mut arguments.upstream,
                        "dW" => &mut arguments.dw,
                        "db" => &mut arguments.db,
                        _ => &mut arguments.dx,
                    };
                    // Of dZ only what differs from dA: its own name.
                    if !wrong.applies_to(argument.memory.ncols()) || (kind == Kind::Dz && name != "dA") {
                        continue;
                    }
                    argument.make(wrong);
                    let outcome = arguments.backward(layer.as_mut(), kind);
                    let name = if kind == Kind::Dz { "dZ" } else { name };
                    let unwritten = arguments.has_unwritten_outputs();
                    hold_refusal(&mut found, "backward", (&names(name, wrong), wrong), outcome, unwritten)?;
                }
            }
            bound_refusals(engine.as_ref(), wrong, &mut found)?;
        }
        column_refusals(engine.as_ref(), &mut found)?;
        Ok(found)
    })
}

fn bind<T: Scalar>(engine: &dyn Engine<T>, arguments: &Arguments<T>) -> Result<Box<dyn BoundLayer<T>>> {
    let mut bound = engine.bind(SPEC, arguments.x.memory.to_shared())?;
    bound.import(Params { w: arguments.w.view(), b: arguments.b.view() })?;
    Ok(bound)
}

/// What a bound layer is given. It may copy W and b from and to any layout, as long as their shape is right.
fn bound_refusals<T: Scalar>(engine: &dyn Engine<T>, wrong: Wrong, found: &mut Comparison) -> Result<()> {
    let right = Arguments::<T>::right();
    let mut bound = bind(engine, &right)?;
    for name in ["Z", "A"] {
        let mut arguments = Arguments::<T>::right();
        if name == "Z" { &mut arguments.z_out } else { &mut arguments.a_out }.make(wrong);
        let outcome = bound.forward(ALL, arguments.z_out.view_mut(), arguments.a_out.view_mut());
        let unwritten = arguments.has_unwritten_outputs();
        hold_refusal(found, "a bound layer's forward", (&[name], wrong), outcome, unwritten)?;
    }
    for name in ["Z", "dA"] {
        let mut arguments = Arguments::<T>::right();
        if name == "Z" { &mut arguments.z } else { &mut arguments.upstream }.make(wrong);
        let upstream = Kind::Da.of(arguments.upstream.view());
        let outcome = bound.backward(ALL, arguments.z.view(), upstream, T::one());
        let Arguments { mut dw, mut db, .. } = Arguments::<T>::right();
        bound.export(dw.view_mut(), db.view_mut())?;
        let is_kept = dw.view() == right.w.view() && db.view() == right.b.view();
        hold_refusal(found, "a bound layer's backward", (&[name], wrong), outcome, is_kept)?;
    }
    if wrong.is_of_layout() {
        return Ok(());
    }
    let mut arguments = Arguments::<T>::right();
    arguments.x.make(wrong);
    let outcome = engine.bind(SPEC, arguments.x.memory.to_shared()).map(drop);
    hold_refusal(found, "bind", (&["X", "A_prev"], wrong), outcome, true)?;
    for name in ["W", "b"] {
        let mut arguments = Arguments::<T>::right();
        if name == "W" { &mut arguments.w } else { &mut arguments.b }.make(wrong);
        let outcome = bound.import(Params { w: arguments.w.view(), b: arguments.b.view() });
        hold_refusal(found, "import", (&[name], wrong), outcome, true)?;
        let mut arguments = Arguments::<T>::right();
        if name == "W" { &mut arguments.dw } else { &mut arguments.db }.make(wrong);
        for argument in [&mut arguments.dw, &mut arguments.db] {
            argument.memory.fill(T::nan());
        }
        let outcome = bound.export(arguments.dw.view_mut(), arguments.db.view_mut());
        let unwritten = arguments.has_unwritten_outputs();
        hold_refusal(found, "export", (&[name], wrong), outcome, unwritten)?;
    }
    hold_parameters(bound.as_ref(), &right, found)
}

/// After all refusals it has the parameters that it had.
fn hold_parameters<T: Scalar>(bound: &dyn BoundLayer<T>, had: &Arguments<T>, found: &mut Comparison) -> Result<()> {
    let Arguments { mut dw, mut db, .. } = Arguments::<T>::right();
    bound.export(dw.view_mut(), db.view_mut())?;
    found.same_bits("W after refusals", dw.view(), had.w.view());
    found.same_bits("b after refusals", db.view(), had.b.view());
    Ok(())
}

/// Columns that X does not have.
fn column_refusals<T: Scalar>(engine: &dyn Engine<T>, found: &mut Comparison) -> Result<()> {
    let right = Arguments::<T>::right();
    let mut bound = bind(engine, &right)?;
    // As many as Z has, or none at all.
    for (first, last) in [(1, SHAPE.batch + 1), (SHAPE.batch, 0)] {
        let mut arguments = Arguments::<T>::right();
        let forward = bound.forward(first..last, arguments.z_out.view_mut(), arguments.a_out.view_mut());
        let is_unwritten = arguments.has_unwritten_outputs();
        let upstream = Kind::Da.of(arguments.upstream.view());
        let backward = bound.backward(first..last, arguments.z.view(), upstream, T::one());
        for (call, outcome, is_unwritten) in [("forward", forward, is_unwritten), ("backward", backward, true)] {
            if let Err(lost @ (Error::Lost { .. } | Error::Trespass { .. })) = outcome {
                return Err(lost);
            }
            let is_refused = matches!(outcome, Err(Error::Columns { .. })) && is_unwritten;
            let label = format!("refusals as Error::Columns of 1 {call} on columns {first}..{last} of {}", SHAPE.batch);
            found.equal(&label, f64::from(u8::from(is_refused)), 1.0);
        }
    }
    hold_parameters(bound.as_ref(), &right, found)
}

/// Right calls between refused ones, of the same layer and of its neighbour.
pub(super) fn after<T: Scalar>(probe: &mut Probe<'_, T>) -> Result<()> {
    let engine = probe.open()?;
    probe.each_of(&[SHAPE, Shape::new(20, 130, 17)], |shape, seed| {
        let mut found = Comparison::default();
        let Shape { outputs, inputs, batch } = shape;
        let integers = Integers::new::<T>(shape, Activation::Relu, seed);
        let mut trial = integers.trial::<T>(Kind::Da);
        let mut layer = engine.plan(trial.spec)?;
        let mut neighbour = engine.plan(trial.spec)?;
        for (i, other) in [
            Shape::new(outputs, inputs, batch + 1),
            Shape::new(outputs, inputs + 2, batch),
            Shape::new(outputs + 1, inputs, batch),
        ]
        .into_iter()
        .enumerate()
        {
            let mut wrong = Integers::new::<T>(other, Activation::Relu, seed).trial::<T>(Kind::Da);
            let outcomes = in_run(engine.as_ref(), || {
                let forward = wrong.forward_inside(layer.as_mut());
                trial.spoil_outputs();
                trial.forward_inside(layer.as_mut())?;
                let backward = wrong.backward_inside(layer.as_mut(), Kind::Da, T::one(), true);
                trial.backward_inside(layer.as_mut(), Kind::Da, T::one(), true)?;
                Ok([("forward", forward), ("backward", backward)])
            });
            for (pass, outcome) in outcomes? {
                if let Err(lost @ Error::Lost { .. }) = outcome {
                    return Err(lost);
                }
                let label = format!("refusals of 1 {pass} pass of {other} by a layer of {shape}");
                found.equal(&label, f64::from(u8::from(outcome.is_err())), 1.0);
            }
            integers.hold(&mut found, &format!("after refusal {}", i + 1), &trial);
            trial.spoil_outputs();
            trial.forward(engine.as_ref(), neighbour.as_mut())?;
            trial.backward(engine.as_ref(), neighbour.as_mut(), Kind::Da, T::one())?;
            integers.hold(&mut found, &format!("of another layer after refusal {}", i + 1), &trial);
        }
        found.zeros = 0;
        Ok(found)
    })
}
