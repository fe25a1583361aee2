//! The one table of shapes and seeds that all checks share. What is done with a shape is the checks' business.

use std::fmt;
use std::str::FromStr;

use rand_mt::Mt;

use crate::error::{Error, Result};
use crate::layer::{Activation, LayerSpec};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Seconds: before timing, and in a gate that runs at every commit.
    Quick,
    /// A minute or two.
    Normal,
    /// Every small shape, more seeds, whole training curves.
    Full,
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Depth::Quick => "quick",
            Depth::Normal => "normal",
            Depth::Full => "full",
        })
    }
}

/// The sizes of one layer: n units, n_prev inputs, m examples. Written `7x33x209`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// n.
    pub outputs: usize,
    /// n_prev.
    pub inputs: usize,
    /// m.
    pub batch: usize,
}

impl Shape {
    /// n, n_prev, m.
    pub const fn new(outputs: usize, inputs: usize, batch: usize) -> Self {
        Shape { outputs, inputs, batch }
    }

    /// With an activation it is all that planning needs.
    pub fn spec(self, activation: Activation) -> LayerSpec {
        LayerSpec { inputs: self.inputs, outputs: self.outputs, batch: self.batch, activation }
    }

    /// Multiply-adds of one product.
    pub fn work(self) -> usize {
        self.outputs.saturating_mul(self.inputs).saturating_mul(self.batch)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}x{}", self.outputs, self.inputs, self.batch))
    }
}

/// Multiply-adds that a shape may ask for: its reference is computed by slow loops.
const MAX_WORK: f64 = (1_u64 << 28) as f64;

impl FromStr for Shape {
    type Err = Error;

    /// Parses `7x33x209`.
    fn from_str(text: &str) -> Result<Self> {
        let sizes: Vec<usize> = text.split('x').map_while(|size| size.parse().ok()).collect();
        match sizes[..] {
            [outputs, inputs, batch]
                if text.split('x').count() == 3
                    && [outputs.max(1), inputs.max(1), batch.max(1)].iter().map(|&n| n as f64).product::<f64>()
                        <= MAX_WORK =>
            {
                Ok(Shape { outputs, inputs, batch })
            }
            _ => Err(Error::Setting {
                what: "the shape",
                found: text.into(),
                expected: "units, inputs and examples, such as 7x33x209, at most 2^28 multiply-adds",
            }),
        }
    }
}

/// The part of the table that a check runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Sizes around lane widths, one of each, a batch of 209, and more units than a tile has rows.
    Ordinary,
    /// The same, without those whose reference is slow.
    Little,
    /// Long sums along each axis.
    Long,
    /// The cube of 0 to 17 (a sample of it, but for the first seed of [`Depth::Full`]), and the sizes around powers of two on each axis.
    Exact,
    /// The first layer of the reference workload.
    Workload,
    /// A size of zero on each axis.
    Empty,
}

const ORDINARY: [Shape; 10] = [
    Shape::new(1, 1, 1),
    Shape::new(1, 7, 3),
    Shape::new(5, 1, 9),
    Shape::new(4, 9, 1),
    Shape::new(7, 33, 209),
    Shape::new(20, 130, 17),
    Shape::new(33, 16, 15),
    Shape::new(66, 65, 31),
    Shape::new(3, 257, 64),
    Shape::new(40, 300, 130),
];

const LITTLE: [Shape; 6] = [
    Shape::new(1, 1, 1),
    Shape::new(3, 5, 7),
    Shape::new(8, 8, 8),
    Shape::new(6, 17, 4),
    Shape::new(17, 3, 9),
    Shape::new(5, 12, 33),
];

const LONG: [Shape; 3] = [Shape::new(3, 12288, 5), Shape::new(3, 5, 4096), Shape::new(2049, 3, 5)];

const WORKLOAD: [Shape; 1] = [Shape::new(20, 12288, 209)];

