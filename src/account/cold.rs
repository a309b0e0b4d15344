//! The state of a key whose limits are more than one word can say, or who has reservations: decided about as a whole.
//!
//! RUNS PER DECISION of such a key, under its stripe's lock: [`Cold::decide`], one look for each limit, and for a yes one
//! stamp. No key, no lock, no clock in here; readings never run backwards but where a clock stepped, and then
//! nothing in the future stays there ([`Cold::catch_up`]).

use super::earliest::{Stamps, earliest, earliest_of_bucket};
use super::leases::{Lease, LeaseId, Leases, Terms};
use super::part::{Part, State, record};
use crate::limit::Log;
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// All that is known of a key.
#[derive(Debug)]
pub(crate) struct Cold {
    /// One for each limit of the policy, in its order.
    pub(super) parts: Box<[Part]>,
    /// What was let through, for as long as an exact window counts it.
    pub(super) log: Log,
    pub(super) leases: Leases,
    /// Nothing passes before: the latest reading at which something was forgotten, by this key or by the table about it.
    /// It is in the future only if the clock stepped back.
    pub(super) from: Ticks,
}

/// What a request is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// To know the answer.
    Look,
    Charge,
    Reserve(LeaseId, Terms),
}

/// When a request would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Now,
    /// After so long: not a tick sooner.
    For(Ticks),
    Never,
}

/// The answer of all limits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    pub(crate) wait: Wait,
    /// The number of the limit that denies for longest; of a yes, the shadow limit that would have.
    pub(crate) by: Option<u8>,
    /// A bit for each shadow limit that would have denied.
    pub(crate) shadowed: u16,
    /// What could still pass at once.
    pub(crate) remaining: u64,
    /// How long until the key equals one never seen.
    pub(crate) reset_after: Ticks,
}

impl Ruling {
    /// The answer to one who would overtake others: not before them, and not before its own time.
    pub(crate) fn behind_others(self) -> Self {
        let (wait, by) = if self.passes() { (Wait::For(1), Some(0)) } else { (self.wait, self.by) };
        Self { wait, by, remaining: 0, ..self }
    }

    pub(crate) fn passes(&self) -> bool {
        self.wait == Wait::Now
    }
}

impl Cold {
    /// A key never seen, which may not ask before `from`.
    pub(crate) fn fresh(limits: &[Limit], from: Ticks) -> Self {
        let parts = limits.iter().map(Part::fresh).collect();
        Self { parts, log: Log::new(), leases: Leases::default(), from }
    }

    /// A key of a single rate, whose word this was.
    pub(crate) fn of_word(limits: &[Limit], tat: Ticks) -> Self {
        let mut cold = Self::fresh(limits, 0);
        for part in &mut cold.parts {
            if let State::Bucket(own) = &mut part.state {
                *own = tat;
            }
        }
        cold
    }

    /// The word of a key of a single rate; `None` while it has reservations.
    pub(crate) fn word(&self) -> Option<Ticks> {
        (!self.is_held()).then(|| self.shown_word())
    }

    /// The word that it shows, reservations or not.
    pub(crate) fn shown_word(&self) -> Ticks {
        if let [Part { state: State::Bucket(tat), .. }] = *self.parts { tat } else { 0 }
    }

    /// Whether somebody holds a reservation.
    pub(crate) fn is_held(&self) -> bool {
        !self.leases.is_empty()
    }

    /// May `n` pass by all limits? If so, and if that is the purpose, it is charged to all of them; if not, to none. The
    /// readings of one key must come from under one lock.
    pub(crate) fn decide(&mut self, limits: &[Limit], now: Ticks, n: u64, purpose: Purpose) -> Ruling {
        self.catch_up(limits, now);
        let mut ruling = self.ask(limits, now, n);
        match (purpose, ruling.passes()) {
            _ if n == 0 && !matches!(purpose, Purpose::Reserve(..)) => {}
            (Purpose::Charge, true) => self.charge(limits, now, n, !ruling.shadowed),
            (Purpose::Reserve(id, terms), true) => self.reserve(limits, now, n, !ruling.shadowed, (id, terms)),
            // More than a limit can ever hold is its caller's mistake, not a client that does not stop asking.
            (Purpose::Charge | Purpose::Reserve(..), false) if ruling.wait != Wait::Never && self.deny(limits, now) => {
                ruling = self.ask(limits, now, n);
            }
            _ => {}
        }
        (ruling.remaining, ruling.reset_after) = self.balance(limits, now);
        ruling
    }

