//! Which slot holds a hash: open addressing over 32-bit entries, read without a lock.
//!
//! RUNS PER DECISION: [`Index::candidates`], usually one or two entries.
//!
//! An entry is tag | slot number + 1, the tag being the hash's upper bits; 0 is empty. Writers hold the stripe's
//! lock. **A miss without the lock proves nothing** (entries move when others are removed, and when the array
//! grows); a candidate proves nothing either, the slot's key does. So writers owe readers no protocol.

use std::sync::OnceLock;

use crate::sync::{AtomicU32, FIRST_INDEX, Ordering};

/// Arrays of twice the size each; an outgrown one is kept until the end, for who still reads it. All of those
/// together are smaller than the one in use.
const LEVELS: usize = 28;

pub(super) struct Index {
    arrays: [OnceLock<Box<[AtomicU32]>>; LEVELS],
    /// The array in use, from 1 on; 0 is none yet.
    level: AtomicU32,
    slot_mask: u32,
}

impl Index {
    /// An index for slot numbers below 2^`slot_bits` - 1.
    pub(super) fn new(slot_bits: u32) -> Self {
        let slot_mask = (1 << slot_bits) - 1;
        Self { arrays: [const { OnceLock::new() }; LEVELS], level: AtomicU32::new(0), slot_mask }
    }

    #[inline]
    fn array(&self) -> &[AtomicU32] {
        // ORDERING: Acquire pairs with the Release store in `grow`: the array is there, and so are its entries.
        let level = self.level.load(Ordering::Acquire) as usize;
        if level == 0 {
            return &[];
        }
        self.arrays[level - 1].get().expect("a level is published after its array is made")
    }

    /// Slots whose entry looks like this hash.
    #[inline]
    pub(super) fn candidates(&self, hash: u32) -> Candidates<'_> {
        let array = self.array();
        Candidates { array, at: hash as usize, left: array.len(), hash, slot_mask: self.slot_mask }
    }

    /// Every slot in the index, in the order of its entries, from position `from` on. With the lock held.
    pub(super) fn from(&self, from: usize) -> impl Iterator<Item = Option<u32>> {
        let array = self.array();
        // ORDERING: Relaxed; entries are written under the lock that the caller holds.
        let entry = move |at: usize| array[at & (array.len() - 1)].load(Ordering::Relaxed);
        (from..from + array.len()).map(move |at| self.slot_of(entry(at)))
    }

    fn slot_of(&self, entry: u32) -> Option<u32> {
        (entry & self.slot_mask).checked_sub(1)
    }

    /// Puts a slot in. `len` is how many there are before; `hash_of` tells the hash of any of them. With the lock held.
    pub(super) fn insert(&self, hash: u32, slot: u32, len: usize, hash_of: impl Fn(u32) -> u32) {
        if (len + 1) * 4 > self.array().len() * 3 {
            self.grow(hash_of);
        }
        put(self.array(), hash, hash & !self.slot_mask | (slot + 1));
    }

    fn grow(&self, hash_of: impl Fn(u32) -> u32) {
        let old = self.array();
        let new: Box<[AtomicU32]> = (0..(2 * old.len()).max(FIRST_INDEX)).map(|_| AtomicU32::new(0)).collect();
        for entry in old {
            // ORDERING: Relaxed; under the lock.
            let entry = entry.load(Ordering::Relaxed);
            if let Some(slot) = self.slot_of(entry) {
                put(&new, hash_of(slot), entry);
            }
        }
        // ORDERING: Relaxed load under the lock; the Release store pairs with the load in `array`.
        let level = self.level.load(Ordering::Relaxed);
        let _ = self.arrays[level as usize].set(new);
        self.level.store(level + 1, Ordering::Release);
    }

    /// Takes a slot out, and moves those behind it up. With the lock held.
    pub(super) fn remove(&self, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) {
        let array = self.array();
        let mask = array.len() - 1;
        // ORDERING: Relaxed; entries are written under the lock.
        let entry = |at: usize| array[at & mask].load(Ordering::Relaxed);
        let mut hole = hash as usize & mask;
        while self.slot_of(entry(hole)) != Some(slot) {
            hole = (hole + 1) & mask;
        }
        let mut next = (hole + 1) & mask;
        while let Some(other) = self.slot_of(entry(next)) {
            let wanted = hash_of(other) as usize & mask;
            let distance = |to: usize, from: usize| to.wrapping_sub(from) & mask;
            // ORDERING: Release, here and below, pairs with the Acquire load in `Candidates`.
            if distance(next, wanted) >= distance(next, hole) {
                array[hole].store(entry(next), Ordering::Release);
                hole = next;
            }
            next = (next + 1) & mask;
        }
        array[hole].store(0, Ordering::Release);
    }
}

fn put(array: &[AtomicU32], hash: u32, entry: u32) {
    let mask = array.len() - 1;
    let mut at = hash as usize & mask;
    // ORDERING: Relaxed load under the lock; the Release store pairs with the load in `Candidates`: who finds the slot
    // finds its chunk.
    while array[at].load(Ordering::Relaxed) != 0 {
        at = (at + 1) & mask;
    }
    array[at].store(entry, Ordering::Release);
}

/// See [`Index::candidates`].
pub(super) struct Candidates<'a> {
    array: &'a [AtomicU32],
    at: usize,
    left: usize,
    hash: u32,
    slot_mask: u32,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        while self.left > 0 {
            // ORDERING: Acquire pairs with the Release stores of the writers.
            let entry = self.array[self.at & (self.array.len() - 1)].load(Ordering::Acquire);
            self.at = self.at.wrapping_add(1);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_was_put_in_and_not_what_was_taken_out() {
        let index = Index::new(16);
        // Few homes, so that long runs form, wrap around the end and are mended when one leaves.
        let hash_of = |slot: u32| (slot % 7).wrapping_sub(3) | (slot * 0x9e37) << 16;
        let holds = |slot| index.candidates(hash_of(slot)).any(|found| found == slot);
        let mut live: Vec<u32> = Vec::new();
        let mut state = 1_u32;
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few at first, where each run has a beginning and an end, then long runs.
            let most = if step < 10_000 { 9 } else { 600 };
            if live.is_empty() || state >> 30 != 0 && live.len() < most {
                let slot = step % 60_000;
                index.insert(hash_of(slot), slot, live.len(), hash_of);
                live.push(slot);
            } else {
                let slot = live.swap_remove(state as usize % live.len());
                index.remove(hash_of(slot), slot, hash_of);
                assert!(!holds(slot));
            }
            if live.len() < 10 || step % 500 == 0 {
                assert!(live.iter().all(|&slot| holds(slot)));
                let mut all: Vec<u32> = index.from(state as usize % 100).flatten().collect();
                all.sort_unstable();
                live.sort_unstable();
                assert_eq!(all, live);
            }
        }
        assert!(live.iter().all(|&slot| holds(slot)));
    }
}
