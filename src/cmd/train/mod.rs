//! `train`: the notebook's job on a backend. Can be interrupted, checkpointed and resumed; loses nothing that was good.

mod outputs;
mod progress;
mod setup;

use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;

use crate::backend::Registry;
use crate::cmd::interrupt::Interrupt;
use crate::cmd::verdict::tell_error;
use crate::cmd::{Format, Verdict, cores, expect_sane_threads, pictures, tell};
use crate::data::{PictureSet, Sha256, Split};
use crate::error::Error;
use crate::layer::{Engine, FirstLayer, Training};
use crate::measure::statistics::{median, relative_spread};
use crate::model::{Architecture, Init, Parameters, State};
use crate::network::Network;
use crate::report;
use crate::scalar::{Scalar, ScalarKind};
use crate::store::Provenance;
use crate::text::visible;
use crate::train::{End, Span, Trained, run as run_span, trainer};
use outputs::Outputs;
use progress::Progress;
use setup::Setup;

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
// A resumed run has its training file from the checkpoint.
#[command(group = clap::ArgGroup::new("trained_on").args(["train", "resume"]).multiple(true))]
pub(crate) struct Args {
    /// One of the course's models [default: l-layer, or the checkpoint's]
    #[arg(long, value_parser = ["two-layer", "l-layer"], conflicts_with = "layers")]
    model: Option<String>,
    /// Layer sizes instead of a model, such as 12288,20,7,5,1; ReLU inside and sigmoid at the end, or as in 12288,20:sigmoid,1
    #[arg(long, alias = "arch", value_name = "SIZES")]
    layers: Option<Architecture>,
    /// Initial weights: inv-sqrt, he, zeros, or a number that scales normal random numbers [default: the model's, or inv-sqrt]
    #[arg(long)]
    init: Option<Init>,
    /// Seed of the initial weights [default: 1, or the checkpoint's]
    #[arg(long)]
    seed: Option<u32>,
    /// Learning rate [default: 0.0075, or the checkpoint's]
    #[arg(long)]
    lr: Option<f64>,
    /// Number of gradient steps, those before a resumption included [default: 2500, or the checkpoint's]
    #[arg(long, value_parser = parse_positive)]
    iterations: Option<usize>,
    /// HDF5 file with train_set_x, train_set_y and list_classes [default: the embedded synthetic pictures, or the checkpoint's]
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// HDF5 file with test_set_x, test_set_y and list_classes; the classes must be those of the training file
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// SHA-256 that the training file must have
    #[arg(long, value_name = "HEX", visible_alias = "sha256", requires = "trained_on")]
    train_sha256: Option<Sha256>,
    /// SHA-256 that the test file must have
    #[arg(long, value_name = "HEX", requires = "test")]
    test_sha256: Option<Sha256>,
    /// The backend that computes; `layerbench list` names them [required, but for --resume]
    #[arg(long, value_name = "NAME", required_unless_present = "resume")]
    backend: Option<String>,
    /// Number of threads [default: all, or 1 where the backend has no more]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// The scalar type [default: f64, or the checkpoint's]
    #[arg(long)]
    scalar: Option<ScalarKind>,
    /// How the first layer computes and updates: plain, implicit (never forms W while training), or auto, which takes implicit where it is less
    /// arithmetic: docs/first-layer.md [default: plain, or the checkpoint's]
    #[arg(long, value_name = "WAY")]
    first_layer: Option<Way>,
    /// Write every iteration's cost to this CSV file
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Draw the costs in this picture, .svg or .png; `layerbench plot` draws several runs over each other
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Save the trained network to this safetensors file (or, with the ending .h5, export it to HDF5)
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write a checkpoint to this file now and then, and at the end; the one before it is kept as FILE.previous
    /// [default with --resume: that file]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Iterations between two checkpoints
    #[arg(long, value_name = "N", value_parser = parse_positive, default_value = "100")]
    checkpoint_every: usize,
    /// Go on from a checkpoint, bit for bit as if never interrupted; options that the run was started with may be repeated
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// How the result is written
    #[arg(long, default_value = "text")]
    format: Format,
}

/// What `--first-layer` takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    This(FirstLayer),
    Auto,
}

impl ValueEnum for Way {
    fn value_variants<'a>() -> &'a [Self] {
        &[Way::This(FirstLayer::Plain), Way::This(FirstLayer::Implicit), Way::Auto]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Way::This(first_layer) => Some(PossibleValue::new(first_layer.to_string())),
            Way::Auto => Some(PossibleValue::new("auto")),
        }
    }
}

fn parse_positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a whole number from 1".into())
}

