//! Waiters by a manual clock: a move of it wakes each waiter whose time has come, and no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use tollbar::{Ask, Clock, Cost, Limit, Limiter, ManualClock, Migration, NEVER, Pacer, Place, Policy, Rate, Turn};

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

/// Lets other threads run until something is so; fails after a minute.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn parked_threads_come_when_the_clock_moves() {
    const HOUR: u64 = 3_600 * SECOND;
    let (limiter, clock) = limiter(vec![Limit::rate(Rate::new(1, HOUR)).unwrap()]);
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let (done, came) = mpsc::channel();
    for number in 0..3_u64 {
        let (waiter, done) = (limiter.clone(), done.clone());
        let ask = Ask::new(1).timeout_ns((number == 2).then_some(5 * HOUR));
        std::thread::spawn(move || {
            let turn = waiter.acquire_blocking(KEY, ask).unwrap();
            done.send((number, matches!(turn, Turn::Come(None)))).unwrap();
        });
        // The next one joins behind it.
        let line = || join(&limiter, Ask::new(1).timeout_ns(Some(0)), &Arc::default());
        soon("it waits", || matches!(line(), Turn::TooLate(wait) if wait == (number + 2) * HOUR));
    }
    for number in 0..3 {
        soon("the head has a timer", || clock.until_next_ns() == Some(HOUR));
        clock.advance_ns(HOUR.cast_signed());
        let next = came.recv_timeout(Duration::from_secs(60)).expect("the clock wakes it");
        assert_eq!(next, (number, true));
    }
}

#[test]
fn a_paced_thread_comes_when_the_clock_moves() {
    const MARGIN: u64 = 1_000_000;
    let clock = Arc::new(ManualClock::new(0, 0));
    let pacer = Arc::new(Pacer::new(1, 3_600 * SECOND, Clock::Manual(clock.clone())).unwrap());
    let first = pacer.try_acquire(KEY).unwrap().unwrap();
    pacer.end(KEY, first, true).unwrap();
    let (done, came) = mpsc::channel();
    let waiter = pacer.clone();
    std::thread::spawn(move || done.send(waiter.acquire_blocking(KEY, None).unwrap()));
    soon("it waits", || clock.until_next_ns().is_some());
    assert_eq!(clock.until_next_ns(), Some(3_600 * SECOND + MARGIN));
    clock.advance_ns((3_600 * SECOND + MARGIN).cast_signed());
    assert!(came.recv_timeout(Duration::from_secs(60)).expect("the clock wakes it").is_ok());
    assert_eq!(pacer.stats(KEY).unwrap().waiting, 0);
}

#[test]
fn a_move_of_the_clock_wakes_the_head_and_passed_deadlines_alone() {
    let (limiter, clock) = limiter(vec![rate(1)]);
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let bells: Vec<Arc<Bell>> = (0..3).map(|_| Arc::default()).collect();
    let big = Ask::new(1);
    let head = waits(join(&limiter, big, &bells[0])).0;
    let timed = big.timeout_ns(Some(10 * SECOND));
    let behind = waits(join(&limiter, timed, &bells[1])).0;
    let last = waits(join(&limiter, big, &bells[2])).0;
    let rung = || bells.iter().map(|bell| bell.rung()).collect::<Vec<_>>();
    rung();
    clock.advance_ns(SECOND.cast_signed() - 1);
    assert_eq!(rung(), [0, 0, 0]);
    clock.advance_ns(1);
    assert_eq!(rung(), [1, 0, 0]);
    // A waiter that does not look keeps its place, and is not woken again.
    clock.advance_ns(8 * SECOND.cast_signed());
    assert_eq!(rung(), [0, 0, 0]);
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!(rung(), [0, 1, 0]);
    for place in [head, behind, last] {
        assert!(limiter.leave(KEY, place).unwrap());
    }
    rung();
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!(rung(), [0, 0, 0], "the clock forgets waiters that left");
    assert!(bells.iter().all(|bell| Arc::strong_count(bell) == 1));
}

#[test]
fn a_step_back_of_the_clock_lets_a_waiter_look_again() {
    let (limiter, clock) = limiter(vec![rate(1)]);
    clock.advance_ns(100 * SECOND.cast_signed());
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let bell = Arc::default();
    let (place, _) = waits(join(&limiter, Ask::new(1), &bell));
    clock.advance_ns(-90 * SECOND.cast_signed());
    assert_eq!(bell.rung(), 1);
    assert_eq!(limiter.look(KEY, Ask::new(1), place).map(waits).unwrap().1, Some(SECOND), "by the limit as it is now");
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!(bell.rung(), 1);
    assert!(has_come(&limiter, Ask::new(1), place));
}

