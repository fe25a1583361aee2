//! X and Y of a run, in the scalar type of the run: seeded random numbers or pictures, and their checksum.

use ndarray::{ArcArray2, Array2};

use super::PictureSet;
use super::digest::Hasher;
use crate::model::NumpyRandom;
use crate::scalar::Scalar;

/// The examples of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples<T: Scalar> {
    /// X (n0, m), one example per column.
    pub x: ArcArray2<T>,
    /// Y (nL, m), of 0 and 1.
    pub y: Array2<T>,
}

impl<T: Scalar> Examples<T> {
    /// X standard normal, Y fair coins; NumPy's generator after `np.random.seed(seed)`, X first.
    pub fn normal(inputs: usize, outputs: usize, batch: usize, seed: u32) -> Self {
        let mut random = NumpyRandom::new(seed);
        let x = Array2::from_shape_simple_fn((inputs, batch), || T::of(random.normal())).into_shared();
        let y = Array2::from_shape_simple_fn((outputs, batch), || T::of(f64::from(u8::from(random.uniform() < 0.5))));
        Examples { x, y }
    }

    /// The pictures of a set.
    pub fn of_pictures(pictures: &PictureSet) -> Self {
        Examples { x: pictures.x(), y: pictures.y() }
    }

    /// SHA-256 of the numbers as little-endian `f64`, X first, both row by row; hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = Hasher::new();
        for row in self.x.rows().into_iter().chain(self.y.rows()) {
            let bytes: Vec<u8> = row.iter().flat_map(|number| number.widen().to_le_bytes()).collect();
            hash.update(&bytes);
        }
        hash.finish().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    #[test]
    fn the_checksum_sees_every_number() {
        let examples = Examples::<f64>::normal(3, 2, 5, 1);
        assert_eq!(examples.sha256(), Examples::<f64>::normal(3, 2, 5, 1).sha256());
        assert_ne!(examples.sha256(), Examples::<f64>::normal(3, 2, 5, 2).sha256());
        for position in 0..15 {
            let mut changed = examples.clone();
            let number = changed.x.as_slice_mut().map(|x| &mut x[position]).expect("contiguous");
            *number = number.next_up();
            assert_ne!(changed.sha256(), examples.sha256(), "number {position}");
        }
    }

    #[test]
    fn labels_are_both_zero_and_one() {
        let examples = Examples::<f32>::normal(1, 4, 100, 2);
        let ones = examples.y.iter().filter(|&&y| y == 1.0).count();
        assert!(examples.y.iter().all(|&y| y == 0.0 || y == 1.0) && (150..250).contains(&ones), "{ones}");
        assert_eq!(Examples::<f64>::of_pictures(&PictureSet::synthetic(Split::Test)).x.dim(), (12288, 50));
    }
}
