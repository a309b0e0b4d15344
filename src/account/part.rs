//! What one limit remembers of a key, and how something is logged in it.

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
