//! Which slot holds a hash: a directory of segments that are split when they are crowded, read without a lock.
//!
//! RUNS PER DECISION: [`Index::likely`]: the directory's entry for the hash, and the segment's for the key.
//!
//! The hash's lower bits choose the segment, its upper ones the place within. A segment that shares `depth` bits of
//! the hash stands in each entry of the directory that has those bits; splitting it adds a bit. So growth costs an
//! insertion at most one segment, never the table (extendible hashing: Fagin et al., 1979).
//!
//! Writers hold the stripe's lock. **A miss without the lock proves nothing** (entries move when others are removed
//! and when a segment is split); a candidate proves nothing either, the slot's key does. So writers owe
//! readers no protocol. Segments are never freed and outgrown directories are kept, so whatever a reader holds is
//! there. That is what the pointers here rest on; they spare a search two loads that each wait for the one before.
//!
//! Memory safety needs no lock and no promise of a caller's: an index keeps the segments that its pointers name, every
//! pointer is loaded by Acquire, and a lock of its own orders its growth. Two writers at once could lose entries, no more.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::{Arc, OnceLock};

use super::memory::Chunks;
use super::segment::{Candidates, Segment};
use crate::sync::{AtomicPtr, AtomicU32, Mutex, Ordering, SEGMENT_ENTRIES, SEGMENTS_IN_CHUNK};

/// The segments of all stripes of a table.
pub(super) type Segments = Chunks<Segment, SEGMENTS_IN_CHUNK>;

/// Entries in a run of [`Index::walk`], and runs in a segment.
pub(super) const RUN: usize = 4;
const RUNS: usize = SEGMENT_ENTRIES.div_ceil(RUN);

/// Directories of 1, 2, 4 ... entries. All outgrown ones together are smaller than the one in use.
const DEPTHS: usize = 22;

/// A segment of the index's `segments`; null is none.
type Entry = AtomicPtr<Segment>;

#[repr(C)] // what every search reads comes first, in one cache line
pub(super) struct Index {
    /// Entries in the directory less one; 0 is the first directory.
    mask: AtomicU32,
    slot_mask: u32,
    /// The first directory, which has one entry and stays the only one in a small stripe.
    first: Entry,
    /// The entries of the directory in use, if it is not the first: those of the last one in `further`.
    entries: AtomicPtr<Entry>,
    /// The directories after the first.
    further: Box<[OnceLock<Box<[Entry]>>; DEPTHS - 1]>,
    /// The segments of all stripes, which outlive every pointer to one here.
    segments: Arc<Segments>,
    /// Held while the directory is doubled.
    growth: Mutex<()>,
}

impl Index {
    /// An index for slot numbers below 2^`slot_bits` - 1, with its segments among these.
    pub(super) fn new(slot_bits: u32, segments: Arc<Segments>) -> Self {
        let slot_mask = (1 << slot_bits) - 1;
        let further = Box::new([const { OnceLock::new() }; DEPTHS - 1]);
        let (first, entries) = (Entry::new(ptr::null_mut()), AtomicPtr::new(ptr::null_mut()));
        let growth = Mutex::new(());
        Self { mask: AtomicU32::new(0), slot_mask, first, entries, further, segments, growth }
    }

    /// The segment where a hash belongs; `None` before the first insertion.
    #[inline]
    fn segment(&self, hash: u32) -> Option<&Segment> {
        // ORDERING: Acquire, here and for `entries`, pairs with the Release stores in `double`, where `entries` come
        // first: whoever sees a mask sees entries that it fits. Older ones have fewer; a mask that is too small only
        // makes the search miss.
        let entry = match self.mask.load(Ordering::Acquire) {
            0 => &self.first,
            mask => {
                let entries = self.entries.load(Ordering::Acquire);
                // SAFETY: directories outlive every search, because `further` keeps them. The lock `growth` orders all
                // stores of `entries` and `mask`, and both only grow; so by the order above, the directory that
                // `entries` names has more than `mask` entries.
                unsafe { &*entries.add((hash & mask) as usize) }
            }
        };
        // SAFETY: the first directory and those in `further` are this index's.
        unsafe { self.named(entry) }
    }

