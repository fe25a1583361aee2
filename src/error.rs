//! The one error type of the library. Every message says what was expected, what was found, and how to mend it.

use std::path::PathBuf;

use crate::scalar::ScalarKind;
use crate::text::{Mistake, visible};

/// Shorthand for results of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A matrix handed to a layer has the wrong shape.
    #[error("{what} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Which argument, in the notebook's notation.
        what: &'static str,
        /// (rows, columns) that the layer was planned for.
        expected: (usize, usize),
        /// (rows, columns) that came.
        found: (usize, usize),
    },

    /// A matrix is not row-major with adjacent columns.
    #[error(
        "{what} has strides {strides:?}; a layer takes row-major views whose columns are adjacent (copy it with `as_standard_layout`)"
    )]
    Layout {
        /// Which argument, in the notebook's notation.
        what: &'static str,
        /// Strides in elements, as ndarray gives them.
        strides: Vec<isize>,
    },

    /// A step or a pass on columns of X that there are not.
    #[error(
        "columns {first}..{last} of X, expected some of 0..{available} from left to right, and no more than were planned for"
    )]
    Columns {
        /// The first that was asked for.
        first: usize,
        /// The one after the last.
        last: usize,
        /// The number of columns.
        available: usize,
    },

    /// No backend of that name is registered.
    #[error("no backend is called `{name}`; there are: {known}")]
    UnknownBackend {
        /// The name that was asked for.
        name: String,
        /// The registered names, comma-separated.
        known: String,
    },

    /// A name was registered twice.
    #[error("a backend called `{0}` is registered already; give the new one another name")]
    DuplicateBackend(String),

    /// A backend's name is none that commands, tables and files can carry.
    #[error("the backend's name `{}` cannot be used: {problem}", visible(.name))]
    BackendName {
        /// The name.
        name: String,
        /// What is wrong with it, and what a name is.
        problem: String,
    },

    /// The backend exists and cannot run here.
    #[error("backend `{name}` is unavailable: {reason}")]
    Unavailable {
        /// The backend.
        name: String,
        /// Why, and what to install or change.
        reason: String,
    },

    /// The backend does not compute in that scalar type.
    #[error("backend `{name}` does not support {scalar}; try `--scalar {other}`")]
    UnsupportedScalar {
        /// The backend.
        name: String,
        /// What was asked for.
        scalar: ScalarKind,
        /// What it does support.
        other: ScalarKind,
    },

    /// The number of threads cannot be had.
    #[error("backend `{name}` cannot run on {asked} threads: {reason}")]
    Threads {
        /// The backend.
        name: String,
        /// The number asked for.
        asked: usize,
        /// Why not, and what to ask for instead.
        reason: String,
    },

    /// A backend's process gave no answer.
    #[error("the process of backend `{name}` on {threads} threads is lost: {why}")]
    Lost {
        /// The backend.
        name: String,
        /// On how many threads it was to compute.
        threads: usize,
        /// How it ended, and its last words.
        why: String,
        /// Whether it was ended for want of an answer.
        late: bool,
    },

    /// What a backend's process reported as an error.
    #[error("{0}")]
    Told(String),

    /// A backend changed memory that is no output.
    #[error("memory that is no output was changed: {what}, or what lies beside it")]
    Trespass {
        /// The argument that it lies in or beside, in the notebook's notation.
        what: &'static str,
    },

    /// An architecture that no network can have.
    #[error("layer sizes {found}: {problem}")]
    Architecture {
        /// The sizes as given.
        found: String,
        /// What is wrong, and what is expected.
        problem: String,
    },

    /// A way of initialising that does not exist, or a useless scale.
    #[error(
        "initialisation `{found}`: expected `zeros`, `inv-sqrt`, `he`, or a finite positive number that scales normal random numbers"
    )]
    Init {
        /// The text as given.
        found: String,
    },

    /// A setting outside its domain (learning rate, number of iterations, ...).
    #[error("{what} is {found}; expected {expected}")]
    Setting {
        /// The setting's name.
        what: &'static str,
        /// Its value as given.
        found: String,
        /// The values that are allowed.
        expected: &'static str,
    },

    /// NaN or infinity where there must be none.
    #[error(
        "{what} became {value} at iteration {iteration}; try a smaller learning rate, and look for NaN or huge values in the data"
    )]
    Diverged {
        /// What became non-finite.
        what: &'static str,
        /// The value.
        value: f64,
        /// The iteration (from 0) at which it was seen; nothing of that iteration was applied after it.
        iteration: usize,
    },

    /// A picture, or a set of pictures, that cannot be used.
    #[error("{}: {problem}", visible(.path.display()))]
    Data {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },

    /// A model or checkpoint file that cannot be used.
    #[error("{}: {problem}", visible(.path.display()))]
    Model {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },

    /// A file's bytes are not those that were asked for.
    #[error(
        "{}: its SHA-256 is {found}, expected {expected}: the file was altered, or it is another one",
        visible(.path.display())
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest that was asked for.
        expected: String,
        /// The digest of the bytes that were read.
        found: String,
    },

    /// Data and network do not fit each other.
    #[error("{what} has {found}, expected {expected}")]
    Mismatch {
        /// Which side is off.
        what: &'static str,
        /// What the other side needs.
        expected: String,
        /// What it has.
        found: String,
    },

    /// A fixture file that does not follow the format.
    #[error("{}: {}{problem}", visible(.file), place(&[("case", .case), ("key", .key)]))]
    Fixture {
        /// The file, or `embedded:` and its name.
        file: String,
        /// The case's name, `#3` for the third unnamed one, or `-` for the file as a whole.
        case: String,
        /// The offending key, or `-` where it is none in particular.
        key: String,
        /// What was expected and what was found.
        problem: String,
    },

    /// A text file that is not written in its language, or not in UTF-8.
    #[error("{}, line {line}, column {column}: {problem}", visible(.file))]
    Syntax {
        /// The file, or the name of an embedded one.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The character in it, from 1.
        column: usize,
        /// What was found, and how to mend it.
        problem: String,
    },

    /// A cost file that does not follow the format.
    #[error("{}, line {line}: {problem}", visible(.path.display()))]
    Costs {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and what was found.
        problem: String,
    },

    /// Curves that cannot be drawn, or not in that format.
    #[error("cannot draw the costs: {problem}")]
    Plot {
        /// What was expected and what was found.
        problem: String,
    },

    /// A workload file that does not follow the format (docs/workloads.md).
    #[error("{}: {}{problem}", visible(.file), place(&[("workload", .workload)]))]
    Workload {
        /// The file, or the name of an embedded one.
        file: String,
        /// The workload's name, or `-` for the file as a whole.
        workload: String,
        /// What was expected and what was found.
        problem: String,
    },

    /// A record file with a line that is no record (docs/records.md).
    #[error("{}:{line}: {problem}", visible(.path.display()))]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and what was found.
        problem: String,
    },

    /// A record file that another process is writing.
    #[error("{path}: another run writes this file; wait for its end, or name another file")]
    Busy {
        /// The file.
        path: PathBuf,
    },

    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", visible(.path.display()))]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A backend failed while it ran (a device was lost, a library reported an error).
    #[error("backend `{name}` failed: {reason}")]
    Backend {
        /// The backend.
        name: String,
        /// What it reported.
        reason: String,
    },

    /// The operating system refused memory or a thread.
    #[error(
        "the system refuses {what} ({reason}); raise its limit (`ulimit -v`, `ulimit -u`, the control group's `memory.max`, `pids.max`)"
    )]
    Refused {
        /// What was asked for.
        what: String,
        /// The system's reason.
        reason: String,
    },
}

impl Error {
    /// [`Error::Refused`], of so many bytes.
    pub(crate) fn refused_memory(bytes: usize) -> Self {
        Error::Refused { what: format!("{} MB of memory", bytes.div_ceil(1_000_000)), reason: "out of memory".into() }
    }
}

/// Where in a file: the names that are known, each with what it is of.
fn place(names: &[(&str, &String)]) -> String {
    let known: Vec<String> = names
        .iter()
        .filter(|(_, name)| *name != "-")
        .map(|(what, name)| format!("{what} `{}`", visible(name)))
        .collect();
    if known.is_empty() { String::new() } else { known.join(", ") + ": " }
}

impl Mistake {
    /// As the error of a file.
    pub(crate) fn of(self, file: &str) -> Error {
        let Mistake { line, column, problem } = self;
        Error::Syntax { file: file.into(), line, column, problem }
    }
}
