//! What the layer trait costs: the first layer of `l-layer` on the `openblas` backend against the bare calls that it stands for, in
//! f64 on one thread: `overhead/openblas/l-layer-f64-1`. At most 3% apart is the aim; time is never asserted.
//!
//! Both sides take turns within one run, on the same memory, and swap who goes first, so that the machine's noise hits both
//! alike; the ratio is taken pair by pair. Outputs are compared before anything is timed. Criterion drives the pairs (filter,
//! `--test`, `--list`) and its own figure is the trait's side, forward and backward together; the ratios are printed after it.

mod common;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE, cblas_dgemm};
use layerbench::Registry;
use layerbench::data::{PictureSet, Split};
use layerbench::layer::{Grads, Layer, LayerSpec, Params, Upstream};
use layerbench::measure::statistics::{median, median_interval};
use layerbench::measure::{QUIET_LIMIT, wait_until_quiet};
use layerbench::model::{NumpyRandom, Parameters};
use layerbench::workload::{SEED, Workload};
use ndarray::{ArrayView2, ArrayViewMut2};

/// How far apart the two sides may be.
const BAR: f64 = 0.03;

fn main() -> ExitCode {
    let mut criterion = common::criterion(10, 15);
    let mut group = common::group(&mut criterion, "overhead");
    let outcome = common::bench(&mut group, "openblas", "l-layer-f64-1", Duel::new, |duel, iterations| {
        (0..iterations).try_fold(Duration::ZERO, |total, _| Ok(total + duel.pair()?))
    });
    group.finish();
    if let Ok(Some(duel)) = &outcome {
        duel.report();
    }
    common::exit_code(outcome.is_ok())
}

/// What both sides read, row-major.
struct Operands {
    spec: LayerSpec,
    /// (n, n_prev)
    w: Vec<f64>,
    /// (n, 1)
    b: Vec<f64>,
    /// (n_prev, m)
    x: Vec<f64>,
    /// (n, m)
    da: Vec<f64>,
}

/// What both sides write, row-major: one memory, so that neither is lucky with its pages.
#[derive(Clone)]
struct Outputs {
    /// (n, m)
    z: Vec<f64>,
    /// (n, m)
    a: Vec<f64>,
    /// (n, n_prev)
    dw: Vec<f64>,
    /// (n, 1)
    db: Vec<f64>,
}

trait Side {
    fn forward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()>;
    fn backward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()>;
}

/// The planned layer, called as a network calls it.
struct Trait(Box<dyn Layer<f64>>);

impl Trait {
    fn params(input: &Operands) -> Params<'_, f64> {
        let LayerSpec { inputs, outputs, .. } = input.spec;
        Params { w: view((outputs, inputs), &input.w), b: view((outputs, 1), &input.b) }
    }
}

impl Side for Trait {
    fn forward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()> {
        let LayerSpec { inputs, outputs, batch, .. } = input.spec;
        let (z, a) = (view_mut((outputs, batch), &mut output.z), view_mut((outputs, batch), &mut output.a));
        self.0.forward(Trait::params(input), view((inputs, batch), &input.x), z, a)
    }

    fn backward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()> {
        let LayerSpec { inputs, outputs, batch, .. } = input.spec;
        let upstream = Upstream::Da(view((outputs, batch), &input.da));
        let grads =
            Grads { dw: view_mut((outputs, inputs), &mut output.dw), db: view_mut((outputs, 1), &mut output.db) };
        let (x, z) = (view((inputs, batch), &input.x), view((outputs, batch), &output.z));
        self.0.backward(Trait::params(input), x, z, upstream, 1.0 / batch as f64, grads, None)
    }
}

/// The same as one would write it in C: two calls of gemm and plain loops.
struct Bare {
    /// (n, m)
    dz: Vec<f64>,
}

