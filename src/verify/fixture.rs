//! Fixture files: reading cases and holding them against the format, before anything is run on a backend.
//!
//! The format is described in `fixtures/README.md`. Every mistake in a file is an [`Error::Fixture`] that names file, case and
//! key: a case that got this far can be computed, and what it expects has the names and shapes that its function returns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde_json::{Map, Value};

use super::fields::{Bad, Fields, matrix, number};
use super::golden::{CacheCase, Call, Case, GradientNames, LayerCase, Printed};
use super::reference::{self, Bounded};
use super::{Outputs, printed};
use crate::error::{Error, Result};
use crate::files::read_at_most;
use crate::layer::Activation;
use crate::text::{Unique, json_problem, utf8};

/// Larger files are refused.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Multiply-adds that one case may ask for: it is computed several times over, once by slow loops.
const MAX_WORK: f64 = (1_u64 << 28) as f64;

/// The notebook's cases and the project's own, which are part of the program.
///
/// # Panics
/// Where the embedded files are malformed, which a test excludes.
pub fn embedded() -> Vec<Case> {
    let files = [
        ("embedded:notebook_cases.json", include_str!("../../fixtures/notebook_cases.json")),
        ("embedded:extra_cases.json", include_str!("../../fixtures/extra_cases.json")),
    ];
    let parsed =
        files.iter().flat_map(|(name, text)| parse(name, text).expect("the embedded fixtures are well-formed"));
    parsed.collect()
}

/// What [`read`] found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All cases, file by file in the order of their names.
    pub cases: Vec<Case>,
    /// The files that they are from.
    pub files: Vec<PathBuf>,
    /// JSON files of a folder that are no fixture files: they have no `cases`.
    pub passed_over: Vec<PathBuf>,
}

/// Reads a fixture file, or all fixture files of a folder (not of folders in it).
///
/// # Errors
/// [`Error::Io`], or [`Error::Syntax`] and [`Error::Fixture`] for a malformed file or a folder without any.
pub fn read(path: &Path) -> Result<Found> {
    let mut found = Found::default();
    if !path.is_dir() {
        found.cases = parse(&path.display().to_string(), &read_text(path)?)?;
        found.files.push(path.to_owned());
        return Ok(found);
    }
    for file in json_files(path)? {
        let name = file.display().to_string();
        let document = parse_json(&name, &read_text(&file)?)?;
        if document.get("cases").is_some() {
            found.cases.extend(parse_document(&name, document)?);
            found.files.push(file);
        } else {
            found.passed_over.push(file);
        }
    }
    if found.cases.is_empty() {
        let problem = "no JSON file with `cases` in this folder".to_owned();
        return Err(Error::Fixture { file: path.display().to_string(), case: "-".into(), key: "-".into(), problem });
    }
    Ok(found)
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let entries = folder.read_dir().map_err(io)?.collect::<std::io::Result<Vec<_>>>().map_err(io)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn read_text(path: &Path) -> Result<String> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_BYTES {
        return Err(Error::Fixture {
            file: path.display().to_string(),
            case: "-".into(),
            key: "-".into(),
            problem: format!("the file has {bytes} bytes, the limit is {MAX_BYTES}"),
        });
    }
    utf8(read_at_most(path, MAX_BYTES).map_err(io)?).map_err(|mistake| mistake.of(&path.display().to_string()))
}

/// Parses the bytes of a fixture file, as [`parse`] does.
pub(crate) fn parse_bytes(file: &str, bytes: Vec<u8>) -> Result<Vec<Case>> {
    parse(file, &utf8(bytes).map_err(|mistake| mistake.of(file))?)
}

/// Parses the text of a fixture file; `file` is its name in messages.
///
/// # Errors
/// [`Error::Syntax`] where it is no JSON, else [`Error::Fixture`].
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>> {
    parse_document(file, parse_json(file, text)?)
}

fn parse_json(file: &str, text: &str) -> Result<Value> {
    let Unique(document) = serde_json::from_str(text).map_err(|error| json_problem(text, &error).of(file))?;
    Ok(document)
}

