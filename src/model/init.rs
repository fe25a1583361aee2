//! NumPy-compatible random numbers and the ways to initialise weights. No other distributions.

use std::fmt;
use std::str::FromStr;

use rand_mt::Mt;

use super::{State, Tensor};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

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
    seed: u32,
    /// Numbers of 32 bits that were drawn.
    position: u64,
    /// The second value of the last pair: it comes next.
    spare: Option<f64>,
}

impl NumpyRandom {
    /// As after `np.random.seed(seed)`.
    pub fn new(seed: u32) -> Self {
        NumpyRandom { bits: Mt::new(seed), seed, position: 0, spare: None }
    }

    /// Adds what it needs to go on with the next number: `<name>.generator` (seed, position), and `<name>.spare` where it has one.
    pub fn save<T: Scalar>(&self, name: &str, state: &mut State<T>) {
        state.put(format!("{name}.generator"), Tensor::Counts(vec![self.seed.into(), self.position]));
        state.put(format!("{name}.spare"), Tensor::Wide(self.spare.into_iter().collect()));
    }

    /// The generator that was saved under this name.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where there is none.
    pub fn restored<T: Scalar>(name: &str, state: &State<T>) -> Result<Self> {
        let generator = state.counts(&format!("{name}.generator"), 2)?;
        let (seed, position) = (generator[0], generator[1]);
        let mut random = NumpyRandom::new(u32::try_from(seed).map_err(|_| Error::Mismatch {
            what: "the saved state",
            expected: format!("a seed of 32 bits in {name}.generator"),
            found: seed.to_string(),
        })?);
        // So many take ten seconds; nobody draws more of them for a network.
        const MOST: u64 = 1 << 32;
        if position > MOST {
            return Err(Error::Mismatch {
                what: "the saved state",
                expected: format!("at most {MOST} numbers drawn in {name}.generator"),
                found: position.to_string(),
            });
        }
        for _ in 0..position {
            random.next();
        }
        let spare = format!("{name}.spare");
        random.spare = match state.wide(&spare, 1) {
            Ok(spare) => spare.first().copied(),
            Err(_) => state.wide(&spare, 0).map(|_| None)?,
        };
        Ok(random)
    }

    fn next(&mut self) -> u32 {
        self.position += 1;
        self.bits.next_u32()
    }

    /// As `np.random.random_sample()`: uniform on [0, 1), from the top 27 and 26 bits of two outputs.
    pub fn uniform(&mut self) -> f64 {
        let high = f64::from(self.next() >> 5);
        let low = f64::from(self.next() >> 6);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_was_saved_goes_on_with_the_next_number() {
        for drawn in [0, 1, 2, 7, 1000] {
            let mut random = NumpyRandom::new(7);
            for _ in 0..drawn {
                random.normal();
            }
            let mut state = State::<f32>::default();
            random.save("dropout", &mut state);
            let mut restored = NumpyRandom::restored("dropout", &state).expect("it was saved");
            for number in 0..5 {
                assert_eq!(restored.normal().to_bits(), random.normal().to_bits(), "{number} after {drawn}");
            }
        }
        assert!(NumpyRandom::restored("dropout", &State::<f64>::default()).is_err());
    }
}
