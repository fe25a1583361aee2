//! SHA-256 of a file's bytes, as `sha256sum` prints it. No signatures, and no other digest.

use std::array;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::Digest;

use crate::error::Error;

/// The SHA-256 of some bytes; text of 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Of bytes that are in memory.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes.as_ref());
        hasher.finish()
    }

    /// Of all that can be read.
    ///
    /// # Errors
    /// Of the reader.
    pub fn of_all(mut from: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new();
        let mut part = [0; 1 << 14];
        loop {
            match from.read(&mut part) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&part[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Of bytes that come in pieces.
pub(crate) struct Hasher(sha2::Sha256);

impl Hasher {
    pub fn new() -> Self {
        Hasher(sha2::Sha256::new())
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

impl FromStr for Sha256 {
    type Err = Error;

    /// # Errors
    /// [`Error::Setting`] for anything but 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        match digits {
            Some(digits) if digits.len() == 64 => {
                Ok(Sha256(array::from_fn(|i| 16 * digits[2 * i] + digits[2 * i + 1])))
            }
            _ => Err(Error::Setting {
                what: "the SHA-256",
                found: format!("`{}`", text.escape_debug()),
                expected: "64 hexadecimal digits, as `sha256sum FILE` prints them",
            }),
        }
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}
