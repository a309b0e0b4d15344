//! What each limit of a key counts, all at one moment.

use super::cold::{Cold, Wait};
use super::leases::NO_END;
use crate::policy::{Cost, Limit};
use crate::ticks::Ticks;

/// One limit of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) used: u64,
    pub(crate) remaining: u64,
    /// Until the limit counts nothing.
    pub(crate) reset_after: Ticks,
    /// Until the limit would let the request pass that was asked about.
    pub(crate) wait: Wait,
    pub(crate) estimated: bool,
}

impl Cold {
    /// One answer for each limit, and how long the key is blocked. Takes nothing.
    pub(crate) fn inspect(&mut self, limits: &[Limit], now: Ticks, cost: &Cost) -> (Vec<Inspected>, Ticks) {
        self.catch_up(limits, now);
        let each = limits.iter().enumerate().map(|(number, limit)| {
            let n = cost.on(limit);
            let passes_at = self.passes_at(number, limit, now, n).map(|at| at.max(self.from));
            let soonest = self.passes_at_soonest(number, limit, now, n);
            let wait = match passes_at {
                _ if cost.is_zero() => Wait::Now,
                None => Wait::Never,
                Some(NO_END..) => Wait::Open,
                Some(at) if at > now => Wait::For(at - now),
                Some(_) => Wait::Now,
            };
            let full_at = self.part_full_at(number, limit);
            Inspected {
                used: self.used(number, limit, now),
                remaining: if now < self.from { 0 } else { self.remains(number, limit, now) },
                reset_after: if full_at >= NO_END { NO_END } else { full_at.saturating_sub(now) },
                wait,
                estimated: wait != Wait::Now && soonest < passes_at,
            }
        });
        (each.collect(), self.blocked.saturating_sub(now))
    }

    /// What a limit in force counts (see [`Part::used`](super::part::Part::used)).
    pub(super) fn used(&self, number: usize, limit: &Limit, now: Ticks) -> u64 {
        let part = &self.parts[number];
        part.used(&limit.rule, self.stamps(part), now)
    }
}
