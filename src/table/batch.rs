//! Many keys by one reading of the clock, the waits of their decisions overlapped.
//!
//! RUNS PER BATCH: [`Table::charge_each`]. Keys are taken in groups: all of a group are hashed, then all are sought, and only
//! then is the first of them charged. Each step of a decision waits for the one before, be it for a cache alone; the same
//! step of the next key does not. In a large table, where nearly all of a decision is waiting for memory, the segments of the
//! index are asked for before the search, and the slots before the charges.

use super::memory::prefetch;
use super::slot::Whose;
use super::{Absent, Answer, Sought, Table, Trace};
use crate::ticks::Ticks;

/// As many as a processor can wait for at once, and some more.
const GROUP: usize = 32;
/// With fewer accounts they are in the processor's cache, and asking for them costs more than it gives.
const PREFETCH_FROM: usize = 1 << 13;

/// A key of a group, as far as it was prepared. Where it likely is may be out of date when its turn has come, for those
/// before it may have made room for themselves; then it is sought again.
#[derive(Clone, Copy)]
struct Next<'k> {
    key: &'k [u8],
    hash: u64,
    likely: Option<u32>,
}

impl Table {
    /// Takes `n` tokens of each key in turn, as [`Table::take`] and [`Table::charge`] would; `each` is told nothing of
    /// the usual yes, for that would be to write down an answer only to read that it is one. Only a denial reads the clock
    /// again. `ALONE` as there.
    pub(crate) fn charge_each<'k, const ALONE: bool>(
        &self,
        mut keys: impl Iterator<Item = &'k [u8]>,
        n: u64,
        absent: Absent,
        now: Ticks,
        mut each: impl FnMut(Option<Answer>),
    ) {
        let is_large = self.len() >= PREFETCH_FROM;
        let mut group = [Next { key: &[], hash: 0, likely: None }; GROUP];
        loop {
            let mut count = 0;
            for (next, key) in group.iter_mut().zip(&mut keys) {
                *next = Next { key, hash: self.hash(key), likely: None };
                count += 1;
            }
            let group = &mut group[..count];
            if is_large {
                for Sought { probe, home } in group.iter().map(|next| self.sought(next.key, next.hash)) {
                    self.stripes[home].index.prefetch(probe.hash);
                }
            }
            for next in &mut *group {
                next.likely = self.likely(&self.sought(next.key, next.hash));
                if let (true, Some(number)) = (is_large, next.likely) {
                    prefetch(self.slab.slot(number));
                }
            }
            for next in group {
                self.charge_next::<ALONE>(next, n, absent, now, &mut each);
            }
            if count < GROUP {
                return;
            }
        }
    }

    #[allow(clippy::inline_always)] // as `take`
    #[inline(always)]
    fn charge_next<const ALONE: bool>(
        &self,
        &Next { key, hash, likely }: &Next<'_>,
        n: u64,
        absent: Absent,
        now: Ticks,
        each: &mut impl FnMut(Option<Answer>),
    ) {
        let take = |number| {
            let (slot, whose) = (self.slab.slot(number), Whose::Key(self.sought(key, hash).probe));
            if ALONE {
                slot.take_alone(whose, &self.classes, || now, n)
            } else {
                slot.take(whose, &self.classes, now, n)
            }
        };
        match likely.and_then(take) {
            Some(_) => each(None),
            None => each(Some(self.charge(key, Trace { hash, likely, now }, n, absent))),
        }
    }
}
