//! A product of matrices in blocks that fit the caches, made of tiles that fit the registers. No threads here: whoever calls shares out parts.
//!
//! Each element of C is summed in an order that follows from the shape alone: over chunks of the sum one after the other, in a chunk step by
//! step. What part of C is asked for changes no bit of it.

use std::ops::Range;

use super::kernels::{Kernels, Packing, Tile};
use crate::scalar::Scalar;
use crate::simd::prefetch;

/// Bytes of a panel of B in a chunk at most: with a tile's share of A, they are to stay in the L1 cache.
const PANEL_BYTES: usize = 24 << 10;
/// Bytes of all panels of B in a chunk, about, where they are read as they lie: two chunks, this and the next, are to stay in the L2 cache.
const CHUNK_BYTES: usize = 64 << 10;
/// Steps of a chunk at least: the sums so far are read and written once in each.
const LEAST_DEPTH: usize = 48;
/// Rows of A that are packed at once: with a chunk's steps, they are to stay in the L2 cache.
const PACKED_ROWS: usize = 192;
/// Tiles of rows from which on it pays to pack a panel of B that could be read as it lies.
const TILES_TO_PACK: usize = 6;

/// An operand as it lies in memory: rows, of adjacent numbers.
#[derive(Clone, Copy)]
pub(super) struct Operand<T> {
    pub at: *const T,
    /// From one row to the next.
    pub stride: usize,
    /// Whether the sum runs along each row; otherwise each row is a step of it.
    pub is_summed_along_rows: bool,
}

impl<T: Scalar> Operand<T> {
    /// The number of an index (a row or a column of C) at a step of the sum.
    ///
    /// # Safety
    /// It is in the operand.
    unsafe fn at(&self, index: usize, step: usize) -> *const T {
        let (row, column) = if self.is_summed_along_rows { (index, step) } else { (step, index) };
        // SAFETY: the caller's promise.
        unsafe { self.at.add(row * self.stride + column) }
    }

    /// # Safety
    /// Indices and steps are in the operand, and there is room for them and a vector more.
    unsafe fn pack(&self, kernels: &Kernels<T>, indices: Range<usize>, steps: Range<usize>, to: *mut T, width: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let from = self.at(indices.start, steps.start);
            let packing = Packing { from, stride: self.stride, count: indices.len(), steps: steps.len(), to, width };
            if self.is_summed_along_rows { (kernels.pack_across)(&packing) } else { (kernels.pack_along)(&packing) }
        }
    }
}

/// `C = scale * A B`; C is (rows, columns), its rows `c_stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    pub a: Operand<T>,
    pub b: Operand<T>,
    pub c: *mut T,
    pub c_stride: usize,
    /// Rows and columns of all of C, and the steps of each sum.
    pub dim: (usize, usize),
    pub steps: usize,
    pub scale: T,
}

// SAFETY: threads that share one write to different parts of C, as `compute` asks.
unsafe impl<T: Scalar> Send for Product<T> {}
// SAFETY: as above.
unsafe impl<T: Scalar> Sync for Product<T> {}

/// Which elements of C, and which steps of their sums.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub steps: Range<usize>,
}

/// Memory for what is packed.
pub(super) struct Scratch<T> {
    a: Aligned<T>,
    b: Aligned<T>,
}

impl<T: Scalar> Scratch<T> {
    /// For parts of at most so many rows and steps.
    pub fn new(kernels: &Kernels<T>, rows: usize, steps: usize) -> Self {
        let panel = kernels.vectors * kernels.lanes;
        let depth = depth(kernels, true, panel).min(steps);
        Scratch {
            a: Aligned::new(rows.min(PACKED_ROWS) * depth + kernels.lanes),
            b: Aligned::new(panel * depth + kernels.lanes),
        }
    }
}

/// Numbers that start at a cache line: a vector that lies across two costs two loads.
struct Aligned<T> {
    numbers: Vec<T>,
    start: usize,
}

impl<T: Scalar> Aligned<T> {
    fn new(count: usize) -> Self {
        let numbers = vec![T::zero(); count + 64 / size_of::<T>()];
        let start = numbers.as_ptr().align_offset(64);
        Aligned { numbers, start }
    }

    fn at(&mut self) -> *mut T {
        self.numbers[self.start..].as_mut_ptr()
    }
}

/// Steps of a chunk of the sum at most, in a product with so many columns.
pub(super) fn depth<T: Scalar>(kernels: &Kernels<T>, is_packed: bool, columns: usize) -> usize {
    let panel = kernels.vectors * kernels.lanes;
    let of_panel = PANEL_BYTES / (panel * size_of::<T>());
    if is_packed {
        return of_panel;
    }
    (CHUNK_BYTES / (columns.max(panel) * size_of::<T>())).clamp(LEAST_DEPTH, of_panel)
}

/// A range in pieces of at most `most`, of lengths that differ by one at most; an empty one is one piece.
pub(super) fn pieces(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = range.len().div_ceil(most).max(1);
    (0..count).map(move |index| {
        let place = |index: usize| range.start + range.len() * index / count;
        place(index)..place(index + 1)
    })
}

impl<T: Scalar> Product<T> {
    /// The same into another C.
    pub fn onto(&self, c: *mut T, c_stride: usize) -> Self {
        Product { c, c_stride, ..*self }
    }

    /// The same into a C that lies so many numbers behind this one.
    pub fn behind(&self, numbers: usize) -> Self {
        self.onto(self.c.wrapping_add(numbers), self.c_stride)
    }