    /// What a directory's entry names.
    ///
    /// # Safety
    /// The entry is one of this index.
    #[allow(clippy::unused_self)] // what is named lives as long as the index
    #[inline]
    unsafe fn named(&self, entry: &Entry) -> Option<&Segment> {
        // ORDERING: Acquire pairs with the Release stores in `begin` and `split`: the segment is there, and it is zeros.
        let segment = entry.load(Ordering::Acquire);
        // SAFETY: null, or a segment that `begin` or `split` took from `self.segments`, which neither move nor free one,
        // and which the index keeps.
        unsafe { segment.as_ref() }
    }

    /// The slot that most likely holds a key of this hash, if any does.
    #[inline]
    pub(super) fn likely(&self, hash: u32) -> Option<u32> {
        let segment = self.segment(hash)?;
        match segment.near(hash, self.slot_mask).checked_sub(1) {
            None => segment.far(hash, self.slot_mask),
            near => near,
        }
    }

    /// Slots whose entry looks like this hash.
    #[inline]
    pub(super) fn candidates(&self, hash: u32) -> Candidates<'_> {
        match self.segment(hash) {
            Some(segment) => segment.candidates(hash, self.slot_mask),
            None => Candidates { segment: None, at: 0, left: 0, hash, slot_mask: 0 },
        }
    }

    /// Asks for the memory that [`Index::candidates`] will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        if let Some(segment) = self.segment(hash) {
            segment.prefetch(hash, self.slot_mask);
        }
    }

    // All that follows needs the stripe's lock.

    /// The directory in use.
    fn directory(&self) -> &[Entry] {
        // ORDERING: Acquire pairs with the Release store in `double`: the directory is there.
        match self.mask.load(Ordering::Acquire).checked_ilog2() {
            None => std::slice::from_ref(&self.first),
            Some(log2) => self.further[log2 as usize].get().expect("its mask is published after it"),
        }
    }

    /// Every slot in the index. Those of a segment that several entries of the directory name come once.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        let own = self.directory().iter().enumerate().filter_map(|(at, entry)| {
            // SAFETY: an entry of the directory in use.
            let segment = unsafe { self.named(entry) }?;
            (at >> segment.depth() == 0).then_some(segment)
        });
        own.flat_map(|segment| segment.numbers(0..SEGMENT_ENTRIES, self.slot_mask))
            .filter_map(|number| number.checked_sub(1))
    }

    /// Shows what is in the run `from` and those after it, as slot numbers + 1 and zeros, for as long as `more` wants
    /// another one; returns how many runs there were. A run is a few entries of one segment, and the next one is another
    /// segment's, so nobody who evicts along this walk empties one segment before the others.
    pub(super) fn walk(&self, from: usize, mut more: impl FnMut([u32; RUN]) -> bool) -> usize {
        let directory = self.directory();
        let depth = directory.len().ilog2();
        for step in 0..directory.len() * RUNS {
            let at = from + step;
            // SAFETY: an entry of the directory in use.
            let Some(segment) = (unsafe { self.named(&directory[at & (directory.len() - 1)]) }) else { return 0 };
            let mut run = [0; RUN];
            let first = (at >> depth) % RUNS * RUN;
            let numbers = segment.numbers(first..(first + RUN).min(SEGMENT_ENTRIES), self.slot_mask);
            run.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
            if !more(run) {
                return step + 1;
            }
        }
        directory.len() * RUNS
    }

    /// Whether it has not been split yet.
    pub(super) fn is_single(&self) -> bool {
        self.directory().len() == 1
    }

    /// What is in the segment where this hash belongs, from position `from` on, once round: slot numbers + 1, and zeros.
    pub(super) fn around<'a>(&'a self, hash: u32, from: usize) -> impl Iterator<Item = u32> + 'a {
        let segment = self.segment(hash);
        let from = from % SEGMENT_ENTRIES;
        let around = move |segment: &'a Segment| {
            let before = segment.numbers(0..from, self.slot_mask);
            segment.numbers(from..SEGMENT_ENTRIES, self.slot_mask).chain(before)
        };
        segment.into_iter().flat_map(around)
    }

    /// Puts a slot in; `hash_of` tells the hash of any slot that is in. False if there is no room: for that, more
    /// than [`SEGMENT_ENTRIES`] hashes must agree in all bits that a directory can have.
    pub(super) fn insert(&self, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) -> bool {
        loop {
            let Some(segment) = self.segment(hash).or_else(|| self.begin()) else { return false };
            if !segment.is_crowded() || !self.split(segment, hash, &hash_of) {
                return segment.put(hash & !self.slot_mask | (slot + 1), self.slot_mask);
            }
        }
    }

    fn begin(&self) -> Option<&Segment> {
        let first = self.segments.get(self.segments.add()?);
        // ORDERING: Release pairs with the Acquire load in `segment`.
        self.first.store(ptr::from_ref(first).cast_mut(), Ordering::Release);
        Some(first)
    }

    /// Makes two segments of one; false if the hash has no further bit to tell them apart by, or there are no more
    /// segments.
    fn split(&self, old: &Segment, hash: u32, hash_of: impl Fn(u32) -> u32) -> bool {
        let bit = old.depth();
        if 1 << bit == self.directory().len() && !self.double() {
            return false;
        }
        let Some(new) = self.segments.add().map(|other| self.segments.get(other)) else { return false };
        old.part(new, self.slot_mask, |entry| hash_of((entry & self.slot_mask) - 1) >> bit & 1 == 1);
        old.set_depth(bit + 1);
        new.set_depth(bit + 1);
        let first = (hash as usize & ((1 << bit) - 1)) | (1 << bit);
        for entry in self.directory().iter().skip(first).step_by(2 << bit) {
            // ORDERING: Release pairs with the Acquire load in `segment`.
            entry.store(ptr::from_ref(new).cast_mut(), Ordering::Release);
        }
        true
    }

    /// A directory of twice the size, each half a copy of the one in use.
    fn double(&self) -> bool {
        let _growth = self.growth.lock();
        let old = self.directory();
        let depth = old.len().ilog2() as usize + 1;
        if depth == DEPTHS {
            return false;
        }
        // ORDERING: Acquire hands on the segment with its pointer, to whoever loads the copy.
        let copy = |entry: &Entry| Entry::new(entry.load(Ordering::Acquire));
        let new = self.further[depth - 1].get_or_init(|| old.iter().chain(old).map(copy).collect());
        // ORDERING: Release, and in this order; see `segment`.
        self.entries.store(new.as_ptr().cast_mut(), Ordering::Release);
        self.mask.store(u32::try_from(new.len() - 1).expect("few"), Ordering::Release);
        true
    }

    /// Takes a slot out.
    pub(super) fn remove(&self, hash: u32, slot: u32) {
        if let Some(segment) = self.segment(hash) {
            segment.remove(hash, slot, self.slot_mask);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_was_put_in_and_not_what_was_taken_out() {
        let index = Index::new(16, Arc::new(Segments::new(10_000)));
        // Few homes, so that long runs form, wrap around the end and are mended when one leaves; few hashes that part
        // late, so that directories grow.
        let hash_of = |slot: u32| (slot % 7).wrapping_mul(0x2491_1000) | ((slot / 7 % 16) << 6) | (slot % 64);
        let holds = |slot| index.candidates(hash_of(slot)).any(|found| found == slot);
        let mut live: Vec<u32> = Vec::new();
        let mut state = 1_u32;
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few at first, where each run has a beginning and an end, then long runs.
            let most = if step < 10_000 { 9 } else { 600 };
            if live.is_empty() || state >> 30 != 0 && live.len() < most {
                let slot = step % 60_000;
                assert!(index.insert(hash_of(slot), slot, hash_of));
                live.push(slot);
            } else {
                let slot = live.swap_remove(state as usize % live.len());
                index.remove(hash_of(slot), slot);
                assert!(!holds(slot));
            }
            if live.len() < 10 || step % 500 == 0 {
                assert!(live.iter().all(|&slot| holds(slot)));
                let mut all: Vec<u32> = index.all().collect();
                all.sort_unstable();
                live.sort_unstable();
                assert_eq!(all, live);
                let mut met: Vec<u32> = Vec::new();
                index.walk(state as usize % 100, |run| {
                    met.extend(run.into_iter().filter_map(|number| number.checked_sub(1)));
                    true
                });
                met.sort_unstable();
                met.dedup();
                assert_eq!(met, live);
            }
        }
        assert!(index.directory().len() >= 16, "it was split often");
        assert!(
            live.iter().all(|&slot| holds(slot) && index.around(hash_of(slot), 5).any(|number| number == slot + 1))
        );
    }

    #[test]
    fn hashes_that_never_part_fill_one_segment_and_no_more() {
        let index = Index::new(16, Arc::new(Segments::new(10_000)));
        let most = u32::try_from(SEGMENT_ENTRIES).unwrap();
        assert!((0..most).all(|slot| index.insert(5, slot, |_| 5)));
        assert!(!index.insert(5, most, |_| 5));
        assert!(index.insert(4, most, |slot| if slot == most { 4 } else { 5 }));
        index.remove(5, 7);
        assert!(index.insert(5, 7, |slot| if slot == most { 4 } else { 5 }));
    }

    #[test]
    fn a_walk_shows_every_run_once_and_says_how_many_there_were() {
        let index = Index::new(16, Arc::new(Segments::new(10_000)));
        assert_eq!(index.walk(3, |_| panic!("nothing is there")), 0);
        // Up to where it is split, and then beyond.
        for (count, parts) in [(30, 1), (33, 2)] {
            let hash_of = |slot: u32| (slot << 27) | slot;
            let known = u32::try_from(index.all().count()).unwrap();
            assert!((known..count).all(|slot| index.insert(hash_of(slot), slot, hash_of)));
            assert_eq!(index.directory().len(), parts);
            let mut round = Vec::new();
            let keep = |run: [u32; RUN], to: &mut Vec<_>| to.push(run);
            assert_eq!(
                index.walk(0, |run| {
                    keep(run, &mut round);
                    true
                }),
                parts * RUNS
            );
            assert_eq!(round.len(), parts * RUNS);
            let mut met: Vec<u32> = round.iter().flatten().filter_map(|number| number.checked_sub(1)).collect();
            met.sort_unstable();
            assert_eq!(met, (0..count).collect::<Vec<_>>(), "everybody, once");
            for from in [0, 1, 7, RUNS, 100] {
                let mut some = Vec::new();
                let walked = index.walk(from, |run| {
                    keep(run, &mut some);
                    some.len() < 5
                });
                assert_eq!(walked, 5);
                let expected: Vec<_> = (0..5).map(|step| round[(from + step) % round.len()]).collect();
                assert_eq!(some, expected, "from {from}");
            }
        }
        // What was split is in the half where its bit says.
        for half in [0, 1] {
            let around: Vec<u32> = index.around(half, 0).filter_map(|number| number.checked_sub(1)).collect();
            assert!(!around.is_empty() && around.iter().all(|slot| slot & 1 == half), "{half}: {around:?}");
        }
    }

    #[test]
    fn a_table_without_further_segments_says_so() {
        let index = Index::new(16, Arc::new(Segments::new(1)));
        let hash_of = |slot: u32| slot.wrapping_mul(0x9e37_79b9);
        let most = u32::try_from(SEGMENT_ENTRIES).unwrap();
        assert!((0..most).all(|slot| index.insert(hash_of(slot), slot, hash_of)));
        assert!(!index.insert(hash_of(most), most, hash_of));
    }
}
