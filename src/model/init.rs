//! NumPy-compatible random numbers and the ways to initialise weights. No other distributions.

use std::fmt;
use std::str::FromStr;

use rand_mt::Mt;

use crate::error::{Error, Result};

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// `randn * scale`: the notebook has 0.01.
    Normal(f64),
    /// `randn / sqrt(n_prev)`: the L-layer model of the follow-up notebook.
    InverseSqrt,
    /// `randn * sqrt(2 / n_prev)`: He et al. 2015.
    He,
}

impl Init {
    /// One weight of a layer with `inputs` inputs, in the very operations that the course's NumPy code uses, for the last bit.
    pub(super) fn weight(self, inputs: usize, random: &mut NumpyRandom) -> f64 {
        match self {
            Init::Zeros => 0.0,
            Init::Normal(scale) => random.normal() * scale,
            Init::InverseSqrt => random.normal() / (inputs as f64).sqrt(),
            Init::He => random.normal() * (2.0 / inputs as f64).sqrt(),
        }
    }
}

impl FromStr for Init {
    type Err = Error;

    /// Parses `zeros`, `inv-sqrt`, `he` or a finite positive number.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "zeros" => Ok(Init::Zeros),
            "inv-sqrt" => Ok(Init::InverseSqrt),
            "he" => Ok(Init::He),
            _ => match text.parse::<f64>() {
                Ok(scale) if scale.is_finite() && scale > 0.0 => Ok(Init::Normal(scale)),
                _ => Err(Error::Init { found: text.into() }),
            },
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Init::Zeros => f.pad("zeros"),
            Init::Normal(scale) => write!(f, "{scale}"),
            Init::InverseSqrt => f.pad("inv-sqrt"),
            Init::He => f.pad("he"),
        }
    }
}

/// NumPy's legacy generator, `np.random.seed(seed)`: MT19937, 53-bit uniforms, and normals by Marsaglia's polar method.
/// Bit for bit NumPy's numbers where the logarithm is the one that NumPy uses (the system's C library).
pub struct NumpyRandom {
    bits: Mt,
    /// The second value of the last pair: it comes next.
    spare: Option<f64>,
}

impl NumpyRandom {
    /// As after `np.random.seed(seed)`.
    pub fn new(seed: u32) -> Self {
        NumpyRandom { bits: Mt::new(seed), spare: None }
    }

    /// As `np.random.random_sample()`: uniform on [0, 1), from the top 27 and 26 bits of two outputs.
    pub fn uniform(&mut self) -> f64 {
        let high = f64::from(self.bits.next_u32() >> 5);
        let low = f64::from(self.bits.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// As `np.random.randn()`.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.spare = Some(f * x1);
                return f * x2;
            }
        }
    }
}
