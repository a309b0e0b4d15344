//! The facade of a client that must reach a server's limit and never be told 429: so many requests in any window of the
//! *server*, for each of many keys.
//!
//! RUNS PER REQUEST: [`Pacer::try_acquire`], then [`Pacer::end`]; for those who have to wait [`Pacer::join`] and
//! [`Pacer::look`]. Each is one lock for a share of the keys, one look into a map, and a few steps in trees as large as
//! the number of permits.
//!
//! Order and time are decided here; whoever waits only parks, until it is woken or until the time it was told, and looks
//! again. Only the head of a key's queue has a time to look at. No lock is held while anybody waits, sends or is woken.

mod account;

use std::sync::Arc;
use std::task::Waker;

use account::{Account, After};

use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{FIRST_HEADROOM, Pace};
use crate::parker::Parker;
use crate::striped::Striped;
use crate::table::MAX_KEY_LEN;

/// Servers count in milliseconds, and clocks drift apart by less than a thousandth.
const MARGIN: u64 = 1_000_000;

struct Rule {
    pace: Pace,
    headroom: u64,
    spacing: u64,
}

/// A permit in use, from the send on; it goes back to [`Pacer::end`], with the key it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(u64);

/// A place in a key's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Whether a queue was joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// At its end: look at once, then whenever it is told to.
    Waiting(Ticket),
    /// The turn would come in so many nanoseconds, as far as is known, and that is beyond the timeout.
    TooLate(u64),
}

/// What somebody finds who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Send now. The ticket is used up.
    Granted(Permit),
    /// Look again when woken, or after so many nanoseconds.
    Wait(Option<u64>),
    /// The timeout is over, or will be before the turn comes: in so many nanoseconds, as far as is known. The ticket is
    /// used up.
    TooLate(u64),
    /// There is no such ticket: it was used up, or it is from before a fork.
    Gone,
}

/// One key's totals since it was first seen, and what is so now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacerStats {
    /// Permits granted.
    pub granted: u64,
    /// Requests that the server refused.
    pub refused: u64,
    /// Waiters whose timeout was over, or would have been.
    pub timed_out: u64,
    /// Those who wait now.
    pub waiting: usize,
    /// Requests that have not ended.
    pub in_flight: usize,
    /// Permits that are not free.
    pub in_use: usize,
    /// How long after its send a request is taken to arrive at most.
    pub headroom_ns: u64,
    /// For how long the server has asked not to be asked.
    pub blocked_ns: u64,
}

/// Paces the requests of many keys. Shared freely between threads.
pub struct Pacer {
    rule: Rule,
    clock: Clock,
    accounts: Striped<Option<Box<Account>>>,
}

impl Pacer {
    /// At most `permits` requests of a key in any window of `window_ns`, by the server's reckoning.
    ///
    /// # Errors
    /// Refuses zeros, and more than 2^32 - 1 permits.
    pub fn new(permits: u64, window_ns: u64, clock: Clock) -> Result<Self, Error> {
        let rule = Rule { pace: Pace::new(permits, window_ns, MARGIN)?, headroom: FIRST_HEADROOM, spacing: 0 };
        Ok(Self { rule, clock, accounts: Striped::new() })
    }

    /// What is added to the window for the grain of the server's clock; a millisecond unless said otherwise.
    #[must_use]
    pub fn margin(mut self, margin_ns: u64) -> Self {
        self.rule.pace = self.rule.pace.with_margin(margin_ns);
        self
    }

    /// The headroom to begin with; 50 ms unless said otherwise.
    #[must_use]
    pub fn headroom(mut self, headroom_ns: u64) -> Self {
        self.rule.headroom = headroom_ns;
        self
    }

    /// The shortest time between two requests of a key; none unless said otherwise.
    #[must_use]
    pub fn spacing(mut self, spacing_ns: u64) -> Self {
        self.rule.spacing = spacing_ns;
        self
    }

