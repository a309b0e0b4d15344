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
