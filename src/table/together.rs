//! Several keys charged together, or none of them.
//!
//! The accounts are pinned, so that making room for one does not drop another. Then all their stripes are locked, in their
//! order, so that two such requests never wait for each other in a circle, and every account that is a word is *frozen*: it is
//! made dead, as at the end of a life, so no charge without the lock succeeds any more. Those that are more than a word are
//! charged under the lock alone anyway. Now all states are known at one moment, the decision is made, and the accounts are
//! *thawed* with the words that it leaves. Whoever met a frozen one waits for its stripe's lock, as at a first sight.
//!
//! A word that comes back unchanged is the same account's in the same state, so a swap that expected it is right.

use super::stripe::Locked;
use super::{Absent, Answer, Charge, Pin, Table};
use crate::account::Purpose;
use crate::classes::ClassId;
use crate::limit::Verdict;
use crate::policy::Cost;
use crate::ticks::{RANGE, Ticks};

/// No place for the key of this number; how far the nearest account is from making one.
pub(crate) struct NoPlace(pub(crate) usize, pub(crate) Option<Ticks>);

/// Pins that are given back when this is dropped.
pub(super) struct Held<'a> {
    table: &'a Table,
    pub(super) pins: Vec<Pin>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.pins.drain(..).for_each(|pin| self.table.unpin(pin));
    }
}

/// Several stripes, all locked.
pub(super) struct Stripes<'a> {
    homes: Vec<usize>,
    locked: Vec<Locked<'a>>,
}

impl<'a> Stripes<'a> {
    pub(super) fn of(&mut self, home: usize) -> &mut Locked<'a> {
        let place = self.homes.binary_search(&home).expect("every home is locked");
        &mut self.locked[place]
    }
}

impl Table {
    /// Charges each of these different keys, or none. Unknown keys get accounts of the classes beside them,
    /// if they all would pass.
    pub(crate) fn charge_all(&self, keys: &[(&[u8], ClassId)], cost: &Cost) -> Result<Vec<Answer>, NoPlace> {
        let looked: Vec<Answer> = keys.iter().map(|&(key, class)| self.peek(key, cost, class)).collect();
        // A request that cannot pass leaves no trace, but in a jail that counts it.
        let denied = || looked.iter().filter(|answer| self.denies(answer));
        let is_counted = denied().any(|answer| self.is_counted(answer));
        if denied().any(|answer| answer.is_never() || (!is_counted && self.is_certain(answer))) {
            return Ok(looked);
        }
        let held = self.hold(keys)?;
        let mut stripes = self.lock_all(held.pins.iter().map(Pin::stripe));
        Ok(self.charge_held(&mut stripes, &held.pins, self.time.now(), cost, Purpose::Charge).0)
    }

    /// Keeps the accounts of all these keys in the table; makes those that are not there.
    pub(super) fn hold(&self, keys: &[(&[u8], ClassId)]) -> Result<Held<'_>, NoPlace> {
        let mut held = Held { table: self, pins: Vec::with_capacity(keys.len()) };
        for (at, &(key, class)) in keys.iter().enumerate() {
            let pin = self.pin(key, Absent::Create(class)).map_err(|nearest| NoPlace(at, nearest))?;
            held.pins.extend(pin);
        }
        Ok(held)
    }

    /// Locks these stripes, each once, in their order.
    pub(super) fn lock_all(&self, homes: impl Iterator<Item = usize>) -> Stripes<'_> {
        let mut homes: Vec<usize> = homes.collect();
        homes.sort_unstable();
        homes.dedup();
        let locked = homes.iter().map(|&home| self.stripes[home].lock(&self.slab)).collect();
        Stripes { homes, locked }
    }

    /// Whether no wait helps; what a shadow limit would never let pass does pass.
    pub(super) fn never_passes(&self, answer: &Answer) -> bool {
        answer.is_never() && self.denies(answer)
    }

    fn denies(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Charged(part) => {
                !matches!(part.verdict, Verdict::Allow(_)) && !self.classes.get(part.class).is_shadow()
            }
            Answer::Ruled(ruled) => !ruled.ruling.passes(),
            Answer::Unknown | Answer::Full(_) => true,
        }
    }

    fn is_counted(&self, denial: &Answer) -> bool {
        matches!(denial, Answer::Ruled(ruled) if self.classes.get(ruled.class).has_jail())
    }

    /// A word from before a step of the clock is judged under the lock.
    fn is_certain(&self, denial: &Answer) -> bool {
        !matches!(denial, Answer::Charged(part) if self.is_ahead(part))
    }

    /// Charges all of these accounts, or none, and says whether it did. With [`Purpose::Look`] a denial leaves no trace;
    /// otherwise the jails count it that do so.
    pub(super) fn charge_held(
        &self,
        stripes: &mut Stripes<'_>,
        pins: &[Pin],
        now: Ticks,
        cost: &Cost,
        denied: Purpose,
    ) -> (Vec<Answer>, bool) {
        let mut parts = Vec::with_capacity(pins.len());
        for pin in pins {
            let stripe = stripes.of(pin.stripe());
            stripe.follow(pin.slot(), &self.classes);
            stripe.clamp(pin.slot(), now, &self.classes);
            parts.push(if self.is_cold(self.slab.slot(pin.slot()).look_locked().1) {
                Answer::Ruled(self.rule(stripe, pin.slot(), now, cost, Purpose::Look))
            } else {
                Answer::Charged(self.freeze(pin, now, cost))
            });
        }
        let pass = !parts.iter().any(|part| self.denies(part));
        let purpose = if pass { Purpose::Charge } else { denied };
        for (part, pin) in parts.iter_mut().zip(pins) {
            if let Answer::Charged(part) = part {
                if let (true, Verdict::Allow(new)) = (pass, part.verdict) {
                    part.tat = new;
                }
                self.slab.slot(pin.slot()).thaw(part.tat);
            } else if pass || self.denies(part) {
                // The same answer again by the same reading, now with what follows from it.
                *part = Answer::Ruled(self.rule(stripes.of(pin.stripe()), pin.slot(), now, cost, purpose));
            }
        }
        (parts, pass)
    }

    /// Makes the account's word dead, so that nobody charges it, and decides about it. The caller holds its stripe's lock.
    fn freeze(&self, pin: &Pin, now: Ticks, cost: &Cost) -> Charge {
        let slot = self.slab.slot(pin.slot());
        let (tat, class) = slot.die(None).expect("no life ends without the lock");
        let policy = self.classes.get(class);
        let verdict = match policy.rule().decide(tat, now, cost.on_only(policy.limits())) {
            // Eighteen years are over: nothing passes until time starts again from 0.
            Verdict::Allow(new) if new >= slot.end_of_time() => Verdict::Deny(RANGE - now),
            verdict => verdict,
        };
        Charge { verdict, tat, now, class, notice: None }
    }
}
