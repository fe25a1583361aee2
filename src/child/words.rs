//! A child's last words: what it wrote to standard output and standard error, the beginning and the end of it.

use std::io::{PipeReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::panics::locked;

/// How much of the beginning and of the end is kept: a cause is told first or last, and a trace is long.
const KEPT: usize = 8 << 10;
/// How much of it a report shows.
const SHOWN: usize = 600;
/// A descendant of a child that has ended may keep the pipe open; it is not waited for longer than this.
const GRACE: Duration = Duration::from_millis(200);

/// Listens until the pipe is closed, so that a child never blocks on it.
pub(super) struct Words {
    heard: Arc<Mutex<Heard>>,
    listener: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Heard {
    fn add(&mut self, part: &[u8]) {
        let (first, rest) = part.split_at(part.len().min(KEPT - self.first.len()));
        self.first.extend_from_slice(first);
        self.last.extend_from_slice(rest);
        self.last.drain(..self.last.len().saturating_sub(KEPT));
    }

    fn text(&self) -> String {
        let all: Vec<u8> = self.first.iter().chain(&self.last).copied().collect();
        String::from_utf8_lossy(&all).into_owned()
    }
}

impl Words {
    pub fn of(mut pipe: PipeReader) -> std::io::Result<Self> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let theirs = Arc::clone(&heard);
        let listen = move || {
            let mut part = [0; 1024];
            while let Ok(count @ 1..) = pipe.read(&mut part) {
                locked(&theirs).add(&part[..count]);
            }
        };
        let listener = std::thread::Builder::new().name("last words".into()).spawn(listen)?;
        Ok(Words { heard, listener })
    }

    /// The words of a child that has ended, in short.
    pub fn last(&self) -> String {
        let start = Instant::now();
        while !self.listener.is_finished() && start.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(1));
        }
        short(&locked(&self.heard).text())
    }
}

/// The end of the text without stack traces; of a Rust panic the sentence, whatever came after it.
fn short(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut in_trace = false;
    for line in text.lines() {
        in_trace = line.trim() == "stack backtrace:" || in_trace && is_frame(line);
        if !(in_trace || line.trim().is_empty() || line.starts_with("note: ")) {
            kept.push(line);
        }
    }
    if let Some(panic) = kept.iter().rposition(|line| line.starts_with("thread ") && line.contains(" panicked at ")) {
        kept.drain(..panic);
        kept.truncate(4);
    }
    let text = kept.join("\n");
    let text = text.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(SHOWN));
    text[start..].to_owned()
}

/// Lines such as `  12: core::panicking::panic_fmt` and `      at /rustc/...`; and what stands for those left out.
fn is_frame(line: &str) -> bool {
    let line = line.trim_start();
    let numbered = line
        .split_once(':')
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    numbered || line.starts_with("at ") || line.starts_with("[...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_does_not_hide_the_cause() {
        let trace: String = (0..40)
            .map(|n| format!("  {n:>2}: std::io::stdio::Stdout as core::fmt::Write\n             at /rustc/abc/library/x.rs:{n}:1\n"))
            .collect();
        let end = "note: Some details are omitted, run with `RUST_BACKTRACE=full`.\n";
        let panic = format!(
            "progress\nthread 'main' (7) panicked at src/x.rs:3:5:\nno more memory\nstack backtrace:\n{trace}{end}"
        );
        assert_eq!(short(&panic), "thread 'main' (7) panicked at src/x.rs:3:5:\nno more memory");
        let abort = format!("memory allocation of 4096 bytes failed\nstack backtrace:\n{trace}{end}");
        assert_eq!(short(&abort), "memory allocation of 4096 bytes failed");
        assert_eq!(short("crashing: as announced\n"), "crashing: as announced");
        assert_eq!(short(""), "");
    }

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end() {
        let mut heard = Heard::default();
        heard.add(b"first words\n");
        for _ in 0..10_000 {
            heard.add(&[0xFF; 100]);
        }
        heard.add("\nlast words, with \u{e9}".as_bytes());
        assert!(heard.first.len() + heard.last.len() <= 2 * KEPT);
        let text = heard.text();
        assert!(text.starts_with("first words"));
        assert!(short(&text).ends_with("last words, with \u{e9}"));
        assert!(short(&text).len() <= SHOWN);
    }
}