fn parse_document(file: &str, document: Value) -> Result<Vec<Case>> {
    let refuse =
        |case: &str, Bad { key, problem }: Bad| Error::Fixture { file: file.into(), case: case.into(), key, problem };
    let whole = |key: &str, problem: &str| refuse("-", Bad { key: key.into(), problem: problem.into() });
    let Value::Object(mut document) = document else {
        return Err(whole("-", "expected an object with `format` and `cases`"));
    };
    if document.get("format").and_then(Value::as_u64) != Some(1) {
        return Err(whole("format", "expected 1, the only version there is"));
    }
    let Some(Value::Array(records)) = document.remove("cases") else {
        return Err(whole("cases", "expected a list of cases"));
    };
    if records.is_empty() {
        return Err(whole("cases", "the list is empty: nothing would be checked"));
    }
    let mut cases: Vec<Case> = Vec::with_capacity(records.len());
    for (position, record) in records.into_iter().enumerate() {
        let name = match record.get("name") {
            Some(Value::String(name)) => name.clone(),
            _ => format!("#{}", position + 1),
        };
        let case = parse_case(&name, record).map_err(|bad| refuse(&name, bad))?;
        if cases.iter().any(|other| other.name == case.name) {
            return Err(refuse(&name, Bad { key: "name".into(), problem: "another case has this name".into() }));
        }
        cases.push(case);
    }
    Ok(cases)
}

fn parse_case(name: &str, record: Value) -> std::result::Result<Case, Bad> {
    let Value::Object(mut record) = record else {
        return Err(Bad::new("-", "expected an object"));
    };
    let Some(Value::String(function)) = record.get("function") else {
        return Err(Bad::new("function", "expected the name of a function of the notebook"));
    };
    let names = match record.get("gradient_names") {
        None => GradientNames::Notebook,
        Some(Value::String(text)) if text == "notebook" => GradientNames::Notebook,
        Some(Value::String(text)) if text == "mathematical" => GradientNames::Mathematical,
        Some(other) => {
            return Err(Bad::new("gradient_names", format!("expected `notebook` or `mathematical`, found {other}")));
        }
    };
    let tolerance = match record.get("tolerance") {
        None => None,
        Some(value) => match number("tolerance", value)? {
            tolerance if tolerance >= 0.0 => Some(tolerance),
            _ => return Err(Bad::new("tolerance", "expected a number that is not negative")),
        },
    };
    let function = function.clone();
    let mut inputs = Fields::of(&mut record, "inputs")?;
    let call = parse_call(&function, &mut inputs, names)?;
    inputs.finish()?;
    if work(&call) > MAX_WORK {
        return Err(Bad::new("inputs", format!("the case asks for more than {MAX_WORK:.1e} multiply-adds")));
    }
    let returned = reference::outputs::<f64>(&call);
    let expected = parse_expected(&mut record, &returned)?;
    let printed = parse_printed(&record, &returned)?;
    if expected.is_empty() && printed.is_empty() {
        return Err(Bad::new("expected", "neither it nor `printed` has any number: nothing would be checked"));
    }
    Ok(Case { name: name.into(), call, expected, printed, tolerance })
}

