//! The state of a key carried over to other limits, as declared: nothing is refilled by accident.
//!
//! A limit takes over from the one of its kind and name, else from an equal one, else from the one of its kind that is most like
//! it. An equal limit keeps its state to the tick. Where there is none, what the old limits counted counts as asked for now: stricter
//! than it was, never less. What no old limit remembered any more is not known, and is not counted. What the new limits cannot
//! hold stays with the old ones, which go dormant (see `dormant`).

use super::cold::Cold;
use super::dormant::Dormant;
use super::history::scaled;
use super::leases::Leases;
use super::part::State;
use super::period::Counted;
use crate::limit::{Calendar, Migration, TokenBucket};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// What a limit takes over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The equal limit of this number.
    Same(usize),
    /// Another limit of its kind.
    Kin(usize),
    None,
}

impl Source {
    pub(super) fn number(self) -> Option<usize> {
        match self {
            Self::Same(number) | Self::Kin(number) => Some(number),
            Self::None => None,
        }
    }
}

/// What an old limit counts, of how many.
#[derive(Clone, Copy)]
pub(super) struct Owed {
    pub(super) count: u64,
    pub(super) of: u64,
}

impl Owed {
    /// As much of another limit.
    pub(super) fn carried(self, to: u64, how: Migration) -> u64 {
        match how {
            Migration::AsIs => self.count,
            Migration::Proportional => scaled(self.count, to, self.of).min(to),
            Migration::Reset => 0,
        }
    }
}

impl Cold {
    /// The same key under other limits. What is reserved stays reserved, and what is blocked stays blocked.
    pub(crate) fn migrate(mut self, old: &[Limit], new: &[Limit], now: Ticks, how: Migration) -> Self {
        self.catch_up(old, now);
        let sources = sources(old, new);
        let mut next = Self::fresh(new, self.from);
        next.blocked = self.blocked;
        if how != Migration::Reset {
            self.hand_over_logs(&mut next, old, new, &sources, now, how);
            for (number, limit) in new.iter().enumerate() {
                let source = sources[number];
                let slot = &mut next.parts[number].state;
                match (&mut *slot, &limit.rule, source) {
                    (State::Bucket(_) | State::Jail(_), _, Source::Same(from)) => {
                        *slot = self.parts[from].state.clone()
                    }
                    (State::Bucket(tat), Rule::Rate { bucket, .. }, _) => {
                        *tat = self.word_for(bucket, source.number(), old, now, how);
                    }
                    (State::Period(_), _, Source::Same(from)) => *slot = self.parts[from].state.clone(),
                    (State::Period(counted), Rule::Calendar(calendar), _) => {
                        *counted = self.count_for((calendar, limit), source.number(), old, now, how);
                    }
                    (State::Jail(record), ..) => {
                        let slept = || self.dormant.iter().map(|dormant| &dormant.part.state);
                        let kept = source.number().map(|from| &self.parts[from].state);
                        let kept = kept.or_else(|| slept().find(|state| matches!(state, State::Jail(_))));
                        if let Some(State::Jail(kept)) = kept {
                            *record = kept.clone();
                        }
                    }
                    _ => {}
                }
            }
            self.put_the_rest_to_sleep(&mut next, old, new, &sources, now, how);
        }
        next.leases = self.hand_over_leases(old, new, &sources, now, how);
        for (number, (part, limit)) in next.parts.iter_mut().zip(new).enumerate() {
            part.held = next.leases.of((number, limit)).map(|(_, n)| n).sum();
        }
        next
    }

    /// Every reservation counts in every limit from now on, but in an equal one as before; what a bucket gives back is carried
    /// over like its word.
    fn hand_over_leases(
        &mut self,
        old: &[Limit],
        new: &[Limit],
        sources: &[Source],
        now: Ticks,
        how: Migration,
    ) -> Leases {
        let mut leases = std::mem::take(&mut self.leases);
        leases.each(|lease| {
            let receipt = |(limit, source): (&Limit, &Source)| match (&limit.rule, source.number()) {
                _ if how == Migration::Reset => 0,
                (_, Some(from)) if *source == Source::Same(from) => lease.receipts[from],
                (Rule::Rate { bucket, .. }, Some(from)) => {
                    let Rule::Rate { bucket: before, .. } = &old[from].rule else { return 0 };
                    before.migrate(bucket, lease.receipts[from], now, how)
                }
                _ => 0,
            };
            let receipts = new.iter().zip(sources).map(receipt).collect();
            let charged = sources.iter().zip(0..).fold(0, |bits, (source, number)| match *source {
                Source::Same(from) if !lease.is_charged_to(from) => bits,
                _ => bits | 1 << number,
            });
            (lease.receipts, lease.charged) = (receipts, charged);
        });
        leases
    }

    fn word_for(&self, bucket: &TokenBucket, from: Option<usize>, old: &[Limit], now: Ticks, how: Migration) -> Ticks {
        let tat = if let Some(from) = from
            && let (Rule::Rate { bucket: before, .. }, State::Bucket(tat)) = (&old[from].rule, &self.parts[from].state)
        {
            before.migrate(bucket, *tat, now, how)
        } else {
            let owed = self.owed(old, now).map(|owed| owed.carried(bucket.burst(), how)).max();
            bucket.clamp(bucket.debit(now, now, owed.unwrap_or(0)), now)
        };
        if how == Migration::AsIs { self.word_with_dormant(bucket, tat, from, now) } else { tat }
    }

