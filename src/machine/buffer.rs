//! Memory to read from: mapped on its own, with small or with huge pages, and given back at the end. No clock here.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A cache line: aligned, so that no load straddles two.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line(pub [u64; 8]);

/// The pages that memory was asked for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pages {
    /// The system's ordinary ones, mostly of 4 KB.
    Small,
    /// Those that `madvise(MADV_HUGEPAGE)` asks for: 2 MB, where the system has them at hand.
    Huge,
}

/// No huge page that is worth having is larger; a mapping that starts and ends at a multiple can consist of them wholly.
const HUGE: usize = 2 << 20;

/// Lines of memory. All zero, and on no page, before [`touch`](Self::touch).
pub struct Buffer {
    lines: NonNull<Line>,
    count: usize,
    touched: bool,
    mapping: *mut c_void,
    mapped: usize,
}

// SAFETY: the mapping is this value's own; nothing else points into it.
unsafe impl Send for Buffer {}

impl Buffer {
    /// At least `bytes`, in whole lines. Not a `Vec`: an allocator hands out memory that was in use before, on whatever pages that had, and
    /// ends the program where the system has no more.
    ///
    /// # Errors
    /// [`Error::Refused`] where the system has not so much memory, or no such pages.
    pub fn new(bytes: usize, pages: Pages) -> Result<Self> {
        let refused = |what: String, error: rustix::io::Errno| Error::Refused { what, reason: error.to_string() };
        let mapped = bytes.checked_next_multiple_of(HUGE).and_then(|bytes| bytes.checked_add(HUGE));
        let mapped = mapped.ok_or_else(|| Error::refused_memory(bytes))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, wherever the system likes.
        let mapping = unsafe { mmap_anonymous(std::ptr::null_mut(), mapped, access, MapFlags::PRIVATE) };
        let mapping = mapping.map_err(|error| refused(format!("{} MB of memory", bytes.div_ceil(1_000_000)), error))?;
        let start = mapping.cast::<u8>().wrapping_add(mapping.cast::<u8>().align_offset(HUGE)).cast::<Line>();
        let lines = NonNull::new(start).expect("the system maps nothing at address 0");
        let buffer = Buffer { lines, count: bytes.div_ceil(size_of::<Line>()), touched: false, mapping, mapped };
        advise(&buffer, pages).map_err(|error| refused("huge pages".into(), error))?;
        Ok(buffer)
    }

    /// Gives each word its own index, the first time: then its page exists, near the thread that calls.
    pub fn touch(&mut self) {
        if std::mem::replace(&mut self.touched, true) {
            return;
        }
        // SAFETY: `count` lines from `lines` on are in the mapping, which starts at most `HUGE` before them; zeros are a `Line`; and it is
        // borrowed mutably.
        let lines = unsafe { std::slice::from_raw_parts_mut(self.lines.as_ptr(), self.count) };
        for (index, line) in lines.iter_mut().enumerate() {
            *line = Line(std::array::from_fn(|word| (8 * index + word) as u64));
        }
    }
}

/// Writes `bytes` of fresh memory and gives them back: nothing that was in a cache of that size is there any more. Nobody holds the memory
/// meanwhile: of many processes that do this in turn each may take as much as the caches have.
///
/// # Errors
/// [`Error::Refused`] where the system has not so much memory.
pub fn flush_caches(bytes: usize) -> Result<()> {
    // Not everywhere are there huge pages.
    Buffer::new(bytes, Pages::Huge).or_else(|_| Buffer::new(bytes, Pages::Small))?.touch();
    Ok(())
}

impl Deref for Buffer {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: as in `touch`, borrowed for reading.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr(), self.count) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, and nobody borrows it. It fails for no mapping that exists.
        let _ = unsafe { munmap(self.mapping, self.mapped) };
    }
}

#[cfg(target_os = "linux")]
fn advise(buffer: &Buffer, pages: Pages) -> rustix::io::Result<()> {
    use rustix::mm::{Advice, madvise};
    let advise = |advice| {
        // SAFETY: of the whole of a mapping, and neither advice changes what is in it.
        unsafe { madvise(buffer.mapping, buffer.mapped, advice) }
    };
    match pages {
        Pages::Huge => advise(Advice::LinuxHugepage),
        Pages::Small => {
            // Some systems give huge pages to all. A kernel that has none refuses, and that is as good.
            let _ = advise(Advice::LinuxNoHugepage);
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &Buffer, pages: Pages) -> rustix::io::Result<()> {
    match pages {
        Pages::Huge => Err(rustix::io::Errno::NOTSUP),
        Pages::Small => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_index_and_lines_are_whole() {
        for (bytes, lines) in
            [(0, 0), (1, 1), (64, 1), (1000 * 64 + 1, 1001), (HUGE, HUGE / 64), (HUGE + 1, HUGE / 64 + 1)]
        {
            let mut buffer = Buffer::new(bytes, Pages::Small).expect("there is memory");
            assert_eq!(buffer.len(), lines, "{bytes} bytes");
            buffer.touch();
            let words: Vec<u64> = buffer.iter().flat_map(|line| line.0).collect();
            assert!(words.iter().enumerate().all(|(index, &word)| word == index as u64), "{bytes} bytes");
            assert!(buffer.as_ptr().addr().is_multiple_of(HUGE));
        }
    }

    #[test]
    fn too_much_memory_is_an_error() {
        for bytes in [isize::MAX as usize / 2, usize::MAX] {
            let error = Buffer::new(bytes, Pages::Small).err().expect("nobody has so much").to_string();
            assert!(error.contains("MB of memory") && error.contains("ulimit -v"), "{error}");
        }
    }
}
