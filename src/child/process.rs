//! The parent's hold on a child.

use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::channel::{Channel, Message, Silence, Speaker};
use super::end::{End, Failure};
use super::patience::Patience;
use super::words::Words;

/// A child that closed its channel is about to end by itself, most often: its own way of ending tells more than ours.
const GRACE: Duration = Duration::from_millis(500);

/// A started child. Dropping it kills it.
pub struct Child {
    process: Process,
    channel: Channel,
    words: Words,
    was_stopped: bool,
    /// How it ended, once it was waited for.
    end: Option<End>,
}

impl Child {
    /// Starts a command whose program takes its standard input for a [`Channel`].
    ///
    /// # Errors
    /// [`Failure::Start`].
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let start = || -> std::io::Result<Child> {
            let (channel, theirs) = Channel::pair()?;
            let (reader, writer) = std::io::pipe()?;
            // Ctrl-C is for the parent, in a group of its own the child does not get it; and whatever it starts can be ended with it.
            command.process_group(0);
            command.stdin(theirs).stdout(writer.try_clone()?).stderr(writer);
            let words = Words::of(reader)?;
            let process = command.spawn()?;
            // It holds our copies of the child's ends, which would keep them open.
            drop(command);
            Ok(Child { process, channel, words, was_stopped: false, end: None })
        };
        start().map_err(Failure::Start)
    }

    /// Sends a request with its bytes and waits for the answer, which may have `most_bytes`.
    ///
    /// # Errors
    /// [`Failure`]; but for [`Failure::Nonsense`] the child has ended then.
    pub fn ask<M: DeserializeOwned>(
        &mut self,
        request: &impl Serialize,
        bytes: &[&[u8]],
        limit: Duration,
        most_bytes: usize,
    ) -> Result<Message<M>, Failure> {
        // A child that is gone, or takes nothing, is seen below, with the reason.
        let _ = self.channel.limit_sending(limit).and_then(|()| self.channel.send(request, bytes));
        self.receive(limit, most_bytes)
    }

    /// Waits for what the child says next. The limit stands still while this process is stopped.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn receive<M: DeserializeOwned>(&mut self, limit: Duration, most_bytes: usize) -> Result<Message<M>, Failure> {
        self.wait(Patience::of(limit), limit, most_bytes)
    }

    fn wait<M: DeserializeOwned>(
        &mut self,
        mut patience: Patience,
        limit: Duration,
        most_bytes: usize,
    ) -> Result<Message<M>, Failure> {
        let outcome = self.channel.wait(&mut patience, most_bytes).unwrap_or(Err(Silence::Closed));
        self.was_stopped = patience.was_stopped();
        outcome.map_err(|silence| match silence {
            Silence::Closed => match self.end_within(GRACE) {
                (end, false) => Failure::Ended(end, self.words.last()),
                (_, true) => Failure::Closed(self.words.last()),
            },
            Silence::Late => {
                self.end_within(Duration::ZERO);
                Failure::Late(limit, self.words.last())
            }
            Silence::Nonsense(found) => Failure::Nonsense(found),
        })
    }

    /// Waits for what the child says next, for as long as it lives.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn listen<M: DeserializeOwned>(&mut self) -> Result<M, Failure> {
        self.wait(Patience::endless(), Duration::ZERO, 0).map(|message| message.said)
    }

    /// What speaks to the child while another thread listens to it.
    ///
    /// # Errors
    /// [`Failure::Start`]: no descriptor is left.
    pub fn speaker(&self) -> Result<Speaker, Failure> {
        self.channel.speaker().map_err(Failure::Start)
    }

    /// Whether this process was stopped while it last waited: a time that the child took then is none.
    pub fn was_stopped(&self) -> bool {
        self.was_stopped
    }

    /// The child's process number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How it ends: by itself where it does so within the limit, else by us. Whatever it has started ends with it.
    pub fn end(mut self, limit: Duration) -> End {
        self.end_within(limit).0
    }

    /// The same, and whether it was us.
    fn end_within(&mut self, limit: Duration) -> (End, bool) {
        if let Some(end) = self.end {
            return (end, false);
        }
        let start = Instant::now();
        let mut has_ended = has_ended(&self.process);
        while !has_ended && start.elapsed() < limit {
            sleep(Duration::from_millis(1));
            has_ended = self::has_ended(&self.process);
        }
        kill(&self.process);
        let end = self.process.wait().map_or(End::Signal(libc::SIGKILL), End::from);
        self.end = Some(end);
        (end, !has_ended)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end_within(Duration::ZERO);
    }
}

