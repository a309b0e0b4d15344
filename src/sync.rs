//! The seam for the model checker: every lock and atomic that accounts are built of comes from here.
//!
//! A build with `--cfg loom` swaps them for loom's; no other file mentions the checker.

#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use modelled::Mutex;

/// Slots in the first and in the last chunk of a table, entries in the first array of an index: large enough to be
/// rare in production, small enough to be met by the model checker.
#[cfg(not(loom))]
pub(crate) const FIRST_CHUNK: usize = 64;
#[cfg(not(loom))]
pub(crate) const LAST_CHUNK: usize = 4096;
#[cfg(not(loom))]
pub(crate) const FIRST_INDEX: usize = 16;
/// The fewest bits of an index entry that hold a slot's number; the rest tell hashes apart.
#[cfg(not(loom))]
pub(crate) const SLOT_BITS: u32 = 2;
/// One bit to tell hashes apart by: half of all keys look alike.
#[cfg(loom)]
pub(crate) const SLOT_BITS: u32 = 31;
#[cfg(loom)]
pub(crate) const FIRST_CHUNK: usize = 1;
#[cfg(loom)]
pub(crate) const LAST_CHUNK: usize = 2;
#[cfg(loom)]
pub(crate) const FIRST_INDEX: usize = 2;

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
    //! loom's locks behind `parking_lot`'s interface, which has no poisoning.
    use loom::sync::MutexGuard;

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics with the lock held")
        }
    }
}
