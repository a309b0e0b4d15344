//! A waker and a closure of the caller may call the limiter again, for the same key: no lock is held while they run.
//!
//! Each case runs in a thread of its own with a time limit, because a deadlock is how it fails.
#![allow(unsafe_code)] // a waker whose `clone` is the test's own code needs a table of functions

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use tollbar::history::{Plan, SendHistory};
use tollbar::pacing::{self, Pacer};
use tollbar::{Ask, Clock, Limiter, ManualClock, Migration, Policy, Rate, Turn};

const SECOND: u64 = 1_000_000_000;
const KEY: &[u8] = b"a";

/// Fails the test where `case` does not end.
fn ends(case: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let running = std::thread::spawn(move || {
        case();
        let _ = done.send(());
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_secs(60)) {
        panic!("it called back under a lock, and waits for itself");
    }
    running.join().unwrap();
}

/// What a waker calls on `clone`, `wake` and `drop`, and how often it did.
struct Back {
    call: Box<dyn Fn() + Send + Sync>,
    calls: AtomicUsize,
}

impl Back {
    fn new(call: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { call: Box::new(call), calls: AtomicUsize::new(0) })
    }

    fn call(&self) {
        (self.call)();
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    fn waker(self: &Arc<Self>) -> Waker {
        // SAFETY: the pointer is that of an `Arc`, whose count the functions below keep as the contract of `RawWaker` asks.
        unsafe { Waker::from_raw(raw(self.clone())) }
    }
}

fn raw(back: Arc<Back>) -> RawWaker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, gone);
    RawWaker::new(Arc::into_raw(back).cast(), &TABLE)
}

