//! Waiting for several keys: all are charged at one moment or none, in one order in all lines, time moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tollbar::limit::Edge;
use tollbar::{
    Ask, Clock, Cost, Jail, JointTurn, Limit, Limiter, ManualClock, Migration, Place, Policy, Rate, Turn, WhenFull,
};

const SECOND: u64 = 1_000_000_000;
const BOTH: [&str; 2] = ["x", "y"];

/// Counts how often it was woken.
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

struct Bench {
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
}

fn rate(burst: u64) -> Limit {
    Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()
}

fn bench(limits: Vec<Limit>) -> Bench {
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(Policy::all(limits).unwrap());
    Bench { limiter: Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock }
}

fn noop() -> Waker {
    Waker::noop().clone()
}

impl Bench {
    fn joined(&self, keys: &[&str], ask: Ask<'_>, waker: Waker) -> JointTurn {
        self.limiter.join_all(keys, ask, |_| self.limiter.default_class(), waker).unwrap()
    }

    fn joins(&self, keys: &[&str], ask: Ask<'_>) -> (Place, Option<u64>) {
        waits(self.joined(keys, ask, noop()))
    }

    fn looks(&self, keys: &[&str], place: Place) -> JointTurn {
        self.limiter.look_all(keys, |_| self.limiter.default_class(), place).unwrap()
    }

    fn joins_one(&self, key: &str, ask: Ask<'_>, waker: Waker) -> Turn {
        self.limiter.join(key.as_bytes(), ask, self.limiter.default_class(), waker).unwrap()
    }

    fn has_come(&self, key: &str, place: Place) -> bool {
        matches!(self.limiter.look(key.as_bytes(), Ask::new(1), place).unwrap(), Turn::Come(None))
    }

    fn spend(&self, key: &str, n: u64) {
        assert!(self.limiter.try_acquire(key.as_bytes(), n).unwrap());
    }

    fn spend_each(&self, keys: &[&str]) {
        for key in keys {
            self.spend(key, 1);
        }
    }

    fn left(&self) -> [u64; 2] {
        BOTH.map(|key| self.limiter.peek(key.as_bytes(), 0).unwrap().remaining)
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance_ns((seconds * SECOND).cast_signed());
    }

    fn puts_under(&self, key: &str, limits: Vec<Limit>) {
        let class = self.limiter.class(Policy::all(limits).unwrap()).unwrap();
        self.limiter.reconfigure(key.as_bytes(), class, Migration::AsIs).unwrap();
    }
}

#[allow(clippy::needless_pass_by_value)] // a turn is used up by looking at it
fn waits(joint: JointTurn) -> (Place, Option<u64>) {
    if let Turn::Wait(place, nanos) = joint.turn { (place, nanos) } else { panic!("{joint:?}") }
}

fn come(joint: &JointTurn) -> bool {
    matches!(joint.turn, Turn::Come(None))
}

#[test]
fn nothing_is_charged_until_all_keys_let_it_pass() {
    let bench = bench(vec![rate(5)]);
    assert!(come(&bench.joined(&BOTH, Ask::new(2), noop())));
    assert_eq!(bench.left(), [3, 3]);
    bench.spend("x", 2);
    bench.spend("y", 3);
    let (place, wait) = bench.joins(&BOTH, Ask::new(3));
    assert_eq!((wait, bench.left()), (Some(3 * SECOND), [1, 0]), "the latest of its keys' times");
    bench.advance(2);
    assert_eq!(waits(bench.looks(&BOTH, place)).1, Some(SECOND));
    assert_eq!(bench.left(), [3, 2]);
    assert!(!bench.limiter.try_acquire(b"x", 1).unwrap(), "three are there, and it does not overtake");
    bench.advance(1);
    assert!(come(&bench.looks(&BOTH, place)));
    assert_eq!(bench.left(), [1, 0]);
    assert!(matches!(bench.looks(&BOTH, place).turn, Turn::Gone), "once");
    assert!(bench.limiter.try_acquire(b"x", 1).unwrap(), "nobody waits any more");
    assert_eq!((bench.limiter.stats().allowed, bench.limiter.stats().denied), (5, 1));
}

