//! The state of a key carried over to other limits, as declared: nothing is refilled by accident.
//!
//! A limit takes over from the one of its kind and name, or else from another of its kind. Where there is none, what the old
//! limits counted counts as asked for now: stricter than it was, never less. What no old limit remembered any more
//! is not known, and is not counted.

use super::cold::Cold;
use super::leases::Leases;
use super::part::{State, record};
use crate::limit::{Log, Migration, TokenBucket, Window};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// What an old limit counts, of how many.
#[derive(Clone, Copy)]
struct Owed {
    count: u64,
    of: u64,
}

impl Owed {
    /// As much of another limit.
    fn carried(self, to: u64, how: Migration) -> u64 {
        match how {
            Migration::AsIs => self.count.min(to),
            Migration::Proportional => scaled(self.count, to, self.of).min(to),
            Migration::Reset => 0,
        }
    }
}

fn scaled(count: u64, num: u64, den: u64) -> u64 {
    u64::try_from((u128::from(count) * u128::from(num)).div_ceil(u128::from(den.max(1)))).unwrap_or(u64::MAX)
}

impl Cold {
    /// The same key under other limits. What is reserved stays reserved.
    pub(crate) fn migrate(mut self, old: &[Limit], new: &[Limit], now: Ticks, how: Migration) -> Self {
        self.catch_up(old, now);
        let sources: Vec<Option<usize>> = new.iter().map(|limit| source(old, limit)).collect();
        let mut next = Self::fresh(new, self.from);
        if how != Migration::Reset {
            let history = self.history(old, new, &sources, now, how);
            for (number, limit) in new.iter().enumerate() {
                let part = &mut next.parts[number];
                match (&mut part.state, &limit.rule) {
                    (State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                        *tat = self.word_for(bucket, sources[number], old, now, how);
                    }
                    (State::Jail(record), _) => {
                        if let Some(State::Jail(kept)) = sources[number].map(|old| &self.parts[old].state) {
                            *record = kept.clone();
                        }
                    }
                    _ => {
                        for &(stamp, n) in &history {
                            part.log(&limit.rule, stamp, n);
                        }
                    }
                }
            }
            let (most, oldest) = new.iter().fold((0, now), |(most, oldest), limit| match &limit.rule {
                Rule::Window(window) => (window.limit().max(most), oldest.min(window.horizon(now))),
                _ => (most, oldest),
            });
            if next.parts.iter().any(|part| matches!(part.state, State::Shared)) {
                for (stamp, n) in history {
                    record(&mut next.log, stamp, n, most, oldest);
                }
            }
        }
        next.leases = self.hand_over_leases(old, new, &sources, now, how);
        for (number, part) in next.parts.iter_mut().enumerate() {
            part.held = next.leases.of(number).map(|lease| lease.n).sum();
        }
        next
    }

    /// Every reservation counts in every limit from now on; what a bucket gives back is carried over like its word.
    fn hand_over_leases(
        &mut self,
        old: &[Limit],
        new: &[Limit],
        sources: &[Option<usize>],
        now: Ticks,
        how: Migration,
    ) -> Leases {
        let mut leases = std::mem::take(&mut self.leases);
        leases.each(|lease| {
            let receipt = |(limit, source): (&Limit, &Option<usize>)| match (&limit.rule, source) {
                (Rule::Rate { bucket, .. }, &Some(from)) if how != Migration::Reset => {
                    let Rule::Rate { bucket: before, .. } = &old[from].rule else { return 0 };
                    before.migrate(bucket, lease.receipts[from], now, how)
                }
                _ => 0,
            };
            lease.receipts = new.iter().zip(sources).map(receipt).collect();
            lease.charged = !0;
        });
        leases
    }

    fn word_for(&self, bucket: &TokenBucket, from: Option<usize>, old: &[Limit], now: Ticks, how: Migration) -> Ticks {
        if let Some(from) = from
            && let (Rule::Rate { bucket: before, .. }, State::Bucket(tat)) = (&old[from].rule, &self.parts[from].state)
        {
            return before.migrate(bucket, *tat, now, how);
        }
        let owed = self.owed(old, now).map(|owed| owed.carried(bucket.burst(), how)).max();
        bucket.debit(now, now, owed.unwrap_or(0))
    }

