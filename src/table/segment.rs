//! One segment of an index: up to 46 entries of 32 bits in three cache lines, open addressing within.
//!
//! RUNS PER DECISION: [`Segment::near`], the first few entries at once, and hardly ever [`Segment::candidates`], one
//! after another.
//!
//! An entry is tag | slot number + 1, the tag being the hash's upper bits; 0 is empty. The position where a search
//! begins follows from the tag alone, so an entry can be moved without asking its slot for the hash. No search begins so
//! near the end that the first few entries would wrap.
//! Writers hold the stripe's lock; `index` tells why readers need none.

use std::ops::Range;

use super::memory::prefetch;
use crate::sync::{AtomicU32, NEAR, Ordering, SEGMENT_ENTRIES, SPLIT_ABOVE};

/// New, it is empty: all zeros.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
pub(super) struct Segment {
    entries: [AtomicU32; SEGMENT_ENTRIES],
    /// How many bits of the hash all of its entries share.
    depth: AtomicU32,
    len: AtomicU32,
}

/// Positions where a search may begin.
const HOMES: u64 = (SEGMENT_ENTRIES - NEAR + 1) as u64;

/// Where the search for a hash, or for the tag of an entry, begins.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn home(hash: u32, slot_mask: u32) -> usize {
    (((hash & !slot_mask) as u64 * HOMES) >> 32) as usize
}

#[inline]
const fn after(at: usize) -> usize {
    if at + 1 == SEGMENT_ENTRIES { 0 } else { at + 1 }
}

impl Segment {
    #[inline]
    fn entry(&self, at: usize) -> u32 {
        // ORDERING: Acquire pairs with the Release stores in `set`: who finds a slot finds its chunk.
        self.entries[at].load(Ordering::Acquire)
    }

    /// The first of the nearest entries that looks like this hash, as slot number + 1; 0 if none does. How far it is from
    /// home is different for each key, which a processor cannot foresee, so nothing here branches on it.
    #[inline]
    pub(super) fn near(&self, hash: u32, slot_mask: u32) -> u32 {
        let at = home(hash, slot_mask);
        let mut found = 0;
        for offset in (0..NEAR).rev() {
            let entry = self.entry(at + offset);
            found = if (entry ^ hash) & !slot_mask == 0 { entry } else { found };
        }
        found & slot_mask
    }