fn parse_call(function: &str, inputs: &mut Fields, names: GradientNames) -> std::result::Result<Call, Bad> {
    Ok(match function {
        "initialize_parameters" | "initialize_parameters_deep" => {
            let architecture = inputs.architecture()?;
            if function == "initialize_parameters" && architecture.layers() != 2 {
                return Err(Bad::new(
                    "inputs.layer_dims",
                    "initialize_parameters makes two layers: expected three sizes",
                ));
            }
            Call::Initialize { architecture, init: inputs.init()?, seed: inputs.seed()? }
        }
        "linear_forward" => {
            let a_prev = inputs.matrix("A")?;
            Call::Forward { layer: inputs.layer(a_prev.nrows())?, a_prev, activation: None }
        }
        "linear_activation_forward" => {
            let a_prev = inputs.matrix("A_prev")?;
            let layer = inputs.layer(a_prev.nrows())?;
            Call::Forward { layer, a_prev, activation: Some(inputs.activation()?) }
        }
        "sigmoid" => Call::Activate { z: inputs.matrix("Z")?, activation: Activation::Sigmoid },
        "relu" => Call::Activate { z: inputs.matrix("Z")?, activation: Activation::Relu },
        "sigmoid_backward" | "relu_backward" => {
            let z = inputs.matrix("Z")?;
            let activation = if function == "relu_backward" { Activation::Relu } else { Activation::Sigmoid };
            Call::ActivationBackward { da: inputs.matrix_of("dA", z.dim())?, z, activation }
        }
        "L_model_forward" | "predict" => {
            let x = inputs.matrix("X")?;
            let parameters = inputs.layers("parameters", "", x.nrows())?;
            if function == "predict" { Call::Predict { x, parameters } } else { Call::ModelForward { x, parameters } }
        }
        "compute_cost" => {
            let al = inputs.matrix("AL")?;
            Call::Cost { y: inputs.matrix_of("Y", al.dim())?, al }
        }
        "linear_backward" => {
            let a_prev = inputs.matrix("A_prev")?;
            let layer = inputs.layer(a_prev.nrows())?;
            let dim = (layer.w.nrows(), a_prev.ncols());
            let upstream = inputs.matrix_of("dZ", dim)?;
            let (z, activation) = (Array2::zeros(dim), Activation::Identity);
            Call::Backward { upstream, is_da: false, a_prev, layer, z, activation }
        }
        "linear_activation_backward" => {
            let cache = inputs.cache(None)?;
            let upstream = inputs.matrix_of("dA", cache.z.dim())?;
            let CacheCase { a_prev, layer, z } = cache;
            Call::Backward { upstream, is_da: true, a_prev, layer, z, activation: inputs.activation()? }
        }
        "L_model_backward" => {
            let caches = inputs.caches()?;
            let top = caches.last().expect("at least one cache").z.dim();
            Call::ModelBackward { al: inputs.matrix_of("AL", top)?, y: inputs.matrix_of("Y", top)?, caches, names }
        }
        "update_parameters" => {
            let parameters = inputs.chained_layers("parameters")?;
            let grads = inputs.layers("grads", "d", parameters[0].w.ncols())?;
            let dims = |layers: &[LayerCase]| layers.iter().map(|layer| layer.w.dim()).collect::<Vec<_>>();
            if dims(&grads) != dims(&parameters) {
                return Err(Bad::new("inputs.grads", "the gradients are not shaped like the parameters"));
            }
            Call::Update { parameters, grads, rate: inputs.number("learning_rate")? }
        }
        "two_layer_model" | "L_layer_model" => {
            let architecture = inputs.architecture()?;
            if function == "two_layer_model" && architecture.layers() != 2 {
                return Err(Bad::new("inputs.layer_dims", "two_layer_model has two layers: expected three sizes"));
            }
            let x = inputs.matrix("X")?;
            if x.nrows() != architecture.inputs() {
                let problem =
                    format!("has {} rows, expected {}, the first of layer_dims", x.nrows(), architecture.inputs());
                return Err(Bad::new("inputs.X", problem));
            }
            let y = inputs.matrix_of("Y", (architecture.outputs(), x.ncols()))?;
            let rate = inputs.number("learning_rate")?;
            if rate <= 0.0 {
                return Err(Bad::new("inputs.learning_rate", "expected a positive number"));
            }
            let iterations = inputs.whole("num_iterations", 1)?;
            Call::Train { x, y, architecture, init: inputs.init()?, seed: inputs.seed()?, rate, iterations }
        }
        _ => return Err(Bad::new("function", format!("`{function}` is no function of the notebook"))),
    })
}