#[test]
fn the_clock_wakes_a_waiter_by_the_limit_that_its_costs_wait_for() {
    let bytes = Limit::rate(Rate::new(10, SECOND).burst(100)).unwrap().named("bytes");
    let (limiter, clock) = limiter(vec![rate(5), bytes]);
    let (big, small) = (Cost::new(1).with([("bytes", 60)]), Cost::new(1).with([("bytes", 1)]));
    assert!(limiter.try_acquire_as(KEY, big.clone(), limiter.default_class()).unwrap());
    let (ask, next) = (Ask::new(1).costs(&big), Ask::new(1).costs(&small));
    let (bell, behind) = (Arc::default(), Arc::default());
    let (place, nanos) = waits(join(&limiter, ask, &bell));
    let second = waits(join(&limiter, next, &behind)).0;
    assert_eq!((nanos, clock.until_next_ns()), (Some(2 * SECOND), Some(2 * SECOND)), "20 of 60 bytes are missing");
    clock.advance_ns(2 * SECOND.cast_signed() - 1);
    assert_eq!(bell.rung(), 0);
    clock.advance_ns(1);
    assert_eq!(bell.rung(), 1);
    assert!(has_come(&limiter, ask, place));
    assert_eq!(behind.rung(), 1, "it is the head now");
    assert_eq!(limiter.look(KEY, next, second).map(waits).unwrap().1, Some(SECOND / 10));
    clock.advance_ns(SECOND.cast_signed() / 10);
    assert_eq!(behind.rung(), 1);
    assert!(has_come(&limiter, next, second));
}

#[test]
fn the_clock_wakes_a_waiter_when_a_lease_is_over() {
    let (limiter, clock) = limiter(vec![Limit::in_flight(1).unwrap()]);
    let held = limiter.reserve(KEY, 1, Some(10 * SECOND), true).unwrap();
    let (bell, ask) = (Arc::default(), Ask::new(1).holding(Some(SECOND), true).unwrap());
    let (place, nanos) = waits(join(&limiter, ask, &bell));
    assert_eq!((nanos, clock.until_next_ns()), (Some(10 * SECOND), Some(10 * SECOND)));
    clock.advance_ns(5 * SECOND.cast_signed());
    assert!(held.renew(Some(20 * SECOND)).unwrap());
    clock.advance_ns(5 * SECOND.cast_signed());
    assert!(bell.rung() > 0, "the old end has come");
    assert_eq!(limiter.look(KEY, ask, place).map(waits).unwrap().1, Some(15 * SECOND), "the new end has not");
    clock.advance_ns(5 * SECOND.cast_signed());
    assert!(held.renew(Some(SECOND)).unwrap());
    assert_eq!(bell.rung(), 1, "a lease that ends sooner lets it look");
    assert_eq!(limiter.look(KEY, ask, place).map(waits).unwrap().1, Some(SECOND));
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!(bell.rung(), 1);
    let turn = limiter.look(KEY, ask, place).unwrap();
    let Turn::Come(Some(mine)) = turn else { panic!("{turn:?}") };
    assert!(mine.is_open() && !limiter.try_acquire(KEY, 1).unwrap(), "it holds the place");
}

#[test]
fn behind_a_reservation_without_an_end_the_clock_wakes_for_deadlines_alone() {
    let (limiter, clock) = limiter(vec![Limit::in_flight(1).unwrap()]);
    let held = limiter.reserve(KEY, 1, None, false).unwrap();
    let (bell, timed) = (Arc::default(), Arc::default());
    let ask = Ask::new(1).holding_in_flight();
    let (place, nanos) = waits(join(&limiter, ask, &bell));
    assert_eq!((nanos, clock.until_next_ns()), (None, None));
    let (second, _) = waits(join(&limiter, ask.timeout_ns(Some(SECOND)), &timed));
    assert_eq!(clock.until_next_ns(), Some(SECOND));
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!((bell.rung(), timed.rung()), (0, 1));
    let turn = limiter.look(KEY, ask, second).unwrap();
    assert!(matches!(turn, Turn::TooLate(NEVER)), "{turn:?}");
    assert!(held.cancel());
    assert_eq!(bell.rung(), 1);
    let turn = limiter.look(KEY, ask, place).unwrap();
    assert!(matches!(turn, Turn::Come(Some(_))), "{turn:?}");
}

