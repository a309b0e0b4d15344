//! Runs one kind of decision a given number of times, for a tool that counts instructions.
//!
//! `instructions allowed|denied|two-limits|first-sight|full COUNT`

use std::hint::black_box;
use std::sync::Arc;

use tollbar::{Clock, Limit, Limiter, ManualClock, Policy, Rate, WhenFull};

const HOUR: u64 = 3_600_000_000_000;

fn limiter(burst: u64, clock: Clock) -> Limiter {
    let policy = Policy::rate(Rate::new(1_000_000, HOUR).burst(burst)).expect("a rate");
    Limiter::builder(policy).clock(clock).build().expect("a limiter")
}

fn first_sights(limiter: &Limiter, numbers: std::ops::Range<u64>) {
    let mut key = *b"someone-0000000@example.org";
    for number in numbers {
        let digits = number.to_le_bytes();
        key[8..15].copy_from_slice(&digits[..7]);
        assert!(limiter.try_acquire(black_box(&key), 1).expect("a key"));
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (case, count) = (arguments.next(), arguments.next().and_then(|count| count.parse::<u64>().ok()));
    let (Some(case), Some(count)) = (case, count) else { return }; // `cargo test` starts it without arguments
    let key = b"someone@example.org";
    match case.as_str() {
        "allowed" => {
            let limiter = limiter(10_000_000, Clock::Monotonic);
            for _ in 0..count {
                black_box(limiter.try_acquire(black_box(key), 1).expect("a key"));
            }
        }
        "denied" => {
            let limiter = limiter(1, Clock::Monotonic);
            for _ in 0..count {
                black_box(limiter.try_acquire(black_box(key), 1).expect("a key"));
            }
        }
        "two-limits" => {
            let limits = [Rate::new(1_000_000, HOUR), Rate::new(10_000_000, 24 * HOUR)];
            let limits = limits.map(|rate| Limit::rate(rate.burst(10_000_000)).expect("a rate"));
            let policy = Policy::all(limits).expect("two limits");
            let limiter = Limiter::builder(policy).build().expect("a limiter");
            for _ in 0..count {
                black_box(limiter.try_acquire(black_box(key), 1).expect("a key"));
            }
        }
        "first-sight" => {
            // A clock of its own: under the counting tool, time runs so slowly that accounts would refill.
            let limiter = limiter(10, Clock::Manual(Arc::new(ManualClock::new(0, 0))));
            first_sights(&limiter, 0..count);
        }
        "full" => {
            // Nobody has refilled, so the one that owes least of those looked at must go.
            let policy = Policy::rate(Rate::new(10, HOUR)).expect("a rate");
            let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
            let builder = Limiter::builder(policy).max_keys(10_000).when_full(WhenFull::EvictLeast).clock(clock);
            let limiter = builder.build().expect("a limiter");
            first_sights(&limiter, 0..10_000);
            first_sights(&limiter, 10_000..10_000 + count);
        }
        other => panic!("no such case: {other}"),
    }
}
