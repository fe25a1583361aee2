//! What parent and child speak through: a socket, which the child finds as its standard input. Descriptor 1 would be a backend's too.
//!
//! A message is a line of JSON. Bytes that belong to it come after the line, and their number before it: `+6 {"set":...}`. So arrays
//! travel as they are in memory, and a shell script can play a child: `echo '"ready"' >&0`. An end of another channel may come with a
//! message too: then parent and child have one more.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::patience::Patience;

/// The longest line that is looked at.
const LONGEST_LINE: usize = 1 << 20;
/// As much of a line is read at once: most are shorter.
const READ_AT_ONCE: usize = 1 << 12;
/// How much of a line that is no message is shown.
const SHOWN: usize = 80;

/// One end of the channel.
pub struct Channel {
    socket: UnixStream,
    /// What came and was not taken yet.
    pending: Vec<u8>,
    /// Ends of other channels that came with it.
    passed: VecDeque<OwnedFd>,
    /// How long a read waits now.
    slice: Option<Duration>,
}

/// A message and the bytes that came with it.
#[derive(Debug)]
pub struct Message<M> {
    /// What was said.
    pub said: M,
    /// The bytes; empty for most messages.
    pub bytes: Vec<u8>,
}

/// Why no message came.
#[derive(Debug)]
pub(crate) enum Silence {
    /// The other side is gone, or has closed its end.
    Closed,
    /// There was no time left.
    Late,
    /// Something else came: what, in short.
    Nonsense(String),
}

impl Channel {
    /// The parent's end and what becomes the child's standard input.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Channel::over(ours), theirs.into()))
    }

    fn over(socket: UnixStream) -> Self {
        Channel { socket, pending: Vec::new(), passed: VecDeque::new(), slice: None }
    }

    /// The child's end. To be called once, early: standard input is empty from then on, and this process ends with its parent.
    ///
    /// # Errors
    /// Where standard input is no socket: this process was not started as a child.
    pub fn of_child() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Above 2, and closed in whatever the child starts.
        let ours = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
        let socket = UnixStream::from(ours);
        socket.peer_addr().map_err(|_| io::Error::new(ErrorKind::NotConnected, "not started by a parent"))?;
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(nothing)?;
        Ok(Channel::over(socket))
    }

    /// Sends a message, and `bytes` with it.
    ///
    /// # Errors
    /// Of the socket: most often that the other side is gone.
    pub fn send(&mut self, message: &impl Serialize, bytes: &[&[u8]]) -> io::Result<()> {
        send(&mut self.socket, message, bytes)
    }

    /// A second hold on this end, to speak while somebody else listens.
    ///
    /// # Errors
    /// Of the system: no descriptor is left.
    pub fn speaker(&self) -> io::Result<Speaker> {
        Ok(Speaker(self.socket.try_clone()?))
    }

    /// From now on gives up after so long on another side that takes nothing.
    pub(crate) fn limit_sending(&self, limit: Duration) -> io::Result<()> {
        limit_sending(&self.socket, limit)
    }

    /// The end that came first with the messages so far, and was not taken yet.
    pub(crate) fn take_passed(&mut self) -> Option<Channel> {
        self.passed.pop_front().map(|end| Channel::over(end.into()))
    }

    /// Waits for the next message, without bytes; none when the other side is gone. For children, which have no other hurry.
    ///
    /// # Errors
    /// Of the socket, or [`ErrorKind::InvalidData`].
    pub fn receive<M: DeserializeOwned>(&mut self) -> io::Result<Option<M>> {
        match self.wait(&mut Patience::endless(), 0)? {
            Ok(message) => Ok(Some(message.said)),
            Err(Silence::Closed | Silence::Late) => Ok(None),
            Err(Silence::Nonsense(what)) => Err(io::Error::new(ErrorKind::InvalidData, what)),
        }
    }

    /// Waits for the next message, which may have so many bytes at the most.
    pub(crate) fn wait<M: DeserializeOwned>(
        &mut self,
        patience: &mut Patience,
        most_bytes: usize,
    ) -> io::Result<Result<Message<M>, Silence>> {
        let length = loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                break end;
            }
            if self.pending.len() > LONGEST_LINE {
                return Ok(Err(Silence::Nonsense(format!("a line without end, {}", shown(&self.pending)))));
            }
            if let Err(silence) = self.fill(patience, READ_AT_ONCE)? {
                let words = self.pending.is_empty();
                return Ok(Err(if words { silence } else { cut(silence, &self.pending) }));
            }
        };
        let line: Vec<u8> = self.pending.drain(..=length).collect();
        let Some((json, count)) = parts(&line) else { return Ok(Err(Silence::Nonsense(shown(&line)))) };
        let Ok(said) = serde_json::from_slice(json) else { return Ok(Err(Silence::Nonsense(shown(&line)))) };
        if count == 0 {
            return Ok(Ok(Message { said, bytes: Vec::new() }));
        }
        if count > most_bytes {
            return Ok(Err(Silence::Nonsense(format!("{count} bytes where {most_bytes} are the limit"))));
        }
        if self.pending.try_reserve_exact(count.saturating_sub(self.pending.len())).is_err() {
            return Ok(Err(Silence::Nonsense(format!("{count} bytes, for which there is no memory"))));
        }
        while self.pending.len() < count {
            let missing = count - self.pending.len();
            if let Err(silence) = self.fill(patience, missing)? {
                return Ok(Err(silence));
            }
        }
        let rest = self.pending.split_off(count);
        let bytes = std::mem::replace(&mut self.pending, rest);
        Ok(Ok(Message { said, bytes }))
    }

    /// Reads once more, up to `most` bytes, within the patience.
    fn fill(&mut self, patience: &mut Patience, most: usize) -> io::Result<Result<(), Silence>> {
        let before = self.pending.len();
        loop {
            let Some(slice) = patience.slice() else { return Ok(Err(Silence::Late)) };
            let start = Instant::now();
            if self.slice != Some(slice) {
                self.socket.set_read_timeout(Some(slice))?;
                self.slice = Some(slice);
            }
            self.pending.resize(before + most.min(1 << 20), 0);
            let read = read(&self.socket, &mut self.pending[before..], &mut self.passed);
            self.pending.truncate(before + read.as_ref().map_or(0, |&count| count));
            patience.count(start, slice);
            match read {
                Ok(0) => return Ok(Err(Silence::Closed)),
                Ok(_) => return Ok(Ok(())),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    ErrorKind::ConnectionReset => return Ok(Err(Silence::Closed)),
                    _ => return Err(error),
                },
            }
        }
    }
}

