//! Waiting one's turn: in order, each as soon as its limits let it, nothing lost by those who leave, time moved by hand.

mod size;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use tollbar::limit::Edge;
use tollbar::{Ask, Clock, Limit, Limiter, ManualClock, Migration, Place, Policy, Rate, Turn};

const SECOND: u64 = 1_000_000_000;
const KEY: &[u8] = b"a";

/// Counts how often somebody was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

fn limiter(limits: Vec<Limit>) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(Policy::all(limits).unwrap());
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

fn rate(burst: u64) -> Limit {
    Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()
}

fn join(limiter: &Arc<Limiter>, ask: Ask, bell: &Arc<Bell>) -> Turn {
    limiter.join(KEY, ask, limiter.default_class(), Waker::from(bell.clone())).unwrap()
}

#[allow(clippy::needless_pass_by_value)] // a turn is used up by looking at it
fn waits(turn: Turn) -> (Place, Option<u64>) {
    if let Turn::Wait(place, nanos) = turn { (place, nanos) } else { panic!("{turn:?}") }
}

fn has_come(limiter: &Arc<Limiter>, ask: Ask, place: Place) -> bool {
    matches!(limiter.look(KEY, ask, place).unwrap(), Turn::Come(None))
}

// HAZARD python-waiters
#[test]
fn turns_come_in_order_and_only_the_head_has_a_timer() {
    let (limiter, clock) = limiter(vec![rate(1)]);
    let one = Ask::new(1);
    assert!(matches!(join(&limiter, one, &Arc::default()), Turn::Come(None)));
    let bells: Vec<Arc<Bell>> = (0..4).map(|_| Arc::default()).collect();
    let places: Vec<_> = bells.iter().map(|bell| waits(join(&limiter, one, bell))).collect();
    assert_eq!(places.iter().map(|(_, nanos)| *nanos).collect::<Vec<_>>(), [Some(SECOND), None, None, None]);
    assert!(!limiter.try_acquire(KEY, 1).unwrap());
    clock.advance_ns(SECOND.cast_signed() - 1);
    assert_eq!(limiter.look(KEY, one, places[0].0).map(waits).unwrap().1, Some(1));
    clock.advance_ns(1);
    assert!(!limiter.try_acquire(KEY, 1).unwrap(), "it does not overtake");
    assert!(has_come(&limiter, one, places[0].0));
    assert_eq!(
        bells.iter().map(|bell| bell.rung()).sum::<usize>(),
        3,
        "the first by the clock and its grant, then the new head"
    );
    assert_eq!(limiter.look(KEY, one, places[1].0).map(waits).unwrap().1, Some(SECOND));
    clock.advance_ns(2 * SECOND.cast_signed());
    assert!(has_come(&limiter, one, places[1].0));
    assert!(!has_come(&limiter, one, places[2].0), "a burst of one: what nobody took has not been saved up");
    clock.advance_ns(SECOND.cast_signed());
    assert!(has_come(&limiter, one, places[2].0));
    clock.advance_ns(SECOND.cast_signed());
    assert!(has_come(&limiter, one, places[3].0));
    clock.advance_ns(SECOND.cast_signed());
    assert!(limiter.try_acquire(KEY, 1).unwrap(), "nobody waits, and it is a word again");
}

#[test]
fn a_big_request_is_not_starved_and_a_small_one_does_not_pass_it() {
    let (limiter, clock) = limiter(vec![rate(10)]);
    assert!(limiter.try_acquire(KEY, 10).unwrap());
    let (big, small) = (Ask::new(8), Ask::new(1));
    let (first, wait) = waits(join(&limiter, big, &Arc::default()));
    assert_eq!(wait, Some(8 * SECOND));
    let (second, _) = waits(join(&limiter, small, &Arc::default()));
    clock.advance_ns(5 * SECOND.cast_signed());
    assert!(!has_come(&limiter, small, second) && !limiter.try_acquire(KEY, 1).unwrap());
    let (third, _) = waits(join(&limiter, small, &Arc::default())); // five are there, and it waits all the same
    assert!(limiter.leave(KEY, third).unwrap());
    clock.advance_ns(3 * SECOND.cast_signed());
    assert!(has_come(&limiter, big, first));
    assert!(!has_come(&limiter, small, second));
    clock.advance_ns(SECOND.cast_signed());
    assert!(has_come(&limiter, small, second));
}

