//! Reading the course's HDF5 files. Everything is checked before it is allocated or believed; nothing is guessed.

use std::io::Read;
use std::path::Path;

use hdf5::plist::dataset_create::Layout;
use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File, LinkInfo, LinkType, LocationType};
use ndarray::Array2;

use super::file::{self, MAX_BYTES};
use super::{PictureSet, Split};
use crate::error::{Error, Result};

/// Most pictures: a label takes 8 bytes while it is read, so that a billion pictures of one pixel would take 8 GiB.
const MAX_PICTURES: usize = 1 << 24;
/// Longest class name that is read.
const MAX_NAME: usize = 64;
/// Most names of a file's contents that a message lists.
const MAX_LISTED: usize = 10;
/// Every HDF5 file without a user block starts with these bytes.
const MAGIC: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

pub(super) fn read(path: &Path, split: Split) -> Result<PictureSet> {
    expect_hdf5(path)?;
    read_set(path, split).map_err(|problem| Error::Data { path: path.to_owned(), problem })
}

/// First bytes, before libhdf5 sees the file.
fn expect_hdf5(path: &Path) -> Result<()> {
    let (mut file, bytes) = file::open(path, "an HDF5 file")?;
    let mut start = [0; MAGIC.len()];
    let problem = match file.read_exact(&mut start) {
        Ok(()) if start == MAGIC => return Ok(()),
        Ok(()) => "not an HDF5 file (its first bytes are others)".into(),
        Err(_) => format!("not an HDF5 file: it has only {bytes} bytes"),
    };
    Err(Error::Data { path: path.to_owned(), problem })
}

fn read_set(path: &Path, split: Split) -> std::result::Result<PictureSet, String> {
    let file = File::open(path).map_err(|error| format!("libhdf5 cannot open it: {error}"))?;
    let prefix = split.name();
    let links = file.links(Default::default(), Default::default());
    let links = links.map_err(|error| format!("its list of contents is damaged: {error}"))?;
    let set = |name: &str| open(&file, &links, name);
    let pixels = read_pixels(&set(&format!("{prefix}_set_x"))?)?;
    let labels = read_labels(&set(&format!("{prefix}_set_y"))?, pixels.nrows())?;
    let classes = read_classes(&set("list_classes")?)?;
    PictureSet { source: path.display().to_string(), pixels, labels, classes }.checked()
}

/// The data set itself: links could lead to other files, or around in circles.
fn open(file: &File, links: &[(String, LinkInfo)], name: &str) -> std::result::Result<Dataset, String> {
    let Some((_, link)) = links.iter().find(|(linked, _)| linked == name) else {
        return Err(format!("no data set `{name}`; the file has: {}", list(links)));
    };
    let kind = match link.link_type {
        LinkType::Hard => file.loc_type_by_name(name).map_err(|error| format!("`{name}` is damaged: {error}"))?,
        LinkType::Soft => return Err(format!("`{name}` is a soft link, expected the data set itself")),
        LinkType::External => return Err(format!("`{name}` is a link to another file, expected the data set itself")),
    };
    match kind {
        LocationType::Dataset => {
            file.dataset(name).map_err(|error| format!("the data set `{name}` is damaged: {error}"))
        }
        LocationType::Group => Err(format!("`{name}` is a group, expected a data set")),
        _ => Err(format!("`{name}` is a type, expected a data set")),
    }
}

/// Names in order; what a terminal would obey is escaped.
fn list(links: &[(String, LinkInfo)]) -> String {
    let mut names: Vec<String> = links.iter().map(|(name, _)| name.escape_debug().to_string()).collect();
    names.sort();
    match names.len() {
        0 => "nothing".into(),
        1..=MAX_LISTED => names.join(", "),
        more => format!("{}, and {} more", names[..MAX_LISTED].join(", "), more - MAX_LISTED),
    }
}

/// All values of a set whose type and shape were checked.
fn values<T: hdf5::H5Type>(set: &Dataset) -> std::result::Result<Vec<T>, String> {
    expect_stored_here(set)?;
    set.read_raw().map_err(|error| format!("cannot read {}: {error}", set.name()))
}

