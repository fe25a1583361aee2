//! Limits: what a child imposes on itself, and what the system imposes on all of us.

use std::io;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process may use from now on. None: as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space beyond what is mapped now.
    pub memory: Option<u64>,
    /// Whole seconds of processor time.
    pub processor_s: Option<u64>,
    /// Bytes of a file that it writes; 0 forbids writing.
    pub file_bytes: Option<u64>,
}

impl Limits {
    /// On this process, for good. It leaves no core dump either.
    ///
    /// # Errors
    /// Of the system.
    pub fn impose(&self) -> io::Result<()> {
        lower(Resource::Core, Some(0))?;
        lower(Resource::Fsize, self.file_bytes)?;
        lower(Resource::Cpu, self.processor_s)?;
        lower(Resource::As, self.memory.map(|bytes| bytes.saturating_add(mapped())))
    }
}

/// Sets the soft limit, so that the signal for it is the one that names it, within the hard limit that is there.
fn lower(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}

/// Bytes of address space in use. A threaded BLAS reserves a lot of it when it is loaded, the more the more cores there are,
/// and fills none of it. 0 where the system does not say.
fn mapped() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The limits on memory, time and processes under which this process and its children run, each with how it is set; empty where there
/// are none. For messages: where something was ended, one of them may be why.
pub fn in_force() -> Vec<String> {
    let soft = |resource| getrlimit(resource).current;
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    let mut found = Vec::new();
    found.extend(soft(Resource::As).map(|bytes| format!("{} of address space, ulimit -v", megabytes(bytes))));
    found.extend(soft(Resource::Data).map(|bytes| format!("{} of data, ulimit -d", megabytes(bytes))));
    found.extend(soft(Resource::Cpu).map(|seconds| format!("{seconds} s of processor time, ulimit -t")));
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let group = Path::new("/sys/fs/cgroup").join(group);
    found.extend(number(&group.join("memory.max")).map(|bytes| format!("{}, memory.max", megabytes(bytes))));
    found
}

/// `max` and whatever else is no number is no limit.
fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
