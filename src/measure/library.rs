//! What a backend computed with, and the file that it is in: a library's name and version do not tell two builds apart.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use object::Object;
use serde::{Deserialize, Serialize};

use crate::data::Sha256;

/// What computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// As the engine says: library, version, kernel.
    pub description: String,
    /// The file that it was loaded from; none where it is part of the program.
    pub path: Option<String>,
    /// Of that file.
    pub sha256: Option<String>,
    /// What the linker noted in that file (`NT_GNU_BUILD_ID`), in hexadecimal digits; distributions name debug symbols by it.
    pub build_id: Option<String>,
}

impl Library {
    /// What an engine of this process says, and the file that it says it from. What cannot be read of that is left out.
    pub fn of(description: String, path: Option<&Path>) -> Self {
        Library::in_file(description, path, is_mapped)
    }

    fn in_file(description: String, path: Option<&Path>, is_it: impl FnOnce(&File) -> bool) -> Self {
        let file = path.and_then(|path| File::open(path).ok()).filter(is_it);
        Library {
            description,
            path: path.map(|path| path.to_string_lossy().into_owned()),
            sha256: file.as_ref().and_then(|file| Sha256::of_all(file).ok()).map(|digest| digest.to_string()),
            build_id: file.and_then(build_id),
        }
    }

    /// Whether both are the same, as far as it is known: two builds differ in their digest, two kernels of one build in the description.
    pub fn is_same(&self, other: &Library) -> bool {
        let digests = self.sha256.as_ref().zip(other.sha256.as_ref());
        self.description == other.description && digests.is_none_or(|(ours, theirs)| ours == theirs)
    }
}

/// The description, and the start of the digest where it is known.
impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)?;
        match self.sha256.as_ref().and_then(|digest| digest.get(..12)) {
            Some(start) => write!(f, " (sha256 {start})"),
            None => Ok(()),
        }
    }
}

/// Whether code of this process comes from this file: another may have taken its name since. Where the system does not tell, it does.
fn is_mapped(file: &File) -> bool {
    let (Ok(maps), Ok(metadata)) = (std::fs::read_to_string("/proc/self/maps"), file.metadata()) else { return true };
    let inode = metadata.ino().to_string();
    maps.lines().any(|line| line.split_ascii_whitespace().nth(4) == Some(&inode))
}

fn build_id(file: impl Read + Seek) -> Option<String> {
    let file = object::ReadCache::new(file);
    let id = object::File::parse(&file).ok()?.build_id().ok()??.to_vec();
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_file_is_known_by_its_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lib.so");
        std::fs::write(&path, "no library").expect("written");
        let of = |path| Library::in_file("BLAS 1".into(), path, |_| true);
        let found = of(Some(&path));
        assert_eq!(found.sha256, Some(Sha256::of("no library").to_string()));
        assert_eq!((&found.path, &found.build_id), (&Some(path.to_string_lossy().into_owned()), &None));
        // Another build under the same name.
        std::fs::write(&path, "another").expect("written");
        assert!(found.is_same(&found.clone()) && !found.is_same(&of(Some(&path))));
        // Where nothing is known of the file the description decides.
        assert!(found.is_same(&of(None)) && of(None).is_same(&found));
        assert!(!of(None).is_same(&Library::of("BLAS 2".into(), None)));
        assert!(!found.is_same(&Library { description: "BLAS 1, another kernel".into(), ..found.clone() }));
        // Nothing here was loaded from it: it took the name of what was.
        let replaced = Library::of("BLAS 1".into(), Some(&path));
        assert_eq!((replaced.path, replaced.sha256), (Some(path.to_string_lossy().into_owned()), None));
        let ours = std::env::current_exe().expect("we run");
        assert!(Library::of("ours".into(), Some(&ours)).sha256.is_some());
        let gone = Path::new("/no/such/lib.so");
        assert_eq!((of(Some(gone)).path.as_deref(), of(Some(gone)).sha256), (Some("/no/such/lib.so"), None));
    }

    /// A file of 64-bit ELF with nothing in it but a note.
    fn elf(note: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        // A shared object for x86-64, format version 1; two section headers of 64 bytes after the note, which has to serve for their names.
        file[16..24].copy_from_slice(&[3, 0, 62, 0, 1, 0, 0, 0]);
        let headers = 64 + note.len() as u64;
        file[40..48].copy_from_slice(&headers.to_le_bytes());
        file[52..64].copy_from_slice(&[64, 0, 56, 0, 0, 0, 64, 0, 2, 0, 1, 0]);
        file.extend_from_slice(note);
        // The first section is always empty; the second is of type 7, a note.
        let mut section = [0; 64];
        section[4] = 7;
        section[24] = 64;
        section[32] = note.len() as u8;
        section[48] = 4;
        file.extend([[0; 64], section].concat());
        file
    }

    #[test]
    fn a_build_id_is_that_of_the_note() {
        let note =
            |name: &[u8; 4]| [&[4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0], &name[..], &[0xde, 0xad, 0x0b, 0xef]].concat();
        assert_eq!(build_id(Cursor::new(elf(&note(b"GNU\0")))), Some("dead0bef".into()));
        assert_eq!(build_id(Cursor::new(elf(&note(b"BSD\0")))), None);
        let whole = elf(&note(b"GNU\0"));
        for end in 0..whole.len() {
            assert_eq!(build_id(Cursor::new(&whole[..end])), None, "cut at {end}");
        }
    }
}
