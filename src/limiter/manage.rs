//! What is done to keys and to the limiter as a whole: other limits, a new beginning, lists and totals.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{LimitState, State, Stats, reset_ns, wait_ns};
use super::{ClassId, Limiter, check};
use crate::account::Wait;
use crate::counters::Event;
use crate::decision::Reason;
use crate::error::Error;
use crate::limit::Migration;
use crate::policy::{Cost, Policy};
use crate::ticks::{LONGEST, PER_NANO, to_nanos_up};

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
        self.table.own(check(key)?, self.own(class)?, how)
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
    #[cfg(feature = "python")]
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> Result<bool, Error> {
        Ok(self.table.configure(check(key)?, self.own(class)?, how))
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
            denied: self.denied_by_reason().values().sum(),
            shadow_denied: self.counters.total(Event::Shadowed),
            full: self.counters.total(Event::Full),
            evicted,
            forgiven,
            keys: self.len() as u64,
            own_limits: self.table.own_limits() as u64,
            most_looks,
        }
    }

    /// How many requests were denied, by the name of the limit that made them wait longest: those that denied any. What no
    /// limit denied is not among them: full tables, blocks, waits that were over too soon, and more than there can ever be.
    #[must_use]
    pub fn denied_by_limit(&self) -> BTreeMap<Arc<str>, u64> {
        let mut counts = BTreeMap::new();
        for ((name, _), count) in self.denied() {
            *counts.entry(name).or_default() += count;
        }
        counts
    }

    /// How many requests were denied, by the reason; `None`: their turn did not come before their wait was over.
    #[must_use]
    pub fn denied_by_reason(&self) -> BTreeMap<Option<Reason>, u64> {
        let total = |event| self.counters.total(event);
        let mut counts = BTreeMap::from([
            (None, total(Event::Late)),
            (Some(Reason::Never), total(Event::Never)),
            (Some(Reason::Full), total(Event::Denied)),
            (Some(Reason::Blocked), total(Event::Blocked)),
        ]);
        for ((_, reason), count) in self.denied() {
            *counts.entry(Some(reason)).or_default() += count;
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    fn denied(&self) -> BTreeMap<(Arc<str>, Reason), u64> {
        self.table.denied(|place| self.counters.total_at(place))
    }

    /// What each shadow limit would have denied, by its name: those that would have denied anything.
    #[must_use]
    pub fn shadow_denied(&self) -> BTreeMap<Arc<str>, u64> {
        self.shadowed.lock().clone()
    }

    /// Lets no request of the key pass for the next `length_ns` nanoseconds: what a server said with a Retry-After, say. 0 ends
    /// a block, as [`Limiter::release`] does. Requests that wait for the key wait on. False if the table has no place for the key.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a length beyond 4.5 years.
    pub fn block(&self, key: &[u8], length_ns: u64) -> Result<bool, Error> {
        self.block_as(key, length_ns, self.default_class())
    }

    /// The same, where an unknown key gets an account of this class.
    ///
    /// # Errors
    /// Those of [`Limiter::block`].
    pub fn block_as(&self, key: &[u8], length_ns: u64, class: ClassId) -> Result<bool, Error> {
        let length = length_ns.checked_mul(PER_NANO).filter(|&length| length <= LONGEST);
        let length =
            length.ok_or_else(|| Error::invalid("seconds", length_ns as f64 / 1e9, "must be at most 4.5 years"))?;
        Ok(self.table.block(check(key)?, self.own(class)?, length).is_ok())
    }

    /// Leaves the key no more than `to`: charges each rate and window of this name (`None`: every one) that has more left by the
    /// difference, all at one moment, as a server's "remaining: 7" asks for. True if any had more. It never gives anything
    /// back.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a name that no limit of this limiter has.
    pub fn drain(&self, key: &[u8], to: u64, limit: Option<&str>) -> Result<bool, Error> {
        self.drain_as(key, to, limit, self.default_class())
    }

    /// The same, where an unknown key gets an account of this class.
    ///
    /// # Errors
    /// Those of [`Limiter::drain`].
    pub fn drain_as(&self, key: &[u8], to: u64, limit: Option<&str>, class: ClassId) -> Result<bool, Error> {
        let key = check(key)?;
        if let Some(name) = limit.filter(|name| !self.table.knows_limit(name)) {
            return Err(Error::invalid("limit", name, "must be the name of a limit of this limiter"));
        }
        Ok(self.table.drain(key, self.own(class)?, to, limit).unwrap_or(false))
    }

    /// What each limit of the key counts, all at one moment, and when each would let a request of this cost pass. Of a key that
    /// is blocked, the block is one more. Takes nothing and creates nothing.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a cost that names a limit that this limiter does not know.
    pub fn inspect(&self, key: &[u8], cost: impl Into<Cost>) -> Result<Vec<LimitState>, Error> {
        self.inspect_as(key, cost, self.default_class())
    }

    /// The same, where an unknown key is answered as one of this class.
    ///
    /// # Errors
    /// Those of [`Limiter::inspect`].
    pub fn inspect_as(&self, key: &[u8], cost: impl Into<Cost>, class: ClassId) -> Result<Vec<LimitState>, Error> {
        let (key, cost) = (check(key)?, cost.into());
        self.check_names(&cost)?;
        let (each, blocked, class) = self.table.inspect(key, &cost, self.own(class)?);
        let limits = self.table.policy(class).in_force();
        let states = limits.iter().zip(each).map(|(limit, inspected)| LimitState {
            name: limit.name.clone(),
            kind: limit.reason(),
            limit: limit.most(),
            used: inspected.used,
            remaining: inspected.remaining,
            reset_after_ns: reset_ns(inspected.reset_after),
            retry_after_ns: wait_ns(inspected.wait),
            estimated: inspected.estimated,
            can_pass: inspected.wait != Wait::Never,
            shadow: limit.is_shadow(),
        });
        let block = (blocked > 0).then(|| LimitState {
            name: "blocked".into(),
            kind: Reason::Blocked,
            limit: 0,
            used: 0,
            remaining: 0,
            reset_after_ns: to_nanos_up(blocked),
            retry_after_ns: to_nanos_up(blocked),
            estimated: false,
            can_pass: true,
            shadow: false,
        });
        Ok(states.chain(block).collect())
    }

    /// How many parts [`Limiter::keys_in`] lists the keys in.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.table.parts()
    }

    /// The keys in one part of the table, of which there are [`Limiter::parts`], as of one moment; none in a part that there
    /// is not. A walk over all parts meets every key once that is there all the time. It stops no decision about a known key
    /// of a single rate; first sights in the same part wait for the copy.
    #[must_use]
    pub fn keys_in(&self, part: usize) -> Vec<Vec<u8>> {
        if part < self.parts() { self.table.keys_in(part) } else { Vec::new() }
    }
}
