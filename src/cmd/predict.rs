//! `predict`: what a trained network says of pictures. A picture that cannot be read does not keep the others from theirs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use ndarray::Array2;
use serde::Serialize;

use crate::backend::Registry;
use crate::cmd::paths::Paths;
use crate::cmd::{Format, Verdict, tell};
use crate::data::picture::{read_picture, side_of};
use crate::error::Error;
use crate::network::Network;
use crate::scalar::{Scalar, ScalarKind};
use crate::store::{Container, Model, provenance};
use crate::text::visible;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model: a safetensors file that `train --save` wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// PNG or JPEG pictures of any size; scaled to the network's input
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// The backend that computes [default: the first available]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// How the result is written: a line, or a JSON object on a line, for each picture
    #[arg(long, default_value = "text")]
    format: Format,
}

/// A prediction, as `--format json` writes it; documented in docs/train.md.
#[derive(Serialize)]
struct Prediction {
    picture: String,
    /// The more probable class.
    class: String,
    /// 0 or 1.
    label: u8,
    /// Of that class.
    probability: f64,
}

pub(crate) fn run(args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    // Standard output may be one of them.
    Paths::default().reads("--model", [&args.model]).reads("PICTURE", &args.pictures).check()?;
    let container = Container::read(&args.model)?;
    match provenance(&container)?.scalar {
        ScalarKind::F32 => run_as::<f32>(args, &container, registry, out),
        ScalarKind::F64 => run_as::<f64>(args, &container, registry, out),
    }
}

fn run_as<T: Scalar>(
    args: &Args,
    container: &Container,
    registry: &Registry,
    out: &mut dyn Write,
) -> anyhow::Result<Verdict> {
    let Model { provenance, parameters } = Model::<T>::from_container(container)?;
    let architecture = parameters.architecture().clone();
    if architecture.outputs() != 1 {
        let problem = format!("its layers are {architecture}, expected one output unit, the probability of class 1");
        return Err(Error::Model { path: args.model.clone(), problem }.into());
    }
    let side = side_of(architecture.inputs())?;
    let backend = match &args.backend {
        Some(name) => name.clone(),
        None => match registry.entries().iter().find(|entry| entry.supports(T::KIND) && entry.available().is_ok()) {
            Some(entry) => entry.name().to_owned(),
            None => bail!("no backend is available in {}", T::KIND),
        },
    };
    let mut network = Network::with_parameters(&registry.open::<T>(&backend, 1)?, parameters)?;
    let mut unread = 0;
    for path in &args.pictures {
        let prediction = match predict(&mut network, path, side, &provenance.classes) {
            Ok(prediction) => prediction,
            Err(error) => {
                tell!("error: {error}");
                unread += 1;
                continue;
            }
        };
        let Prediction { picture, class, probability, .. } = &prediction;
        match args.format {
            Format::Text => {
                writeln!(out, "{}: {} (probability {probability:.4})", visible(picture), visible(class))?;
            }
            Format::Json => writeln!(out, "{}", serde_json::to_string(&prediction)?)?,
        }
    }
    if unread > 0 {
        bail!("{unread} of {} pictures could not be read", args.pictures.len());
    }
    Ok(Verdict::Fine)
}

fn predict<T: Scalar>(
    network: &mut Network<T>,
    path: &Path,
    side: usize,
    classes: &[String; 2],
) -> Result<Prediction, Error> {
    let pixels = read_picture(path, side)?;
    let x = Array2::from_shape_fn((pixels.len(), 1), |(i, _)| T::of(f64::from(pixels[i]) / 255.0));
    let of_one = network.predict(x.view())?[(0, 0)].widen();
    if of_one.is_nan() {
        return Err(Error::Data {
            path: path.to_owned(),
            problem: "the network's answer is NaN: its parameters are too large for this picture".into(),
        });
    }
    // As in the course's `predict`: class 1 where the probability is above one half.
    let label = u8::from(of_one > 0.5);
    Ok(Prediction {
        picture: path.display().to_string(),
        class: classes[usize::from(label)].clone(),
        label,
        probability: if label == 1 { of_one } else { 1.0 - of_one },
    })
}
