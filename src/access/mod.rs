//! At most so many accesses of a client in any period, whatever order their times come in; and a timeout for those who
//! do not stop asking.
//!
//! RUNS PER DECISION: [`ClientAccess::is_allowed`], one hash, one lock for a share of the clients, one look into a map, one
//! into the client's log.
//!
//! A client that equals one never seen, for every time that can still come, is forgotten. What is remembered of the
//! forgotten is one time, the horizon: before it an unknown client may have been somebody, and is answered "late".
//! So forgetting never admits anything.

mod client;

use std::cell::Cell;

use crate::clock::Clock;
use crate::counters::{Counters, Event};
use crate::error::Error;
use crate::limit::{Edge, Jail, Window};
use crate::striped::{STRIPES, Striped};
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::table::MAX_KEY_LEN;

use client::{Answer, Client, Rule};

/// An unknown client that meets no free place looks for one among at least so many others, if they are due.
const LOOKS: usize = 1024;
/// A share of the clients is due again after this share of the time that one is remembered.
const DUE: u64 = 64;
/// Times are kept from the earliest one on.
const ZERO: u64 = 1 << 63;

/// Limits the accesses of many clients. Shared freely between threads.
///
/// Times are nanoseconds on one scale for all clients, the caller's or the limiter's own clock.
pub struct ClientAccess {
    rule: Rule,
    max_clients: usize,
    clock: Clock,
    clients: Striped<Client>,
    counters: Counters,
    /// No unknown client is decided about before this.
    horizon: AtomicU64,
    /// The newest time that a caller gave.
    latest: AtomicU64,
    /// When each share of the clients was last looked through for a place, and which one is next.
    searched: Box<[AtomicU64; STRIPES]>,
    hand: AtomicUsize,
}

/// Totals since the limiter was made. Every call is one of the first five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessStats {
    /// Admitted and logged.
    pub allowed: u64,
    /// Refused by the limit.
    pub denied: u64,
    /// Refused in a timeout.
    pub jailed: u64,
    /// Refused because they came too late to be checked.
    pub late: u64,
    /// Unknown clients that found no place.
    pub full: u64,
    /// Clients now remembered.
    pub clients: u64,
}

impl ClientAccess {
    /// At most `limit` accesses in any half-open window of `period_ns`. Times may come one period late, and 1,000,000
    /// clients are remembered, unless said otherwise.
    ///
    /// # Errors
    /// Refuses zeros, and limits above 2^53.
    pub fn new(limit: u64, period_ns: u64, clock: Clock) -> Result<Self, Error> {
        let window = Window::new(limit, period_ns, Edge::HalfOpen)?;
        Ok(Self {
            rule: Rule { window, lateness: period_ns, jail: None },
            max_clients: 1_000_000,
            clock,
            clients: Striped::new(),
            counters: Counters::new(),
            horizon: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            searched: Box::new(std::array::from_fn(|_| AtomicU64::new(0))),
            hand: AtomicUsize::new(0),
        })
    }

    /// How far behind the newest time of a client another may come and still be decided about.
    #[must_use]
    pub fn lateness(mut self, lateness_ns: u64) -> Self {
        self.rule.lateness = lateness_ns;
        self
    }

    /// A timeout for those who are denied too often.
    #[must_use]
    pub fn jail(mut self, jail: Jail) -> Self {
        self.rule.jail = Some(jail);
        self
    }

    /// At most so many clients are remembered.
    ///
    /// # Errors
    /// Refuses 0.
    pub fn max_clients(mut self, max_clients: usize) -> Result<Self, Error> {
        if max_clients == 0 {
            return Err(Error::invalid("max_clients", max_clients, "must be at least 1"));
        }
        self.max_clients = max_clients;
        Ok(self)
    }

    /// Admits the access and logs it, or says no. Without a time it is now.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`]; nothing is counted then.
    pub fn is_allowed(&self, client: &[u8], time_ns: Option<i64>) -> Result<bool, Error> {
        let client = check(client)?;
        let now = time_ns.map_or_else(|| self.reading(), stamp);
        if time_ns.is_some() && self.latest.load(Ordering::SeqCst) < now {
            self.latest.fetch_max(now, Ordering::SeqCst);
        }
        let mut answer = self.ask(client, now, time_ns.is_none());
        if answer.is_none() && self.make_room(now) {
            answer = self.ask(client, now, time_ns.is_none());
        }
        self.counters.count(match answer {
            Some(Answer::Allowed) => Event::Allowed,
            Some(Answer::Denied) => Event::Denied,
            Some(Answer::Jailed) => Event::Jailed,
            Some(Answer::Late) => Event::Late,
            None => Event::Full,
        });
        Ok(answer == Some(Answer::Allowed))
    }

