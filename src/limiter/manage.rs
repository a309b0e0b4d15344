//! What is done to keys and to the limiter as a whole: other limits, a new beginning, lists and totals.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{State, Stats};
use super::{Limiter, check};
use crate::classes::ClassId;
use crate::counters::Event;
use crate::error::Error;
use crate::limit::Migration;
use crate::policy::Policy;

impl Limiter {
    /// Puts a key under limits of its own, what it owes carried over as declared: at once if it has an account, and whenever
    /// it is seen for the first time, evicted or not. False if it has no account now. The limits that are in force already
    /// change nothing, unless the migration is a reset. No decision sees a mixture of the two.
    ///
    /// Locks the key's stripe. Takes a copy of the key for as long as it has limits of its own.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and [`Error::TooManyOwnLimits`] where `max_keys` keys have limits of their own already.
    pub fn reconfigure(&self, key: &[u8], class: ClassId, how: Migration) -> Result<bool, Error> {
        self.table.own(check(key)?, class, how)
    }

    /// Puts a key under the limits of all again, what it owes carried over as declared. False if it has no account now.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn follow_default(&self, key: &[u8], how: Migration) -> Result<bool, Error> {
        Ok(self.table.disown(check(key)?, how))
    }

    /// [`Limiter::reconfigure`] until the account is evicted: what is known elsewhere of a key need not be kept here.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    #[cfg_attr(not(feature = "python"), allow(dead_code))]
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> Result<bool, Error> {
        Ok(self.table.configure(check(key)?, class, how))
    }

    /// Puts all keys without limits of their own under another policy, what they owe carried over as declared: each at its
    /// next touch, as of now. No decision sees a mixture of the two, and every decision that begins after this returns is by the
    /// new one. The limits that are in force already change nothing, unless the migration is a reset.
    ///
    /// Takes some microseconds whatever the number of keys, and serves those that are waited for.
    ///
    /// # Errors
    /// [`Error::TooManyPolicies`].
    pub fn set_limits(&self, policy: Policy, how: Migration) -> Result<(), Error> {
        self.table.set_default(policy, how)
    }

    /// Makes the key's account as good as new; false if the key is unknown.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn reset(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.table.reset(check(key)?))
    }

    /// Whether the table holds an account for the key.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn contains(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.table.holds(check(key)?))
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with every key and what its account holds. Accounts come and go while it runs.
    pub fn for_each(&self, mut each: impl FnMut(&[u8], State)) {
        self.table.for_each(|key, look, created_ns| each(key, State { created_ns, ..self.state(&look) }));
    }

    /// When the key was first seen, in nanoseconds since 1970, if that is tracked and it is known.
    #[must_use]
    pub fn created_ns(&self, key: &[u8]) -> Option<u64> {
        self.table.created_ns(key)
    }

    /// Totals since the limiter was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (evicted, forgiven, most_looks) = self.table.evictions();
        Stats {
            allowed: self.counters.total(Event::Allowed) + self.counters.total(Event::Shadowed),
            denied: self.counters.total(Event::Denied),
            shadow_denied: self.counters.total(Event::Shadowed),
            full: self.counters.total(Event::Full),
            evicted,
            forgiven,
            keys: self.len() as u64,
            own_limits: self.table.own_limits() as u64,
            most_looks,
        }
    }

    /// What each shadow limit would have denied, by its name: those that would have denied anything.
    #[must_use]
    pub fn shadow_denied(&self) -> BTreeMap<Arc<str>, u64> {
        self.shadowed.lock().clone()
    }
}
