//! What can be seen of a process from outside (Linux's `/proc`): its memory and its threads. Nothing that it says of itself.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use crate::machine::bytes_of;

/// A process, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

/// A thread at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadState {
    /// Its number.
    pub id: u32,
    /// Whether it runs or waits for a core.
    pub is_runnable: bool,
    /// The processor time that it has used.
    pub cpu: Duration,
}

impl Process {
    /// Whether the system tells of processes at all: a moment in which it does not is another thing.
    pub fn is_told_of() -> bool {
        !matches!(fs::read_dir("/proc/self/task"), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Its threads; empty where the system does not tell or the process is gone.
    pub fn threads(self) -> Vec<ThreadState> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.0)) else { return Vec::new() };
        tasks.filter_map(|task| thread(&task.ok()?.path())).collect()
    }

    /// Bytes of its own memory that are resident (not those that it shares with others), as far as the system tells.
    pub fn private_bytes(self) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0)).ok()?;
        let bytes = |key| bytes_of(&rollup, key);
        Some(bytes("Private_Clean")? + bytes("Private_Dirty")? + bytes("Swap").unwrap_or(0))
    }
}

fn thread(task: &std::path::Path) -> Option<ThreadState> {
    let id = task.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    // The name is in parentheses, and may have any of them in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let is_runnable = fields.next()? == "R";
    // Nanoseconds, where the kernel keeps them; else ticks.
    let precise = fs::read_to_string(task.join("schedstat")).ok();
    let precise = precise.and_then(|text| text.split(' ').next()?.parse().ok()).filter(|&ns: &u64| ns > 0);
    let cpu = match precise {
        Some(ns) => Duration::from_nanos(ns),
        None => {
            let ticks: u64 = fields.nth(10)?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
            Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
        }
    };
    Some(ThreadState { id, is_runnable, cpu })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;
    use crate::child::{Child, Failure};

    /// Another process: in this one other tests take and give back memory meanwhile.
    #[test]
    fn a_process_is_seen_to_compute_and_to_grow() {
        let script = "read go; x=$(head -c 64000000 /dev/zero | tr '\\0' x); while :; do :; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        // It ends with this, however the test ends.
        let shell = Child::start(command).expect("there is a shell");
        let process = Process(shell.id());
        let cpu = || process.threads().iter().map(|thread| thread.cpu).sum::<Duration>();
        let (before, memory) = (cpu(), process.private_bytes().expect("Linux tells"));
        shell.speaker().and_then(|mut speaker| speaker.send(&"go").map_err(Failure::Start)).expect("it reads");
        let start = Instant::now();
        let has_computed = || cpu() > before + Duration::from_millis(30);
        let has_grown = || process.private_bytes().expect("as above") > memory + (32 << 20);
        while !(has_computed() && has_grown() && process.threads().iter().any(|thread| thread.is_runnable)) {
            assert!(start.elapsed() < Duration::from_secs(120), "{:?}", process.threads());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Process(u32::MAX).threads().is_empty() && Process(u32::MAX).private_bytes().is_none());
    }
}
