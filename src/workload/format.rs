//! Workload files: TOML, read strictly. What a workload means is in the parent module.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DataKind, Workload};
use crate::error::{Error, Result};
use crate::files::read_at_most;
use crate::model::Architecture;
use crate::text::utf8;

/// The files of this crate, by name.
const EMBEDDED: [(&str, &str); 4] = [
    ("course.toml", include_str!("../../benchmarks/course.toml")),
    ("first.toml", include_str!("../../benchmarks/first.toml")),
    ("shapes.toml", include_str!("../../benchmarks/shapes.toml")),
    ("batches.toml", include_str!("../../benchmarks/batches.toml")),
];

/// The most examples that a batch may have.
const MAX_BATCH: usize = 1 << 24;
/// The most steps of a `train` pass.
const MAX_STEPS: u32 = 1_000_000;
const DEFAULT_STEPS: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    workload: Vec<Block>,
}

/// One `[[workload]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    name: String,
    layers: Vec<usize>,
    batch: Option<usize>,
    batches: Option<Vec<usize>>,
    init: String,
    #[serde(default)]
    data: DataKind,
    #[serde(default = "default_steps")]
    train_steps: u32,
}

fn default_steps() -> u32 {
    DEFAULT_STEPS
}

/// A workload as it stands in records; [`Block`] with its one batch size.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flat {
    name: String,
    layers: Vec<usize>,
    batch: usize,
    init: String,
    data: DataKind,
    train_steps: u32,
}

impl From<Workload> for Flat {
    fn from(workload: Workload) -> Self {
        let Workload { name, architecture, init, batch, data, train_steps } = workload;
        Flat { name, layers: architecture.dims().to_vec(), batch, init: init.to_string(), data, train_steps }
    }
}

impl TryFrom<Flat> for Workload {
    type Error = String;

    /// # Errors
    /// What is wrong with it, without the name of the file.
    fn try_from(flat: Flat) -> std::result::Result<Self, String> {
        let Flat { name, layers, batch, init, data, train_steps } = flat;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(format!(
                "`name` is `{name}`; expected letters, digits, `-`, `_` and `.` (it becomes part of ids)"
            ));
        }
        let architecture = Architecture::new(&layers).map_err(|error| format!("`layers`: {error}"))?;
        let init = init.parse().map_err(|error| format!("`init`: {error}"))?;
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(format!("`batch` is {batch}; expected 1 to {MAX_BATCH}"));
        }
        if !(1..=MAX_STEPS).contains(&train_steps) {
            return Err(format!("`train_steps` is {train_steps}; expected 1 to {MAX_STEPS}"));
        }
        data.expect_fit(&architecture, batch)?;
        Ok(Workload { name, architecture, init, batch, data, train_steps })
    }
}

/// The workloads of this crate, in the order in which reports list them.
pub(super) fn embedded() -> Vec<Workload> {
    EMBEDDED.iter().flat_map(|(name, text)| parse(name, text).expect("a test reads the embedded files")).collect()
}

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 24;

/// Reads a file of the user's.
pub(super) fn read(path: &Path) -> Result<Vec<Workload>> {
    let bytes =
        read_at_most(path, MAX_BYTES).map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
    let file = path.display().to_string();
    parse(&file, &utf8(bytes).map_err(|mistake| mistake.of(&file))?)
}

