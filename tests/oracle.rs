//! The rule and the limiter against an exact oracle in rational numbers.

mod size;

use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;
use proptest::prelude::*;
use tollbar::limit::{Migration, TokenBucket, Verdict};
use tollbar::ticks::{PER_NANO, RANGE, SKEW};
use tollbar::{Clock, Limiter, ManualClock, Policy, Rate};

/// A bucket whose level is an exact fraction: level = min(B, level + elapsed / T).
struct Exact {
    level: BigRational,
    burst: u64,
    emission: u64,
    last: u64,
}

impl Exact {
    fn full(rule: &TokenBucket, now: u64) -> Self {
        Self { level: whole(rule.burst()), burst: rule.burst(), emission: rule.emission(), last: now }
    }

    fn refill(&mut self, now: u64) {
        let elapsed = BigRational::new((now - self.last).into(), self.emission.into());
        self.level = (&self.level + elapsed).min(whole(self.burst));
        self.last = now;
    }

    fn take(&mut self, now: u64, n: u64) -> bool {
        self.refill(now);
        let enough = self.level >= whole(n);
        if enough {
            self.level -= whole(n);
        }
        enough
    }

    /// How long until n tokens are there.
    fn wait(&self, n: u64) -> u64 {
        let missing = (whole(n) - &self.level).max(BigRational::zero());
        u64::try_from((missing * whole(self.emission)).ceil().to_integer()).unwrap()
    }
}