#[test]
fn overlapping_sets_in_opposite_orders_pass_in_the_order_of_arrival() {
    let bench = bench(vec![rate(1)]);
    bench.spend_each(&["x", "y", "z"]);
    let sets = [["x", "y"], ["y", "z"], ["z", "x"], ["y", "x"]];
    let bells: [Arc<Bell>; 4] = Default::default();
    let places: Vec<Place> = sets
        .iter()
        .zip(&bells)
        .map(|(keys, bell)| waits(bench.joined(keys, Ask::new(1), bell.clone().into())).0)
        .collect();
    for (number, keys) in sets.iter().enumerate() {
        bench.advance(1);
        for (later, keys) in sets.iter().enumerate().skip(number + 1).rev() {
            waits(bench.looks(keys, places[later]));
        }
        assert!(come(&bench.looks(keys, places[number])), "{number}");
        assert!(bells.get(number + 1).is_none_or(|next| next.rung() > 0), "the new head is woken");
    }
}

#[test]
fn priority_comes_before_arrival_in_every_line() {
    let bench = bench(vec![rate(1)]);
    bench.spend_each(&BOTH);
    let (low, _) = bench.joins(&BOTH, Ask::new(1).priority(5).unwrap());
    let (high, _) = bench.joins(&["y", "x"], Ask::new(1));
    let Turn::Wait(last, _) = bench.joins_one("y", Ask::new(1).priority(6).unwrap(), noop()) else { panic!("behind") };
    bench.advance(1);
    waits(bench.looks(&BOTH, low));
    assert!(come(&bench.looks(&["y", "x"], high)));
    bench.advance(1);
    assert!(!bench.has_come("y", last));
    assert!(come(&bench.looks(&BOTH, low)));
    bench.advance(1);
    assert!(bench.has_come("y", last));
}

#[test]
fn those_behind_wait_for_it_also_where_their_key_is_free() {
    let bench = bench(vec![rate(2)]);
    bench.spend("y", 2);
    let bell = Arc::<Bell>::default();
    let (place, wait) = waits(bench.joined(&BOTH, Ask::new(1), bell.clone().into()));
    assert_eq!(wait, Some(SECOND));
    let behind = Arc::<Bell>::default();
    let Turn::Wait(single, None) = bench.joins_one("x", Ask::new(1), behind.clone().into()) else { panic!("behind") };
    assert!(!bench.has_come("x", single) && !bench.limiter.try_acquire(b"x", 1).unwrap());
    assert_eq!(bell.rung(), 0, "others that look do not wake it");
    assert!(bench.limiter.leave_all(&BOTH, place).unwrap() && !bench.limiter.leave_all(&BOTH, place).unwrap());
    assert_eq!(behind.rung(), 1, "who leaves serves those behind");
    assert!(bench.has_come("x", single));
    assert_eq!(bench.left(), [1, 0], "and took nothing");
}

#[test]
fn it_is_woken_when_a_turn_comes_sooner_and_not_for_the_time_it_knows() {
    let bench = bench(vec![rate(10)]);
    bench.spend("x", 10);
    bench.spend("y", 10);
    let bell = Arc::<Bell>::default();
    bench.spend("z", 10);
    let keys = ["x", "y"];
    let (place, wait) = waits(bench.joined(&keys, Ask::new(3), bell.clone().into()));
    assert_eq!(wait, Some(3 * SECOND));
    bench.limiter.drain(b"y", 0, None).unwrap();
    bench.limiter.block(b"y", 9 * SECOND).unwrap();
    let Turn::Wait(behind, _) = bench.joins_one("x", Ask::new(1), noop()) else { panic!("behind") };
    bench.advance(4);
    assert_eq!(waits(bench.looks(&keys, place)).1, Some(5 * SECOND), "what came later is learned by looking");
    bell.rung();
    for _ in 0..4 {
        bench.advance(1);
        assert!(!bench.has_come("x", behind));
    }
    assert_eq!(bell.rung(), 0, "its time in one of its lines has passed, and it knows the other's");
    bench.limiter.block(b"y", 0).unwrap();
    assert_eq!(bell.rung(), 1);
    assert!(come(&bench.looks(&keys, place)));
}

