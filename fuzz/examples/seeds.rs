//! Writes small model and checkpoint files into a folder, for the fuzzer to start from.

use std::path::Path;

use layerbench::model::{Architecture, Init, Parameters, State};
use layerbench::store::{Checkpoint, Model, Provenance};
use layerbench::{Result, Scalar};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    for dims in [&[2, 4, 1][..], &[3, 1], &[5, 2, 3, 1]] {
        write::<f32>(folder.as_ref(), dims)?;
        write::<f64>(folder.as_ref(), dims)?;
    }
    Ok(())
}

fn write<T: Scalar>(folder: &Path, dims: &[usize]) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let model = model::<T>(&Architecture::new(dims)?)?;
    let name = format!("{}-{}", T::KIND, model.provenance.architecture);
    std::fs::write(folder.join(format!("model-{name}")), model.to_bytes())?;
    let mut state = State::default();
    model.parameters.save(0, &mut state);
    let checkpoint = Checkpoint { provenance: model.provenance, state, planned: 9, costs: vec![0.7, 0.6, 0.5] };
    std::fs::write(folder.join(format!("checkpoint-{name}")), checkpoint.to_bytes())?;
    Ok(())
}

fn model<T: Scalar>(architecture: &Architecture) -> Result<Model<T>> {
    let provenance = Provenance {
        program: "layerbench".into(),
        architecture: architecture.to_string(),
        init: "he".into(),
        seed: 1,
        rate: 0.0075,
        scalar: T::KIND,
        backend: "naive".into(),
        engine: "loops".into(),
        threads: 1,
        iterations: 3,
        data: "synthetic".into(),
        data_sha256: "0".repeat(64),
        classes: ["no".into(), "yes".into()],
    };
    Ok(Model { provenance, parameters: Parameters::initialized(architecture, Init::He, 1) })
}
