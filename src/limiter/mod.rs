//! The facade: policy, table and clock together. The only thing the faces see.
//!
//! RUNS PER DECISION: [`Limiter::try_acquire`], a key check, the table's `charge`, one count.

#[cfg(feature = "python")]
mod alone;
mod answer;
mod builder;
mod class;
mod manage;
mod reserve;
mod together;
mod told;
mod wait;
mod wait_all;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::account::Notice;
use crate::bucket::Bucket;
use crate::classes::ClassId as Number;
use crate::clock::Clock;
use crate::counters::{Counters, Event};
use crate::decision::{Decision, Plan};
use crate::error::Error;
use crate::policy::{Cost, Policy};
use crate::sync::Mutex;
use crate::table::{Absent, Answer, Detail, Look, MAX_KEY_LEN, Pin, Table, Trace, WhenFull};

pub(crate) use answer::decision;
pub use answer::{Denial, Joint, LimitState, Outcome, State, Stats};
pub use builder::Builder;
pub use class::ClassId;
pub use reserve::Reservation;
#[cfg(feature = "python")]
pub(crate) use together::check_all;
pub use wait::{Ask, Place, Turn};
pub use wait_all::JointTurn;

use answer::full_decision;

/// Limits many keys, each on its own. Shared freely between threads.
pub struct Limiter {
    table: Table,
    /// Which limiter of the process it is.
    number: u64,
    counters: Counters,
    full_notice: Notice,
    told_forgiven: AtomicBool,
    shadowed: Mutex<BTreeMap<Arc<str>, u64>>,
}

impl Limiter {
    /// Starts with what every limiter needs, the policy of its keys.
    pub fn builder(policy: Policy) -> Builder {
        Builder::new(policy)
    }

    /// Takes `cost` tokens from the key's account if it has them. A cost of 0 takes nothing and passes.
    ///
    /// Requests for known keys do not exclude one another; allocates only at a key's first sight.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`]; nothing is charged then.
    #[inline]
    pub fn try_acquire(&self, key: &[u8], cost: u64) -> Result<bool, Error> {
        Ok(self.ask(key, cost, || Absent::Charge(self.table.default_class()))?.passes())
    }

    /// The same, where limits may have a cost of their own, and an unknown key gets an account of this class if the request
    /// passes.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a cost that names a limit that this limiter does not know; nothing is charged then.
    pub fn try_acquire_as(&self, key: &[u8], cost: impl Into<Cost>, class: ClassId) -> Result<bool, Error> {
        let (cost, class) = (cost.into(), self.own(class)?);
        match cost.uniform() {
            Some(n) => Ok(self.ask(key, n, || Absent::Charge(class))?.passes()),
            None => Ok(self.outcome(&self.charge_by_names(key, &cost, class, Detail::YesOrNo)?).passes()),
        }
    }

    /// [`Limiter::try_acquire`] with a full answer.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`]; nothing is charged then.
    pub fn decide(&self, key: &[u8], cost: u64) -> Result<Decision, Error> {
        self.decide_as(key, cost, self.default_class())
    }

    /// The same, where limits may have a cost of their own, and an unknown key gets an account of this class.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a cost that names a limit that this limiter does not know; nothing is charged then.
    pub fn decide_as(&self, key: &[u8], cost: impl Into<Cost>, class: ClassId) -> Result<Decision, Error> {
        let (cost, class) = (cost.into(), self.own(class)?);
        let answer = if let Some(n) = cost.uniform() {
            let key = check(key)?;
            let taken = self.table.take::<false>(key, n).map(Answer::Charged);
            // `decide` needs an exact `retry_after`, so it skips the coarse-clock denial.
            let exactly = |trace| self.table.charge_otherwise(key, trace, n, Absent::Charge(class), Detail::Whole);
            taken.unwrap_or_else(exactly)
        } else {
            self.charge_by_names(key, &cost, class, Detail::Whole)?
        };
        let outcome = self.outcome(&answer);
        Ok(self.said(&answer).unwrap_or_else(|| full_decision(&outcome)))
    }