#[test]
fn what_cannot_be_is_told_at_once_and_leaves_no_trace() {
    let bench = bench(vec![rate(10)]);
    bench.puts_under("narrow", vec![rate(4)]);
    let never = bench.joined(&["x", "narrow"], Ask::new(5), noop());
    assert!(matches!((&never.turn, never.denied_by), (Turn::Never, Some(1))), "{never:?}");
    assert_eq!(bench.limiter.len(), 0, "and makes nothing");
    let too_small = bench.limiter.too_small(b"narrow", Ask::new(5), bench.limiter.default_class()).unwrap();
    assert_eq!(too_small.map(|(limit, n)| (limit.capacity(), n)), Some((4, 5)));

    bench.spend("x", 8);
    bench.spend("y", 10);
    let ask = |n, seconds| Ask::new(n).timeout_ns(Some(seconds * SECOND));
    let late = bench.joined(&BOTH, ask(4, 3), noop());
    assert!(matches!((&late.turn, late.denied_by), (Turn::TooLate(wait), Some(1)) if *wait == 4 * SECOND), "{late:?}");
    assert_eq!(bench.left(), [2, 0]);
    bench.spend("x", 1); // nobody is in its line
    let (first, _) = bench.joins(&BOTH, ask(4, 4));
    let late = bench.joined(&["y", "x"], ask(1, 4), noop());
    assert!(matches!(late.turn, Turn::TooLate(wait) if wait == 5 * SECOND), "behind the four: {late:?}");
    assert!(bench.limiter.leave_all(&BOTH, first).unwrap());
    bench.joins(&["y", "x"], ask(1, 1));
}

#[test]
fn bad_keys_are_refused_wherever_they_are_given() {
    let bench = bench(vec![rate(1)]);
    bench.spend_each(&BOTH);
    let class = bench.limiter.default_class();
    let (place, _) = bench.joins(&BOTH, Ask::new(1));
    let long = "k".repeat(tollbar::MAX_KEY_LEN + 1);
    for (keys, message) in [
        (vec![], "keys must be at least one, not none"),
        (vec!["x", "y", "x"], "keys must be different from each other, not x"),
        (vec!["x", &long], "key must be at most 1048576 bytes, not 1048577"),
    ] {
        let joined = bench.limiter.join_all(&keys, Ask::new(1), |_| class, noop()).map(|_| ());
        let looked = bench.limiter.look_all(&keys, |_| class, place).map(|_| ());
        let left = bench.limiter.leave_all(&keys, place).map(|_| ());
        for refused in [joined, looked, left] {
            assert_eq!(refused.unwrap_err().to_string(), message);
        }
    }
    let unknown = Cost::new(1).with([(Arc::from("no such limit"), 2)]);
    assert!(bench.limiter.join_all(&BOTH, Ask::new(1).costs(&unknown), |_| class, noop()).is_err());
    for holding in [Ask::new(1).holding(None, false).unwrap(), Ask::new(1).holding_in_flight()] {
        let refused = bench.limiter.join_all(&BOTH, holding, |_| class, noop()).unwrap_err();
        assert_eq!(refused.to_string(), "keys must be one where a reservation is asked for, not several");
    }
    bench.advance(1);
    assert!(come(&bench.looks(&BOTH, place)), "it still stands where it stood");
}

