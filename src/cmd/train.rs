//! `train`: the notebook's job on a backend. Costs as they come, accuracy and time per step at the end.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::backend::Registry;
use crate::cmd::{Verdict, cores};
use crate::data::{PictureSet, Split};
use crate::error::Error;
use crate::layer::Descent;
use crate::measure::statistics::{median, relative_spread};
use crate::network::{Architecture, Init, Network, Parameters};
use crate::report;
use crate::scalar::{Scalar, ScalarKind};
use crate::train::{Composed, Trainer, check_rate, train};
use crate::workload::Workload;

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Args {
    /// One of the course's models
    #[arg(long, value_parser = ["two-layer", "l-layer"], default_value = "l-layer", conflicts_with = "arch")]
    model: String,
    /// Layer sizes instead of a model, such as 12288,20,7,5,1
    #[arg(long, value_name = "SIZES", requires = "init")]
    arch: Option<Architecture>,
    /// Initial weights: inv-sqrt, he, zeros, or a number that scales normal random numbers [default: the model's]
    #[arg(long)]
    init: Option<Init>,
    /// Seed of the initial weights
    #[arg(long, default_value_t = crate::workload::SEED)]
    seed: u32,
    /// Learning rate
    #[arg(long, default_value_t = crate::workload::LEARNING_RATE)]
    lr: f64,
    /// Number of gradient steps
    #[arg(long, default_value_t = 2500, value_parser = parse_iterations)]
    iterations: usize,
    /// HDF5 file with train_set_x, train_set_y and list_classes [default: the embedded synthetic pictures]
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// HDF5 file with test_set_x, test_set_y and list_classes
    #[arg(long, value_name = "FILE", requires = "train")]
    test: Option<PathBuf>,
    /// The backend that computes; `layerbench list` names them
    #[arg(long, value_name = "NAME")]
    backend: String,
    /// Number of threads [default: all, or 1 where the backend has no more]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// The scalar type
    #[arg(long, default_value = "f64")]
    scalar: ScalarKind,
    /// Write every iteration's cost to this CSV file
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
}

fn parse_iterations(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a whole number from 1".into())
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    match args.scalar {
        ScalarKind::F32 => run_as::<f32>(args, registry, out),
        ScalarKind::F64 => run_as::<f64>(args, registry, out),
    }
}

fn run_as<T: Scalar>(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    // Everything that can be refused is refused before the first step.
    check_rate(args.lr)?;
    let (architecture, init) = model(args);
    if architecture.outputs() != 1 {
        return Err(Error::Architecture {
            found: architecture.to_string(),
            problem: "the labels are 0 and 1: the last layer must have one unit".into(),
        }
        .into());
    }
    let entry = registry.get(&args.backend)?;
    let threads = args.threads.or(entry.thread_counts(cores()).last().copied()).unwrap_or(NonZeroUsize::MIN);
    let engine = entry.open::<T>(threads)?;
    let train_set = match &args.train {
        Some(path) => PictureSet::read_hdf5(path, Split::Train)?,
        None => PictureSet::synthetic(Split::Train),
    };
    let test_set = match (&args.test, &args.train) {
        (Some(path), _) => Some(PictureSet::read_hdf5(path, Split::Test)?),
        (None, None) => Some(PictureSet::synthetic(Split::Test)),
        (None, Some(_)) => None,
    };
    for set in std::iter::once(&train_set).chain(&test_set) {
        set.expect_features(architecture.inputs())?;
    }
    let costs_file = args.costs.as_deref().map(CostsFile::create).transpose()?;

    writeln!(
        out,
        "training {architecture} on {} ({} pictures), {} iterations at rate {}; {} on {} in {}",
        train_set.source,
        train_set.len(),
        args.iterations,
        args.lr,
        args.backend,
        report::threads(threads.get()),
        args.scalar
    )?;
    out.flush()?;
    let start = Parameters::<T>::initialized(&architecture, init, args.seed);
    let descent = Descent::plain(T::of(args.lr));
    let mut trainer = Composed::new(&engine, &start, train_set.x(), train_set.y().view(), descent)?;
    let mut progress = Progress::new(args.iterations);
    let outcome =
        train(engine.as_ref(), &mut trainer, args.iterations, &mut |iteration, cost| progress.step(iteration, cost));
    progress.finish();
    if let Some(file) = costs_file {
        file.write(&progress.costs)?;
    }
    outcome?;

    let mut network = Network::with_parameters(&engine, trainer.export()?)?;
    for (label, set) in std::iter::once(("train", &train_set)).chain(test_set.as_ref().map(|set| ("test", set))) {
        let correct = network.count_correct(set.x().view(), set.y().view())?;
        writeln!(out, "{label:<5} {correct}/{} correct", set.len())?;
    }
    let times = &progress.step_times;
    writeln!(
        out,
        "time per step {:.3} ms (median of {}, ±{:.0}%)",
        1e3 * median(times),
        times.len(),
        100.0 * relative_spread(times)
    )?;
    Ok(Verdict::Fine)
}

