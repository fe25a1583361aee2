//! The CPU time of a child, as the system counts it: what a child says of itself is its own word.

use std::time::Duration;

use super::Child;

impl Child {
    /// CPU time that all threads of the child have used, without processes that it has started; none where the system does not tell it of
    /// another process. It is exact for threads that wait; what a thread that runs has used since the last tick of the system may lack.
    #[cfg(target_os = "linux")]
    pub fn cpu_time(&self) -> Option<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let number = libc::pid_t::try_from(self.id()).ok()?;
        // SAFETY: `clock` is a valid place to write to, and outlives the call.
        if unsafe { libc::clock_getcpuclockid(number, &raw mut clock) } != 0 {
            return None;
        }
        // By its number: the function of that name may be a backend's, since its libraries are loaded into this program too.
        // SAFETY: `time` is a valid place to write a time to, and outlives the call.
        if unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) } != 0 {
            return None;
        }
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }

    /// CPU time that all threads of the child have used: here the system does not tell it of another process.
    #[cfg(not(target_os = "linux"))]
    pub fn cpu_time(&self) -> Option<Duration> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn it_is_what_the_child_computed() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "read request; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo '1' >&0; read end"]);
        let mut child = Child::start(command).expect("there is a shell");
        let before = child.cpu_time().expect("Linux tells it");
        let answer = child.ask::<u32>(&"go", &[], Duration::from_secs(60), 0).expect("an answer").said;
        std::thread::sleep(Duration::from_millis(20));
        let after = child.cpu_time().expect("Linux tells it");
        assert_eq!(answer, 1);
        // So many rounds of a shell's loop are more than 20,000 instructions, at whatever clock.
        assert!(after > before + Duration::from_micros(20), "{before:?} to {after:?}");
    }
}
