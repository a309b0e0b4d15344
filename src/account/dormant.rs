//! Limits that are no longer in force, and what they still remember.
//!
//! Lowering a limit and raising it again must not forgive: what was counted by a limit stays counted by it for as long as it
//! remembers, whatever is in force meanwhile. So a limit whose memory the next limits cannot hold goes *dormant*: it is
//! charged with everything that passes, and asked nothing, until it has settled. A limit that takes over later begins with
//! what its predecessor and that predecessor's dormant limits count, whichever counts more.

use std::collections::BTreeMap;

use super::balance::share;
use super::cold::Cold;
use super::leases::{Lease, LeaseId, Leases};
use super::part::{Part, State};
use super::period::Counted;
use crate::limit::{Calendar, Migration, Record, TokenBucket};
use crate::policy::{Cost, Limit, Rule};
use crate::ticks::Ticks;

/// No more dormant limits than this; the two rates that owe least become one that is as strict as both.
const MOST: usize = 8;

/// A limit that was in force, and its state.
#[derive(Clone, Debug)]
pub(super) struct Dormant {
    pub(super) limit: Limit,
    pub(super) part: Part,
    /// The number of the limit in force that took over from it.
    pub(super) heir: Option<usize>,
    /// The reservations that it was charged with while it was in force, each with the word that it left a bucket at.
    pub(super) held: BTreeMap<LeaseId, Ticks>,
}

/// The dormant limits of a key: nearly all keys have none, so the list is one pointer.
#[allow(clippy::box_collection)]
#[derive(Debug, Default)]
pub(super) struct Sleepers(Option<Box<Vec<Dormant>>>);

impl Sleepers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Dormant> {
        self.0.iter().flat_map(|all| all.iter())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Dormant> {
        self.0.iter_mut().flat_map(|all| all.iter_mut())
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Vec<Dormant> {
        self.0.take().map_or_else(Vec::new, |all| *all)
    }

    fn put(&mut self, all: Vec<Dormant>) {
        self.0 = (!all.is_empty()).then(|| Box::new(all));
    }
}

impl Dormant {
    /// The limit that a request's cost is meant for: the one in force that took over, if there is one.
    fn meant<'a>(&'a self, limits: &'a [Limit]) -> &'a Limit {
        self.heir.and_then(|heir| limits.get(heir)).unwrap_or(&self.limit)
    }

    /// From when on it counts nothing, if these are the reservations that are open.
    fn full_at(&self, leases: &Leases) -> Ticks {
        let full_at = self.part.full_at(&self.limit.rule, self.part.state.stamps());
        if !self.limit.counts() {
            return full_at;
        }
        let held = self.held.keys().filter_map(|&id| leases.get(id));
        held.map(|lease| self.part.leaves(&self.limit.rule, lease)).fold(full_at, Ticks::max)
    }

    /// What is used of it, from 0 to 1; nothing of a jail, which denies nothing while it is dormant.
    pub(super) fn share(&self, now: Ticks) -> f64 {
        if !self.limit.counts() {
            return 0.0;
        }
        share(self.part.used(&self.limit.rule, self.part.state.stamps(), now), &self.limit)
    }

    /// Whether a limit in force counts all that this one does, and for as long.
    pub(super) fn is_held_by(&self, limit: &Limit, state: &State, now: Ticks) -> bool {
        match (&self.limit.rule, &limit.rule, state) {
            _ if limit.shadow => false,
            (Rule::Rate { bucket, .. }, Rule::Rate { bucket: heir, .. }, State::Bucket(word)) => {
                let State::Bucket(tat) = self.part.state else { return true };
                !bucket.overflows(heir, tat, now) && !heir.owes_less(*word, (bucket, tat), now)
            }
            (Rule::Window(window), Rule::Window(heir), _) => heir.reach() >= window.reach(),
            (Rule::Calendar(_), Rule::Calendar(calendar), State::Period(counted)) => {
                self.count_in(calendar).is_some_and(|slept| counted.covers(slept))
            }
            (Rule::Jail(_), Rule::Jail(_), _) => true,
            _ => false,
        }
    }

