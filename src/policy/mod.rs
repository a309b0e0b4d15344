//! A policy: the checked limits of a key, charged together or not at all, and how they are shown.

mod cost;
mod limit;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::Error;
use crate::limit::{Rate, TokenBucket};
use crate::ticks::Ticks;

pub use cost::Cost;
pub use limit::Limit;
pub(crate) use limit::Rule;

/// The most limits that one key can have.
pub const MAX_LIMITS: usize = 16;

/// The limits of a key.
#[derive(Clone, Debug)]
pub struct Policy {
    rule: TokenBucket,
    shadow: bool,
    follows_calendar: bool,
    limits: Arc<[Limit]>,
}

impl Policy {
    /// The policy of one rate, named after it: "10000 per 3600 s".
    ///
    /// # Errors
    /// Those of [`Rate::rule`].
    pub fn rate(rate: Rate) -> Result<Self, Error> {
        Ok(Self::made_of(Arc::new([Limit::rate(rate)?])))
    }

    /// The policy of these limits: a request passes if all of them let it. No limits at all let everything pass.
    ///
    /// # Errors
    /// Refuses two limits of the same name, and more than [`MAX_LIMITS`].
    pub fn all(limits: impl IntoIterator<Item = Limit>) -> Result<Self, Error> {
        let limits: Vec<Limit> = limits.into_iter().collect();
        if limits.len() > MAX_LIMITS {
            return Err(Error::invalid("limits", limits.len(), "must be at most 16"));
        }
        for (at, limit) in limits.iter().enumerate() {
            if limits[..at].iter().any(|other| other.name == limit.name) {
                return Err(Error::invalid("limits", &limit.name, "must have different names"));
            }
        }
        Ok(Self::made_of(limits.into()))
    }

    /// The policy of an account that may not send: every request is denied for good.
    #[must_use]
    pub fn closed() -> Self {
        Self::made_of(Arc::new([Limit::closed()]))
    }

    fn made_of(limits: Arc<[Limit]>) -> Self {
        let rule = match &*limits {
            [] => TokenBucket::open(),
            [Limit { rule: Rule::Rate { bucket, .. }, .. }] => *bucket,
            [Limit { rule: Rule::Closed, .. }] => TokenBucket::closed(),
            _ => TokenBucket::elsewhere(),
        };
        let shadow = !limits.is_empty() && limits.iter().all(Limit::is_shadow);
        let follows_calendar = limits.iter().any(Limit::is_calendar);
        Self { rule, shadow, follows_calendar, limits }
    }

    /// The same policy with its limit switched off: every request passes, and the bucket stays as it is.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.rule = TokenBucket::open();
        self
    }

    /// The same policy for an account whose state is kept under its lock, though its limits are such that a word could
    /// hold it.
    #[must_use]
    pub(crate) fn cold(mut self) -> Self {
        self.rule = TokenBucket::elsewhere();
        self
    }

    /// Whether the limits only count what they would have denied, and deny nothing.
    #[must_use]
    pub fn shadow(self, shadow: bool) -> Self {
        self.each(|limit| limit.shadow(shadow), |policy| policy.shadow = shadow && !policy.limits.is_empty())
    }

    /// The name that a decision gives to the only limit.
    ///
    /// # Errors
    /// Refuses a policy of no limit or of several: give each its own name with [`Limit::named`].
    pub fn named(self, name: &str) -> Result<Self, Error> {
        if self.limits.len() == 1 {
            return Ok(self.each(|limit| limit.named(name), |_| ()));
        }
        let rule = "must be exactly one to be named through the policy (name each with Limit::named)";
        Err(Error::invalid("limits", self.limits.len(), rule))
    }

    fn each(mut self, change: impl Fn(Limit) -> Limit, then: impl FnOnce(&mut Self)) -> Self {
        self.limits = self.limits.iter().cloned().map(change).collect();
        then(&mut self);
        self
    }

    /// The rule to decide by.
    #[inline]
    #[must_use]
    pub fn rule(&self) -> &TokenBucket {
        &self.rule
    }

    /// The limits, in the order given.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The limits that are asked: none where they are switched off.
    #[must_use]
    pub(crate) fn in_force(&self) -> &[Limit] {
        if self.is_unlimited() { &[] } else { &self.limits }
    }

    /// Whether the state of an account is more than a word.
    #[inline]
    #[must_use]
    pub(crate) fn is_cold(&self) -> bool {
        self.rule.is_elsewhere()
    }

    /// Whether any limit needs the wall clock.
    pub(crate) const fn follows_calendar(&self) -> bool {
        self.follows_calendar
    }

    /// Whether denials are counted.
    pub(crate) fn has_jail(&self) -> bool {
        self.limits.iter().any(|limit| matches!(limit.rule, Rule::Jail(_)))
    }

    /// The most that can pass at once; for a rate, the tokens that a full bucket holds.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.limits.iter().map(Limit::capacity).min().unwrap_or(u64::MAX)
    }

    /// The time that a clock's step may lock a key out for: how long any of the limits remembers a request.
    pub(crate) fn longest(&self) -> Ticks {
        self.limits.iter().map(Limit::longest).max().unwrap_or(0)
    }

    /// Tokens a second that flow back in; 0 where the limits are not a single rate.
    #[must_use]
    pub fn refill_per_second(&self) -> f64 {
        match &*self.limits {
            [Limit { rule: Rule::Rate { refill_per_second, .. }, .. }] => *refill_per_second,
            _ => 0.0,
        }
    }

    /// Whether the limits, all of them, only count.
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

    /// The limits' names.
    #[must_use]
    pub fn name(&self) -> String {
        self.limits.iter().map(Limit::name).collect::<Vec<_>>().join(", ")
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        (&self.rule, &self.limits) == (&other.rule, &other.limits)
    }
}

