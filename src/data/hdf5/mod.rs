//! Reading the course's HDF5 files. Everything is checked before it is allocated or believed; nothing is guessed.

mod storage;
mod words;

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::result::Result as Outcome;

use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File, LinkInfo, LinkType, LocationType};
use ndarray::Array2;

use super::file::{self, MAX_BYTES};
use super::limits::Unpacked;
use super::{PictureSet, Split};
use crate::error::{Error, Result};

/// Most pictures: a label takes 8 bytes while it is read, so that a billion pictures of one pixel would take 8 GiB.
const MAX_PICTURES: usize = 1 << 24;
/// Longest class name that is read.
const MAX_NAME: usize = 64;
/// Most names of a file's contents that a message lists.
const MAX_LISTED: usize = 10;
/// Every HDF5 file starts with these bytes, or they follow a user block of 512, 1024, 2048, ... bytes.
const MAGIC: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// A file whose structure was checked, and no value of which was read.
pub(super) struct Opened {
    path: PathBuf,
    contents: Contents,
}

/// Opens a file and checks its structure.
pub(super) fn open(path: &Path, split: Split) -> Result<Opened> {
    let bytes = expect_hdf5(path)?;
    let refuse = |problem| Error::Data { path: path.to_owned(), problem };
    let contents = Contents::of(path, bytes, split).map_err(refuse)?;
    let opened = Opened { path: path.to_owned(), contents };
    opened.unpacked().expect_plausible().map_err(refuse)?;
    Ok(opened)
}

impl Opened {
    /// What reading takes.
    pub fn unpacked(&self) -> Unpacked {
        let Contents { pixels, labels, classes, .. } = &self.contents;
        pixels.unpacked + labels.unpacked + classes.unpacked
    }

    /// Reads the values.
    pub fn read(self) -> Result<PictureSet> {
        self.contents.read(&self.path).map_err(|problem| Error::Data { path: self.path, problem })
    }
}

/// First bytes, before libhdf5 sees the file; its length.
fn expect_hdf5(path: &Path) -> Result<u64> {
    let (mut file, bytes) = file::open(path, "an HDF5 file")?;
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut start = [0; MAGIC.len()];
    let mut at = 0;
    while at + (MAGIC.len() as u64) <= bytes {
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        match file.read_exact(&mut start) {
            Ok(()) if start == MAGIC => return Ok(bytes),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(io(error)),
            Ok(()) | Err(_) => at = (2 * at).max(512),
        }
    }
    let problem = match at {
        0 => format!("not an HDF5 file: it has only {bytes} bytes"),
        _ => "not an HDF5 file (its first bytes are others)".into(),
    };
    Err(Error::Data { path: path.to_owned(), problem })
}

/// The three data sets of a file.
struct Contents {
    pixels: Checked,
    /// (m, height * width * 3)
    shape: (usize, usize),
    labels: Checked,
    classes: Checked,
    class_kind: TypeDescriptor,
}

impl Contents {
    fn of(path: &Path, bytes: u64, split: Split) -> Outcome<Self, String> {
        let file = File::open(path).map_err(|error| {
            words::newer("it", &error).unwrap_or_else(|| format!("libhdf5 cannot open it: {error}"))
        })?;
        let links = file.links(Default::default(), Default::default());
        let links = links.map_err(|error| words::unopened("its list of contents", &error))?;
        let prefix = split.name();
        let set = |name: &str| open_set(&file, &links, name);
        let [pixels, labels] = [set(&format!("{prefix}_set_x"))?, set(&format!("{prefix}_set_y"))?];
        let classes = set("list_classes")?;
        let shape = expect_pixels(&pixels)?;
        let pixels = Checked::new(pixels, bytes)?;
        expect_labels(&labels, shape.0)?;
        let labels = Checked::new(labels, bytes)?;
        let class_kind = expect_classes(&classes)?;
        Ok(Contents { pixels, shape, labels, classes: Checked::new(classes, bytes)?, class_kind })
    }

    fn read(&self, path: &Path) -> Outcome<PictureSet, String> {
        let pixels = Array2::from_shape_vec(self.shape, self.pixels.values()?)
            .map_err(|error| format!("cannot read {}: {error}", self.pixels.set.name()))?;
        let labels = read_labels(&self.labels)?;
        let classes = read_classes(&self.classes, &self.class_kind)?;
        PictureSet { source: path.display().to_string(), pixels, labels, classes }.checked()
    }
}

/// A data set whose type, shape and storage were checked.
struct Checked {
    set: Dataset,
    unpacked: Unpacked,
}

impl Checked {
    fn new(set: Dataset, file_bytes: u64) -> Outcome<Self, String> {
        let unpacked = storage::examine(&set, file_bytes)?;
        Ok(Checked { set, unpacked })
    }

    fn values<T: hdf5::H5Type>(&self) -> Outcome<Vec<T>, String> {
        self.set.read_raw().map_err(|error| words::unread(&self.set, &error))
    }
}

