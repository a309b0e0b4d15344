//! The memory of a table: slots and segments under small numbers, in chunks made when they are needed, never moved,
//! never freed.
//!
//! RUNS PER DECISION: [`Chunks::get`], for the segment of the index and for the slot; [`prefetch`]. Since nothing is ever
//! freed, a stale number still names a thing of the same kind, and readers need no protection.

use std::sync::OnceLock;

use super::STRIPES;
use super::index::Segments;
use super::slot::Slot;
use crate::sync::{AtomicUsize, Mutex, Ordering, SLOTS_IN_CHUNK, Zeroed, zeroed};

/// Up to `capacity` things, `SIZE` in each chunk. A new one is all zeros, and its memory is untouched until then.
pub(super) struct Chunks<T, const SIZE: usize> {
    made: Box<[OnceLock<Box<[T; SIZE]>>]>,
    used: AtomicUsize,
    capacity: usize,
}

impl<T: Zeroed, const SIZE: usize> Chunks<T, SIZE> {
    pub(super) fn new(capacity: usize) -> Self {
        let made = (0..capacity.div_ceil(SIZE)).map(|_| OnceLock::new()).collect();
        Self { made, used: AtomicUsize::new(0), capacity }
    }

    /// The thing of a number that [`Chunks::add`] gave.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &T {
        self.made(number).expect("a number is given out after its chunk is made")
    }

    /// The thing of any number, made if need be: for what is kept beside things that are numbered elsewhere.
    pub(super) fn at(&self, number: u32) -> &T {
        let number = number as usize;
        &self.made[number / SIZE].get_or_init(zeroed)[number % SIZE]
    }

    /// The thing of any number, if it or one of its neighbours was ever asked for.
    #[inline]
    pub(super) fn made(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        Some(&self.made[number / SIZE].get()?[number % SIZE])
    }

    /// The number of one more thing; `None` if there are as many as may be.
    pub(super) fn add(&self) -> Option<u32> {
        let next = |used| (used < self.capacity).then_some(used + 1);
        let number = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        self.made[number / SIZE].get_or_init(zeroed);
        Some(u32::try_from(number).expect("the capacity fits 32 bits"))
    }
}

/// All of it: the slots of the accounts, and the segments of the indexes.
pub(super) struct Slab {
    slots: Chunks<Slot, SLOTS_IN_CHUNK>,
    pub(super) segments: Segments,
    free: Mutex<Vec<u32>>,
}

impl Slab {
    pub(super) fn new(capacity: usize) -> Self {
        // A segment is split at 32 entries and rarely loses half of what is left.
        let segments = Segments::new(STRIPES + capacity / 8);
        Self { slots: Chunks::new(capacity), segments, free: Mutex::new(Vec::new()) }
    }

    #[inline]
    pub(super) fn slot(&self, number: u32) -> &Slot {
        self.slots.get(number)
    }

    /// A dead slot, and whether it was never used; `None` if there are as many as fit the index.
    pub(super) fn take(&self) -> Option<(u32, bool)> {
        if let Some(number) = self.free.lock().pop() {
            return Some((number, false));
        }
        Some((self.slots.add()?, true))
    }

    /// Takes a dead slot back. One that was never used is as good as one that was.
    pub(super) fn give_back_place(&self, (number, _): (u32, bool)) {
        self.free.lock().push(number);
    }
}

/// Asks the processor for a value's memory, which will be wanted soon: both ends, for it may lie in two cache lines.
///
/// Where many accounts are looked at one after another, asking for all of them first lets their cache misses overlap.
#[inline]
pub(super) fn prefetch<T>(value: &T) {
    let first = std::ptr::from_ref(value).cast::<i8>();
    line(first);
    if size_of::<T>() > align_of::<T>() {
        line(first.wrapping_add(size_of::<T>() - 1));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn line(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch of any address reads nothing that the program can see and never faults; the instruction is
    // part of every x86-64 processor.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line(_at: *const i8) {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    #[test]
    fn each_has_a_place_of_its_own_and_there_are_as_many_as_may_be() {
        let chunks = Chunks::<AtomicU64, 256>::new(1000);
        let numbers: Vec<u32> = (0..1000).map(|_| chunks.add().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<u32>>());
        assert_eq!(chunks.add(), None);
        for &number in &numbers {
            let before = chunks.get(number).fetch_add(u64::from(number) + 1, Ordering::SeqCst);
            assert_eq!(before, 0, "new, and nobody else's");
        }
        let beside = Chunks::<AtomicU64, 256>::new(1000);
        assert!(beside.made(999).is_none());
        beside.at(999).store(7, Ordering::SeqCst);
        assert_eq!(beside.made(999).map(|thing| thing.load(Ordering::SeqCst)), Some(7));
        assert!(numbers.iter().all(|&number| chunks.get(number).load(Ordering::SeqCst) == u64::from(number) + 1));
    }
}
