//! The facade of limits over logged sends: so many a minute, an hour, a day, counted from what was sent and what is being
//! sent.
//!
//! RUNS PER DECISION: [`SendHistory::check`], then [`SendHistory::log`]: each one lock, one look into a hash map, and per
//! window what `limit::Runs` says.
//!
//! Time is the wall clock in whole seconds, for that is what plans are told in. Where it is set back, sends of its future
//! count until it has come to them and they have left their windows; nobody is let through for it.

mod account;
mod leases;

use account::Account;

use crate::clock::Clock;
use crate::error::Error;
use crate::limit::Runs;
use crate::striped::Striped;

const NANOS: u64 = 1_000_000_000;
/// The longest lease: a hundred years.
const LONGEST_LEASE: u64 = 36_525 * 86_400;

/// What a key may send in a minute, an hour and a day; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub [u64; 3]);

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == [0; 3]
    }

    /// The limits there are, each with the number of its window.
    #[inline]
    fn each(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.into_iter().enumerate().filter(|&(_, limit)| limit > 0)
    }
}

/// What to tell those who must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The next full minute, hour or day (UTC) of the first limit that is reached. It may be too early or too late.
    Boundary,
    /// The first second at which the same request would pass if nothing else happened. Where those in flight take all that
    /// there is, that is up to them, and the next second is told.
    Exact,
}

/// The answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Send now: a place is reserved until the send is logged or its place released.
    Now,
    /// Ask again at this Unix second; nothing is reserved.
    Later(i64),
}

struct Rules {
    plan: Plan,
    lease: Option<i64>,
    log_unlimited: bool,
}

/// Limits over logged sends, of many keys. Shared freely between threads.
pub struct SendHistory {
    accounts: Striped<Account>,
    clock: Clock,
    rules: Rules,
}

impl SendHistory {
    /// Without a lease, a reservation lasts until it is logged or released; with one (in seconds), no longer than that.
    /// `log_unlimited`: whether sends of keys whose last check saw no limit are recorded.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a lease of 0, or of more than a hundred years.
    pub fn new(clock: Clock, plan: Plan, lease: Option<u64>, log_unlimited: bool) -> Result<Self, Error> {
        let lease = match lease {
            None => None,
            Some(seconds @ 1..=LONGEST_LEASE) => i64::try_from(seconds).ok(),
            Some(other) => return Err(Error::invalid("lease", other, "must be from 1 second to 100 years")),
        };
        Ok(Self { accounts: Striped::new(), clock, rules: Rules { plan, lease, log_unlimited } })
    }

    fn now(&self) -> i64 {
        seconds(self.clock.unix_ns())
    }

    /// Changes the state of a key.
    #[inline]
    fn with<R>(&self, key: &[u8], now: i64, change: impl FnOnce(&mut Account) -> R) -> R {
        self.accounts.with(key, |account| account.is_idle(now, &self.rules), change)
    }

    /// Reserves a place if every limit has one, or says when to ask again.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`]; nothing is reserved then.
    #[inline]
    pub fn check(&self, key: &[u8], limits: &Limits) -> Result<Planned, Error> {
        let key = check_key(key)?;
        // A reading that is a tick old is never ahead: a yes by it is safe, a no is said by the precise one.
        let now = seconds(self.clock.coarse_unix_ns());
        if limits.is_none() {
            self.with(key, now, Account::check_unlimited);
            return Ok(Planned::Now);
        }
        Ok(self.with(key, now, |account| match account.check(limits, now, &self.rules) {
            Planned::Now => Planned::Now,
            Planned::Later(_) => account.check(limits, self.now(), &self.rules),
        }))
    }

    /// Records a send, and ends the reservation that was made for it.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    #[inline]
    pub fn log(&self, key: &[u8]) -> Result<(), Error> {
        let (key, now) = (check_key(key)?, self.now());
        self.with(key, now, |account| account.log(now, &self.rules));
        Ok(())
    }

    /// Ends a reservation without a send. One too many does nothing.
    pub fn release(&self, key: &[u8]) {
        self.accounts.look(key, Account::release);
    }

