//! Data for runs: seeded random examples, and pictures: the embedded synthetic set, the course's HDF5 files, and single PNG or JPEG
//! files. Nothing is downloaded, and nothing is written but a guarded reader's private copy.

mod digest;
mod examples;
mod file;
#[cfg(feature = "judge")]
pub mod guard;
#[cfg(feature = "judge")]
#[cfg_attr(not(feature = "hdf5"), path = "without_hdf5.rs")]
mod hdf5;
#[cfg(feature = "judge")]
mod limits;
#[cfg(feature = "cli")]
pub mod picture;
#[cfg(feature = "judge")]
mod reply;
mod synthetic;

use std::path::Path;

use ndarray::{ArcArray2, Array2};

pub(crate) use digest::Hasher;
pub use digest::Sha256;
pub use examples::Examples;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Labelled pictures, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureSet {
    /// Where they come from: a path, or `synthetic`.
    pub source: String,
    /// One picture per row: (m, height * width * 3), in the order row, column, channel.
    pub pixels: Array2<u8>,
    /// One label per picture, 0 or 1.
    pub labels: Vec<u8>,
    /// What 0 and 1 stand for.
    pub classes: [String; 2],
}

/// Which of the two files of the course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// `train_set_x`, `train_set_y`.
    Train,
    /// `test_set_x`, `test_set_y`.
    Test,
}

impl Split {
    /// `train` or `test`: how the names of its data sets begin.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl PictureSet {
    /// The embedded set: 209 training or 50 test pictures of 64 x 64 x 3 bytes, the same on every machine.
    pub fn synthetic(split: Split) -> Self {
        let pictures = match split {
            Split::Train => synthetic::train(),
            Split::Test => synthetic::test(),
        };
        let size = synthetic::SIDE * synthetic::SIDE * 3;
        let pixels = Array2::from_shape_vec((pictures.labels.len(), size), pictures.pixels)
            .expect("the generator makes whole pictures");
        PictureSet {
            source: "synthetic".into(),
            pixels,
            labels: pictures.labels,
            classes: synthetic::CLASSES.map(String::from),
        }
    }

    /// Reads a file as the course ships them: data sets `train_set_x` (or `test_set_x`) of bytes (m, height, width, 3),
    /// `train_set_y` of integers (m,), and `list_classes` of two different strings without control characters. At most 1 GiB,
    /// all of it written, and in this file: neither links nor external or virtual storage are followed.
    ///
    /// libhdf5 works in this process, and some malformed files make it crash: [`guard::read`] survives them.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`], which say what was expected and what was found; [`Error::Data`] also in a build
    /// without the `hdf5` feature.
    #[cfg(feature = "judge")]
    pub fn read_hdf5(path: &Path, split: Split) -> Result<Self> {
        hdf5::open(path, split)?.read()
    }

    /// The set, if it is one: as many labels as pictures, labels of 0 and 1, and two names that can be told apart and shown.
    fn checked(self) -> std::result::Result<Self, String> {
        if self.labels.len() != self.pixels.nrows() {
            return Err(format!("{} labels for {} pictures", self.labels.len(), self.pixels.nrows()));
        }
        if let Some(i) = self.labels.iter().position(|&label| label > 1) {
            return Err(format!("label {i} is {}; labels must be 0 or 1", self.labels[i]));
        }
        let [no, yes] = &self.classes;
        for (i, name) in self.classes.iter().enumerate() {
            if name.trim().is_empty() {
                return Err(format!("the name of class {i} is empty"));
            }
            if name.chars().any(char::is_control) {
                return Err(format!("the name of class {i} has a control character: `{}`", name.escape_debug()));
            }
        }
        if no == yes {
            return Err(format!("both classes are called `{no}`"));
        }
        Ok(self)
    }

    /// m, the number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The numbers of one picture: height * width * 3.
    pub fn features(&self) -> usize {
        self.pixels.ncols()
    }

    /// X (features, m): one picture per column, divided by 255. Divided in `f64` and rounded once.
    pub fn x<T: Scalar>(&self) -> ArcArray2<T> {
        let scaled: [T; 256] = std::array::from_fn(|byte| T::of(byte as f64 / 255.0));
        self.pixels.t().as_standard_layout().mapv(|byte| scaled[usize::from(byte)]).into_shared()
    }

    /// Y (1, m), of 0 and 1.
    pub fn y<T: Scalar>(&self) -> Array2<T> {
        Array2::from_shape_fn((1, self.len()), |(_, i)| T::of(f64::from(self.labels[i])))
    }

    /// SHA-256 of everything that training sees: sizes, pixels and labels, wherever they come from.
    pub fn fingerprint(&self) -> String {
        let mut hash = digest::Hasher::new();
        for size in [self.len(), self.features()] {
            hash.update(&(size as u64).to_le_bytes());
        }
        hash.update(self.pixels.as_standard_layout().as_slice().expect("standard layout"));
        hash.update(&self.labels);
        hash.finish().to_string()
    }

    /// Refuses a set that this network cannot be trained or tested on.
    ///
    /// # Errors
    /// [`Error::Mismatch`], naming both sizes.
    pub fn expect_features(&self, inputs: usize) -> Result<()> {
        if self.features() == inputs {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the network's input layer",
            expected: format!("{} units, one per number of a picture in {}", self.features(), self.source),
            found: inputs.to_string(),
        })
    }
}