#[test]
fn what_cannot_be_is_told_at_once_and_charges_nothing() {
    let (limiter, _) = limiter(vec![rate(10), Limit::window(20, 60 * SECOND, Edge::HalfOpen).unwrap()]);
    let bell = Arc::default();
    assert!(matches!(join(&limiter, Ask::new(11), &bell), Turn::Never));
    assert_eq!(limiter.len(), 0, "and makes nothing");
    assert!(limiter.try_acquire(KEY, 10).unwrap());
    let ask = |cost, seconds| Ask::new(cost).timeout_ns(Some(seconds * SECOND));
    assert!(matches!(join(&limiter, ask(4, 3), &bell), Turn::TooLate(wait) if wait == 4 * SECOND));
    let (place, _) = waits(join(&limiter, ask(4, 4), &bell));
    assert!(matches!(join(&limiter, ask(2, 5), &bell), Turn::TooLate(wait) if wait == 6 * SECOND), "behind the four");
    let (behind, _) = waits(join(&limiter, ask(2, 6), &bell));
    // Ten were sent and six are waited for: four more pass the window, five do not before it opens.
    assert!(matches!(join(&limiter, ask(5, 59), &bell), Turn::TooLate(wait) if wait == 60 * SECOND));
    assert!(limiter.leave(KEY, place).unwrap() && !limiter.leave(KEY, place).unwrap());
    assert!(limiter.leave(KEY, behind).unwrap());
    waits(join(&limiter, ask(4, 4), &bell)); // who has left is before nobody
    assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, 0);
}

#[test]
fn a_cost_that_never_fits_names_the_smallest_limit_that_counts() {
    let window = Limit::window(5, 60 * SECOND, Edge::HalfOpen).unwrap();
    let (limiter, _) = limiter(vec![rate(9), window, rate(2).named("trial").shadow(true)]);
    let class = limiter.default_class();
    let too_small =
        |cost| limiter.too_small(KEY, Ask::new(cost), class).unwrap().map(|(limit, _)| limit.name().to_owned());
    assert_eq!(too_small(10).as_deref(), Some("5 in 60 s"));
    assert_eq!((too_small(5), too_small(0)), (None, None));
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let other = limiter.class(Policy::all([rate(3).named("less")]).unwrap()).unwrap();
    assert!(limiter.reconfigure(KEY, other, Migration::AsIs).unwrap());
    assert_eq!((too_small(5).as_deref(), too_small(3)), (Some("less"), None));
    assert!(limiter.too_small(&vec![0; tollbar::MAX_KEY_LEN + 1], Ask::new(1), class).is_err());
}

#[test]
fn a_shadow_limit_lets_an_unknown_key_pass_whatever_it_costs() {
    let (limiter, _) = limiter(vec![rate(2).shadow(true)]);
    assert!(matches!(join(&limiter, Ask::new(3), &Arc::default()), Turn::Come(None)));
    let joint = limiter.join_all(&["b", "c"], Ask::new(3), |_| limiter.default_class(), Waker::noop().clone());
    assert!(matches!(joint.unwrap().turn, Turn::Come(None)));
}

#[test]
fn a_deadline_that_passes_is_told_and_the_place_is_gone() {
    let (limiter, clock) = limiter(vec![rate(2)]);
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    let bell = Arc::<Bell>::default();
    let ask = Ask::new(1).timeout_ns(Some(SECOND));
    let (place, _) = waits(join(&limiter, ask, &bell));
    // Somebody of a higher class comes first, who could not be foreseen.
    let first = Ask::new(2).priority(0).unwrap();
    let low = Ask::new(1).priority(5).unwrap().timeout_ns(Some(3 * SECOND));
    let (low_place, _) = waits(join(&limiter, low, &bell));
    let (first_place, _) = waits(join(&limiter, first, &bell));
    clock.advance_ns(SECOND.cast_signed());
    assert!(has_come(&limiter, ask, place));
    clock.advance_ns(2 * SECOND.cast_signed());
    assert!(has_come(&limiter, first, first_place));
    assert!(matches!(limiter.look(KEY, low, low_place).unwrap(), Turn::TooLate(wait) if wait == SECOND));
    assert!(matches!(limiter.look(KEY, low, low_place).unwrap(), Turn::Gone));
}

#[test]
fn who_leaves_after_the_grant_hands_it_on() {
    let (limiter, clock) = limiter(vec![rate(1), Limit::window(1, 10 * SECOND, Edge::HalfOpen).unwrap()]);
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let (bell, next) = (Arc::<Bell>::default(), Arc::<Bell>::default());
    let one = Ask::new(1);
    let (place, _) = waits(join(&limiter, one, &bell));
    let (second, _) = waits(join(&limiter, one, &next));
    clock.advance_ns(10 * SECOND.cast_signed());
    assert_eq!(bell.rung(), 1, "by the clock");
    assert!(!has_come(&limiter, one, second), "the look of the one behind serves the head");
    assert_eq!(bell.rung(), 1, "it is granted, and has not looked");
    assert!(limiter.leave(KEY, place).unwrap());
    assert!(next.rung() > 0);
    assert!(has_come(&limiter, one, second));
    clock.advance_ns(10 * SECOND.cast_signed());
    assert!(limiter.try_acquire(KEY, 1).unwrap(), "nothing was lost and nothing made");
    assert!(!limiter.try_acquire(KEY, 1).unwrap());
}

