//! Which slot holds a hash: a directory of segments that are split when they are crowded, read without a lock.
//!
//! RUNS PER DECISION: [`Index::candidates`]: which directory, its entry for the hash, and the segment.
//!
//! The hash's lower bits choose the segment, its upper ones the place within. A segment that shares `depth` bits of
//! the hash stands in each entry of the directory that has those bits; splitting it adds a bit. So growth costs an
//! insertion at most one segment, never the table (extendible hashing: Fagin et al., 1979).
//!
//! Writers hold the stripe's lock. **A miss without the lock proves nothing** (entries move when others are removed
//! and when a segment is split); a candidate proves nothing either, the slot's key does. So writers owe
//! readers no protocol. Segments are never freed and outgrown directories are kept, so whatever a reader holds is
//! there.

use std::sync::OnceLock;

use super::memory::Chunks;
use super::segment::{Candidates, Segment};
use crate::sync::{AtomicU32, Ordering, SEGMENT_ENTRIES, SEGMENTS_IN_CHUNK};

/// The segments of all stripes of a table.
pub(super) type Segments = Chunks<Segment, SEGMENTS_IN_CHUNK>;

/// Entries in a run of [`Index::walk`], and runs in a segment.
pub(super) const RUN: usize = 4;
const RUNS: usize = SEGMENT_ENTRIES.div_ceil(RUN);

/// Directories of 1, 2, 4 ... entries. All outgrown ones together are smaller than the one in use.
const DEPTHS: usize = 22;

#[repr(C)] // what every search reads comes first, in one cache line
pub(super) struct Index {
    /// How many directories were made; the last one is in use.
    made: AtomicU32,
    /// The first directory, which has one entry and stays the only one in a small stripe.
    first: AtomicU32,
    slot_mask: u32,
    /// Those after the first.
    further: [OnceLock<Box<[AtomicU32]>>; DEPTHS - 1],
}

impl Index {
    /// An index for slot numbers below 2^`slot_bits` - 1.
    pub(super) fn new(slot_bits: u32) -> Self {
        let slot_mask = (1 << slot_bits) - 1;
        let further = [const { OnceLock::new() }; DEPTHS - 1];
        Self { made: AtomicU32::new(0), first: AtomicU32::new(0), slot_mask, further }
    }

    /// `None` before the first insertion.
    #[inline]
    fn directory(&self) -> Option<&[AtomicU32]> {
        // ORDERING: Acquire pairs with the Release store in `publish`: the directory is there, and so are its entries.
        match self.made.load(Ordering::Acquire) {
            0 => None,
            1 => Some(std::slice::from_ref(&self.first)),
            made => self.further[made as usize - 2].get().map(|directory| &**directory),
        }
    }

