//! The limiter under random schedules: composite policies, hierarchies, reservations and waiting, which have too many
//! interleavings to try all.
//!
//! Run with `RUSTFLAGS="--cfg loom --cfg shuttle" cargo test --release --lib shuffled`. A schedule that fails is printed
//! and can be run again. Whoever parks and is never woken ends the schedule as a deadlock.

use std::sync::Arc;
use std::task::{Wake, Waker};

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

use super::{Ask, Limiter, Turn};
use crate::clock::{Clock, ManualClock};
use crate::limit::{Edge, Rate};
use crate::policy::{Limit, Policy};

#[path = "../../tests/size/mod.rs"]
mod size;

const SECOND: u64 = 1_000_000_000;
const KEY: &[u8] = b"a";

fn limiter(limits: Vec<Limit>) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(Policy::all(limits).unwrap()).max_keys(256);
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

fn window(limit: u64) -> Limit {
    Limit::window(limit, 60 * SECOND, Edge::HalfOpen).unwrap()
}

fn rate(burst: u64) -> Limit {
    Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()
}

/// Runs the same work in so many threads, and adds up what they return.
fn together(threads: u64, work: impl Fn(u64) -> u64 + Send + Sync + 'static) -> u64 {
    let work = Arc::new(work);
    let start = |number| {
        let work = work.clone();
        thread::spawn(move || work(number))
    };
    let threads: Vec<_> = (0..threads).map(start).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = count.clone();
    let schedules = usize::try_from(size::of(25_000, 100_000)).unwrap();
    shuttle::check_random(
        move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            scenario();
        },
        schedules,
    );
    size::did(count.load(std::sync::atomic::Ordering::SeqCst), "random schedules");
}

#[test]
fn as_many_pass_as_the_tightest_of_several_limits_says() {
    explore(|| {
        let (limiter, _) = limiter(vec![window(4), rate(5), Limit::in_flight(6).unwrap()]);
        let asked = limiter.clone();
        let passed = together(3, move |_| (0..2).filter(|_| asked.try_acquire(KEY, 1).unwrap()).count() as u64);
        assert_eq!(passed, 4);
        assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, 0);
    });
}

#[test]
fn hierarchies_in_any_order_beside_single_charges_charge_all_or_none() {
    explore(|| {
        let (limiter, _) = limiter(vec![window(3), rate(4)]);
        let plain = limiter.class(Policy::rate(Rate::new(1, SECOND).burst(5)).unwrap()).unwrap();
        let orders: [[&[u8]; 2]; 2] = [[b"domain", b"account"], [b"account", b"domain"]];
        let asked = limiter.clone();
        // In hundreds all that passed together, in tens what passed on the domain alone, in ones on the account.
        let passed = together(3, move |number| {
            let keys = orders[usize::try_from(number % 2).unwrap()];
            let class = |key: &[u8]| if key == b"domain" { plain } else { asked.default_class() };
            let all = |_: &u64| asked.try_acquire_all_as(&keys, 1, |at| class(keys[at])).unwrap().decision.allowed;
            let together = (0..2).filter(all).count() as u64;
            let alone: &[u8] = if number == 1 { b"domain" } else { b"account" };
            let alone = u64::from(number > 0 && asked.try_acquire_as(alone, 1, class(alone)).unwrap());
            100 * together + if number == 1 { 10 * alone } else { alone }
        });
        let (together, on_domain, on_account) = (passed / 100, passed / 10 % 10, passed % 10);
        assert_eq!(together + on_account, 3, "the window of the account is spent, and no more");
        assert_eq!(limiter.peek(b"domain", 0).unwrap().remaining, 5 - together - on_domain);
    });
}

#[test]
fn what_is_cancelled_comes_back_and_what_is_committed_stays() {
    explore(|| {
        let (limiter, clock) = limiter(vec![window(4), rate(4), Limit::in_flight(2).unwrap()]);
        let asked = limiter.clone();
        let committed = together(3, move |number| {
            let mut kept = 0;
            for n in 0..2 {
                let place = asked.reserve(KEY, 1 + n, None, false).unwrap();
                if place.is_granted() && (n + number) % 2 == 0 {
                    assert!(place.commit(None));
                    kept += place.cost();
                } else {
                    assert_eq!(place.cancel(), place.is_granted());
                }
                assert!(!place.cancel() && !place.commit(None), "ended once");
            }
            kept + u64::from(number == 0 && asked.try_acquire(KEY, 1).unwrap())
        });
        assert!(committed <= 4, "{committed}");
        assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, (4 - committed).min(2));
        clock.advance_ns(60 * SECOND.cast_signed());
        assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, 2, "no place was lost");
    });
}