/// The result, as `--format json` writes it; documented in docs/train.md.
#[derive(Serialize)]
struct Summary {
    format: u32,
    /// `finished`, `interrupted` or `diverged`.
    end: &'static str,
    #[serde(flatten)]
    provenance: Provenance,
    /// The cost before the first and before the last step done.
    first_cost: Option<f64>,
    last_cost: Option<f64>,
    /// The step whose cost was not finite.
    diverged_at: Option<usize>,
    /// Whether the costs are those of an uninterrupted run, bit for bit.
    bit_identical: bool,
    train: Score,
    /// Where the test pictures come from.
    test_data: Option<String>,
    test: Option<Score>,
    /// From planning to the parameters: binding X, all steps of this run, checkpoints.
    run_seconds: f64,
    /// The median over the steps of this run, not of one before it; none where there was no step.
    step_seconds: Option<f64>,
    step_relative_spread: Option<f64>,
}

#[derive(Serialize)]
struct Score {
    correct: usize,
    total: usize,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let setup = Setup::new(args)?;
    outputs::paths(args, &setup).check()?;
    match setup.scalar {
        ScalarKind::F32 => run_as::<f32>(args, &setup, registry, out),
        ScalarKind::F64 => run_as::<f64>(args, &setup, registry, out),
    }
}

fn run_as<T: Scalar>(args: &Args, setup: &Setup, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    // Everything that can be refused is refused before the first step.
    args.threads.map_or(Ok(()), expect_sane_threads)?;
    let entry = registry.get(&setup.backend)?;
    let recorded = setup.resumed.as_ref().map(|resumed| &resumed.provenance);
    let threads = match (args.threads, recorded.and_then(|provenance| NonZeroUsize::new(provenance.threads))) {
        (Some(asked), _) => asked,
        (None, Some(recorded)) if args.backend.is_none() => recorded,
        _ => *entry.thread_counts(cores()).last().expect("one thread at least"),
    };
    let engine = entry.open::<T>(threads)?;
    if let Some(note) =
        setup::ignored_variable(engine.thread_library(), engine.threads(), |name| std::env::var(name).ok())
    {
        tell!("note: {note}");
    }
    let (train_set, test_set) = pictures(args, setup)?;
    let provenance = Provenance {
        program: concat!("layerbench ", env!("CARGO_PKG_VERSION")).into(),
        architecture: setup.architecture.to_string(),
        init: setup.init.to_string(),
        seed: setup.seed,
        rate: setup.rate,
        scalar: setup.scalar,
        backend: setup.backend.clone(),
        engine: engine.description(),
        threads: engine.threads(),
        iterations: 0,
        data: train_set.source.clone(),
        data_sha256: train_set.fingerprint(),
        classes: train_set.classes.clone(),
        first_layer: setup.first_layer(train_set.len()),
    };
    let bit_identical = recorded.is_none_or(|recorded| same_arithmetic(recorded, &provenance));
    // All is read, which a signal simply ends; from here on it asks.
    let interrupt = Interrupt::watch()?;
    let mut outputs = Outputs::create::<T>(args, setup)?;

    expect_memory::<T>(setup, train_set.len())?;
    let checkpoint = match &setup.resumed {
        Some(resumed) => {
            let checkpoint = resumed.checkpoint::<T>()?;
            expect_same_data(&checkpoint.provenance, &provenance)?;
            expect_same_classes(&train_set, "the checkpoint", &checkpoint.provenance.classes)?;
            Some(checkpoint)
        }
        None => None,
    };
    let start = match checkpoint {
        Some(_) => Parameters::zeros(&setup.architecture),
        None => Parameters::initialized(&setup.architecture, setup.init, setup.seed),
    };
    let plain = Training::plain(start, train_set.x(), train_set.y().into_shared(), T::of(setup.rate));
    let training = Training { first_layer: provenance.first_layer, ..plain };
    let clock = Instant::now();
    let mut trainer = trainer(&engine, &training)?;
    // The trainer has what it needs of it.
    drop(training);
    let costs = match checkpoint {
        Some(checkpoint) => {
            trainer.restore(&checkpoint.state)?;
            checkpoint.costs
        }
        None => Vec::new(),
    };
    if args.format == Format::Text {
        announce(out, setup, &train_set, test_set.as_ref(), costs.len(), engine.threads())?;
    }

    let progress = std::sync::Mutex::new(Progress::new(costs.len(), setup.planned));
    let progress = || progress.lock().expect("nothing panics while it is held");
    let mut checkpoint_failure = None;
    let every = outputs.checkpoint.is_some().then_some(args.checkpoint_every);
    let span = Span { costs, planned: setup.planned, checkpoint_every: every };
    let mut save_checkpoint = |state: &State<T>, costs: &[f64]| {
        let saved = outputs.write_checkpoint(&provenance, state, costs, setup.planned);
        if let Err(error) = &saved {
            // The run is worth more than its checkpoint.
            tell!("warning: no checkpoint after {} iterations: {error:#}", costs.len());
        }
        checkpoint_failure = saved.err();
        progress().resume_clock();
    };
    let watch = &mut |iteration, cost| {
        progress().step(iteration, cost);
        if interrupt.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcome = run_span(engine.as_ref(), trainer.as_mut(), span, watch, &mut save_checkpoint)?;
    let run_seconds = clock.elapsed().as_secs_f64();
    progress().finish();
    if !matches!(outcome.end, End::Diverged { .. }) {
        save_checkpoint(&outcome.state, &outcome.costs);
    }

    let provenance = Provenance { iterations: outcome.costs.len(), ..provenance };
    let written = outputs.write(&provenance, &outcome);
    let step_times = std::mem::take(&mut progress().step_times);
    let times = Times { run: run_seconds, steps: &step_times };
    let summary = summarise(&engine, provenance, &outcome, bit_identical, times, &train_set, test_set.as_ref())?;
    match args.format {
        Format::Text => write_text(out, &summary, step_times.len())?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
    }
    out.flush()?;
    if let End::Diverged { iteration, cost } = outcome.end {
        // That is the news; a file that could not be made for want of costs is told beside it.
        written.unwrap_or_else(|error| tell_error(&error));
        return Err(Error::Diverged { what: "the cost", value: cost, iteration }.into());
    }
    written?;
    if let Some(error) = checkpoint_failure {
        return Err(error.context("the last checkpoint could not be written"));
    }
    match outcome.end {
        End::Finished => Ok(Verdict::Fine),
        End::Stopped | End::Diverged { .. } => Ok(Verdict::Interrupted),
    }
}

/// Refuses now what would end the program at its first allocation that is refused: of parameters, gradients and activations.
fn expect_memory<T: Scalar>(setup: &Setup, pictures: usize) -> Result<(), Error> {
    // The start, the network's own, their gradients, and what a checkpoint copies; Z, A and dA of each layer.
    const COPIES: usize = 4;
    let of_layer = |pair: &[usize]| {
        COPIES.saturating_mul(pair[1]).saturating_mul(pair[0] + 1).saturating_add(pair[1].saturating_mul(3 * pictures))
    };
    let numbers = setup.architecture.dims().windows(2).map(of_layer).fold(0, usize::saturating_add);
    let bytes = numbers.saturating_add(setup.architecture.inputs() * pictures).saturating_mul(size_of::<T>());
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Error::refused_memory(bytes))
}

