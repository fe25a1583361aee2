//! What a guarded child tells its parent through a pipe: a picture set, or why there is none.
//!
//! Four bytes (the header's length, little-endian), the header (JSON), then as many labels and pixels as it says, and nothing
//! more. The parent believes no length before it is compared with a limit. There is no checksum: a pipe loses nothing, and a
//! child whose memory was damaged would sum up the damage.

use std::io::{self, ErrorKind, Read, Write};

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::PictureSet;
use super::file::MAX_BYTES;

/// Longest header, in bytes; problems that do not fit are cut.
const MAX_HEADER: usize = 1 << 16;
/// Longest problem, in bytes, so that it fits whatever JSON makes of it.
const MAX_PROBLEM: usize = 1 << 12;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Header {
    Set { pictures: usize, features: usize, classes: [String; 2] },
    Refused { problem: String },
}

/// What the child found.
pub(super) type Outcome = Result<PictureSet, String>;

pub(super) fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let header = match outcome {
        Ok(set) => Header::Set { pictures: set.len(), features: set.features(), classes: set.classes.clone() },
        Err(problem) => Header::Refused { problem: problem[..problem.floor_char_boundary(MAX_PROBLEM)].to_owned() },
    };
    let header = serde_json::to_vec(&header)?;
    out.write_all(&(header.len() as u32).to_le_bytes())?;
    out.write_all(&header)?;
    if let Ok(set) = outcome {
        out.write_all(&set.labels)?;
        out.write_all(set.pixels.as_slice().ok_or(ErrorKind::InvalidInput)?)?;
    }
    out.flush()
}

/// Reads to the end of `from`. A reply that makes no sense is [`ErrorKind::InvalidData`], a cut one
/// [`ErrorKind::UnexpectedEof`].
pub(super) fn read(from: &mut dyn Read, source: &str) -> io::Result<Outcome> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(nonsense("its header is too long"));
    }
    let outcome = match serde_json::from_slice(&bytes(from, length)?).map_err(nonsense)? {
        Header::Refused { problem } => Err(problem),
        Header::Set { pictures, features, classes } => {
            let size = pictures.checked_mul(features).filter(|&n| n > 0 && n <= MAX_BYTES);
            let size = size.ok_or_else(|| nonsense("it claims a set beyond the limits"))?;
            let labels = bytes(from, pictures)?;
            let pixels = Array2::from_shape_vec((pictures, features), bytes(from, size)?).map_err(nonsense)?;
            let set = PictureSet { source: source.to_owned(), pixels, labels, classes };
            Ok(set.checked().map_err(nonsense)?)
        }
    };
    match bytes(from, 1) {
        Err(end) if end.kind() == ErrorKind::UnexpectedEof => Ok(outcome),
        Err(error) => Err(error),
        Ok(_) => Err(nonsense("it goes on after its end")),
    }
}

fn bytes(from: &mut dyn Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count).map_err(|_| ErrorKind::OutOfMemory)?;
    from.take(count as u64).read_to_end(&mut bytes)?;
    if bytes.len() == count { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn nonsense(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}
