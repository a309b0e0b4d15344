//! Eight threads at full speed: exactly what the bound allows, never one more, and nothing lost.

mod size;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use tollbar::{Bucket, Clock, Limiter, ManualClock, Policy, Rate, WhenFull};

const THREADS: usize = 8;
const SECOND: u64 = 1_000_000_000;

/// How often each thread asks.
fn tries() -> usize {
    usize::try_from(size::of(250_000, 2_500_000)).unwrap()
}

fn limiter(max_keys: usize, when_full: WhenFull) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let policy = Policy::rate(Rate::new(10_000, 10 * SECOND)).unwrap();
    let builder = Limiter::builder(policy).max_keys(max_keys).when_full(when_full);
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

/// Runs `work(thread)` in all threads from one start, and adds up what it returns.
fn together(work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let start = Barrier::new(THREADS);
    let sum = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, sum, work) = (&start, &sum, &work);
            scope.spawn(move || {
                start.wait();
                sum.fetch_add(work(thread), Ordering::SeqCst);
            });
        }
    });
    sum.into_inner()
}

// HAZARD race-k-tokens
#[test]
fn exactly_the_burst_on_one_key_and_on_64_and_again_after_idling() {
    for keys in [1, 64] {
        let (limiter, clock) = limiter(1000, WhenFull::Deny);
        let names: Vec<String> = (0..keys).map(|key| format!("user{key}@example.org")).collect();
        let passing = |thread: usize| {
            let passes = |i: usize| limiter.try_acquire(names[(i + thread) % keys].as_bytes(), 1).unwrap();
            (0..tries()).filter(|&i| passes(i)).count() as u64
        };
        // 2,000,000 tries or more against 10,000 tokens a key.
        assert_eq!(together(passing), 10_000 * keys as u64);
        clock.advance_ns(10 * SECOND.cast_signed());
        assert_eq!(together(passing), 10_000 * keys as u64);
        let stats = limiter.stats();
        assert_eq!(stats.allowed, 20_000 * keys as u64);
        assert_eq!(stats.allowed + stats.denied, (2 * THREADS * tries()) as u64);
        size::did(stats.allowed + stats.denied, "tries");
    }
}

#[test]
fn exactly_the_burst_while_the_clock_moves() {
    let (limiter, clock) = limiter(1000, WhenFull::Deny);
    // Not full from here on, so that every nanosecond flows in whoever comes first.
    assert!(limiter.try_acquire(b"a", 1).unwrap());
    let admitted = together(|thread| {
        let mut admitted = u64::from(thread == 0);
        for _ in 0..tries() {
            if thread == 0 {
                clock.advance_ns(1000);
            }
            admitted += u64::from(limiter.try_acquire(b"a", 1).unwrap());
        }
        admitted
    });
    // A microsecond a try at a token a millisecond: so many more than the burst at the very most, and
    // whoever is still refused at the end was refused by an up-to-date reading.
    let most = 10_000 + tries() as u64 / 1000;
    assert!(admitted <= most, "{admitted}");
    let rest = (0..20_000).filter(|_| limiter.try_acquire(b"a", 1).unwrap()).count() as u64;
    assert_eq!(admitted + rest, most);
    let stats = limiter.stats();
    size::did(stats.allowed + stats.denied, "tries");
}

#[test]
fn a_handle_and_the_table_charge_the_same_account() {
    let (limiter, _) = limiter(1000, WhenFull::Deny);
    let class = limiter.default_class();
    let bucket = limiter.bucket_as(b"a", class).unwrap().unwrap();
    let own =
        Bucket::new(Policy::rate(Rate::new(10_000, SECOND)).unwrap(), Clock::Manual(Arc::new(ManualClock::new(5, 5))));
    let admitted = together(|thread| {
        let bucket = bucket.clone();
        let passes = |_: &usize| {
            if thread % 2 == 0 { bucket.try_acquire(1) } else { limiter.try_acquire(b"a", 1).unwrap() }
        };
        (0..tries()).filter(passes).count() as u64
    });
    assert_eq!(admitted, 10_000);
    let stats = limiter.stats();
    size::did(stats.allowed + stats.denied, "tries");
    assert_eq!(together(|_| (0..tries()).filter(|_| own.try_acquire(1)).count() as u64), 10_000);
}

// HAZARD race-evict
#[test]
fn threads_that_crowd_a_small_table_never_pass_more_than_an_account_may() {
    for when_full in [WhenFull::Deny, WhenFull::EvictLeast] {
        let (limiter, _) = limiter(100, when_full);
        let held: Vec<Bucket> = (0..8)
            .map(|i| limiter.bucket_as(format!("held{i}").as_bytes(), limiter.default_class()).unwrap().unwrap())
            .collect();
        let admitted = together(|thread| {
            let mut admitted = 0;
            for i in 0..tries() / 5 {
                let stranger = format!("stranger{}", (i * 31 + thread * 7919) % 1000);
                limiter.try_acquire(stranger.as_bytes(), 1).unwrap();
                admitted += u64::from(limiter.try_acquire(format!("held{}", i % 8).as_bytes(), 1).unwrap());
                if i % 1000 == 0 {
                    limiter.for_each(|_, state| assert!(state.tokens <= 10_000.0));
                }
            }
            admitted
        });
        assert_eq!(admitted, 8 * 10_000, "{when_full:?}: held accounts are not forgiven");
        assert!(held.iter().all(|bucket| !bucket.try_acquire(1)));
        assert!(limiter.len() <= 100 + THREADS, "{}", limiter.len());
        let stats = limiter.stats();
        assert!(stats.most_looks <= tollbar::LOOKS_PER_INSERTION);
        size::did(stats.allowed + stats.denied + stats.full, "tries");
    }
}