/// The file of the training pictures. A resumed run takes them from where it took them before.
fn training_file(args: &Args, setup: &Setup) -> Option<PathBuf> {
    let recorded = setup.resumed.as_ref().map(|resumed| resumed.provenance.data.as_str());
    args.train.clone().or(recorded.filter(|&data| data != "synthetic").map(PathBuf::from))
}

/// The training pictures, and those to test on, if any.
fn pictures(args: &Args, setup: &Setup) -> anyhow::Result<(PictureSet, Option<PictureSet>)> {
    let train = training_file(args, setup);
    let train_set = match &train {
        Some(path) => pictures::load(path, Split::Train, args.train_sha256)?,
        None if args.train_sha256.is_some() => {
            bail!(
                "--train-sha256 is given, and the checkpoint's run had the embedded pictures, not a file; leave it out"
            )
        }
        None => PictureSet::synthetic(Split::Train),
    };
    let test_set = match (&args.test, &train) {
        (Some(path), _) => Some(pictures::load(path, Split::Test, args.test_sha256)?),
        (None, None) => Some(PictureSet::synthetic(Split::Test)),
        (None, Some(_)) => None,
    };
    for set in std::iter::once(&train_set).chain(&test_set) {
        set.expect_features(setup.architecture.inputs())?;
    }
    if let Some(test_set) = &test_set {
        // What 0 and 1 stand for is fixed by the training set. To map by name would hide that one of the files is not what it says.
        expect_same_classes(test_set, &format!("the training set ({})", train_set.source), &train_set.classes)?;
    }
    Ok((train_set, test_set))
}

/// Whether a resumed run computes as the one before did. Says what does not, if not: the costs may differ in their last digits.
fn same_arithmetic(before: &Provenance, now: &Provenance) -> bool {
    let compared = [
        ("backend", &before.backend, &now.backend),
        ("engine", &before.engine, &now.engine),
        ("number of threads", &before.threads.to_string(), &now.threads.to_string()),
        ("program", &before.program, &now.program),
    ];
    let mut same = true;
    for (what, before, now) in compared {
        if before != now {
            tell!(
                "note: the {what} was {} and is {}: the costs from here on are not those of an uninterrupted run bit for bit",
                visible(before),
                visible(now)
            );
            same = false;
        }
    }
    same
}

