//! Pins: whoever holds one keeps its account in the table, and charges it without a search.
//!
//! RUNS PER DECISION: [`Table::take_pinned`], the slot's own charge and nothing else.

use super::slot::Whose;
use super::{Absent, Answer, Charge, Detail, Look, Table};
use crate::policy::Cost;
use crate::ticks::Ticks;

/// Keeps one account from being evicted. Given back with [`Table::unpin`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pin {
    stripe: usize,
    slot: u32,
}

impl Pin {
    pub(super) fn stripe(&self) -> usize {
        self.stripe
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }
}

impl Table {
    /// Takes `n` tokens from a pinned account that has them by the coarse clock: no hash and no search. `None` is no
    /// answer: [`Table::charge_pinned`] gives it.
    #[inline]
    pub(crate) fn take_pinned(&self, pin: &Pin, n: u64) -> Option<Charge> {
        let slot = self.slab.slot(pin.slot);
        let taken = slot.take(Whose::Anybody, &self.classes, self.time.coarse(), n)?;
        Some(Charge::of(taken, None))
    }

    /// The same for a caller that knows that no other thread does anything to the table meanwhile.
    #[cfg(feature = "python")]
    #[inline]
    pub(crate) fn take_pinned_alone(&self, pin: &Pin, n: u64) -> bool {
        let slot = self.slab.slot(pin.slot);
        slot.take_alone(Whose::Anybody, &self.classes, || self.time.coarse(), n).is_some()
    }

    /// The same, whatever that takes.
    #[inline(never)]
    pub(crate) fn charge_pinned(&self, pin: &Pin, n: u64) -> Answer {
        let charged = self.slab.slot(pin.slot).charge(Whose::Anybody, &self.classes, || self.time.now(), n);
        match charged.map(|charged| Charge::of(charged, None)) {
            Ok(charge) if !self.is_ahead(&charge) => Answer::Charged(charge),
            _ => {
                // It is more than a word, or being changed just now, or its word is from before a step of the clock.
                let mut stripe = self.stripes[pin.stripe].lock(&self.slab);
                stripe.follow(pin.slot, &self.classes);
                self.charge_locked(&mut stripe, pin.slot, self.time.now(), &Cost::new(n), Detail::YesOrNo).untold()
            }
        }
    }

    /// The account as it stands.
    pub(crate) fn look_pinned(&self, pin: &Pin) -> Look {
        if let Ok((tat, class)) = self.slab.slot(pin.slot).look(Whose::Anybody)
            && !self.is_elsewhere(class)
        {
            return Look { tat, now: self.time.now(), class, left: None };
        }
        let mut stripe = self.stripes[pin.stripe].lock(&self.slab);
        stripe.follow(pin.slot, &self.classes);
        self.look_locked(&mut stripe, pin.slot)
    }

    /// What a request would be told, without taking anything.
    pub(crate) fn peek_pinned(&self, pin: &Pin, n: u64) -> Answer {
        let mut stripe = self.stripes[pin.stripe].lock(&self.slab);
        stripe.follow(pin.slot, &self.classes);
        self.peek_locked(&mut stripe, pin.slot, &Cost::new(n))
    }

    /// Keeps the key's account from eviction; `absent` says what to do about an unknown key, and
    /// `Ok(None)` is the answer to [`Absent::Tell`].
    pub(crate) fn pin(&self, key: &[u8], absent: Absent) -> Result<Option<Pin>, Option<Ticks>> {
        let sought = self.seek(key);
        let home = sought.home;
        let mut stripe = self.stripes[home].lock(&self.slab);
        let slot = match (stripe.find(&sought.probe), absent) {
            (Some(slot), _) => slot,
            (None, Absent::Tell) => return Ok(None),
            (None, Absent::Charge(class) | Absent::Create(class)) => {
                let (now, class) = (self.time.now(), self.class_for(key, class));
                let slot;
                (stripe, slot, _) = self.create(stripe, &sought, class, now)?;
                slot
            }
        };
        stripe.side_mut(slot).pins += 1;
        Ok(Some(Pin { stripe: home, slot }))
    }

    /// A second pin on the same account.
    pub(crate) fn pin_again(&self, pin: &Pin) -> Pin {
        self.stripes[pin.stripe].lock(&self.slab).side_mut(pin.slot).pins += 1;
        Pin { stripe: pin.stripe, slot: pin.slot }
    }

    /// Gives a pin back. Takes it by value: a pin given back cannot be used again.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn unpin(&self, pin: Pin) {
        self.stripes[pin.stripe].lock(&self.slab).unpin(pin.slot);
    }
}
