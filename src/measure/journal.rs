//! Record files: JSON Lines, appended to and never rewritten. A line is written at once and synced, so that a run may be killed at
//! any moment; a last line that is torn is dropped on reading.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::record::{Record, SCHEMA};
use super::schema2;
use crate::error::{Error, Result};
use crate::files::read_at_most;
use crate::files::sync_folder_of;
use crate::text::{Mistake, json_problem};

/// A record file that is being written. One writer at a time: the file is locked.
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes of a torn last line that were cut off.
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
        sync_folder_of(path).map_err(failed("sync the folder of"))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy { path: path.into() },
            TryLockError::Error(source) => failed("lock")(source),
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("read"))?;
        let records = parse(path, &text)?;
        let whole = without_torn_end(&text);
        if whole.len() < text.len() {
            file.set_len(whole.len() as u64).map_err(failed("cut the torn last line off"))?;
        }
        if !whole.is_empty() && !whole.ends_with(b"\n") {
            file.write_all(b"\n").map_err(failed("write"))?;
        }
        Ok((Journal { file, path: path.into(), torn: text.len() - whole.len() }, records))
    }

    /// How many bytes of a torn last line were cut off when it was opened.
    pub fn torn(&self) -> usize {
        self.torn
    }

    /// Adds records in one write; on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, records: &[Record]) -> Result<()> {
        let lines: String = records.iter().map(line).collect();
        let outcome = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        outcome.map_err(|source| Error::Io { action: "write", path: self.path.clone(), source })
    }
}

/// The largest file that is read: a record is some kilobytes.
const MAX_BYTES: u64 = 4 << 30;

/// Reads a record file.
///
/// # Errors
/// [`Error::Io`], or [`Error::Record`] for a line that is no record, naming its number. A last line that is torn is none.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let text =
        read_at_most(path, MAX_BYTES).map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
    parse(path, &text)
}

/// The records in the text of a file; `path` is for messages.
///
/// # Errors
/// [`Error::Record`].
pub fn parse(path: &Path, text: &[u8]) -> Result<Vec<Record>> {
    let mut schema2 = schema2::Reader::default();
    let mut records = Vec::new();
    for (index, line) in without_torn_end(text).split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() || line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let refuse = |problem| Error::Record { path: path.into(), line: index + 1, problem };
        records.push(parse_line(line, &mut schema2).map_err(refuse)?);
    }
    Ok(records)
}

/// A record as it stands in a file, with its line's end.
pub fn line(record: &Record) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        schema: u32,
        #[serde(flatten)]
        record: &'a Record,
    }
    serde_json::to_string(&Line { schema: SCHEMA, record }).expect("records are plain data") + "\n"
}

/// The text less a last line that a killed run left unfinished: it has no end, and would be a record if it went on. Any other last line is
/// looked at like the rest: one that only lacks its line's end is whole, and what never was a record is an error. Where it is the first line too,
/// it must be long enough to be known for ours.
fn without_torn_end(text: &[u8]) -> &[u8] {
    let start = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let (whole, last) = text.split_at(start);
    let is_start_of = |begin: &[u8]| {
        last.iter().zip(begin).all(|(found, wanted)| found == wanted) && (start > 0 || last.len() >= begin.len())
    };
    let goes_on = |last: &[u8]| serde_json::from_slice::<IgnoredAny>(last).is_err_and(|error| error.is_eof());
    // Cut behind its point or sign a number is no number, whatever comes.
    let is_torn = || goes_on(last) || goes_on(&[last, b"0"].concat());
    if BEGINNINGS.iter().any(|begin| is_start_of(begin.as_bytes())) && is_torn() { whole } else { text }
}

/// How lines begin that this program writes, and those of schema 2. Nowhere else in them it stands like this.
const BEGINNINGS: [&str; 3] =
    ["{\"schema\":3,\"kind\":\"", "{\"kind\":\"machine\",\"schema\":2,", "{\"kind\":\"cell\",\"schema\":2,"];

/// What every version of the format has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

/// A record with its schema's number.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "schema")]
    _schema: u32,
    #[serde(flatten)]
    record: Record,
}

fn parse_line(text: &[u8], schema2: &mut schema2::Reader) -> std::result::Result<Record, String> {
    let Head { schema } = serde_json::from_slice(text).map_err(|error| what_it_seems(text, &error))?;
    let record = match schema {
        2 => schema2.read(text),
        SCHEMA => serde_json::from_slice(text).map(|Line { record, .. }| record),
        _ => {
            return Err(format!(
                "its schema is {schema}, and this version reads 2 and {SCHEMA}; read it with the version that wrote it"
            ));
        }
    };
    let record = record.map_err(|error| what_it_seems(text, &error))?;
    record.problem().map_or(Ok(record), |problem| Err(problem.into()))
}

/// What became of a line that is no JSON or has no schema: files are copied, glued together and cut by what knows nothing of lines.
fn what_it_seems(text: &[u8], error: &serde_json::Error) -> String {
    let find = |part: &str| text.windows(part.len()).skip(1).position(|window| window == part.as_bytes());
    let second = BEGINNINGS.iter().filter_map(|begin| find(begin)).min().map(|place| place + 2);
    let is_whole = |end: usize| serde_json::from_slice::<IgnoredAny>(&text[..end]).is_ok();
    if [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"].iter().any(|mark| text.starts_with(mark)) {
        return "it is no record: it begins with a byte order mark; save the file as UTF-8 without one".into();
    }
    match (text.iter().filter(|&&byte| byte == 0).count(), second) {
        (nuls @ 1.., _) => format!(
            "it is no record: {nuls} of its {} bytes are NUL, as a crash or a network file system leaves them; what stood there is lost: delete \
             the NULs, and the line where they are within a record",
            text.len()
        ),
        (_, Some(column)) if is_whole(column - 1) => format!(
            "it is two records: a line's end is missing before column {column}, as where files were glued together; put one there"
        ),
        (_, Some(column)) => format!(
            "it is no record: one that is torn, it seems, with another behind it from column {column}; delete what is before that"
        ),
        _ if error.is_eof() => {
            "it is no record: the rest of it is missing, it seems; delete the line, and `measure` makes up for it"
                .into()
        }
        _ => match std::str::from_utf8(text) {
            Ok(text) => {
                let Mistake { column, problem, .. } = json_problem(text, error);
                format!("it is no record: column {column}: {problem}")
            }
            Err(_) => "it is no record: not UTF-8".into(),
        },
    }
}