impl Side for Bare {
    fn forward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()> {
        let LayerSpec { inputs: k, outputs: n, batch: m, .. } = input.spec;
        // SAFETY: w is (n, k), x is (k, m) and z is (n, m), each row-major without gaps; z is borrowed mutably.
        unsafe {
            cblas_dgemm(
                CBLAS_LAYOUT::CblasRowMajor,
                CBLAS_TRANSPOSE::CblasNoTrans,
                CBLAS_TRANSPOSE::CblasNoTrans,
                n as i32,
                m as i32,
                k as i32,
                1.0,
                input.w.as_ptr(),
                k as i32,
                input.x.as_ptr(),
                m as i32,
                0.0,
                output.z.as_mut_ptr(),
                m as i32,
            );
        }
        let rows = output.z.chunks_exact_mut(m).zip(output.a.chunks_exact_mut(m));
        for ((z, a), &b) in rows.zip(&input.b) {
            for (z, a) in z.iter_mut().zip(a) {
                *z += b;
                *a = if *z <= 0.0 { 0.0 } else { *z };
            }
        }
        Ok(())
    }

    fn backward(&mut self, input: &Operands, output: &mut Outputs) -> layerbench::Result<()> {
        let LayerSpec { inputs: k, outputs: n, batch: m, .. } = input.spec;
        let scale = 1.0 / m as f64;
        for ((dz, &z), &da) in self.dz.iter_mut().zip(&output.z).zip(&input.da) {
            *dz = if z <= 0.0 { 0.0 } else { da };
        }
        // SAFETY: dz is (n, m), x is (k, m) and taken transposed, dw is (n, k), each row-major without gaps; dw is borrowed
        // mutably.
        unsafe {
            cblas_dgemm(
                CBLAS_LAYOUT::CblasRowMajor,
                CBLAS_TRANSPOSE::CblasNoTrans,
                CBLAS_TRANSPOSE::CblasTrans,
                n as i32,
                k as i32,
                m as i32,
                scale,
                self.dz.as_ptr(),
                m as i32,
                input.x.as_ptr(),
                m as i32,
                0.0,
                output.dw.as_mut_ptr(),
                k as i32,
            );
        }
        for (db, dz) in output.db.iter_mut().zip(self.dz.chunks_exact(m)) {
            *db = scale * dz.iter().sum::<f64>();
        }
        Ok(())
    }
}

/// Both sides, and the seconds of each pair of passes so far.
struct Duel {
    library: String,
    input: Operands,
    output: Outputs,
    /// The trait, then the bare calls.
    sides: [Box<dyn Side>; 2],
    forward: Vec<[f64; 2]>,
    backward: Vec<[f64; 2]>,
}

impl Duel {
    fn new() -> anyhow::Result<Self> {
        // One thread, for the bare calls as well: the layer holds OpenBLAS's global count there.
        let engine = Registry::builtin().open::<f64>("openblas", 1)?;
        let workload = Workload::find("l-layer").context("the workload exists")?;
        let spec = workload.architecture.layer(0, workload.batch);
        let LayerSpec { inputs, outputs, batch, .. } = spec;
        let start = Parameters::<f64>::initialized(&workload.architecture, workload.init, SEED);
        let mut random = NumpyRandom::new(SEED);
        let mut normal = |length: usize| (0..length).map(|_| random.normal()).collect::<Vec<f64>>();
        let input = Operands {
            spec,
            w: start.layer(0).w.iter().copied().collect(),
            b: normal(outputs),
            x: PictureSet::synthetic(Split::Train).x().iter().copied().collect(),
            da: normal(outputs * batch),
        };
        // NaN: what a side does not write does not pass.
        let output = Outputs {
            z: vec![f64::NAN; outputs * batch],
            a: vec![f64::NAN; outputs * batch],
            dw: vec![f64::NAN; outputs * inputs],
            db: vec![f64::NAN; outputs],
        };
        let sides: [Box<dyn Side>; 2] =
            [Box::new(Trait(engine.plan(spec)?)), Box::new(Bare { dz: vec![0.0; outputs * batch] })];
        let library = engine.description();
        let mut duel = Duel { library, input, output, sides, forward: Vec::new(), backward: Vec::new() };
        duel.expect_equal()?;
        wait_until_quiet(QUIET_LIMIT);
        Ok(duel)
    }

