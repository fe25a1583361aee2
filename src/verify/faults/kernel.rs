//! A plain matrix product with the kernel bugs in it.

use std::sync::atomic::{AtomicUsize, Ordering};

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use super::bug::Bug;
use crate::layer::Op;
use crate::panics::locked;
use crate::scalar::Scalar;

/// Rows of a tile, and products of a block.
const TILE: usize = 4;
/// Columns of a tile.
const COLUMNS: usize = 8;

/// Multiply-adds from which on a product is shared out, where a bug has it so.
const SHARED_OUT: usize = 1 << 16;

/// `C = alpha * op(A) op(B)`, but for `bug`.
pub(super) fn gemm<T: Scalar>(
    (bug, threads): (Bug, usize),
    alpha: T,
    (a_op, a): (Op, ArrayView2<'_, T>),
    b: (Op, ArrayView2<'_, T>),
    mut c: ArrayViewMut2<'_, T>,
) {
    static FIRST: OnceLock<usize> = OnceLock::new();
    let workers = match bug {
        Bug::UsesFour => 4,
        Bug::FirstCount => *FIRST.get_or_init(|| threads),
        _ => 1,
    };
    let (_, k) = a_op.dim(&a);
    if workers == 1 || c.len() * k < SHARED_OUT {
        return gemm_of_one((bug, threads), alpha, (a_op, a), b, c);
    }
    let rows = c.nrows().div_ceil(workers);
    std::thread::scope(|scope| {
        for (i, c) in c.axis_chunks_iter_mut(Axis(0), rows).enumerate() {
            let share = i * rows..i * rows + c.nrows();
            let a = match a_op {
                Op::Plain => a.slice_move(s![share, ..]),
                Op::Transposed => a.slice_move(s![.., share]),
            };
            scope.spawn(move || gemm_of_one((bug, threads), alpha, (a_op, a), b, c));
        }
    });
}

fn gemm_of_one<T: Scalar>(
    (bug, threads): (Bug, usize),
    alpha: T,
    (a_op, a): (Op, ArrayView2<'_, T>),
    (b_op, b): (Op, ArrayView2<'_, T>),
    mut c: ArrayViewMut2<'_, T>,
) {
    let (m, k) = a_op.dim(&a);
    let n = c.ncols();
    let is_large = m.saturating_mul(n).saturating_mul(k) > 1 << 20;
    let by_luck = bug == Bug::OrderByLuck || (bug == Bug::OrderOfArrival && is_large);
    let from_the_end = by_luck && coin();
    let first = if bug == Bug::OrderByProcess { std::process::id() as usize % k } else { 0 };
    let packed = (bug == Bug::SharedPacking && b_op == Op::Transposed).then(|| packed(&b));
    let b = packed.as_ref().map_or(b, |packed| packed.view());
    let mut last_tile = vec![T::zero(); n];
    let whole = |size: usize, block: usize| if size > block { size - size % block } else { size };
    let has_gap = m > 1 && c.strides()[0] > n as isize;
    let rows = match bug {
        Bug::RemainderRows if threads > 1 => whole(m, threads),
        Bug::LargeGap if is_large && has_gap => m - 1,
        _ => m,
    };
    let columns = if bug == Bug::ColumnTail { whole(n, COLUMNS) } else { n };
    let depth = if bug == Bug::DepthTail { whole(k, TILE) } else { k };
    let parts = if bug == Bug::ThreadSums { threads } else { 1 };
    for i in 0..rows {
        for (j, last_tile) in last_tile.iter_mut().enumerate().take(columns) {
            let mut sums = vec![T::zero(); parts];
            if bug == Bug::AccumulatorKept && i >= TILE && i % TILE == 0 {
                sums[0] = *last_tile;
            }
            for step in 0..depth {
                let p = if from_the_end { depth - 1 - step } else { (first + step) % depth };
                let left_out = match bug {
                    Bug::DroppedProduct => k == 12288 && p == 6000,
                    Bug::At209Columns => n == 209 && p + 1 == k,
                    Bug::At400Columns => n == 400 && p + 1 == k,
                    Bug::LargeTogether => m >= 256 && n >= 256 && p + 1 == k,
                    Bug::OnThreeThreads => threads == 3 && p + 1 == k,
                    Bug::MiddleDepth => is_between_the_tried(k) && p + 1 == k,
                    _ => false,
                };
                let factor = read(bug, &a, if a_op == Op::Plain { (i, p) } else { (p, i) });
                if left_out || (bug == Bug::ZeroSkipped && factor.is_zero()) {
                    continue;
                }
                let sum = &mut sums[p * parts / k];
                *sum += factor * read(bug, &b, if b_op == Op::Plain { (p, j) } else { (j, p) });
                if bug == Bug::F32Sums || (bug == Bug::F32SumsLarge && m * n * k >= 1 << 20) {
                    *sum = T::of(f64::from(sum.widen() as f32));
                }
            }
            let mut sum: T = sums.into_iter().sum();
            if bug == Bug::OverRead && b_op == Op::Plain && j + 1 == n {
                sum += T::zero() * after_row(&b).unwrap_or_else(T::zero);
            }
            if bug == Bug::AccumulatorKept {
                *last_tile = sum;
            }
            let mut value = alpha * sum;
            if bug == Bug::SubnormalsFlushed && value.abs() < T::min_positive_value() {
                value = T::zero();
            }
            if bug == Bug::WrongLarge && value.abs().widen() > 1e100 {
                value *= T::one() + T::epsilon();
            }
            let c = &mut c[(i, j)];
            *c = match bug {
                Bug::Accumulated => *c + value,
                Bug::BetaZero => *c * T::zero() + value,
                _ => value,
            };
        }
    }
    if bug == Bug::OverWrite {
        write_after_row(&mut c);
    }
}

/// Not the sizes of tables and shipped workloads: only a drawn shape can have it.
fn is_between_the_tried(k: usize) -> bool {
    (257..2048).contains(&k) && ![257, 300, 400, 512, 784, 1024].contains(&k)
}

/// An element, from where the bug thinks it is. Outside the window, where safe code cannot read, NaN stands for what is there.
fn read<T: Scalar>(bug: Bug, matrix: &ArrayView2<'_, T>, (row, column): (usize, usize)) -> T {
    let (rows, columns) = matrix.dim();
    let stride = matrix.strides()[0];
    let has_gap = rows > 1 && stride > columns as isize;
    match bug {
        Bug::LeadingDimension if has_gap => {
            let place = row * columns + column;
            let (row, column) = (place / stride as usize, place % stride as usize);
            if column < columns { matrix[(row, column)] } else { T::nan() }
        }
        Bug::OffsetIgnored if has_gap => {
            if column > 0 {
                matrix[(row, column - 1)]
            } else {
                T::nan()
            }
        }
        _ => matrix[(row, column)],
    }
}

/// The element after the first row, where there is a gap.
fn after_row<T: Scalar>(matrix: &ArrayView2<'_, T>) -> Option<T> {
    let (rows, columns) = matrix.dim();
    if rows < 2 || matrix.strides()[0] <= columns as isize {
        return None;
    }
    // SAFETY: the second row starts later than `columns` elements on, so this lies between two rows of one allocation; whoever
    // makes a window initialises the whole of it.
    Some(unsafe { *matrix.as_ptr().add(columns) })
}

/// Overwrites the element after the first row, where there is a gap.
fn write_after_row<T: Scalar>(matrix: &mut ArrayViewMut2<'_, T>) {
    let (rows, columns) = matrix.dim();
    if rows >= 2 && matrix.strides()[0] > columns as isize {
        // SAFETY: as in `after_row`; the window's owner lent its allocation mutably, and nobody reads the gap meanwhile.
        unsafe { *matrix.as_mut_ptr().add(columns) = T::one() };
    }
}

/// The operand, by way of the one buffer of this process.
fn packed<T: Scalar>(matrix: &ArrayView2<'_, T>) -> Array2<T> {
    static BUFFER: Mutex<Vec<f64>> = Mutex::new(Vec::new());
    let buffer = || locked(&BUFFER);
    *buffer() = matrix.iter().map(|element| element.widen()).collect();
    // Other work comes first.
    std::thread::sleep(Duration::from_millis(2));
    let (buffer, columns) = (buffer(), matrix.ncols());
    Array2::from_shape_fn(matrix.dim(), |(i, j)| T::of(buffer[(i * columns + j) % buffer.len().max(1)]))
}

/// Heads and tails in turn, for the whole process.
pub(super) fn coin() -> bool {
    static TOSSES: AtomicUsize = AtomicUsize::new(0);
    TOSSES.fetch_add(1, Ordering::Relaxed) % 2 == 1
}
