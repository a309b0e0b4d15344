//! The seam for the model checkers: every lock and atomic that accounts are built of comes from here.
//!
//! A build with `--cfg loom` swaps them for loom's, which tries all interleavings of small scenarios; with `--cfg shuttle`
//! beside it for shuttle's, which tries random ones of larger scenarios.

#[cfg(all(loom, not(shuttle)))]
use loom as checker;
#[cfg(shuttle)]
use shuttle as checker;

#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub(crate) use checker::sync::MutexGuard;
#[cfg(loom)]
pub(crate) use checker::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use modelled::Mutex;

/// Waits for about as long as a few decisions take: two threads that charge one account hand its memory to and fro, and
/// get twice as much done if whoever came too late lets the other one work on.
#[cfg(not(loom))]
pub(crate) fn pause() {
    (0..10).for_each(|_| std::hint::spin_loop());
}

/// The checker tries every order by itself.
#[cfg(loom)]
pub(crate) fn pause() {}

/// A value of zeros.
#[cfg(all(test, not(loom)))]
#[allow(clippy::unnecessary_box_returns)]
pub(crate) fn zeroed<T: Zeroed>() -> Box<T> {
    T::new_box_zeroed().unwrap_or_else(|_| std::alloc::handle_alloc_error(std::alloc::Layout::new::<T>()))
}
/// What fresh pages are a value of: memory that nobody uses yet costs nothing.
#[cfg(not(loom))]
pub(crate) use zerocopy::FromZeros as Zeroed;

/// The checker's atomics are more than bytes.
#[cfg(loom)]
pub(crate) trait Zeroed {
    fn zero() -> Self;
}
#[cfg(loom)]
impl<T: Zeroed, const N: usize> Zeroed for [T; N] {
    fn zero() -> Self {
        std::array::from_fn(|_| T::zero())
    }
}

/// Sizes that are large enough to be rare in production, small enough to be met by the model checker.
pub(crate) use sizes::*;

#[cfg(not(loom))]
mod sizes {
    /// Slots, and segments of the index, in a chunk.
    pub(crate) const SLOTS_IN_CHUNK: usize = 4096;
    pub(crate) const SEGMENTS_IN_CHUNK: usize = 1024;
    /// Entries of a segment of the index: three cache lines; and how many it has before it is split.
    pub(crate) const SEGMENT_ENTRIES: usize = 46;
    pub(crate) const SPLIT_ABOVE: usize = 32;
    /// Entries that a search looks at before it asks whether it has found anything.
    pub(crate) const NEAR: usize = 3;
    /// The fewest bits of an index entry that hold a slot's number; the rest tell hashes apart.
    pub(crate) const SLOT_BITS: u32 = 2;
}

#[cfg(loom)]
mod sizes {
    pub(crate) const SLOTS_IN_CHUNK: usize = 2;
    pub(crate) const SEGMENTS_IN_CHUNK: usize = 2;
    pub(crate) const SEGMENT_ENTRIES: usize = 3;
    pub(crate) const SPLIT_ABOVE: usize = 2;
    pub(crate) const NEAR: usize = 2;
    /// One bit to tell hashes apart by: half of all keys look alike.
    pub(crate) const SLOT_BITS: u32 = 31;
}

/// A hash keyed from the system's randomness, so that nobody outside can choose colliding keys.
#[cfg(not(loom))]
pub(crate) fn keyed_hash() -> ahash::RandomState {
    ahash::RandomState::new()
}

/// The checker runs a scenario again and again and needs it to be the same each time.
#[cfg(loom)]
pub(crate) fn keyed_hash() -> ahash::RandomState {
    ahash::RandomState::with_seeds(1, 2, 3, 4)
}

#[cfg(loom)]
mod modelled {
    //! The checker's locks behind `parking_lot`'s interface, which has no poisoning.
    use super::checker::sync;

    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> sync::MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics with the lock held")
        }
    }
}