fn whole(n: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

fn rates() -> impl Strategy<Value = Rate> {
    let period = prop_oneof![Just(1_000_000_000), Just(3_600_000_000_000), 1_000_000_u64..1 << 45];
    (1_u64..20_000, period, prop::option::of(1_u64..30_000), any::<bool>())
        .prop_map(|(limit, period, burst, strict)| {
            let rate = Rate::new(limit, period);
            let rate = burst.map_or(rate, |burst| rate.burst(burst));
            if strict { rate.strict() } else { rate }
        })
        .prop_filter("must be a rule", |rate| rate.rule().is_ok())
}

/// Pauses as shares of the time that a full refill takes, in 2^-16ths, so that every regime is met.
fn steps() -> impl Strategy<Value = Vec<(u32, u64)>> {
    prop::collection::vec((prop_oneof![Just(0), 0_u32..200, 0_u32..100_000], 0_u64..1000), 1..24)
}

fn pause(rule: &TokenBucket, share: u32) -> u64 {
    u64::try_from((u128::from(rule.tolerance()) * u128::from(share)) >> 16).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), ..ProptestConfig::default() })]

    #[test]
    fn every_verdict_is_that_of_the_exact_bucket(rate in rates(), steps in steps(), start in 0_u64..1 << 60) {
        size::schedule();
        let rule = rate.rule().unwrap();
        let (mut tat, mut now, mut exact) = (0, start, Exact::full(&rule, start));
        for (share, cost) in steps {
            now += pause(&rule, share);
            let n = if cost < 500 { 1 + cost % 5 } else { 1 + cost * rule.burst() / 900 };
            match rule.decide(tat, now, n) {
                Verdict::Allow(new) => {
                    prop_assert!(exact.take(now, n));
                    prop_assert!(new > tat, "an admission raises the word");
                    tat = new;
                }
                Verdict::Deny(wait) => {
                    prop_assert!(!exact.take(now, n));
                    prop_assert_eq!(wait, exact.wait(n), "the wait is exact");
                    prop_assert!(matches!(rule.decide(tat, now + wait, n), Verdict::Allow(_)));
                    prop_assert!(matches!(rule.decide(tat, now + wait - 1, n), Verdict::Deny(_)));
                }
                Verdict::Never => prop_assert!(n > rule.burst()),
            }
            exact.refill(now);
            let held = rule.balance(tat, now);
            prop_assert_eq!(BigRational::from_integer(held.remaining.into()), exact.level.floor());
        }
    }

    #[test]
    fn a_refund_gives_back_what_it_may_and_never_mints(
        rate in rates(),
        n in 1_u64..50,
        between in 0_u64..50,
        wait in 0_u32..100_000,
    ) {
        size::schedule();
        let rule = rate.rule().unwrap();
        let (n, between) = (1 + n % rule.burst(), between % (rule.burst() + 1));
        let start = 1 << 40;
        let Verdict::Allow(receipt) = rule.decide(0, start, n) else { panic!("a full bucket") };
        let now = start + pause(&rule, wait);
        let tat = match rule.decide(receipt, now, between) {
            Verdict::Allow(new) => new,
            Verdict::Deny(_) | Verdict::Never => receipt,
        };
        let refunded = rule.refund(tat, now, n, receipt);
        // Never better off than somebody who had not made the refunded charge at all.
        let without = match rule.decide(0, now, between) {
            Verdict::Allow(new) if tat != receipt || between == 0 => new,
            _ => 0,
        };
        prop_assert!(refunded.max(now) >= without.max(now).min(tat.max(now)));
        prop_assert!(refunded <= tat && tat - refunded <= n * rule.emission());
        if tat == receipt {
            prop_assert_eq!(refunded.max(now), receipt.saturating_sub(n * rule.emission()).max(now), "exact");
        }
    }

    #[test]
    fn a_word_from_anywhere_locks_out_for_at_most_the_tolerance(
        rate in rates(), tat in 0_u64..RANGE, now in 0_u64..RANGE,
    ) {
        size::schedule();
        let rule = rate.rule().unwrap();
        let clamped = rule.clamp(tat, now);
        prop_assert!(clamped <= now + rule.tolerance());
        prop_assert!(clamped == tat || tat > clamped);
        prop_assert!(!rule.is_ahead(clamped, now));
        if let Verdict::Deny(wait) = rule.decide(tat, now, 1) {
            prop_assert!(wait <= rule.emission());
        }
        prop_assert_eq!(rule.is_ahead(tat, now), tat > now + rule.tolerance() + SKEW);
    }

    #[test]
    fn migration_never_refills(from in rates(), to in rates(), owed in 0_u32..=1 << 16) {
        size::schedule();
        let (from, to, now) = (from.rule().unwrap(), to.rule().unwrap(), 1 << 50);
        let tat = now + pause(&from, owed);
        for how in [Migration::AsIs, Migration::Proportional] {
            let moved = from.migrate(&to, tat, now, how);
            prop_assert!(moved >= now && moved <= now + to.tolerance());
            let (spent, burst) = (BigRational::new((tat - now).into(), from.emission().into()), whole(from.burst()));
            let wanted = match how {
                Migration::Proportional => spent / burst * whole(to.burst()),
                _ => spent,
            };
            let carried = BigRational::new((moved - now).into(), to.emission().into());
            let tick = BigRational::new(1.into(), to.emission().into());
            prop_assert!(carried >= wanted.clone().min(whole(to.burst())), "nothing given away");
            prop_assert!(carried <= wanted + tick, "nothing taken");
        }
    }

    #[test]
    fn the_limiter_admits_no_more_than_the_bound_in_any_window(rate in rates(), steps in steps()) {
        size::schedule();
        let rule = rate.rule().unwrap();
        let clock = Arc::new(ManualClock::new(0, 0));
        let policy = Policy::rate(rate).unwrap();
        let limiter = Limiter::builder(policy).clock(Clock::Manual(clock.clone())).build().unwrap();
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (share, cost) in steps {
            clock.advance_ns(i64::try_from(pause(&rule, share) / PER_NANO).unwrap());
            let n = 1 + cost % rule.burst();
            if limiter.try_acquire(b"a", n).unwrap() {
                admitted.push((clock.now_ns() * PER_NANO, n));
            }
        }
        for first in 0..admitted.len() {
            let mut sum = 0;
            for &(t, n) in &admitted[first..] {
                sum += n;
                let window = t - admitted[first].0;
                prop_assert!(sum <= rule.burst() + window / rule.emission());
            }
        }
    }
}
