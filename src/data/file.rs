//! Opening a file that somebody named on the command line: what is no file, or far too large, is refused unread.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};

/// Larger files are refused, and larger sets: 1 GiB of bytes would be 8 GiB of `f64`.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// The opened file and its length in bytes. `expected` says what it should be: `an HDF5 file`.
pub(super) fn open(path: &Path, expected: &str) -> Result<(File, u64)> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let refuse = |problem: String| Err(Error::Data { path: path.to_owned(), problem });
    // Asked before it is opened: opening a named pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return refuse(format!("expected {expected}, found a folder or a device"));
    }
    if metadata.len() > MAX_BYTES as u64 {
        return refuse(format!("the file has {} bytes, the limit is {MAX_BYTES}", metadata.len()));
    }
    Ok((File::open(path).map_err(io)?, metadata.len()))
}
