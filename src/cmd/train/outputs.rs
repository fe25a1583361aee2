//! The files of a run: costs, picture, model, checkpoints.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::Args;
use super::setup::Setup;
use crate::cmd::output::Output;
use crate::network::Parameters;
use crate::report::plot;
use crate::scalar::Scalar;
use crate::store::{Checkpoint, Model, Provenance};
use crate::train::Outcome;

/// The files of a run, found writable before it starts.
pub(super) struct Outputs {
    costs: Option<Output>,
    plot: Option<(Output, plot::Format)>,
    model: Option<(Output, bool)>,
    pub checkpoint: Option<PathBuf>,
}

impl Outputs {
    pub fn create<T: Scalar>(args: &Args, setup: &Setup) -> anyhow::Result<Self> {
        let weights: usize = setup.architecture.dims().windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum();
        // Beside the numbers: names, shapes, provenance.
        let model_bytes = (weights * size_of::<T>() + 4096) as u64;
        // A line holds an iteration and up to 17 digits.
        let costs_bytes = (setup.planned as u64).saturating_mul(32);
        let is_hdf5 = |path: &Path| path.extension().is_some_and(|ending| ending == "h5" || ending == "hdf5");
        if cfg!(not(feature = "hdf5")) && args.save.as_deref().is_some_and(is_hdf5) {
            bail!("this build cannot write HDF5; save to a .safetensors file, or build with the `hdf5` feature");
        }
        let checkpoint = args.checkpoint.clone().or(args.resume.clone());
        expect_distinct([&args.costs, &args.plot, &args.save, &checkpoint].into_iter().flatten())?;
        if let Some(path) = &checkpoint {
            // Made and thrown away: each checkpoint makes its own.
            Output::create(path, model_bytes.saturating_add((setup.planned as u64).saturating_mul(8)))?;
        }
        let costs = args.costs.as_deref().map(|path| Output::create(path, costs_bytes)).transpose()?;
        let plot = match &args.plot {
            Some(path) => Some((Output::create(path, PLOT_BYTES)?, plot::Format::of(path)?)),
            None => None,
        };
        let model = args.save.as_deref().map(|path| Output::create(path, model_bytes).map(|o| (o, is_hdf5(path))));
        Ok(Outputs { costs, plot, model: model.transpose()?, checkpoint })
    }

    pub fn write_checkpoint<T: Scalar>(
        &self,
        provenance: &Provenance,
        parameters: &Parameters<T>,
        costs: &[f64],
        planned: usize,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.checkpoint else { return Ok(()) };
        let provenance = Provenance { iterations: costs.len(), ..provenance.clone() };
        let model = Model { provenance, parameters: parameters.clone() };
        let bytes = Checkpoint { model, planned, costs: costs.to_vec() }.to_bytes();
        Output::create(path, bytes.len() as u64)?.write_keeping_previous(&bytes)
    }

    /// Writes costs, picture and model. One that fails does not take the others with it.
    pub fn write<T: Scalar>(self, provenance: &Provenance, outcome: &Outcome<T>) -> anyhow::Result<()> {
        let costs = self.costs.map_or(Ok(()), |output| output.write(costs_csv(&outcome.costs).as_bytes()));
        let model = Model { provenance: provenance.clone(), parameters: outcome.parameters.clone() };
        let model = self.model.map_or(Ok(()), |(output, is_hdf5)| {
            #[cfg(feature = "hdf5")]
            if is_hdf5 {
                return output.write_by_name(|path| Ok(crate::store::write_hdf5(&model, path)?));
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

/// One file cannot hold two outputs: the later would silently replace the earlier.
fn expect_distinct<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in paths {
        let path = std::path::absolute(path)?;
        let path = path.canonicalize().unwrap_or(path);
        // Devices, such as /dev/null and /dev/stdout, take any number of outputs.
        if seen.contains(&path) && !path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            bail!("{} is given for two outputs; name a file for each", path.display());
        }
        seen.push(path);
    }
    Ok(())
}

/// Set aside for a picture: more than both formats take for any number of iterations.
const PLOT_BYTES: u64 = 1 << 18;

fn picture(provenance: &Provenance, costs: &[f64], format: plot::Format) -> anyhow::Result<Vec<u8>> {
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
