//! What a guarded child tells its parent: what the file claims to hold, if it is sound so far, then a picture set, or why there is none.
//!
//! The parent believes no length before it is compared with a limit. There is no checksum: a socket loses nothing, and a child whose
//! memory was damaged would sum up the damage.

use std::io;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::PictureSet;
use super::file::MAX_BYTES;
use super::limits::Unpacked;
use crate::child::{Channel, Message};

/// The most bytes of a reply: the pixels, and a label for each picture.
pub(super) const MOST_BYTES: usize = 2 * MAX_BYTES;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// What will be read.
    Reads(Unpacked),
    /// The set; its pixels and labels come along.
    Set { pictures: usize, features: usize, classes: [String; 2] },
    /// The file cannot be used.
    Refused { problem: String },
}

/// What the child found.
pub(super) type Outcome = Result<PictureSet, String>;

/// Says what will be read; the outcome is to follow.
pub(super) fn announce(unpacked: Unpacked, channel: &mut Channel) -> io::Result<()> {
    channel.send(&Reply::Reads(unpacked), &[])
}

/// The last word.
pub(super) fn send(outcome: &Outcome, channel: &mut Channel) -> io::Result<()> {
    match outcome {
        Ok(set) => {
            let reply = Reply::Set { pictures: set.len(), features: set.features(), classes: set.classes.clone() };
            let pixels = set.pixels.as_slice().ok_or(io::ErrorKind::InvalidInput)?;
            channel.send(&reply, &[pixels, &set.labels])
        }
        Err(problem) => channel.send(&Reply::Refused { problem: problem.clone() }, &[]),
    }
}

/// The set of a reply, or the child's reason why there is none. `Err` says why it makes no sense.
pub(super) fn outcome(message: Message<Reply>, source: &str) -> Result<Outcome, String> {
    let Message { said, bytes: mut pixels } = message;
    match said {
        Reply::Reads(_) => Err("it begins twice".into()),
        Reply::Refused { problem } => Ok(Err(problem)),
        Reply::Set { pictures, features, classes } => {
            let size = pictures.checked_mul(features).filter(|&size| size > 0 && size <= MAX_BYTES);
            let size = size.ok_or("it claims a set beyond the limits")?;
            if pixels.len() != size + pictures {
                return Err(format!("{} bytes came, and the set has {}", pixels.len(), size + pictures));
            }
            let labels = pixels.split_off(size);
            let pixels = Array2::from_shape_vec((pictures, features), pixels).map_err(|error| error.to_string())?;
            Ok(Ok(PictureSet { source: source.to_owned(), pixels, labels, classes }.checked()?))
        }
    }
}