fn expect_same_data(before: &Provenance, now: &Provenance) -> Result<(), Error> {
    if before.data_sha256 == now.data_sha256 {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "the training data",
        expected: format!("the checkpoint's ({}, fingerprint {})", before.data, before.data_sha256),
        found: format!("{}, fingerprint {}", now.data, now.data_sha256),
    })
}

/// Refuses a set whose 0 and 1 stand for something else: its labels would be read as their opposites, or as nothing.
fn expect_same_classes(set: &PictureSet, whose: &str, expected: &[String; 2]) -> anyhow::Result<()> {
    let [found, wanted] = [&set.classes, expected].map(|[no, yes]| format!("0 = `{no}`, 1 = `{yes}`"));
    let mend = match (&set.classes, expected) {
        (found, expected) if found == expected => return Ok(()),
        ([no, yes], [other_no, other_yes]) if no == other_yes && yes == other_no => {
            "the same names in another order: swap its list_classes, and its labels with them (1 - y)"
        }
        _ if expected == &PictureSet::synthetic(Split::Train).classes => {
            "the embedded synthetic pictures are what is trained on without --train: name the training file that belongs to it"
        }
        _ => "other names: take the file that belongs to it, or write the same names in both",
    };
    bail!("{}: its classes are {found}, those of {whose} are {wanted}; {mend}", set.source)
}

fn announce(
    out: &mut dyn Write,
    setup: &Setup,
    train_set: &PictureSet,
    test_set: Option<&PictureSet>,
    done: usize,
    threads: usize,
) -> std::io::Result<()> {
    let Setup { architecture, rate, scalar, backend, planned, .. } = setup;
    let way = setup.words_of_first_layer(train_set.len());
    let (source, count, threads) = (&train_set.source, train_set.len(), report::threads(threads));
    let test = test_set.map_or("no test pictures".into(), |set| format!("test on {} ({})", set.source, set.len()));
    let done = if done == 0 { String::new() } else { format!(" of which {done} are done,") };
    writeln!(
        out,
        "training {architecture} on {} ({count} pictures), {}, {planned} iterations,{done} at rate {rate}; {} on {threads} in {scalar}{way}",
        visible(source),
        visible(test),
        visible(backend)
    )?;
    out.flush()
}

/// What was timed of a run, in seconds: the whole of it, and each step.
struct Times<'a> {
    run: f64,
    steps: &'a [f64],
}

fn summarise<T: Scalar>(
    engine: &std::sync::Arc<dyn Engine<T>>,
    provenance: Provenance,
    outcome: &Trained<T>,
    bit_identical: bool,
    times: Times<'_>,
    train_set: &PictureSet,
    test_set: Option<&PictureSet>,
) -> anyhow::Result<Summary> {
    let mut network = Network::with_parameters(engine, outcome.parameters.clone())?;
    let mut score = |set: &PictureSet| -> Result<Score, Error> {
        Ok(Score { correct: network.count_correct(set.x().view(), set.y().view())?, total: set.len() })
    };
    let (end, diverged_at) = match outcome.end {
        End::Finished => ("finished", None),
        End::Stopped => ("interrupted", None),
        End::Diverged { iteration, .. } => ("diverged", Some(iteration)),
    };
    let of_steps = |value: f64| (!times.steps.is_empty()).then_some(value);
    Ok(Summary {
        format: 1,
        end,
        provenance,
        first_cost: outcome.costs.first().copied(),
        last_cost: outcome.costs.last().copied(),
        diverged_at,
        bit_identical,
        train: score(train_set)?,
        test_data: test_set.map(|set| set.source.clone()),
        test: test_set.map(score).transpose()?,
        run_seconds: times.run,
        step_seconds: of_steps(median(times.steps)),
        step_relative_spread: of_steps(relative_spread(times.steps)),
    })
}

fn write_text(out: &mut dyn Write, summary: &Summary, steps: usize) -> std::io::Result<()> {
    if summary.end != "finished" {
        writeln!(out, "{} after {} iterations", summary.end, summary.provenance.iterations)?;
    }
    writeln!(out, "train {}/{} correct", summary.train.correct, summary.train.total)?;
    if let Some(test) = &summary.test {
        writeln!(out, "test  {}/{} correct", test.correct, test.total)?;
    }
    if let (Some(seconds), Some(spread)) = (summary.step_seconds, summary.step_relative_spread) {
        writeln!(out, "time per step {:.3} ms (median of {steps}, spread {:.0}%)", 1e3 * seconds, 100.0 * spread)?;
    }
    Ok(())
}
