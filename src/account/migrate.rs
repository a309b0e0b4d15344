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
use crate::clock::Moment;
use crate::limit::{Migration, TokenBucket};
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

/// Other limits for a key, at one reading.
pub(super) struct Handover<'a> {
    pub(super) old: &'a [Limit],
    pub(super) new: &'a [Limit],
    /// What each new limit takes over from.
    sources: Vec<Source>,
    pub(super) now: Ticks,
    pub(super) how: Migration,
}

impl<'a> Handover<'a> {
    /// The new limits, each with what it takes over from, by their numbers.
    pub(super) fn heirs(&self) -> impl Iterator<Item = (usize, &'a Limit, Source)> {
        self.new.iter().zip(&self.sources).enumerate().map(|(number, (limit, source))| (number, limit, *source))
    }

    /// The numbers of the new limits that take over from this one.
    fn heirs_of(&self, from: usize) -> impl Iterator<Item = usize> {
        (0..self.new.len()).filter(move |&number| self.sources[number].number() == Some(from))
    }

    /// Of several that take over from one, its namesake is the heir.
    fn heir_of(&self, from: usize) -> Option<usize> {
        let namesake = |&number: &usize| self.new[number].name == self.old[from].name;
        self.heirs_of(from).find(namesake).or_else(|| self.heirs_of(from).next())
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
    /// The same key under other limits, as of a moment. What is reserved stays reserved, and what is blocked stays blocked.
    pub(crate) fn migrate(mut self, old: &[Limit], new: &[Limit], at: Moment, how: Migration) -> Self {
        let now = at.now;
        self.follow_calendars(old, now, || at);
        // What no old limit counts any more is gone, whether or not something has dropped it yet: the answer does not depend on
        // when the account was met.
        self.tidy(old, now);
        let handover = Handover { old, new, sources: self.sources(old, new), now, how };
        let mut next = Self::fresh(new, self.from);
        next.blocked = self.blocked;
        if how != Migration::Reset {
            self.hand_over_logs(&mut next, &handover);
            for (number, limit, source) in handover.heirs() {
                let slot = &mut next.parts[number].state;
                match (&mut *slot, &limit.rule, source) {
                    (State::Bucket(_) | State::Jail(_) | State::Period(_), _, Source::Same(from)) => {
                        *slot = self.parts[from].state.clone();
                    }
                    (State::Bucket(tat), Rule::Rate { bucket, .. }, _) => {
                        *tat = self.word_for((limit, bucket), source.number(), &handover);
                    }
                    (State::Period(counted), Rule::Calendar(calendar), _) => {
                        **counted = self.count_for((limit, calendar), source.number(), &handover);
                    }
                    (State::Jail(record), ..) => {
                        if let Some(State::Jail(kept)) = source.number().map(|from| &self.parts[from].state) {
                            record.clone_from(kept);
                        }
                        self.join_dormant(record, &limit.name, source.number());
                    }
                    _ => {}
                }
            }
        }
        next.follow_calendars(new, now, || at);
        let sleeping = self.sleeping(&handover);
        next.leases = self.hand_over_leases(&handover);
        for (number, (part, limit)) in next.parts.iter_mut().zip(new).enumerate() {
            part.held = next.leases.held((number, limit));
        }
        for dormant in sleeping {
            next.put_to_sleep_unless_held(dormant, &handover);
        }
        next
    }

    /// What each new limit takes over from. Where its namesake is dormant, an equal limit of another name does not say all.
    fn sources(&self, old: &[Limit], new: &[Limit]) -> Vec<Source> {
        let mut sources = sources(old, new);
        for (source, limit) in sources.iter_mut().zip(new) {
            let is_namesake = |dormant: &Dormant| dormant.limit.name == limit.name && same_kind(&dormant.limit, limit);
            if let Source::Same(from) = *source
                && old[from].name != limit.name
                && self.dormant.iter().any(is_namesake)
            {
                *source = Source::Kin(from);
            }
        }
        sources
    }

    /// Every reservation counts in every limit from now on, but in an equal one as before; what a bucket gives back is carried
    /// over like its word.
    fn hand_over_leases(&mut self, handover: &Handover<'_>) -> Leases {
        let mut leases = std::mem::take(&mut self.leases);
        // Of several that take over from one, its namesake gives back what it gave back.
        let is_sure =
            |from: usize, limit: &Limit| handover.heirs_of(from).count() == 1 || handover.old[from].name == limit.name;
        leases.each(|lease| {
            let receipt = |(_, limit, source): (usize, &Limit, Source)| match (&limit.rule, source) {
                _ if handover.how == Migration::Reset => 0,
                (_, Source::Same(from)) => lease.receipts[from],
                (Rule::Rate { bucket, .. }, Source::Kin(from)) if is_sure(from, limit) => {
                    let Rule::Rate { bucket: before, .. } = &handover.old[from].rule else { return 0 };
                    before.migrate(bucket, lease.receipts[from], handover.now, handover.how)
                }
                _ => 0,
            };
            let receipts = handover.heirs().map(receipt).collect();
            let charged = handover.heirs().fold(0, |bits, (number, _, source)| match source {
                Source::Same(from) if !lease.is_charged_to(from) => bits,
                _ => bits | 1 << number,
            });
            (lease.receipts, lease.charged) = (receipts, charged);
        });
        leases
    }

    fn word_for(&self, (limit, bucket): (&Limit, &TokenBucket), from: Option<usize>, handover: &Handover<'_>) -> Ticks {
        let &Handover { old, now, how, .. } = handover;
        let tat = if let Some(from) = from
            && let (Rule::Rate { bucket: before, .. }, State::Bucket(tat)) = (&old[from].rule, &self.parts[from].state)
        {
            before.migrate(bucket, *tat, now, how)
        } else {
            let owed = self.owed(old, now).map(|owed| owed.carried(bucket.burst(), how)).max();
            bucket.clamp(bucket.debit(now, now, owed.unwrap_or(0)), now)
        };
        if remembers(how, old) { self.word_with_dormant((&limit.name, bucket), tat, from, now) } else { tat }
    }

    /// What each limit that denies counts, reservations included.
    pub(super) fn owed<'a>(&'a self, old: &'a [Limit], now: Ticks) -> impl Iterator<Item = Owed> + 'a {
        let denying = old.iter().enumerate().filter(|(_, limit)| !limit.shadow && limit.counts());
        denying.map(move |(number, limit)| Owed { count: self.used(number, limit, now), of: limit.most() })
    }

    /// Limits that deny and that no equal one takes over from, and those that are dormant, which follow their heirs.
    fn sleeping(&mut self, handover: &Handover<'_>) -> Vec<Dormant> {
        let mut sleeping = self.dormant.take();
        if handover.how == Migration::Reset {
            return Vec::new();
        }
        for dormant in &mut sleeping {
            dormant.heir = dormant.heir.and_then(|from| handover.heir_of(from));
        }
        for (from, (part, limit)) in self.parts.iter().zip(handover.old).enumerate() {
            // Where windows have been charged differently, an equal limit of another name is not the same for good.
            let is_heir = |(_, heir, source): (usize, &Limit, Source)| {
                source == Source::Same(from) && (!self.apart || heir.name == limit.name)
            };
            if limit.shadow || !remembers(handover.how, handover.new) || handover.heirs().any(is_heir) {
                continue;
            }
            let mut part = part.clone();
            if let State::Shared = part.state {
                part.state = State::Own(self.log.clone());
            }
            part.held = 0;
            let charged = self.leases.iter().filter(|(_, lease)| lease.is_charged_to(from));
            let held = charged.map(|(id, lease)| (id, lease.receipts[from])).collect();
            sleeping.push(Dormant { limit: limit.clone(), part, heir: handover.heir_of(from), held });
        }
        sleeping
    }

    /// Lets a limit go dormant whose memory the one that took over from it cannot hold.
    fn put_to_sleep_unless_held(&mut self, dormant: Dormant, handover: &Handover<'_>) {
        let heir = dormant.heir.map(|heir| (&handover.new[heir], &self.parts[heir]));
        // A limit that is put back may take over from another than its heir; not from another than its namesake.
        let is_sure =
            |limit: &Limit| limit.name == dormant.limit.name || (matches!(limit.rule, Rule::Window(_)) && !self.apart);
        if !heir.is_some_and(|(limit, part)| is_sure(limit) && dormant.is_held_by(limit, &part.state, handover.now)) {
            self.put_to_sleep(dormant, handover.now);
        }
    }
}

/// Whether what was counted is remembered beside these limits. A share of it is carried over instead where one can be.
pub(crate) fn remembers(how: Migration, limits: &[Limit]) -> bool {
    match how {
        Migration::AsIs => true,
        Migration::Proportional => !limits.iter().any(|limit| !limit.shadow && limit.counts()),
        Migration::Reset => false,
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
