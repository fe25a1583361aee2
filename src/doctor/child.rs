//! Running a command that may crash or hang, and getting its answer or the reason why there is none.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It ended by a signal, with a bad exit code, or could not be started.
    Crashed(String),
    /// It was stopped at the time limit.
    TimedOut(String),
}

/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// The standard output of `command` when it ends well within `limit`. The output must be short: it is read at the end.
pub fn answer(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let crashed = |error: std::io::Error| Failure::Crashed(format!("it could not be run: {error}"));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(crashed)?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(crashed)? {
            break status;
        }
        if start.elapsed() > limit {
            // It may have ended just now: then there is nothing to kill.
            let _ = child.kill();
            child.wait().map_err(crashed)?;
            return Err(Failure::TimedOut(format!("no answer within {} s", limit.as_secs_f64())));
        }
        sleep(LOOK);
    };
    let mut text = [String::new(), String::new()];
    if let (Some(out), Some(err)) = (&mut child.stdout, &mut child.stderr) {
        out.read_to_string(&mut text[0]).map_err(crashed)?;
        // Only for the reason of a failure.
        let _ = err.read_to_string(&mut text[1]);
    }
    let [out, err] = text;
    if status.success() {
        return Ok(out);
    }
    let how = match status.signal() {
        Some(signal) => format!("it was ended by {}", signal_name(signal)),
        None => format!("it ended with {status}"),
    };
    let last = err.lines().last().map_or(String::new(), |line| format!(": {line}"));
    Err(Failure::Crashed(how + &last))
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGILL => "SIGILL, an illegal instruction".into(),
        libc::SIGSEGV => "SIGSEGV, a wrong address".into(),
        libc::SIGBUS => "SIGBUS, a wrong address".into(),
        libc::SIGFPE => "SIGFPE, an arithmetic fault".into(),
        libc::SIGABRT => "SIGABRT, its own abort".into(),
        libc::SIGKILL => "SIGKILL, killed from outside".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Failure> {
        answer(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn an_answer_a_crash_and_a_hang() {
        let limit = Duration::from_secs(20);
        assert_eq!(shell("echo fine", limit), Ok("fine\n".into()));
        let crash = |script| match shell(script, limit) {
            Err(Failure::Crashed(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(crash("kill -ILL $$").contains("illegal instruction"));
        assert!(crash("echo one >&2; echo two >&2; exit 3").ends_with("3: two"));
        let missing = answer(&mut Command::new("/no/such/program"), limit);
        assert!(matches!(missing, Err(Failure::Crashed(reason)) if reason.contains("could not be run")));

        let start = Instant::now();
        let hang = shell("exec sleep 60", Duration::from_millis(50));
        assert!(matches!(hang, Err(Failure::TimedOut(_))), "{hang:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    }
}