    /// Forgets a key, what is in flight included, and says how many sends were kept.
    #[allow(clippy::must_use_candidate)]
    pub fn purge(&self, key: &[u8]) -> u64 {
        self.accounts.remove(key).and_then(|account| account.sent).map_or(0, |sent| sent.len())
    }

    /// Forgets all keys.
    pub fn clear(&self) {
        self.accounts.clear();
    }

    /// How many keys something is remembered of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that have a history, even an empty one.
    #[must_use]
    pub fn sent_keys(&self) -> Vec<Box<[u8]>> {
        let mut keys = Vec::new();
        self.accounts.for_each(|key, account| keys.extend(account.sent.is_some().then(|| key.into())));
        keys
    }

    /// The keys that have, or have had, something in flight.
    #[must_use]
    pub fn in_flight_keys(&self) -> Vec<Box<[u8]>> {
        let (mut keys, now) = (Vec::new(), self.now());
        self.accounts.for_each(|key, account| {
            keys.extend(account.in_flight(now, &self.rules).is_some().then(|| key.into()));
        });
        keys
    }

    /// What a key's history says, if it has one. `look` is shown a copy, after the lock.
    pub fn sent<R>(&self, key: &[u8], look: impl FnOnce(&Runs<3>) -> R) -> Option<R> {
        self.accounts.look(key, |account| account.sent.clone()).flatten().as_ref().map(look)
    }

    /// Puts a history in the place of a key's own.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn set_sent(&self, key: &[u8], seconds: Vec<i64>) -> Result<(), Error> {
        let runs = Runs::of(seconds);
        self.with(check_key(key)?, self.now(), |account| account.sent = Some(runs));
        Ok(())
    }

    /// Adds a send of some other second to a key's history.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn add_sent(&self, key: &[u8], second: i64) -> Result<(), Error> {
        let now = self.now();
        self.with(check_key(key)?, now, |account| account.sent.get_or_insert_default().log(second));
        Ok(())
    }

    /// Forgets a key's history; false if it has none.
    #[allow(clippy::must_use_candidate)]
    pub fn forget_sent(&self, key: &[u8]) -> bool {
        self.accounts.look(key, |account| account.sent.take().is_some()).unwrap_or(false)
    }

    /// Forgets every history.
    pub fn forget_all_sent(&self) {
        self.accounts.for_each(|_, account| account.sent = None);
    }

    /// What a key has in flight; `None` if it never had anything.
    #[must_use]
    pub fn in_flight(&self, key: &[u8]) -> Option<u64> {
        let now = self.now();
        self.accounts.look(key, |account| account.in_flight(now, &self.rules)).flatten()
    }

    /// Says what a key has in flight.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn set_in_flight(&self, key: &[u8], count: u64) -> Result<(), Error> {
        let now = self.now();
        self.with(check_key(key)?, now, |account| account.set_in_flight(Some(count), now, &self.rules));
        Ok(())
    }

    /// Forgets what a key has in flight; false if it never had anything.
    #[allow(clippy::must_use_candidate)]
    pub fn forget_in_flight(&self, key: &[u8]) -> bool {
        let now = self.now();
        let forget = |account: &mut Account| {
            let had = account.in_flight(now, &self.rules).is_some();
            account.set_in_flight(None, now, &self.rules);
            had
        };
        self.accounts.look(key, forget).unwrap_or(false)
    }

    /// Forgets all that is in flight.
    pub fn forget_all_in_flight(&self) {
        let now = self.now();
        self.accounts.for_each(|_, account| account.set_in_flight(None, now, &self.rules));
    }
}

/// Whole seconds, as `int(time.time())` has them.
#[inline]
fn seconds(unix_ns: u64) -> i64 {
    i64::try_from(unix_ns / NANOS).expect("2^64 nanoseconds are few seconds")
}

#[inline]
fn check_key(key: &[u8]) -> Result<&[u8], Error> {
    if key.len() > crate::MAX_KEY_LEN { Err(Error::KeyTooLong(key.len())) } else { Ok(key) }
}