fn model(args: &Args) -> (Architecture, Init) {
    match &args.arch {
        Some(architecture) => (architecture.clone(), args.init.unwrap_or(Init::InverseSqrt)),
        None => {
            let workload = Workload::find(&args.model).expect("the parser allows the models' names only");
            (workload.architecture, args.init.unwrap_or(workload.init))
        }
    }
}

/// Collects costs and times, and shows them: a bar on a terminal, plain lines elsewhere.
struct Progress {
    bar: ProgressBar,
    /// Iterations between plain lines; none on a terminal.
    line_every: Option<usize>,
    costs: Vec<f64>,
    step_times: Vec<f64>,
    last: Instant,
    shown: Instant,
}

impl Progress {
    fn new(iterations: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(iterations as u64) } else { ProgressBar::hidden() };
        let style =
            ProgressStyle::with_template("{bar:40} {pos}/{len}  cost {msg}  {eta} left").expect("a valid template");
        let expected = iterations.min(1 << 20);
        Progress {
            bar: bar.with_style(style),
            line_every: (!terminal).then(|| (iterations / 25).max(1)),
            costs: Vec::with_capacity(expected),
            step_times: Vec::with_capacity(expected),
            last: Instant::now(),
            shown: Instant::now(),
        }
    }

    fn step(&mut self, iteration: usize, cost: f64) -> ControlFlow<()> {
        let now = Instant::now();
        self.step_times.push((now - self.last).as_secs_f64());
        self.costs.push(cost);
        match self.line_every {
            Some(every) if iteration.is_multiple_of(every) => eprintln!("iteration {iteration:>6}  cost {cost:.6}"),
            None if self.shown.elapsed() > Duration::from_millis(50) => {
                self.bar.set_position(iteration as u64 + 1);
                self.bar.set_message(format!("{cost:.6}"));
                self.shown = now;
            }
            _ => {}
        }
        // What is shown is not part of the next step's time.
        self.last = Instant::now();
        ControlFlow::Continue(())
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The costs file: created before training, so that an unwritable place is found then; put in its place when it is whole.
struct CostsFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl CostsFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            bail!("cannot write costs to {}: it is a folder", path.display());
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write costs to {}", path.display()))?;
        Ok(CostsFile { file, path: path.to_owned() })
    }

    fn write(mut self, costs: &[f64]) -> anyhow::Result<()> {
        let context = || format!("cannot write costs to {}", self.path.display());
        let mut text = String::from("iteration,cost\n");
        for (iteration, cost) in costs.iter().enumerate() {
            // Rust prints the shortest text that reads back to the same number.
            text.push_str(&format!("{iteration},{cost}\n"));
        }
        self.file.write_all(text.as_bytes()).with_context(context)?;
        self.file.as_file().sync_all().with_context(context)?;
        self.file.persist(&self.path).with_context(context)?;
        Ok(())
    }
}
