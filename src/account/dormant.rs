//! Limits that are no longer in force, and what they still remember.
//!
//! Lowering a limit and raising it again must not forgive: what was counted by a limit stays counted by it for as long as it
//! remembers, whatever is in force meanwhile. So a limit whose memory the next limits cannot hold goes *dormant*: it is
//! charged with everything that passes, and asked nothing, until it has settled. A limit that takes over later begins with
//! what its predecessor and that predecessor's dormant limits count, whichever counts more.

use super::cold::Cold;
use super::part::{Part, State};
use crate::limit::TokenBucket;
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
}

/// The dormant limits of a key: nearly all keys have none.
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
    /// Whether it counts nothing any more.
    fn has_settled(&mut self, now: Ticks) -> bool {
        match (&mut self.part.state, &self.limit.rule) {
            (State::Bucket(tat), _) => *tat <= now,
            (State::Own(log), Rule::Window(window)) => {
                log.drop_before(window.horizon(now));
                log.is_empty()
            }
            (State::Steps(tally), Rule::Window(window)) => {
                tally.drop_before(window.horizon(now));
                tally.is_empty()
            }
            (State::Jail(record), Rule::Jail(jail)) => jail.settled(record) <= now,
            (State::Period(counted), _) => counted.used_at(now) == 0,
            _ => true,
        }
    }

    /// Whether a limit in force counts all that this one does, and for as long.
    pub(super) fn is_held_by(&self, limit: &Limit, state: &State, now: Ticks) -> bool {
        match (&self.limit.rule, &limit.rule, state) {
            _ if limit.shadow => false,
            (Rule::Rate { bucket, .. }, Rule::Rate { bucket: heir, .. }, State::Bucket(word)) => {
                let State::Bucket(tat) = self.part.state else { return true };
                !bucket.overflows(heir, tat, now) && heir.owed(*word, now) >= bucket.owed(tat, now)
            }
            (Rule::Window(window), Rule::Window(heir), _) => heir.reach() >= window.reach(),
            (Rule::Calendar(own), Rule::Calendar(heir), State::Period(counted)) => {
                let State::Period(slept) = &self.part.state else { return true };
                own.has_periods_of(heir) && counted.used_at(now) >= slept.used_at(now)
            }
            (Rule::Jail(_), Rule::Jail(_), _) => true,
            _ => false,
        }
    }

    /// Whether another window that is no longer in force remembers all that this one does.
    fn is_told_by(&self, other: &Self, now: Ticks) -> bool {
        match (&self.limit.rule, &other.limit.rule) {
            (Rule::Window(window), Rule::Window(wider)) => {
                let alike = window.is_conservative() == wider.is_conservative();
                self.heir == other.heir && alike && window.reach() <= wider.reach()
            }
            (Rule::Calendar(own), Rule::Calendar(that)) => match (&self.part.state, &other.part.state) {
                (State::Period(less), State::Period(more)) => {
                    let counts_as_much = more.used_at(now) >= less.used_at(now);
                    self.heir == other.heir && own.has_periods_of(that) && counts_as_much
                }
                _ => false,
            },
            (Rule::Jail(_), Rule::Jail(_)) => self.heir == other.heir,
            _ => false,
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

    /// What a rate owes: tokens, and the time at which it owes none. `None` if it is no rate.
    fn owed(&self, now: Ticks) -> Option<(u64, Ticks)> {
        match (&self.part.state, &self.limit.rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => Some((bucket.owed(*tat, now), *tat)),
            _ => None,
        }
    }
}

impl Cold {
    /// Charges the limits that are no longer in force with what has passed.
    pub(super) fn charge_dormant(&mut self, limits: &[Limit], now: Ticks, cost: &Cost) {
        for dormant in self.dormant.iter_mut() {
            let meant = dormant.heir.and_then(|heir| limits.get(heir)).unwrap_or(&dormant.limit);
            let n = cost.on(meant);
            if n > 0 {
                dormant.charge(now, n);
            }
        }
    }

    /// Drops the dormant limits that count nothing any more, and brings the others back from a future that a step of the
    /// clock left them in.
    pub(super) fn settle_dormant(&mut self, now: Ticks) {
        if self.dormant.is_empty() {
            return;
        }
        let mut all = self.dormant.take();
        all.retain_mut(|dormant| {
            match (&mut dormant.part.state, &dormant.limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) if bucket.is_ahead(*tat, now) => {
                    *tat = bucket.clamp(*tat, now);
                }
                (State::Own(log), _) => log.settle(now),
                (State::Steps(tally), Rule::Window(window)) => tally.settle(window.stamped(now)),
                _ => {}
            }
            !dormant.has_settled(now)
        });
        self.dormant.put(all);
    }

    /// Adds a limit that is no longer in force, unless another dormant one of the same heir says all that it does.
    pub(super) fn put_to_sleep(&mut self, mut new: Dormant, now: Ticks) {
        if new.has_settled(now) {
            return;
        }
        let mut all;
        if let Some((tokens, until)) = new.owed(now) {
            let dominates = |other: &Dormant| {
                other.heir == new.heir && other.owed(now).is_some_and(|(more, later)| more >= tokens && later >= until)
            };
            if self.dormant.iter().any(dominates) {
                return;
            }
            all = self.dormant.take();
            all.retain(|other| {
                let is_less = |(less, sooner)| less <= tokens && sooner <= until;
                other.heir != new.heir || !other.owed(now).is_some_and(is_less)
            });
        } else {
            // All were charged with the same, so the window that reaches back farthest holds what the others do.
            if self.dormant.iter().any(|other| new.is_told_by(other, now)) {
                return;
            }
            all = self.dormant.take();
            all.retain(|other| !other.is_told_by(&new, now));
        }
        all.push(new);
        join(&mut all, now);
        self.dormant.put(all);
    }

    /// The word that a bucket begins with that takes over from limit `from`: what the dormant limits of that one owe, if it
    /// is more than the word `tat`.
    pub(super) fn word_with_dormant(&self, bucket: &TokenBucket, tat: Ticks, from: Option<usize>, now: Ticks) -> Ticks {
        let same_heir = |dormant: &&Dormant| from.is_none() || dormant.heir == from || dormant.heir.is_none();
        let words = self.dormant.iter().filter(same_heir).filter_map(|dormant| {
            let (State::Bucket(slept), Rule::Rate { bucket: before, .. }) = (&dormant.part.state, &dormant.limit.rule)
            else {
                return None;
            };
            Some(if before == bucket {
                *slept
            } else {
                before.migrate(bucket, *slept, now, crate::limit::Migration::AsIs)
            })
        });
        words.fold(tat, Ticks::max)
    }

    /// From when on no dormant limit counts anything.
    pub(super) fn dormant_until(&self) -> Ticks {
        let until = |dormant: &Dormant| match (&dormant.part.state, &dormant.limit.rule) {
            (State::Bucket(tat), _) => *tat,
            (State::Own(log), Rule::Window(window)) => log.last().map_or(0, |stamp| window.free_at(stamp)),
            (State::Steps(tally), Rule::Window(window)) => tally.last().map_or(0, |stamp| window.free_at(stamp)),
            (State::Jail(record), Rule::Jail(jail)) => jail.settled(record),
            (State::Period(counted), Rule::Calendar(calendar)) => counted.settled(calendar),
            _ => 0,
        };
        self.dormant.iter().map(until).max().unwrap_or(0)
    }
}

/// Makes one of the two rates that owe least where there are too many.
fn join(all: &mut Vec<Dormant>, now: Ticks) {
    while all.len() > MOST {
        let owed = |at: usize| all[at].owed(now);
        let mut rates: Vec<usize> = (0..all.len()).filter(|&at| owed(at).is_some()).collect();
        rates.sort_unstable_by_key(|&at| owed(at));
        let [least, next, ..] = *rates else {
            // Windows: the one that remembers for the shortest time goes.
            let shortest = (0..all.len()).min_by_key(|&at| all[at].limit.longest());
            all.remove(shortest.unwrap_or(0));
            continue;
        };
        let until = all[least].owed(now).map_or(0, |(_, until)| until);
        let kept = &mut all[next];
        if let (Rule::Rate { bucket, .. }, State::Bucket(tat)) = (&mut kept.limit.rule, &mut kept.part.state) {
            *bucket = bucket.at_least(until.saturating_sub(now));
            *tat = (*tat).max(until);
        }
        all.remove(least);
    }
}
