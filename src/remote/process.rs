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
    use std::hint::black_box;

    use super::*;

    #[test]
    fn this_process_is_seen_to_compute_and_to_grow() {
        let this = Process(std::process::id());
        let cpu = || this.threads().iter().map(|thread| thread.cpu).sum::<Duration>();
        let (before, memory) = (cpu(), this.private_bytes().expect("Linux tells"));
        let mut kept = vec![1_u8; 64 << 20];
        while cpu() < before + Duration::from_millis(30) {
            black_box((0..100_000_u64).fold(0, |sum, n| sum ^ black_box(n)));
        }
        assert!(this.threads().iter().any(|thread| thread.is_runnable));
        kept[0] = 2;
        assert!(this.private_bytes().expect("as above") > memory + (32 << 20));
        black_box(kept);
        assert!(Process(u32::MAX).threads().is_empty() && Process(u32::MAX).private_bytes().is_none());
    }
}
