//! Reading the course's HDF5 files. Everything is checked before it is allocated or believed; nothing is guessed.

use std::path::Path;

use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File};
use ndarray::Array2;

use super::{PictureSet, Split};
use crate::error::{Error, Result};

/// Larger files and larger sets are refused: 1 GiB of bytes would be 8 GiB of `f64`.
const MAX_BYTES: usize = 1 << 30;
/// Longest class name that is read.
const MAX_NAME: usize = 64;
/// Every HDF5 file without a user block starts with these bytes.
const MAGIC: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

pub(super) fn read(path: &Path, split: Split) -> Result<PictureSet> {
    expect_hdf5(path)?;
    let refuse = |problem: String| Error::Data { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|error| refuse(format!("libhdf5 cannot open it: {error}")))?;
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "test",
    };
    let set = |name: &str| open(&file, name).map_err(refuse);
    let pixels = read_pixels(&set(&format!("{prefix}_set_x"))?).map_err(refuse)?;
    let labels = read_labels(&set(&format!("{prefix}_set_y"))?, pixels.nrows()).map_err(refuse)?;
    let classes = read_classes(&set("list_classes")?).map_err(refuse)?;
    Ok(PictureSet { source: path.display().to_string(), pixels, labels, classes })
}

/// Size and first bytes, before libhdf5 sees the file.
fn expect_hdf5(path: &Path) -> Result<()> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let refuse = |problem: String| Err(Error::Data { path: path.to_owned(), problem });
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return refuse("expected an HDF5 file, found a folder or a device".into());
    }
    if metadata.len() > MAX_BYTES as u64 {
        return refuse(format!("the file has {} bytes, the limit is {MAX_BYTES}", metadata.len()));
    }
    let mut start = [0; MAGIC.len()];
    let mut file = std::fs::File::open(path).map_err(io)?;
    match std::io::Read::read_exact(&mut file, &mut start) {
        Ok(()) if start == MAGIC => Ok(()),
        Ok(()) => refuse("not an HDF5 file (its first bytes are others)".into()),
        Err(_) => refuse(format!("not an HDF5 file: it has only {} bytes", metadata.len())),
    }
}

fn open(file: &File, name: &str) -> std::result::Result<Dataset, String> {
    file.dataset(name).map_err(|_| {
        let mut names = file.member_names().unwrap_or_default();
        names.sort();
        format!(
            "no data set `{name}`; the file has: {}",
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        )
    })
}

/// (m, height, width, 3) bytes as (m, height * width * 3).
fn read_pixels(set: &Dataset) -> std::result::Result<Array2<u8>, String> {
    expect_type(set, "unsigned bytes", |t| matches!(t, TypeDescriptor::Unsigned(IntSize::U1)))?;
    let shape = set.shape();
    let [count, height, width, 3] = shape[..] else {
        return Err(format!("{} has shape {shape:?}, expected (pictures, height, width, 3)", set.name()));
    };
    let features = height.checked_mul(width).and_then(|n| n.checked_mul(3));
    let bytes = features.and_then(|n| n.checked_mul(count)).filter(|&n| n <= MAX_BYTES);
    let (Some(features), Some(bytes)) = (features, bytes) else {
        return Err(format!("{} has shape {shape:?}, more than the limit of {MAX_BYTES} bytes", set.name()));
    };
    if bytes == 0 {
        return Err(format!("{} has shape {shape:?}: there is no picture in it", set.name()));
    }
    let values = set.read_raw::<u8>().map_err(|error| format!("cannot read {}: {error}", set.name()))?;
    Array2::from_shape_vec((count, features), values).map_err(|error| format!("cannot read {}: {error}", set.name()))
}

/// (m,) integers, each 0 or 1.
fn read_labels(set: &Dataset, count: usize) -> std::result::Result<Vec<u8>, String> {
    expect_type(set, "integers", |t| matches!(t, TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)))?;
    if set.shape() != [count] {
        return Err(format!("{} has shape {:?}, expected ({count},), one label per picture", set.name(), set.shape()));
    }
    let values = set.read_raw::<i64>().map_err(|error| format!("cannot read {}: {error}", set.name()))?;
    let label = |(i, value): (usize, i64)| match value {
        0 | 1 => Ok(value as u8),
        _ => Err(format!("{}[{i}] is {value}; labels must be 0 or 1", set.name())),
    };
    values.into_iter().enumerate().map(label).collect()
}

/// Two strings, of whichever of HDF5's four kinds.
fn read_classes(set: &Dataset) -> std::result::Result<[String; 2], String> {
    if set.shape() != [2] {
        return Err(format!("{} has shape {:?}, expected (2,), the names of classes 0 and 1", set.name(), set.shape()));
    }
    let kind = descriptor(set)?;
    let names = match kind {
        TypeDescriptor::FixedAscii(n) if n <= MAX_NAME => strings::<FixedAscii<MAX_NAME>>(set)?,
        TypeDescriptor::FixedUnicode(n) if n <= MAX_NAME => strings::<FixedUnicode<MAX_NAME>>(set)?,
        TypeDescriptor::VarLenAscii => strings::<VarLenAscii>(set)?,
        TypeDescriptor::VarLenUnicode => strings::<VarLenUnicode>(set)?,
        other => return Err(format!("{} holds {other}, expected strings of at most {MAX_NAME} bytes", set.name())),
    };
    <[String; 2]>::try_from(names).map_err(|names| format!("{} gave {} names, expected 2", set.name(), names.len()))
}

/// Taken as bytes and checked here: the crate's own `as_str` trusts the file to hold valid UTF-8.
fn strings<S: hdf5::H5Type + AsRef<[u8]>>(set: &Dataset) -> std::result::Result<Vec<String>, String> {
    let values = set.read_raw::<S>().map_err(|error| format!("cannot read {}: {error}", set.name()))?;
    let name = |(i, value): (usize, &S)| match std::str::from_utf8(value.as_ref()) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name.to_owned()),
        Ok(name) => Err(format!("{}[{i}] has {} bytes, expected at most {MAX_NAME}", set.name(), name.len())),
        Err(_) => Err(format!("{}[{i}] is not valid UTF-8", set.name())),
    };
    values.iter().enumerate().map(name).collect()
}

fn expect_type(
    set: &Dataset,
    expected: &str,
    fits: impl Fn(&TypeDescriptor) -> bool,
) -> std::result::Result<(), String> {
    let found = descriptor(set)?;
    if fits(&found) {
        return Ok(());
    }
    let name = match found {
        TypeDescriptor::Float(FloatSize::U4 | FloatSize::U8) => "floating-point numbers".into(),
        other => other.to_string(),
    };
    Err(format!("{} holds {name}, expected {expected}", set.name()))
}

fn descriptor(set: &Dataset) -> std::result::Result<TypeDescriptor, String> {
    set.dtype()
        .and_then(|dtype| dtype.to_descriptor())
        .map_err(|error| format!("{} has a type that cannot be read: {error}", set.name()))
}
