//! A policy: the checked limits of a key, and how they are shown.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::Error;
use crate::limit::{Rate, TokenBucket};

/// The limits of a key. Today a single rate; several limits will be charged together or not at all.
#[derive(Clone, Debug)]
pub struct Policy {
    rule: TokenBucket,
    capacity: u64,
    refill_per_second: f64,
    shadow: bool,
    name: Arc<str>,
}

impl Policy {
    /// The policy of one rate, named after it: "10000 per 3600 s".
    ///
    /// # Errors
    /// Those of [`Rate::rule`].
    pub fn rate(rate: Rate) -> Result<Self, Error> {
        let seconds = rate.period_ns() as f64 / 1e9;
        Ok(Self {
            rule: rate.rule()?,
            capacity: rate.burst_or_default(),
            refill_per_second: rate.refill_per_second(),
            shadow: false,
            name: format!("{} per {seconds} s", rate.limit()).into(),
        })
    }

    /// The policy of an account that may not send: every request is denied for good.
    #[must_use]
    pub fn closed() -> Self {
        let (rule, name) = (TokenBucket::closed(), "closed".into());
        Self { rule, capacity: 0, refill_per_second: 0.0, shadow: false, name }
    }

    /// The same policy with its limit switched off: every request passes, and the bucket stays as it is.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.rule = TokenBucket::open();
        self
    }

    /// Whether the limit only counts what it would have denied, and denies nothing.
    #[must_use]
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.shadow = shadow;
        self
    }

    /// The name that a decision gives to the limit.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The rule to decide by.
    #[inline]
    #[must_use]
    pub fn rule(&self) -> &TokenBucket {
        &self.rule
    }

    /// The largest number of tokens a bucket can hold.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Tokens a second that flow back in.
    #[must_use]
    pub fn refill_per_second(&self) -> f64 {
        self.refill_per_second
    }

    /// Whether the limit only counts.
    #[inline]
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Whether every request passes.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.rule == TokenBucket::open()
    }

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as this policy holds it, for who wants to keep it.
    #[cfg(feature = "python")]
    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    fn identity(&self) -> (&TokenBucket, u64, u64, bool, &str) {
        (&self.rule, self.capacity, self.refill_per_second.to_bits(), self.shadow, &self.name)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Policy {}

impl Hash for Policy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_shows_what_it_limits() {
        let policy = Policy::rate(Rate::new(10_000, 3_600_000_000_000)).unwrap();
        assert_eq!(policy.to_string(), "10000 per 3600 s");
        assert_eq!(policy.capacity(), 10_000);
        assert_eq!(policy.refill_per_second().to_bits(), (10_000.0_f64 / 3600.0).to_bits());
        assert_ne!(policy, policy.clone().shadow(true));
        assert_eq!(policy.clone().named("hourly").name(), "hourly");
        assert!(policy.unlimited().is_unlimited());
        assert_eq!(Policy::closed().capacity(), 0);
    }
}
