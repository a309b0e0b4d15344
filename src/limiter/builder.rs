//! How a limiter is made: a policy, and what to say otherwise.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::Limiter;
use super::class::next_limiter;
use crate::account::Notice;
use crate::clock::{Clock, Timeline};
use crate::counters::Counters;
use crate::error::Error;
use crate::policy::Policy;
use crate::sync::Mutex;
use crate::table::{Plan, Table, WhenFull};

/// The largest `max_keys`: 2^25. An index entry of 32 bits holds a slot's number, and a few bits of the hash.
const MAX_KEYS: usize = 1 << 25;

/// How a limiter is to be; made by [`Limiter::builder`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    policy: Policy,
    max_keys: usize,
    when_full: WhenFull,
    clock: Clock,
    notice_ms: Option<u32>,
    track_created: bool,
}

impl Builder {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            max_keys: 1_000_000,
            when_full: WhenFull::Deny,
            clock: Clock::Monotonic,
            notice_ms: None,
            track_created: false,
        }
    }

    /// At most this many accounts; 1,000,000 unless said otherwise.
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// What to do with an unknown key when the table is full and nobody has refilled.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// The clock to decide by.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Mark one denial per account and interval as the one to log; 0 marks every denial.
    pub fn notice_every_ms(mut self, interval: Option<u32>) -> Self {
        self.notice_ms = interval;
        self
    }

    /// Remember when each account was first seen.
    pub fn track_created(mut self, track: bool) -> Self {
        self.track_created = track;
        self
    }

    /// The limiter.
    ///
    /// # Errors
    /// Refuses `max_keys` of 0 or above 2^25.
    pub fn build(self) -> Result<Limiter, Error> {
        let Self { policy, max_keys, when_full, clock, notice_ms, track_created } = self;
        if max_keys == 0 {
            return Err(Error::invalid("max_keys", max_keys, "must be at least 1"));
        }
        if max_keys > MAX_KEYS {
            return Err(Error::invalid("max_keys", max_keys, "must be at most 33,554,432"));
        }
        let plan = Plan { max_keys, when_full, notice_ms, track_created };
        let table = Table::new(plan, Timeline::starting_now(clock));
        table.begin_with(policy)?;
        Ok(Limiter {
            table,
            number: next_limiter(),
            counters: Counters::new(),
            full_notice: Notice::default(),
            told_forgiven: AtomicBool::new(false),
            shadowed: Mutex::new(BTreeMap::new()),
        })
    }
}