    #[inline]
    fn segment<'a>(&self, segments: &'a Segments, hash: u32) -> Option<(u32, &'a Segment)> {
        let directory = self.directory()?;
        // ORDERING: Acquire pairs with the Release store in `split`: the segment is there.
        let number = directory[hash as usize & (directory.len() - 1)].load(Ordering::Acquire);
        Some((number, segments.get(number)))
    }

    /// Slots whose entry looks like this hash.
    #[inline]
    pub(super) fn candidates<'a>(&self, segments: &'a Segments, hash: u32) -> Candidates<'a> {
        match self.segment(segments, hash) {
            Some((_, segment)) => segment.candidates(hash, self.slot_mask),
            None => Candidates { segment: None, at: 0, left: 0, hash, slot_mask: 0 },
        }
    }

    /// Asks for the memory that [`Index::candidates`] will read.
    #[inline]
    pub(super) fn prefetch(&self, segments: &Segments, hash: u32) {
        if let Some((_, segment)) = self.segment(segments, hash) {
            segment.prefetch(hash);
        }
    }

    // All that follows needs the stripe's lock.

    /// Every slot in the index. Those of a segment that several entries of the directory name come once.
    pub(super) fn all<'a>(&'a self, segments: &'a Segments) -> impl Iterator<Item = u32> + 'a {
        let numbers = self.directory().unwrap_or_default().iter().enumerate();
        let own = numbers.filter_map(|(at, number)| {
            // ORDERING: Relaxed; written under the lock that the caller holds.
            let segment = segments.get(number.load(Ordering::Relaxed));
            (at >> segment.depth() == 0).then_some(segment)
        });
        own.flat_map(|segment| segment.numbers(0..SEGMENT_ENTRIES, self.slot_mask))
            .filter_map(|number| number.checked_sub(1))
    }

    /// Shows what is in the run `from` and those after it, as slot numbers + 1 and zeros, for as long as `more` wants
    /// another one; returns how many runs there were. A run is a few entries of one segment, and the next one is another
    /// segment's, so nobody who evicts along this walk empties one segment before the others.
    pub(super) fn walk<'a>(
        &'a self,
        segments: &'a Segments,
        from: usize,
        mut more: impl FnMut([u32; RUN]) -> bool,
    ) -> usize {
        let directory = self.directory().unwrap_or_default();
        let depth = directory.len().max(1).ilog2();
        for step in 0..directory.len() * RUNS {
            let at = from + step;
            // ORDERING: Relaxed; written under the lock that the caller holds.
            let segment = segments.get(directory[at & (directory.len() - 1)].load(Ordering::Relaxed));
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
        self.directory().is_none_or(|directory| directory.len() == 1)
    }

    /// What is in the segment where this hash belongs, from position `from` on, once round: slot numbers + 1, and zeros.
    pub(super) fn around<'a>(
        &'a self,
        segments: &'a Segments,
        hash: u32,
        from: usize,
    ) -> impl Iterator<Item = u32> + 'a {
        let segment = self.segment(segments, hash).map(|(_, segment)| segment);
        let from = from % SEGMENT_ENTRIES;
        let around = move |segment: &'a Segment| {
            let before = segment.numbers(0..from, self.slot_mask);
            segment.numbers(from..SEGMENT_ENTRIES, self.slot_mask).chain(before)
        };
        segment.into_iter().flat_map(around)
    }

    /// Puts a slot in; `hash_of` tells the hash of any slot that is in. False if there is no room: for that, more
    /// than [`SEGMENT_ENTRIES`] hashes must agree in all bits that a directory can have.
    pub(super) fn insert(&self, segments: &Segments, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) -> bool {
        if self.directory().is_none() && !self.begin(segments) {
            return false;
        }
        loop {
            let Some((number, segment)) = self.segment(segments, hash) else { return false };
            if !segment.is_crowded() || !self.split(segments, number, hash, &hash_of) {
                return segment.put(hash & !self.slot_mask | (slot + 1));
            }
        }
    }

    fn begin(&self, segments: &Segments) -> bool {
        let Some(first) = segments.add() else { return false };
        // ORDERING: Relaxed; the store in `publish` tells of it.
        self.first.store(first, Ordering::Relaxed);
        self.publish(1);
        true
    }

    fn publish(&self, made: usize) {
        // ORDERING: the Release store pairs with the Acquire load in `directory`.
        self.made.store(u32::try_from(made).expect("few"), Ordering::Release);
    }

    /// Makes two segments of one; false if the hash has no further bit to tell them apart by, or there are no more
    /// segments.
    fn split(&self, segments: &Segments, number: u32, hash: u32, hash_of: impl Fn(u32) -> u32) -> bool {
        let old = segments.get(number);
        let bit = old.depth();
        if 1 << bit == self.directory().unwrap_or_default().len() && !self.double() {
            return false;
        }
        let Some(other) = segments.add() else { return false };
        let new = segments.get(other);
        old.part(new, |entry| hash_of((entry & self.slot_mask) - 1) >> bit & 1 == 1);
        old.set_depth(bit + 1);
        new.set_depth(bit + 1);
        let first = (hash as usize & ((1 << bit) - 1)) | (1 << bit);
        for entry in self.directory().unwrap_or_default().iter().skip(first).step_by(2 << bit) {
            // ORDERING: Release pairs with the Acquire load in `segment`.
            entry.store(other, Ordering::Release);
        }
        true
    }

    /// A directory of twice the size, each half a copy of the one in use.
    fn double(&self) -> bool {
        let old = self.directory().unwrap_or_default();
        let depth = old.len().ilog2() as usize + 1;
        if depth == DEPTHS {
            return false;
        }
        // ORDERING: Relaxed; under the lock.
        let copy = |entry: &AtomicU32| AtomicU32::new(entry.load(Ordering::Relaxed));
        let _ = self.further[depth - 1].set(old.iter().chain(old).map(copy).collect());
        self.publish(depth + 1);
        true
    }

    /// Takes a slot out.
    pub(super) fn remove(&self, segments: &Segments, hash: u32, slot: u32) {
        if let Some((_, segment)) = self.segment(segments, hash) {
            segment.remove(hash, slot, self.slot_mask);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_was_put_in_and_not_what_was_taken_out() {
        let (index, segments) = (Index::new(16), Segments::new(10_000));
        // Few homes, so that long runs form, wrap around the end and are mended when one leaves; few hashes that part
        // late, so that directories grow.
        let hash_of = |slot: u32| (slot % 7).wrapping_mul(0x2491_1000) | ((slot / 7 % 16) << 6) | (slot % 64);
        let holds = |slot| index.candidates(&segments, hash_of(slot)).any(|found| found == slot);
        let mut live: Vec<u32> = Vec::new();
        let mut state = 1_u32;
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few at first, where each run has a beginning and an end, then long runs.
            let most = if step < 10_000 { 9 } else { 600 };
            if live.is_empty() || state >> 30 != 0 && live.len() < most {
                let slot = step % 60_000;
                assert!(index.insert(&segments, hash_of(slot), slot, hash_of));
                live.push(slot);
            } else {
                let slot = live.swap_remove(state as usize % live.len());
                index.remove(&segments, hash_of(slot), slot);
                assert!(!holds(slot));
            }
            if live.len() < 10 || step % 500 == 0 {
                assert!(live.iter().all(|&slot| holds(slot)));
                let mut all: Vec<u32> = index.all(&segments).collect();
                all.sort_unstable();
                live.sort_unstable();
                assert_eq!(all, live);
                let mut met: Vec<u32> = Vec::new();
                index.walk(&segments, state as usize % 100, |run| {
                    met.extend(run.into_iter().filter_map(|number| number.checked_sub(1)));
                    true
                });
                met.sort_unstable();
                met.dedup();
                assert_eq!(met, live);
            }
        }
        assert!(index.directory().unwrap().len() >= 16, "it was split often");
        assert!(
            live.iter()
                .all(|&slot| holds(slot) && index.around(&segments, hash_of(slot), 5).any(|number| number == slot + 1))
        );
    }

    #[test]
    fn hashes_that_never_part_fill_one_segment_and_no_more() {
        let (index, segments) = (Index::new(16), Segments::new(10_000));
        let most = u32::try_from(SEGMENT_ENTRIES).unwrap();
        assert!((0..most).all(|slot| index.insert(&segments, 5, slot, |_| 5)));
        assert!(!index.insert(&segments, 5, most, |_| 5));
        assert!(index.insert(&segments, 4, most, |slot| if slot == most { 4 } else { 5 }));
        index.remove(&segments, 5, 7);
        assert!(index.insert(&segments, 5, 7, |slot| if slot == most { 4 } else { 5 }));
    }

    #[test]
    fn a_table_without_further_segments_says_so() {
        let (index, segments) = (Index::new(16), Segments::new(1));
        let hash_of = |slot: u32| slot.wrapping_mul(0x9e37_79b9);
        let most = u32::try_from(SEGMENT_ENTRIES).unwrap();
        assert!((0..most).all(|slot| index.insert(&segments, hash_of(slot), slot, hash_of)));
        assert!(!index.insert(&segments, hash_of(most), most, hash_of));
    }
}
