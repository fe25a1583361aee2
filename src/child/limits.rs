//! Limits: what a child imposes on itself, and what the system imposes on all of us.

use std::io;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What this process may use from some moment on, so that an accident stays in it. It may read files, and write none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: u64,
    /// Whole seconds of processor time.
    pub processor_s: u64,
}

/// What a process has used at that moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Bytes of address space. A threaded BLAS reserves a lot of it when it is loaded, the more the more cores there are, and
    /// fills none of it. 0 where the system does not say.
    mapped: u64,
    /// Seconds, rounded. Loading a program takes long on a slow machine.
    processor_s: u64,
    /// Limits that were there already, on address space and on processor time: none of ours goes beyond them.
    found: [Option<u64>; 2],
}

impl Usage {
    /// Of this process.
    pub fn now() -> Self {
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Usage {
            mapped: pages.unwrap_or(0) * rustix::param::page_size() as u64,
            processor_s: used.tv_sec as u64 + u64::from(used.tv_nsec >= 500_000_000),
            found: [Resource::As, Resource::Cpu].map(|resource| getrlimit(resource).current),
        }
    }
}

impl Limits {
    /// On this process, beyond what it had used by then; can be done again with others. It leaves no core dump either.
    ///
    /// # Errors
    /// Of the system.
    pub fn impose(&self, beyond: &Usage) -> io::Result<()> {
        on_large_file(libc::SIG_DFL);
        lower(Resource::Core, 0)?;
        lower(Resource::Fsize, 0)?;
        let within = |limit: u64, found: Option<u64>| found.map_or(limit, |found| found.min(limit));
        lower(Resource::Cpu, within(beyond.processor_s + self.processor_s, beyond.found[1]))?;
        lower(Resource::As, within(beyond.mapped.saturating_add(self.memory), beyond.found[0]))
    }
}

/// Makes a file that outgrows its limit (`ulimit -f`) an error for whoever writes it, as a full disk is, and not the end of this process.
pub fn survive_large_files() {
    on_large_file(libc::SIG_IGN);
}

fn on_large_file(action: libc::sighandler_t) {
    // SAFETY: the actions are the two that need no function; the signal is one whose action may be set, so that it cannot fail.
    unsafe { libc::signal(libc::SIGXFSZ, action) };
}

/// Sets the soft limit, so that the signal for it is the one that names it, within the hard limit that is there.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}

/// The limits on memory, processor time and threads under which this process and its children run, each with how it is set; empty where
/// there are none. For messages: where something was ended, one of them may be why.
fn in_force() -> Vec<String> {
    let soft = |resource| getrlimit(resource).current;
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    let mut found = Vec::new();
    found.extend(soft(Resource::As).map(|bytes| format!("{} of address space, ulimit -v", megabytes(bytes))));
    found.extend(soft(Resource::Data).map(|bytes| format!("{} of data, ulimit -d", megabytes(bytes))));
    found.extend(soft(Resource::Cpu).map(|seconds| format!("{seconds} s of processor time, ulimit -t")));
    let few = |count: &u64| *count < MANY_THREADS;
    found.extend(soft(Resource::Nproc).filter(few).map(|count| format!("{count} processes and threads, ulimit -u")));
    found.extend(of_groups("memory.max").map(|bytes| format!("{} of the control group, memory.max", megabytes(bytes))));
    found.extend(
        of_groups("pids.max").filter(few).map(|count| format!("{count} threads of the control group, pids.max")),
    );
    found
}

/// The same as an addition to a message; empty where there are none.
pub(crate) fn limits_here() -> String {
    match in_force().as_slice() {
        [] => String::new(),
        limits => format!(" (limits here: {})", limits.join(", ")),
    }
}

/// Every system has some limit on threads; one so high is not why this program has none.
const MANY_THREADS: u64 = 1000;

/// The tightest limit of that name from this process's control group up to the root: each level limits those below it.
fn of_groups(name: &str) -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let levels = Path::new(group).ancestors().map(|level| Path::new("/sys/fs/cgroup").join(level).join(name));
    // `max` and whatever else is no number is no limit.
    levels.filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok()).min()
}