/// The data set itself: links could lead to other files, or around in circles.
fn open_set(file: &File, links: &[(String, LinkInfo)], name: &str) -> Outcome<Dataset, String> {
    let Some((_, link)) = links.iter().find(|(linked, _)| linked == name) else {
        return Err(format!("no data set `{name}`; the file has: {}", list(links)));
    };
    let kind = match link.link_type {
        LinkType::Hard => file.loc_type_by_name(name).map_err(|error| words::unopened(&format!("`{name}`"), &error))?,
        LinkType::Soft => {
            return Err(format!("`{name}` is a soft link, expected the data set itself; {}", words::COPY));
        }
        LinkType::External => {
            return Err(format!("`{name}` is a link to another file, expected the data set itself; {}", words::COPY));
        }
    };
    match kind {
        LocationType::Dataset => {
            file.dataset(name).map_err(|error| words::unopened(&format!("the data set `{name}`"), &error))
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

/// (m, height, width, 3) bytes; as (m, height * width * 3).
fn expect_pixels(set: &Dataset) -> Outcome<(usize, usize), String> {
    let fits = |t: &TypeDescriptor| matches!(t, TypeDescriptor::Unsigned(IntSize::U1));
    expect_type(set, "unsigned bytes", fits, "`x.astype('uint8')`, times 255 where the numbers are from 0 to 1")?;
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
    Ok((count, features))
}

/// (m,) integers.
fn expect_labels(set: &Dataset, count: usize) -> Outcome<(), String> {
    let fits = |t: &TypeDescriptor| matches!(t, TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_));
    expect_type(set, "integers", fits, "`y.astype('int64')`")?;
    if set.shape() != [count] {
        return Err(format!("{} has shape {:?}, expected ({count},), one label per picture", set.name(), set.shape()));
    }
    Ok(())
}

/// Each 0 or 1.
fn read_labels(labels: &Checked) -> Outcome<Vec<u8>, String> {
    let label = |(i, value): (usize, i64)| match value {
        0 | 1 => Ok(value as u8),
        _ => Err(format!("{}[{i}] is {value}; labels must be 0 or 1", labels.set.name())),
    };
    labels.values::<i64>()?.into_iter().enumerate().map(label).collect()
}

/// Two strings, of whichever of HDF5's four kinds.
fn expect_classes(set: &Dataset) -> Outcome<TypeDescriptor, String> {
    if set.shape() != [2] {
        return Err(format!("{} has shape {:?}, expected (2,), the names of classes 0 and 1", set.name(), set.shape()));
    }
    let expected = format!("strings of at most {MAX_NAME} bytes");
    let fits = |t: &TypeDescriptor| match t {
        TypeDescriptor::FixedAscii(n) | TypeDescriptor::FixedUnicode(n) => *n <= MAX_NAME,
        TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode => true,
        _ => false,
    };
    expect_type(set, &expected, fits, "`np.array(['no', 'yes'], dtype='S64')`")
}

fn read_classes(classes: &Checked, kind: &TypeDescriptor) -> Outcome<[String; 2], String> {
    let names = match kind {
        TypeDescriptor::FixedAscii(_) => strings::<FixedAscii<MAX_NAME>>(classes)?,
        TypeDescriptor::FixedUnicode(_) => strings::<FixedUnicode<MAX_NAME>>(classes)?,
        TypeDescriptor::VarLenAscii => strings::<VarLenAscii>(classes)?,
        _ => strings::<VarLenUnicode>(classes)?,
    };
    <[String; 2]>::try_from(names)
        .map_err(|names| format!("{} gave {} names, expected 2", classes.set.name(), names.len()))
}

/// Taken as bytes and checked here: the crate's own `as_str` trusts the file to hold valid UTF-8.
fn strings<S: hdf5::H5Type + AsRef<[u8]>>(classes: &Checked) -> Outcome<Vec<String>, String> {
    let set = classes.set.name();
    let name = |(i, value): (usize, &S)| match std::str::from_utf8(value.as_ref()) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name.to_owned()),
        Ok(name) => Err(format!("{set}[{i}] has {} bytes, expected at most {MAX_NAME}", name.len())),
        Err(_) => Err(format!("{set}[{i}] is not valid UTF-8")),
    };
    classes.values::<S>()?.iter().enumerate().map(name).collect()
}

/// The type, if it fits; `conversion` is how NumPy would make it so.
fn expect_type(
    set: &Dataset,
    expected: &str,
    fits: impl Fn(&TypeDescriptor) -> bool,
    conversion: &str,
) -> Outcome<TypeDescriptor, String> {
    let name = set.name();
    let kind = set.dtype().map_err(|error| words::unopened(&format!("the type of {name}"), &error))?;
    let found = match kind.to_descriptor() {
        Ok(found) if fits(&found) => return Ok(found),
        Ok(found) => type_name(&found),
        // Of the descriptor only the reason is left: 16-bit floating-point numbers, integers of 3 bytes, opaque values, ...
        Err(error) => match error.to_string() {
            text if text.contains("float") => format!("{}-bit floating-point numbers", 8 * kind.size()),
            text if text.contains("integer") => format!("{}-bit integers", 8 * kind.size()),
            text => format!("values that are not read here ({text})"),
        },
    };
    Err(format!("{name} holds {found}, expected {expected}; in NumPy {conversion}"))
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
