//! A handle to one bucket: one of its own, or an account in a limiter's table, which it keeps there.

use std::sync::Arc;

use crate::account::Word;
use crate::clock::{Clock, Timeline};
use crate::decision::{Decision, NEVER, Reason};
#[cfg(feature = "python")]
use crate::limit::Usual;
use crate::limit::Verdict;
use crate::limiter::{Denial, Limiter, Outcome, State, decision};
use crate::policy::Policy;
use crate::table::Pin;
use crate::ticks::{Ticks, to_nanos_up};

/// One token bucket, shared freely between threads. Two handles to the same account are equal.
#[derive(Debug)]
pub struct Bucket(Kind);

#[derive(Debug)]
enum Kind {
    Own(Arc<Own>),
    /// The pin is there until drop.
    Pinned(Arc<Limiter>, Option<Pin>),
}

#[derive(Debug)]
struct Own {
    word: Word,
    policy: Policy,
    time: Timeline,
}

impl Bucket {
    /// A bucket of its own. Starts full.
    #[must_use]
    pub fn new(policy: Policy, clock: Clock) -> Self {
        let time = Timeline::starting_now(clock);
        Self(Kind::Own(Arc::new(Own { word: Word::new(0), policy, time })))
    }

    pub(crate) fn pinned(limiter: Arc<Limiter>, pin: Pin) -> Self {
        Self(Kind::Pinned(limiter, Some(pin)))
    }

    /// Takes `cost` tokens if they are there.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self, cost: u64) -> bool {
        self.charge(cost).passes()
    }

    /// [`Bucket::try_acquire`] for a caller that knows that no other thread uses the bucket, or its limiter, meanwhile.
    #[cfg(feature = "python")]
    #[inline]
    pub(crate) fn try_acquire_alone(&self, cost: u64) -> bool {
        let taken = match &self.0 {
            Kind::Own(own) => own.take_alone(cost),
            Kind::Pinned(limiter, pin) => limiter.take_pinned_alone(held(pin.as_ref()), cost),
        };
        taken || self.try_acquire(cost)
    }

    /// Takes `cost` tokens if they are there; says why not.
    #[inline]
    #[must_use]
    pub fn charge(&self, cost: u64) -> Outcome<'_> {
        match &self.0 {
            Kind::Own(own) => own.charge(cost),
            Kind::Pinned(limiter, pin) => limiter.charge_pinned(held(pin.as_ref()), cost),
        }
    }

    /// What a request of `cost` would be told, without taking anything.
    #[must_use]
    pub fn peek(&self, cost: u64) -> Decision {
        match &self.0 {
            Kind::Own(own) => own.peek(cost),
            Kind::Pinned(limiter, pin) => limiter.peek_pinned(held(pin.as_ref()), cost),
        }
    }

    /// What the bucket holds now.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.0 {
            Kind::Own(own) => State::of(&own.policy, own.word.load(), own.time.now()),
            Kind::Pinned(limiter, pin) => limiter.state_pinned(held(pin.as_ref())),
        }
    }

    /// The clock that is decided by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        match &self.0 {
            Kind::Own(own) => own.time.clock(),
            Kind::Pinned(limiter, _) => limiter.clock(),
        }
    }

    /// A number that is equal for two handles to the same account, as long as both live.
    #[must_use]
    pub fn identity(&self) -> u64 {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        match &self.0 {
            Kind::Own(own) => hasher.hash_one(Arc::as_ptr(own) as usize),
            Kind::Pinned(limiter, pin) => hasher.hash_one((Arc::as_ptr(limiter) as usize, pin)),
        }
    }
}

/// The pin of a handle that has not been dropped.
#[inline]
fn held(pin: Option<&Pin>) -> &Pin {
    pin.expect("a handle holds its pin until it is dropped")
}

impl Own {
    #[cfg(feature = "python")]
    #[inline]
    fn take_alone(&self, cost: u64) -> bool {
        let new = Usual::of(self.policy.rule()).take(self.word.load(), self.time.coarse(), cost);
        new.is_some_and(|new| {
            self.word.store_alone(new);
            true
        })
    }

    fn charge(&self, cost: u64) -> Outcome<'_> {
        let rule = self.policy.rule();
        let (mut verdict, tat, _) = self.word.charge_now(rule, &self.time, None, cost);
        if matches!(verdict, Verdict::Deny(_)) && self.settle(tat) {
            verdict = self.word.charge(rule, self.time.now(), cost).0;
        }
        let (reason, retry_after_ns) = match verdict {
            Verdict::Allow(_) => return Outcome::Allowed,
            Verdict::Deny(wait) => (Reason::Rate, to_nanos_up(wait)),
            Verdict::Never => (Reason::Never, NEVER),
        };
        let (policy, shadow) = (Some(&self.policy), self.policy.is_shadow());
        Outcome::Denied(Denial { reason, retry_after_ns, policy, class: None, by: 0, tell: None, shadow })
    }

    fn peek(&self, cost: u64) -> Decision {
        let (tat, now) = (self.word.load(), self.time.now());
        let verdict = self.policy.rule().decide(tat, now, cost);
        decision(&self.policy, verdict, tat, now)
    }

    /// Brings a word from before a step of the clock back to where a charge could have left it. The
    /// reading is taken anew: a thread that slept must not mistake its sleep for a step.
    #[cold]
    fn settle(&self, tat: Ticks) -> bool {
        let (rule, now) = (self.policy.rule(), self.time.now());
        rule.is_ahead(tat, now) && self.word.lower(tat, rule.clamp(tat, now))
    }
}

impl Clone for Bucket {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Own(own) => Kind::Own(own.clone()),
            Kind::Pinned(limiter, pin) => {
                let pin = limiter.pin_again(held(pin.as_ref()));
                Kind::Pinned(limiter.clone(), Some(pin))
            }
        })
    }
}

impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Own(a), Kind::Own(b)) => Arc::ptr_eq(a, b),
            (Kind::Pinned(a, pin), Kind::Pinned(b, other)) => Arc::ptr_eq(a, b) && pin == other,
            _ => false,
        }
    }
}

impl Eq for Bucket {}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Kind::Pinned(limiter, pin) = &mut self.0
            && let Some(pin) = pin.take()
        {
            limiter.unpin(pin);
        }
    }
}
