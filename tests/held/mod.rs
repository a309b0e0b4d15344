//! The system's allocator, counting what each thread holds of it and how often it asked: other threads, the test runner's
//! among them, ask for what they need at any time.
#![allow(unsafe_code)]
#![allow(dead_code)] // each test takes from here what it needs

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that this thread asked for and did not give back.
pub(crate) fn held() -> isize {
    HELD.with(Cell::get)
}

/// How often this thread asked for memory.
pub(crate) fn asked() -> u64 {
    ASKED.with(Cell::get)
}

// SAFETY: hands everything on to the system's allocator; counting touches numbers of this thread's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.with(|held| held.set(held.get() + layout.size().cast_signed()));
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get() - layout.size().cast_signed()));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