    /// What a limit by the calendar begins with. A count in the same periods goes on; what other limits count counts as asked
    /// for now.
    fn count_for(
        &self,
        (calendar, limit): (&Calendar, &Limit),
        from: Option<usize>,
        old: &[Limit],
        now: Ticks,
        how: Migration,
    ) -> Counted {
        let kin = from.and_then(|from| match (&self.parts[from].state, &old[from].rule) {
            (State::Period(counted), Rule::Calendar(before)) if calendar.has_periods_of(before) => {
                let owed = Owed { count: counted.used_at(now), of: before.limit() };
                Some(counted.clone().with_used(owed.carried(calendar.limit(), how)))
            }
            _ => None,
        });
        let counted = kin.unwrap_or_else(|| {
            let held = self.parts.first().map_or(0, |part| part.held);
            let owed = self.owed(old, now).map(|owed| owed.carried(calendar.limit(), how)).max();
            Counted::as_of(now, owed.unwrap_or(0).saturating_sub(held))
        });
        if how != Migration::AsIs {
            return counted;
        }
        let slept = self.dormant.iter().filter_map(|dormant| {
            let is_meant = dormant.heir == from || dormant.heir.is_none() || dormant.limit.name == limit.name;
            match (&dormant.part.state, &dormant.limit.rule) {
                (State::Period(slept), Rule::Calendar(before)) if is_meant && calendar.has_periods_of(before) => {
                    Some(slept)
                }
                _ => None,
            }
        });
        match slept.max_by_key(|slept| slept.used_at(now)) {
            // The same period, whose end is known here.
            Some(slept) if slept.used_at(now) > 0 => {
                slept.clone().with_used(slept.used_at(now).max(counted.used_at(now)))
            }
            _ => counted,
        }
    }

    /// What each limit that denies counts, reservations included.
    pub(super) fn owed<'a>(&'a self, old: &'a [Limit], now: Ticks) -> impl Iterator<Item = Owed> + 'a {
        self.parts.iter().zip(old).filter(|(_, limit)| !limit.shadow).filter_map(move |(part, limit)| {
            match (&part.state, &limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                    Some(Owed { count: bucket.owed(*tat, now), of: bucket.burst() })
                }
                (_, Rule::Window(window)) => {
                    let count = part.held.saturating_add(self.stamps(part).still_in(window, now));
                    Some(Owed { count, of: window.limit() })
                }
                (State::Period(counted), Rule::Calendar(calendar)) => {
                    let count = part.held.saturating_add(counted.used_at(now));
                    Some(Owed { count, of: calendar.limit() })
                }
                _ => None,
            }
        })
    }

    /// Limits that deny and whose memory the new ones cannot hold go dormant; those that are dormant follow their heirs.
    fn put_the_rest_to_sleep(
        &mut self,
        next: &mut Self,
        old: &[Limit],
        new: &[Limit],
        sources: &[Source],
        now: Ticks,
        how: Migration,
    ) {
        let heir_of = |from: usize| sources.iter().position(|source| source.number() == Some(from));
        let mut sleeping = self.dormant.take();
        for dormant in &mut sleeping {
            dormant.heir = dormant.heir.and_then(heir_of);
        }
        for (from, (part, limit)) in self.parts.iter().zip(old).enumerate() {
            if limit.shadow || how != Migration::AsIs || sources.contains(&Source::Same(from)) {
                continue;
            }
            let mut part = part.clone();
            if let State::Shared = part.state {
                part.state = State::Own(self.log.clone());
            }
            part.held = 0;
            sleeping.push(Dormant { limit: limit.clone(), part, heir: heir_of(from) });
        }
        for dormant in sleeping {
            let heir = dormant.heir.map(|heir| (&new[heir], &next.parts[heir]));
            if !heir.is_some_and(|(limit, part)| dormant.is_held_by(limit, &part.state, now)) {
                next.put_to_sleep(dormant, now);
            }
        }
    }
}

/// What each new limit takes over from: its namesake, else an equal one that no other takes over, else the one most like it.
fn sources(old: &[Limit], new: &[Limit]) -> Vec<Source> {
    let mut sources = vec![Source::None; new.len()];
    let is_equal = |a: &Limit, b: &Limit| a.rule == b.rule && a.shadow == b.shadow;
    for (source, limit) in sources.iter_mut().zip(new) {
        if let Some(from) = old.iter().position(|other| same_kind(other, limit) && other.name == limit.name) {
            *source = if is_equal(&old[from], limit) { Source::Same(from) } else { Source::Kin(from) };
        }
    }
    for number in 0..new.len() {
        let is_free = |from: usize| sources.iter().all(|source| source.number() != Some(from));
        if sources[number] == Source::None
            && let Some(from) = (0..old.len()).find(|&from| is_free(from) && is_equal(&old[from], &new[number]))
        {
            sources[number] = Source::Same(from);
        }
    }
    for (source, limit) in sources.iter_mut().zip(new) {
        if *source == Source::None {
            *source = nearest(old, limit).map_or(Source::None, Source::Kin);
        }
    }
    sources
}

fn same_kind(a: &Limit, b: &Limit) -> bool {
    std::mem::discriminant(&a.rule) == std::mem::discriminant(&b.rule)
}

/// The old limit of this one's kind that remembers for about as long.
fn nearest(old: &[Limit], limit: &Limit) -> Option<usize> {
    let kin = old.iter().enumerate().filter(|(_, other)| same_kind(other, limit));
    let unlike = |other: &Limit| (other.shadow != limit.shadow, other.longest().abs_diff(limit.longest()));
    kin.min_by_key(|(_, other)| unlike(other)).map(|(at, _)| at)
}

#[cfg(all(test, not(loom)))]
#[path = "migrate_tests.rs"]
mod tests;