    /// The clock that is paced by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does something with a key's state, at a time of its own, and wakes whom it concerns when the lock is released.
    fn with<R>(&self, key: &[u8], act: impl FnOnce(&mut Account, &Rule, u64, &mut After) -> R) -> Result<R, Error> {
        let key = check(key)?;
        let mut after = After::default();
        let is_idle = |account: &mut Option<Box<Account>>| {
            account.as_mut().is_none_or(|account| account.is_idle(&self.rule, self.clock.now_ns()))
        };
        let result = self.accounts.with(key, is_idle, |account| {
            // Read under the lock, so that no thread is late.
            let reading = self.clock.now_ns();
            let account = account.get_or_insert_with(|| Box::new(Account::new(&self.rule, reading)));
            let now = account.time(reading);
            account.forget_the_parents(now, &mut after);
            act(account, &self.rule, now, &mut after)
        });
        after.done();
        Ok(result)
    }

    /// A permit, if one is free now and nobody waits for it: the request is to be sent at once.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn try_acquire(&self, key: &[u8]) -> Result<Option<Permit>, Error> {
        self.with(key, |account, rule, now, after| account.try_acquire(rule, now, after).map(Permit))
    }

    /// Joins the key's queue. Whoever has joined looks at once, and then until it has a permit, is too late, or leaves.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn join(&self, key: &[u8], timeout_ns: Option<u64>, waker: Waker) -> Result<Joined, Error> {
        // Shared, so that a refused waker is dropped here, after the lock.
        let waker = Arc::new(waker);
        self.with(key, |account, rule, now, after| {
            let joined = account.join(rule, now, timeout_ns, &waker, after);
            joined.map_or_else(Joined::TooLate, |ticket| Joined::Waiting(Ticket(ticket)))
        })
    }

    /// Whether the turn has come.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn look(&self, key: &[u8], ticket: Ticket) -> Result<Look, Error> {
        self.with(key, |account, rule, now, after| account.look(rule, now, ticket.0, after))
    }

    /// Leaves the queue; a permit that was meant for this waiter goes to the next. False if it has left already.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn leave(&self, key: &[u8], ticket: Ticket) -> Result<bool, Error> {
        self.with(key, |account, rule, now, after| account.leave(rule, now, ticket.0, after))
    }

    /// The request has ended: `answered`, if its response is here, whatever that says; else it may still arrive. False if it
    /// had ended already.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn end(&self, key: &[u8], permit: Permit, answered: bool) -> Result<bool, Error> {
        self.with(key, |account, rule, now, after| account.end(rule, now, permit.0, answered, after))
    }

    /// Waits for a permit, the thread parked. `Err` says in how many nanoseconds the turn would come, as far as is known.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn acquire_blocking(&self, key: &[u8], timeout_ns: Option<u64>) -> Result<Result<Permit, u64>, Error> {
        if let Some(permit) = self.try_acquire(key)? {
            return Ok(Ok(permit));
        }
        let parker = Arc::new(Parker::new());
        let ticket = match self.join(key, timeout_ns, parker.clone().into())? {
            Joined::Waiting(ticket) => ticket,
            Joined::TooLate(wait) => return Ok(Err(wait)),
        };
        loop {
            match self.look(key, ticket)? {
                Look::Granted(permit) => return Ok(Ok(permit)),
                Look::TooLate(wait) => return Ok(Err(wait)),
                Look::Gone => return Ok(Err(0)),
                Look::Wait(nanos) => parker.park(nanos),
            }
        }
    }

    /// A round trip that somebody has measured; those of permits are known.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn record_latency(&self, key: &[u8], latency_ns: u64) -> Result<(), Error> {
        self.with(key, |account, rule, now, after| account.learn(rule, now, latency_ns, after))
    }

    /// The server has refused a request (429), and may have said after how long to ask again.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn record_rejected(&self, key: &[u8], retry_after_ns: Option<u64>) -> Result<(), Error> {
        self.with(key, |account, rule, now, after| account.reject(rule, now, retry_after_ns, after))
    }

    /// What is known of a key.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn stats(&self, key: &[u8]) -> Result<PacerStats, Error> {
        self.with(key, |account, rule, now, _| account.stats(rule, now))
    }

    /// Keys now remembered: those in use, and those used in the last ten minutes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn check(key: &[u8]) -> Result<&[u8], Error> {
    if key.len() > MAX_KEY_LEN { Err(Error::KeyTooLong(key.len())) } else { Ok(key) }
}