fn number(process: &Process) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process.id()).ok()?)
}

/// Whether it has; it is not waited for, so that its number stays its own.
fn has_ended(process: &Process) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    number(process).is_some_and(|number| matches!(waitid(WaitId::Pid(number), look), Ok(Some(_))))
}

/// The child, and its group: whatever it has started. To be called before it is waited for.
fn kill(process: &Process) {
    if let Some(number) = number(process) {
        let _ = kill_process_group(number, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Program;

    const LONG: Duration = Duration::from_secs(60);

    /// A shell that plays a child: it reads a request, then runs the script.
    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read request; {script}")]);
        Child::start(command).expect("there is a shell")
    }

    fn ask(child: &mut Child, limit: Duration) -> Result<Message<String>, Failure> {
        child.ask(&"work", &[], limit, 10)
    }

    #[test]
    fn an_answer_comes_whatever_is_printed_beside_it() {
        let mut child = shell("echo noise; echo more >&2; echo '+3 \"done\"' >&0; printf abc >&0; exit 4");
        let message = ask(&mut child, LONG).expect("an answer");
        assert_eq!((message.said.as_str(), message.bytes.as_slice()), ("done", &b"abc"[..]));
        assert_eq!(child.end(LONG), End::Code(4));
        // Closed descriptors are the child's affair.
        let mut child = shell("exec >&- 2>&-; echo '\"done\"' >&0; exec sleep 60");
        assert_eq!(ask(&mut child, LONG).expect("an answer").said, "done");
        assert_eq!(child.end(Duration::from_millis(50)), End::Signal(libc::SIGKILL));
    }

    #[test]
    fn every_other_end_has_its_reason() {
        let failure = |script: &str, limit| ask(&mut shell(script), limit).expect_err("no answer").to_string();
        let told = failure("echo one; echo two >&2; exit 3", LONG);
        assert!(told.starts_with("it ended with exit code 3; its last words: one\ntwo"), "{told}");
        assert!(failure("kill -ILL $$", LONG).starts_with("it was ended by SIGILL, an illegal instruction"));
        assert!(failure("exit 0", LONG).starts_with("it ended with exit code 0"));
        let told = failure("echo waiting; exec sleep 60", Duration::from_millis(300));
        assert!(told.starts_with("no answer within 0.3 s"), "{told}");
        assert!(failure("echo nonsense >&0", LONG).contains("cannot be read: `nonsense`"));
        // It closes the channel and lives on.
        let start = Instant::now();
        assert!(failure("exec <&-; exec sleep 60", LONG).starts_with("it closed its channel and lived on"));
        assert!(start.elapsed() < LONG, "it was waited for");
        let missing = Child::start(Command::new("/no/such/program")).map(drop).expect_err("it is not there");
        assert!(missing.to_string().starts_with("it could not be started: "), "{missing}");
    }

    #[test]
    fn what_a_child_has_started_ends_with_it() {
        let start = Instant::now();
        let folder = tempfile::tempdir().expect("a folder");
        let witness = folder.path().join("number");
        let script = format!("sleep 50 & echo $! > '{}'; echo gone; exit 5", witness.display());
        let failure = ask(&mut shell(&script), LONG).expect_err("no answer").to_string();
        assert!(failure.starts_with("it ended with exit code 5; its last words: gone"), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(40), "the descendant was waited for");
        let descendant = std::fs::read_to_string(&witness).expect("it was started");
        let lives = || {
            // A zombie that nobody has waited for yet is over too.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", descendant.trim())).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
        };
        while lives() {
            assert!(start.elapsed() < Duration::from_secs(40), "the descendant lives on");
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_child_that_takes_nothing_holds_nobody_up() {
        let mut child = shell("exec sleep 60");
        let flood = vec![0; 4 << 20];
        let failure = child.ask::<String>(&"work", &[&flood], Duration::from_millis(300), 0).expect_err("no answer");
        assert!(matches!(failure, Failure::Late(..)), "{failure}");
    }

    #[test]
    fn our_own_executable_is_the_one_that_runs() {
        let program = Program::own().expect("it can be found").under(["env", "LAUNCHED=yes"]);
        let output = program.command(&["--list"]).output().expect("it runs");
        assert!(String::from_utf8_lossy(&output.stdout).contains("our_own_executable_is_the_one_that_runs: test"));
    }
}