/// Roughly, the multiply-adds of a call.
fn work(call: &Call) -> f64 {
    let stack = |layers: &[LayerCase], m: usize| -> f64 { layers.iter().map(|l| l.w.len() as f64 * m as f64).sum() };
    match call {
        Call::Train { x, architecture, iterations, .. } => {
            let pairs = architecture.dims().windows(2);
            let weights: f64 = pairs.map(|pair| pair[0] as f64 * pair[1] as f64).sum();
            3.0 * weights * x.ncols() as f64 * *iterations as f64
        }
        Call::Initialize { architecture, .. } => {
            architecture.dims().windows(2).map(|pair| pair[0] as f64 * pair[1] as f64).sum()
        }
        Call::Forward { layer, a_prev, .. } => layer.w.len() as f64 * a_prev.ncols() as f64,
        Call::Backward { layer, a_prev, .. } => 2.0 * layer.w.len() as f64 * a_prev.ncols() as f64,
        Call::ModelForward { x, parameters } | Call::Predict { x, parameters } => stack(parameters, x.ncols()),
        Call::ModelBackward { al, caches, .. } => {
            2.0 * caches.iter().map(|cache| cache.layer.w.len() as f64 * al.ncols() as f64).sum::<f64>()
        }
        Call::Activate { .. } | Call::ActivationBackward { .. } | Call::Cost { .. } | Call::Update { .. } => 0.0,
    }
}

/// Named matrices, each of the name and shape that the call returns.
fn parse_expected(
    record: &mut Map<String, Value>,
    returned: &BTreeMap<String, Bounded>,
) -> std::result::Result<Outputs, Bad> {
    let mut flat = Vec::new();
    if !record.contains_key("expected") && record.contains_key("printed") {
        return Ok(Outputs::new());
    }
    for (key, value) in Fields::of(record, "expected")?.into_rest() {
        match (key.as_str(), value) {
            ("parameters", Value::Object(values)) => flat.extend(values),
            ("caches", Value::Array(caches)) => {
                for (index, cache) in caches.into_iter().enumerate() {
                    let Value::Object(cache) = cache else {
                        return Err(Bad::new(format!("expected.caches[{index}]"), "expected an object"));
                    };
                    flat.extend(cache.into_iter().map(|(key, value)| (format!("caches[{index}].{key}"), value)));
                }
            }
            (_, value) => flat.push((key, value)),
        }
    }
    let mut expected = Outputs::new();
    for (key, value) in flat {
        let path = format!("expected.{key}");
        let dim = returned_dim(&path, &key, returned)?;
        let found = matrix(&path, value)?;
        if found.dim() != dim {
            return Err(Bad::new(path, format!("has shape {:?}, the function returns {dim:?}", found.dim())));
        }
        expected.insert(key, found);
    }
    Ok(expected)
}

/// The shape of the output of that name.
fn returned_dim(
    path: &str,
    name: &str,
    returned: &BTreeMap<String, Bounded>,
) -> std::result::Result<(usize, usize), Bad> {
    returned.get(name).map(|bounded| bounded.value.dim()).ok_or_else(|| {
        let known = returned.keys().cloned().collect::<Vec<_>>().join(", ");
        Bad::new(path, format!("the function does not return that; it returns {known}"))
    })
}

/// `printed` is an object of objects of texts: where it was printed, then which output.
fn parse_printed(
    record: &Map<String, Value>,
    returned: &BTreeMap<String, Bounded>,
) -> std::result::Result<Vec<Printed>, Bad> {
    let Some(printed) = record.get("printed") else { return Ok(Vec::new()) };
    let Value::Object(places) = printed else {
        return Err(Bad::new("printed", "expected an object"));
    };
    let mut all = Vec::new();
    for (place, texts) in places {
        // Beside the texts stands what they are taken from, such as `cell`.
        let Value::Object(texts) = texts else { continue };
        for (label, text) in texts {
            let path = format!("printed.{place}.{label}");
            let Value::String(text) = text else {
                return Err(Bad::new(path, "expected the printed text"));
            };
            let name = if label == "Length of caches list" { "caches_len" } else { label };
            all.push(printed::parse(&path, name, text, returned_dim(&path, name, returned)?)?);
        }
    }
    Ok(all)
}
