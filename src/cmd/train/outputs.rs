//! The files of a run: costs, picture, model, checkpoints.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::Args;
use super::setup::Setup;
use super::training_file;
use crate::cmd::output::{Misplaced, Output, previous};
use crate::cmd::paths::{Paths, are_one};
use crate::model::State;
use crate::report::plot;
use crate::scalar::Scalar;
use crate::store::{Checkpoint, Model, Provenance, is_checkpoint};
use crate::text::visible;
use crate::train::Trained;

/// The files of a run, found writable before it starts.
pub(super) struct Outputs {
    costs: Option<Output>,
    plot: Option<(Output, plot::PictureFormat)>,
    model: Option<(Output, bool)>,
    pub checkpoint: Option<PathBuf>,
    /// The last checkpoint that could not be put in its place: of a run's many, one is left.
    misplaced: Option<PathBuf>,
}

impl Outputs {
    pub fn create<T: Scalar>(args: &Args, setup: &Setup) -> anyhow::Result<Self> {
        let weights: usize = setup.architecture.dims().windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum();
        // Beside the numbers: names, shapes, provenance.
        let model_bytes = (weights * size_of::<T>() + 4096) as u64;
        // A line holds an iteration and up to 17 digits.
        let costs_bytes = (setup.planned as u64).saturating_mul(32);
        let is_hdf5 = |path: &Path| {
            path.extension().is_some_and(|ending| ["h5", "hdf5"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
        };
        if cfg!(not(feature = "hdf5")) && args.save.as_deref().is_some_and(is_hdf5) {
            bail!("this build cannot write HDF5; save to a .safetensors file, or build with the `hdf5` feature");
        }
        let checkpoint = checkpoint(args).map(Path::to_owned);
        if let Some(path) = &checkpoint {
            // Made and thrown away: each checkpoint makes its own.
            let bytes = model_bytes.saturating_add((setup.planned as u64).saturating_mul(8));
            Output::create_file(path, bytes, "a checkpoint is to be read again")?;
            let before = previous(path);
            Output::create_file(&before, bytes, "the checkpoint before the last one is kept there")?;
            // Nobody named that file.
            let has_content = before.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
            if has_content && !is_checkpoint(&before)? {
                bail!(
                    "{} is no checkpoint, and the one before the last would be kept there; move it, or name another --checkpoint",
                    visible(before.display())
                );
            }
        }
        let costs = args.costs.as_deref().map(|path| Output::create(path, costs_bytes)).transpose()?;
        let plot = match &args.plot {
            Some(path) => Some((Output::create(path, PLOT_BYTES)?, plot::PictureFormat::of(path)?)),
            None => None,
        };
        let model = match args.save.as_deref() {
            Some(path) if is_hdf5(path) => {
                Some((Output::create_file(path, model_bytes, "libhdf5 writes no others")?, true))
            }
            Some(path) => Some((Output::create(path, model_bytes)?, false)),
            None => None,
        };
        Ok(Outputs { costs, plot, model, checkpoint, misplaced: None })
    }

    pub fn write_checkpoint<T: Scalar>(
        &mut self,
        provenance: &Provenance,
        state: &State<T>,
        costs: &[f64],
        planned: usize,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.checkpoint else { return Ok(()) };
        let provenance = Provenance { iterations: costs.len(), ..provenance.clone() };
        let bytes = Checkpoint { provenance, state: state.clone(), planned, costs: costs.to_vec() }.to_bytes();
        let written = Output::replace(path, &bytes);
        let kept = written.as_ref().err().and_then(|error| error.downcast_ref::<Misplaced>()).map(|it| it.kept.clone());
        // One that could not be kept at all leaves the last that was.
        if (written.is_ok() || kept.is_some())
            && let Some(before) = std::mem::replace(&mut self.misplaced, kept)
        {
            let _ = std::fs::remove_file(before);
        }
        written
    }

    /// Writes costs, picture and model. One that fails does not take the others with it.
    pub fn write<T: Scalar>(self, provenance: &Provenance, outcome: &Trained<T>) -> anyhow::Result<()> {
        let costs = self.costs.map_or(Ok(()), |output| output.write(costs_csv(&outcome.costs).as_bytes()));
        let model = Model { provenance: provenance.clone(), parameters: outcome.parameters.clone() };
        let model = self.model.map_or(Ok(()), |(output, is_hdf5)| {
            #[cfg(feature = "hdf5")]
            if is_hdf5 {
                let writer = |path: &Path| Ok(crate::store::write_hdf5(&model, path)?);
                return output.write_by_name(writer, || model.to_bytes());
            }
            let _ = is_hdf5;
            output.write(&model.to_bytes())
        });
        let plot =
            self.plot.map_or(Ok(()), |(output, format)| output.write(&picture(provenance, &outcome.costs, format)?));
        let failures: Vec<_> = [costs, plot, model].into_iter().filter_map(Result::err).collect();
        match failures.as_slice() {
            [] => Ok(()),
            failures => bail!("{}", failures.iter().map(|error| format!("{error:#}")).collect::<Vec<_>>().join("; ")),
        }
    }
}

/// All paths of a run. `--resume F` goes on writing to F; what else is read stays as it is.
pub(super) fn paths(args: &Args, setup: &Setup) -> Paths {
    let checkpoint = checkpoint(args);
    // A run that was killed between two steps leaves two names of one checkpoint; the next one makes two files of them.
    let before = checkpoint.map(|path| (path, previous(path))).filter(|(path, before)| !are_one(path, before));
    Paths::default()
        .reads("--train", training_file(args, setup))
        .reads("--test", &args.test)
        .reads("--resume", &args.resume)
        .writes("--costs", &args.costs)
        .writes("--plot", &args.plot)
        .writes("--save", &args.save)
        .writes("--checkpoint", checkpoint)
        .writes("the checkpoint before the last", before.map(|(_, before)| before))
        .allow("--checkpoint", "--resume")
}

fn checkpoint(args: &Args) -> Option<&Path> {
    args.checkpoint.as_deref().or(args.resume.as_deref())
}

/// Set aside for a picture: more than both formats take for any number of iterations.
const PLOT_BYTES: u64 = 1 << 18;

fn picture(provenance: &Provenance, costs: &[f64], format: plot::PictureFormat) -> anyhow::Result<Vec<u8>> {
    let name = format!("{} in {}, {}", provenance.architecture, provenance.scalar, provenance.backend);
    let curve = plot::Curve { name, costs: costs.iter().copied().enumerate().collect() };
    Ok(plot::render(&[curve], format, &plot::Options::default())?)
}

/// Header `iteration,cost`, then every iteration: the shortest text that reads back to the same number.
fn costs_csv(costs: &[f64]) -> String {
    let mut text = String::from("iteration,cost\n");
    for (iteration, cost) in costs.iter().enumerate() {
        text.push_str(&format!("{iteration},{cost}\n"));
    }
    text
}