    /// `None`: unknown, and there is no place.
    fn ask(&self, client: &[u8], now: u64, by_clock: bool) -> Option<Answer> {
        let born_at = Cell::new(None);
        self.clients.with_at_most(
            client,
            self.max_clients,
            |other| self.forgets(other, now),
            || {
                let horizon = self.horizon.load(Ordering::SeqCst);
                born_at.set(Some(horizon));
                (now < horizon && !by_clock).then_some(Answer::Late)
            },
            |client| {
                if let Some(horizon) = born_at.get() {
                    *client = Client::born_at(horizon);
                }
                // Another thread may have read the clock after this one and have come first: that is not being late,
                // and it is now, after that.
                client.ask(&self.rule, if by_clock { now.max(client.earliest()) } else { now })
            },
        )
    }

    /// Whether a client equals one never seen, for every time that may still come. If so the horizon is drawn behind it.
    fn forgets(&self, client: &Client, now: u64) -> bool {
        let settled = client.settled(&self.rule);
        let idle = settled.saturating_add(self.rule.lateness) <= now;
        if idle {
            self.horizon.fetch_max(settled, Ordering::SeqCst);
        }
        idle
    }

    /// Looks for idle clients, in turn, share after share; says whether it found any.
    #[cold]
    fn make_room(&self, now: u64) -> bool {
        let due_after = self.rule.window.free_at(self.rule.lateness) / DUE;
        let mut looks = 0;
        for _ in 0..STRIPES {
            let number = self.hand.fetch_add(1, Ordering::SeqCst) % STRIPES;
            let searched = &self.searched[number];
            // A step back makes everything due.
            if now.wrapping_sub(searched.load(Ordering::SeqCst)) < due_after {
                continue;
            }
            searched.store(now, Ordering::SeqCst);
            let (looked, forgotten) = self.clients.sweep(number, |client| self.forgets(client, now));
            looks += looked;
            if forgotten > 0 {
                return true;
            }
            if looks >= LOOKS {
                break;
            }
        }
        false
    }

    /// Ends the client's timeout; false if none runs. Its strikes stay.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn release(&self, client: &[u8]) -> Result<bool, Error> {
        let (client, now) = (check(client)?, self.present());
        Ok(self.clients.look(client, |client| client.release(now)).unwrap_or(false))
    }

    /// When the client's timeout ends, in nanoseconds; `None` if none runs.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn jailed_until(&self, client: &[u8]) -> Result<Option<i64>, Error> {
        let (client, now) = (check(client)?, self.present());
        Ok(self.clients.look(client, |client| client.jailed_until(now)).flatten().map(nanos))
    }

    /// Everybody whose timeout runs, and when it ends, in nanoseconds.
    pub fn jailed(&self) -> Vec<(Box<[u8]>, i64)> {
        let (now, mut all) = (self.present(), Vec::new());
        self.clients.for_each(|key, client| {
            all.extend(client.jailed_until(now).map(|until| (Box::from(key), nanos(until))));
        });
        all
    }

    /// Makes the client as good as never seen; false if it is unknown.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn forget(&self, client: &[u8]) -> Result<bool, Error> {
        Ok(self.clients.remove(check(client)?).is_some())
    }

    /// Whether anything is remembered of the client.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn contains(&self, client: &[u8]) -> Result<bool, Error> {
        Ok(self.clients.look(check(client)?, |_| ()).is_some())
    }

    /// Clients now remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Totals since the limiter was made.
    #[must_use]
    pub fn stats(&self) -> AccessStats {
        let total = |event| self.counters.total(event);
        AccessStats {
            allowed: total(Event::Allowed),
            denied: total(Event::Denied),
            jailed: total(Event::Jailed),
            late: total(Event::Late),
            full: total(Event::Full),
            clients: self.len() as u64,
        }
    }

    /// The newest time that was given; the clock's, if none was.
    fn present(&self) -> u64 {
        match self.latest.load(Ordering::SeqCst) {
            0 => self.reading(),
            latest => latest,
        }
    }

    fn reading(&self) -> u64 {
        stamp(i64::try_from(self.clock.now_ns()).unwrap_or(i64::MAX))
    }
}

/// Signed nanoseconds as a stamp, in the same order.
const fn stamp(nanos: i64) -> u64 {
    nanos.cast_unsigned() ^ ZERO
}

const fn nanos(stamp: u64) -> i64 {
    (stamp ^ ZERO).cast_signed()
}

fn check(client: &[u8]) -> Result<&[u8], Error> {
    if client.len() > MAX_KEY_LEN { Err(Error::KeyTooLong(client.len())) } else { Ok(client) }
}
