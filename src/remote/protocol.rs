//! What the two sides say to each other. Private to one version of the program.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layer::LayerSpec;
use crate::machine::FloatState;
use crate::scalar::ScalarKind;

/// What a child serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The backend's name.
    pub backend: String,
    /// The scalar type.
    pub scalar: ScalarKind,
}

/// The first message to a child. Whoever reads it may have other first messages.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum First {
    Serve(Subject),
}

/// The child's first word.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FirstWord {
    Started {
        /// [`PROTOCOL`](crate::child::PROTOCOL) as the child has it.
        protocol: u32,
    },
}

/// What is said on the child's own channel afterwards. The answer to nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Opening {
    /// A lane's channel comes with it. A lane stands for a thread of the parent, and has a thread of its own in the child.
    Lane,
}

/// What a child says on its own channel after its first word: nothing.
#[derive(Debug, Deserialize)]
pub(super) enum Nothing {}

/// A request on a lane. A [`Reply`] comes to each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// What the parent has dropped since.
    pub dropped: Vec<u64>,
    /// So many bytes of the arena, from its start, may not be written while the request is served.
    pub read_only: usize,
    /// Engines whose [`run`](crate::layer::Engine::run) the lane enters before, the outer first. It leaves the last one with `Leave`.
    pub enter: Vec<u64>,
    pub request: Request,
}

/// Engines and layers go by numbers that the parent gives them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Where the lane's matrices lie from now on.
    Arena {
        path: PathBuf,
        bytes: usize,
    },
    /// Whether the backend can run here.
    Available,
    Open {
        engine: u64,
        threads: NonZeroUsize,
    },
    Plan {
        engine: u64,
        layer: u64,
        spec: LayerSpec,
    },
    Bind {
        engine: u64,
        layer: u64,
        spec: LayerSpec,
        x: Region,
    },
    /// Leaves the run that was entered last.
    Leave,
    Forward {
        layer: u64,
        w: Region,
        b: Region,
        a_prev: Region,
        z: Region,
        a: Region,
    },
    Backward {
        layer: u64,
        w: Region,
        b: Region,
        a_prev: Region,
        z: Region,
        upstream: Region,
        is_da: bool,
        scale: Number,
        dw: Region,
        db: Region,
        da_prev: Option<Region>,
    },
    BoundForward {
        layer: u64,
        columns: Range<usize>,
        z: Region,
        a: Region,
    },
    BoundBackward {
        layer: u64,
        columns: Range<usize>,
        z: Region,
        upstream: Region,
        is_da: bool,
        scale: Number,
    },
    Update {
        layer: u64,
        rate: Number,
        decay: Number,
    },
    Export {
        layer: u64,
        w: Region,
        b: Region,
    },
    Import {
        layer: u64,
        w: Region,
        b: Region,
    },
    /// The modes of the lane's thread, or of all workers of the pool that it is in.
    FloatStates,
    /// The lane is not needed any more. Its last reply.
    End,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Done,
    /// A pass is through. It made so many heap allocations; none where the program does not count them.
    Computed {
        allocations: Option<u64>,
    },
    /// None: it is.
    Unavailable(Option<String>),
    Opened {
        threads: usize,
        description: String,
    },
    FloatStates(Vec<FloatState>),
    Failed(Complaint),
}

/// The bits of a number: JSON has none for NaN and the infinities.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Number(u64);

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Number(number.to_bits())
    }
}

impl Number {
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Where a matrix lies in the arena.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Region {
    /// Bytes before the element that lies lowest.
    pub offset: usize,
    pub dim: (usize, usize),
    /// Elements from a row to the next, and from a column to the next.
    pub strides: (usize, usize),
    /// Whether the last row, or column, is the one that lies lowest.
    pub reversed: (bool, bool),
}

impl Region {
    /// Elements from the lowest to the highest, both counted; 0 for an empty matrix.
    pub fn extent(&self) -> Option<usize> {
        let (rows, columns) = self.dim;
        if rows == 0 || columns == 0 {
            return Some(0);
        }
        let (down, across) = ((rows - 1).checked_mul(self.strides.0)?, (columns - 1).checked_mul(self.strides.1)?);
        down.checked_add(across)?.checked_add(1)
    }
}

/// An error as it travels. Those that a contract names keep their type.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Complaint {
    Shape {
        what: String,
        expected: (usize, usize),
        found: (usize, usize),
    },
    Layout {
        what: String,
        strides: Vec<isize>,
    },
    Columns {
        first: usize,
        last: usize,
        available: usize,
    },
    Threads {
        asked: usize,
        reason: String,
    },
    /// Any other, in its words.
    Other(String),
    Panic(String),
}

impl From<Error> for Complaint {
    fn from(error: Error) -> Self {
        match error {
            Error::Shape { what, expected, found } => Complaint::Shape { what: what.into(), expected, found },
            Error::Layout { what, strides } => Complaint::Layout { what: what.into(), strides },
            Error::Columns { first, last, available } => Complaint::Columns { first, last, available },
            Error::Threads { asked, reason, .. } => Complaint::Threads { asked, reason },
            other => Complaint::Other(other.to_string()),
        }
    }
}

impl Complaint {
    /// The error again; `name` is the backend's.
    pub fn into_error(self, name: &str) -> Error {
        const ARGUMENTS: [&str; 11] = ["W", "b", "A_prev", "Z", "A", "dA", "dZ", "dW", "db", "dA_prev", "X"];
        let known = |what: &str| ARGUMENTS.into_iter().find(|argument| *argument == what);
        match self {
            Complaint::Shape { what, expected, found } => match known(&what) {
                Some(what) => Error::Shape { what, expected, found },
                None => Error::Told(format!("{what} has shape {found:?}, expected {expected:?}")),
            },
            Complaint::Layout { what, strides } => match known(&what) {
                Some(what) => Error::Layout { what, strides },
                None => Error::Told(format!("{what} has strides {strides:?}, which a layer does not take")),
            },
            Complaint::Columns { first, last, available } => Error::Columns { first, last, available },
            Complaint::Threads { asked, reason } => Error::Threads { name: name.into(), asked, reason },
            Complaint::Other(message) => Error::Told(message),
            Complaint::Panic(message) => Error::Told(format!("it panicked: {message}")),
        }
    }
}
