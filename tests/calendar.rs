//! Limits by the calendar in a table: what is reset, changed, waited for and evicted follows the wall clock.

use std::sync::Arc;
use std::task::Waker;

use tollbar::{Ask, Clock, Limit, Limiter, ManualClock, Migration, Periods, Policy, Rate, Turn, WhenFull};

const SECOND: u64 = 1_000_000_000;
const KEY: &[u8] = b"a";

/// At most so many in each 100 s of the wall clock, of which the first 30 are a period of their own.
fn calendar(limit: u64) -> Limit {
    let moments = [1_000, 1_030, 1_100, 1_130, 1_200].map(|second| second * SECOND.cast_signed());
    Limit::calendar(limit, Arc::new(Periods::new(&moments).unwrap()), "period").unwrap()
}

/// A limiter of two keys at most that starts at 5 s, and on the wall clock at 1,000 s.
fn limiter(limits: impl IntoIterator<Item = Limit>) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(5 * SECOND, 1_000 * SECOND));
    let builder = Limiter::builder(Policy::all(limits).unwrap()).max_keys(2).when_full(WhenFull::Deny);
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

fn pass(clock: &ManualClock, seconds: u64) {
    clock.advance_ns((seconds * SECOND).cast_signed());
}

fn remaining(limiter: &Limiter) -> u64 {
    limiter.peek(KEY, 1).unwrap().remaining
}

fn wait(limiter: &Limiter) -> u64 {
    limiter.peek(KEY, 1).unwrap().retry_after_ns / SECOND
}

#[test]
fn a_reset_key_counts_anew_in_the_same_period() {
    let (limiter, clock) = limiter([calendar(2)]);
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    pass(&clock, 10);
    assert!(limiter.reset(KEY).unwrap());
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    assert_eq!((remaining(&limiter), wait(&limiter)), (0, 20));
}

#[test]
fn limits_for_all_keys_count_from_the_moment_of_the_change() {
    let (limiter, clock) = limiter([Limit::rate(Rate::new(1, SECOND).burst(10)).unwrap()]);
    assert!(limiter.try_acquire(KEY, 4).unwrap());
    limiter.set_limits(Policy::all([calendar(10)]).unwrap(), Migration::AsIs).unwrap();
    pass(&clock, 20);
    assert_eq!(remaining(&limiter), 6, "four were owed at the change");
    pass(&clock, 10);
    assert_eq!(remaining(&limiter), 10);
    assert!(limiter.try_acquire(KEY, 9).unwrap());
    limiter.set_limits(Policy::all([calendar(10).named("other")]).unwrap(), Migration::AsIs).unwrap();
    pass(&clock, 69);
    assert_eq!((remaining(&limiter), limiter.peek(KEY, 2).unwrap().retry_after_ns), (1, SECOND));
}

#[test]
fn a_turn_is_known_to_come_too_late() {
    let (limiter, clock) = limiter([calendar(2)]);
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    pass(&clock, 10);
    let join = |cost, timeout_s: Option<u64>| {
        let ask = Ask::new(cost).timeout_ns(timeout_s.map(|seconds| seconds * SECOND));
        limiter.join(KEY, ask, limiter.default_class(), Waker::noop().clone()).unwrap()
    };
    assert!(matches!(join(1, Some(19)), Turn::TooLate(nanos) if nanos == 20 * SECOND));
    assert!(matches!(join(3, None), Turn::Never));
    assert!(matches!(join(2, Some(20)), Turn::Wait(_, Some(nanos)) if nanos == 20 * SECOND));
    assert!(matches!(join(1, Some(89)), Turn::TooLate(nanos) if nanos == 90 * SECOND), "the next period is taken");
    let last = join(1, Some(90));
    assert!(matches!(last, Turn::Wait(_, Some(nanos)) if nanos == 90 * SECOND), "{last:?}");
}

#[test]
fn a_waiter_is_served_when_its_period_begins() {
    let (limiter, clock) = limiter([calendar(1)]);
    let ask = Ask::new(1);
    let join = || limiter.join(KEY, ask, limiter.default_class(), Waker::noop().clone()).unwrap();
    assert!(matches!(join(), Turn::Come(None)));
    let Turn::Wait(place, Some(nanos)) = join() else { panic!("it waits") };
    clock.advance_ns(nanos.cast_signed() - 1);
    let Turn::Wait(place, Some(1)) = limiter.look(KEY, ask, place).unwrap() else { panic!("a nanosecond is left") };
    clock.advance_ns(1);
    assert!(matches!(limiter.look(KEY, ask, place).unwrap(), Turn::Come(None)));
    assert_eq!((remaining(&limiter), wait(&limiter)), (0, 70));
}

#[test]
fn a_key_is_evicted_when_its_period_is_over() {
    let (limiter, clock) = limiter([calendar(2)]);
    assert!(limiter.try_acquire(KEY, 1).unwrap() && limiter.try_acquire(b"b", 1).unwrap());
    pass(&clock, 29);
    assert!(!limiter.try_acquire(b"c", 1).unwrap(), "both are remembered");
    pass(&clock, 1);
    assert!(limiter.try_acquire(b"c", 1).unwrap());
    assert_eq!(limiter.stats().keys, 2);
}

#[test]
fn the_account_that_has_used_least_of_its_period_goes_first() {
    let clock = Arc::new(ManualClock::new(5 * SECOND, 1_000 * SECOND));
    let builder = Limiter::builder(Policy::all([calendar(10)]).unwrap()).max_keys(3).when_full(WhenFull::EvictLeast);
    let limiter = builder.clock(Clock::Manual(clock)).build().unwrap();
    for (key, n) in [(b"a", 10), (b"b", 2), (b"c", 5)] {
        assert!(limiter.try_acquire(key, n).unwrap());
    }
    assert!(limiter.try_acquire(b"d", 3).unwrap());
    let known = [b"a", b"b", b"c", b"d"].map(|key| limiter.contains(key).unwrap());
    assert_eq!(known, [true, false, true, true]);
}

#[test]
fn limits_that_no_key_has_met_follow_their_periods() {
    let (limiter, clock) = limiter([calendar(10)]);
    assert!(limiter.try_acquire(KEY, 4).unwrap());
    let set = |limits: Vec<Limit>| limiter.set_limits(Policy::all(limits).unwrap(), Migration::AsIs).unwrap();
    let rate = || vec![Limit::rate(Rate::new(1, SECOND)).unwrap()];
    pass(&clock, 10);
    set(rate());
    pass(&clock, 10);
    set(vec![calendar(8)]);
    pass(&clock, 5);
    assert_eq!((remaining(&limiter), wait(&limiter)), (4, 0), "as of the changes");
    set(rate());
    pass(&clock, 10);
    set(vec![calendar(8)]);
    pass(&clock, 5);
    assert_eq!(remaining(&limiter), 8, "its period was over at the second change");
}

#[test]
fn several_keys_are_charged_together_or_not_at_all() {
    let (limiter, clock) = limiter([calendar(2)]);
    assert!(limiter.try_acquire(b"b", 2).unwrap());
    let joint = limiter.try_acquire_all(&[KEY, b"b"], 1).unwrap();
    assert_eq!((joint.denied_by, joint.decision.retry_after_ns), (Some(1), 30 * SECOND));
    assert_eq!(remaining(&limiter), 2);
    pass(&clock, 30);
    assert!(limiter.try_acquire_all(&[KEY, b"b"], 1).unwrap().decision.allowed);
    assert_eq!(remaining(&limiter), 1);
}