#[test]
fn who_waits_for_a_reservation_holds_it() {
    let (limiter, clock) = limiter(vec![Limit::in_flight(1).unwrap()]);
    let ask = Ask::new(1).holding(None, false).unwrap();
    let bell = Arc::<Bell>::default();
    let Turn::Come(Some(held)) = join(&limiter, ask, &bell) else { panic!("free") };
    let (place, wait) = waits(join(&limiter, ask, &bell));
    assert_eq!(wait, None);
    assert!(held.commit(None));
    assert_eq!(bell.rung(), 1, "whoever ends one wakes the next");
    let Turn::Come(Some(next)) = limiter.look(KEY, ask, place).unwrap() else { panic!("its turn") };
    assert!(!limiter.try_acquire(KEY, 1).unwrap());
    assert!(next.cancel());
    assert!(limiter.try_acquire(KEY, 1).unwrap());

    let Turn::Come(Some(held)) = join(&limiter, ask, &bell) else { panic!("free") };
    let refused = Ask::new(1).holding(Some(0), false).unwrap_err().to_string();
    assert_eq!(refused, "lease must be at least 1 ns, not 0");
    let short = Ask::new(1).holding(Some(5 * SECOND), true).unwrap();
    let (place, _) = waits(join(&limiter, short, &bell));
    assert!(held.cancel());
    let Turn::Come(Some(lost)) = limiter.look(KEY, short, place).unwrap() else { panic!("its turn") };
    clock.advance_ns(5 * SECOND.cast_signed() - 1);
    assert!(!limiter.try_acquire(KEY, 1).unwrap());
    clock.advance_ns(1);
    assert!(limiter.try_acquire(KEY, 1).unwrap(), "its lease began with its turn, and is over");
    assert!(!lost.cancel());
}

#[test]
fn changes_of_the_limits_reach_those_who_wait() {
    let (limiter, _) = limiter(vec![rate(1)]);
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let bell = Arc::<Bell>::default();
    let one = Ask::new(1);
    let places: Vec<Place> = (0..3).map(|_| waits(join(&limiter, one, &bell)).0).collect();
    bell.rung();
    let wider = limiter.class(Policy::all([rate(2)]).unwrap()).unwrap();
    assert!(limiter.reconfigure(KEY, wider, Migration::AsIs).unwrap());
    assert!(has_come(&limiter, one, places[0]));
    assert!(limiter.reset(KEY).unwrap());
    assert!(has_come(&limiter, one, places[1]) && has_come(&limiter, one, places[2]));
    assert!(!limiter.try_acquire(KEY, 1).unwrap());

    let (place, _) = waits(join(&limiter, one, &bell));
    bell.rung();
    let none = limiter.class(Policy::all([]).unwrap()).unwrap();
    assert!(limiter.reconfigure(KEY, none, Migration::AsIs).unwrap());
    assert_eq!(bell.rung(), 1);
    assert!(has_come(&limiter, one, place), "nothing limits the key any more");
    assert!(matches!(limiter.look(KEY, one, place).unwrap(), Turn::Gone));
}

// HAZARD incident-herd
#[test]
fn many_waiters_are_served_in_order_and_woken_as_heads_by_the_clock_and_by_grants() {
    let many = usize::try_from(size::of(100_000, 1_000_000)).unwrap();
    let (limiter, clock) = limiter(vec![Limit::rate(Rate::new(1_000, SECOND).burst(10)).unwrap()]);
    assert!(limiter.try_acquire(KEY, 10).unwrap());
    let bells: Vec<Arc<Bell>> = (0..many).map(|_| Arc::default()).collect();
    let one = Ask::new(1);
    let mut places: VecDeque<(usize, Place)> =
        bells.iter().map(|bell| waits(join(&limiter, one, bell)).0).enumerate().collect();
    let (mut served, mut woken) = (0, 0);
    while let Some((number, place)) = places.pop_front() {
        match limiter.look(KEY, one, place).unwrap() {
            Turn::Come(_) => {
                assert_eq!(number, served, "in the order of arrival");
                served += 1;
            }
            Turn::Wait(_, nanos) => {
                clock.advance_ns(nanos.expect("only the head looks").cast_signed());
                places.push_front((number, place));
            }
            other => panic!("{other:?}"),
        }
        woken += bells[number].rung();
    }
    assert_eq!(served, many);
    assert!(woken <= 3 * many, "{woken} wakes");
    size::did(served, "waiters");
}

