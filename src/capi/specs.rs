//! A policy and a limiter's options while they are put together, one call at a time, each checked when it is made.

use std::sync::Arc;

use super::types;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{Edge, Jail, Periods, Rate};
use crate::policy::{Limit, Policy};
use crate::table::WhenFull;

/// The limits so far.
#[derive(Default)]
pub(super) struct Draft(Vec<Spec>);

#[derive(Clone)]
struct Spec {
    kind: Kind,
    shadow: bool,
    name: Option<String>,
}

#[derive(Clone)]
pub(super) enum Kind {
    Rate { limit: u64, period_ns: u64, burst: Option<u64>, strict: bool },
    Window { limit: u64, per_ns: u64, steps: Option<u64>, closed: bool },
    Calendar { limit: u64, periods: Arc<Periods>, each: &'static str },
    InFlight { limit: u64 },
    Closed,
    Jail { denials: u64, within_ns: u64, duration_ns: u64, escalating: Option<(f64, Option<u64>)> },
}

impl Kind {
    fn limit(&self) -> Result<Limit, Error> {
        match *self {
            Self::Rate { limit, period_ns, burst, strict } => {
                let rate = Rate::new(limit, period_ns);
                let rate = burst.map_or(rate, |burst| rate.burst(burst));
                Limit::rate(if strict { rate.strict() } else { rate })
            }
            Self::Window { limit, per_ns, steps, closed } => {
                let edge = if closed { Edge::Closed } else { Edge::HalfOpen };
                match steps {
                    None => Limit::window(limit, per_ns, edge),
                    Some(steps) => Limit::window_in_steps(limit, per_ns, edge, steps),
                }
            }
            Self::Calendar { limit, ref periods, each } => Limit::calendar(limit, periods.clone(), each),
            Self::InFlight { limit } => Limit::in_flight(limit),
            Self::Closed => Ok(Limit::closed()),
            Self::Jail { denials, within_ns, duration_ns, escalating } => {
                let jail = Jail::new(denials, within_ns, duration_ns)?;
                Limit::jail(match escalating {
                    None => jail,
                    Some((factor, longest)) => jail.escalating(factor, longest)?,
                })
            }
        }
    }
}

impl Spec {
    fn limit(&self) -> Result<Limit, Error> {
        let limit = self.kind.limit()?.shadow(self.shadow);
        Ok(self.name.iter().fold(limit, |limit, name| limit.named(name)))
    }
}

impl Draft {
    /// One more limit.
    pub(super) fn add(&mut self, kind: Kind) -> Result<(), Error> {
        let spec = Spec { kind, shadow: false, name: None };
        spec.limit()?;
        if self.0.len() >= types::TOLLBAR_MAX_LIMITS {
            return Err(Error::invalid("limits", self.0.len() + 1, "must be at most 16"));
        }
        self.0.push(spec);
        Ok(())
    }

    /// Changes the limit that was added last; if that cannot be, it stays as it was.
    fn change(&mut self, change: impl FnOnce(&mut Spec) -> Result<(), Error>) -> Result<(), Error> {
        let last = self.0.last_mut().ok_or_else(|| Error::invalid("policy", "empty", "must have a limit first"))?;
        let mut changed = last.clone();
        change(&mut changed)?;
        changed.limit()?;
        *last = changed;
        Ok(())
    }

    pub(super) fn set(&mut self, what: i32, value: u64) -> Result<(), Error> {
        let flag = || match value {
            0 | 1 => Ok(value == 1),
            _ => Err(Error::invalid("value", value, "must be 0 or 1")),
        };
        self.change(|spec| {
            match (what, &mut spec.kind) {
                (types::TOLLBAR_SET_SHADOW, _) => spec.shadow = flag()?,
                (types::TOLLBAR_SET_BURST, Kind::Rate { burst, .. }) => *burst = Some(value),
                (types::TOLLBAR_SET_STRICT, Kind::Rate { strict, .. }) => *strict = flag()?,
                (types::TOLLBAR_SET_STEPS, Kind::Window { steps, .. }) => *steps = Some(value),
                (types::TOLLBAR_SET_CLOSED_EDGE, Kind::Window { closed, .. }) => *closed = flag()?,
                _ => return Err(Error::invalid("what", what, "must be a setting of this kind of limit")),
            }
            Ok(())
        })
    }

    pub(super) fn set_name(&mut self, name: String) -> Result<(), Error> {
        self.change(|spec| {
            spec.name = Some(name);
            Ok(())
        })
    }

    pub(super) fn set_escalation(&mut self, factor: f64, longest_ns: u64) -> Result<(), Error> {
        self.change(|spec| match &mut spec.kind {
            Kind::Jail { escalating, .. } => {
                *escalating = Some((factor, (longest_ns != types::TOLLBAR_NEVER).then_some(longest_ns)));
                Ok(())
            }
            _ => Err(Error::invalid("policy", "another limit", "must have a jail last")),
        })
    }

    pub(super) fn policy(&self) -> Result<Policy, Error> {
        if self.0.is_empty() {
            return Err(Error::invalid("policy", "empty", "must have a limit"));
        }
        Policy::all(self.0.iter().map(Spec::limit).collect::<Result<Vec<_>, _>>()?)
    }
}

/// What was said of a limiter beside its policy.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) max_keys: usize,
    pub(super) when_full: WhenFull,
    pub(super) clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_keys: 1_000_000, when_full: WhenFull::Deny, clock: Clock::Monotonic }
    }
}

impl Options {
    pub(super) fn set(&mut self, what: i32, value: u64) -> Result<(), Error> {
        match what {
            // What does not fit is refused where the limiter is made, as any number beyond 2^25 is.
            types::TOLLBAR_OPTION_MAX_KEYS => self.max_keys = usize::try_from(value).unwrap_or(usize::MAX),
            types::TOLLBAR_OPTION_WHEN_FULL => {
                self.when_full = match value {
                    types::TOLLBAR_FULL_DENY => WhenFull::Deny,
                    types::TOLLBAR_FULL_ALLOW => WhenFull::Allow,
                    types::TOLLBAR_FULL_EVICT_LEAST => WhenFull::EvictLeast,
                    _ => return Err(Error::invalid("when_full", value, "must be one of TOLLBAR_FULL_...")),
                }
            }
            _ => return Err(Error::invalid("what", what, "must be one of TOLLBAR_OPTION_...")),
        }
        Ok(())
    }
}
