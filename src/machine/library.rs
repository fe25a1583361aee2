//! Which file a function came from: the way to know what was linked, whatever the link line said.

use std::ffi::{CStr, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file, library or executable, that holds the code or data at `address`; links resolved. `None` where the loader knows none.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the address is compared, never followed")]
pub fn library_of(address: *const c_void) -> Option<PathBuf> {
    // SAFETY: an all-zero Dl_info is a valid one (null pointers).
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: dladdr only compares the address with what is loaded; `info` may be written.
    let found = unsafe { libc::dladdr(address, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded, so the name is a NUL-terminated string that lives as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    Some(path.canonicalize().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_code_is_in_our_executable() {
        let ours = library_of(our_own_code_is_in_our_executable as *const c_void).expect("it is loaded");
        let executable = std::env::current_exe().expect("we run").canonicalize().expect("it exists");
        assert_eq!(ours, executable);
        assert_eq!(library_of(std::ptr::null()), None);
    }
}
