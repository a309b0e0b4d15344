//! Many keys by one reading of the clock, their cache misses overlapped.
//!
//! RUNS PER BATCH: [`Table::charge_each`]. Keys are taken in groups: for all of a group first the segments of the index
//! are asked for, then the slots, and only then is the first of them charged. In a large table nearly all of a
//! decision is waiting for memory, and so the waits of a group are one.

use super::memory::prefetch;
use super::slot::Whose;
use super::{Absent, Answer, Sought, Table, Trace};
use crate::ticks::Ticks;

/// As many as a processor can wait for at once, and some more.
const GROUP: usize = 32;
/// With fewer accounts they are in the processor's cache, and asking for them costs more than it gives.
const PREFETCH_FROM: usize = 1 << 13;

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
        if self.len() < PREFETCH_FROM {
            for key in keys {
                let hash = self.hash(key);
                self.charge_at::<ALONE>(key, hash, n, absent, now, &mut each);
            }
            return;
        }
        let mut group: [(&[u8], u64); GROUP] = [(&[], 0); GROUP];
        loop {
            let mut count = 0;
            for (place, key) in group.iter_mut().zip(&mut keys) {
                *place = (key, self.hash(key));
                count += 1;
            }
            let group = &group[..count];
            let sought = || group.iter().map(|&(key, hash)| self.sought(key, hash));
            for Sought { probe, home } in sought() {
                self.stripes[home].index.prefetch(&self.slab.segments, probe.hash);
            }
            for number in sought().filter_map(|sought| self.likely(&sought)) {
                prefetch(self.slab.slot(number));
            }
            for &(key, hash) in group {
                self.charge_at::<ALONE>(key, hash, n, absent, now, &mut each);
            }
            if count < GROUP {
                return;
            }
        }
    }

    #[allow(clippy::inline_always)] // as `take`
    #[inline(always)]
    fn charge_at<const ALONE: bool>(
        &self,
        key: &[u8],
        hash: u64,
        n: u64,
        absent: Absent,
        now: Ticks,
        each: &mut impl FnMut(Option<Answer>),
    ) {
        let sought = self.sought(key, hash);
        let likely = self.likely(&sought);
        let take = |number| {
            let (slot, whose) = (self.slab.slot(number), Whose::Key(sought.probe));
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
