//! Room for one more account: the bound on their number, and who goes when it is reached.
//!
//! An account that has refilled equals one never seen, so dropping it forgives nobody; such go first.
//! The search looks at a fixed number of accounts at most, whatever the size of the table: at some in the newcomer's own
//! stripe, whose lock is held anyhow, and, where none of those will do, at some in two others.

use super::stripe::Locked;
use super::sweep::Sweep;
use super::{Sought, Table};
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

/// Accounts looked at in the key's own stripe, and in each of two others.
const HOME_LOOKS: usize = 16;
const AWAY_LOOKS: usize = 8;
const AWAY_STRIPES: usize = 2;
/// Where so many searches in a row met nobody who has refilled, hardly anybody has; and one who would be forgiven for the
/// newcomer is at hand. Then one search in so many goes on to other stripes.
const BARREN: u32 = 16;
const FAR_AMONG_BARREN: u32 = 8;

/// No insertion looks at more accounts than this: a round for its own place, and one that works off what the table
/// holds above its bound.
#[allow(clippy::cast_possible_truncation)]
pub const LOOKS_PER_INSERTION: u32 = 2 * (HOME_LOOKS + AWAY_STRIPES * AWAY_LOOKS) as u32;

/// The right to hold one account, and a dead slot for it. Given back when dropped, unless taken.
pub(super) struct Seat<'a> {
    table: &'a Table,
    place: (u32, bool),
}

impl Seat<'_> {
    /// The slot, and whether it was never used.
    pub(super) fn place(&self) -> (u32, bool) {
        self.place
    }

    /// An account was put into the table under this right.
    pub(super) fn take(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.table.give_up_seat();
        self.table.slab.give_back_place(self.place);
    }
}

impl Table {
    /// How many accounts there are.
    pub(crate) fn len(&self) -> usize {
        self.seats.load(Ordering::SeqCst)
    }

