//! Eight threads on several limits, reservations and hierarchies: never over any limit, nothing lost after a cancel, nobody
//! stuck, in whatever order keys are named.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use tollbar::{Clock, Edge, Limit, Limiter, ManualClock, Policy, Rate};

const SECOND: u64 = 1_000_000_000;
const THREADS: usize = 8;

fn limiter(limits: Vec<Limit>) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let policy = Policy::all(limits).unwrap();
    (Arc::new(Limiter::builder(policy).clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

fn window(limit: u64, seconds: u64) -> Limit {
    Limit::window(limit, seconds * SECOND, Edge::HalfOpen).unwrap()
}

fn rate(burst: u64) -> Limit {
    Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()
}

/// Runs the same work in eight threads that begin at once, and adds up what they return.
fn together(work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let ready = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let start = |number| {
            let (ready, work) = (&ready, &work);
            scope.spawn(move || {
                ready.wait();
                work(number)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

// HAZARD race-k-tokens
#[test]
fn exactly_as_many_pass_as_the_tightest_limit_says() {
    let (limiter, _) = limiter(vec![window(5_000, 60), rate(8_000), Limit::in_flight(6_000).unwrap()]);
    let passed = together(|_| (0..2_000).filter(|_| limiter.try_acquire(b"a", 1).unwrap()).count() as u64);
    assert_eq!(passed, 5_000);
    assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, 0);
}

#[test]
fn what_is_cancelled_comes_back_and_what_is_committed_stays() {
    let (limiter, clock) = limiter(vec![window(4_000, 60), rate(4_000), Limit::in_flight(40).unwrap()]);
    let most = AtomicU64::new(0);
    let held = AtomicU64::new(0);
    let committed = together(|number| {
        let mut committed = 0;
        for n in 0..1_000 {
            let place = limiter.reserve(b"a", 1 + n % 3, None, false).unwrap();
            if !place.is_granted() {
                continue;
            }
            let now = held.fetch_add(place.cost(), Ordering::SeqCst) + place.cost();
            most.fetch_max(now, Ordering::SeqCst);
            held.fetch_sub(place.cost(), Ordering::SeqCst);
            if (n + number as u64).is_multiple_of(5) {
                assert!(place.commit(None));
                committed += place.cost();
            } else {
                assert!(place.cancel());
            }
            assert!(!place.cancel() && !place.commit(None), "ended once");
        }
        committed
    });
    assert!(most.load(Ordering::SeqCst) <= 40);
    assert!(committed > 0 && committed <= 4_000, "{committed}");
    assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, (4_000 - committed).min(40));
    clock.advance_ns(60 * SECOND.cast_signed());
    assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, 40);
    let all = limiter.reserve(b"a", 40, None, false).unwrap();
    assert!(all.is_granted(), "no place was lost");
}

#[test]
fn a_bucket_cools_down_and_warms_up_under_fire_and_loses_nothing() {
    let (limiter, _) = limiter(vec![rate(3_000)]);
    let kept = together(|number| {
        let mut kept = 0;
        for n in 0..1_000 {
            if (n + number) % 2 == 0 {
                kept += u64::from(limiter.try_acquire(b"a", 1).unwrap());
                continue;
            }
            let place = limiter.reserve(b"a", 2, None, false).unwrap();
            if place.is_granted() && n % 3 == 0 {
                assert!(place.commit(Some(1)));
                kept += 1;
            } else {
                place.cancel();
            }
        }
        kept
    });
    // The clock stands still, so nothing flows back and what was cancelled comes back whole.
    assert_eq!(limiter.peek(b"a", 0).unwrap().remaining, 3_000 - kept);
}

#[test]
fn hierarchies_in_every_order_charge_all_or_none() {
    let (limiter, _) = limiter(vec![window(700, 60), rate(900)]);
    let plain = limiter.class(Policy::rate(Rate::new(1, SECOND).burst(1_000)).unwrap()).unwrap();
    let names: [&[u8]; 3] = [b"everybody", b"example.org", b"a@example.org"];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let passed = together(|number| {
        let mut passed = 0;
        for n in 0..300 {
            let order = orders[(number + n) % orders.len()];
            let keys = order.map(|at| names[at]);
            // "Everybody" is a word, the others are more than one.
            let class = |at: usize| if order[at] == 0 { plain } else { limiter.default_class() };
            passed += u64::from(limiter.try_acquire_all_as(&keys, 1, class).unwrap().decision.allowed);
        }
        passed
    });
    assert_eq!(passed, 700);
    let left = names.map(|name| limiter.peek(name, 0).unwrap().remaining);
    assert_eq!(left, [300, 0, 0]);
}

#[test]
fn no_window_ever_holds_more_while_time_goes_on() {
    const ROUNDS: usize = 60;
    let (limiter, clock) =
        limiter(vec![window(50, 10), Limit::window_in_steps(70, 20 * SECOND, Edge::Closed, 4).unwrap()]);
    let (barrier, passed) = (Barrier::new(THREADS), [const { AtomicU64::new(0) }; ROUNDS]);
    together(|number| {
        for count in &passed {
            for n in 0..20 {
                if n % 4 == 0 {
                    let place = limiter.reserve(b"a", 1, None, false).unwrap();
                    if place.is_granted() && n % 8 == 0 && place.commit(None) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    place.cancel();
                } else if limiter.try_acquire(b"a", 1).unwrap() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
            barrier.wait();
            if number == 0 {
                clock.advance_ns(3 * SECOND.cast_signed());
            }
            barrier.wait();
        }
        0
    });
    let passed: Vec<u64> = passed.into_iter().map(AtomicU64::into_inner).collect();
    // Rounds are three seconds apart: four of them lie in a half-open window of ten, seven in a closed one of twenty.
    assert!(passed.windows(4).all(|window| window.iter().sum::<u64>() <= 50), "{passed:?}");
    assert!(passed.windows(7).all(|window| window.iter().sum::<u64>() <= 70), "{passed:?}");
    assert!(passed.iter().sum::<u64>() >= 50 * ROUNDS as u64 / 12, "{passed:?}");
}

#[test]
fn changes_of_policy_in_use_mix_nothing() {
    let (limiter, _) = limiter(vec![rate(1_500)]);
    let policies = [
        Policy::all([rate(1_500)]).unwrap(),
        Policy::all([rate(1_500), window(1_500, 1 << 20)]).unwrap(),
        Policy::all([window(1_500, 1 << 20), Limit::in_flight(1_500).unwrap()]).unwrap(),
    ];
    let classes = policies.map(|policy| limiter.class(policy).unwrap());
    limiter.try_acquire(b"a", 0).unwrap();
    let passed = together(|number| {
        if number == 0 {
            for n in 0..300 {
                limiter.reconfigure(b"a", classes[n % 3], tollbar::Migration::AsIs).unwrap();
            }
            return 0;
        }
        (0..500).filter(|_| limiter.try_acquire(b"a", 1).unwrap()).count() as u64
    });
    assert_eq!(passed, 1_500);
}
