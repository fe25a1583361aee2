//! The one table of shapes and seeds that all checks share. What is done with a shape is the checks' business.

use std::fmt;
use std::str::FromStr;

use rand_mt::Mt;

use crate::error::{Error, Result};
use crate::layer::{Activation, LayerSpec};
use crate::workload::Workload;

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
    pub const fn spec(self, activation: Activation) -> LayerSpec {
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
    /// So large that work is shared out among threads, along each axis.
    SharedOut,
    /// The cube of 0 to 17 (a sample of it, but for the first seed of [`Depth::Full`]), and the sizes around powers of two on each axis.
    Exact,
    /// The layers of the suite's workloads at their batches.
    Workload,
    /// Drawn log-uniformly, others in each run: what no table thinks of.
    Drawn,
    /// The same, smaller: for checks that call a layer many times or whose reference is slow.
    DrawnLittle,
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

const SHARED_OUT: [Shape; 2] = [Shape::new(24, 3000, 40), Shape::new(16, 40, 3500)];

const EMPTY: [Shape; 5] =
    [Shape::new(4, 0, 5), Shape::new(4, 3, 0), Shape::new(0, 3, 5), Shape::new(0, 0, 0), Shape::new(4, 0, 0)];

/// Where kernels change from whole tiles to tails.
const EDGES: [usize; 12] = [31, 32, 33, 63, 64, 65, 127, 128, 129, 208, 209, 210];
/// Sizes of the cube.
const CUBE: usize = 18;

/// What the shapes of a table depend on.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// How many there are.
    pub depth: Depth,
    /// The seed of the data.
    pub seed: u32,
    /// The seed of this run's drawn shapes.
    pub run: u32,
    /// The check that they are for: each has shapes of its own.
    pub check: &'a str,
    /// The workloads whose layers are tried.
    pub workloads: &'a [Workload],
    /// Whether it is the first seed of the run: what is large and stands in tables is tried with it alone, but for [`Depth::Full`].
    pub is_first: bool,
}

impl Table {
    /// The shapes of a table.
    pub fn shapes(self, draw: &Draw<'_>) -> Vec<Shape> {
        let Draw { depth, seed, .. } = *draw;
        match self {
            Table::Ordinary if depth == Depth::Quick => ORDINARY.iter().copied().step_by(2).collect(),
            Table::Ordinary => ORDINARY.to_vec(),
            Table::Little => LITTLE.to_vec(),
            Table::Long => LONG.to_vec(),
            Table::SharedOut => SHARED_OUT.to_vec(),
            Table::Workload if draw.is_first || depth == Depth::Full => layers(draw.workloads),
            Table::Workload => Vec::new(),
            Table::Drawn => drawn(draw, [21, 23, 27]),
            Table::DrawnLittle => drawn(draw, [17, 19, 22]),
            Table::Empty => EMPTY.to_vec(),
            Table::Exact => cube(depth, seed).into_iter().chain(edges(depth, seed)).collect(),
        }
    }
}

/// Each layer of the workloads once.
fn layers(workloads: &[Workload]) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for workload in workloads {
        for index in 0..workload.architecture.layers() {
            let LayerSpec { inputs, outputs, batch, .. } = workload.architecture.layer(index, workload.batch);
            let shape = Shape::new(outputs, inputs, batch);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

/// The largest units, inputs and examples that are drawn: beyond those of the reference workload, and large ones together.
const LARGEST: [f64; 3] = [4096.0, 16384.0, 8192.0];

/// A few shapes whose sizes have every order of magnitude equally often; at most 2^`limits` multiply-adds by the depth, and matrices of
/// at most half as many elements.
fn drawn(draw: &Draw<'_>, limits: [u32; 3]) -> Vec<Shape> {
    let (count, limit) = match draw.depth {
        Depth::Quick => (3, limits[0]),
        Depth::Normal => (4, limits[1]),
        Depth::Full => (16, limits[2]),
    };
    let mut random = Mt::new(mixed(draw));
    let mut size = |largest: f64| {
        let exponent = f64::from(random.next_u32()) / f64::from(u32::MAX) * (largest + 1.0).ln();
        (exponent.exp() as usize).clamp(1, largest as usize)
    };
    let mut shapes = Vec::new();
    while shapes.len() < count {
        let shape = Shape::new(size(LARGEST[0]), size(LARGEST[1]), size(LARGEST[2]));
        let Shape { outputs, inputs, batch } = shape;
        let elements = (outputs * inputs).max(inputs * batch).max(outputs * batch);
        if shape.work() <= 1 << limit && elements <= 1 << (limit - 1) {
            shapes.push(shape);
        }
    }
    shapes
}

/// One number of all that shapes depend on (FNV-1a).
fn mixed(draw: &Draw<'_>) -> u32 {
    let numbers = draw.run.to_le_bytes().into_iter().chain(draw.seed.to_le_bytes());
    numbers
        .chain(draw.check.bytes())
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
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
    fn drawn_shapes_differ_by_run_and_check_and_cover_every_size() {
        let draw = |run, check| Draw { depth: Depth::Full, seed: 1, run, check, workloads: &[], is_first: true };
        let of = |run, check| Table::Drawn.shapes(&draw(run, check));
        assert_eq!(of(1, "a"), of(1, "a"));
        assert!(of(1, "a") != of(2, "a") && of(1, "a") != of(1, "b"));
        let many: Vec<Shape> = (0..200).flat_map(|run| of(run, "a")).collect();
        let share =
            |fits: fn(&Shape) -> bool| many.iter().filter(|shape| fits(shape)).count() as f64 / many.len() as f64;
        // Each factor of two of a size has about as many as any other.
        assert!(share(|shape| shape.inputs > 300) > 0.2 && share(|shape| shape.inputs <= 4) > 0.05);
        assert!(share(|shape| shape.outputs > 130) > 0.2 && share(|shape| shape.batch > 210) > 0.2);
        assert!(share(|shape| shape.outputs > 256 && shape.batch > 256) > 0.01);
        assert!(many.iter().all(|shape| shape.work() <= 1 << 27));
        let shipped = layers(&Workload::embedded());
        assert!(shipped.contains(&Shape::new(20, 12288, 209)) && shipped.contains(&Shape::new(4, 2, 400)));
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