    /// Both sides make the same calls of gemm and the same additions: every bit must agree, but those of db, whose terms may be
    /// summed in any order.
    fn expect_equal(&mut self) -> anyhow::Result<()> {
        let blank = self.output.clone();
        let mut results = Vec::new();
        for side in &mut self.sides {
            self.output = blank.clone();
            side.forward(&self.input, &mut self.output)?;
            side.backward(&self.input, &mut self.output)?;
            results.push(self.output.clone());
        }
        let (through, bare) = (&results[0], &results[1]);
        let m = self.input.spec.batch;
        // |db| <= scale * sum |dz| <= max |dA|, and either sum is off by at most m u of that.
        let slack = m as f64 * f64::EPSILON * self.input.da.iter().fold(0.0, |max, da| da.abs().max(max));
        let matrices = [
            ("Z", &through.z, &bare.z, 0.0),
            ("A", &through.a, &bare.a, 0.0),
            ("dW", &through.dw, &bare.dw, 0.0),
            ("db", &through.db, &bare.db, slack),
        ];
        for (name, through, bare, tolerance) in matrices {
            for (index, (&got, &expected)) in through.iter().zip(bare).enumerate() {
                let error = (got - expected).abs();
                ensure!(
                    error <= tolerance,
                    "element {index} of {name} is {got:e} by the trait and {expected:e} by the bare calls, \
                     {error:e} apart where {tolerance:e} is allowed"
                );
            }
        }
        Ok(())
    }

    /// One pair of forward and one of backward passes. Answers the time of the trait's side.
    fn pair(&mut self) -> anyhow::Result<Duration> {
        let swap = self.forward.len() % 2 == 1;
        let Duel { sides, input, output, .. } = self;
        let forward = in_turn(sides, swap, |side| side.forward(input, output))?;
        let backward = in_turn(sides, swap, |side| side.backward(input, output))?;
        black_box(&output);
        self.forward.push(forward);
        self.backward.push(backward);
        Ok(Duration::from_secs_f64(forward[0] + backward[0]))
    }

    fn report(&self) {
        let LayerSpec { inputs, outputs, batch, .. } = self.input.spec;
        println!(
            "time of the layer trait over time of the bare calls, {outputs} x {inputs} x {batch} in f64 on 1 thread, {}: median \
             ratio of {} pairs and its 95% interval",
            self.library,
            self.forward.len(),
        );
        let both: Vec<_> = self.forward.iter().zip(&self.backward).map(|(f, b)| [f[0] + b[0], f[1] + b[1]]).collect();
        for (name, pairs) in [("forward", &self.forward), ("backward", &self.backward), ("both", &both)] {
            let ratios: Vec<f64> = pairs.iter().map(|[through, bare]| through / bare).collect();
            match median_interval(&ratios) {
                Some(interval) => {
                    let (low, high) = interval;
                    println!("  {name:<9} {:.4}  [{low:.4}, {high:.4}]  {}", median(&ratios), verdict(interval));
                }
                None => println!("  {name:<9} outputs agree; too few pairs for a ratio"),
            }
        }
    }
}

/// Whether an interval is within the bar.
fn verdict((low, high): (f64, f64)) -> &'static str {
    let (least, most) = (1.0 / (1.0 + BAR), 1.0 + BAR);
    if least <= low && high <= most {
        "at most 3% apart"
    } else if high < least || most < low {
        "MORE THAN 3% APART"
    } else {
        "undecided: the interval reaches across 3%; repeat it on a quieter machine"
    }
}

/// The seconds of a pass on each side, the first one first unless `swap`.
fn in_turn(
    sides: &mut [Box<dyn Side>; 2],
    swap: bool,
    mut pass: impl FnMut(&mut dyn Side) -> layerbench::Result<()>,
) -> layerbench::Result<[f64; 2]> {
    let mut seconds = [0.0; 2];
    for turn in 0..2 {
        let index = if swap { 1 - turn } else { turn };
        let clock = Instant::now();
        pass(sides[index].as_mut())?;
        seconds[index] = clock.elapsed().as_secs_f64();
    }
    Ok(seconds)
}

fn view((rows, columns): (usize, usize), values: &[f64]) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((rows, columns), values).expect("the operands have the layer's sizes")
}

fn view_mut((rows, columns): (usize, usize), values: &mut [f64]) -> ArrayViewMut2<'_, f64> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("the operands have the layer's sizes")
}
