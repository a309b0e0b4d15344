//! What happens to accounts on request: looked at, listed, reset, put under another policy.

use super::slot::Whose;
use super::stripe::{Locked, Side};
use super::{Answer, Charge, Look, Sought, Table};
use crate::account::Purpose;
use crate::classes::ClassId;
use crate::policy::Cost;
use crate::ticks::Ticks;

impl Table {
    /// What a request of this cost would be told, without taking anything; an unknown key as one of `class` would be.
    pub(crate) fn peek(&self, key: &[u8], cost: &Cost, class: ClassId) -> Answer {
        let sought @ Sought { probe, home } = self.seek(key);
        for slot in self.stripes[home].index.candidates(probe.hash) {
            if let Ok((tat, class)) = self.slab.slot(slot).look(Whose::Key(probe))
                && !self.is_elsewhere(class)
            {
                return self.judge(tat, self.time.now(), class, cost);
            }
        }
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        match self.find(&mut stripe, &probe) {
            Some(slot) => self.peek_locked(&mut stripe, slot, cost),
            None => self.answer_unknown(&stripe, self.class_for(key, class), self.time.now(), cost),
        }
    }

    pub(super) fn peek_locked(&self, stripe: &mut Locked<'_>, slot: u32, cost: &Cost) -> Answer {
        let (now, (tat, class)) = (self.time.now(), self.slab.slot(slot).look_locked());
        if self.is_cold(class) {
            return Answer::Ruled(self.rule(stripe, slot, now, cost, Purpose::Look));
        }
        self.judge(tat, now, class, cost)
    }

    fn judge(&self, tat: Ticks, now: Ticks, class: ClassId, cost: &Cost) -> Answer {
        let policy = self.classes.get(class);
        let verdict = policy.rule().decide(tat, now, cost.on_only(policy.limits()));
        Answer::Charged(Charge { verdict, tat, now, class, notice: None })
    }

    /// The caller holds the stripe's lock. Of an account of a single rate that is cold: the word that it would have.
    pub(super) fn look_locked(&self, stripe: &mut Locked<'_>, slot: u32) -> Look {
        let (now, (tat, class)) = (self.time.now(), self.slab.slot(slot).look_locked());
        if !self.is_cold(class) {
            return Look { tat, now, class, left: None };
        }
        let ruled = self.rule(stripe, slot, now, &Cost::new(0), Purpose::Look);
        let left = Some(ruled.ruling.remaining).filter(|_| self.is_cold(ruled.class));
        let kept = stripe.side(slot).and_then(Side::shown_word);
        Look { tat: kept.unwrap_or_else(|| self.slab.slot(slot).look_locked().0), now, class: ruled.class, left }
    }

    /// Makes the key's account as good as new; false if the key is unknown.
    pub(crate) fn reset(&self, key: &[u8]) -> bool {
        let Sought { probe, home } = self.seek(key);
        let mut stripe = self.stripes[home].lock(&self.slab);
        let Some(slot) = self.find(&mut stripe, &probe) else { return false };
        if self.is_cold(self.slab.slot(slot).look_locked().1) {
            self.reset_cold(stripe, slot);
            return true;
        }
        let now = self.time.now();
        stripe.change(slot, |_, class| (now, class));
        true
    }

    /// Calls `each` with every account, stripe by stripe, after the stripe's lock is let go. There is no
    /// moment at which all of it is true: accounts come and go while it runs.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], Look, Option<u64>)) {
        for stripe in &self.stripes {
            let copies: Vec<_> = {
                let mut stripe = stripe.lock(&self.slab);
                let slots: Vec<u32> = stripe.slots().collect();
                let copy = |slot| {
                    stripe.follow(slot, &self.classes);
                    let created = stripe.side(slot).and_then(|side| side.created_ns);
                    (stripe.key(slot), self.look_locked(&mut stripe, slot), created)
                };
                slots.into_iter().map(copy).collect()
            };
            for (key, look, created) in copies {
                each(&key, look, created);
            }
        }
    }

    /// When the key was first seen, on the wall clock, if that is tracked and it is known.
    pub(crate) fn created_ns(&self, key: &[u8]) -> Option<u64> {
        let Sought { probe, home } = self.seek(key);
        let stripe = self.stripes[home].lock(&self.slab);
        let slot = stripe.find(&probe)?;
        stripe.side(slot).and_then(|side| side.created_ns)
    }

    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        let Sought { probe, home } = self.seek(key);
        self.stripes[home].lock(&self.slab).find(&probe).is_some()
    }
}
