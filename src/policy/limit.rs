//! One limit as people say it: what it counts, whether it only counts, and what it is called.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::decision::Reason;
use crate::error::Error;
use crate::limit::{Calendar, Edge, Jail, Periods, Rate, TokenBucket, Window};
use crate::ticks::{LONGEST, PER_NANO, Ticks};

/// One limit of a [`super::Policy`].
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub(crate) rule: Rule,
    pub(crate) shadow: bool,
    pub(crate) name: Arc<str>,
}

/// What a limit counts, in ticks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rule {
    Rate {
        bucket: TokenBucket,
        refill_per_second: f64,
    },
    Window(Window),
    Calendar(Calendar),
    InFlight(u64),
    Jail(Jail),
    /// Nothing passes, ever.
    Closed,
}

impl Limit {
    /// A token bucket, named after it: "10000 per 3600 s".
    ///
    /// # Errors
    /// Those of [`Rate::rule`].
    pub fn rate(rate: Rate) -> Result<Self, Error> {
        let name = format!("{} per {} s", rate.limit(), rate.period_ns() as f64 / 1e9);
        let rule = Rule::Rate { bucket: rate.rule()?, refill_per_second: rate.refill_per_second() };
        Ok(Self::new(rule, &name))
    }

    /// At most `limit` in any window of `per_ns`, by a log of what was let through: exact. Named "100 in 60 s".
    ///
    /// # Errors
    /// Those of [`Window::new`], and windows wider than 4.5 years.
    pub fn window(limit: u64, per_ns: u64, edge: Edge) -> Result<Self, Error> {
        Self::counted(limit, per_ns, |width| Window::new(limit, width, edge))
    }

    /// [`Limit::window`] in memory that does not grow with the limit: the width is cut into `steps`, and what was let through
    /// in one of them counts until all of the step has left. Never more than the limit in any window; room comes back up
    /// to `per_ns / steps` late.
    ///
    /// # Errors
    /// Those of [`Limit::window`], no steps at all, and more than 65,536.
    pub fn window_in_steps(limit: u64, per_ns: u64, edge: Edge, steps: u64) -> Result<Self, Error> {
        Self::counted(limit, per_ns, |width| Window::in_steps(limit, width, edge, steps))
    }

    fn counted(limit: u64, per_ns: u64, window: impl FnOnce(Ticks) -> Result<Window, Error>) -> Result<Self, Error> {
        let width = per_ns.checked_mul(PER_NANO).filter(|&width| width <= LONGEST);
        let width = width.ok_or_else(|| Error::invalid("per", per_ns as f64 / 1e9, "must be at most 4.5 years"))?;
        let rename = |error| match error {
            Error::Invalid { argument: "period", value, rule } => Error::Invalid { argument: "per", value, rule },
            other => other,
        };
        let name = format!("{limit} in {} s", per_ns as f64 / 1e9);
        Ok(Self::new(Rule::Window(window(width).map_err(rename)?), &name))
    }

    /// At most `limit` in each of these periods, in 32 bytes for each key. With `each` of "month in Europe/Berlin" it is named
    /// "1000 a month in Europe/Berlin".
    ///
    /// A key reads the wall clock when a period begins for it, and not for each decision: a step of the wall clock within a
    /// period does not change its end. What is reserved counts until it ends, and then in the period in which it ends.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tollbar::{Limit, Limiter, Periods, Policy};
    ///
    /// let days = Arc::new(Periods::every(0, 86_400_000_000_000)?);
    /// let daily = Limit::calendar(1_000, days, "day in UTC")?;
    /// let limiter = Limiter::builder(Policy::all([daily])?).build()?;
    /// assert!(limiter.try_acquire(b"someone@example.org", 1_000)?);
    /// assert!(!limiter.try_acquire(b"someone@example.org", 1)?);
    /// # Ok::<(), tollbar::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Calendar::new`].
    pub fn calendar(limit: u64, periods: Arc<Periods>, each: &str) -> Result<Self, Error> {
        Ok(Self::new(Rule::Calendar(Calendar::new(limit, periods)?), &format!("{limit} a {each}")))
    }

    /// At most so many reserved and neither committed nor cancelled. Named "5 in flight".
    ///
    /// # Errors
    /// Refuses 0, and more than 2^32 - 1.
    pub fn in_flight(limit: u64) -> Result<Self, Error> {
        match limit {
            0 => Err(Error::invalid("limit", limit, "must be at least 1")),
            _ if limit > u64::from(u32::MAX) => Err(Error::invalid("limit", limit, "must be at most 4,294,967,295")),
            _ => Ok(Self::new(Rule::InFlight(limit), &format!("{limit} in flight"))),
        }
    }

    /// A timeout for a key that is denied too often by the limits beside it; the jail's times are nanoseconds. Named "jail".
    ///
    /// # Errors
    /// Refuses times beyond 4.5 years.
    pub fn jail(jail: Jail) -> Result<Self, Error> {
        Ok(Self::new(Rule::Jail(jail.in_unit(PER_NANO, LONGEST)?), "jail"))
    }

    /// Nothing passes, ever: a key that may not send. Named "closed".
    #[must_use]
    pub fn closed() -> Self {
        Self::new(Rule::Closed, "closed")
    }

