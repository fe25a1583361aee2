//! How the matrices of one call lie in the arena, and what may have changed there afterwards.

use ndarray::{ArrayView2, ArrayViewMut2};

use rustix::param::page_size;

use super::arena::Arena;
use super::protocol::Region;
use crate::error::{Error, Result};
use crate::scalar::{Scalar, bytes_of, bytes_of_mut};

/// Bytes around each matrix.
const MARGIN: usize = 128;
/// Addresses keep their distance from the last multiple of this.
const ALIGNMENT: usize = 64;
/// What lies around matrices and between their rows: a NaN in both types, and none that arithmetic gives.
const AROUND: u8 = 0xff;

/// The matrices of one call.
#[derive(Default)]
pub(super) struct Layout {
    /// What the arena holds at the call.
    before: Vec<u8>,
    /// What it held afterwards, but for the inputs.
    after: Vec<u8>,
    /// Each with its first byte and the one behind its last.
    places: Vec<(&'static str, usize, usize)>,
    /// Bytes of the inputs, whole pages.
    inputs: usize,
}

impl Layout {
    /// For the next call.
    pub fn clear(&mut self) {
        self.before.clear();
        self.places.clear();
        self.inputs = 0;
    }

    /// A matrix with its elements as they are, be it an input or an output.
    pub fn put<T: Scalar>(&mut self, what: &'static str, view: ArrayView2<'_, T>) -> Region {
        let strides: [isize; 2] = view.strides().try_into().expect("a matrix has two axes");
        // Those of an empty matrix mean nothing, and could lead outside.
        let strides = if view.is_empty() { [0, 0] } else { strides };
        let mut place = Region {
            offset: 0,
            dim: view.dim(),
            strides: (strides[0].unsigned_abs(), strides[1].unsigned_abs()),
            reversed: (strides[0] < 0 && view.nrows() > 1, strides[1] < 0 && view.ncols() > 1),
        };
        let extent = place.extent().expect("a view of memory has no more elements than there are addresses");
        let lowest = lowest(&view).addr();
        let free = self.before.len() + MARGIN;
        let start = free.next_multiple_of(ALIGNMENT) + lowest % ALIGNMENT;
        let end = start + extent * size_of::<T>();
        place.offset = start;
        self.before.resize(start, AROUND);
        match view.as_slice() {
            Some(all) => self.before.extend_from_slice(bytes_of(all)),
            None => {
                self.before.resize(end, AROUND);
                self.put_rows(&place, view);
            }
        }
        self.before.resize((end + MARGIN).next_multiple_of(ALIGNMENT), AROUND);
        self.places.push((what, start, end));
        place
    }

    fn put_rows<T: Scalar>(&mut self, place: &Region, view: ArrayView2<'_, T>) {
        for row in 0..view.nrows() {
            let (row, start) = (view.row(row), place.row_start::<T>(row));
            match row.to_slice().filter(|_| place.has_whole_rows()) {
                Some(row) => self.before[start..start + size_of_val(row)].copy_from_slice(bytes_of(row)),
                None => row.iter().enumerate().for_each(|(column, value)| {
                    let at = start + place.column_start::<T>(column);
                    self.before[at..at + size_of::<T>()].copy_from_slice(bytes_of(std::slice::from_ref(value)));
                }),
            }
        }
    }

    /// Whatever was put until now is an input: it is read-only in the child.
    pub fn begin_outputs(&mut self) {
        self.inputs = self.before.len().next_multiple_of(page_size());
        self.before.resize(self.inputs, AROUND);
    }

    /// Whatever lies behind the last matrix is looked at too.
    pub fn finish(&mut self) {
        self.before.resize((self.before.len() + page_size()).next_multiple_of(page_size()), AROUND);
    }

    /// The bytes that the inputs take.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The bytes that the arena must have.
    pub fn bytes(&self) -> usize {
        self.before.len()
    }

    /// To be called before the call.
    pub fn write(&self, arena: &mut Arena) {
        arena.write(&self.before);
    }

    /// To be called after it, and before the outputs are taken.
    pub fn read(&mut self, arena: &Arena) {
        // What is read-only there is as it was.
        self.after.resize(self.before.len() - self.inputs, 0);
        arena.read(self.inputs, &mut self.after);
    }

    /// Takes an output. From then on the place counts as unchanged.
    pub fn take<T: Scalar>(&mut self, place: &Region, mut view: ArrayViewMut2<'_, T>) {
        let mut take = |at: usize, elements: &mut [T]| {
            let range = at..at + size_of_val(elements);
            let there = &mut self.after[range.start - self.inputs..range.end - self.inputs];
            bytes_of_mut(elements).copy_from_slice(there);
            there.copy_from_slice(&self.before[range]);
        };
        for row in 0..view.nrows() {
            let (mut row, start) = (view.row_mut(row), place.row_start::<T>(row));
            match row.as_slice_mut().filter(|_| place.has_whole_rows()) {
                Some(row) => take(start, row),
                None => row.iter_mut().enumerate().for_each(|(column, value)| {
                    take(start + place.column_start::<T>(column), std::slice::from_mut(value));
                }),
            }
        }
    }

