//! One client: what was admitted, and what is remembered of denials. Pure; the lock is the caller's.
//!
//! RUNS PER DECISION: [`Client::ask`].

use crate::limit::{Jail, Log, Record, Window};

/// What all clients go by.
pub(super) struct Rule {
    pub(super) window: Window,
    /// How far behind the newest time of a client another one may come.
    pub(super) lateness: u64,
    pub(super) jail: Option<Jail>,
}

/// A client never seen is the default.
#[derive(Default)]
pub(super) struct Client {
    log: Log,
    /// The newest time that was decided about.
    newest: u64,
    /// Before this it may have been another, who is forgotten.
    born_at: u64,
    /// Most clients are never denied.
    record: Option<Box<Record>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allowed,
    Denied,
    Jailed,
    Late,
}

impl Client {
    pub(super) fn born_at(horizon: u64) -> Self {
        Self { born_at: horizon, ..Self::default() }
    }

    /// May this client have access at `at`?
    #[inline]
    pub(super) fn ask(&mut self, rule: &Rule, at: u64) -> Answer {
        if self.record.as_ref().is_some_and(|record| record.holds(at)) {
            return Answer::Jailed;
        }
        if at < self.newest.saturating_sub(rule.lateness).max(self.born_at) {
            return Answer::Late;
        }
        self.newest = self.newest.max(at);
        let oldest = self.newest.saturating_sub(rule.lateness);
        if rule.window.fits(&self.log, at, 1) {
            rule.window.forget(&mut self.log, oldest);
            self.log.push(at, 1);
            self.forget_record(rule, oldest);
            return Answer::Allowed;
        }
        if let Some(jail) = &rule.jail {
            jail.denied(self.record.get_or_insert_default(), at, self.newest, oldest);
        }
        Answer::Denied
    }

    /// Before this, now cannot be, whatever a clock says.
    pub(super) fn earliest(&self) -> u64 {
        self.newest.max(self.born_at)
    }

    fn forget_record(&mut self, rule: &Rule, oldest: u64) {
        if let (Some(jail), Some(record)) = (&rule.jail, &self.record)
            && jail.settled(record) <= oldest
        {
            self.record = None;
        }
    }

    /// From when on this client equals one never seen.
    pub(super) fn settled(&self, rule: &Rule) -> u64 {
        let record = rule.jail.as_ref().zip(self.record.as_ref()).map_or(0, |(jail, record)| jail.settled(record));
        rule.window.free_at(self.newest).max(record)
    }

    /// When its timeout ends, if one runs at `now`.
    pub(super) fn jailed_until(&self, now: u64) -> Option<u64> {
        self.record.as_ref().filter(|record| record.holds(now)).map(|record| record.until())
    }

    /// Ends a timeout that runs at `now`.
    pub(super) fn release(&mut self, now: u64) -> bool {
        self.record.as_mut().is_some_and(|record| record.release(now))
    }
}
