//! Files that a verb reads, where `-` is standard input and `./-` a file of that name.

use std::io::stdin;
use std::path::Path;

use anyhow::bail;

use crate::error::{Error, Result};
use crate::files::at_most;

/// Standard input in messages.
pub(crate) const STDIN: &str = "standard input";

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The file behind it, to be compared with others.
pub(crate) fn file(path: &Path) -> &Path {
    if is_stdin(path) { Path::new("/dev/stdin") } else { path }
}

/// As messages name it.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { STDIN.into() } else { path.display().to_string() }
}

/// It can be read once.
pub(crate) fn expect_one_stdin<'a>(paths: impl IntoIterator<Item = &'a std::path::PathBuf>) -> anyhow::Result<()> {
    if paths.into_iter().filter(|path| is_stdin(path)).count() > 1 {
        bail!("`-` is standard input, which can be read once; a file of that name is `./-`");
    }
    Ok(())
}

/// All of standard input, unless that is more than `most` bytes.
pub(crate) fn read_stdin(most: u64) -> Result<Vec<u8>> {
    at_most(stdin().lock(), most).map_err(|source| Error::Io { action: "read", path: STDIN.into(), source })
}