#[derive(Clone, Debug)]
enum Act {
    Join { n: u64, class: u8, timeout: Option<u64> },
    Look(usize),
    Leave(usize),
    Pass(u64),
    Try(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_u64..5, prop_oneof![3 => Just(0_u8), 1 => 0_u8..3], prop::option::weighted(0.3, 0_u64..8)).prop_map(|(n, class, timeout)| {
            Act::Join { n, class, timeout }
        }),
        5 => (0_usize..12).prop_map(Act::Look),
        2 => (0_usize..12).prop_map(Act::Leave),
        4 => (0_u64..4).prop_map(Act::Pass),
        1 => (1_u64..3).prop_map(Act::Try),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    /// However they come, look and leave: never over the limits, and in the end everybody who stayed was served.
    #[test]
    fn nothing_is_lost_nothing_is_made_and_nobody_is_stuck(
        burst in 4_u64..8,
        window in prop::option::of((4_u64..8, 3_u64..12)),
        acts in prop::collection::vec(act(), 1..60),
    ) {
        size::schedule();
        let mut limits = vec![rate(burst)];
        limits.extend(window.map(|(limit, width)| Limit::window(limit, width * SECOND, Edge::HalfOpen).unwrap()));
        let (limiter, clock) = limiter(limits);
        let (mut now, mut waiting, mut taken) = (0_u64, Vec::new(), Vec::new());
        let bell = Arc::<Bell>::default();
        for act in acts {
            match act {
                Act::Join { n, class, timeout } => {
                    let ask = Ask::new(n).priority(class).unwrap().timeout_ns(timeout.map(|seconds| seconds * SECOND));
                    match join(&limiter, ask, &bell) {
                        Turn::Come(_) => taken.push((now, n)),
                        Turn::Wait(place, _) => waiting.push((ask, n, place)),
                        Turn::TooLate(wait) => prop_assert!(timeout.is_some_and(|seconds| wait > seconds * SECOND)),
                        Turn::Gone | Turn::Never => prop_assert!(false, "gone, or more than there ever is"),
                    }
                }
                Act::Look(at) if at < waiting.len() => {
                    let (ask, n, place) = waiting[at];
                    match limiter.look(KEY, ask, place).unwrap() {
                        Turn::Come(_) => {
                            taken.push((now, n));
                            waiting.remove(at);
                        }
                        Turn::TooLate(_) => drop(waiting.remove(at)),
                        Turn::Wait(..) => {}
                        Turn::Gone | Turn::Never => prop_assert!(false, "gone, or more than there ever is"),
                    }
                }
                Act::Leave(at) if at < waiting.len() => {
                    prop_assert!(limiter.leave(KEY, waiting.remove(at).2).unwrap());
                }
                Act::Pass(seconds) => {
                    now += seconds;
                    clock.advance_ns((seconds * SECOND).cast_signed());
                }
                Act::Try(n) => {
                    let passed = limiter.try_acquire(KEY, n).unwrap();
                    prop_assert!(!passed || waiting.is_empty(), "nobody overtakes");
                    if passed {
                        taken.push((now, n));
                    }
                }
                _ => {}
            }
        }
        for _ in 0..200 {
            waiting.retain(|&(ask, n, place)| match limiter.look(KEY, ask, place).unwrap() {
                Turn::Come(_) => {
                    taken.push((now, n));
                    false
                }
                Turn::Wait(..) => true,
                _ => false,
            });
            now += 1;
            clock.advance_ns(SECOND.cast_signed());
        }
        prop_assert!(waiting.is_empty(), "stuck: {waiting:?}");
        let sum = |from: u64, to: u64| taken.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, n)| n).sum::<u64>();
        for &(at, _) in &taken {
            // A bucket charges at the grant, which is noticed later; so only what is taken in all is bounded here.
            prop_assert!(sum(0, at + 1) <= burst + at, "{taken:?}");
            // A window counts from when it is noticed.
            prop_assert!(window.is_none_or(|(limit, width)| sum(at, at + width) <= limit), "{taken:?}");
        }
        now += 20;
        clock.advance_ns(20 * SECOND.cast_signed());
        let most = window.map_or(burst, |(limit, _)| limit.min(burst));
        prop_assert!(limiter.try_acquire(KEY, most).unwrap(), "at {now} s all is back");
        prop_assert!(!limiter.try_acquire(KEY, 1).unwrap());
    }
}

#[test]
fn threads_wait_in_the_same_line() {
    let policy = Policy::all([Limit::in_flight(2).unwrap()]).unwrap();
    let limiter = Arc::new(Limiter::builder(policy).build().unwrap());
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = Ask::new(1).holding(None, false).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..200 {
                    let Turn::Come(Some(held)) = limiter.acquire_blocking(KEY, ask).unwrap() else {
                        panic!("its turn")
                    };
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(if n % 2 == 0 { held.commit(None) } else { held.cancel() });
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert!(matches!(limiter.acquire_blocking(KEY, ask.timeout_ns(Some(0))).unwrap(), Turn::Come(Some(_))));
}
