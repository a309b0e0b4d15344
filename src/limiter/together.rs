//! Several keys charged together, or none: all senders, the domain, the account.

use std::collections::HashSet;

use super::answer::Joint;
use super::{ClassId, Limiter, Number, check};
use crate::counters::Event;
use crate::decision::{Decision, NEVER, Reason};
use crate::error::Error;
use crate::policy::Cost;
use crate::table::{Answer, NoPlace, WhenFull};
use crate::ticks::{Ticks, to_nanos_up};

/// What came of asking for several keys that need a place in the table each.
pub(super) enum Places<R> {
    /// The keys of these numbers had one.
    Had(R, Vec<usize>),
    /// None had one, and all pass without.
    NeedNone,
    /// The key of this number has none; how far the nearest account is from making one.
    None(usize, Option<Ticks>),
}

/// One or more keys, each once, none too long.
pub(crate) fn check_all<K: AsRef<[u8]>>(keys: &[K]) -> Result<(), Error> {
    let mut seen = HashSet::with_capacity(keys.len());
    for key in keys {
        let key = check(key.as_ref())?;
        if !seen.insert(key) {
            return Err(Error::invalid("keys", String::from_utf8_lossy(key), "must be different from each other"));
        }
    }
    if keys.is_empty() {
        return Err(Error::invalid("keys", "none", "must be at least one"));
    }
    Ok(())
}

impl Limiter {
    /// Takes `cost` tokens of each key's account if all of them have them, else none anywhere.
    ///
    /// A denial says which key it is by that has to wait longest, and after how long the same request would pass if
    /// nobody else asks. Exact while others charge the same keys: all accounts are looked at in one moment. Locks the
    /// keys' stripes, so it costs a few times what [`Limiter::try_acquire`] does for each key.
    ///
    /// # Errors
    /// No keys, the same key twice, or [`Error::KeyTooLong`]; nothing is charged then.
    pub fn try_acquire_all<K: AsRef<[u8]>>(&self, keys: &[K], cost: u64) -> Result<Joint, Error> {
        self.try_acquire_all_as(keys, cost, |_| self.default_class())
    }

    /// The same, where limits may have a cost of their own, and the key of each number, if it is unknown, gets an account of
    /// a class of its own.
    ///
    /// # Errors
    /// Those of [`Limiter::try_acquire_all`].
    pub fn try_acquire_all_as<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        cost: impl Into<Cost>,
        class: impl Fn(usize) -> ClassId,
    ) -> Result<Joint, Error> {
        let cost = cost.into();
        self.check_names(&cost)?;
        check_all(keys)?;
        Ok(match self.with_places(keys, class, |these| self.table.charge_all(these, &cost))? {
            Places::Had(answers, numbers) => self.joint(&answers, &numbers),
            Places::NeedNone => {
                self.counters.count(Event::Allowed);
                Joint { decision: nothing_held(true), denied_by: None }
            }
            Places::None(at, nearest) => {
                self.counters.count(Event::Denied);
                let retry_after_ns = nearest.map_or(NEVER, to_nanos_up);
                let decision = Decision { reason: Some(Reason::Full), retry_after_ns, ..nothing_held(false) };
                Joint { decision, denied_by: Some(at) }
            }
        })
    }

    /// Acts on keys that need a place in the table each. In a full table, those that find none are left out if the limiter
    /// lets them pass.
    pub(super) fn with_places<K: AsRef<[u8]>, R>(
        &self,
        keys: &[K],
        class: impl Fn(usize) -> ClassId,
        act: impl Fn(&[(&[u8], Number)]) -> Result<R, NoPlace>,
    ) -> Result<Places<R>, Error> {
        let mut numbers: Vec<usize> = (0..keys.len()).collect();
        loop {
            let these = numbers.iter().map(|&number| Ok((keys[number].as_ref(), self.own(class(number))?)));
            let these = these.collect::<Result<Vec<_>, Error>>()?;
            match act(&these) {
                Ok(done) => return Ok(Places::Had(done, numbers)),
                Err(NoPlace(at, nearest)) => {
                    self.counters.count(Event::Full);
                    if self.table.plan().when_full != WhenFull::Allow {
                        return Ok(Places::None(numbers[at], nearest));
                    }
                    numbers.remove(at);
                    if numbers.is_empty() {
                        return Ok(Places::NeedNone);
                    }
                }
            }
        }
    }

    /// One answer of many: the least that remains, the longest wait.
    fn joint(&self, answers: &[Answer], numbers: &[usize]) -> Joint {
        let mut joint = Joint { decision: nothing_held(true), denied_by: None };
        joint.decision.remaining = u64::MAX;
        let (mut longest, mut denying) = (0, None);
        for (answer, &number) in answers.iter().zip(numbers) {
            let one = self.said(answer).unwrap_or_default();
            joint.decision.remaining = joint.decision.remaining.min(one.remaining);
            joint.decision.reset_after_ns = joint.decision.reset_after_ns.max(one.reset_after_ns);
            joint.decision.shadowed |= one.shadowed;
            // The first denial counts even if its wait rounds to nothing.
            let denies = !one.allowed && (joint.denied_by.is_none() || one.retry_after_ns > longest);
            if denies {
                (longest, joint.decision.estimated) = (one.retry_after_ns, one.estimated);
                (joint.denied_by, joint.decision.reason) = (Some(number), one.reason);
                denying = Some(answer);
            }
            if denies || (joint.denied_by.is_none() && joint.decision.limit.is_none()) {
                joint.decision.limit = one.limit;
            }
        }
        (joint.decision.allowed, joint.decision.retry_after_ns) = (joint.denied_by.is_none(), longest);
        // Nothing passed that a shadow would have denied.
        joint.decision.shadowed &= joint.decision.allowed;
        match denying {
            Some(answer) => self.count_answer(answer),
            None => self.counters.count(if joint.decision.shadowed { Event::Shadowed } else { Event::Allowed }),
        }
        joint
    }
}

/// Of a key without an account.
fn nothing_held(allowed: bool) -> Decision {
    Decision { allowed, ..Decision::default() }
}