#[test]
fn a_deadline_that_passes_is_told_and_all_lines_are_left() {
    let bench = bench(vec![rate(2)]);
    bench.spend("x", 2);
    let ask = Ask::new(1).timeout_ns(Some(2 * SECOND));
    let (place, _) = bench.joins(&BOTH, ask);
    bench.limiter.block(b"x", 5 * SECOND).unwrap();
    let behind = Arc::<Bell>::default();
    let Turn::Wait(single, _) = bench.joins_one("y", Ask::new(1), behind.clone().into()) else { panic!("behind") };
    bench.advance(2);
    let late = bench.looks(&BOTH, place);
    assert!(matches!((&late.turn, late.denied_by), (Turn::TooLate(wait), Some(0)) if *wait == 3 * SECOND), "{late:?}");
    assert!(matches!(bench.looks(&BOTH, place).turn, Turn::Gone) && behind.rung() == 1);
    assert!(bench.has_come("y", single));

    // Exactly at the deadline a turn that has come counts.
    bench.limiter.block(b"x", 0).unwrap();
    bench.spend("x", 2);
    let (place, _) = bench.joins(&BOTH, ask);
    bench.advance(2);
    assert!(come(&bench.looks(&BOTH, place)));
}

#[test]
fn others_that_look_pass_over_one_whose_deadline_is_over() {
    let bench = bench(vec![rate(2)]);
    bench.spend("x", 2);
    bench.spend("y", 2);
    let bell = Arc::<Bell>::default();
    let ask = Ask::new(2).timeout_ns(Some(2 * SECOND));
    let (place, _) = waits(bench.joined(&BOTH, ask, bell.clone().into()));
    let Turn::Wait(single, _) = bench.joins_one("x", Ask::new(1), noop()) else { panic!("behind") };
    bench.limiter.drain(b"x", 0, None).unwrap();
    bench.limiter.block(b"x", 3 * SECOND).unwrap();
    bench.advance(2);
    assert_eq!(bell.rung(), 1, "its time is over");
    assert!(!bench.has_come("x", single));
    assert_eq!(bell.rung(), 1, "it is told to look");
    bench.advance(1);
    assert!(bench.has_come("x", single), "and does not hold up who is behind");
    assert!(matches!(bench.looks(&BOTH, place).turn, Turn::TooLate(_)));
    assert!(bench.limiter.try_acquire(b"y", 1).unwrap(), "it has left both lines");
}

#[test]
fn changes_of_the_limits_reach_it() {
    let bench = bench(vec![rate(1)]);
    let bell = Arc::<Bell>::default();
    bench.spend_each(&BOTH);
    let (place, _) = waits(bench.joined(&BOTH, Ask::new(1), bell.clone().into()));
    bench.puts_under("x", vec![rate(2)]);
    assert_eq!(bell.rung(), 1, "x would let it pass");
    waits(bench.looks(&BOTH, place));
    assert!(bench.limiter.reset(b"y").unwrap());
    assert_eq!(bell.rung(), 1);
    assert!(come(&bench.looks(&BOTH, place)));

    let (place, _) = waits(bench.joined(&BOTH, Ask::new(1), bell.clone().into()));
    let Turn::Wait(single, _) = bench.joins_one("x", Ask::new(1), noop()) else { panic!("behind") };
    bench.puts_under("x", vec![]);
    assert_eq!(bell.rung(), 1, "nothing limits x any more");
    assert_eq!(waits(bench.looks(&BOTH, place)).1, Some(SECOND), "so it waits for y alone");
    assert!(bench.has_come("x", single) && bench.limiter.try_acquire(b"x", 9).unwrap());
    // Limits again: it has its old place, before those who came later.
    bench.puts_under("x", vec![rate(1)]);
    bench.limiter.drain(b"x", 0, None).unwrap();
    let Turn::Wait(later, _) = bench.joins_one("x", Ask::new(1), noop()) else { panic!("drained") };
    waits(bench.looks(&BOTH, place));
    bench.advance(1);
    assert!(!bench.has_come("x", later));
    assert!(come(&bench.looks(&BOTH, place)));

    bench.advance(1);
    assert!(bench.has_come("x", later));
    let (place, _) = bench.joins(&BOTH, Ask::new(1));
    bench.limiter.set_limits(Policy::all([rate(3)]).unwrap(), Migration::Reset).unwrap();
    bench.limiter.follow_default(b"x", Migration::Reset).unwrap();
    assert!(come(&bench.looks(&BOTH, place)));
    bench.spend("x", 2);
    bench.spend("y", 2);
    let (place, _) = bench.joins(&BOTH, Ask::new(2));
    bench.limiter.set_limits(Policy::all([rate(1)]).unwrap(), Migration::AsIs).unwrap();
    assert!(matches!(bench.looks(&BOTH, place).turn, Turn::Never));
    assert!(matches!(bench.looks(&BOTH, place).turn, Turn::Gone));
}

