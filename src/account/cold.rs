//! The state of a key whose limits are more than one word can say, or that has reservations: decided about as a whole.
//!
//! RUNS PER DECISION of such a key, under its stripe's lock: [`Cold::decide`], one look for each limit, and for a yes one
//! stamp. No key, no lock, no clock in here; readings never run backwards but where a clock stepped, and then
//! nothing in the future stays there ([`Cold::catch_up`]).

use super::dormant::Sleepers;
use super::earliest::{Stamps, earliest, earliest_of_bucket, soonest_of_bucket};
use super::leases::{LeaseId, Leases, NO_END, Terms};
use super::part::{Part, State};
use crate::limit::Log;
use crate::policy::{Cost, Limit, Rule};
use crate::ticks::Ticks;

/// All that is known of a key.
#[derive(Debug)]
pub(crate) struct Cold {
    /// One for each limit of the policy, in its order.
    pub(super) parts: Box<[Part]>,
    /// What was let through, for as long as an exact window counts it.
    pub(super) log: Log,
    /// Windows have been charged differently: each counts what no other does.
    pub(super) apart: bool,
    pub(super) leases: Leases,
    /// Limits that were in force before, for as long as they remember anything.
    pub(super) dormant: Sleepers,
    /// Nothing passes before this time, by order of the program.
    pub(super) blocked: Ticks,
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
    /// After so long: not a tick sooner, unless a reservation ends before its lease is over.
    For(Ticks),
    /// When a reservation ends that has no end of its own.
    Open,
    Never,
}

/// The answer of all limits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    pub(crate) wait: Wait,
    /// The number of the limit that denies for longest; of a yes, the shadow limit that would have.
    pub(crate) by: Option<u8>,
    /// No limit denies: the key is blocked.
    pub(crate) blocked: bool,
    /// The wait is an upper bound: it is shorter if a reservation ends before its lease is over.
    pub(crate) estimated: bool,
    /// A bit for each shadow limit that would have denied.
    pub(crate) shadowed: u16,
    /// What could still pass at once, where that is asked.
    pub(crate) remaining: u64,
    /// How long until the key equals one never seen, where that is asked.
    pub(crate) reset_after: Ticks,
}

impl Ruling {
    /// The answer to one who would overtake others: not before them, and not before its own time.
    pub(crate) fn behind_others(self, limits: &[Limit]) -> Self {
        let first = || limits.iter().zip(0..).find(|(limit, _)| !limit.shadow).map(|(_, number)| number);
        let (wait, by) = if self.passes() { (Wait::For(1), first()) } else { (self.wait, self.by) };
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
        let (log, leases, dormant) = (Log::new(), Leases::default(), Sleepers::default());
        Self { parts, log, apart: false, leases, dormant, blocked: 0, from }
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

    /// The word of a key of a single rate; `None` while a word does not say it all.
    pub(crate) fn word(&self) -> Option<Ticks> {
        (!self.is_more_than_a_word()).then(|| self.shown_word())
    }

    /// Whether it has reservations, remembers limits that are no longer in force, or is blocked.
    pub(crate) fn is_more_than_a_word(&self) -> bool {
        self.is_held() || !self.dormant.is_empty() || self.blocked > 0
    }

    /// The word that it shows, reservations or not.
    pub(crate) fn shown_word(&self) -> Ticks {
        if let [Part { state: State::Bucket(tat), .. }] = *self.parts { tat } else { 0 }
    }

    /// Whether the program lets nothing pass at `now`.
    pub(crate) fn is_blocked(&self, now: Ticks) -> bool {
        self.blocked > now
    }

    /// Whether somebody holds a reservation.
    pub(crate) fn is_held(&self) -> bool {
        !self.leases.is_empty()
    }

    /// May a request of this cost pass by all limits? If so, and if that is the purpose, it is charged to all of them; if
    /// not, to none. The readings of one key must come from under one lock.
    pub(crate) fn decide(&mut self, limits: &[Limit], now: Ticks, cost: &Cost, purpose: Purpose) -> Ruling {
        self.catch_up(limits, now);
        let mut ruling = self.ask(limits, now, cost);
        match (purpose, ruling.passes()) {
            _ if cost.is_zero() && !matches!(purpose, Purpose::Reserve(..)) => {}
            (Purpose::Charge, true) => self.charge(limits, now, cost, !ruling.shadowed),
            (Purpose::Reserve(id, terms), true) => self.reserve(limits, now, cost, !ruling.shadowed, (id, terms)),
            // More than a limit can ever hold is its caller's mistake, not a client that does not stop asking.
            (Purpose::Charge | Purpose::Reserve(..), false) if ruling.wait != Wait::Never && self.deny(limits, now) => {
                ruling = self.ask(limits, now, cost);
            }
            _ => {}
        }
        ruling
    }

    /// The same answer, with what could still pass and how long until all is as new.
    pub(crate) fn decide_whole(&mut self, limits: &[Limit], now: Ticks, cost: &Cost, purpose: Purpose) -> Ruling {
        let ruling = self.decide(limits, now, cost, purpose);
        let (remaining, reset_after) = self.balance(limits, now);
        Ruling { remaining, reset_after, ..ruling }
    }

    /// Brings everything to `now`: reservations that ended by themselves, and what a clock that stepped back left ahead.
    pub(super) fn catch_up(&mut self, limits: &[Limit], now: Ticks) {
        self.log.settle(now);
        if self.from > now {
            self.from = self.from.min(now.saturating_add(limits.iter().map(Limit::longest).max().unwrap_or(0)));
        }
        if self.blocked <= now {
            self.blocked = 0;
        }
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            part.settle(&limit.rule, now);
        }
        if !self.dormant.is_empty() {
            self.settle_dormant(now);
        }
        if !self.leases.is_empty() {
            self.end_expired(limits, now);
        }
        if !self.dormant.is_empty() {
            self.forget_dormant(now);
        }
    }

