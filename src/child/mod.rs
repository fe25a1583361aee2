//! Children: how a process that may crash, hang, babble or eat the machine is started, talked to, limited and ended, and what its last
//! words were. Knows no backend, no check and no file format; whoever starts a child says what a failure means.
//!
//! A child gets a [`Channel`] as its standard input and speaks on it in both directions; descriptors 1 and 2 are anybody's (a backend
//! prints, libhdf5 complains): what comes there is kept as last words, and means nothing. Children are started without `fork`, since a
//! BLAS that was loaded before it hangs after it.

mod channel;
mod cpu_time;
mod end;
pub(crate) mod environment;
mod limits;
mod patience;
mod process;
mod program;
mod words;

pub(crate) use channel::Silence;
pub use channel::{Channel, Message, Speaker};
pub use end::{End, Failure};
pub(crate) use limits::limits_here;
pub use limits::{Limits, Usage, survive_large_files};
pub(crate) use patience::Patience;
pub use process::Child;
pub use program::Program;

/// The hidden verb of the command line that serves a parent: it computes what it is asked to. A child that is checked and one that is
/// timed are started alike, and see from their requests alone what they are for.
pub const VERB: &str = "__serve";

/// The version of what parent and child say to each other. A child says it with its first word, before it is asked for anything.
pub(crate) const PROTOCOL: u32 = 1;

/// Tells a child of another version from one that babbles.
pub(crate) fn expect_protocol(protocol: u32) -> Result<(), String> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(format!(
        "version {protocol} of the protocol, where this program speaks {PROTOCOL}: both must be of one version"
    ))
}