unsafe fn taken(data: *const ()) -> Arc<Back> {
    // SAFETY: `raw` made the pointer, and the caller owns one count of it.
    unsafe { Arc::from_raw(data.cast()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps its own count.
    let back = std::mem::ManuallyDrop::new(unsafe { taken(data) });
    back.call();
    raw(Arc::clone(&back))
}

unsafe fn wake(data: *const ()) {
    // SAFETY: waking by value gives the count away.
    unsafe { taken(data) }.call();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker keeps its count.
    std::mem::ManuallyDrop::new(unsafe { taken(data) }).call();
}

unsafe fn gone(data: *const ()) {
    // SAFETY: dropping gives the count away.
    unsafe { taken(data) }.call();
}

struct Case {
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    back: Arc<Back>,
}

impl Case {
    /// A limiter whose key waits, and a waker that asks for the same key.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(0, 0));
        let policy = Policy::rate(Rate::new(1, SECOND).burst(1)).unwrap();
        let builder = Limiter::builder(policy).clock(Clock::Manual(clock.clone()));
        let limiter = Arc::new(builder.build().unwrap());
        let asked = limiter.clone();
        let back = Back::new(move || {
            asked.try_acquire(KEY, 1).unwrap();
            asked.reserve(KEY, 0, Some(SECOND), true).unwrap();
        });
        Self { limiter, clock, back }
    }

    fn join(&self, ask: Ask) -> Turn {
        self.limiter.join(KEY, ask, self.limiter.default_class(), self.back.waker()).unwrap()
    }

    fn wait(&self, ask: Ask) -> tollbar::Place {
        let Turn::Wait(place, _) = self.join(ask) else { panic!("it has to wait") };
        place
    }
}

#[test]
fn a_refused_or_granted_waker_is_dropped_unlocked() {
    ends(|| {
        let case = Case::new();
        let held = Ask::new(1).holding(Some(SECOND), true).unwrap();
        assert!(matches!(case.join(held), Turn::Come(Some(_))));
        assert!(case.back.calls() > 0);
        let soon = Ask::new(1).timeout_ns(Some(1));
        case.limiter.try_acquire(KEY, 1).unwrap();
        assert!(matches!(case.join(soon), Turn::TooLate(_)));
        assert!(case.back.calls() > 0);
        assert!(matches!(case.join(Ask::new(2)), Turn::Never));
        assert!(case.back.calls() > 0);
    });
}

#[test]
fn wakers_are_cloned_woken_and_dropped_unlocked() {
    ends(|| {
        let case = Case::new();
        case.limiter.try_acquire(KEY, 1).unwrap();
        let ask = Ask::new(1);
        let places = [1, 2, 3].map(|group| case.wait(ask.group(group)));
        assert!(case.back.calls() >= 2, "a head of another group is woken");
        case.clock.advance_ns(SECOND.cast_signed());
        assert!(matches!(case.limiter.look(KEY, ask, places[0]).unwrap(), Turn::Come(None)));
        assert!(case.back.calls() > 0, "the new head is woken, and the old one dropped");
        assert!(case.limiter.leave(KEY, places[1]).unwrap());
        assert!(case.back.calls() > 0);
        assert!(case.limiter.reset(KEY).unwrap());
        assert!(case.back.calls() > 0, "whom a reset lets pass is woken");
    });
}

#[test]
fn waiters_of_a_key_without_a_limit_are_dropped_unlocked() {
    ends(|| {
        let case = Case::new();
        case.limiter.try_acquire(KEY, 1).unwrap();
        case.wait(Ask::new(1));
        let none = case.limiter.class(Policy::rate(Rate::new(1, SECOND)).unwrap().unlimited()).unwrap();
        assert!(case.limiter.reconfigure(KEY, none, Migration::AsIs).unwrap());
        assert!(case.back.calls() > 0);
    });
}

#[test]
fn wakers_of_those_who_wait_for_several_keys_are_woken_and_dropped_unlocked() {
    ends(|| {
        let case = Case::new();
        let (keys, class) = ([KEY, b"b"], case.limiter.default_class());
        let join = |ask| case.limiter.join_all(&keys, ask, |_| class, case.back.waker()).unwrap().turn;
        let look = |place| case.limiter.look_all(&keys, |_| class, place).unwrap().turn;
        let wait = |ask| if let Turn::Wait(place, _) = join(ask) { place } else { panic!("it has to wait") };
        assert!(matches!(join(Ask::new(1)), Turn::Come(None)));
        assert!(case.back.calls() > 0, "the waker that was not needed is dropped");
        assert!(matches!(join(Ask::new(2)), Turn::Never));
        assert!(case.back.calls() > 0);
        let places = [1, 2, 3].map(|group| wait(Ask::new(1).group(group)));
        assert!(case.back.calls() >= 2, "a head of another group is woken");
        assert!(matches!(join(Ask::new(1).timeout_ns(Some(1))), Turn::TooLate(_)));
        assert!(case.back.calls() > 0);
        case.clock.advance_ns(SECOND.cast_signed());
        assert!(matches!(look(places[0]), Turn::Come(None)));
        assert!(case.back.calls() > 0, "the new head is woken, and the old one dropped");
        assert!(case.limiter.leave_all(&keys, places[1]).unwrap());
        assert!(case.back.calls() > 0);
        assert!(case.limiter.reset(KEY).unwrap());
        assert!(case.back.calls() > 0, "whom a reset lets pass is woken");
    });
}

#[test]
fn a_pacers_wakers_are_cloned_woken_and_dropped_unlocked() {
    ends(|| {
        let clock = Arc::new(ManualClock::new(0, 0));
        let pacer = Arc::new(Pacer::new(1, SECOND, Clock::Manual(clock.clone())).unwrap());
        let asked = pacer.clone();
        let back = Back::new(move || {
            asked.stats(KEY).unwrap();
        });
        let permit = pacer.try_acquire(KEY).unwrap().unwrap();
        let join = |timeout| pacer.join(KEY, timeout, back.waker()).unwrap();
        assert!(matches!(join(Some(1)), pacing::Joined::TooLate(_)));
        assert!(back.calls() > 0, "the refused waker is dropped");
        let [first, second] = [join(None), join(None)].map(|joined| match joined {
            pacing::Joined::Waiting(ticket) => ticket,
            pacing::Joined::TooLate(_) => panic!("it has no timeout"),
        });
        assert!(matches!(pacer.look(KEY, first).unwrap(), pacing::Look::Wait(_)));
        back.calls();
        assert!(pacer.end(KEY, permit, true).unwrap());
        clock.advance_ns(10 * SECOND.cast_signed());
        assert!(matches!(pacer.look(KEY, first).unwrap(), pacing::Look::Granted(_)));
        assert!(back.calls() > 0, "the head is called, and dropped");
        assert!(pacer.leave(KEY, second).unwrap());
        assert!(back.calls() > 0);
    });
}

#[test]
fn a_closure_sees_a_history_unlocked() {
    ends(|| {
        let clock = Clock::Manual(Arc::new(ManualClock::new(0, SECOND)));
        let history = SendHistory::new(clock, Plan::Exact, None, false).unwrap();
        history.set_sent(KEY, vec![1]).unwrap();
        let lens = history.sent(KEY, |sent| {
            history.add_sent(KEY, 1).unwrap();
            (sent.len(), history.sent(KEY, tollbar::limit::Runs::len))
        });
        assert_eq!(lens, Some((1, Some(2))));
    });
}
