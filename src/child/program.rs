//! Which program a child runs, and how it is started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VERB, environment};

/// A program that children run: most often this very executable.
#[derive(Clone, Debug)]
pub struct Program {
    launcher: Vec<OsString>,
    path: PathBuf,
    /// Before whatever a command is given.
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// This very executable. A file that replaced it meanwhile is another program, and is never started.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn own() -> io::Result<Self> {
        // By number: under a launcher, `self` would be the launcher.
        let held = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let path = if std::fs::File::open(&held).is_ok() { held } else { std::env::current_exe()? };
        Ok(Program::at(path))
    }

    /// The executable file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program { launcher: Vec::new(), path: path.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// The same under a launcher: a program with its arguments that runs what follows them, such as `taskset -c 0`.
    #[must_use]
    pub fn under(mut self, launcher: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.launcher = launcher.into_iter().map(Into::into).collect();
        self
    }

    /// The same with arguments that come before those of each command.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The same with an environment variable set.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where the executable file can be opened. On Linux, for this very executable, that is what the kernel holds, not what has its name
    /// by now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that starts it as a child that computes on so many threads.
    pub(crate) fn serving(&self, threads: NonZeroUsize) -> Command {
        let mut command = self.command(&[VERB]);
        command.envs(environment::set(threads));
        command
    }

    /// A command that starts it.
    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let path = self.path.as_os_str();
        let mut words = self.launcher.iter().map(OsString::as_os_str).chain([path]);
        let mut command = Command::new(words.next().unwrap_or(path));
        command.args(words).args(&self.arguments).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
