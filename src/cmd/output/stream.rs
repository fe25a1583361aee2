//! Outputs that cannot be replaced, only written to: devices, pipes, and this process's own descriptors.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::cmd::paths::is_of_descriptors;
use crate::files::folder_of;

/// How long a pipe's reader may take to come. Both are often started at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens what `path`, without links in it, leads to; none for a file, for a folder, and where nothing is.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    if is_of_descriptors(folder_of(path)) {
        return descriptor(path).map(Some);
    }
    match path.metadata() {
        Ok(metadata) if metadata.file_type().is_fifo() => pipe(path).map(Some),
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => open_at_once(path).map(Some),
        _ => Ok(None),
    }
}

/// Standard output and standard error are shared, place and all. Opened anew, a file would be written over from its beginning.
fn descriptor(path: &Path) -> io::Result<File> {
    let is_own = Path::new("/proc/self/fd").canonicalize().is_ok_and(|own| own == folder_of(path));
    let shared = match path.file_name().and_then(|name| name.to_str()) {
        Some("1") if is_own => io::stdout().as_fd().try_clone_to_owned()?,
        Some("2") if is_own => io::stderr().as_fd().try_clone_to_owned()?,
        _ => return OpenOptions::new().append(true).open(path),
    };
    Ok(shared.into())
}

/// A pipe that nobody reads would hold a plain `open` for ever.
fn pipe(path: &Path) -> io::Result<File> {
    let start = Instant::now();
    loop {
        match open_at_once(path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                if start.elapsed() > PATIENCE {
                    return Err(io::Error::other("nobody reads this pipe; start its reader first"));
                }
                std::thread::sleep(PATIENCE / 100);
            }
            opened => return opened,
        }
    }
}

/// Opens without waiting; writing waits as usual.
fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().write(true).custom_flags(flags as i32).open(path)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}