#[test]
fn keys_that_nothing_limits_do_not_wait() {
    let bench = bench(vec![]);
    bench.puts_under("x", vec![rate(1)]);
    bench.spend("x", 1);
    let (place, wait) = bench.joins(&["free", "x"], Ask::new(1));
    assert_eq!(wait, Some(SECOND));
    assert!(bench.limiter.try_acquire(b"free", 5).unwrap(), "nobody waits for it");
    bench.advance(1);
    assert!(come(&bench.looks(&["free", "x"], place)));
    assert!(come(&bench.joined(&["free", "also"], Ask::new(1), noop())));
    bench.spend("free", 1);
    bench.limiter.block(b"free", 3 * SECOND).unwrap();
    let (place, wait) = bench.joins(&["free", "also"], Ask::new(1));
    assert_eq!(wait, Some(3 * SECOND), "but for a block");
    bench.advance(3);
    assert!(come(&bench.looks(&["free", "also"], place)));
}

#[test]
fn costs_go_by_limit_and_a_wait_is_no_denial() {
    let jail = Limit::jail(Jail::new(1, 60 * SECOND, 60 * SECOND).unwrap()).unwrap();
    let bytes = Limit::window(100, 10 * SECOND, Edge::HalfOpen).unwrap().named("bytes");
    let bench = bench(vec![rate(2).named("requests"), bytes, jail]);
    let cost = Cost::new(1).with([(Arc::from("bytes"), 60)]);
    assert!(come(&bench.joined(&BOTH, Ask::new(0).costs(&cost), noop())));
    let (place, wait) = bench.joins(&BOTH, Ask::new(0).costs(&cost));
    assert_eq!(wait, Some(10 * SECOND));
    assert!(come(&bench.joined(&BOTH, Ask::new(0), noop())), "what costs nothing does not wait");
    bench.advance(10);
    assert!(come(&bench.looks(&BOTH, place)), "no jail has counted it");
    let more = Cost::new(1).with([(Arc::from("bytes"), 101)]);
    assert!(matches!(bench.joined(&BOTH, Ask::new(0).costs(&more), noop()).turn, Turn::Never));
}

#[test]
fn a_full_table_answers_as_declared() {
    for (when_full, passes) in [(WhenFull::Deny, false), (WhenFull::Allow, true)] {
        let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
        let builder = Limiter::builder(Policy::all([rate(5)]).unwrap()).max_keys(2).when_full(when_full);
        let limiter = builder.clock(clock).build().unwrap();
        assert!(limiter.try_acquire_all(&BOTH, 1).unwrap().decision.allowed);
        let class = limiter.default_class();
        let join = |keys: &[&str]| limiter.join_all(keys, Ask::new(1), |_| class, noop()).unwrap();
        let joint = join(&["x", "stranger"]);
        assert_eq!((come(&joint), joint.denied_by), (passes, (!passes).then_some(1)), "{joint:?}");
        assert_eq!(limiter.peek(b"x", 0).unwrap().remaining, if passes { 3 } else { 4 });
        assert_eq!(come(&join(&["p", "q"])), passes);
        assert_eq!(limiter.stats().allowed, 1 + 2 * u64::from(passes));
    }
}
