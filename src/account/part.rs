//! What one limit remembers of a key: how something is logged in it, what it counts, and until when.

use super::earliest::{Stamps, leaves};
use super::leases::Lease;
use super::period::Counted;
use crate::limit::{Calendar, Log, Record, Tally};
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
    /// A limit by the calendar.
    Period(Box<Counted>),
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
            Rule::Calendar(_) => State::Period(Box::default()),
            Rule::Jail(_) => State::Jail(Box::default()),
            Rule::InFlight(_) | Rule::Closed => State::Held,
        };
        Self { held: 0, state }
    }

    /// Logs `n` at `now` in what the limit counts by itself, if it does. True if older stamps were forgotten.
    pub(super) fn log(&mut self, rule: &Rule, now: Ticks, n: u64) -> bool {
        match (&mut self.state, rule) {
            (State::Own(log), Rule::Window(window)) => record(log, now, n, window.horizon(now)),
            (State::Steps(tally), Rule::Window(window)) => {
                let before = tally.entry_count();
                tally.drop_before(window.horizon(now));
                let forgot = tally.entry_count() < before;
                tally.push(window.stamped(now), n);
                forgot
            }
            (State::Period(counted), _) => {
                counted.log(now, n);
                false
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
            (State::Period(counted), _) => self.held.saturating_add(counted.used_at(now)),
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
            (State::Period(counted), _) => counted.settled(),
            _ => 0,
        }
    }

    /// What it counts, if it counts in these periods.
    pub(super) fn count_in(&self, rule: &Rule, calendar: &Calendar) -> Option<&Counted> {
        match (&self.state, rule) {
            (State::Period(counted), Rule::Calendar(own)) if own.has_periods_of(calendar) => Some(counted),
            _ => None,
        }
    }

    /// When a reservation leaves the limit if nothing ends it before its lease is over; 0 where it leaves nothing behind but
    /// what a word says.
    pub(super) fn leaves(&self, rule: &Rule, lease: &Lease) -> Ticks {
        match (&self.state, rule) {
            (_, Rule::Window(window)) => leaves(Some(window), lease),
            (State::Period(counted), Rule::Calendar(calendar)) => counted.leaves(calendar, lease),
            (_, Rule::InFlight(_)) => lease.expiry,
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
            Self::Shared | Self::Bucket(_) | Self::Jail(_) | Self::Period(_) | Self::Held => Stamps::None,
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
