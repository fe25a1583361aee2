//! Memory that parent and child have mapped. What lies where is the parent's decision.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};

use super::protocol::Region;
use crate::scalar::Scalar;

/// What may be done with memory.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Read,
    Write,
}

/// A mapping of shared memory, aligned to a page.
pub(super) struct Arena {
    base: NonNull<u8>,
    bytes: usize,
    /// What it is of: the other side opens it by the path for as long as it is here.
    _file: OwnedFd,
    path: PathBuf,
}

// SAFETY: it is memory of the process, not of a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// New memory, full of zeros. The child cannot change its size.
    pub fn create(bytes: usize) -> io::Result<Self> {
        let file = memory(bytes)?;
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        Arena::map(file, path, bytes)
    }

    /// The parent's memory, in the child.
    pub fn open(path: &Path, bytes: usize) -> io::Result<Self> {
        let file = std::fs::File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the arena is smaller than was said"));
        }
        Arena::map(file.into(), path.to_owned(), bytes)
    }

    fn map(file: OwnedFd, path: PathBuf, bytes: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the system chooses touches no other memory.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, &file, 0)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Arena { base, bytes, _file: file, path })
    }

    /// How large it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the child opens it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes its first bytes.
    pub fn write(&mut self, image: &[u8]) {
        assert!(image.len() <= self.bytes, "an image fits its arena");
        // SAFETY: the mapping has so many bytes and `image` is not part of it: nobody here has a reference into the parent's mapping.
        unsafe { ptr::copy_nonoverlapping(image.as_ptr(), self.base.as_ptr(), image.len()) };
    }

    /// Reads its bytes from `offset` on, as the child left them.
    pub fn read(&self, offset: usize, image: &mut [u8]) {
        assert!(image.len() <= self.bytes - offset, "an image fits its arena");
        // SAFETY: as above. A child that still writes makes the bytes arbitrary, and all bytes are numbers; they are copied once and only
        // the copy is looked at.
        unsafe { ptr::copy_nonoverlapping(self.base.as_ptr().add(offset), image.as_mut_ptr(), image.len()) };
    }

    /// A matrix of the arena, in the child.
    ///
    /// # Safety
    /// No mutable view overlaps it while it lives.
    pub unsafe fn view<T: Scalar>(&self, place: &Region) -> Result<ArrayView2<'_, T>, String> {
        let length = self.checked::<T>(place)?;
        // SAFETY: `checked` has found the elements to lie inside, aligned; every pattern of bits is a number; the caller vouches for aliases.
        let elements = unsafe { std::slice::from_raw_parts(self.at(place), length) };
        let mut view = ArrayView2::from_shape(place.dim.strides(place.strides), elements).map_err(|e| e.to_string())?;
        reverse(place, |axis| view.invert_axis(axis));
        Ok(view)
    }

    /// The same for an output.
    ///
    /// # Safety
    /// No other view overlaps it while it lives.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches for aliases")]
    pub unsafe fn view_mut<T: Scalar>(&self, place: &Region) -> Result<ArrayViewMut2<'_, T>, String> {
        let length = self.checked::<T>(place)?;
        // SAFETY: as in `view`.
        let elements = unsafe { std::slice::from_raw_parts_mut(self.at(place), length) };
        let view = ArrayViewMut2::from_shape(place.dim.strides(place.strides), elements);
        let mut view = view.map_err(|e| e.to_string())?;
        reverse(place, |axis| view.invert_axis(axis));
        Ok(view)
    }

    /// Makes its first bytes, whole pages, writable or not. Who writes to them all the same is ended by a signal.
    pub fn protect(&self, bytes: usize, access: Access) -> io::Result<()> {
        let bytes = bytes.min(self.bytes);
        let flags = match access {
            Access::Read => MprotectFlags::READ,
            Access::Write => MprotectFlags::READ | MprotectFlags::WRITE,
        };
        // SAFETY: the pages are of this mapping; views that are made of them while they are read-only are of inputs.
        unsafe { mprotect(self.base.as_ptr().cast(), bytes, flags)? };
        Ok(())
    }

    fn at<T>(&self, place: &Region) -> *mut T {
        // SAFETY: only called for places that `checked` has found to lie inside; an empty one may have its offset at the end.
        unsafe { self.base.as_ptr().add(place.offset) }.cast()
    }

    /// The number of elements from the lowest to the highest, all inside and aligned.
    fn checked<T>(&self, place: &Region) -> Result<usize, String> {
        let extent = place.extent().ok_or("a matrix is too large")?;
        let end = extent.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(place.offset));
        let is_inside = end.is_some_and(|end| end <= self.bytes) && place.offset.is_multiple_of(align_of::<T>());
        if is_inside { Ok(extent) } else { Err("a matrix lies outside of the arena".into()) }
    }
}

fn reverse(place: &Region, mut invert: impl FnMut(Axis)) {
    let (rows, columns) = place.reversed;
    if rows {
        invert(Axis(0));
    }
    if columns {
        invert(Axis(1));
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no view outlives the borrow of `self` that it has.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(target_os = "linux")]
fn memory(bytes: usize) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let file = memfd_create("layerbench", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, bytes as u64)?;
    // A child that shortened it would have the parent killed at its next look.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Children need `/proc`.
#[cfg(not(target_os = "linux"))]
fn memory(_: usize) -> io::Result<OwnedFd> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "memory is shared with children on Linux only"))
}
