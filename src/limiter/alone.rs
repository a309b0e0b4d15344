//! Decisions for callers of whom there is one at a time, such as those that hold an interpreter's lock.
//!
//! RUNS PER DECISION from Python: [`Limiter::take_alone`], or [`Limiter::take_pinned_alone`] for a handle. The caller knows that
//! no other thread uses the limiter meanwhile; were it wrong, a charge could get lost. Any other answer than the usual yes is
//! then given as to everybody.

use super::{Limiter, Outcome, check};
use crate::counters::Event;
use crate::error::Error;
use crate::table::{Absent, Pin, Trace};

impl Limiter {
    /// The usual yes for a caller that knows that no other thread uses the limiter meanwhile. An `Err` is no answer:
    /// [`Limiter::charge_known_after`] gives it.
    #[allow(clippy::inline_always)] // the whole of a call from Python is to be one function
    #[inline(always)]
    pub(crate) fn take_alone(&self, key: &[u8], cost: u64) -> Result<(), Trace> {
        self.table.take::<true>(key, cost)?;
        self.counters.count_alone(Event::Allowed);
        Ok(())
    }

    /// [`Limiter::charge_known`] after [`Limiter::take_alone`].
    ///
    /// # Errors
    /// [`Error::KeyTooLong`]; nothing is charged then.
    pub(crate) fn charge_known_after(&self, trace: Trace, key: &[u8], cost: u64) -> Result<Outcome<'_>, Error> {
        Ok(self.not_taken(check(key)?, trace, cost, Absent::Tell))
    }

    /// [`Limiter::try_acquire_many`] for a caller that knows that no other thread uses the limiter meanwhile.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`] if any key is; nothing is charged then.
    pub(crate) fn try_acquire_many_alone<K: AsRef<[u8]>>(&self, keys: &[K], cost: u64) -> Result<Vec<bool>, Error> {
        self.take_many::<true, K>(keys, cost, self.table.default_class())
    }

    /// The usual yes of [`Limiter::charge_pinned`] for a caller that knows that no other thread uses the limiter meanwhile.
    #[inline]
    pub(crate) fn take_pinned_alone(&self, pin: &Pin, cost: u64) -> bool {
        let taken = self.table.take_pinned_alone(pin, cost);
        if taken {
            self.counters.count_alone(Event::Allowed);
        }
        taken
    }
}
