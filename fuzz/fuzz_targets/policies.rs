//! Policies put together of any numbers: either refused in words, or a limiter that keeps its promises. No panic, never more at
//! once than a limit holds, and after the wait that a denial tells the same request passes, and a nanosecond sooner it does not.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tollbar::{Clock, Edge, Error, Jail, Limit, Limiter, ManualClock, NEVER, Policy, Rate, WhenFull};

/// Waits beyond this end near where time wraps.
const FAR: u64 = 1 << 58;

#[derive(Arbitrary, Debug)]
enum Kind {
    Rate { limit: u64, period_ns: u64, burst: Option<u64>, strict: bool },
    Window { limit: u64, per_ns: u64, closed: bool, steps: Option<u64> },
    InFlight(u64),
    Jail { denials: u64, within: u64, duration: u64, escalating: Option<(f64, Option<u64>)> },
}

#[derive(Arbitrary, Debug)]
struct Said {
    kind: Kind,
    shadow: bool,
    name: Option<char>,
}

#[derive(Arbitrary, Debug)]
struct Story {
    limits: Vec<Said>,
    max_keys: u16,
    when_full: u8,
    asked: Vec<(u8, u16, u32)>,
}

impl Said {
    fn limit(&self) -> Result<Limit, Error> {
        let limit = match self.kind {
            Kind::Rate { limit, period_ns, burst, strict } => {
                let rate = Rate::new(limit, period_ns);
                let rate = burst.map_or(rate, |burst| rate.burst(burst));
                Limit::rate(if strict { rate.strict() } else { rate })
            }
            Kind::Window { limit, per_ns, closed, steps } => {
                let edge = if closed { Edge::Closed } else { Edge::HalfOpen };
                match steps {
                    None => Limit::window(limit, per_ns, edge),
                    Some(steps) => Limit::window_in_steps(limit, per_ns, edge, steps),
                }
            }
            Kind::InFlight(limit) => Limit::in_flight(limit),
            Kind::Jail { denials, within, duration, escalating } => {
                let jail = Jail::new(denials, within, duration)?;
                Limit::jail(match escalating {
                    None => jail,
                    Some((factor, longest)) => jail.escalating(factor, longest)?,
                })
            }
        }?;
        Ok(self.name.iter().fold(limit, |limit, name| limit.named(&name.to_string())).shadow(self.shadow))
    }
}

impl Story {
    fn limiter(&self, clock: &Arc<ManualClock>) -> Result<Limiter, Error> {
        let limits = self.limits.iter().map(Said::limit).collect::<Result<Vec<_>, _>>()?;
        let full = [WhenFull::Deny, WhenFull::Allow, WhenFull::EvictLeast][usize::from(self.when_full % 3)];
        let builder = Limiter::builder(Policy::all(limits)?).max_keys(self.max_keys.into()).when_full(full);
        builder.clock(Clock::Manual(clock.clone())).build()
    }
}

fuzz_target!(|story: Story| {
    let clock = Arc::new(ManualClock::new(0, 0));
    let limiter = match story.limiter(&clock) {
        Ok(limiter) => limiter,
        Err(error) => return assert!(error.to_string().len() > 10, "{error:?}"),
    };
    let most = story.limits.iter().filter(|said| !said.shadow).filter_map(|said| said.limit().ok());
    let most = most.map(|limit| limit.capacity()).min().unwrap_or(u64::MAX);
    for &(key, cost, advance) in story.asked.iter().take(64) {
        clock.advance_ns(advance.into());
        let (key, cost) = ([key % 8], u64::from(cost));
        let decision = limiter.decide(&key, cost).expect("a short key");
        assert_eq!(decision.allowed, decision.reason.is_none(), "{decision:?}");
        assert!(!decision.allowed || decision.retry_after_ns == 0, "{decision:?}");
        assert!(!decision.allowed || cost <= most, "{decision:?}");
        let (known, wait) = (limiter.contains(&key).expect("a short key"), decision.retry_after_ns);
        if decision.allowed || wait == NEVER || wait == 0 || clock.now_ns() + wait > FAR || !known {
            continue;
        }
        clock.advance_ns(wait.cast_signed() - 1);
        assert!(!limiter.peek(&key, cost).expect("a short key").allowed, "too long a wait: {decision:?}");
        clock.advance_ns(1);
        assert!(limiter.peek(&key, cost).expect("a short key").allowed, "too short a wait: {decision:?}");
    }
});
