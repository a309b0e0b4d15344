//! The usual yes: what needs no more than the coarse clock.
//!
//! RUNS PER DECISION: [`Table::take`].
//!
//! A coarse reading is never ahead and stale by a tick, 10 ms at most. So a yes by it is one; and so is a no that holds for
//! longer than two readings may lie apart at all (see `Slot::deny`). The precise reading costs as much as all else
//! that a denial does. Only the wait that is told is too long then, by as much as the reading is old.

use super::memory::prefetch;
use super::slot::Whose;
use super::{Charge, Sought, Table, Trace};

impl Table {
    /// The slot that most likely holds the key.
    #[allow(clippy::inline_always)] // as `take`
    #[inline(always)]
    pub(super) fn likely(&self, sought: &Sought<'_>) -> Option<u32> {
        self.stripes[sought.home].index.likely(sought.probe.hash)
    }

    /// Takes `n` tokens from a known account that has them by the coarse clock: all that most decisions are. An `Err` is
    /// no answer: [`Table::charge`] gives it. `ALONE` promises that no other thread does anything to the table meanwhile.
    #[allow(clippy::inline_always)] // it has several callers, and each is a hot path
    #[inline(always)]
    pub(crate) fn take<const ALONE: bool>(&self, key: &[u8], n: u64) -> Result<Charge, Trace> {
        let hash = self.hash(key);
        let sought = self.sought(key, hash);
        let likely = self.likely(&sought);
        let Some(number) = likely else { return Err(Trace { hash, likely, now: 0 }) };
        let slot = self.slab.slot(number);
        let (whose, mut now) = (Whose::Key(sought.probe), 0);
        let mut read = || {
            now = self.time.coarse();
            now
        };
        let taken = if ALONE {
            slot.take_alone(whose, &self.classes, read, n)
        } else {
            // The slot is fetched while the clock is read.
            prefetch(slot);
            slot.take(whose, &self.classes, read(), n)
        };
        taken.map(|taken| Charge::of(taken, None)).ok_or(Trace { hash, likely, now })
    }
}
