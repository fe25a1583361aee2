//! Children: how a process that may crash, hang, babble or eat the machine is started, talked to, limited and ended, and what its last
//! words were. Knows no backend, no check and no file format; whoever starts a child says what a failure means.
//!
//! A child gets a [`Channel`] as its standard input and speaks on it in both directions; descriptors 1 and 2 are anybody's (a backend
//! prints, libhdf5 complains): what comes there is kept as last words, and means nothing. Children are started without `fork`, since a
//! BLAS that was loaded before it hangs after it.

mod channel;
mod cpu_time;
mod end;
mod limits;
mod patience;
mod process;
mod words;

use std::path::PathBuf;
use std::process::Command;

pub use channel::{Channel, Message};
pub use end::{End, Failure};
pub use limits::{Limits, Usage, survive_large_files};
pub use process::Child;

/// A command that starts this very executable, under `launcher` (a program with its arguments that runs what follows them, such as
/// `taskset -c 0`; empty for none). A file that replaced it meanwhile is another program, and is never started.
pub fn own(launcher: &[String]) -> std::io::Result<Command> {
    let program = own_executable()?;
    Ok(match launcher {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    })
}

/// Where this very executable can be started from. On Linux that is what the kernel holds, not what has its name by now.
pub fn own_executable() -> std::io::Result<PathBuf> {
    // By number: under a launcher, `self` would be the launcher.
    let held = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if std::fs::File::open(&held).is_ok() { Ok(held) } else { std::env::current_exe() }
}
