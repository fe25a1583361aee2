//! libhdf5's errors in words: what the library lacks is told apart from what is wrong with the file.

use hdf5::filters::Filter;
use hdf5::{Dataset, Error, MinorErrorCode};

/// How to mend what leads elsewhere.
pub(super) const COPY: &str = "write it again, in h5py with `new[name] = old[name][:]`";

/// Where `what` cannot be opened for being newer than this libhdf5.
pub(super) fn newer(what: &str, error: &Error) -> Option<String> {
    // Not by its code: half of libhdf5's checks of versions have another.
    if !error.stack()?.iter().any(|frame| frame.desc().contains("version")) {
        return None;
    }
    let (major, minor, patch) = hdf5::library_version();
    Some(format!(
        "{what} is in a newer format than this program's libhdf5 {major}.{minor}.{patch} knows, unless it is damaged ({error}); write it again \
         for older readers, in h5py with `h5py.File(name, 'w', libver=('earliest', 'v108'))`"
    ))
}

/// Why `what` cannot be opened.
pub(super) fn unopened(what: &str, error: &Error) -> String {
    newer(what, error).unwrap_or_else(|| format!("{what} is damaged: {error}"))
}

/// Why the values of `set` cannot be read.
pub(super) fn unread(set: &Dataset, error: &Error) -> String {
    let name = set.name();
    // Asked only now: a chunk may have been stored without its filter.
    let missing = set.filters().into_iter().find(|filter| !filter.decode_enabled());
    if let Some(filter) = missing {
        return format!(
            "{name} is packed by {}, which this program's libhdf5 cannot unpack; write it again \
             where it can be read, in h5py with `new.create_dataset(name, data=old[name][:], compression='gzip')`",
            filter_name(&filter)
        );
    }
    if error.contains_minor(MinorErrorCode::CantAlloc) || error.contains_minor(MinorErrorCode::NoSpace) {
        return format!("cannot read {name}: its values take more memory than it declares, or than there is ({error})");
    }
    format!("cannot read {name}: {error}")
}

/// From the HDF Group's list of registered filters, those that h5py and hdf5plugin write.
fn filter_name(filter: &Filter) -> String {
    let id = filter.id();
    let name = match id {
        1 => "gzip",
        4 => "szip",
        307 => "bzip2",
        32000 => "LZF",
        32001 => "Blosc",
        32004 => "LZ4",
        32008 => "Bitshuffle",
        32013 => "ZFP",
        32015 => "Zstandard",
        32017 => "SZ",
        32024 => "SZ3",
        32026 => "Blosc2",
        _ => return format!("filter {id}"),
    };
    format!("the filter {name} ({id})")
}