impl Eq for Policy {}

impl Hash for Policy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.rule, &self.limits).hash(state);
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Edge;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_policy_shows_what_it_limits() {
        let policy = Policy::rate(Rate::new(10_000, 3_600 * SECOND)).unwrap();
        assert_eq!(policy.to_string(), "10000 per 3600 s");
        assert_eq!(policy.capacity(), 10_000);
        assert_eq!(policy.refill_per_second().to_bits(), (10_000.0_f64 / 3600.0).to_bits());
        assert_ne!(policy, policy.clone().shadow(true));
        assert_eq!(policy.clone().named("hourly").unwrap().name(), "hourly");
        assert!(!policy.follows_calendar());
        assert!(policy.unlimited().is_unlimited());
        assert_eq!(Policy::closed().capacity(), 0);
    }

    #[test]
    fn one_rate_is_a_word_and_everything_else_is_more() {
        let rate = Limit::rate(Rate::new(10, SECOND)).unwrap();
        let window = Limit::window(5, SECOND, Edge::HalfOpen).unwrap();
        let alone = Policy::all([rate.clone()]).unwrap();
        assert_eq!(alone, Policy::rate(Rate::new(10, SECOND)).unwrap());
        assert!(!alone.is_cold() && alone.clone().cold().is_cold());
        assert_ne!(alone, alone.clone().cold());
        let both = Policy::all([rate.clone(), window.clone()]).unwrap();
        assert!(both.is_cold() && !both.is_shadow());
        assert_eq!((both.capacity(), both.to_string()), (5, "10 per 1 s, 5 in 1 s".into()));
        assert_eq!(both, both.clone().cold());
        assert!(both.clone().shadow(true).is_shadow());
        assert!(Policy::all([window.clone()]).unwrap().is_cold());
        assert!(Policy::all([]).unwrap().is_unlimited());
    }

    // HAZARD cost-duplicate
    #[test]
    fn the_same_limit_twice_is_refused() {
        let rate = || Limit::rate(Rate::new(10, SECOND)).unwrap();
        let refused = Policy::all([rate(), rate()]).unwrap_err().to_string();
        assert_eq!(refused, "limits must have different names, not 10 per 1 s");
        assert!(Policy::all([rate(), rate().named("other")]).is_ok());
        let many = |count: u64| (0..count).map(|n| rate().named(&n.to_string()));
        assert!(Policy::all(many(16)).is_ok());
        assert_eq!(Policy::all(many(17)).unwrap_err().to_string(), "limits must be at most 16, not 17");
    }

    #[test]
    fn a_shadow_can_be_lifted_and_nothing_casts_none() {
        let rate = Policy::rate(Rate::new(10, SECOND)).unwrap();
        assert!(!rate.shadow(true).shadow(false).is_shadow());
        assert!(!Policy::all([]).unwrap().shadow(true).is_shadow());
    }

    #[test]
    fn denials_are_counted_where_there_is_a_jail() {
        let window = Limit::window(5, SECOND, Edge::HalfOpen).unwrap();
        let jail = Limit::jail(crate::limit::Jail::new(3, SECOND, SECOND).unwrap()).unwrap();
        assert!(!Policy::all([window.clone()]).unwrap().has_jail());
        assert!(Policy::all([window, jail]).unwrap().has_jail());
    }

    #[test]
    fn different_policies_are_found_in_different_places() {
        let window = |limit, per| Limit::window(limit, per * SECOND, Edge::HalfOpen).unwrap().named("w");
        let limits = [window(1, 1), window(2, 1), window(1, 2), window(1, 1).named("v"), window(1, 1).shadow(true)];
        let policies = limits.map(|limit| Policy::all([limit]).unwrap());
        let hash = |policy: &Policy| {
            let mut hasher = std::hash::DefaultHasher::new();
            policy.hash(&mut hasher);
            hasher.finish()
        };
        let places: std::collections::HashSet<u64> = policies.iter().map(hash).collect();
        assert_eq!(places.len(), policies.len());
        assert_eq!(hash(&policies[0]), hash(&policies[0].clone()));
    }
}