    /// Slots whose entry looks like this hash.
    #[inline]
    pub(super) fn candidates(&self, hash: u32, slot_mask: u32) -> Candidates<'_> {
        Candidates { segment: Some(self), at: home(hash, slot_mask), left: SEGMENT_ENTRIES, hash, slot_mask }
    }

    /// The first slot, beyond the nearest entries, whose entry looks like this hash.
    #[cold]
    pub(super) fn far(&self, hash: u32, slot_mask: u32) -> Option<u32> {
        self.candidates(hash, slot_mask).next()
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u32, slot_mask: u32) {
        prefetch(&self.entries[home(hash, slot_mask)]);
    }

    // All that follows needs the stripe's lock.

    /// What is at some positions: slot numbers + 1, and zeros.
    pub(super) fn numbers(&self, at: Range<usize>, slot_mask: u32) -> impl Iterator<Item = u32> {
        // ORDERING: Relaxed; written under the lock.
        self.entries[at].iter().map(move |entry| entry.load(Ordering::Relaxed) & slot_mask)
    }

    /// The slot at a position, if there is one.
    fn slot_at(&self, at: usize, slot_mask: u32) -> Option<u32> {
        (self.entry(at) & slot_mask).checked_sub(1)
    }

    fn set(&self, at: usize, entry: u32) {
        // ORDERING: Release pairs with the Acquire load in `entry`.
        self.entries[at].store(entry, Ordering::Release);
    }

    pub(super) fn depth(&self) -> u32 {
        // ORDERING: Relaxed, here and below: written and read under the stripe's lock.
        self.depth.load(Ordering::Relaxed)
    }

    pub(super) fn set_depth(&self, depth: u32) {
        self.depth.store(depth, Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    fn add_len(&self, more: u32) {
        // ORDERING: Relaxed; under the lock. Wraps for a subtraction.
        self.len.store(self.len.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Whether it should be split before it takes another entry.
    pub(super) fn is_crowded(&self) -> bool {
        self.len() >= SPLIT_ABOVE
    }

    /// Puts an entry in; false if there is no room.
    pub(super) fn put(&self, entry: u32, slot_mask: u32) -> bool {
        if self.len() == SEGMENT_ENTRIES {
            return false;
        }
        let mut at = home(entry, slot_mask);
        while self.entry(at) != 0 {
            at = after(at);
        }
        self.set(at, entry);
        self.add_len(1);
        true
    }

    /// Takes a slot's entry out, and moves those behind it up.
    pub(super) fn remove(&self, hash: u32, slot: u32, slot_mask: u32) {
        let mut hole = home(hash, slot_mask);
        while self.slot_at(hole, slot_mask) != Some(slot) {
            hole = after(hole);
        }
        let mut next = after(hole);
        // A full segment has no end but where it began.
        for _ in 1..SEGMENT_ENTRIES {
            let entry = self.entry(next);
            if entry == 0 {
                break;
            }
            let distance = |to: usize, from: usize| (to + SEGMENT_ENTRIES - from) % SEGMENT_ENTRIES;
            if distance(next, home(entry, slot_mask)) >= distance(next, hole) {
                self.set(hole, entry);
                hole = next;
            }
            next = after(next);
        }
        self.set(hole, 0);
        self.add_len(1_u32.wrapping_neg());
    }

    /// Moves the entries that `leaves` names into `other`, which is new, and closes the gaps.
    pub(super) fn part(&self, other: &Self, slot_mask: u32, leaves: impl Fn(u32) -> bool) {
        let all: [u32; SEGMENT_ENTRIES] = std::array::from_fn(|at| self.entry(at));
        let mut stay = [0; SEGMENT_ENTRIES];
        let mut left = 0;
        for &entry in all.iter().filter(|&&entry| entry != 0) {
            if leaves(entry) {
                other.put(entry, slot_mask);
                left += 1;
                continue;
            }
            let mut at = home(entry, slot_mask);
            while stay[at] != 0 {
                at = after(at);
            }
            stay[at] = entry;
        }
        for (at, &entry) in stay.iter().enumerate() {
            self.set(at, entry);
        }
        self.add_len(u32::wrapping_neg(left));
    }
}

/// See [`Segment::candidates`].
pub(super) struct Candidates<'a> {
    pub(super) segment: Option<&'a Segment>,
    pub(super) at: usize,
    pub(super) left: usize,
    pub(super) hash: u32,
    pub(super) slot_mask: u32,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let segment = self.segment?;
        while self.left > 0 {
            let entry = segment.entry(self.at);
            self.at = after(self.at);
            self.left -= 1;
            if entry == 0 {
                return None;
            }
            if (entry ^ self.hash) & !self.slot_mask == 0 {
                return Some((entry & self.slot_mask) - 1);
            }
        }
        None
    }
}

#[cfg(loom)]
impl crate::sync::Zeroed for Segment {
    fn zero() -> Self {
        let entries = std::array::from_fn(|_| AtomicU32::new(0));
        Self { entries, depth: AtomicU32::new(0), len: AtomicU32::new(0) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MASK: u32 = 0xffff;

    /// The hash of which a search begins at this position.
    fn hash_at(at: usize) -> u32 {
        let mut hashes = (0_u32..1 << 16).map(|tag| tag << 16);
        hashes.find(|&hash| home(hash, MASK) == at).expect("every position has tags")
    }

    fn put(segment: &Segment, hash: u32, slot: u32) {
        assert!(segment.put(hash | (slot + 1), MASK));
    }

    fn found(segment: &Segment, hash: u32) -> Vec<u32> {
        segment.candidates(hash, MASK).collect()
    }

    #[test]
    fn what_is_near_is_found_at_once_and_the_rest_by_going_on() {
        let segment = *crate::sync::zeroed::<Segment>();
        let (hash, other) = (hash_at(4), hash_at(4) + (1 << 16));
        assert_eq!(home(other, MASK), 4, "another tag of the same place");
        assert_eq!((segment.near(hash, MASK), segment.far(hash, MASK)), (0, None));
        for slot in 0..5 {
            put(&segment, other, slot);
            assert_eq!((segment.near(hash, MASK), segment.far(hash, MASK)), (0, None), "{slot} has the other tag");
            assert_eq!((segment.near(other, MASK), segment.far(other, MASK)), (1, Some(0)), "the first of them");
        }
        // Beyond the nearest.
        put(&segment, hash, 77);
        assert_eq!((segment.near(hash, MASK), segment.far(hash, MASK)), (0, Some(77)));
        (0..4).for_each(|slot| segment.remove(other, slot, MASK));
        assert_eq!((segment.near(hash, MASK), segment.far(hash, MASK)), (78, Some(77)), "it moved up");
        assert_eq!((found(&segment, hash), found(&segment, other)), (vec![77], vec![4]));
        // The bits below the tag say nothing.
        assert_eq!((segment.near(hash | 5, MASK), found(&segment, hash | 5)), (78, vec![77]));
    }

    #[test]
    fn in_a_full_one_a_search_ends_where_it_began() {
        let segment = *crate::sync::zeroed::<Segment>();
        let count = u32::try_from(SEGMENT_ENTRIES).unwrap();
        let hash = hash_at(SEGMENT_ENTRIES - NEAR);
        (0..count).for_each(|slot| put(&segment, hash, slot));
        assert!(!segment.put(hash | 0x99, MASK), "there is no room");
        assert_eq!(found(&segment, hash), (0..count).collect::<Vec<_>>());
        assert!(found(&segment, hash_at(7)).is_empty());
        segment.remove(hash, 3, MASK);
        assert_eq!(found(&segment, hash), (0..count).filter(|&slot| slot != 3).collect::<Vec<_>>());
    }

    #[test]
    fn whoever_leaves_breaks_nobody_elses_way() {
        let segment = *crate::sync::zeroed::<Segment>();
        // Homes near the end, so that runs wrap around it, and a few at the beginning.
        let homes = [0, 1, 2, 41, 42, 43].map(hash_at);
        let (mut state, mut live) = (1_u32, Vec::new());
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hash = homes[(state >> 16) as usize % homes.len()];
            if state >> 31 == 0 && live.len() < SEGMENT_ENTRIES {
                put(&segment, hash, step);
                live.push((hash, step));
            } else if !live.is_empty() {
                let (hash, slot) = live.swap_remove((state >> 8) as usize % live.len());
                segment.remove(hash, slot, MASK);
            }
            assert_eq!(segment.len(), live.len());
            for &(hash, slot) in &live {
                assert!(found(&segment, hash).contains(&slot), "{slot} in step {step}");
            }
        }
    }
}
