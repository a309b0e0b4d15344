//! A model of keys and their lines that knows nothing of the code: every rule in one line, every moment gone through anew.

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A bucket that refills one token a second, and places in flight.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) burst: u64,
    pub(crate) places: Option<u64>,
    /// Whether the key has limits at all.
    pub(crate) is_limited: bool,
    /// When the bucket is full again.
    full_at: u64,
    blocked_until: u64,
    /// The number of each reservation, when it ends, and its places.
    pub(crate) leases: Vec<(usize, u64, u64)>,
}

impl Key {
    pub(crate) fn new(burst: u64, places: Option<u64>) -> Self {
        Self { burst, places, is_limited: true, full_at: 0, blocked_until: 0, leases: Vec::new() }
    }

    fn can_ever(&self, n: u64) -> bool {
        !self.is_limited || n <= self.burst && self.places.is_none_or(|places| n <= places)
    }

    fn in_flight(&self, now: u64) -> u64 {
        self.leases.iter().filter(|&&(_, end, _)| end > now).map(|&(_, _, n)| n).sum()
    }

    pub(crate) fn allows(&self, now: u64, n: u64) -> bool {
        let owed = self.full_at.max(now) - now + n * SECOND;
        let places = self.places.is_none_or(|places| self.in_flight(now) + n <= places);
        (!self.is_limited || owed <= self.burst * SECOND && places) && self.blocked_until <= now
    }

    pub(crate) fn charge(&mut self, now: u64, n: u64) {
        if !self.is_limited {
            return;
        }
        self.full_at = self.full_at.max(now) + n * SECOND;
    }

    pub(crate) fn remaining(&self, now: u64) -> u64 {
        (1..=self.burst).rev().find(|&n| self.allows(now, n)).unwrap_or(0)
    }

    pub(crate) fn block(&mut self, until: u64) {
        self.blocked_until = until;
    }

    pub(crate) fn reset(&mut self) {
        *self = Self { is_limited: self.is_limited, ..Self::new(self.burst, self.places) };
    }

    /// Begins anew with limits or without; what is blocked stays so.
    pub(crate) fn switch(&mut self) {
        self.is_limited = !self.is_limited;
        *self = Self {
            is_limited: self.is_limited,
            blocked_until: self.blocked_until,
            ..Self::new(self.burst, self.places)
        };
    }

    /// Nobody waits for a key that nothing limits.
    pub(crate) fn has_line(&self, now: u64) -> bool {
        self.is_limited || self.blocked_until > now
    }

    /// Moments after `now` at which the answer to a request of `n` may change by itself.
    fn changes(&self, now: u64, n: u64) -> impl Iterator<Item = u64> {
        let bucket = (self.full_at + n * SECOND).saturating_sub(self.burst * SECOND);
        let ends: Vec<u64> = self.leases.iter().map(|&(_, end, _)| end).collect();
        ends.into_iter().chain([bucket, self.blocked_until]).filter(move |&at| at > now)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) number: usize,
    pub(crate) keys: Vec<usize>,
    pub(crate) n: u64,
    pub(crate) class: u8,
    pub(crate) deadline: Option<u64>,
}

/// What became of a waiter, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Passed,
    TooLate,
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) keys: Vec<Key>,
    /// In the order in which they are served.
    pub(crate) waiting: Vec<Waiter>,
    /// Number, end and moment.
    pub(crate) ended: Vec<(usize, End, u64)>,
    pub(crate) now: u64,
}

impl Model {
    pub(crate) fn is_waited_for(&self, key: usize) -> bool {
        self.keys[key].has_line(self.now) && self.waiting.iter().any(|waiter| waiter.keys.contains(&key))
    }

    /// All or none, and not before those who wait.
    pub(crate) fn tries(&mut self, keys: &[usize], n: u64) -> bool {
        let passes = keys.iter().all(|&key| !self.is_waited_for(key) && self.keys[key].allows(self.now, n));
        if passes {
            self.charge(keys, n);
        }
        passes
    }

    fn charge(&mut self, keys: &[usize], n: u64) {
        for &key in keys {
            self.keys[key].charge(self.now, n);
        }
    }

    pub(crate) fn join(&mut self, waiter: Waiter) {
        self.waiting.push(waiter);
        self.waiting.sort_by_key(|waiter| (waiter.class, waiter.number));
    }

    /// Whoever can pass does, in order, until nothing changes.
    pub(crate) fn settle(&mut self) {
        let is_late = |waiter: &Waiter| waiter.deadline.is_some_and(|deadline| deadline <= self.now);
        let (at, end) = if let Some(at) = (0..self.waiting.len()).find(|&at| self.can_pass(at)) {
            (at, End::Passed)
        } else if let Some(at) = (0..self.waiting.len()).find(|&at| self.has_given_up(at)) {
            (at, End::Never)
        } else if let Some(at) = self.waiting.iter().position(is_late) {
            (at, if self.can_ever(&self.waiting[at]) { End::TooLate } else { End::Never })
        } else {
            return;
        };
        let waiter = self.waiting.remove(at);
        if end == End::Passed {
            self.charge(&waiter.keys, waiter.n);
        }
        self.ended.push((waiter.number, end, self.now));
        self.settle();
    }

    pub(crate) fn can_ever(&self, waiter: &Waiter) -> bool {
        waiter.keys.iter().all(|&key| self.keys[key].can_ever(waiter.n))
    }

    fn is_behind(&self, at: usize, key: usize) -> bool {
        self.keys[key].has_line(self.now) && self.waiting[..at].iter().any(|other| other.keys.contains(&key))
    }

    /// Whoever waits for a single key is told at its head what can never be.
    fn has_given_up(&self, at: usize) -> bool {
        let waiter = &self.waiting[at];
        !self.can_ever(waiter) && (waiter.keys.len() > 1 || !self.is_behind(at, waiter.keys[0]))
    }

    fn can_pass(&self, at: usize) -> bool {
        let waiter = &self.waiting[at];
        waiter.keys.iter().all(|&key| !self.is_behind(at, key) && self.keys[key].allows(self.now, waiter.n))
    }

    /// The next moment at which anything may change by itself.
    pub(crate) fn next(&self) -> Option<u64> {
        let of_waiter = |waiter: &Waiter| {
            let keys = waiter.keys.iter().flat_map(|&key| self.keys[key].changes(self.now, waiter.n));
            keys.chain(waiter.deadline.filter(|&deadline| deadline > self.now)).min()
        };
        self.waiting.iter().filter_map(of_waiter).min()
    }

    /// How long one more would wait if no reservation were in the way, nobody left and nobody came.
    pub(crate) fn would_wait(&self, waiter: Waiter) -> u64 {
        let (mut other, number, begin) = (self.clone(), waiter.number, self.now);
        other.keys.iter_mut().for_each(|key| key.leases.clear());
        other.waiting.iter_mut().for_each(|waiter| waiter.deadline = None);
        other.join(Waiter { deadline: None, ..waiter });
        loop {
            other.settle();
            if other.ended.iter().any(|&(ended, ..)| ended == number) {
                return other.now - begin;
            }
            other.now = other.next().expect("whoever waits passes in the end");
        }
    }
}
