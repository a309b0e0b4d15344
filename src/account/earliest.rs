//! When a request would pass by one limit: the exact time, what is reserved included.
//!
//! What counts in a limit leaves it at known times: a stamp when its window has passed it, a reservation when it ends by
//! itself (and, where it then counts as sent, its window later). A request of n passes a limit of L from the time on
//! at which no more than L - n are left, which is the leaving time of the (L - n + 1)-th last to leave.

use super::leases::{Lease, Leases, NO_END};
use crate::limit::{Log, Tally, TokenBucket, Window};
use crate::policy::Limit;
use crate::ticks::Ticks;

/// The stamps that a window counts.
#[derive(Clone, Copy)]
pub(super) enum Stamps<'a> {
    None,
    Log(&'a Log),
    Tally(&'a Tally),
}

impl Stamps<'_> {
    fn nth_from_end(self, n: u64) -> Option<Ticks> {
        match self {
            Self::None => None,
            Self::Log(log) => log.nth_from_end(n),
            Self::Tally(tally) => tally.nth_from_end(n),
        }
    }

    /// Every stamp and how many there are of it, the oldest first.
    pub(super) fn entries(self) -> Vec<(Ticks, u64)> {
        match self {
            Self::None => Vec::new(),
            Self::Log(log) => log.entries().collect(),
            Self::Tally(tally) => tally.entries().collect(),
        }
    }

    pub(super) fn last(self) -> Option<Ticks> {
        self.nth_from_end(0)
    }

    /// How many stamps are still in the window at `now`.
    pub(super) fn still_in(self, window: &Window, now: Ticks) -> u64 {
        // Free from stamp + reach + 1 on.
        let Some(left) = now.checked_sub(window.reach() + 1) else { return self.newer_than(None) };
        self.newer_than(Some(left))
    }

    fn newer_than(self, stamp: Option<Ticks>) -> u64 {
        match (self, stamp) {
            (Self::None, _) => 0,
            (Self::Log(log), None) => log.len(),
            (Self::Log(log), Some(stamp)) => log.newer_than(stamp),
            (Self::Tally(tally), None) => tally.len(),
            (Self::Tally(tally), Some(stamp)) => tally.newer_than(stamp),
        }
    }
}

/// When a reservation leaves a window.
pub(super) fn leaves(window: Option<&Window>, lease: &Lease) -> Ticks {
    match window {
        Some(window) if !lease.terms.gives_back => window.free_at(window.stamped(lease.expiry)).min(NO_END),
        _ => lease.expiry,
    }
}

/// The first moment at which no more than `spare` count: in the past, if that is so already. `held` is what the limit's
/// reservations come to. One look while it is a yes; what is reserved is gone through only for a no.
pub(super) fn earliest(
    window: Option<&Window>,
    stamps: Stamps<'_>,
    (leases, limit, held): (&Leases, (usize, &Limit), u64),
    now: Ticks,
    spare: u64,
) -> Ticks {
    let free_at = |stamp| window.map_or(0, |window| window.free_at(stamp));
    if let Some(beside) = spare.checked_sub(held) {
        // Reservations have not ended, so they all leave after now.
        let after_stamps = stamps.nth_from_end(beside).map_or(0, free_at);
        if held == 0 || after_stamps <= now {
            return after_stamps;
        }
    }
    let mut leaving: Vec<(Ticks, u64)> = leases.of(limit).map(|(lease, n)| (leaves(window, lease), n)).collect();
    leaving.sort_unstable_by_key(|&(at, _)| std::cmp::Reverse(at));
    let mut later = 0;
    for (at, n) in leaving {
        let newer = window.map_or(0, |window| stamps.still_in(window, at));
        let newer = newer.saturating_add(later);
        if spare < newer {
            break;
        }
        if spare < newer.saturating_add(n) {
            return at;
        }
        later = later.saturating_add(n);
    }
    stamps.nth_from_end(spare.saturating_sub(later)).map_or(0, free_at)
}

/// The same of a bucket: reservations that would be given back when they end may make it sooner.
pub(super) fn earliest_of_bucket(
    bucket: &TokenBucket,
    mut tat: Ticks,
    (leases, limit): (&Leases, (usize, &Limit)),
    n: u64,
) -> Ticks {
    let mut earliest = bucket.passes_at(tat, n);
    for (lease, held) in leases.of(limit).filter(|(lease, _)| lease.terms.gives_back) {
        if earliest <= lease.expiry {
            break;
        }
        tat = bucket.refund(tat, lease.expiry, held, lease.receipts[limit.0]);
        earliest = bucket.passes_at(tat, n).max(lease.expiry);
    }
    earliest
}

/// The word of a bucket if all that is reserved of it were given back now.
pub(super) fn soonest_of_bucket(
    bucket: &TokenBucket,
    tat: Ticks,
    (leases, limit): (&Leases, (usize, &Limit)),
    now: Ticks,
) -> Ticks {
    leases.of(limit).fold(tat, |tat, (lease, held)| bucket.refund(tat, now, held, lease.receipts[limit.0]))
}