/// What speaks on a channel that another thread listens on.
pub struct Speaker(UnixStream);

impl Speaker {
    /// As [`Channel::send`].
    ///
    /// # Errors
    /// Of the socket: most often that the other side is gone.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        send(&mut self.0, message, &[])
    }

    /// Sends a message, and an end of another channel with it.
    pub(crate) fn pass(&mut self, message: &impl Serialize, end: &impl AsFd) -> io::Result<()> {
        let line = format!("{}\n", serde_json::to_string(message)?);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let ends = [end.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&ends));
        let parts = [IoSlice::new(line.as_bytes())];
        let sent = rustix::io::retry_on_intr(|| sendmsg(&self.0, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
        // The end has gone with the first byte.
        self.0.write_all(&line.as_bytes()[sent..])
    }

    /// From now on gives up after so long on a listener that takes nothing.
    pub(crate) fn limit_sending(&self, limit: Duration) -> io::Result<()> {
        limit_sending(&self.0, limit)
    }

    /// Ends the conversation, whoever listens on either side.
    pub fn hang_up(&self) {
        // Not connected any more: then it has ended already.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

fn limit_sending(socket: &UnixStream, limit: Duration) -> io::Result<()> {
    socket.set_write_timeout(Some(limit).filter(|limit| !limit.is_zero()))
}

/// Reads once, and what was passed with it.
fn read(socket: &UnixStream, into: &mut [u8], passed: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(socket, &mut [IoSliceMut::new(into)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(ends) = message {
            passed.extend(ends);
        }
    }
    Ok(read.bytes)
}

fn send(socket: &mut UnixStream, message: &impl Serialize, bytes: &[&[u8]]) -> io::Result<()> {
    let count: usize = bytes.iter().map(|part| part.len()).sum();
    let json = serde_json::to_string(message)?;
    let line = if count > 0 { format!("+{count} {json}\n") } else { format!("{json}\n") };
    socket.write_all(line.as_bytes())?;
    bytes.iter().try_for_each(|part| socket.write_all(part))
}

/// The JSON of a line and the number before it.
fn parts(line: &[u8]) -> Option<(&[u8], usize)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let Some(numbered) = line.strip_prefix(b"+") else { return Some((line, 0)) };
    let space = numbered.iter().position(|&byte| byte == b' ')?;
    let count = std::str::from_utf8(&numbered[..space]).ok()?.parse().ok()?;
    Some((&numbered[space + 1..], count))
}

/// Half a line is what it is, whatever came after it.
fn cut(silence: Silence, line: &[u8]) -> Silence {
    match silence {
        Silence::Closed => Silence::Nonsense(format!("half a line, {}", shown(line))),
        other => other,
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * SHOWN)]);
    let start: String = text.trim_end().chars().take(SHOWN).flat_map(char::escape_debug).collect();
    format!("`{start}`")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().expect("a pair");
        (ours, Channel::over(theirs.into()))
    }

    fn wait(channel: &mut Channel, most: usize) -> Result<Message<Vec<u32>>, Silence> {
        channel.wait(&mut Patience::of(Duration::from_secs(60)), most).expect("the socket works")
    }

    #[test]
    fn messages_and_bytes_arrive_as_they_were_sent() {
        let (mut ours, mut theirs) = pair();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                theirs.send(&[1, 2], &[]).expect("sent");
                theirs.send(&[3], &[&sent[..10], &sent[10..]]).expect("sent");
                theirs.send(&[0; 0], &[&[]]).expect("sent");
            });
            assert_eq!(wait(&mut ours, 0).expect("a message").said, [1, 2]);
            let message = wait(&mut ours, sent.len()).expect("a message");
            assert_eq!((message.said, message.bytes == sent), (vec![3], true));
            assert_eq!(wait(&mut ours, 0).expect("a message").said, [0; 0]);
        });
        drop(theirs);
        assert!(matches!(wait(&mut ours, 0), Err(Silence::Closed)));
    }

    #[test]
    fn whatever_else_comes_is_told_and_takes_no_memory() {
        for (text, expectation) in [
            ("hello\u{1b}[2J\n", "`hello\\u{1b}[2J`"),
            ("\n", "``"),
            ("[1]", "half a line, `[1]`"),
            ("+ [1]\n", "`+ [1]`"),
            ("+x [1]\n", "`+x [1]`"),
            ("+18446744073709551616 [1]\n", "`+18446744073709551616 [1]`"),
            ("+1000 [1]\n", "1000 bytes where 10 are the limit"),
            ("{\"a\": 1}\n", "`{\\\"a\\\": 1}`"),
        ] {
            let (mut ours, mut theirs) = pair();
            theirs.socket.write_all(text.as_bytes()).expect("written");
            drop(theirs);
            match wait(&mut ours, 10) {
                Err(Silence::Nonsense(found)) => assert_eq!(found, expectation),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        // A flood without a line's end.
        let (mut ours, mut theirs) = pair();
        std::thread::scope(|scope| {
            scope.spawn(move || while theirs.socket.write_all(&[b'x'; 1 << 16]).is_ok() {});
            assert!(matches!(wait(&mut ours, 0), Err(Silence::Nonsense(_))));
            assert!(ours.pending.len() <= LONGEST_LINE + (1 << 16));
            drop(ours);
        });
    }

    #[test]
    fn another_channel_is_passed() {
        let (mut ours, mut theirs) = pair();
        let mut more: Vec<_> = (0..3).map(|_| Channel::pair().expect("a pair")).collect();
        let mut speaker = ours.speaker().expect("a descriptor");
        for (number, (_, end)) in more.iter().enumerate() {
            speaker.pass(&[number], end).expect("passed");
        }
        assert!(theirs.take_passed().is_none(), "nothing was read yet");
        for (number, (kept, end)) in more.drain(..).enumerate() {
            drop(end);
            let mut kept = kept;
            assert_eq!(wait(&mut theirs, 0).expect("a message").said, [number as u32]);
            let mut passed = theirs.take_passed().expect("it came with the message");
            passed.send(&[7, number], &[]).expect("sent");
            assert_eq!(wait(&mut kept, 0).expect("a message").said, [7, number as u32]);
            drop(passed);
            assert!(matches!(wait(&mut kept, 0), Err(Silence::Closed)), "nobody else has that end");
        }
        theirs.send(&[1], &[]).expect("sent");
        assert_eq!(wait(&mut ours, 0).expect("a message").said, [1]);
    }

    #[test]
    fn patience_ends() {
        let (mut ours, mut theirs) = pair();
        let mut short = || ours.wait::<Vec<u32>>(&mut Patience::of(Duration::from_millis(20)), 10).expect("it works");
        assert!(matches!(short(), Err(Silence::Late)));
        theirs.socket.write_all(b"+4 [1]\nabc").expect("written");
        assert!(matches!(short(), Err(Silence::Late)), "a byte is missing");
    }
}