    fn new(rule: Rule, name: &str) -> Self {
        Self { rule, shadow: false, name: name.into() }
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

    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it only counts.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The most that can pass at once.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        match &self.rule {
            Rule::Rate { bucket, .. } => bucket.burst(),
            Rule::Window(window) => window.limit(),
            Rule::Calendar(calendar) => calendar.limit(),
            Rule::InFlight(limit) => *limit,
            Rule::Jail(_) => u64::MAX,
            Rule::Closed => 0,
        }
    }

    /// The number that it is known by: what passes at most, and of a jail the denials that it takes.
    pub(crate) fn most(&self) -> u64 {
        match &self.rule {
            Rule::Jail(jail) => jail.denials(),
            _ => self.capacity(),
        }
    }

    /// Whether it lets nothing pass.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.rule, Rule::Closed)
    }

    /// Whether it counts what passes.
    pub(crate) const fn counts(&self) -> bool {
        matches!(self.rule, Rule::Rate { .. } | Rule::Window(_) | Rule::Calendar(_))
    }

    /// Whether it counts what is reserved.
    pub(crate) const fn is_in_flight(&self) -> bool {
        matches!(self.rule, Rule::InFlight(_))
    }

    /// Whether it counts in periods of the wall clock.
    pub(crate) const fn is_calendar(&self) -> bool {
        matches!(self.rule, Rule::Calendar(_))
    }

    /// Why it denies, when it does.
    pub(crate) fn reason(&self) -> Reason {
        match self.rule {
            Rule::Rate { .. } => Reason::Rate,
            Rule::Window(_) | Rule::Calendar(_) => Reason::Window,
            Rule::InFlight(_) => Reason::InFlight,
            Rule::Jail(_) => Reason::Jail,
            Rule::Closed => Reason::Closed,
        }
    }

    /// How long it remembers a request.
    pub(crate) fn longest(&self) -> Ticks {
        match &self.rule {
            Rule::Rate { bucket, .. } => bucket.tolerance(),
            Rule::Window(window) => window.free_at(window.stamped(0)),
            Rule::Calendar(calendar) => calendar.longest(),
            Rule::Jail(jail) => jail.duration().max(jail.within()),
            Rule::InFlight(_) | Rule::Closed => 0,
        }
    }
}

impl Eq for Limit {}

impl Hash for Limit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.rule {
            Rule::Rate { bucket, .. } => bucket.hash(state),
            Rule::Window(window) => window.hash(state),
            Rule::Calendar(calendar) => calendar.hash(state),
            Rule::InFlight(limit) => limit.hash(state),
            Rule::Jail(jail) => (jail.denials(), jail.within(), jail.duration()).hash(state),
            Rule::Closed => {}
        }
        (self.shadow, &self.name).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn limits_are_named_after_what_they_say() {
        let window = Limit::window(100, 60 * SECOND, Edge::HalfOpen).unwrap();
        assert_eq!((window.name(), window.capacity(), window.reason()), ("100 in 60 s", 100, Reason::Window));
        let flights = Limit::in_flight(5).unwrap().named("five").shadow(true);
        assert_eq!((flights.name(), flights.is_shadow(), flights.reason()), ("five", true, Reason::InFlight));
        assert_eq!(Limit::jail(Jail::new(3, SECOND, SECOND).unwrap()).unwrap().name(), "jail");
        let day = |length| Arc::new(Periods::every(0, length * SECOND).unwrap());
        let daily = Limit::calendar(9, day(86_400), "day in UTC").unwrap();
        assert_eq!((daily.name(), daily.capacity(), daily.reason()), ("9 a day in UTC", 9, Reason::Window));
        assert_eq!(daily, Limit::calendar(9, day(86_400), "day in UTC").unwrap());
        assert_ne!(daily, Limit::calendar(9, day(86_399), "day in UTC").unwrap());
        assert_ne!(window, window.clone().shadow(true));
        assert_ne!(window, Limit::window_in_steps(100, 60 * SECOND, Edge::HalfOpen, 10).unwrap());
    }

    // HAZARD construction-values, HAZARD construction-range
    #[test]
    fn what_cannot_be_counted_is_refused_by_name() {
        let refused = |limit: Result<Limit, Error>| limit.unwrap_err().to_string();
        assert_eq!(refused(Limit::window(0, SECOND, Edge::Closed)), "limit must be at least 1, not 0");
        assert_eq!(refused(Limit::window(1, 0, Edge::Closed)), "per must be at least 1 ns, not 0");
        assert!(refused(Limit::window(1, u64::MAX, Edge::Closed)).starts_with("per must be at most 4.5 years"));
        let long = refused(Limit::window(1, 10_000_000_000 * SECOND, Edge::Closed));
        assert_eq!(long, "per must be at most 4.5 years, not 10000000000");
        assert!(refused(Limit::window_in_steps(1, SECOND, Edge::Closed, 0)).starts_with("steps must be at least 1"));
        assert_eq!(refused(Limit::in_flight(0)), "limit must be at least 1, not 0");
        assert!(refused(Limit::in_flight(1 << 32)).starts_with("limit must be at most"));
        assert!(Limit::in_flight((1 << 32) - 1).is_ok());
        let long = Jail::new(1, u64::MAX, SECOND).unwrap();
        assert!(refused(Limit::jail(long)).starts_with("within must be at most 4.5 years"));
    }
}
