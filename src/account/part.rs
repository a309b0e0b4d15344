//! What one limit remembers of a key: how something is logged in it, what it counts, and until when.

use super::earliest::Stamps;
use crate::limit::{Log, Record, Tally};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// What one limit remembers.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// What the reservations charged to it come to.
    pub(super) held: u64,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// A bucket's word.
    Bucket(Ticks),
    /// An exact window over the log that all of them share.
    Shared,
    /// An exact window with a log of its own: a shadow counts only what it would have let through; and windows that a
    /// request costs differently cannot share.
    Own(Log),
    /// A window in steps.
    Steps(Box<Tally>),
    Jail(Box<Record>),
    /// What is held says it all.
    Held,
}

impl Part {
    pub(super) fn fresh(limit: &Limit) -> Self {
        let state = match &limit.rule {
            Rule::Rate { .. } => State::Bucket(0),
            Rule::Window(window) if window.is_conservative() => State::Steps(Box::default()),
            Rule::Window(_) if limit.shadow => State::Own(Log::new()),
            Rule::Window(_) => State::Shared,
            Rule::Jail(_) => State::Jail(Box::default()),
            Rule::InFlight(_) | Rule::Closed => State::Held,
        };
        Self { held: 0, state }
    }

    /// Logs `n` at `now` in a log of the limit's own, if it has one. True if older stamps were forgotten.
    pub(super) fn log(&mut self, rule: &Rule, now: Ticks, n: u64) -> bool {
        let Rule::Window(window) = rule else { return false };
        match &mut self.state {
            State::Own(log) => record(log, now, n, window.horizon(now)),
            State::Steps(tally) => {
                let before = tally.entry_count();
                tally.drop_before(window.horizon(now));
                let forgot = tally.entry_count() < before;
                tally.push(window.stamped(now), n);
                forgot
            }
            _ => false,
        }
    }

    /// Brings back what a clock that stepped back left in the future.
    pub(super) fn settle(&mut self, rule: &Rule, now: Ticks) {
        match (&mut self.state, rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) if bucket.is_ahead(*tat, now) => {
                *tat = bucket.clamp(*tat, now);
            }
            (State::Own(log), _) => log.settle(now),
            (State::Steps(tally), Rule::Window(window)) => tally.settle(window.stamped(now)),
            (State::Jail(record), Rule::Jail(jail)) => jail.settle(record, now),
            _ => {}
        }
    }

    /// Tokens owed, requests in the window, what is reserved; of a jail, 1 while it holds. `stamps` are those of the window.
    pub(super) fn used(&self, rule: &Rule, stamps: Stamps<'_>, now: Ticks) -> u64 {
        match (&self.state, rule) {
            (State::Bucket(tat), Rule::Rate { bucket, .. }) => bucket.owed(*tat, now),
            (_, Rule::Window(window)) => self.held.saturating_add(stamps.still_in(window, now)),
            (_, Rule::InFlight(_)) => self.held,
            (State::Jail(record), _) => u64::from(record.holds(now)),
            _ => 0,
        }
    }

    /// From when on the limit counts nothing but what is reserved.
    pub(super) fn full_at(&self, rule: &Rule, stamps: Stamps<'_>) -> Ticks {
        match (&self.state, rule) {
            (State::Bucket(tat), _) => *tat,
            (State::Jail(record), Rule::Jail(jail)) => jail.settled(record),
            (_, Rule::Window(window)) => stamps.last().map_or(0, |stamp| window.free_at(stamp)),
            _ => 0,
        }
    }
}

impl State {
    /// The stamps that it holds itself.
    pub(super) fn stamps(&self) -> Stamps<'_> {
        match self {
            Self::Own(log) => Stamps::Log(log),
            Self::Steps(tally) => Stamps::Tally(tally),
            Self::Shared | Self::Bucket(_) | Self::Jail(_) | Self::Held => Stamps::None,
        }
    }
}

/// Logs `n` at `now`, and forgets what is older than `oldest`: true if anything is. Entries stay for as long as a window
/// counts them, whatever its limit becomes meanwhile.
pub(super) fn record(log: &mut Log, now: Ticks, n: u64, oldest: Ticks) -> bool {
    let before = log.entry_count();
    log.drop_before(oldest);
    let forgot = log.entry_count() < before;
    log.push(now, n);
    forgot
}
