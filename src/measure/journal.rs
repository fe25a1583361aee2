//! Record files: JSON Lines, appended to and never rewritten. A line is written at once and synced, so that a run may be killed at
//! any moment; a last line without its end is dropped on reading.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::{Record, SCHEMA};
use crate::error::{Error, Result};

/// A record file that is being written. One writer at a time: the file is locked.
pub struct Journal {
    file: File,
    path: PathBuf,
    torn: usize,
}

impl Journal {
    /// Opens or creates the file; answers what is in it too. A last line that an earlier run was killed in is cut off
    /// ([`torn`](Self::torn)); a file with anything else in it than records stays as it is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Busy`] where another process is writing it, [`Error::Record`] for a line that is none.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>)> {
        let failed = |action| move |source| Error::Io { action, path: path.into(), source };
        // Asked before it is opened: reading a pipe would wait for its other end, and a device keeps nothing.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let source = std::io::Error::other("expected a file, found a folder, a device or a pipe");
            return Err(failed("keep records in")(source));
        }
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed("open for writing"))?;
        // The file's name must outlive a power cut too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy { path: path.into() },
            TryLockError::Error(source) => failed("lock")(source),
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("read"))?;
        let records = parse(path, &text)?;
        let whole = whole_lines(&text).len();
        let torn = &text[whole..];
        if !torn.is_empty() {
            expect_ours(path, records.len() + 1, torn)?;
            file.set_len(whole as u64).map_err(failed("cut the torn last line off"))?;
        }
        Ok((Journal { file, path: path.into(), torn: torn.len() }, records))
    }

    /// The bytes of a torn last line that were cut off.
    pub fn torn(&self) -> usize {
        self.torn
    }

    /// Adds records in one write; on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, records: &[Record]) -> Result<()> {
        let line = |record| serde_json::to_string(record).expect("records are plain data") + "\n";
        let lines: String = records.iter().map(line).collect();
        let outcome = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        outcome.map_err(|source| Error::Io { action: "write", path: self.path.clone(), source })
    }
}

/// Reads a record file.
///
/// # Errors
/// [`Error::Io`], or [`Error::Record`] for a line that is no record, naming its number. A last line without its end is none.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let text = std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
    parse(path, &text)
}

/// How the lines that are written here begin: what begins in another way was not torn from one of them.
const BEGINNINGS: [&[u8]; 2] = [br#"{"kind":"machine","schema":"#, br#"{"kind":"cell","schema":"#];

fn expect_ours(path: &Path, line: usize, torn: &[u8]) -> Result<()> {
    if BEGINNINGS.iter().any(|&beginning| torn.starts_with(beginning) || beginning.starts_with(torn)) {
        return Ok(());
    }
    let problem = "it is no record, and has no end; the file was left as it is: name another one, or remove the line";
    Err(Error::Record { path: path.into(), line, problem: problem.into() })
}

/// Everything up to the last line's end.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    &text[..end]
}

/// The records in the text of a file; `path` is for messages.
///
/// # Errors
/// [`Error::Record`].
pub fn parse(path: &Path, text: &[u8]) -> Result<Vec<Record>> {
    let whole = whole_lines(text);
    let lines = whole.strip_suffix(b"\n").map(|lines| lines.split(|&byte| byte == b'\n'));
    lines.into_iter().flatten().enumerate().map(|(index, line)| parse_line(path, index + 1, line)).collect()
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

fn parse_line(path: &Path, line: usize, text: &[u8]) -> Result<Record> {
    let refuse = |problem: String| Error::Record { path: path.into(), line, problem };
    let Head { schema } = serde_json::from_slice(text).map_err(|error| refuse(format!("it is no record: {error}")))?;
    if schema != SCHEMA {
        return Err(refuse(format!(
            "its schema is {schema}, and this version reads {SCHEMA}; read it with the version that wrote it"
        )));
    }
    let record = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
    match &record {
        Record::Cell(cell) if cell.problem().is_some() => Err(refuse(cell.problem().unwrap_or_default().into())),
        _ => Ok(record),
    }
}
