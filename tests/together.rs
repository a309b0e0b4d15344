//! Several keys together or none: nothing half taken, nothing lost, nobody stuck, whatever others do meanwhile.

mod size;

use std::sync::Arc;

use tollbar::{Clock, Limiter, ManualClock, Migration, NEVER, Policy, Rate, Reason, WhenFull};

const SECOND: u64 = 1_000_000_000;

fn limiter(burst: u64) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let policy = Policy::rate(Rate::new(1, SECOND).burst(burst)).unwrap();
    let limiter = Limiter::builder(policy).clock(Clock::Manual(clock.clone())).build().unwrap();
    (Arc::new(limiter), clock)
}

fn remaining(limiter: &Limiter, key: &[u8]) -> u64 {
    limiter.peek(key, 0).unwrap().remaining
}

#[test]
fn all_are_charged_or_none_and_the_denial_says_who_and_for_how_long() {
    let (limiter, clock) = limiter(10);
    let keys: [&[u8]; 3] = [b"everybody", b"example.org", b"a@example.org"];
    let wide = limiter.class(Policy::rate(Rate::new(10, SECOND).burst(100)).unwrap()).unwrap();
    limiter.charge_as(keys[0], 0, wide).unwrap();
    let answer = limiter.try_acquire_all(&keys, 4).unwrap();
    assert!(answer.decision.allowed && answer.denied_by.is_none());
    assert_eq!((answer.decision.remaining, answer.decision.reset_after_ns), (6, 4 * SECOND));
    assert_eq!(keys.map(|key| remaining(&limiter, key)), [96, 6, 6]);

    assert!(limiter.try_acquire(keys[2], 5).unwrap());
    assert!(limiter.try_acquire(keys[1], 3).unwrap());
    let answer = limiter.try_acquire_all(&keys, 4).unwrap();
    assert_eq!((answer.decision.allowed, answer.decision.reason), (false, Some(Reason::Rate)));
    assert_eq!((answer.denied_by, answer.decision.retry_after_ns), (Some(2), 3 * SECOND));
    assert_eq!(keys.map(|key| remaining(&limiter, key)), [96, 3, 1], "nothing was taken anywhere");

    clock.advance_ns(3 * SECOND.cast_signed() - 1);
    assert!(!limiter.try_acquire_all(&keys, 4).unwrap().decision.allowed);
    clock.advance_ns(1);
    assert!(limiter.try_acquire_all(&keys, 4).unwrap().decision.allowed, "tight: not a nanosecond longer");
    assert_eq!(limiter.stats().allowed, 5);
    assert_eq!(limiter.stats().denied, 2);
}

#[test]
fn what_can_never_pass_creates_nothing() {
    let (limiter, _) = limiter(10);
    let answer = limiter.try_acquire_all(&[b"a", b"b"], 11).unwrap();
    assert_eq!((answer.decision.reason, answer.decision.retry_after_ns), (Some(Reason::Never), NEVER));
    assert_eq!(limiter.len(), 0);
    assert!(limiter.try_acquire_all::<&[u8]>(&[], 1).is_err());
    let twice = limiter.try_acquire_all(&["a", "b", "a"], 1).unwrap_err();
    assert_eq!(twice.to_string(), "keys must be different from each other, not a");
    assert_eq!(limiter.len(), 0);
}

#[test]
fn a_shadow_limit_among_them_denies_nobody_and_a_closed_account_everybody() {
    let (limiter, _) = limiter(2);
    let shadow = limiter.class(Policy::rate(Rate::new(1, SECOND)).unwrap().shadow(true)).unwrap();
    limiter.charge_as(b"watched", 1, shadow).unwrap();
    let answer = limiter.try_acquire_all(&["a", "watched"], 1).unwrap();
    assert!(answer.decision.allowed && answer.decision.shadowed);
    assert_eq!(remaining(&limiter, b"a"), 1);
    let closed = limiter.class(Policy::closed()).unwrap();
    assert!(limiter.reconfigure(b"watched", closed, Migration::AsIs).unwrap());
    let answer = limiter.try_acquire_all(&["a", "watched"], 1).unwrap();
    assert_eq!((answer.decision.reason, answer.denied_by), (Some(Reason::Closed), Some(1)));
    assert_eq!(remaining(&limiter, b"a"), 1);
}

#[test]
fn a_full_table_answers_as_declared() {
    for (when_full, allowed) in [(WhenFull::Deny, false), (WhenFull::Allow, true), (WhenFull::EvictLeast, true)] {
        let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
        let policy = Policy::rate(Rate::new(1, SECOND).burst(5)).unwrap();
        let builder = Limiter::builder(policy).max_keys(2).when_full(when_full).clock(clock);
        let limiter = builder.build().unwrap();
        assert!(limiter.try_acquire_all(&["a", "b"], 1).unwrap().decision.allowed);
        let answer = limiter.try_acquire_all(&["a", "stranger"], 1).unwrap();
        assert_eq!(answer.decision.allowed, allowed, "{when_full:?}");
        assert_eq!(answer.denied_by, (!allowed).then_some(1), "{when_full:?}");
        assert_eq!(answer.decision.reason, (!allowed).then_some(Reason::Full), "{when_full:?}");
        if when_full != WhenFull::EvictLeast {
            assert_eq!(remaining(&limiter, b"a"), if allowed { 3 } else { 4 });
        }
    }
}

/// Every order of the keys, single charges and handles beside them: the tokens of each key go exactly once.
#[test]
fn eight_threads_in_all_orders_take_exactly_what_there_is() {
    let turns = size::of(20_000, 200_000);
    let tokens = 3 * turns;
    let (limiter, _) = limiter(tokens);
    let orders: [[&[u8]; 3]; 6] = [
        [b"x", b"y", b"z"],
        [b"x", b"z", b"y"],
        [b"y", b"x", b"z"],
        [b"y", b"z", b"x"],
        [b"z", b"x", b"y"],
        [b"z", b"y", b"x"],
    ];
    let handle = limiter.bucket_as(b"y", limiter.default_class()).unwrap().unwrap();
    let (mut all, mut one, mut held) = (0, 0, 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|at| {
                let (limiter, order) = (limiter.clone(), orders[at]);
                let passes = move || limiter.try_acquire_all(&order, 1).unwrap().decision.allowed;
                scope.spawn(move || (0..turns).filter(|_| passes()).count() as u64)
            })
            .collect();
        let single = limiter.clone();
        let single =
            scope.spawn(move || (0..turns * 5 / 2).filter(|_| single.try_acquire(b"x", 1).unwrap()).count() as u64);
        let handle = scope.spawn(|| (0..turns * 5 / 2).filter(|_| handle.try_acquire(1)).count() as u64);
        all = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        one = single.join().unwrap();
        held = handle.join().unwrap();
    });
    let left = [&b"x"[..], b"y", b"z"].map(|key| remaining(&limiter, key));
    assert_eq!(left, [tokens - all - one, tokens - all - held, tokens - all]);
    assert!(left.contains(&0) && all > 0, "somebody was denied at last: {left:?}, {all} together");
    let stats = limiter.stats();
    size::did(stats.allowed + stats.denied, "requests");
}
