//! An allocator that counts, so that a backend can be held to what it says of its allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_EXEMPT.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

/// The system's allocator, with a count of its allocations. A program whose backends shall be held to
/// [`Profile::allocations_per_product`](crate::layer::Profile::allocations_per_product) declares it:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: layerbench::Counting = layerbench::Counting;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

impl Counting {
    /// How many allocations and reallocations this program has made; none where it does not declare this allocator.
    pub fn allocations() -> Option<u64> {
        // Every program allocates before its `main`.
        Some(ALLOCATIONS.load(Ordering::Relaxed)).filter(|&count| count > 0)
    }

    /// Does not count what this thread allocates from now on: it computes nothing, and works beside those that do.
    pub(crate) fn exempt_this_thread() {
        IS_EXEMPT.set(true);
    }
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is the system allocator's demand.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
