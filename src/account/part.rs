//! What one limit remembers of a key, and how something is logged in it.

use super::period::Counted;
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
    Steps(Tally),
    Jail(Record),
    /// A limit by the calendar.
    Period(Counted),
    /// What is held says it all.
    Held,
}

impl Part {
    pub(super) fn fresh(limit: &Limit) -> Self {
        let state = match &limit.rule {
            Rule::Rate { .. } => State::Bucket(0),
            Rule::Window(window) if window.is_conservative() => State::Steps(Tally::default()),
            Rule::Window(_) if limit.shadow => State::Own(Log::new()),
            Rule::Window(_) => State::Shared,
            Rule::Calendar(_) => State::Period(Counted::default()),
            Rule::Jail(_) => State::Jail(Record::default()),
            Rule::InFlight(_) | Rule::Closed => State::Held,
        };
        Self { held: 0, state }
    }

    /// Logs `n` at `now` in a log of the limit's own, if it has one. True if older stamps were forgotten.
    pub(super) fn log(&mut self, rule: &Rule, now: Ticks, n: u64) -> bool {
        if let State::Period(counted) = &mut self.state {
            counted.log(now, n);
        }
        let Rule::Window(window) = rule else { return false };
        match &mut self.state {
            State::Own(log) => record(log, now, n, window.horizon(now)),
            State::Steps(tally) => {
                let before = tally.len();
                tally.drop_before(window.horizon(now));
                let forgot = tally.len() < before;
                tally.push(window.stamped(now), n);
                forgot
            }
            _ => false,
        }
    }
}

/// Logs `n` at `now`, and forgets what is older than `oldest`: true if anything is. Entries stay for as long as a window
/// counts them, whatever its limit becomes meanwhile.
pub(super) fn record(log: &mut Log, now: Ticks, n: u64, oldest: Ticks) -> bool {
    let before = log.len();
    log.drop_before(oldest);
    let forgot = log.len() < before;
    log.push(now, n);
    forgot
}
