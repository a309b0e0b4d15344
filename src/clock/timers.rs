//! Waiters by a [`ManualClock`]: each has a timer at most, and a move of the clock wakes those whose time has come.
//!
//! A waiter that is told to look after some time parks without a timeout. Nothing is missed: a timer is set under the lock,
//! and then the clock is read; a move changes the reading first, and then takes the lock.
//!
//! The lock is held for map operations alone. No waker is cloned, woken or dropped under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::{Clock, ManualClock};
use crate::sync::Mutex;

/// The number of a waiter in its clock; 0 for those whose clock wakes no waiters.
pub(crate) type WaiterId = u64;

/// The waiters of one clock, and the times that they wait for.
pub(super) struct Timers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ids: WaiterId,
    waiters: BTreeMap<WaiterId, Entry>,
    due: BTreeSet<(u64, WaiterId)>,
}

#[derive(Debug)]
struct Entry {
    waiter: Weak<Waiter>,
    /// Waiters from before a fork are in another process.
    process: u32,
    due: Option<u64>,
}

/// A waiter's waker. It leaves the clock when the last queue forgets it.
#[derive(Debug)]
struct Waiter {
    waker: Waker,
    clock: Arc<ManualClock>,
    id: WaiterId,
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.waker.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.waker.wake_by_ref();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.clock.timers.0.lock();
        state.set(self.id, None);
        state.waiters.remove(&self.id);
    }
}

impl State {
    /// Sets the timer of a waiter that is there.
    fn set(&mut self, id: WaiterId, due: Option<u64>) {
        let Some(entry) = self.waiters.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.due, due);
        before.map(|before| self.due.remove(&(before, id)));
        due.map(|due| self.due.insert((due, id)));
    }

    /// Ends the timers that are due at `now` and returns their waiters.
    fn take(&mut self, now: u64) -> Vec<Arc<Waiter>> {
        let process = std::process::id();
        let mut taken = Vec::new();
        while let Some(&(due, id)) = self.due.first().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, id));
            let Some(entry) = self.waiters.get_mut(&id) else { continue };
            entry.due = None;
            if entry.process == process {
                taken.extend(entry.waiter.upgrade());
            }
        }
        taken
    }
}

impl Timers {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    /// Wakes the waiters whose timers are due at `now`.
    pub(super) fn wake(&self, now: u64) {
        let due = self.0.lock().take(now);
        due.iter().for_each(Wake::wake_by_ref);
    }

    /// The earliest time that a waiter of this process waits for.
    pub(super) fn next(&self) -> Option<u64> {
        let process = std::process::id();
        let state = self.0.lock();
        let is_here = |id| state.waiters.get(id).is_some_and(|entry| entry.process == process);
        state.due.iter().find(|(_, id)| is_here(id)).map(|(due, _)| *due)
    }
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").finish_non_exhaustive()
    }
}

/// The time as a waiter reads it before it asks how long it has to wait.
#[derive(Debug)]
pub(crate) struct Glance<'a>(Option<(&'a ManualClock, u64)>);

impl Glance<'_> {
    /// Sets the waiter's timer: `nanos` after the glance, or none. At once, if that time has come meanwhile.
    pub(crate) fn look_after(&self, id: WaiterId, nanos: Option<u64>) {
        let Some((clock, seen)) = self.0 else { return };
        let due = nanos.map(|nanos| seen.saturating_add(nanos));
        clock.timers.0.lock().set(id, due);
        if due.is_some_and(|due| due <= clock.now_ns()) {
            clock.timers.wake(clock.now_ns());
        }
    }
}

impl Clock {
    /// The waker that a queue is to have, and the waiter's number. A manual clock knows the waiter until that waker is dropped.
    pub(crate) fn watched(&self, waker: Waker) -> (Waker, WaiterId) {
        let Self::Manual(clock) = self else { return (waker, 0) };
        let mut state = clock.timers.0.lock();
        state.ids += 1;
        let (id, process) = (state.ids, std::process::id());
        let waiter = Arc::new(Waiter { waker, clock: clock.clone(), id });
        state.waiters.insert(id, Entry { waiter: Arc::downgrade(&waiter), process, due: None });
        (waiter.into(), id)
    }