const EMPTY: [Shape; 5] =
    [Shape::new(4, 0, 5), Shape::new(4, 3, 0), Shape::new(0, 3, 5), Shape::new(0, 0, 0), Shape::new(4, 0, 0)];

/// Where kernels change from whole tiles to tails.
const EDGES: [usize; 12] = [31, 32, 33, 63, 64, 65, 127, 128, 129, 208, 209, 210];
/// Sizes of the cube.
const CUBE: usize = 18;

impl Table {
    /// The shapes for a depth and a seed; only [`Table::Exact`] depends on the seed.
    pub fn shapes(self, depth: Depth, seed: u32) -> Vec<Shape> {
        match self {
            Table::Ordinary if depth == Depth::Quick => ORDINARY.iter().copied().step_by(2).collect(),
            Table::Ordinary => ORDINARY.to_vec(),
            Table::Little => LITTLE.to_vec(),
            Table::Long => LONG.to_vec(),
            Table::Workload => WORKLOAD.to_vec(),
            Table::Empty => EMPTY.to_vec(),
            Table::Exact => cube(depth, seed).into_iter().chain(edges(depth, seed)).collect(),
        }
    }
}

/// The seeds of a depth.
pub fn seeds(depth: Depth) -> Vec<u32> {
    let count = match depth {
        Depth::Quick => 1,
        Depth::Normal => 2,
        Depth::Full => 5,
    };
    (1..=count).collect()
}

/// Every n, n_prev and m from 0 to 17 (once: with the first seed), or a sample.
fn cube(depth: Depth, seed: u32) -> Vec<Shape> {
    let at = |i: usize| Shape::new(i / (CUBE * CUBE), i / CUBE % CUBE, i % CUBE);
    let sample = match depth {
        Depth::Quick => 40,
        Depth::Full if seed == 1 => return (0..CUBE.pow(3)).map(at).collect(),
        Depth::Normal | Depth::Full => 300,
    };
    let mut random = Mt::new(seed);
    (0..sample).map(|_| at(random.next_u32() as usize % CUBE.pow(3))).collect()
}

/// Each edge size on each axis in turn, with small odd sizes on the others; and cubes of three of them.
fn edges(depth: Depth, seed: u32) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (i, &size) in EDGES.iter().enumerate() {
        let on_axis = [Shape::new(size, 7, 5), Shape::new(5, size, 7), Shape::new(7, 5, size)];
        match depth {
            // One axis for each size; the seed moves them on.
            Depth::Quick => shapes.push(on_axis[(i + seed as usize) % 3]),
            Depth::Normal | Depth::Full => shapes.extend(on_axis),
        }
    }
    shapes.push(Shape::new(31, 33, 32));
    if depth > Depth::Quick {
        shapes.extend([Shape::new(65, 63, 64), Shape::new(127, 129, 128), Shape::new(5, 209, 209)]);
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_read_back_and_nonsense_is_refused() {
        for shape in ORDINARY.into_iter().chain(EMPTY) {
            assert_eq!(shape.to_string().parse::<Shape>().expect("a shape"), shape);
        }
        for bad in ["", "3", "3x4", "3x4x5x6", "3x-4x5", "axbxc", "3x4x5x"] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_full_cube_is_whole_and_samples_depend_on_the_seed() {
        let full = cube(Depth::Full, 1);
        assert_eq!(full.iter().collect::<std::collections::HashSet<_>>().len(), 18 * 18 * 18);
        assert_ne!(cube(Depth::Quick, 1), cube(Depth::Quick, 2));
        assert_eq!(cube(Depth::Normal, 7), cube(Depth::Normal, 7));
    }

    #[test]
    fn every_edge_is_on_every_axis() {
        let shapes = edges(Depth::Normal, 1);
        for size in EDGES {
            assert!(shapes.iter().any(|s| s.outputs == size), "{size} units");
            assert!(shapes.iter().any(|s| s.inputs == size), "{size} inputs");
            assert!(shapes.iter().any(|s| s.batch == size), "{size} examples");
        }
    }
}