/// Refuses values in other files, and a shape that is not filled: what was never written would be read as zeros, and a
/// file of 2 KiB can claim any number of those.
fn expect_stored_here(set: &Dataset) -> std::result::Result<(), String> {
    let name = set.name();
    let damaged = |error| format!("{name} is damaged: {error}");
    let creation = set.create_plist().map_err(damaged)?;
    if !creation.external().is_empty() {
        return Err(format!("{name} keeps its values in another file, expected them in this one"));
    }
    let (found, claimed, unit) = match creation.layout() {
        Layout::Virtual => {
            return Err(format!("{name} is put together from other data sets, expected values of its own"));
        }
        Layout::Chunked => {
            let chunk = creation.chunk().filter(|chunk| chunk.len() == set.ndim());
            let chunk = chunk.ok_or_else(|| format!("{name} is damaged: its chunks have another rank"))?;
            let along = |(&size, &chunk): (&usize, &usize)| size.div_ceil(chunk.max(1));
            let chunks = set.shape().iter().zip(&chunk).map(along).try_fold(1_usize, usize::checked_mul);
            (set.num_chunks(), chunks, "chunks")
        }
        Layout::Compact | Layout::Contiguous => {
            let sizes = set.shape().into_iter().chain([set.dtype().map_err(damaged)?.size()]);
            let bytes = sizes.into_iter().try_fold(1_usize, usize::checked_mul);
            (usize::try_from(set.storage_size()).ok(), bytes, "bytes")
        }
    };
    match (found, claimed) {
        (Some(found), Some(claimed)) if found >= claimed => Ok(()),
        (found, claimed) => Err(format!(
            "{name} has shape {:?}, {} {unit}, of which {} were written",
            set.shape(),
            claimed.map_or("too many".into(), |claimed| claimed.to_string()),
            found.map_or("an unknown number".into(), |found| found.to_string()),
        )),
    }
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
    if count > MAX_PICTURES {
        return Err(format!("{} has shape {shape:?}, more than the limit of {MAX_PICTURES} pictures", set.name()));
    }
    Array2::from_shape_vec((count, features), values(set)?)
        .map_err(|error| format!("cannot read {}: {error}", set.name()))
}

/// (m,) integers, each 0 or 1.
fn read_labels(set: &Dataset, count: usize) -> std::result::Result<Vec<u8>, String> {
    expect_type(set, "integers", |t| matches!(t, TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)))?;
    if set.shape() != [count] {
        return Err(format!("{} has shape {:?}, expected ({count},), one label per picture", set.name(), set.shape()));
    }
    let label = |(i, value): (usize, i64)| match value {
        0 | 1 => Ok(value as u8),
        _ => Err(format!("{}[{i}] is {value}; labels must be 0 or 1", set.name())),
    };
    values::<i64>(set)?.into_iter().enumerate().map(label).collect()
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
        other => {
            let expected = format!("strings of at most {MAX_NAME} bytes");
            return Err(format!("{} holds {}, expected {expected}", set.name(), type_name(&other)));
        }
    };
    <[String; 2]>::try_from(names).map_err(|names| format!("{} gave {} names, expected 2", set.name(), names.len()))
}

/// Taken as bytes and checked here: the crate's own `as_str` trusts the file to hold valid UTF-8.
fn strings<S: hdf5::H5Type + AsRef<[u8]>>(set: &Dataset) -> std::result::Result<Vec<String>, String> {
    let name = |(i, value): (usize, &S)| match std::str::from_utf8(value.as_ref()) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name.to_owned()),
        Ok(name) => Err(format!("{}[{i}] has {} bytes, expected at most {MAX_NAME}", set.name(), name.len())),
        Err(_) => Err(format!("{}[{i}] is not valid UTF-8", set.name())),
    };
    values::<S>(set)?.iter().enumerate().map(name).collect()
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
    Err(format!("{} holds {}, expected {expected}", set.name(), type_name(&found)))
}

/// Without the members' names of compound types: libhdf5 does not promise that they are text.
fn type_name(descriptor: &TypeDescriptor) -> String {
    match descriptor {
        TypeDescriptor::Float(FloatSize::U4 | FloatSize::U8) => "floating-point numbers".into(),
        TypeDescriptor::Compound(_) => "compound values".into(),
        TypeDescriptor::Enum(_) => "named numbers".into(),
        TypeDescriptor::FixedArray(..) | TypeDescriptor::VarLenArray(_) => "arrays".into(),
        other => other.to_string(),
    }
}

fn descriptor(set: &Dataset) -> std::result::Result<TypeDescriptor, String> {
    set.dtype()
        .and_then(|dtype| dtype.to_descriptor())
        .map_err(|error| format!("{} has a type that cannot be read: {error}", set.name()))
}