    /// Brings everything to `now`: reservations that ended by themselves, and what a clock that stepped back left ahead.
    pub(super) fn catch_up(&mut self, limits: &[Limit], now: Ticks) {
        self.leases.settle(now);
        self.log.settle(now);
        self.from = self.from.min(now.saturating_add(limits.iter().map(Limit::longest).max().unwrap_or(0)));
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            match (&mut part.state, &limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) if bucket.is_ahead(*tat, now) => {
                    *tat = bucket.clamp(*tat, now);
                }
                (State::Own(log), _) => log.settle(now),
                (State::Steps(tally), Rule::Window(window)) => tally.settle(window.stamped(now)),
                (State::Jail(record), Rule::Jail(jail)) => jail.settle(record, now),
                _ => {}
            }
        }
        while let Some(lease) = self.leases.expire(now) {
            let sent = if lease.terms.gives_back { 0 } else { lease.n };
            self.end(limits, &lease, lease.expiry, sent);
        }
    }

    fn ask(&self, limits: &[Limit], now: Ticks, n: u64) -> Ruling {
        let mut ruling = Ruling { wait: Wait::Now, by: None, shadowed: 0, remaining: 0, reset_after: 0 };
        if n == 0 {
            return ruling;
        }
        let (mut latest, mut would) = (now, (now, None));
        for (limit, number) in limits.iter().zip(0_u8..) {
            // Never is later than every time.
            let at = self.passes_at(usize::from(number), limit, now, n).map_or(Ticks::MAX, |at| at.max(self.from));
            if at <= now {
                continue;
            }
            if limit.shadow {
                ruling.shadowed |= 1 << number;
                if would.1.is_none() || at > would.0 {
                    would = (at, Some(number));
                }
            } else if at > latest {
                (latest, ruling.by) = (at, Some(number));
            }
        }
        match latest {
            _ if ruling.by.is_none() => ruling.by = would.1,
            Ticks::MAX => ruling.wait = Wait::Never,
            at => ruling.wait = Wait::For(at - now),
        }
        ruling
    }

    /// The first moment at which one limit lets `n` pass; `None` if there is none.
    pub(super) fn passes_at(&self, number: usize, limit: &Limit, now: Ticks, n: u64) -> Option<Ticks> {
        let part = &self.parts[number];
        let held = (&self.leases, number, part.held);
        match &limit.rule {
            Rule::Rate { bucket, .. } => {
                let State::Bucket(tat) = part.state else { return Some(0) };
                (n <= bucket.burst()).then(|| earliest_of_bucket(bucket, tat, (&self.leases, number), n))
            }
            Rule::Window(window) => {
                let spare = window.limit().checked_sub(n)?;
                Some(earliest(Some(window), self.stamps(part), held, now, spare))
            }
            Rule::InFlight(most) => Some(earliest(None, Stamps::None, held, now, most.checked_sub(n)?)),
            Rule::Jail(_) => Some(if let State::Jail(record) = &part.state { record.until() } else { 0 }),
            Rule::Closed => None,
        }
    }

    pub(super) fn stamps<'a>(&'a self, part: &'a Part) -> Stamps<'a> {
        match &part.state {
            State::Shared => Stamps::Log(&self.log),
            State::Own(log) => Stamps::Log(log),
            State::Steps(tally) => Stamps::Tally(tally),
            State::Bucket(_) | State::Jail(_) | State::Held => Stamps::None,
        }
    }

    /// Charges `n` to the limits of these bits.
    fn charge(&mut self, limits: &[Limit], now: Ticks, n: u64, to: u16) {
        let mut forgot = false;
        for ((part, limit), number) in self.parts.iter_mut().zip(limits).zip(0..) {
            match (&mut part.state, &limit.rule) {
                _ if to >> number & 1 == 0 => {}
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => *tat = bucket.debit(*tat, now, n),
                _ => forgot |= part.log(&limit.rule, now, n),
            }
        }
        self.log_shared(limits, now, n, forgot);
    }

    /// One stamp each for all exact windows; they always let pass what passes.
    fn log_shared(&mut self, limits: &[Limit], now: Ticks, n: u64, mut forgot: bool) {
        let is_shared = |(part, limit): (&Part, &Limit)| match (&part.state, &limit.rule) {
            (State::Shared, Rule::Window(window)) => Some(*window),
            _ => None,
        };
        let shared = self.parts.iter().zip(limits).filter_map(is_shared);
        let widest = shared.fold(None, |widest: Option<(u64, Ticks)>, window| {
            let (most, oldest) = widest.unwrap_or((0, now));
            Some((most.max(window.limit()), oldest.min(window.horizon(now))))
        });
        if let Some((most, oldest)) = widest {
            forgot |= record(&mut self.log, now, n, most, oldest);
        }
        if forgot {
            self.from = self.from.max(now);
        }
    }

    fn reserve(&mut self, limits: &[Limit], now: Ticks, n: u64, to: u16, (id, terms): (LeaseId, Terms)) {
        let mut receipts = vec![0; limits.len()].into_boxed_slice();
        for (number, (part, limit)) in self.parts.iter_mut().zip(limits).enumerate() {
            if to >> number & 1 == 0 {
                continue;
            }
            part.held += n;
            if let (State::Bucket(tat), Rule::Rate { bucket, .. }) = (&mut part.state, &limit.rule) {
                *tat = bucket.debit(*tat, now, n);
                receipts[number] = *tat;
            }
        }
        let lease = Lease { n, expiry: now.saturating_add(terms.length), terms, charged: to, receipts };
        self.leases.begin(id, lease);
    }

    /// Ends a reservation of which so many were used; false if it has ended before.
    pub(crate) fn settle(&mut self, limits: &[Limit], id: LeaseId, now: Ticks, used: Option<u64>) -> bool {
        self.catch_up(limits, now);
        let Some(lease) = self.leases.end(id) else { return false };
        self.end(limits, &lease, now, used.unwrap_or(lease.n));
        true
    }

    /// Lets a reservation begin anew, under other terms.
    pub(crate) fn prolong(&mut self, id: LeaseId, now: Ticks, terms: Terms) {
        if let Some(mut lease) = self.leases.end(id) {
            (lease.expiry, lease.terms) = (now.saturating_add(terms.length), terms);
            self.leases.begin(id, lease);
        }
    }

    /// Charges what was used, even beyond what was reserved, where a reservation was not given back in time.
    pub(crate) fn debit(&mut self, limits: &[Limit], now: Ticks, used: u64) {
        self.catch_up(limits, now);
        self.charge(limits, now, used, !0);
        self.bound(limits, now);
    }

    fn end(&mut self, limits: &[Limit], lease: &Lease, at: Ticks, used: u64) {
        let mut forgot = false;
        for (number, (part, limit)) in self.parts.iter_mut().zip(limits).enumerate() {
            if !lease.is_charged_to(number) {
                continue;
            }
            part.held -= lease.n;
            match (&mut part.state, &limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                    let unused = lease.n.saturating_sub(used);
                    *tat = bucket.refund(*tat, at, unused, lease.receipts[number]);
                    *tat = bucket.debit(*tat, at, used.saturating_sub(lease.n));
                }
                _ => forgot |= part.log(&limit.rule, at, used),
            }
        }
        self.log_shared(limits, at, used, forgot);
        self.bound(limits, at);
    }

    /// No bucket is emptier than empty, whatever was used.
    fn bound(&mut self, limits: &[Limit], now: Ticks) {
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            if let (State::Bucket(tat), Rule::Rate { bucket, .. }) = (&mut part.state, &limit.rule) {
                *tat = bucket.clamp(*tat, now);
            }
        }
    }

    /// Counts a denial for every jail that does not hold already; true if one of them began to hold.
    pub(crate) fn deny(&mut self, limits: &[Limit], now: Ticks) -> bool {
        let holds = |(part, limit): (&Part, &Limit)| {
            !limit.shadow && matches!(&part.state, State::Jail(record) if record.holds(now))
        };
        if self.parts.iter().zip(limits).any(holds) {
            return false;
        }
        let mut began = false;
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            if let (State::Jail(record), Rule::Jail(jail)) = (&mut part.state, &limit.rule)
                && !record.holds(now)
            {
                began |= jail.denied(record, now, now, now) && !limit.shadow;
            }
        }
        began
    }

    /// Counts a denial that somebody else made; true if the key is in a timeout now.
    pub(crate) fn penalize(&mut self, limits: &[Limit], now: Ticks) -> bool {
        self.catch_up(limits, now);
        self.deny(limits, now);
        let holds = |part: &Part| matches!(&part.state, State::Jail(record) if record.holds(now));
        self.parts.iter().zip(limits).any(|(part, limit)| !limit.shadow && holds(part))
    }

    /// Forgets what no limit counts any more.
    pub(crate) fn tidy(&mut self, limits: &[Limit], now: Ticks) {
        self.catch_up(limits, now);
        self.charge(limits, now, 0, !0);
    }

    /// Ends every timeout that runs; false if none does.
    pub(crate) fn release(&mut self, limits: &[Limit], now: Ticks) -> bool {
        self.catch_up(limits, now);
        let release = |released, part: &mut Part| match &mut part.state {
            State::Jail(record) => record.release(now) | released,
            _ => released,
        };
        self.parts.iter_mut().fold(false, release)
    }
}

#[cfg(all(test, not(loom)))]
#[path = "cold_tests.rs"]
pub(super) mod tests;