    /// What each limit that denies counts, reservations included.
    fn owed<'a>(&'a self, old: &'a [Limit], now: Ticks) -> impl Iterator<Item = Owed> + 'a {
        self.parts.iter().zip(old).filter(|(_, limit)| !limit.shadow).filter_map(move |(part, limit)| {
            match (&part.state, &limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                    let count = tat.saturating_sub(now).div_ceil(bucket.emission());
                    Some(Owed { count, of: bucket.burst() })
                }
                (_, Rule::Window(window)) => {
                    let count = part.held + self.stamps(part).still_in(window, now);
                    Some(Owed { count, of: window.limit() })
                }
                _ => None,
            }
        })
    }

    /// The stamps that the new windows begin with, and how many of each.
    fn history(
        &self,
        old: &[Limit],
        new: &[Limit],
        sources: &[Option<usize>],
        now: Ticks,
        how: Migration,
    ) -> Vec<(Ticks, u64)> {
        let windows = |limits: &[Limit]| limits.iter().any(|limit| matches!(limit.rule, Rule::Window(_)));
        if !windows(old) {
            // Of buckets it is known how much they count, and not since when.
            let most = new.iter().filter(|limit| matches!(limit.rule, Rule::Window(_))).map(Limit::capacity).max();
            let held: u64 = self.parts.first().map_or(0, |part| part.held);
            let owed = self.owed(old, now).map(|owed| owed.carried(most.unwrap_or(0), how)).max();
            return vec![(now, owed.unwrap_or(0).saturating_sub(held))];
        }
        let mut history = self.remembered(old);
        if how == Migration::Proportional {
            // One history serves all windows: the largest share of them, so that none is refilled.
            let ratio = |(limit, source): (&Limit, &Option<usize>)| match (&limit.rule, source.map(|at| &old[at].rule))
            {
                (Rule::Window(to), Some(Rule::Window(from))) => Some((to.limit(), from.limit())),
                _ => None,
            };
            let larger = |a: &(u64, u64), b: &(u64, u64)| {
                (u128::from(a.0) * u128::from(b.1)).cmp(&(u128::from(b.0) * u128::from(a.1)))
            };
            if let Some((num, den)) = new.iter().zip(sources).filter_map(ratio).max_by(larger) {
                let (mut seen, mut given) = (0, 0);
                for (_, n) in &mut history {
                    seen += *n;
                    let up_to = scaled(seen, num, den);
                    *n = up_to - std::mem::replace(&mut given, up_to);
                }
            }
        }
        history
    }

    /// What the old windows remember: of several logs, the one that reaches back farthest.
    fn remembered(&self, old: &[Limit]) -> Vec<(Ticks, u64)> {
        let reach = |limit: &Limit| if let Rule::Window(window) = &limit.rule { window.reach() } else { 0 };
        let logs = self.parts.iter().zip(old).filter(|(_, limit)| matches!(limit.rule, Rule::Window(_)));
        let widest = logs.max_by_key(|(_, limit)| (!limit.shadow, reach(limit)));
        let each = |log: &Log| log.stamps().map(|stamp| (stamp, 1)).collect();
        match widest.map(|(part, _)| &part.state) {
            Some(State::Own(log)) => each(log),
            Some(State::Steps(tally)) => tally.runs().collect(),
            _ => each(&self.log),
        }
    }
}

/// The old limit that a new one takes over from.
fn source(old: &[Limit], limit: &Limit) -> Option<usize> {
    let same_kind = |other: &&Limit| std::mem::discriminant(&other.rule) == std::mem::discriminant(&limit.rule);
    let named = old.iter().position(|other| same_kind(&other) && other.name == limit.name);
    named.or_else(|| {
        let wide = |other: &Limit| if let Rule::Window(window) = &other.rule { Window::reach(window) } else { 0 };
        let kin = old.iter().enumerate().filter(|(_, other)| same_kind(other));
        // Of several, the one most like it.
        kin.min_by_key(|(_, other)| wide(other).abs_diff(wide(limit))).map(|(at, _)| at)
    })
}

#[cfg(all(test, not(loom)))]
#[path = "migrate_tests.rs"]
mod tests;
