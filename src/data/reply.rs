//! What a guarded child tells its parent through a pipe: a picture set, or why there is none.
//!
//! Four bytes (a header's length, little-endian) and the header (JSON), first one that says what the file claims to hold, if it is
//! sound so far, then one with the outcome; then as many labels and pixels as that says, and nothing more. The parent believes no length before it is compared with a limit. There is no checksum: a pipe loses nothing, and a
//! child whose memory was damaged would sum up the damage.

use std::io::{self, ErrorKind, Read, Write};

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::PictureSet;
use super::file::MAX_BYTES;
use super::limits::Unpacked;

/// Longest header, in bytes; problems that do not fit are cut.
const MAX_HEADER: usize = 1 << 16;
/// Longest problem, in bytes, so that it fits whatever JSON makes of it.
const MAX_PROBLEM: usize = 1 << 12;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Header {
    Reads(Unpacked),
    Set { pictures: usize, features: usize, classes: [String; 2] },
    Refused { problem: String },
}

/// What the child found.
pub(super) type Outcome = Result<PictureSet, String>;

/// Says what will be read; the outcome is to follow.
pub(super) fn announce(unpacked: Unpacked, out: &mut dyn Write) -> io::Result<()> {
    write_header(&Header::Reads(unpacked), out)?;
    out.flush()
}

pub(super) fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let header = match outcome {
        Ok(set) => Header::Set { pictures: set.len(), features: set.features(), classes: set.classes.clone() },
        Err(problem) => Header::Refused { problem: problem[..problem.floor_char_boundary(MAX_PROBLEM)].to_owned() },
    };
    write_header(&header, out)?;
    if let Ok(set) = outcome {
        out.write_all(&set.labels)?;
        out.write_all(set.pixels.as_slice().ok_or(ErrorKind::InvalidInput)?)?;
    }
    out.flush()
}

fn write_header(header: &Header, out: &mut dyn Write) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    out.write_all(&(header.len() as u32).to_le_bytes())?;
    out.write_all(&header)
}

fn read_header(from: &mut dyn Read) -> io::Result<Header> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(nonsense("its header is too long"));
    }
    serde_json::from_slice(&bytes(from, length)?).map_err(nonsense)
}

/// Reads to the end of `from`, and tells `announced` what is to come, which is plausible. A reply that makes no sense is
/// [`ErrorKind::InvalidData`], a cut one [`ErrorKind::UnexpectedEof`].
pub(super) fn read<R: Read>(
    from: &mut R,
    source: &str,
    announced: impl FnOnce(&mut R, &Unpacked),
) -> io::Result<Outcome> {
    let header = match read_header(from)? {
        Header::Reads(unpacked) => {
            unpacked.expect_plausible().map_err(nonsense)?;
            announced(from, &unpacked);
            read_header(from)?
        }
        outcome => outcome,
    };
    let outcome = match header {
        Header::Reads(_) => return Err(nonsense("it begins twice")),
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
