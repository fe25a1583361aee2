//! What must be saved of a training run to go on bit for bit.

use std::collections::BTreeMap;

use ndarray::{ArcArray2, ArrayView2, ArrayViewMut2};

use super::Params;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Named tensors. Parameters are `W1`, `b1`, `W2`, ..., the layers counted from 1; update rules and ways of the first layer add their own.
#[derive(Clone, Debug, PartialEq)]
pub struct State<T> {
    tensors: BTreeMap<String, Tensor<T>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor<T> {
    /// In the run's scalar type.
    Matrix(ArcArray2<T>),
    /// In `f64`, whatever the run's scalar type is: a generator's spare number.
    Wide(Vec<f64>),
    /// A step's number, a generator's position.
    Counts(Vec<u64>),
}

impl<T> Default for State<T> {
    fn default() -> Self {
        State { tensors: BTreeMap::new() }
    }
}

impl<T: Scalar> State<T> {
    /// Every tensor with its name, in the order of the names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor<T>)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Adds a tensor, or replaces the one of that name.
    pub fn put(&mut self, name: impl Into<String>, tensor: Tensor<T>) {
        self.tensors.insert(name.into(), tensor);
    }

    /// Adds the tensors of another.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a name that is there already, or that files of the run have for something else (`costs`).
    pub fn absorb(&mut self, other: State<T>) -> Result<()> {
        for (name, tensor) in other.tensors {
            if name == "costs" || self.tensors.contains_key(&name) {
                let expected = "names that are not taken".into();
                return Err(Error::Mismatch { what: "what an update rule saves", expected, found: name });
            }
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }

    /// Adds a copy of a matrix.
    pub fn put_matrix(&mut self, name: impl Into<String>, matrix: ArrayView2<'_, T>) {
        self.put(name, Tensor::Matrix(matrix.to_owned().into_shared()));
    }

    /// Adds W and b of layer `index`, from 0.
    pub fn put_layer(&mut self, index: usize, params: Params<'_, T>) {
        let [w, b] = names(index);
        self.put_matrix(w, params.w);
        self.put_matrix(b, params.b);
    }

    /// Copies W and b of layer `index` (from 0) out of it.
    ///
    /// # Errors
    /// As [`copy_matrix`](Self::copy_matrix).
    pub fn copy_layer(&self, index: usize, w: ArrayViewMut2<'_, T>, b: ArrayViewMut2<'_, T>) -> Result<()> {
        let [w_name, b_name] = names(index);
        self.copy_matrix(&w_name, w)?;
        self.copy_matrix(&b_name, b)
    }

    /// A matrix of it, of whatever shape.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there is none of that name.
    pub fn matrix(&self, name: &str) -> Result<ArrayView2<'_, T>> {
        match self.tensors.get(name) {
            Some(Tensor::Matrix(matrix)) => Ok(matrix.view()),
            found => Err(unlike(name, format!("a matrix {name}"), found)),
        }
    }

    /// Copies a matrix out of it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there is none of that name and shape.
    pub fn copy_matrix(&self, name: &str, mut to: ArrayViewMut2<'_, T>) -> Result<()> {
        match self.tensors.get(name) {
            Some(Tensor::Matrix(matrix)) if matrix.dim() == to.dim() => {
                to.assign(matrix);
                Ok(())
            }
            found => Err(unlike(name, format!("a matrix {name} of shape {:?}", to.dim()), found)),
        }
    }

    /// Numbers in `f64`, so many.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there are none of that name and length.
    pub fn wide(&self, name: &str, length: usize) -> Result<&[f64]> {
        match self.tensors.get(name) {
            Some(Tensor::Wide(numbers)) if numbers.len() == length => Ok(numbers),
            found => Err(unlike(name, format!("{length} f64 numbers {name}"), found)),
        }
    }

    /// Whole numbers, so many.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there are none of that name and length.
    pub fn counts(&self, name: &str, length: usize) -> Result<&[u64]> {
        match self.tensors.get(name) {
            Some(Tensor::Counts(numbers)) if numbers.len() == length => Ok(numbers),
            found => Err(unlike(name, format!("{length} whole numbers {name}"), found)),
        }
    }
}

/// W and b of layer `index`, from 0.
fn names(index: usize) -> [String; 2] {
    ["W", "b"].map(|name| format!("{name}{}", index + 1))
}

fn unlike<T>(name: &str, expected: String, found: Option<&Tensor<T>>) -> Error {
    let found = match found {
        None => format!("none called {name}"),
        Some(Tensor::Matrix(matrix)) => format!("a matrix of shape {:?}", matrix.dim()),
        Some(Tensor::Wide(numbers)) => format!("{} f64 numbers", numbers.len()),
        Some(Tensor::Counts(numbers)) => format!("{} whole numbers", numbers.len()),
    };
    Error::Mismatch { what: "the saved state", expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn what_is_put_comes_back_and_what_is_not_there_is_named() {
        let mut state = State::<f64>::default();
        let (w, b) = (array![[1.0, f64::NAN, -0.0]], array![[4.0]]);
        state.put_layer(1, Params { w: w.view(), b: b.view() });
        state.put("adam.step", Tensor::Counts(vec![7]));
        state.put("random.spare", Tensor::Wide(vec![0.5]));
        assert_eq!(
            state.tensors().map(|(name, _)| name).collect::<Vec<_>>(),
            ["W2", "adam.step", "b2", "random.spare"]
        );
        let (mut w_back, mut b_back) = (Array2::zeros((1, 3)), Array2::zeros((1, 1)));
        state.copy_layer(1, w_back.view_mut(), b_back.view_mut()).expect("they are there");
        let bits = |matrix: &Array2<f64>| matrix.mapv(f64::to_bits);
        assert_eq!((bits(&w_back), b_back), (bits(&w), b));
        assert_eq!(state.counts("adam.step", 1).expect("it is there"), [7]);
        assert_eq!(state.wide("random.spare", 1).expect("it is there"), [0.5]);

        let (mut w1, mut b1) = (Array2::zeros((3, 2)), Array2::zeros((3, 1)));
        let told = state.copy_layer(0, w1.view_mut(), b1.view_mut()).expect_err("W1 is not there").to_string();
        assert!(told.contains("a matrix W1 of shape (3, 2)") && told.contains("none called W1"), "{told}");
        let told = state.counts("W2", 1).expect_err("it is a matrix").to_string();
        assert!(told.contains("1 whole numbers W2") && told.contains("a matrix of shape (1, 3)"), "{told}");
        let mut other = State::<f64>::default();
        other.put("velocity", Tensor::Wide(vec![1.0]));
        state.absorb(other.clone()).expect("it has a name of its own");
        assert!(state.absorb(other).expect_err("it is there").to_string().contains("velocity"));
        let mut costs = State::<f64>::default();
        costs.put("costs", Tensor::Wide(vec![1.0]));
        assert!(state.absorb(costs).is_err());
        assert!(state.wide("random.spare", 2).is_err() && state.copy_matrix("W2", array![[0.0]].view_mut()).is_err());
    }
}
