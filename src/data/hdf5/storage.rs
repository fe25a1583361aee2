//! How the values of a data set are stored: in this file, all of them, and in no more room than the file can stand for.

use hdf5::Dataset;
use hdf5::plist::dataset_create::Layout;

use super::words::COPY;
use crate::data::limits::Unpacked;

/// Most bytes that one stored byte may unpack to: gzip reaches 1032. Packed twice it reaches a million, and so does a file that
/// points to one chunk many times.
const MAX_RATIO: u64 = 1100;

/// Refuses values in other files, a shape that is not filled (what was never written would be read as zeros, and a file of 2 KiB can
/// claim any number of those), and storage that the file of `file_bytes` cannot hold. Reads no value.
pub(super) fn examine(set: &Dataset, file_bytes: u64) -> Result<Unpacked, String> {
    let name = set.name();
    let damaged = |error| format!("{name} is damaged: {error}");
    let creation = set.create_plist().map_err(damaged)?;
    if !creation.external().is_empty() {
        return Err(format!("{name} keeps its values in another file, expected them in this one; {COPY}"));
    }
    let element = set.dtype().map_err(damaged)?.size();
    let bytes = |shape: &[usize]| shape.iter().copied().try_fold(element, usize::checked_mul);
    let (found, claimed, unit, chunk) = match creation.layout() {
        Layout::Virtual => {
            return Err(format!(
                "{name} is put together from other data sets (a virtual one), expected values of its own; {COPY}"
            ));
        }
        Layout::Chunked => {
            let chunk = creation.chunk().filter(|chunk| chunk.len() == set.ndim());
            let chunk = chunk.ok_or_else(|| format!("{name} is damaged: its chunks have another rank"))?;
            let along = |(&size, &chunk): (&usize, &usize)| size.div_ceil(chunk.max(1));
            let chunks = set.shape().iter().zip(&chunk).map(along).try_fold(1, usize::checked_mul);
            (set.num_chunks(), chunks, "chunks", Some(bytes(&chunk)))
        }
        Layout::Compact | Layout::Contiguous => {
            (usize::try_from(set.storage_size()).ok(), bytes(&set.shape()), "bytes", None)
        }
    };
    let claimed = match (found, claimed) {
        (Some(found), Some(claimed)) if found >= claimed => claimed as u64,
        (found, claimed) => {
            return Err(format!(
                "{name} has shape {:?}, {} {unit}, of which {} were written",
                set.shape(),
                claimed.map_or("too many".into(), |claimed| claimed.to_string()),
                found.map_or("an unknown number".into(), |found| found.to_string()),
            ));
        }
    };
    let unpacked = match chunk {
        None => Unpacked { bytes: claimed, ..Unpacked::default() },
        Some(chunk) => {
            let largest_chunk = chunk.map_or(u64::MAX, |chunk| chunk as u64);
            Unpacked { bytes: largest_chunk.saturating_mul(claimed), chunks: claimed, largest_chunk }
        }
    };
    unpacked.expect_plausible().map_err(|problem| format!("{name} is too large: {problem}"))?;
    let stored = set.storage_size();
    if stored > file_bytes {
        return Err(format!("{name} is damaged: it claims {stored} stored bytes, the file has {file_bytes}"));
    }
    if unpacked.bytes > stored.saturating_mul(MAX_RATIO) {
        return Err(format!(
            "{name} has {stored} stored bytes that unpack to {}, more than {MAX_RATIO} to one; gzip, once, packs up to 1032 to one: write it \
             again so, or unpacked",
            unpacked.bytes
        ));
    }
    Ok(unpacked)
}