    /// A seat that nobody has to leave. May be called with a stripe locked.
    pub(super) fn free_seat(&self) -> Option<Seat<'_>> {
        let free = |seats| (seats < self.plan.max_keys).then_some(seats + 1);
        self.seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).ok()?;
        self.seat_with(None).ok()
    }

    /// The seat of an account of the newcomer's own stripe, whose lock the caller holds. `Err`, with what was seen, if
    /// others must be asked.
    pub(super) fn seat_at_home(
        &self,
        stripe: &mut Locked<'_>,
        sought: &Sought<'_>,
        now: Ticks,
    ) -> Result<Seat<'_>, Option<Sweep>> {
        // What the table holds above its bound is worked off elsewhere.
        if self.len() > self.plan.max_keys {
            return Err(None);
        }
        let seen = stripe.sweep_for(sought.probe.hash, now, &self.classes, HOME_LOOKS);
        let (slot, tat) = match (seen.refilled, seen.least) {
            (Some((slot, tat)), _) => (slot, Some(tat)),
            (None, Some((slot, _))) if self.plan.when_full == WhenFull::EvictLeast && self.is_barren() => (slot, None),
            _ => return Err(Some(seen)),
        };
        self.count_looks(seen.looks);
        match self.hand_over(stripe, slot, tat, now) {
            Some(Ok(seat)) => Ok(seat),
            _ => Err(Some(seen)),
        }
    }

    /// Whether a search at home was one of many in a row that met nobody who has refilled, and is the last for its newcomer.
    fn is_barren(&self) -> bool {
        // ORDERING: Relaxed, wherever it is counted: nothing else follows from it.
        let before = self.barren.load(Ordering::Relaxed);
        self.barren.store(before.wrapping_add(1), Ordering::Relaxed);
        before >= BARREN && !before.is_multiple_of(FAR_AMONG_BARREN)
    }

    /// A seat for one more account, by eviction if need be, after what was seen in its own stripe. No lock is held on
    /// return. `Err` if no account could go: how far the nearest is from refilled.
    pub(super) fn find_seat(&self, sought: &Sought<'_>, seen: Option<Sweep>) -> Result<Seat<'_>, Option<Ticks>> {
        if let Some(seat) = self.free_seat() {
            return Ok(seat);
        }
        let mut looks = 0;
        let found = match seen {
            Some(seen) => self.evict_away(sought, &seen, &mut looks),
            None => self.evict(sought, &mut looks),
        };
        let found = found.or_else(|nearest| {
            if self.plan.when_full != WhenFull::EvictLeast {
                return Err(nearest);
            }
            // All that was looked at is pinned: the table grows past its bound by what the caller itself holds.
            self.seats.fetch_add(1, Ordering::SeqCst);
            self.seat_with(None)
        });
        if self.len() > self.plan.max_keys {
            // Dropping the seat gives it back.
            drop(self.evict(sought, &mut looks));
        }
        self.count_looks(looks);
        found
    }

    fn count_looks(&self, looks: u32) {
        if looks > self.most_looks.load(Ordering::SeqCst) {
            self.most_looks.fetch_max(looks, Ordering::SeqCst);
        }
    }

    /// The seat that the caller has counted, with this slot or another. `Err` if there is none, which takes twice as
    /// many accounts held by handles as the table may hold.
    fn seat_with(&self, slot: Option<u32>) -> Result<Seat<'_>, Option<Ticks>> {
        let Some(place) = slot.map(|slot| (slot, false)).or_else(|| self.slab.take()) else {
            self.give_up_seat();
            return Err(None);
        };
        Ok(Seat { table: self, place })
    }

    pub(super) fn give_up_seat(&self) {
        self.seats.fetch_sub(1, Ordering::SeqCst);
    }

    /// Drops a refilled account of the key's own stripe, or of others as [`Table::evict_away`] does, and hands on its seat.
    fn evict(&self, sought: &Sought<'_>, looks: &mut u32) -> Result<Seat<'_>, Option<Ticks>> {
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        let now = self.time.coarse();
        let seen = stripe.sweep_for(sought.probe.hash, now, &self.classes, HOME_LOOKS);
        if let Some((slot, tat)) = seen.refilled
            && let Some(seat) = self.hand_over(&mut stripe, slot, Some(tat), now)
        {
            *looks += seen.looks;
            return seat;
        }
        drop(stripe);
        self.evict_away(sought, &seen, looks)
    }

    /// Drops a refilled account of another stripe and hands on its seat; under [`WhenFull::EvictLeast`], where none was met,
    /// the one that owes least of those `seen` in the key's own. `Err` if none could go: how far the nearest is from refilled.
    fn evict_away(&self, sought: &Sought<'_>, seen: &Sweep, looks: &mut u32) -> Result<Seat<'_>, Option<Ticks>> {
        *looks += seen.looks;
        let mut least = seen.least.map(|(slot, _)| (sought.home, slot));
        let mut nearest = seen.nearest;
        let turn = self.rotor.fetch_add(1, Ordering::SeqCst);
        let others = self.stripes.len() - 1;
        for i in 0..AWAY_STRIPES.min(others) {
            let at = (sought.home + 1 + (turn + i) % others) % self.stripes.len();
            let mut stripe = self.stripes[at].lock(&self.slab);
            let now = self.time.coarse();
            let seen = stripe.sweep(now, &self.classes, AWAY_LOOKS);
            *looks += seen.looks;
            // Charged since it was seen: then it has not refilled, and the search goes on.
            if let Some((slot, tat)) = seen.refilled
                && let Some(seat) = self.hand_over(&mut stripe, slot, Some(tat), now)
            {
                return seat;
            }
            nearest = nearest.into_iter().chain(seen.nearest).min();
            if let Some((slot, _)) = seen.least {
                // Others' stripes give a debtor only where the key's own has nobody.
                least = least.or(Some((at, slot)));
            }
        }
        if let (WhenFull::EvictLeast, Some((at, slot))) = (self.plan.when_full, least) {
            let mut stripe = self.stripes[at].lock(&self.slab);
            // It may have gone meanwhile, or been pinned.
            if stripe.may_go(slot)
                && let Some(seat) = self.hand_over(&mut stripe, slot, None, self.time.coarse())
            {
                return seat;
            }
        }
        Err(nearest)
    }

    /// Evicts one account, refilled as its word was `seen` or else forgiven, and hands on its seat and its slot.
    fn hand_over(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        seen: Option<Ticks>,
        now: Ticks,
    ) -> Option<Result<Seat<'_>, Option<Ticks>>> {
        let slot = stripe.evict(slot, seen, now).ok()?;
        self.evicted.fetch_add(1, Ordering::SeqCst);
        if seen.is_some() {
            // ORDERING: Relaxed; see `is_barren`.
            self.barren.store(0, Ordering::Relaxed);
        } else {
            self.forgiven.fetch_add(1, Ordering::SeqCst);
        }
        Some(self.seat_with(slot))
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
