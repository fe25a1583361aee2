//! A safetensors file whose metadata carries a checksum of everything in it. Knows tensors, not networks.

use std::io::Read;
use std::path::{Path, PathBuf};

use ndarray::{ArrayView2, ArrayViewMut2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

use crate::data::Hasher;
use crate::error::{Error, Result};
use crate::model::{State, Tensor as StateTensor};
use crate::scalar::{Scalar, ScalarKind};
use crate::text::json_problem;

/// The metadata entry. One only: safetensors keeps them in a hash map, and two would come in any order.
const ENTRY: &str = "layerbench";
/// The version of the format.
const FORMAT: u64 = 1;
/// Larger files are refused before they are read.
const MAX_BYTES: u64 = 32 << 30;

/// Named tensors with a kind and a JSON object of metadata.
#[derive(Clone, Debug)]
pub struct Container {
    path: PathBuf,
    kind: String,
    content: Value,
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    kind: Dtype,
    shape: Vec<usize>,
    /// Row-major, little-endian.
    bytes: Vec<u8>,
}

impl Container {
    pub(super) fn new(kind: &str, content: Value) -> Self {
        Container { path: PathBuf::new(), kind: kind.into(), content, tensors: Vec::new() }
    }

    /// Reads a file and checks that it is whole: format, checksum, no tensor of a foreign type.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Model`] with what is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(io)?;
        let refuse = |problem: String| Error::Model { path: path.to_owned(), problem };
        if !metadata.is_file() {
            return Err(refuse("expected a file, found a folder or a device".into()));
        }
        if metadata.len() > MAX_BYTES {
            return Err(refuse(format!("it has {} bytes, the limit is {MAX_BYTES}", metadata.len())));
        }
        Self::from_bytes(path, &std::fs::read(path).map_err(io)?)
    }

    /// The kind that a file says it is of; none where it says nothing that is understood.
    pub(super) fn kind_at(path: &Path) -> Result<Option<String>> {
        /// A head has a line for each tensor.
        const LONGEST_HEAD: u64 = 1 << 24;
        let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(io)?;
        let mut length = [0; 8];
        if file.read_exact(&mut length).is_err() {
            return Ok(None);
        }
        let mut head = Vec::new();
        file.take(u64::from_le_bytes(length).min(LONGEST_HEAD)).read_to_end(&mut head).map_err(io)?;
        let entry = || -> Option<Value> {
            let head: Value = serde_json::from_slice(&head).ok()?;
            serde_json::from_str(head.get("__metadata__")?.get(ENTRY)?.as_str()?).ok()
        };
        Ok(entry().and_then(|entry| Some(entry.get("kind")?.as_str()?.to_owned())))
    }

    /// The same from bytes; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Model`] with what is wrong.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let refuse = |problem: String| Error::Model { path: path.to_owned(), problem };
        let damaged = |error: safetensors::SafeTensorError| refuse(format!("not a whole safetensors file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let Some(entry) = entry else {
            return Err(refuse(format!("it has no `{ENTRY}` metadata: another program wrote it")));
        };
        let parsed = serde_json::from_str(entry).map_err(|error| {
            refuse(format!("its `{ENTRY}` metadata is damaged: {}", json_problem(entry, &error).problem))
        })?;
        let Value::Object(mut entry) = parsed else {
            return Err(refuse(format!("its `{ENTRY}` metadata is no JSON object")));
        };
        if entry.get("format").and_then(Value::as_u64) != Some(FORMAT) {
            let found = entry.get("format").map_or("none".into(), Value::to_string);
            return Err(refuse(format!("its format is {found}, this program reads {FORMAT}")));
        }
        let (Some(Value::String(sha256)), Some(Value::String(kind)), Some(content)) =
            (entry.remove("sha256"), entry.remove("kind"), entry.remove("content"))
        else {
            return Err(refuse("its metadata lacks `sha256`, `kind` or `content`".into()));
        };
        let mut container = Container { path: path.to_owned(), kind, content, tensors: Vec::new() };
        for (name, view) in SafeTensors::deserialize(bytes).map_err(damaged)?.iter() {
            let kind = view.dtype();
            if !matches!(kind, Dtype::F32 | Dtype::F64 | Dtype::U64) {
                return Err(refuse(format!("tensor `{name}` holds {kind:?}, expected F32, F64 or U64")));
            }
            let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
            container.tensors.push(Tensor { name: name.into(), kind, shape, bytes });
        }
        // A fuzzer would never get beyond it.
        if container.checksum() != sha256 && !cfg!(fuzzing) {
            return Err(refuse("it is damaged: its checksum is another than when it was written".into()));
        }
        Ok(container)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut entry = Map::new();
        entry.insert("format".into(), FORMAT.into());
        entry.insert("kind".into(), self.kind.clone().into());
        entry.insert("sha256".into(), self.checksum().into());
        entry.insert("content".into(), self.content.clone());
        let metadata = [(ENTRY.to_owned(), Value::Object(entry).to_string())].into_iter().collect();
        let views = self.tensors.iter().map(|tensor| {
            let view =
                TensorView::new(tensor.kind, tensor.shape.clone(), &tensor.bytes).expect("the bytes are of this shape");
            (tensor.name.as_str(), view)
        });
        safetensors::serialize(views, Some(metadata)).expect("names are unique and the header is short")
    }

    /// Over kind, content and all tensors in the order of their names, with lengths between: nothing can move unseen.
    fn checksum(&self) -> String {
        let mut tensors: Vec<&Tensor> = self.tensors.iter().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hash = Hasher::new();
        let mut add = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(self.kind.as_bytes());
        // Keys are sorted and numbers round-trip: the same text whoever formats it.
        add(self.content.to_string().as_bytes());
        for tensor in tensors {
            add(format!("{} {} {:?}", tensor.name, word(tensor.kind), tensor.shape).as_bytes());
            add(&tensor.bytes);
        }
        hash.finish().to_string()
    }

    pub(super) fn content(&self) -> &Value {
        &self.content
    }

    /// The error for this file.
    pub(super) fn refuse(&self, problem: String) -> Error {
        Error::Model { path: self.path.clone(), problem }
    }

    pub(super) fn expect_kind(&self, kind: &str) -> Result<()> {
        if self.kind == kind { Ok(()) } else { Err(self.refuse(format!("it is a {}, expected a {kind}", self.kind))) }
    }

    pub(super) fn push<T: Scalar>(&mut self, name: &str, matrix: ArrayView2<'_, T>) {
        let (rows, columns) = matrix.dim();
        let bytes = match T::KIND {
            ScalarKind::F32 => matrix.iter().flat_map(|x| (x.widen() as f32).to_le_bytes()).collect(),
            ScalarKind::F64 => matrix.iter().flat_map(|x| x.widen().to_le_bytes()).collect(),
        };
        self.tensors.push(Tensor { name: name.into(), kind: dtype(T::KIND), shape: vec![rows, columns], bytes });
    }

    pub(super) fn push_numbers(&mut self, name: &str, numbers: &[f64]) {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensors.push(Tensor { name: name.into(), kind: Dtype::F64, shape: vec![numbers.len()], bytes });
    }

    pub(super) fn push_state<T: Scalar>(&mut self, state: &State<T>) {
        for (name, tensor) in state.tensors() {
            match tensor {
                StateTensor::Matrix(matrix) => self.push(name, matrix.view()),
                StateTensor::Wide(numbers) => self.push_numbers(name, numbers),
                StateTensor::Counts(counts) => {
                    let bytes = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
                    self.tensors.push(Tensor { name: name.into(), kind: Dtype::U64, shape: vec![counts.len()], bytes });
                }
            }
        }
    }

    /// All tensors but one, by what they hold and their number of dimensions.
    pub(super) fn state<T: Scalar>(&self, but: &str) -> Result<State<T>> {
        let mut state = State::default();
        for tensor in self.tensors.iter().filter(|tensor| tensor.name != but) {
            let name = tensor.name.as_str();
            let (words, _) = tensor.bytes.as_chunks::<8>();
            let read = match (tensor.kind, tensor.shape.as_slice()) {
                (kind, &[rows, columns]) if kind == dtype(T::KIND) => {
                    let mut matrix = ndarray::Array2::zeros((rows, columns));
                    self.copy_to(name, matrix.view_mut())?;
                    StateTensor::Matrix(matrix.into_shared())
                }
                (Dtype::F64, [_]) => StateTensor::Wide(words.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()),
                (Dtype::U64, [_]) => {
                    StateTensor::Counts(words.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
                }
                (kind, shape) => {
                    let problem =
                        format!("tensor `{name}` of shape {shape:?} holds {}, expected {}", word(kind), T::KIND);
                    return Err(self.refuse(problem));
                }
            };
            state.put(name, read);
        }
        Ok(state)
    }

    fn tensor(&self, name: &str, kind: ScalarKind) -> Result<&Tensor> {
        let Some(tensor) = self.tensors.iter().find(|tensor| tensor.name == name) else {
            return Err(self.refuse(format!("there is no tensor `{name}`")));
        };
        if tensor.kind != dtype(kind) {
            return Err(self.refuse(format!("tensor `{name}` holds {}, expected {kind}", word(tensor.kind))));
        }
        Ok(tensor)
    }

    pub(super) fn expect_shape<T: Scalar>(&self, name: &str, (rows, columns): (usize, usize)) -> Result<()> {
        let tensor = self.tensor(name, T::KIND)?;
        if tensor.shape != [rows, columns] {
            let problem = format!("tensor `{name}` has shape {:?}, expected [{rows}, {columns}]", tensor.shape);
            return Err(self.refuse(problem));
        }
        Ok(())
    }

    pub(super) fn copy_to<T: Scalar>(&self, name: &str, mut matrix: ArrayViewMut2<'_, T>) -> Result<()> {
        self.expect_shape::<T>(name, matrix.dim())?;
        let tensor = self.tensor(name, T::KIND)?;
        match T::KIND {
            ScalarKind::F32 => {
                let (chunks, _) = tensor.bytes.as_chunks::<4>();
                matrix.iter_mut().zip(chunks).for_each(|(x, &bytes)| *x = T::of(f32::from_le_bytes(bytes).into()));
            }
            ScalarKind::F64 => {
                let (chunks, _) = tensor.bytes.as_chunks::<8>();
                matrix.iter_mut().zip(chunks).for_each(|(x, &bytes)| *x = T::of(f64::from_le_bytes(bytes)));
            }
        }
        Ok(())
    }

    pub(super) fn costs(&self, name: &str) -> Result<Vec<f64>> {
        let (chunks, _) = self.tensor(name, ScalarKind::F64)?.bytes.as_chunks::<8>();
        Ok(chunks.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
    }
}

fn dtype(kind: ScalarKind) -> Dtype {
    match kind {
        ScalarKind::F32 => Dtype::F32,
        ScalarKind::F64 => Dtype::F64,
    }
}

/// As the checksum has it.
fn word(kind: Dtype) -> &'static str {
    match kind {
        Dtype::F32 => "f32",
        Dtype::U64 => "u64",
        _ => "f64",
    }
}
