//! Room for one more account: the bound on their number, and who goes when it is reached.
//!
//! An account that has refilled equals one never seen, so dropping it forgives nobody; such go first.
//! The search looks at a fixed number of accounts at most, whatever the size of the table.

use super::{Table, stripe::Stripe};
use crate::sync::Ordering;
use crate::ticks::Ticks;

/// What to do with an unknown key when no account has refilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// Refuse the unknown key. No account is ever forgiven.
    #[default]
    Deny,
    /// Let the unknown key pass, without an account.
    Allow,
    /// Of the accounts looked at, drop the one nearest to refilled, and count it as forgiven.
    EvictLeast,
}

/// Slots looked at in the key's own stripe, and in each of two others.
const HOME_LOOKS: u32 = 32;
const AWAY_LOOKS: u32 = 16;
const AWAY_STRIPES: usize = 2;

/// No insertion looks at more accounts than this. A round looks for a refilled account; under
/// [`WhenFull::EvictLeast`] a second takes the one that owes least, and a third works off what the
/// table holds above its bound.
#[allow(clippy::cast_possible_truncation)]
pub const LOOKS_PER_INSERTION: u32 = 3 * (HOME_LOOKS + AWAY_STRIPES as u32 * AWAY_LOOKS);

/// The right to hold one account. Given back when dropped, unless taken.
pub(super) struct Seat<'a>(&'a Table);

impl Seat<'_> {
    /// An account was put into the table under this right.
    pub(super) fn take(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Table {
    /// How many accounts there are.
    pub(crate) fn len(&self) -> usize {
        self.seats.load(Ordering::SeqCst)
    }

    /// A seat for one more account, by eviction if need be. No lock is held on return. `Err` if no
    /// account could go: how far the nearest is from refilled.
    pub(super) fn find_seat(&self, home: usize) -> Result<Seat<'_>, Option<Ticks>> {
        let free = |seats| (seats < self.plan.max_keys).then_some(seats + 1);
        if self.seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).is_ok() {
            return Ok(Seat(self));
        }
        let mut looks = 0;
        let found = self.evict(home, false, &mut looks).or_else(|nearest| match self.plan.when_full {
            WhenFull::Deny | WhenFull::Allow => Err(nearest),
            // Where all that was looked at is pinned, the table grows past its bound by what the
            // caller itself holds.
            WhenFull::EvictLeast => self.evict(home, true, &mut looks).or_else(|_| {
                self.seats.fetch_add(1, Ordering::SeqCst);
                Ok(Seat(self))
            }),
        });
        if self.len() > self.plan.max_keys {
            // Dropping the seat gives it back.
            drop(self.evict(home, self.plan.when_full == WhenFull::EvictLeast, &mut looks));
        }
        self.most_looks.fetch_max(looks, Ordering::SeqCst);
        found
    }

    /// Drops a refilled account, or if `in_debt` the one that owes least of those looked at in one
    /// stripe, and hands on its seat.
    fn evict(&self, home: usize, in_debt: bool, looks: &mut u32) -> Result<Seat<'_>, Option<Ticks>> {
        let turn = self.rotor.fetch_add(1, Ordering::SeqCst);
        let others = self.stripes.len() - 1;
        let away = (0..AWAY_STRIPES.min(others)).map(|i| (home + 1 + (turn + i) % others) % self.stripes.len());
        let route = std::iter::once((home, HOME_LOOKS)).chain(away.map(|at| (at, AWAY_LOOKS)));
        let mut nearest: Option<Ticks> = None;
        for (at, budget) in route {
            let mut stripe = self.stripes[at].write();
            let now = self.time.now();
            let seen = stripe.sweep(now, &self.classes, budget);
            *looks += seen.looks;
            if let Some(slot) = seen.refilled {
                return Ok(self.hand_over(&mut stripe, slot, now));
            }
            match seen.least {
                Some((slot, _)) if in_debt => {
                    self.forgiven.fetch_add(1, Ordering::SeqCst);
                    return Ok(self.hand_over(&mut stripe, slot, now));
                }
                Some((_, owed)) => nearest = Some(nearest.map_or(owed, |least| least.min(owed))),
                None => {}
            }
        }
        Err(nearest)
    }

    fn hand_over(&self, stripe: &mut Stripe, slot: u32, now: Ticks) -> Seat<'_> {
        stripe.remove(slot, now);
        self.evicted.fetch_add(1, Ordering::SeqCst);
        Seat(self)
    }

    /// Accounts dropped for others, how many of them owed something, and the most accounts that any
    /// insertion looked at.
    pub(crate) fn evictions(&self) -> (u64, u64, u32) {
        (
            self.evicted.load(Ordering::SeqCst),
            self.forgiven.load(Ordering::SeqCst),
            self.most_looks.load(Ordering::SeqCst),
        )
    }
}
