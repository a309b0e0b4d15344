//! What is reserved and neither committed nor cancelled: each reservation with the time at which it ends by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::policy::{Cost, Limit};
use crate::ticks::{LONGEST, PER_NANO, Ticks};

/// The number of a reservation, unlike any other of its limiter.
pub(crate) type LeaseId = u64;

/// When a reservation ends that lasts until its holder ends it: later than every time, but not never.
pub(crate) const NO_END: Ticks = Ticks::MAX - 1;

/// How long a reservation lasts, and what becomes of one that nobody ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) length: Ticks,
    /// It is given back; else it counts as sent, which is safe whatever became of its holder.
    pub(crate) gives_back: bool,
}

impl Terms {
    /// Until its holder ends it; what becomes of it then is said there.
    pub(crate) const UNTIL_ENDED: Self = Self { length: NO_END, gives_back: false };

    /// The terms of a lease of so many nanoseconds; `None`: until its holder ends it.
    ///
    /// # Errors
    /// A lease of nothing or beyond 4.5 years.
    pub(crate) fn new(lease_ns: Option<u64>, gives_back: bool) -> Result<Self, Error> {
        let Some(lease_ns) = lease_ns else { return Ok(Self { gives_back, ..Self::UNTIL_ENDED }) };
        let length = lease_ns.checked_mul(PER_NANO).filter(|&length| length <= LONGEST);
        match length {
            None => Err(Error::invalid("lease", lease_ns as f64 / 1e9, "must be at most 4.5 years")),
            Some(0) => Err(Error::invalid("lease", lease_ns, "must be at least 1 ns")),
            Some(length) => Ok(Self { length, gives_back }),
        }
    }

    /// When a lease that begins now ends by itself.
    pub(super) fn ends(self, now: Ticks) -> Ticks {
        now.saturating_add(self.length).min(NO_END)
    }
}

/// One reservation.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) cost: Cost,
    pub(super) expiry: Ticks,
    pub(super) terms: Terms,
    /// A bit for each limit that it was charged to: all but shadow limits that would have denied it.
    pub(super) charged: u16,
    /// The words that it left the buckets at, by the number of the limit.
    pub(super) receipts: Box<[Ticks]>,
}

impl Lease {
    pub(super) fn is_charged_to(&self, limit: usize) -> bool {
        self.charged >> limit & 1 != 0
    }
}

/// The reservations of one key.
#[derive(Debug, Default)]
pub(super) struct Leases {
    by_id: BTreeMap<LeaseId, Lease>,
    by_expiry: BTreeSet<(Ticks, LeaseId)>,
}

impl Leases {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn begin(&mut self, id: LeaseId, lease: Lease) {
        self.by_expiry.insert((lease.expiry, id));
        self.by_id.insert(id, lease);
    }

    pub(super) fn end(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.by_id.remove(&id)?;
        self.by_expiry.remove(&(lease.expiry, id));
        Some(lease)
    }

    pub(super) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.by_id.get(&id)
    }

    /// Those that are open, by their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.by_id.iter().map(|(&id, lease)| (id, lease))
    }

    /// The one that expires first, and when.
    pub(super) fn first_expiry(&self) -> Option<(Ticks, LeaseId)> {
        self.by_expiry.first().copied()
    }

    /// When the last one ends.
    pub(super) fn last_expiry(&self) -> Option<Ticks> {
        self.by_expiry.last().map(|&(expiry, _)| expiry)
    }

    /// Those charged to a limit of this number, in the order in which they expire, with what they cost it.
    pub(super) fn of(&self, (number, limit): (usize, &Limit)) -> impl Iterator<Item = (&Lease, u64)> {
        let charged =
            self.by_expiry.iter().map(|(_, id)| &self.by_id[id]).filter(move |lease| lease.is_charged_to(number));
        charged.map(|lease| (lease, lease.cost.on(limit)))
    }

    /// What those charged to a limit come to.
    pub(super) fn held(&self, limit: (usize, &Limit)) -> u64 {
        self.of(limit).fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    pub(super) fn each(&mut self, change: impl FnMut(&mut Lease)) {
        self.by_id.values_mut().for_each(change);
    }

    /// None lasts longer than its length from `now` on: a clock stepped back.
    pub(super) fn settle(&mut self, now: Ticks) {
        let beyond = |lease: &Lease| lease.expiry > lease.terms.ends(now);
        if !self.by_id.values().any(beyond) {
            return;
        }
        self.each(|lease| lease.expiry = lease.expiry.min(lease.terms.ends(now)));
        self.by_expiry = self.by_id.iter().map(|(&id, lease)| (lease.expiry, id)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(expiry: Ticks, charged: u16) -> Lease {
        let terms = Terms { length: 100, gives_back: false };
        Lease { cost: Cost::new(1), expiry, terms, charged, receipts: [].into() }
    }

    #[test]
    fn they_end_in_their_order_or_when_told() {
        let mut leases = Leases::default();
        for (id, expiry) in [(1, 50), (2, 40), (3, 60)] {
            leases.begin(id, lease(expiry, 0b10));
        }
        leases.begin(4, lease(45, 0b01));
        assert_eq!(
            leases.of((1, &Limit::in_flight(5).unwrap())).map(|(lease, _)| lease.expiry).collect::<Vec<_>>(),
            [40, 50, 60]
        );
        assert_eq!(leases.last_expiry(), Some(60));
        assert_eq!(leases.first_expiry(), Some((40, 2)));
        assert_eq!(leases.end(1).unwrap().expiry, 50);
        assert!(leases.end(1).is_none());
        for (expiry, id) in [(40, 2), (45, 4), (60, 3)] {
            assert_eq!(leases.first_expiry(), Some((expiry, id)));
            assert_eq!(leases.end(id).unwrap().expiry, expiry);
        }
        assert!(leases.is_empty() && leases.first_expiry().is_none());
    }

    #[test]
    fn a_step_of_the_clock_makes_none_longer() {
        let mut leases = Leases::default();
        leases.begin(1, lease(1_100, 0));
        leases.begin(2, lease(1_050, 0));
        leases.settle(1_000);
        assert_eq!(leases.last_expiry(), Some(1_100));
        leases.settle(500);
        assert_eq!(leases.last_expiry(), Some(600));
        assert_eq!(leases.first_expiry(), Some((600, 1)));
    }
}
