//! A known key's decision allocates nothing: counted over a million of them, of every kind.

mod held;
mod size;

use std::sync::Arc;

use held::asked;
use tollbar::{Clock, Limiter, ManualClock, Policy, Rate, WhenFull};

const HOUR: u64 = 3_600_000_000_000;

fn keys(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("account{number:011}@example.org")).collect()
}

#[test]
fn a_million_decisions_on_known_keys_allocate_nothing() {
    let keys = keys(1_000);
    let limiter = Limiter::builder(Policy::rate(Rate::new(500, HOUR)).unwrap()).build().unwrap();
    for key in &keys {
        limiter.try_acquire(key.as_bytes(), 1).unwrap();
    }
    let rounds = size::of(1_000, 10_000);
    let before = asked();
    let mut allowed = 0;
    for _ in 0..rounds {
        for key in &keys {
            allowed += u32::from(limiter.try_acquire(key.as_bytes(), 1).unwrap());
        }
    }
    assert_eq!(asked() - before, 0);
    assert!((499_000..510_000).contains(&allowed), "yes and no, both often: {allowed}");
    size::did(rounds * 1_000, "decisions");
    let before = asked();
    drop(vec![1]);
    assert!(asked() > before, "what is asked for is counted");
}

#[test]
fn nor_do_full_answers_peeks_and_handles() {
    let limiter = Arc::new(Limiter::builder(Policy::rate(Rate::new(50, HOUR)).unwrap()).build().unwrap());
    let bucket = limiter.bucket_as(b"a", limiter.default_class()).unwrap().unwrap();
    limiter.try_acquire(b"a", 1).unwrap();
    let before = asked();
    for _ in 0..100_000 {
        limiter.decide(b"a", 1).unwrap();
        limiter.peek(b"a", 1).unwrap();
        let _ = bucket.try_acquire(1);
    }
    assert_eq!(asked() - before, 0);
}

/// A first sight in a full table takes the memory of whoever goes.
#[test]
fn strangers_at_a_full_table_allocate_nothing_either() {
    let keys = keys(200_000);
    let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
    let builder = Limiter::builder(Policy::rate(Rate::new(50, HOUR)).unwrap()).clock(clock);
    let limiter = builder.max_keys(10_000).when_full(WhenFull::EvictLeast).build().unwrap();
    let (first, rest) = keys.split_at(100_000);
    assert!(first.iter().all(|key| limiter.try_acquire(key.as_bytes(), 1).unwrap()));
    let before = asked();
    assert!(rest.iter().all(|key| limiter.try_acquire(key.as_bytes(), 1).unwrap()));
    // The index may still split a segment now and then, and the list of free slots grow once.
    assert!(asked() - before < 100, "{}", asked() - before);
}
