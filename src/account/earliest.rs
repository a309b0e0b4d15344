//! When a request would pass by one limit: the exact time, what is reserved included.
//!
//! What counts in a limit leaves it at known times: a stamp when its window has passed it, a reservation when it ends by
//! itself (and, where it then counts as sent, its window later). A request of n passes a limit of L from the time on
//! at which no more than L - n are left, which is the leaving time of the (L - n + 1)-th last to leave.

use super::leases::{Lease, Leases};
use crate::limit::{Log, Tally, TokenBucket, Window};
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
            Self::Log(log) => usize::try_from(n).ok().and_then(|n| log.nth_from_end(n)),
            Self::Tally(tally) => tally.nth_from_end(n),
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
            (Self::Log(log), None) => log.len() as u64,
            (Self::Log(log), Some(stamp)) => (log.len() - log.rank_through(stamp)) as u64,
            (Self::Tally(tally), None) => tally.len(),
            (Self::Tally(tally), Some(stamp)) => tally.newer_than(stamp),
        }
    }
}

/// When a reservation leaves a window.
pub(super) fn leaves(window: Option<&Window>, lease: &Lease) -> Ticks {
    match window {
        Some(window) if !lease.terms.gives_back => window.free_at(window.stamped(lease.expiry)),
        _ => lease.expiry,
    }
}

/// The first moment at which no more than `spare` count: in the past, if that is so already. `held` is what the limit's
/// reservations come to. One look while it is a yes; what is reserved is gone through only for a no.
pub(super) fn earliest(
    window: Option<&Window>,
    stamps: Stamps<'_>,
    (leases, limit, held): (&Leases, usize, u64),
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
    let mut leaving: Vec<(Ticks, u64)> = leases.of(limit).map(|lease| (leaves(window, lease), lease.n)).collect();
    leaving.sort_unstable_by_key(|&(at, _)| std::cmp::Reverse(at));
    let mut later = 0;
    for (at, n) in leaving {
        let newer = window.map_or(0, |window| stamps.still_in(window, at));
        if spare < later + newer {
            break;
        }
        if spare < later + newer + n {
            return at;
        }
        later += n;
    }
    stamps.nth_from_end(spare - later).map_or(0, free_at)
}

/// The same of a bucket: reservations that would be given back when they end may make it sooner.
pub(super) fn earliest_of_bucket(
    bucket: &TokenBucket,
    mut tat: Ticks,
    (leases, limit): (&Leases, usize),
    n: u64,
) -> Ticks {
    let passes_at = |tat: Ticks| (tat + n * bucket.emission()).saturating_sub(bucket.tolerance());
    let mut earliest = passes_at(tat);
    for lease in leases.of(limit).filter(|lease| lease.terms.gives_back) {
        if earliest <= lease.expiry {
            break;
        }
        tat = bucket.refund(tat, lease.expiry, lease.n, lease.receipts[limit]);
        earliest = passes_at(tat).max(lease.expiry);
    }
    earliest
}
