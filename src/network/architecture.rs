//! The sizes of a network's layers, checked once. Parameters and activations are elsewhere.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::layer::{Activation, LayerSpec};

/// Layer sizes n0, n1, ..., nL of a `[LINEAR -> RELU] * (L-1) -> LINEAR -> SIGMOID` network: at least one layer, no size zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Architecture {
    dims: Vec<usize>,
}

/// More parameters than this are refused: 2^31, 16 GiB of `f64` for the weights alone.
const MAX_PARAMETERS: usize = 1 << 31;

impl Architecture {
    /// From the notebook's `layer_dims`: input size first, output size last.
    ///
    /// # Errors
    /// [`Error::Architecture`] for fewer than two sizes, a zero, or more than 2^31 parameters.
    pub fn new(dims: &[usize]) -> Result<Self> {
        let refuse = |problem: String| Error::Architecture { found: join(dims), problem };
        if dims.len() < 2 {
            return Err(refuse("expected an input size and at least one layer, such as 12288,20,7,5,1".into()));
        }
        if let Some(position) = dims.iter().position(|&n| n == 0) {
            return Err(refuse(format!("size number {} is zero; every size must be at least 1", position + 1)));
        }
        let count = dims.windows(2).try_fold(0_usize, |sum, pair| {
            pair[1].checked_mul(pair[0].checked_add(1)?).and_then(|layer| sum.checked_add(layer))
        });
        if count.is_none_or(|count| count > MAX_PARAMETERS) {
            return Err(refuse(format!("that is more than {MAX_PARAMETERS} parameters")));
        }
        Ok(Architecture { dims: dims.to_vec() })
    }

    /// All sizes, the input's first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// L, the number of layers with weights.
    pub fn layers(&self) -> usize {
        self.dims.len() - 1
    }

    /// n0, the number of inputs.
    pub fn inputs(&self) -> usize {
        self.dims[0]
    }

    /// nL, the number of output units.
    pub fn outputs(&self) -> usize {
        self.dims[self.dims.len() - 1]
    }

    /// The shape of layer `index` (from 0) for a batch of m examples: ReLU inside, sigmoid at the end.
    pub fn layer(&self, index: usize, batch: usize) -> LayerSpec {
        let activation = if index + 1 == self.layers() { Activation::Sigmoid } else { Activation::Relu };
        LayerSpec { inputs: self.dims[index], outputs: self.dims[index + 1], batch, activation }
    }

    /// The network above the first layer, or `None` where there is no other.
    pub fn above_first(&self) -> Option<Architecture> {
        (self.layers() > 1).then(|| Architecture { dims: self.dims[1..].to_vec() })
    }
}

fn join(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&join(&self.dims))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    /// Parses `12288,20,7,5,1`.
    fn from_str(text: &str) -> Result<Self> {
        let dims = text.split(',').map(|size| size.trim().parse::<usize>()).collect::<std::result::Result<Vec<_>, _>>();
        match dims {
            Ok(dims) => Architecture::new(&dims),
            Err(_) => Err(Error::Architecture {
                found: text.into(),
                problem: "expected whole numbers with commas between, such as 12288,20,7,5,1".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_architectures_are_refused_with_the_reason() {
        for (text, part) in [
            ("", "whole numbers"),
            ("5", "at least one layer"),
            ("5,0,1", "size number 2 is zero"),
            ("5,-1", "whole numbers"),
            ("5,1.5", "whole numbers"),
            ("18446744073709551615,1", "more than"),
            ("4000000000,4000000000,1", "more than"),
            ("99999999999999999999999,1", "whole numbers"),
        ] {
            let error = text.parse::<Architecture>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn activations_are_relu_inside_and_sigmoid_at_the_end() {
        let net: Architecture = "5, 4,1".parse().expect("spaces are fine");
        assert_eq!(net.layer(0, 3), LayerSpec { inputs: 5, outputs: 4, batch: 3, activation: Activation::Relu });
        assert_eq!(net.layer(1, 3).activation, Activation::Sigmoid);
        assert_eq!(net.above_first().map(|n| n.to_string()), Some("4,1".into()));
    }
}
