//! The memory of a table: slots and segments under small numbers, in chunks made when they are needed, never moved,
//! never freed.
//!
//! RUNS PER DECISION: [`Chunks::get`], for the segment of the index and for the slot; [`prefetch`]. Since nothing is ever
//! freed, a stale number still names a thing of the same kind, and readers need no protection.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::sync::atomic::{self, AtomicPtr};
use std::sync::{Arc, Mutex, PoisonError};

use super::STRIPES;
use super::index::Segments;
use super::pages::{Block, LARGE, in_large_pages};
use super::slot::Slot;
use crate::sync::{self, AtomicUsize, Ordering, SLOTS_IN_CHUNK, Zeroed};

/// Chunks that come one by one, each in the usual pages; those after them come many at a time.
const SINGLE: usize = 4;
/// A cache line.
const LINE: usize = 64;

/// Up to `capacity` things, `SIZE` in each chunk. A new one is all zeros, and its memory is untouched until then.
///
/// Those that are `NUMBERED` are used one after another, from the first on: so the later chunks may lie in large pages; and
/// things of the first ones, of which a small table has no more, begin a cache line each. Two threads that charge different
/// accounts there never wait for each other; in a large table they hardly meet. Others are kept beside what is numbered
/// elsewhere, and only some of them are used.
pub(super) struct Chunks<T, const SIZE: usize, const NUMBERED: bool = true> {
    /// `SIZE` while there is only the first chunk: where a thing of a small table lies follows from its number alone. 0
    /// before, and in a larger one, so that a processor foresees which way a search goes, whatever the number.
    few: atomic::AtomicUsize,
    /// The first thing of the first chunk, once `few` was anything but 0.
    first: AtomicPtr<T>,
    /// The first things of all chunks, null before they are made; then they lie in `blocks`.
    made: Box<[AtomicPtr<T>]>,
    blocks: Mutex<Vec<Block<T>>>,
    used: AtomicUsize,
    capacity: usize,
    /// It shows its things to all threads that share it, so it is `Sync` where a thing is; the pointers would not say so.
    things: PhantomData<T>,
}

impl<T: Zeroed, const SIZE: usize, const NUMBERED: bool> Chunks<T, SIZE, NUMBERED> {
    /// How far apart things of the first chunks lie, in bytes.
    const APART: usize =
        if NUMBERED && cfg!(not(loom)) { size_of::<T>().next_multiple_of(LINE) } else { size_of::<T>() };

    pub(super) fn new(capacity: usize) -> Self {
        let made = (0..capacity.div_ceil(SIZE)).map(|_| AtomicPtr::default()).collect();
        let (few, first) = (atomic::AtomicUsize::new(0), AtomicPtr::default());
        Self { few, first, made, blocks: Mutex::default(), used: AtomicUsize::new(0), capacity, things: PhantomData }
    }

    /// The thing of a number that [`Chunks::add`] gave.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &T {
        if let Some(thing) = self.one_of_few(number) {
            return thing;
        }
        let Some(thing) = self.one_of_many(number) else { not_given_out() };
        thing
    }

    /// The thing of any number, made if need be: for what is kept beside things that are numbered elsewhere.
    pub(super) fn at(&self, number: u32) -> &T {
        self.made(number).unwrap_or_else(|| {
            self.make(number as usize / SIZE);
            self.get(number)
        })
    }

    /// The thing of any number, if it or one of its neighbours was ever asked for.
    #[inline]
    pub(super) fn made(&self, number: u32) -> Option<&T> {
        if let Some(thing) = self.one_of_few(number) { Some(thing) } else { self.one_of_many(number) }
    }

    #[inline]
    fn one_of_few(&self, number: u32) -> Option<&T> {
        // ORDERING: Acquire, here and below, pairs with the Release stores in `make`: the chunk is there, and it is zeros.
        if number as usize >= self.few.load(Ordering::Acquire) {
            return None;
        }
        // ORDERING: Relaxed; written before `few`, and never again.
        let first = self.first.load(Ordering::Relaxed);
        // SAFETY: the number is below `few`, which is `SIZE` at most, and was stored after `first`: a chunk in a block that
        // is kept for as long as `self` is, and no reference to a thing in it is mutable.
        Some(unsafe { &*first.byte_add(number as usize * Self::APART) })
    }

    #[inline]
    fn one_of_many(&self, number: u32) -> Option<&T> {
        let (chunk, place) = (number as usize / SIZE, number as usize % SIZE);
        let first = self.made.get(chunk)?.load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a chunk as above; `make` has room for `SIZE` things in it that lie so far apart.
        Some(unsafe { &*first.byte_add(place * Self::apart(chunk)) })
    }

    /// How far apart the things of a chunk lie, in bytes.
    #[inline]
    const fn apart(chunk: usize) -> usize {
        if chunk < SINGLE { Self::APART } else { size_of::<T>() }
    }

    /// Makes a chunk, if it has not been made yet, and those that come with it.
    fn make(&self, at: usize) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.made[at].load(Ordering::SeqCst).is_null() {
            return;
        }
        let large = const { in_large_pages::<[T; SIZE]>() };
        let (from, count) = match at.checked_sub(SINGLE) {
            Some(beyond) if NUMBERED => (at - beyond % large, large),
            _ => (at, 1),
        };
        let apart = Self::apart(from);
        let block = Block::<T>::new(count * SIZE, apart, if count > 1 { LARGE } else { LINE });
        for (offset, place) in self.made[from..].iter().take(count).enumerate() {
            // ORDERING: Release, here and below, pairs with the Acquire loads in `made`.
            place.store(block.first().wrapping_byte_add(offset * SIZE * apart), Ordering::Release);
        }
        let is_only = from == 0 && blocks.is_empty();
        if is_only {
            self.first.store(block.first(), Ordering::Release);
        }
        self.few.store(if is_only { SIZE } else { 0 }, Ordering::Release);
        blocks.push(block);
    }

    /// The number of one more thing; `None` if there are as many as may be.
    pub(super) fn add(&self) -> Option<u32> {
        let next = |used| (used < self.capacity).then_some(used + 1);
        let number = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        if self.made[number / SIZE].load(Ordering::SeqCst).is_null() {
            self.make(number / SIZE);
        }
        Some(u32::try_from(number).expect("the capacity fits 32 bits"))
    }
}

