//! Other limits for all keys at once: a limiter whose keys meet them whenever they are asked about is, to the tick, one whose
//! every key was put under them at that moment. And threads that charge meanwhile get no more than the highest limits let pass.

mod chance;
#[path = "brute/said.rs"]
mod said;
mod size;
mod twins;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chance::{Written, written};
use proptest::prelude::*;
use tollbar::limit::Edge;
use tollbar::{Clock, Limit, Limiter, ManualClock, Migration, Policy, Rate, WhenFull};
use twins::{Act, KEYS, Told, Twin, act, migration};

const POLICIES: usize = 3;

fn change() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0..KEYS, 0..POLICIES, migration()).prop_map(|(key, to, how)| Act::Own { key, to, how }),
        1 => (0..KEYS, migration()).prop_map(|(key, how)| Act::Follow { key, how }),
        4 => (0..POLICIES, migration()).prop_map(|(to, how)| Act::SetLimits { to, how }),
    ]
}

/// What the other limiter does where this one gets other limits for all keys.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instead {
    /// It gets them, too, and every key is met at once.
    MeetAll,
    /// Each key is put under them as its own.
    EachAlone,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    // HAZARD change-late
    #[test]
    fn it_is_as_if_every_key_were_changed_at_once(
        policies in prop::collection::vec(written(), POLICIES),
        instead in prop_oneof![Just(Instead::MeetAll), Just(Instead::EachAlone)],
        tight in prop::option::weighted(0.2, prop_oneof![Just(WhenFull::Deny), Just(WhenFull::Allow), Just(WhenFull::EvictLeast)]),
        acts in prop::collection::vec(prop_oneof![6 => act(), 1 => change()], 1..30),
    ) {
        size::schedule();
        // A key that nothing limits holds no reservation, unless a block that is over has not been noticed.
        let policies: Vec<Written> = policies.into_iter().map(|mut policy| {
            if policy.limits.is_empty() {
                policy.limits.push((said::Said::InFlight { limit: 2 }, false));
            }
            policy
        }).collect();
        // Full tables hold one key, whose limits are its own only while it is known; and an account whose lease is over goes
        // when something has noticed that.
        let (size, instead) = tight.map_or(((100, WhenFull::Deny), instead), |when| ((1, when), Instead::MeetAll));
        let holds = |act: &Act| matches!(act, Act::Reserve { .. } | Act::Join { .. } | Act::Own { .. });
        // Waiters of keys with limits of their own are served, too, when all others change.
        let is_apart = |act: &Act| matches!(act, Act::Own { .. }) && instead == Instead::EachAlone;
        let waits = acts.iter().any(|act| matches!(act, Act::Join { .. }));
        let fits = |act: &&Act| (tight.is_none() || !holds(act)) && (!waits || !is_apart(act));
        let acts: Vec<&Act> = acts.iter().filter(fits).collect();
        check(&policies, size, instead, &acts);
    }
}

fn check(policies: &[Written], size: (usize, WhenFull), instead: Instead, acts: &[&Act]) {
    let (mut all, mut each) = (Twin::new(policies, size), Twin::new(policies, size));
    let (mut in_force, mut own) = (0, [false; KEYS]);
    for act in acts {
        let told = all.act(act);
        match **act {
            Act::SetLimits { to, how } if instead == Instead::EachAlone => {
                // The same limits again are a change only where everything begins anew.
                if policies[to].policy() != policies[in_force].policy() || how == Migration::Reset {
                    for key in (0..KEYS).filter(|&key| !own[key]) {
                        each.own(key, to, how).unwrap();
                    }
                }
                in_force = to;
            }
            Act::Follow { key, how } if instead == Instead::EachAlone => {
                let known = each.own(key, in_force, how);
                assert_eq!(told, Told::from(known), "{act:?}");
                own[key] = false;
            }
            _ => {
                assert_eq!(told, each.act(act), "{act:?}");
                if let Act::Own { key, .. } = **act {
                    own[key] = true;
                }
                if matches!(act, Act::SetLimits { .. }) {
                    each.observe();
                }
            }
        }
    }
    all.observe().is_that_of(&each.observe(), &"all");
}

const SECOND: u64 = 1_000_000_000;
const THREADS: usize = 4;
const NAMES: u32 = 50;

