//! In the place of the reader of HDF5 files, in a build without libhdf5: says how to get it.

use std::convert::Infallible;
use std::path::Path;

use super::limits::Unpacked;
use super::{PictureSet, Split};
use crate::error::{Error, Result};

/// There is none.
pub(super) struct Opened(Infallible);

/// Refuses every file.
pub(super) fn open(path: &Path, _: Split) -> Result<Opened> {
    Err(Error::Data {
        path: path.to_owned(),
        problem: "this build cannot read HDF5; install libhdf5-dev and build with the `hdf5` feature".into(),
    })
}

impl Opened {
    pub fn unpacked(&self) -> Unpacked {
        match self.0 {}
    }

    pub fn read(self) -> Result<PictureSet> {
        match self.0 {}
    }
}
