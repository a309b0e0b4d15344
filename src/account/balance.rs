//! What a key still has, and from when on it equals one never seen.

use super::cold::Cold;
use super::leases::NO_END;
use super::part::State;
use crate::policy::{Limit, Rule};
use crate::ticks::{LONGEST, Ticks};

impl Cold {
    /// What could pass at once, and how long until the key equals one never seen.
    pub(super) fn balance(&self, limits: &[Limit], now: Ticks) -> (u64, Ticks) {
        let none_denies = limits.iter().all(Limit::is_shadow);
        let numbered = limits.iter().enumerate().filter(|(_, limit)| none_denies || !limit.shadow);
        let remaining = numbered.map(|(number, limit)| self.remains(number, limit, now)).min();
        let remaining = if now < self.from.max(self.blocked) { 0 } else { remaining.unwrap_or(u64::MAX) };
        let reset = match self.full_at(limits) {
            NO_END.. => NO_END,
            at => at.min(now.saturating_add(LONGEST)).saturating_sub(now),
        };
        (remaining, reset)
    }

    /// What the key has used of the limit that it has used most of, from 0 to 1; more while it is blocked or in a timeout.
    pub(crate) fn share(&self, limits: &[Limit], now: Ticks) -> f64 {
        let active = limits.iter().enumerate().filter(|(_, limit)| !limit.is_shadow());
        let active = active.map(|(number, limit)| match &limit.rule {
            Rule::Rate { .. } | Rule::Window(_) | Rule::Calendar(_) | Rule::InFlight(_) => {
                share(self.used(number, limit, now), limit)
            }
            Rule::Jail(_) if self.used(number, limit, now) > 0 => 2.0,
            Rule::Jail(_) | Rule::Closed => 0.0,
        });
        let blocked = if self.blocked > now { 2.0 } else { 0.0 };
        active.chain(self.dormant.iter().map(|dormant| dormant.share(now))).fold(blocked, f64::max)
    }

    /// What one limit lets pass at once.
    pub(super) fn remains(&self, number: usize, limit: &Limit, now: Ticks) -> u64 {
        let part = &self.parts[number];
        match (&part.state, &limit.rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => bucket.remaining(*tat, now),
            (State::Jail(record), _) if record.holds(now) => 0,
            (State::Jail(_), _) => u64::MAX,
            (_, Rule::Window(window)) => {
                window.limit().saturating_sub(part.held).saturating_sub(self.stamps(part).still_in(window, now))
            }
            (State::Period(counted), Rule::Calendar(calendar)) => {
                calendar.limit().saturating_sub(part.held).saturating_sub(counted.used_at(now))
            }
            (_, Rule::InFlight(most)) => most.saturating_sub(part.held),
            _ => 0,
        }
    }

    /// From when on the key equals one never seen, limits that are no longer in force included: the word that its slot
    /// shows. No more than 4.5 years ahead.
    pub(crate) fn settled(&self, limits: &[Limit], now: Ticks) -> Ticks {
        self.full_at(limits).max(self.dormant_until()).min(now.saturating_add(LONGEST))
    }

    /// From when on all limits in force count nothing; [`NO_END`] if a reservation without an end is counted.
    fn full_at(&self, limits: &[Limit]) -> Ticks {
        let mut full = self.from.max(self.blocked).max(self.leases.last_expiry().unwrap_or(0));
        for (number, limit) in limits.iter().enumerate() {
            full = full.max(self.part_full_at(number, limit));
        }
        full
    }

    /// From when on one limit counts nothing.
    pub(super) fn part_full_at(&self, number: usize, limit: &Limit) -> Ticks {
        let part = &self.parts[number];
        let full_at = part.full_at(&limit.rule, self.stamps(part));
        if matches!(limit.rule, Rule::Rate { .. } | Rule::Jail(_) | Rule::Closed) {
            return full_at;
        }
        self.leases.of((number, limit)).map(|(lease, _)| part.leaves(&limit.rule, lease)).fold(full_at, Ticks::max)
    }
}

/// How much of a limit is used, from 0 to 1.
pub(super) fn share(used: u64, limit: &Limit) -> f64 {
    used as f64 / limit.most().max(1) as f64
}
