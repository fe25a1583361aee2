//! The activation functions and their derivatives, element by element. No matrices here.

use std::fmt;
use std::str::FromStr;

use crate::scalar::Scalar;

/// The non-linearity `g` of a layer (notebook section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// g(z) = z.
    Identity,
    /// g(z) = 0 where z <= 0, else z; so that g(NaN) is NaN, as in NumPy's `maximum`.
    Relu,
    /// g(z) = 1 / (1 + exp(-z)).
    Sigmoid,
}

impl Activation {
    /// The notebook's activation of layer `index` (from 0) of so many: ReLU inside, sigmoid at the end.
    pub fn in_notebook(index: usize, layers: usize) -> Self {
        if index + 1 == layers { Activation::Sigmoid } else { Activation::Relu }
    }

    /// g(z).
    #[inline]
    pub fn apply<T: Scalar>(self, z: T) -> T {
        match self {
            Activation::Identity => z,
            // Not `z.max(0)`: Rust's max drops a NaN.
            Activation::Relu => {
                if z <= T::zero() {
                    T::zero()
                } else {
                    z
                }
            }
            Activation::Sigmoid => sigmoid(z),
        }
    }

    /// dz = da * g'(z) (notebook equation 11).
    ///
    /// Where ReLU is flat the answer is 0 whatever `da` is, NaN included; that is why this is not a product with g'(z).
    #[inline]
    pub fn pull_back<T: Scalar>(self, z: T, da: T) -> T {
        match self {
            Activation::Identity => da,
            Activation::Relu => {
                if z <= T::zero() {
                    T::zero()
                } else {
                    da
                }
            }
            Activation::Sigmoid => da * sigmoid_slope(z),
        }
    }
}

/// 1 / (1 + exp(-z)), with the exponential taken of a non-positive number so that it cannot overflow.
#[inline]
fn sigmoid<T: Scalar>(z: T) -> T {
    let one = T::one();
    if z >= T::zero() {
        one / (one + (-z).exp())
    } else {
        let e = z.exp();
        e / (one + e)
    }
}

/// s(z) (1 - s(z)) = e / (1 + e)^2 with e = exp(-|z|): no cancellation in 1 - s where s is close to 1.
#[inline]
fn sigmoid_slope<T: Scalar>(z: T) -> T {
    let one = T::one();
    let e = (-z.abs()).exp();
    let d = one + e;
    e / (d * d)
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
        })
    }
}

impl FromStr for Activation {
    type Err = ();

    /// Parses what `Display` writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "identity" => Ok(Activation::Identity),
            "relu" => Ok(Activation::Relu),
            "sigmoid" => Ok(Activation::Sigmoid),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn relu_follows_numpy_at_the_edges() {
        assert!(Activation::Relu.apply(f64::NAN).is_nan());
        assert_eq!(Activation::Relu.apply(f64::NEG_INFINITY), 0.0);
        assert_eq!(Activation::Relu.apply(f64::INFINITY), f64::INFINITY);
        assert!(Activation::Relu.apply(-0.0_f64).is_sign_positive());
        assert_eq!(Activation::Relu.pull_back(0.0, f64::NAN), 0.0);
        assert_eq!(Activation::Relu.pull_back(-1.0, f64::INFINITY), 0.0);
        assert_eq!(Activation::Relu.pull_back(f64::NAN, 3.0), 3.0);
        assert!(Activation::Relu.pull_back(1.0, f64::NAN).is_nan());
    }

    #[test]
    fn sigmoid_keeps_its_relative_accuracy_in_both_tails() {
        assert_relative_eq!(Activation::Sigmoid.apply(-700.0_f64), (-700.0_f64).exp(), max_relative = 1e-15);
        assert_eq!(Activation::Sigmoid.apply(-1000.0_f64), 0.0);
        assert_eq!(Activation::Sigmoid.apply(1000.0_f64), 1.0);
        assert_eq!(Activation::Sigmoid.apply(0.0_f32), 0.5);
        assert!(Activation::Sigmoid.apply(f32::NAN).is_nan());
        // The textbook s (1 - s) is 0 at z = 40; the slope is not.
        assert_relative_eq!(Activation::Sigmoid.pull_back(40.0_f64, 1.0), (-40.0_f64).exp(), max_relative = 1e-15);
        assert_eq!(Activation::Sigmoid.pull_back(0.0_f64, 4.0), 1.0);
    }
}