    /// To be taken before a waiter asks how long it has to wait.
    pub(crate) fn glance(&self) -> Glance<'_> {
        Glance(if let Self::Manual(clock) = self { Some((clock, clock.now_ns())) } else { None })
    }

    /// What a waiter sets its own timer to that is told to look after `nanos`: nothing with a manual clock, which wakes it. An
    /// external clock's source may count in floats, which a nanosecond does not move, so it gets a microsecond at least.
    #[must_use]
    pub fn timer_ns(&self, nanos: Option<u64>) -> Option<u64> {
        match self {
            Self::Monotonic => nanos,
            Self::Manual(_) => None,
            Self::External(_) => nanos.map(|nanos| nanos.max(1_000)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn clock() -> (Arc<ManualClock>, Clock) {
        let manual = Arc::new(ManualClock::new(1_000, 0));
        (manual.clone(), Clock::Manual(manual))
    }

    fn known(manual: &ManualClock) -> (usize, usize) {
        let state = manual.timers.0.lock();
        (state.waiters.len(), state.due.len())
    }

    #[test]
    fn a_move_wakes_due_timers_once() {
        let (manual, clock) = clock();
        let bells: [Arc<Bell>; 3] = Default::default();
        let waiters: Vec<_> = bells.iter().map(|bell| clock.watched(bell.clone().into())).collect();
        for ((_, id), after) in waiters.iter().zip([Some(10), Some(20), None]) {
            clock.glance().look_after(*id, after);
        }
        let rung = || bells.each_ref().map(|bell| bell.0.load(Ordering::SeqCst));
        manual.advance_ns(9);
        assert_eq!((rung(), manual.until_next_ns()), ([0, 0, 0], Some(1)));
        manual.advance_ns(1);
        assert_eq!((rung(), manual.until_next_ns()), ([1, 0, 0], Some(10)));
        manual.advance_ns(1_000);
        assert_eq!((rung(), manual.until_next_ns()), ([1, 1, 0], None));
    }

    #[test]
    fn a_step_back_wakes_every_timer() {
        let (manual, clock) = clock();
        let bell = Arc::<Bell>::default();
        let (_waker, id) = clock.watched(bell.clone().into());
        clock.glance().look_after(id, Some(1_000_000));
        manual.advance_ns(-1);
        assert_eq!((bell.0.load(Ordering::SeqCst), known(&manual)), (1, (1, 0)));
    }

    #[test]
    fn a_move_between_glance_and_timer_is_not_missed() {
        let (manual, clock) = clock();
        let bell = Arc::<Bell>::default();
        let (_waker, id) = clock.watched(bell.clone().into());
        let glance = clock.glance();
        manual.advance_ns(50);
        glance.look_after(id, Some(60));
        assert_eq!(bell.0.load(Ordering::SeqCst), 0, "ten are left");
        glance.look_after(id, Some(50));
        assert_eq!((bell.0.load(Ordering::SeqCst), known(&manual)), (1, (1, 0)));
    }

    #[test]
    fn the_clock_forgets_a_waiter_with_its_last_waker() {
        let (manual, clock) = clock();
        let bell = Arc::<Bell>::default();
        let (waker, id) = clock.watched(bell.clone().into());
        clock.glance().look_after(id, Some(10));
        let clone = waker.clone();
        drop(waker);
        assert_eq!((known(&manual), Arc::strong_count(&bell)), ((1, 1), 2));
        drop(clone);
        assert_eq!((known(&manual), Arc::strong_count(&bell)), ((0, 0), 1));
        manual.advance_ns(10);
        assert_eq!(bell.0.load(Ordering::SeqCst), 0);
    }

    /// A waker that moves, reads and joins its own clock while it is woken: a lock that is held would end in a deadlock.
    struct Meddler(Clock, AtomicUsize);

    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            let Clock::Manual(manual) = &self.0 else { return };
            if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
                manual.advance_ns(1);
                drop(self.0.watched(Waker::noop().clone()));
            }
        }
    }

    #[test]
    fn wakers_run_without_the_clocks_lock() {
        let (manual, clock) = clock();
        let meddler = Arc::new(Meddler(clock.clone(), AtomicUsize::new(0)));
        let (_waker, id) = clock.watched(meddler.clone().into());
        let woken = std::thread::spawn(move || {
            clock.glance().look_after(id, Some(5));
            manual.advance_ns(5);
        });
        let start = std::time::Instant::now();
        while !woken.is_finished() {
            assert!(start.elapsed().as_secs() < 60, "a deadlock");
            std::thread::yield_now();
        }
        assert_eq!(meddler.1.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_clock_that_moves_itself_leaves_timers_to_its_waiters() {
        assert_eq!(Clock::Monotonic.timer_ns(Some(5)), Some(5));
        assert_eq!(Clock::External(Arc::default()).timer_ns(Some(5)), Some(1_000));
        assert_eq!(Clock::External(Arc::default()).timer_ns(Some(5_000)), Some(5_000));
        assert_eq!(clock().1.timer_ns(Some(5)), None);
        assert_eq!(Clock::Monotonic.watched(Waker::noop().clone()).1, 0);
    }
}