    /// Whatever was not taken must be as it was.
    ///
    /// # Errors
    /// [`Error::Trespass`], naming the matrix that was changed, or the nearest.
    pub fn expect_untouched(&self) -> Result<()> {
        let before = &self.before[self.inputs..];
        if before == self.after {
            return Ok(());
        }
        let changed = before.iter().zip(&self.after).position(|(before, after)| before != after);
        let changed = self.inputs + changed.unwrap_or_default();
        let distance =
            |&&(_, start, end): &&(&str, usize, usize)| start.saturating_sub(changed) + changed.saturating_sub(end);
        let nearest = self.places.iter().min_by_key(distance);
        Err(Error::Trespass { what: nearest.map_or("a matrix", |(what, ..)| what) })
    }
}

/// The address of the element that lies lowest.
fn lowest<T>(view: &ArrayView2<'_, T>) -> *const T {
    let below = |stride: isize, length: usize| if stride < 0 { stride * (length.max(1) as isize - 1) } else { 0 };
    let strides = view.strides();
    view.as_ptr().wrapping_offset(below(strides[0], view.nrows()) + below(strides[1], view.ncols()))
}

impl Region {
    /// Whether the elements of a row lie side by side.
    fn has_whole_rows(&self) -> bool {
        self.dim.1 <= 1 || (self.strides.1 == 1 && !self.reversed.1)
    }

    /// Bytes of the arena before the first element of a row.
    fn row_start<T>(&self, row: usize) -> usize {
        let at = if self.reversed.0 { self.dim.0 - 1 - row } else { row };
        self.offset + at * self.strides.0 * size_of::<T>()
    }

    /// Bytes from there to the element of a column.
    fn column_start<T>(&self, column: usize) -> usize {
        let at = if self.reversed.1 { self.dim.1 - 1 - column } else { column };
        at * self.strides.1 * size_of::<T>()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ndarray::{Array2, s};

    use super::*;

    fn numbers(rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| (10 * i + j) as f32)
    }

    /// Lays `view` out, shows the arena's view of it to `change`, and returns what comes back.
    fn through(view: ArrayView2<'_, f32>, change: impl Fn(ArrayViewMut2<'_, f32>)) -> (Array2<f32>, Result<()>) {
        let mut layout = Layout::default();
        layout.put("W", numbers(3, 5).view());
        let place = layout.put("Z", view);
        layout.put("A", numbers(5, 3).view());
        let mut arena = Arena::create(layout.bytes()).expect("memory");
        layout.write(&mut arena);
        let other = Arena::open(arena.path(), arena.bytes()).expect("the same memory");
        // SAFETY: the only view.
        let there = unsafe { other.view_mut::<f32>(&place) }.expect("it lies inside");
        assert_eq!(there.dim(), view.dim());
        assert!(view.len() < 2 || there.strides() == view.strides(), "{:?} {:?}", there.strides(), view.strides());
        assert_eq!(there.as_ptr().addr() % ALIGNMENT, view.as_ptr().addr() % ALIGNMENT);
        change(there);
        layout.read(&arena);
        let mut back = Array2::zeros(view.dim());
        layout.take(&place, back.view_mut());
        (back, layout.expect_untouched())
    }

    #[test]
    fn a_view_of_any_layout_is_seen_as_it_is_and_comes_back() {
        let wide = numbers(6, 9);
        let views = [
            wide.view(),
            wide.slice(s![1..4, 2..7]),
            wide.slice(s![.., ..;2]),
            wide.t(),
            wide.slice(s![..;-1, ..]),
            wide.slice(s![.., ..;-1]),
            wide.slice(s![3..3, ..]),
            wide.slice(s![.., 4..5]),
            wide.slice(s![2..3, 1..;3]),
        ];
        for view in views {
            let (back, untouched) = through(view, |there| assert_eq!(there, view));
            assert_eq!(back, view);
            untouched.expect("nothing was touched");
            let (back, untouched) = through(view, |mut there| there.fill(7.0));
            assert_eq!(back, Array2::from_elem(view.dim(), 7.0));
            untouched.expect("only the output was");
        }
    }

    #[test]
    fn what_lies_around_is_nan_and_whoever_writes_it_is_told() {
        let wide = numbers(6, 9);
        for (place, reach) in [("before", -1_isize), ("between the rows", 5), ("after", 23)] {
            let touch = |mut there: ArrayViewMut2<'_, f32>| {
                // SAFETY: the margins are wider than this, and so are the gaps.
                unsafe {
                    let neighbour = there.as_mut_ptr().offset(reach);
                    assert!((*neighbour).is_nan(), "{place}");
                    *neighbour = 0.0;
                }
            };
            let (_, untouched) = through(wide.slice(s![1..4, 2..7]), touch);
            assert!(matches!(untouched, Err(Error::Trespass { what: "Z" })), "{place}: {untouched:?}");
        }
    }

    #[test]
    fn the_child_is_not_led_outside() {
        let arena = Arena::create(4096).expect("memory");
        let place = |offset, dim, strides| Region { offset, dim, strides, reversed: (false, false) };
        for bad in [
            place(4096, (1, 1), (1, 1)),
            place(0, (33, 32), (32, 1)),
            place(2, (1, 1), (1, 1)),
            place(0, (2, 2), (usize::MAX, 1)),
            place(usize::MAX - 3, (1, 1), (1, 1)),
        ] {
            // SAFETY: the only view, if there is one.
            assert!(unsafe { arena.view::<f32>(&bad) }.is_err(), "{bad:?}");
        }
    }
}
