//! What a key still has, and from when on it equals one never seen.

use super::cold::Cold;
use super::earliest::leaves;
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

    /// What one limit lets pass at once.
    pub(super) fn remains(&self, number: usize, limit: &Limit, now: Ticks) -> u64 {
        let part = &self.parts[number];
        match (&part.state, &limit.rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => bucket.balance(*tat, now).remaining,
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
        match (&part.state, &limit.rule) {
            (State::Bucket(tat), _) => *tat,
            (State::Jail(record), Rule::Jail(jail)) => jail.settled(record),
            (_, Rule::Window(window)) => {
                let held = self.leases.of((number, limit)).map(|(lease, _)| leaves(Some(window), lease)).max();
                let free_at = |stamp| window.free_at(stamp);
                self.stamps(part).last().map_or(0, free_at).max(held.unwrap_or(0))
            }
            (State::Period(counted), Rule::Calendar(calendar)) => {
                let held = self.leases.of((number, limit)).map(|(lease, _)| counted.leaves(calendar, lease)).max();
                counted.settled(calendar).max(held.unwrap_or(0))
            }
            (_, Rule::InFlight(_)) => self.leases.of((number, limit)).map(|(lease, _)| lease.expiry).max().unwrap_or(0),
            _ => 0,
        }
    }
}
