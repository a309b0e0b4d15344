//! What keys with several limits cost, by what the allocator is asked for: logs that grow with what was sent, and shrink.

mod held;

use std::sync::Arc;

use held::held;
use tollbar::{Clock, Edge, Limit, Limiter, ManualClock, Policy, Rate};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

#[test]
fn a_log_costs_what_was_sent_and_idle_ones_shrink() {
    let clock = Arc::new(ManualClock::new(0, 0));
    let minute = Limit::window(10_000, 60 * SECOND, Edge::HalfOpen).unwrap();
    let day = Limit::window(10_000, DAY, Edge::HalfOpen).unwrap();
    let policy = Policy::all([minute, day]).unwrap();
    // Few keys: one stripe, so that everybody is looked after by everybody's requests.
    let limiter = Limiter::builder(policy).max_keys(64).clock(Clock::Manual(clock.clone())).build().unwrap();
    assert!(limiter.try_acquire(b"warm-up", 1).unwrap());

    let empty = held();
    assert!(limiter.try_acquire(b"a", 1).unwrap());
    let one = held() - empty;
    assert!(one <= 600, "{one} bytes for a key that sent once, whatever its limit");
    let mut sent = 1_isize;
    for n in 0..9_999 {
        clock.advance_ns((SECOND / 2).cast_signed());
        assert!(limiter.try_acquire(b"a", 1).unwrap());
        sent += 1;
        if n > 1_000 && n % 500 == 0 {
            let log = held() - empty - one;
            assert!(log <= 9 * sent, "{log} bytes for {sent} sends");
        }
    }
    assert!(!limiter.try_acquire(b"a", 1).unwrap());

    // It asks for nothing any more; others do.
    clock.advance_ns(DAY.cast_signed());
    for n in 0..64_u8 {
        limiter.try_acquire(&[n % 4], 1).unwrap();
    }
    let left = held() - empty;
    assert!(left <= 5 * 400, "{left} bytes are left of it and four others");
    assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, 10_000);
}

/// A limiter of 4 GB a day for each key, and its clock.
fn four_gigabytes_a_day(steps: Option<u64>) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let day = match steps {
        None => Limit::window(4_000_000_000, DAY, Edge::HalfOpen),
        Some(steps) => Limit::window_in_steps(4_000_000_000, DAY, Edge::HalfOpen, steps),
    };
    let policy = Policy::all([day.unwrap()]).unwrap();
    let builder = Limiter::builder(policy).max_keys(64).clock(Clock::Manual(clock.clone()));
    (Arc::new(builder.build().unwrap()), clock)
}

// HAZARD cost-weight
#[test]
fn a_request_costs_the_same_whatever_its_size() {
    for steps in [None, Some(24)] {
        let one = |n| {
            let (limiter, _clock) = four_gigabytes_a_day(steps);
            assert!(limiter.try_acquire(b"warm-up", 1).unwrap());
            let empty = held();
            assert!(limiter.try_acquire(b"a", n).unwrap());
            assert!(!limiter.try_acquire(b"a", 4_000_000_001 - n).unwrap());
            held() - empty
        };
        let unit = one(1);
        for n in [2, 1_000, 150_000_000, 4_000_000_000] {
            assert!(one(n) <= unit + 200, "{} bytes for {n} units, {unit} for one", one(n));
        }
    }
}

#[test]
fn a_commit_costs_the_same_whatever_was_used() {
    let one = |used| {
        let (limiter, _clock) = four_gigabytes_a_day(None);
        assert!(limiter.try_acquire(b"warm-up", 1).unwrap());
        let empty = held();
        assert!(limiter.reserve(b"a", 1, Some(DAY), false).unwrap().commit(Some(used)));
        assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, 4_000_000_000_u64.saturating_sub(used));
        held() - empty
    };
    let unit = one(1);
    for used in [2, 150_000_000, u64::MAX] {
        assert!(one(used) <= unit + 200, "{} bytes for {used} units, {unit} for one", one(used));
    }
}

#[test]
fn requests_of_any_size_cost_at_most_twenty_bytes_each() {
    let (limiter, clock) = four_gigabytes_a_day(None);
    assert!(limiter.try_acquire(b"warm-up", 1).unwrap());
    let empty = held();
    let mut random = 1_u64;
    for sent in 1..=10_000_isize {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        assert!(limiter.try_acquire(b"a", 1 + (random >> 33) % 300_000).unwrap());
        clock.advance_ns(SECOND.cast_signed());
        let log = held() - empty;
        assert!(log <= 20 * sent + 900, "{log} bytes for {sent} requests");
    }
}

#[test]
fn a_limiter_that_is_gone_has_given_everything_back() {
    let life = || {
        let policy = Policy::rate(Rate::new(10, DAY)).unwrap();
        let limiter = Limiter::builder(policy).max_keys(100_000).notice_every_ms(Some(0)).build().unwrap();
        let before = held();
        (0..20_000_u32).for_each(|n| assert!(limiter.try_acquire(&n.to_le_bytes(), 10).unwrap()));
        (0..20_000_u32).for_each(|n| assert!(!limiter.try_acquire(&n.to_le_bytes(), 10).unwrap()));
        held() - before
    };
    life(); // what a process makes once is made now
    let before = held();
    assert!(life() > 20_000 * 56, "slots, at the least");
    assert_eq!(held(), before);
}