#[cold]
#[inline(never)]
fn not_given_out() -> ! {
    panic!("a number is given out after its chunk is made")
}

/// All of it: the slots of the accounts, and the segments of the indexes.
pub(super) struct Slab {
    slots: Chunks<Slot, SLOTS_IN_CHUNK>,
    pub(super) segments: Arc<Segments>,
    free: sync::Mutex<Vec<u32>>,
}

impl Slab {
    pub(super) fn new(capacity: usize) -> Self {
        // A segment is split at 32 entries and rarely loses half of what is left.
        let segments = Arc::new(Segments::new(STRIPES + capacity / 8));
        Self { slots: Chunks::new(capacity), segments, free: sync::Mutex::new(Vec::new()) }
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
        let beside = Chunks::<AtomicU64, 256, false>::new(1000);
        assert!(beside.made(999).is_none());
        beside.at(999).store(7, Ordering::SeqCst);
        assert_eq!(beside.made(999).map(|thing| thing.load(Ordering::SeqCst)), Some(7));
        assert!(numbers.iter().all(|&number| chunks.get(number).load(Ordering::SeqCst) == u64::from(number) + 1));
    }

    #[test]
    fn it_is_shared_between_threads_where_its_things_may_be() {
        trait Unless {
            const IS_SYNC: bool = false;
        }
        struct Is<T>(T);
        impl<T> Unless for Is<T> {}
        impl<T: Sync> Is<T> {
            const IS_SYNC: bool = true;
        }
        let told = [Is::<Chunks<AtomicU64, 256>>::IS_SYNC, Is::<Chunks<std::cell::Cell<u64>, 256>>::IS_SYNC];
        assert_eq!(told, [true, false]);
    }

    #[test]
    fn of_the_first_ones_each_has_a_cache_line() {
        let chunks = Chunks::<Slot, 256>::new(2000);
        let addresses: Vec<usize> =
            (0..2000).map(|_| std::ptr::from_ref(chunks.get(chunks.add().unwrap())).addr()).collect();
        let (first, later) = addresses.split_at(SINGLE * 256);
        assert!(first.iter().all(|address| address.is_multiple_of(LINE)));
        let next_to_each_other = later.windows(2).filter(|pair| pair[1] == pair[0] + size_of::<Slot>()).count();
        assert_eq!(next_to_each_other, later.len() - 1, "of one block, in large pages");
        // Nobody is within another one.
        let mut sorted = addresses.clone();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= size_of::<Slot>()));
        let beside = Chunks::<AtomicU64, 256, false>::new(2000);
        let addresses = [0, 1].map(|number| std::ptr::from_ref(beside.at(number)).addr());
        assert_eq!(addresses[1] - addresses[0], 8, "what is kept beside them lies close");
    }

    #[test]
    fn what_is_kept_beside_others_begins_anywhere() {
        let beside = Chunks::<AtomicU64, 256, false>::new(1000);
        beside.at(999).store(7, Ordering::SeqCst);
        assert!(beside.made(999 % 256).is_none(), "the same place in a chunk that is not there");
        assert_eq!(beside.at(999 % 256).load(Ordering::SeqCst), 0);
        let first = Chunks::<AtomicU64, 256, false>::new(1000);
        assert!(first.made(0).is_none());
        first.at(0);
        assert!(first.made(255).is_some() && first.made(256).is_none());
        assert_eq!(first.at(256).swap(5, Ordering::SeqCst), 0);
        assert_eq!(first.get(0).load(Ordering::SeqCst), 0);
    }

    #[test]
    fn chunks_that_come_together_are_not_made_twice() {
        // 32 KiB a chunk: after the first four they come 64 at a time.
        let chunks = Chunks::<AtomicU64, 4096>::new(300_000);
        for number in 0..300_000 {
            assert_eq!(chunks.add(), Some(number));
            assert_eq!(chunks.get(number).fetch_add(u64::from(number) + 1, Ordering::SeqCst), 0);
        }
        assert!((0..300_000).all(|number| chunks.get(number).load(Ordering::SeqCst) == u64::from(number) + 1));
    }
}
