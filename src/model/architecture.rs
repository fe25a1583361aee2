//! The sizes and activations of a network's layers, checked once.

use std::fmt;
use std::str::FromStr;

use super::Activation;
use crate::error::{Error, Result};

/// The shape of one layer and its activation: all that planning needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LayerSpec {
    /// n_prev, the number of inputs (rows of A_prev, columns of W).
    pub inputs: usize,
    /// n, the number of units (rows of W, Z and A).
    pub outputs: usize,
    /// The most examples of a call: m, the columns of A_prev, Z and A, is that or less.
    pub batch: usize,
    /// g.
    pub activation: Activation,
}

/// Layer sizes n0, n1, ..., nL and each layer's activation: at least one layer, no size zero. The notebook's networks are
/// `[LINEAR -> RELU] * (L-1) -> LINEAR -> SIGMOID`, which is what sizes alone stand for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Architecture {
    dims: Vec<usize>,
    /// Of layers 1 to L.
    activations: Vec<Activation>,
}

/// More parameters than this are refused: 2^31, 16 GiB of `f64` for the weights alone.
const MAX_PARAMETERS: usize = 1 << 31;

impl Architecture {
    /// From the notebook's `layer_dims`: input size first, output size last.
    ///
    /// # Errors
    /// [`Error::Architecture`] for fewer than two sizes, a zero, or more than 2^31 parameters.
    pub fn new(dims: &[usize]) -> Result<Self> {
        let found = || dims.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let refuse = |problem: String| Error::Architecture { found: found(), problem };
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
        let layers = dims.len() - 1;
        Ok(Architecture {
            dims: dims.to_vec(),
            activations: (0..layers).map(|index| Activation::in_notebook(index, layers)).collect(),
        })
    }

    /// The same sizes with other activations, one for each layer.
    ///
    /// # Errors
    /// [`Error::Architecture`] where there are more or fewer.
    pub fn with_activations(self, activations: &[Activation]) -> Result<Self> {
        if activations.len() != self.layers() {
            let problem = format!("it has {} layers, and there are {} activations", self.layers(), activations.len());
            return Err(Error::Architecture { found: self.to_string(), problem });
        }
        Ok(Architecture { activations: activations.to_vec(), ..self })
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

    /// The activation of each layer.
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// Layer `index` (from 0) for at most `batch` examples.
    pub fn layer(&self, index: usize, batch: usize) -> LayerSpec {
        let (inputs, outputs) = (self.dims[index], self.dims[index + 1]);
        LayerSpec { inputs, outputs, batch, activation: self.activations[index] }
    }

    /// The network above the first layer, or `None` where there is no other.
    pub fn above_first(&self) -> Option<Architecture> {
        (self.layers() > 1)
            .then(|| Architecture { dims: self.dims[1..].to_vec(), activations: self.activations[1..].to_vec() })
    }
}

impl fmt::Display for Architecture {
    /// `12288,20,7,5,1`; an activation that is not the notebook's stands after its layer's size, as in `5,4:sigmoid,1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sizes: Vec<String> = self.dims.iter().map(usize::to_string).collect();
        for (index, activation) in self.activations.iter().enumerate() {
            if *activation != Activation::in_notebook(index, self.layers()) {
                sizes[index + 1].push_str(&format!(":{activation}"));
            }
        }
        f.pad(&sizes.join(","))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    /// Parses what `Display` writes.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| Error::Architecture { found: text.into(), problem: problem.into() };
        let (mut dims, mut named) = (Vec::new(), Vec::new());
        for part in text.split(',') {
            let (size, activation) =
                part.split_once(':').map_or((part, None), |(size, name)| (size, Some(name.trim())));
            dims.push(
                size.trim()
                    .parse::<usize>()
                    .map_err(|_| refuse("expected whole numbers with commas between, such as 12288,20,7,5,1"))?,
            );
            named.push(activation);
        }
        let mut architecture = Architecture::new(&dims)?;
        for (index, name) in named.into_iter().enumerate() {
            let Some(name) = name else { continue };
            let activation = name
                .parse()
                .map_err(|_| refuse("expected identity, relu or sigmoid after a colon, such as 12288,20:sigmoid,1"))?;
            match index.checked_sub(1).and_then(|layer| architecture.activations.get_mut(layer)) {
                Some(place) => *place = activation,
                None => return Err(refuse("the first size is that of the input, which has no activation")),
            }
        }
        Ok(architecture)
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

    #[test]
    fn other_activations_are_named_after_the_size() {
        let net: Architecture = "5,4:sigmoid, 3 : identity ,2:relu,1:sigmoid".parse().expect("each is known");
        let expected = [Activation::Sigmoid, Activation::Identity, Activation::Relu, Activation::Sigmoid];
        assert_eq!(net.activations(), expected);
        assert_eq!(net.to_string(), "5,4:sigmoid,3:identity,2,1", "those of the notebook go without saying");
        assert_eq!(net.to_string().parse::<Architecture>().expect("it reads back"), net);
        assert_eq!(
            Architecture::new(&[5, 4, 3, 2, 1]).and_then(|net| net.with_activations(&expected)).expect("four"),
            net
        );
        assert_eq!(net.above_first().expect("three are left").to_string(), "4,3:identity,2,1");
        assert!(net.with_activations(&expected[1..]).is_err());
        for (text, part) in
            [("5,4:tan,1", "identity, relu or sigmoid"), ("5:relu,1", "of the input"), ("5,:relu", "whole")]
        {
            let error = text.parse::<Architecture>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