    /// What [`Limiter::decide`] would answer, without taking anything or creating an account.
    ///
    /// A key that the table does not hold is answered as a fresh one; whether a full table would take
    /// it in is not tried.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn peek(&self, key: &[u8], cost: u64) -> Result<Decision, Error> {
        self.peek_as(key, cost, self.default_class())
    }

    /// The same, where limits may have a cost of their own, and an unknown key is answered as one of this class.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a cost that names a limit that this limiter does not know.
    pub fn peek_as(&self, key: &[u8], cost: impl Into<Cost>, class: ClassId) -> Result<Decision, Error> {
        let (key, cost) = (check(key)?, cost.into());
        self.check_names(&cost)?;
        Ok(self.said(&self.table.peek(key, &cost, self.own(class)?)).unwrap_or_default())
    }

    /// When a request of `cost` would pass if nobody else asks. Takes nothing.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn plan(&self, key: &[u8], cost: u64) -> Result<Plan, Error> {
        Ok(self.peek(key, cost)?.plan())
    }

    /// [`Limiter::try_acquire`] for each key in turn, by one reading of the clock; only a denial takes its own.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`] if any key is; nothing is charged then.
    pub fn try_acquire_many<K: AsRef<[u8]>>(&self, keys: &[K], cost: u64) -> Result<Vec<bool>, Error> {
        self.take_many::<false, K>(keys, cost, self.table.default_class())
    }

    /// The same, where unknown keys get accounts of this class.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`] if any key is; nothing is charged then.
    pub fn try_acquire_many_as<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        cost: u64,
        class: ClassId,
    ) -> Result<Vec<bool>, Error> {
        self.take_many::<false, K>(keys, cost, self.own(class)?)
    }

    fn take_many<const ALONE: bool, K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        cost: u64,
        class: Number,
    ) -> Result<Vec<bool>, Error> {
        for key in keys {
            check(key.as_ref())?;
        }
        let (mut answers, mut allowances) = (Vec::with_capacity(keys.len()), 0);
        let (now, absent) = (self.table.time().now(), Absent::Charge(class));
        self.table.charge_each::<ALONE>(keys.iter().map(AsRef::as_ref), cost, absent, now, |answer| {
            let passes = answer.as_ref().is_none_or(Answer::is_allowance);
            allowances += u64::from(passes);
            answers.push(passes || answer.is_some_and(|answer| self.outcome(&answer).passes()));
        });
        self.counters.add(Event::Allowed, allowances);
        Ok(answers)
    }

    /// Takes `cost` tokens if the key is known, else answers [`Outcome::Unknown`] and does nothing.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    #[inline]
    pub fn charge_known(&self, key: &[u8], cost: u64) -> Result<Outcome<'_>, Error> {
        self.ask(key, cost, || Absent::Tell)
    }

    /// Takes `cost` tokens; an unknown key gets an account of this class first, whatever the answer.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn charge_as(&self, key: &[u8], cost: u64, class: ClassId) -> Result<Outcome<'_>, Error> {
        let class = self.own(class)?;
        self.ask(key, cost, || Absent::Create(class))
    }

    /// A handle to the key's account, which keeps it from eviction; `None` if the key is unknown.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn bucket(self: &Arc<Self>, key: &[u8]) -> Result<Option<Bucket>, Error> {
        let pin = self.table.pin(check(key)?, Absent::Tell).unwrap_or(None);
        Ok(pin.map(|pin| Bucket::pinned(self.clone(), pin)))
    }

    /// A handle to the key's account, made of this class if it is unknown.
    ///
    /// Where the table is full: `None` under [`WhenFull::Deny`], a bucket of its own outside the table
    /// under [`WhenFull::Allow`].
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn bucket_as(self: &Arc<Self>, key: &[u8], class: ClassId) -> Result<Option<Bucket>, Error> {
        let class = self.own(class)?;
        match self.table.pin(check(key)?, Absent::Create(class)) {
            Ok(pin) => Ok(pin.map(|pin| Bucket::pinned(self.clone(), pin))),
            Err(_) if self.table.plan().when_full == WhenFull::Allow => {
                let clock = self.table.time().clock().clone();
                Ok(Some(Bucket::new(self.table.policy(class).clone(), clock)))
            }
            Err(_) => Ok(None),
        }
    }

    /// True once in a limiter's life: the first time this is asked after an account that owed something
    /// had to go. For a warning that is said once.
    pub fn newly_forgiven(&self) -> bool {
        // ORDERING: Relaxed; a lone flag that carries no other data.
        !self.told_forgiven.load(Ordering::Relaxed)
            && self.table.evictions().1 > 0
            && !self.told_forgiven.swap(true, Ordering::SeqCst)
    }

    /// The clock that is decided by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.table.time().clock()
    }

    #[inline]
    pub(crate) fn charge_pinned(&self, pin: &Pin, cost: u64) -> Outcome<'_> {
        if self.table.take_pinned(pin, cost).is_some() {
            self.counters.count(Event::Allowed);
            return Outcome::Allowed;
        }
        self.outcome(&self.table.charge_pinned(pin, cost))
    }

    pub(crate) fn peek_pinned(&self, pin: &Pin, cost: u64) -> Decision {
        self.said(&self.table.peek_pinned(pin, cost)).unwrap_or_default()
    }

    pub(crate) fn state_pinned(&self, pin: &Pin) -> State {
        self.state(&self.table.look_pinned(pin))
    }

    pub(crate) fn pin_again(&self, pin: &Pin) -> Pin {
        self.table.pin_again(pin)
    }

    pub(crate) fn unpin(&self, pin: Pin) {
        self.table.unpin(pin);
    }

    fn state(&self, look: &Look) -> State {
        let mut state = State::of(self.table.policy(look.class), look.tat, look.now);
        if let Some(left) = look.left {
            state.tokens = left as f64;
        }
        state
    }

    /// Charges a request that costs its limits differently.
    fn charge_by_names(&self, key: &[u8], cost: &Cost, class: Number, detail: Detail) -> Result<Answer, Error> {
        let key = check(key)?;
        self.check_names(cost)?;
        Ok(self.table.charge_by_names(key, cost, Absent::Charge(class), detail))
    }

    /// Refuses a cost that names a limit that no policy of this limiter has: a typing error would charge the wrong one.
    pub(super) fn check_names(&self, cost: &Cost) -> Result<(), Error> {
        let unknown = cost.named().iter().find(|(name, _)| !self.table.knows_limit(name));
        unknown.map_or(Ok(()), |(name, _)| Err(Error::invalid("costs", name, "must name limits of this limiter")))
    }

    /// Charges: the usual yes here and now, everything else elsewhere.
    #[inline]
    fn ask(&self, key: &[u8], cost: u64, absent: impl FnOnce() -> Absent) -> Result<Outcome<'_>, Error> {
        let key = check(key)?;
        match self.table.take::<false>(key, cost) {
            Ok(_) => {
                self.counters.count(Event::Allowed);
                Ok(Outcome::Allowed)
            }
            Err(trace) => Ok(self.not_taken(key, trace, cost, absent())),
        }
    }

    /// Everything but the usual yes.
    #[inline(never)]
    fn not_taken(&self, key: &[u8], trace: Trace, cost: u64, absent: Absent) -> Outcome<'_> {
        match self.table.deny(key, trace, cost) {
            Ok(denied) => self.refused(&denied),
            Err(trace) => self.outcome(&self.table.charge_otherwise(key, trace, cost, absent, Detail::YesOrNo)),
        }
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("policy", self.table.policy(self.table.default_class()))
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

#[inline]
fn check(key: &[u8]) -> Result<&[u8], Error> {
    if key.len() > MAX_KEY_LEN { Err(too_long(key)) } else { Ok(key) }
}

#[cold]
fn too_long(key: &[u8]) -> Error {
    Error::KeyTooLong(key.len())
}

#[cfg(all(test, shuttle))]
mod shuffled;