fn parse(file: &str, text: &str) -> Result<Vec<Workload>> {
    let refuse =
        |workload: &str, problem: String| Error::Workload { file: file.into(), workload: workload.into(), problem };
    // The parser's message shows the line, and names the key or what is missing.
    let File { workload: blocks } = toml::from_str(text).map_err(|error| refuse("-", error.to_string()))?;
    let mut workloads: Vec<Workload> = Vec::new();
    for Block { name, layers, batch, batches, init, data, train_steps } in blocks {
        let sizes: Vec<(String, usize)> = match (batch, batches) {
            (Some(batch), None) => vec![(name.clone(), batch)],
            (None, Some(batches)) if !batches.is_empty() => {
                batches.into_iter().map(|batch| (format!("{name}-b{batch}"), batch)).collect()
            }
            _ => {
                return Err(refuse(&name, "expected either `batch`, a number, or `batches`, a list of numbers".into()));
            }
        };
        for (full, batch) in sizes {
            let flat = Flat { name: full, layers: layers.clone(), batch, init: init.clone(), data, train_steps };
            let workload = Workload::try_from(flat).map_err(|problem| refuse(&name, problem))?;
            if workloads.iter().any(|other| other.name == workload.name) {
                return Err(refuse(&workload.name, "the name is there twice; give one of them another".into()));
            }
            workloads.push(workload);
        }
    }
    if workloads.is_empty() {
        return Err(refuse("-", "no workload is in it".into()));
    }
    Ok(workloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[workload]]\nname = 'a'\nlayers = [3, 2, 1]\nbatch = 5\ninit = 'he'\n";

    #[test]
    fn embedded_files_are_read_and_no_name_is_there_twice() {
        let mut names: Vec<String> = embedded().into_iter().map(|workload| workload.name).collect();
        assert!(names.len() >= 10, "{names:?}");
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_list_of_batches_is_a_sweep() {
        let text = GOOD.replace("batch = 5", "batches = [1, 7]");
        let workloads = parse("f", &text).expect("good");
        let sizes: Vec<_> = workloads.iter().map(|w| (w.name.as_str(), w.batch)).collect();
        assert_eq!(sizes, [("a-b1", 1), ("a-b7", 7)]);
        assert_eq!((workloads[0].data, workloads[0].train_steps), (DataKind::Normal, DEFAULT_STEPS));
    }

    #[test]
    fn a_workload_survives_the_record_format() {
        for workload in embedded() {
            let text = serde_json::to_string(&workload).expect("it is plain data");
            assert_eq!(serde_json::from_str::<Workload>(&text).expect("just written"), workload);
        }
    }

    #[test]
    fn bad_files_are_refused_with_file_workload_and_reason() {
        assert!(parse("f", GOOD).is_ok());
        for (from, to, part) in [
            ("batch = 5", "batch = 0", "f: workload `a`: `batch` is 0"),
            ("batch = 5", "", "either `batch`"),
            ("batch = 5", "batch = 5\nbatches = [1]", "either `batch`"),
            ("batch = 5", "batches = []", "either `batch`"),
            ("batch = 5", "batch = -5", "-5"),
            ("batch = 5", "batch = 5.5", "5.5"),
            ("batch = 5", "batches = [4, 4]", "`a-b4`: the name is there twice"),
            ("[3, 2, 1]", "[3, 0, 1]", "size number 2 is zero"),
            ("[3, 2, 1]", "[3]", "at least one layer"),
            ("'he'", "'xavier'", "initialisation `xavier`"),
            ("'a'", "'a/b'", "it becomes part of ids"),
            ("'a'", "''", "it becomes part of ids"),
            ("init", "begin", "unknown field `begin`"),
            ("name = 'a'", "", "missing field `name`"),
            ("init = 'he'", "init = 'he'\ndata = 'pictures'", "12288 inputs"),
            ("init = 'he'", "init = 'he'\ndata = 'uniform'", "uniform"),
            ("init = 'he'", "init = 'he'\ntrain_steps = 0", "`train_steps` is 0"),
            ("[[workload]]", "[[workloads]]", "unknown field `workloads`"),
        ] {
            let error = parse("f", &GOOD.replace(from, to)).expect_err(to).to_string();
            assert!(error.contains(part), "{to}: {error}");
        }
        assert!(parse("f", "").is_err());
        assert!(parse("f", "workload = []").is_err());
        assert!(matches!(read(Path::new("no/such.toml")), Err(Error::Io { .. })));
    }
}