#[test]
fn limits_that_change_move_the_timer_of_a_waiter() {
    let (limiter, clock) = limiter(vec![rate(1)]);
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let (bell, ask) = (Arc::default(), Ask::new(1));
    let (place, _) = waits(join(&limiter, ask, &bell));
    let one_per = |seconds: u64| Policy::rate(Rate::new(1, seconds * SECOND)).unwrap();
    limiter.set_limits(one_per(4), Migration::Proportional).unwrap();
    clock.advance_ns(SECOND.cast_signed());
    assert_eq!(bell.rung(), 1, "at the old time");
    assert_eq!(limiter.look(KEY, ask, place).map(waits).unwrap().1, Some(3 * SECOND));
    limiter.set_limits(one_per(2), Migration::Proportional).unwrap();
    assert_eq!(bell.rung(), 1, "a turn that comes sooner lets it look");
    assert_eq!(limiter.look(KEY, ask, place).map(waits).unwrap().1, Some(3 * SECOND / 2));
    clock.advance_ns(3 * SECOND.cast_signed() / 2 - 1);
    assert_eq!(bell.rung(), 0);
    clock.advance_ns(1);
    assert_eq!(bell.rung(), 1);
    assert!(has_come(&limiter, ask, place));
}

#[test]
fn what_never_passes_leaves_no_waiter_in_the_clock() {
    let (limiter, clock) = limiter(vec![rate(5)]);
    let bell = Arc::default();
    assert!(matches!(join(&limiter, Ask::new(6), &bell), Turn::Never));
    assert!(limiter.try_acquire(KEY, 5).unwrap());
    let (place, _) = waits(join(&limiter, Ask::new(5), &bell));
    limiter.set_limits(Policy::rate(Rate::new(1, SECOND).burst(2)).unwrap(), Migration::AsIs).unwrap();
    assert!(matches!(limiter.look(KEY, Ask::new(5), place).unwrap(), Turn::Never));
    assert_eq!((clock.until_next_ns(), Arc::strong_count(&bell)), (None, 1));
}

#[test]
fn a_move_of_the_clock_wakes_whoever_waits_for_several_keys() {
    let (limiter, clock) = limiter(vec![rate(1)]);
    let (keys, class) = ([b"a", b"b"], limiter.default_class());
    assert_eq!(limiter.try_acquire_many(&keys, 1).unwrap(), [true, true]);
    clock.advance_ns(SECOND.cast_signed());
    limiter.drain(b"b", 0, None).unwrap();
    let bell = Arc::new(Bell::default());
    let joint = limiter.join_all(&keys, Ask::new(1), |_| class, Waker::from(bell.clone())).unwrap();
    let (place, nanos) = waits(joint.turn);
    assert_eq!((nanos, bell.rung()), (Some(SECOND), 0), "as long as the last of its keys");
    clock.advance_ns((SECOND / 2).cast_signed());
    assert_eq!(bell.rung(), 0);
    clock.advance_ns((SECOND / 2).cast_signed());
    assert!(bell.rung() > 0);
    assert!(matches!(limiter.look_all(&keys, |_| class, place).unwrap().turn, Turn::Come(None)));
    clock.advance_ns(SECOND.cast_signed());
    let waiting = limiter.clone();
    let thread = std::thread::spawn(move || waiting.acquire_all_blocking(&[b"a", b"b"], Ask::new(1)).unwrap().turn);
    assert!(matches!(thread.join().unwrap(), Turn::Come(None)));
    let waiting = limiter.clone();
    let thread = std::thread::spawn(move || waiting.acquire_all_blocking(&[b"b", b"a"], Ask::new(1)).unwrap().turn);
    soon("the thread waits in both lines", || !limiter.peek(b"a", 1).unwrap().allowed);
    // Whenever it joins, a move of the clock reaches it.
    soon("the thread is through", || {
        clock.advance_ns(SECOND.cast_signed());
        thread.is_finished()
    });
    assert!(matches!(thread.join().unwrap(), Turn::Come(None)));
}