    /// All of C, with all steps.
    pub fn whole(&self) -> Part {
        Part { rows: 0..self.dim.0, columns: 0..self.dim.1, steps: 0..self.steps }
    }

    /// Whether B is packed panel by panel, or read as it lies.
    fn is_packed(&self, kernels: &Kernels<T>) -> bool {
        self.b.is_summed_along_rows || self.dim.0 > TILES_TO_PACK * kernels.rows
    }

    /// Computes a part. The chunks of a sum are those of its steps and of all columns of C: two parts of the same steps agree bit for bit.
    ///
    /// # Safety
    /// The part is within both operands, and its rows and columns within C, which nobody else reads or writes there meanwhile. `scratch` is for
    /// as many rows and steps.
    pub unsafe fn compute(&self, kernels: &Kernels<T>, part: &Part, scratch: &mut Scratch<T>) {
        let panel = kernels.vectors * kernels.lanes;
        let (a_pack, b_pack) = (scratch.a.at(), scratch.b.at());
        let depth = depth(kernels, self.is_packed(kernels), self.dim.1);
        for steps in pieces(part.steps.clone(), depth) {
            let is_added = steps.start != part.steps.start;
            for block in pieces(part.rows.clone(), PACKED_ROWS) {
                let mut to = a_pack;
                for rows in pieces(block.clone(), kernels.rows) {
                    // SAFETY: the part is within A, and the pack as large as the block.
                    unsafe {
                        self.a.pack(kernels, rows.clone(), steps.clone(), to, rows.len());
                        to = to.add(rows.len() * steps.len());
                    }
                }
                let next = steps.end..part.steps.end.min(steps.end + steps.len());
                if self.a.is_summed_along_rows {
                    self.a.prefetch(block.clone(), next.clone());
                }
                let is_packed = self.is_packed(kernels);
                let tiles = block.len().div_ceil(kernels.rows);
                let panels = part.columns.len().div_ceil(panel);
                // What is read next: the next chunk of all panels while this one is read as it lies, the next panel while this one is packed.
                let mut ahead =
                    if is_packed { Ahead::none() } else { self.b.ahead(next, part.columns.clone(), tiles * panels) };
                for start in part.columns.clone().step_by(panel) {
                    let columns = start..part.columns.end.min(start + panel);
                    let vectors = columns.len().div_ceil(kernels.lanes);
                    let last_lanes = columns.len() - (vectors - 1) * kernels.lanes;
                    if self.b.is_summed_along_rows {
                        let next = columns.end..part.columns.end.min(columns.end + panel);
                        ahead = self.b.ahead(next, steps.clone(), tiles);
                    }
                    // SAFETY: the part is within both operands and C, and the packs are as large as a block and a panel.
                    unsafe {
                        let (b, b_stride) = if is_packed {
                            self.b.pack(kernels, columns.clone(), steps.clone(), b_pack, panel);
                            (b_pack.cast_const(), panel)
                        } else {
                            (self.b.at(start, steps.start), self.b.stride)
                        };
                        let mut a = a_pack.cast_const();
                        for rows in pieces(block.clone(), kernels.rows) {
                            let (ahead, ahead_stride) = ahead.next(steps.len());
                            let tile = Tile {
                                last_lanes,
                                steps: steps.len(),
                                a,
                                b,
                                b_stride,
                                c: self.c.add(rows.start * self.c_stride + start),
                                c_stride: self.c_stride,
                                scale: self.scale,
                                is_added,
                                ahead: ahead.cast(),
                                ahead_stride,
                            };
                            (kernels.tiles[rows.len() - 1][vectors - 1])(&tile);
                            a = a.add(rows.len() * steps.len());
                        }
                    }
                }
            }
        }
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Memory that will be read soon, and how much of it each tile asks for meanwhile.
struct Ahead<T> {
    at: *const T,
    numbers: usize,
    share: usize,
}

impl<T> Ahead<T> {
    fn none() -> Self {
        Ahead { at: std::ptr::null(), numbers: 0, share: 0 }
    }

    /// Where a tile of so many steps begins, and how far it goes on in each. What it has no steps for is asked for here.
    fn next(&mut self, steps: usize) -> (*const T, usize) {
        let line = LINE / size_of::<T>();
        let share = self.share.min(self.numbers);
        let at = self.at;
        self.at = at.wrapping_add(share);
        self.numbers -= share;
        for number in (steps * line..share).step_by(line) {
            prefetch(at.wrapping_add(number));
        }
        (at, if share == 0 { 0 } else { line })
    }
}

impl<T: Scalar> Operand<T> {
    /// Rows of memory that will be read soon, in so many shares: as one stretch, as far as they are adjacent or nearly so.
    fn ahead(&self, rows: Range<usize>, columns: Range<usize>, shares: usize) -> Ahead<T> {
        if rows.is_empty() || 2 * columns.len() < self.stride {
            return Ahead::none();
        }
        let at = self.at.wrapping_add(rows.start * self.stride + columns.start);
        let numbers = (rows.len() - 1) * self.stride + columns.len();
        let line = LINE / size_of::<T>();
        Ahead { at, numbers, share: numbers.div_ceil(shares).next_multiple_of(line) }
    }

    /// Asks for a few short rows at once.
    fn prefetch(&self, rows: Range<usize>, columns: Range<usize>) {
        for row in rows {
            for column in columns.clone().step_by(LINE / size_of::<T>()) {
                prefetch(self.at.wrapping_add(row * self.stride + column));
            }
        }
    }
}
