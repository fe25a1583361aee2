//! A model as an HDF5 file, for programs that read those: data sets W1, b1, ..., attributes with its provenance. Not read back.

use std::path::Path;

use hdf5::types::VarLenUnicode;

use super::Model;
use crate::error::{Error, Result};
use crate::scalar::{Scalar, ScalarKind};

/// Writes `model` to a new file at `path`.
///
/// # Errors
/// [`Error::Model`] with what libhdf5 reports.
pub fn write_hdf5<T: Scalar>(model: &Model<T>, path: &Path) -> Result<()> {
    let write = || -> hdf5::Result<()> {
        let file = hdf5::File::create(path)?;
        for index in 0..model.parameters.architecture().layers() {
            let layer = model.parameters.layer(index);
            for (name, matrix) in [("W", layer.w), ("b", layer.b)] {
                let (name, builder) = (format!("{name}{}", index + 1), file.new_dataset_builder());
                match T::KIND {
                    // Exact: it was an f32.
                    ScalarKind::F32 => builder.with_data(&matrix.mapv(|x| x.widen() as f32)).create(name.as_str())?,
                    ScalarKind::F64 => builder.with_data(&matrix.mapv(Scalar::widen)).create(name.as_str())?,
                };
            }
        }
        let provenance = serde_json::to_string(&model.provenance).expect("plain data");
        let text: VarLenUnicode = provenance.parse().map_err(|_| hdf5::Error::from("the provenance holds a NUL"))?;
        file.new_attr::<VarLenUnicode>().create("layerbench")?.write_scalar(&text)?;
        file.flush()
    };
    write()
        .map_err(|error| Error::Model { path: path.to_owned(), problem: format!("libhdf5 cannot write it: {error}") })
}