    /// Whether another window or calendar that is no longer in force remembers all that this one does. One of another name does
    /// not if it is a calendar, or where windows have been charged differently.
    fn is_told_by(&self, other: &Self, apart: bool) -> bool {
        let is_namesake = self.limit.name == other.limit.name;
        match (&self.limit.rule, &other.limit.rule) {
            _ if self.heir != other.heir => false,
            (Rule::Window(window), Rule::Window(wider)) => {
                let alike = window.is_conservative() == wider.is_conservative() && (is_namesake || !apart);
                alike && window.reach() <= wider.reach()
            }
            (Rule::Calendar(calendar), Rule::Calendar(_)) if is_namesake => {
                let counts = (self.count_in(calendar), other.count_in(calendar));
                matches!(counts, (Some(less), Some(more)) if more.covers(less))
            }
            _ => false,
        }
    }

    /// What it counts, if it counts in the same periods.
    pub(super) fn count_in(&self, calendar: &Calendar) -> Option<&Counted> {
        self.part.count_in(&self.limit.rule, calendar)
    }

    /// Whether it is another state of the same jail.
    fn is_the_jail(&self, other: &Self) -> bool {
        let jails = matches!((&self.limit.rule, &other.limit.rule), (Rule::Jail(_), Rule::Jail(_)));
        jails && (self.heir, &self.limit.name) == (other.heir, &other.limit.name)
    }

    /// Takes over what another state of the same jail remembers, and for as long.
    fn join(&mut self, other: Self) {
        if let (State::Jail(record), State::Jail(others)) = (&mut self.part.state, &other.part.state) {
            record.join(others);
        }
        if other.limit.longest() > self.limit.longest() {
            self.limit = other.limit;
        }
    }

    fn charge(&mut self, now: Ticks, n: u64) {
        match (&mut self.part.state, &self.limit.rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => *tat = bucket.clamp(bucket.debit(*tat, now, n), now),
            _ => {
                self.part.log(&self.limit.rule, now, n);
            }
        }
    }

    /// Ends a reservation of which so much was used. One that began later is charged now.
    fn end(&mut self, id: LeaseId, at: Ticks, reserved: u64, used: u64) {
        match (self.held.remove(&id), &mut self.part.state, &self.limit.rule) {
            (Some(receipt), State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                let refunded = bucket.refund(*tat, at, reserved.saturating_sub(used), receipt);
                *tat = bucket.clamp(bucket.debit(refunded, at, used.saturating_sub(reserved)), at);
            }
            _ if used > 0 => self.charge(at, used),
            _ => {}
        }
    }

    /// The bucket of a rate, and its word. `None` if it is no rate.
    fn rate(&self) -> Option<(&TokenBucket, Ticks)> {
        match (&self.part.state, &self.limit.rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => Some((bucket, *tat)),
            _ => None,
        }
    }

    /// Whether it is a rate that owes no fewer tokens than another, and for no shorter time.
    fn covers(&self, other: &Self, now: Ticks) -> bool {
        let (Some((bucket, until)), Some((others, sooner))) = (self.rate(), other.rate()) else { return false };
        let is_its_kin = self.heir == other.heir && self.limit.name == other.limit.name;
        is_its_kin && until >= sooner && !bucket.owes_less(until, (others, sooner), now)
    }
}

impl Cold {
    /// Charges the limits that are no longer in force with what has passed.
    pub(super) fn charge_dormant(&mut self, limits: &[Limit], now: Ticks, cost: &Cost) {
        for dormant in self.dormant.iter_mut() {
            let n = cost.on(dormant.meant(limits));
            if n > 0 {
                dormant.charge(now, n);
            }
        }
    }

    /// Ends a reservation in the limits that are no longer in force.
    pub(super) fn end_dormant(&mut self, limits: &[Limit], (id, lease): (LeaseId, &Lease), at: Ticks, used: &Cost) {
        for dormant in self.dormant.iter_mut() {
            let meant = dormant.meant(limits);
            let (reserved, used) = (lease.cost.on(meant), used.on(meant));
            dormant.end(id, at, reserved, used);
        }
    }

    /// What a request costs the windows that are no longer in force.
    pub(super) fn costs_dormant(&self, limits: &[Limit], cost: &Cost) -> impl Iterator<Item = u64> {
        let windows = self.dormant.iter().filter(|dormant| matches!(dormant.limit.rule, Rule::Window(_)));
        windows.map(|dormant| cost.on(dormant.meant(limits)))
    }

    /// Brings the dormant limits back from a future that a step of the clock left them in.
    pub(super) fn settle_dormant(&mut self, now: Ticks) {
        self.dormant.iter_mut().for_each(|dormant| dormant.part.settle(&dormant.limit.rule, now));
    }