    /// Ends the reservations that ended by themselves, each as of its end.
    fn end_expired(&mut self, limits: &[Limit], now: Ticks) {
        self.leases.settle(now);
        while let Some((expiry, id)) = self.leases.first_expiry().filter(|&(expiry, _)| expiry <= now) {
            // What is charged must not depend on when that is noticed.
            self.forget_dormant(expiry);
            let Some(lease) = self.leases.end(id) else { break };
            let sent = if lease.terms.gives_back { Cost::new(0) } else { lease.cost.clone() };
            self.end(limits, (id, &lease), lease.expiry, &sent);
        }
    }

    fn ask(&self, limits: &[Limit], now: Ticks, cost: &Cost) -> Ruling {
        let mut ruling = Ruling {
            wait: Wait::Now,
            by: None,
            blocked: false,
            estimated: false,
            shadowed: 0,
            remaining: 0,
            reset_after: 0,
        };
        if cost.is_zero() {
            return ruling;
        }
        let (mut latest, mut would) = (now, (now, None));
        for (limit, number) in limits.iter().zip(0_u8..) {
            // Never is later than every time.
            let passes_at = self.passes_at(usize::from(number), limit, now, cost.on(limit));
            let at = passes_at.map_or(Ticks::MAX, |at| at.max(self.from));
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
        if self.blocked > latest {
            (latest, ruling.by, ruling.blocked) = (self.blocked, None, true);
        }
        match latest {
            _ if ruling.by.is_none() && !ruling.blocked => ruling.by = would.1,
            Ticks::MAX => ruling.wait = Wait::Never,
            NO_END => ruling.wait = Wait::Open,
            at => ruling.wait = Wait::For(at - now),
        }
        if let Some(number) = ruling.by.filter(|_| !ruling.passes()) {
            let limit = &limits[usize::from(number)];
            let soonest = self.passes_at_soonest(usize::from(number), limit, now, cost.on(limit));
            ruling.estimated = soonest.is_some_and(|soonest| soonest < latest);
        }
        ruling
    }

    /// The first moment at which one limit lets `n` pass if every reservation lasts until its lease is over; `None` if there
    /// is none, [`NO_END`] if a reservation without an end is in the way.
    pub(super) fn passes_at(&self, number: usize, limit: &Limit, now: Ticks, n: u64) -> Option<Ticks> {
        let part = &self.parts[number];
        let held = (&self.leases, (number, limit), part.held);
        match &limit.rule {
            // A limit that costs nothing is not asked; only a timeout and a closed door hold for every request.
            Rule::Jail(_) => Some(if let State::Jail(record) = &part.state { record.until() } else { 0 }),
            Rule::Closed => None,
            _ if n == 0 => Some(0),
            Rule::Rate { bucket, .. } => {
                let State::Bucket(tat) = part.state else { return Some(0) };
                (n <= bucket.burst()).then(|| match part.held {
                    0 => bucket.passes_at(tat, n),
                    _ => earliest_of_bucket(bucket, tat, (&self.leases, (number, limit)), n),
                })
            }
            Rule::Window(window) => {
                let spare = window.limit().checked_sub(n)?;
                Some(earliest(Some(window), self.stamps(part), held, now, spare))
            }
            Rule::Calendar(calendar) => {
                let (State::Period(counted), spare) = (&part.state, calendar.limit().checked_sub(n)?) else {
                    return Some(0);
                };
                Some(counted.earliest(calendar, (self.leases.of((number, limit)), part.held), spare))
            }
            Rule::InFlight(most) => Some(earliest(None, Stamps::None, held, now, most.checked_sub(n)?)),
        }
    }

    /// The same if every reservation were cancelled now: no request passes sooner, whatever becomes of those.
    pub(super) fn passes_at_soonest(&self, number: usize, limit: &Limit, now: Ticks, n: u64) -> Option<Ticks> {
        let part = &self.parts[number];
        match (&limit.rule, &part.state) {
            _ if part.held == 0 || n == 0 => self.passes_at(number, limit, now, n),
            (Rule::Rate { bucket, .. }, &State::Bucket(tat)) => {
                let tat = soonest_of_bucket(bucket, tat, (&self.leases, (number, limit)), now);
                (n <= bucket.burst()).then(|| bucket.passes_at(tat, n))
            }
            (Rule::Window(window), _) => {
                let (none, spare) = (Leases::default(), window.limit().checked_sub(n)?);
                Some(earliest(Some(window), self.stamps(part), (&none, (number, limit), 0), now, spare))
            }
            (Rule::Calendar(calendar), State::Period(counted)) => {
                Some(counted.earliest(calendar, (std::iter::empty(), 0), calendar.limit().checked_sub(n)?))
            }
            (Rule::InFlight(most), _) => (n <= *most).then_some(0),
            _ => self.passes_at(number, limit, now, n),
        }
    }

    pub(super) fn stamps<'a>(&'a self, part: &'a Part) -> Stamps<'a> {
        if let State::Shared = part.state { Stamps::Log(&self.log) } else { part.state.stamps() }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "cold_tests.rs"]
pub(super) mod tests;