/// Fails if the work is not done in two minutes.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        Ok(()) => worker.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(worker.join().unwrap_err()),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the threads did not end in two minutes"),
    }
}

/// How much each key was let have by threads that charge while the limits of all go back and forth between these, and how many
/// nanoseconds went by. A decision is made before the first change and before every fiftieth, however few cores there are.
fn charged_meanwhile(limits: &[Policy], steps: u64) -> (Vec<u64>, u64) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(limits[0].clone()).max_keys(1_000);
    let limiter = Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap());
    let passed: Vec<AtomicU64> = (0..NAMES).map(|_| AtomicU64::new(0)).collect();
    let (decided, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, passed, decided, over) = (&limiter, &passed, &decided, &over);
            scope.spawn(move || {
                for round in thread.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let key = u32::try_from(round % NAMES as usize).unwrap();
                    let n = 1 + u64::from(round % 7 == 0);
                    let is_let = if round % 11 == 0 {
                        let keys = [key.to_be_bytes(), ((key + 1) % NAMES).to_be_bytes()];
                        let both = limiter.try_acquire_all(&keys, n).unwrap().decision.allowed;
                        passed[((key + 1) % NAMES) as usize].fetch_add(u64::from(both) * n, Ordering::SeqCst);
                        both
                    } else {
                        limiter.try_acquire(&key.to_be_bytes(), n).unwrap()
                    };
                    passed[key as usize].fetch_add(u64::from(is_let) * n, Ordering::SeqCst);
                    decided.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let rounds = usize::try_from(size::of(2_000, 20_000)).unwrap();
        for (round, to) in limits.iter().cycle().take(rounds).enumerate() {
            let before = decided.load(Ordering::SeqCst);
            while round % 50 == 0 && decided.load(Ordering::SeqCst) == before {
                std::thread::yield_now();
            }
            limiter.set_limits(to.clone(), Migration::AsIs).unwrap();
            clock.advance_ns(steps.cast_signed());
            std::thread::yield_now();
        }
        over.store(true, Ordering::SeqCst);
    });
    (passed.into_iter().map(AtomicU64::into_inner).collect(), clock.now_ns())
}

#[test]
fn threads_get_no_more_than_the_highest_limits() {
    in_time(|| {
        let rate = |limit: u64| Policy::rate(Rate::new(limit, SECOND).burst(limit)).unwrap();
        let (passed, time) = charged_meanwhile(&[rate(100), rate(10), rate(50)], 1_000_000);
        let most = 100 + time / (SECOND / 100);
        assert!(passed.iter().all(|&n| n <= most), "{most} {passed:?}");
        assert!(passed.iter().sum::<u64>() > 0);
        let window = |limit| Policy::all([Limit::window(limit, 100 * SECOND, Edge::HalfOpen).unwrap()]).unwrap();
        let (passed, _) = charged_meanwhile(&[window(40), window(7), rate(100)], 0);
        // A window knows what a rate lets pass between two changes, and a rate what a window does.
        assert!(passed.iter().all(|&n| n <= 100), "{passed:?}");
        let (passed, _) = charged_meanwhile(&[window(40), window(7)], 1_000);
        assert!(passed.iter().all(|&n| n <= 40), "{passed:?}");
        assert!(passed.iter().sum::<u64>() > 0);
        size::did(passed.len() as u64, "keys");
    });
}

/// What goes first from a full table goes by the limits that have followed, whether or not it has met them.
#[test]
fn a_wider_window_keeps_its_account_in_a_full_table() {
    let window = |seconds| Policy::all([Limit::window(1, seconds * SECOND, Edge::HalfOpen).unwrap()]).unwrap();
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(window(1)).max_keys(1).clock(Clock::Manual(clock.clone()));
    let limiter = builder.build().unwrap();
    assert!(limiter.try_acquire(b"a", 1).unwrap());
    limiter.set_limits(window(100), Migration::AsIs).unwrap();
    clock.advance_ns(2 * SECOND.cast_signed());
    assert!(!limiter.try_acquire(b"b", 1).unwrap(), "the table is full");
    assert!(limiter.contains(b"a").unwrap() && !limiter.try_acquire(b"a", 1).unwrap());
    clock.advance_ns(98 * SECOND.cast_signed());
    assert!(limiter.try_acquire(b"b", 1).unwrap() && !limiter.contains(b"a").unwrap());
}