#[test]
fn a_bucket_cools_down_and_warms_up_beside_charges_and_loses_nothing() {
    explore(|| {
        let (limiter, _) = limiter(vec![rate(3)]);
        let asked = limiter.clone();
        let kept = together(3, move |number| {
            if number > 0 {
                return (0..2).filter(|_| asked.try_acquire(KEY, 1).unwrap()).count() as u64;
            }
            let place = asked.reserve(KEY, 2, None, false).unwrap();
            u64::from(place.is_granted() && place.commit(Some(1)))
        });
        assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, 3 - kept);
    });
}

/// Where a thread of the checker parks. Its own `park` wakes by itself now and then, and so would hide that nobody did it.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    told: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.told.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.told.notify_one();
    }
}

#[test]
fn everybody_who_waits_is_woken_and_who_leaves_hands_on_his_turn() {
    explore(|| {
        let (limiter, _) = limiter(vec![Limit::in_flight(1).unwrap()]);
        let asked = limiter.clone();
        let inside = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let served = together(4, move |number| {
            let ask = Ask::new(1).holding(None, false).unwrap();
            let bell = Arc::<Bell>::default();
            let mut turn = asked.join(KEY, ask, asked.default_class(), Waker::from(bell.clone())).unwrap();
            loop {
                match turn {
                    Turn::Come(held) => {
                        let held = held.expect("it asked for a reservation");
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "one at a time");
                        thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        assert!(if number == 1 { held.cancel() } else { held.commit(None) });
                        return 1;
                    }
                    Turn::Wait(place, _) if number == 0 => {
                        assert!(asked.leave(KEY, place).unwrap());
                        return 0;
                    }
                    Turn::Wait(place, _) => {
                        bell.wait();
                        turn = asked.look(KEY, ask, place).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(served >= 3, "{served}");
        assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, 1);
    });
}

#[test]
fn a_move_of_the_clock_reaches_a_waiter_at_any_moment() {
    explore(|| {
        let (limiter, clock) = limiter(vec![rate(1)]);
        let keys: [&[u8]; 2] = [b"a", b"b"];
        assert_eq!(limiter.try_acquire_many(&keys, 1).unwrap(), [true, true]);
        let served = together(3, move |number| {
            if number == 2 {
                (0..16).for_each(|_| clock.advance_ns(SECOND.cast_signed() / 16));
                return 0;
            }
            let (key, ask) = (keys[usize::try_from(number).unwrap()], Ask::new(1));
            let bell = Arc::<Bell>::default();
            let mut turn = limiter.join(key, ask, limiter.default_class(), Waker::from(bell.clone())).unwrap();
            while let Turn::Wait(place, _) = turn {
                bell.wait();
                turn = limiter.look(key, ask, place).unwrap();
            }
            assert!(matches!(turn, Turn::Come(None)), "{turn:?}");
            1
        });
        assert_eq!(served, 2);
    });
}

#[test]
fn those_who_wait_for_several_keys_in_any_order_are_all_served() {
    const SETS: [&[&str]; 4] = [&["x", "y"], &["y", "x"], &["x"], &["y", "x"]];
    explore(|| {
        let (limiter, _) = limiter(vec![Limit::in_flight(1).unwrap()]);
        let class = limiter.default_class();
        let place = ["x", "y"].map(|key| limiter.reserve(key.as_bytes(), 1, None, false).unwrap());
        let asked = limiter.clone();
        let served = together(5, move |number| {
            if number == 4 {
                for place in &place {
                    // As many steps as a join takes, or else this thread is through before the others wait.
                    (0..150).for_each(|_| thread::yield_now());
                    assert!(place.cancel());
                }
                return 0;
            }
            let (keys, ask) = (SETS[usize::try_from(number).unwrap()], Ask::new(1));
            let bell = Arc::<Bell>::default();
            let join = || match keys {
                [key] => asked.join(key.as_bytes(), ask, class, bell.clone().into()).unwrap(),
                _ => asked.join_all(keys, ask, |_| class, bell.clone().into()).unwrap().turn,
            };
            let mut turn = join();
            loop {
                match (turn, keys) {
                    (Turn::Come(None), _) => return 1,
                    (Turn::Wait(place, _), _) if number == 3 => {
                        assert!(asked.leave_all(keys, place).unwrap());
                        return 0;
                    }
                    (Turn::Wait(place, _), _) => {
                        bell.wait();
                        turn = match keys {
                            [key] => asked.look(key.as_bytes(), ask, place).unwrap(),
                            _ => asked.look_all(keys, |_| class, place).unwrap().turn,
                        };
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(served >= 3, "{served}");
        let left = ["x", "y"].map(|key| limiter.peek(key.as_bytes(), 0).unwrap().remaining);
        assert_eq!(left, [1, 1], "nothing is held");
    });
}