    /// Drops the dormant limits that count nothing from `now` on, and what the others do not count any more.
    pub(super) fn forget_dormant(&mut self, now: Ticks) {
        let mut all = self.dormant.take();
        all.retain_mut(|dormant| {
            dormant.part.log(&dormant.limit.rule, now, 0);
            dormant.full_at(&self.leases) > now
        });
        self.dormant.put(all);
    }

    /// Adds a limit that is no longer in force, unless another dormant one of the same heir says all that it does.
    pub(super) fn put_to_sleep(&mut self, new: Dormant, now: Ticks) {
        if new.full_at(&self.leases) <= now {
            return;
        }
        let mut all;
        if new.rate().is_some() {
            if self.dormant.iter().any(|other| other.covers(&new, now)) {
                return;
            }
            all = self.dormant.take();
            all.retain(|other| !new.covers(other, now));
        } else {
            if let Some(joined) = self.dormant.iter_mut().find(|other| other.is_the_jail(&new)) {
                joined.join(new);
                return;
            }
            // All were charged with the same, so the one that reaches back farthest holds what the others do.
            if let Some(other) = self.dormant.iter_mut().find(|other| new.is_told_by(other, self.apart)) {
                other.held.extend(new.held);
                return;
            }
            all = self.dormant.take();
            all.retain(|other| !other.is_told_by(&new, self.apart));
        }
        all.push(new);
        join(&mut all, now);
        self.dormant.put(all);
    }

    /// The word that a bucket begins with that takes over from limit `from`: what the dormant limits of that one and of its
    /// name owe, if it is more than the word `tat`.
    pub(super) fn word_with_dormant(
        &self,
        (name, bucket): (&str, &TokenBucket),
        tat: Ticks,
        from: Option<usize>,
        now: Ticks,
    ) -> Ticks {
        let same_heir = |dormant: &&Dormant| {
            let is_heir = from.is_none() || dormant.heir == from || dormant.heir.is_none();
            is_heir || *dormant.limit.name == *name
        };
        let rates = self.dormant.iter().filter(same_heir).filter_map(Dormant::rate);
        let carried = |(before, slept): (&TokenBucket, Ticks)| match before {
            before if before == bucket => slept,
            before => before.migrate(bucket, slept, now, Migration::AsIs),
        };
        rates.map(carried).fold(tat, Ticks::max)
    }

    /// Adds to the record of a jail that takes over from limit `from` what the dormant jails of that one and of its name
    /// remember.
    pub(super) fn join_dormant(&self, record: &mut Record, name: &str, from: Option<usize>) {
        for dormant in self.dormant.iter() {
            let is_meant = dormant.heir.is_none() || dormant.heir == from || *dormant.limit.name == *name;
            if let (true, State::Jail(slept)) = (is_meant, &dormant.part.state) {
                record.join(slept);
            }
        }
    }

    /// From when on no dormant limit counts anything.
    pub(super) fn dormant_until(&self) -> Ticks {
        self.dormant.iter().map(|dormant| dormant.full_at(&self.leases)).max().unwrap_or(0)
    }
}

/// Makes one of the two rates that owe least where there are too many.
fn join(all: &mut Vec<Dormant>, now: Ticks) {
    while all.len() > MOST {
        let owed = |at: usize| all[at].rate().map(|(bucket, until)| (bucket.owed(until, now), until));
        let mut rates: Vec<usize> = (0..all.len()).filter(|&at| owed(at).is_some()).collect();
        rates.sort_unstable_by_key(|&at| owed(at));
        let [least, next, ..] = *rates else {
            // Windows: the one that remembers for the shortest time goes.
            let shortest = (0..all.len()).min_by_key(|&at| all[at].limit.longest());
            all.remove(shortest.unwrap_or(0));
            continue;
        };
        let until = owed(least).map_or(0, |(_, until)| until);
        // What is given back to one of them was not charged to the other: nothing is.
        let held: Vec<LeaseId> = all[least].held.keys().chain(all[next].held.keys()).copied().collect();
        let kept = &mut all[next];
        if let (Rule::Rate { bucket, .. }, State::Bucket(tat)) = (&mut kept.limit.rule, &mut kept.part.state) {
            *bucket = bucket.at_least(until.saturating_sub(now));
            *tat = (*tat).max(until);
        }
        kept.held = held.into_iter().map(|id| (id, 0)).collect();
        all.remove(least);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "dormant_tests.rs"]
mod tests;
