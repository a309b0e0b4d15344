//! Waiting one's turn without a callback: a thread parks, or a list of tokens tells which places to look at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::awaited::Awaited;
use super::guard::Fault;
use super::lanes::Inside;
use super::objects::{Held, Watch};
use super::types;
use crate::limiter::{Ask, JointTurn, Place, Reservation, Turn};
use crate::parker::Parker;
use crate::policy::Cost;

/// Tokens of those who shall look again, oldest first.
///
/// The lock is taken inside a lane alone, so that no fork leaves it locked in the child; who sleeps has left the lane.
#[derive(Default)]
pub(super) struct Wakeups {
    told: parking_lot::Mutex<Told>,
}

#[derive(Default)]
struct Told {
    tokens: VecDeque<u64>,
    closed: bool,
    /// Who sleeps until there is a token, and in which process.
    asleep: Vec<(u32, Arc<Parker>)>,
}

impl Told {
    /// Wakes one, if one sleeps here: those from before a fork sleep in another process.
    fn wake(&mut self) -> bool {
        let here = std::process::id();
        while let Some((process, parker)) = self.asleep.pop() {
            if process == here {
                Wake::wake(parker);
                return true;
            }
        }
        false
    }

    fn take(&mut self, mut take: impl FnMut(usize, u64) -> bool) -> usize {
        let mut taken = 0;
        while let Some(&token) = self.tokens.front() {
            if !take(taken, token) {
                break;
            }
            self.tokens.pop_front();
            taken += 1;
        }
        taken
    }
}

impl Wakeups {
    pub(super) fn tell(&self, token: u64) {
        let mut told = self.told.lock();
        told.tokens.push_back(token);
        told.wake();
    }

    pub(super) fn close(&self) {
        let mut told = self.told.lock();
        told.closed = true;
        while told.wake() {}
    }

    /// Waits for tokens, at most so long; takes as many as there is room for.
    pub(super) fn next(&self, timeout_ns: u64, take: impl FnMut(usize, u64) -> bool) -> Result<usize, Fault> {
        // A deadline beyond what an `Instant` can say is none.
        let end = Instant::now().checked_add(Duration::from_nanos(timeout_ns));
        let end = end.filter(|_| timeout_ns != types::TOLLBAR_NEVER);
        let parker = Arc::new(Parker::new());
        loop {
            let inside = Inside::enter();
            let mut told = self.told.lock();
            told.asleep.retain(|(_, other)| !Arc::ptr_eq(other, &parker));
            if !told.tokens.is_empty() {
                return Ok(told.take(take));
            }
            if told.closed {
                return Err(Fault::Closed);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(0);
            }
            told.asleep.push((std::process::id(), parker.clone()));
            drop(told);
            drop(inside);
            parker.park(left.map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)));
        }
    }
}

/// Tells one token.
pub(super) struct Bell {
    pub(super) wakeups: Arc<Wakeups>,
    pub(super) token: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wakeups.tell(self.token);
    }
}

/// What a waiter asks for.
pub(super) struct Wanted {
    pub(super) ask: Ask<'static>,
    /// Where limits have a cost of their own.
    pub(super) costs: Option<Cost>,
}

impl Wanted {
    fn ask(&self) -> Ask<'_> {
        self.costs.as_ref().map_or(self.ask, |costs| self.ask.costs(costs))
    }
}

/// Somebody who waits. Its lock is not held while the core is asked: whoever is woken then may need what a caller holds that waits
/// for this lock (an interpreter's lock, say).
pub(super) struct Waiter {
    by: Held,
    keys: Awaited,
    wanted: Wanted,
    waker: Waker,
    /// `None` when it is over.
    standing: Mutex<Option<Standing>>,
}

struct Standing {
    place: Place,
    _watch: Watch,
    /// Some thread is finding out what has become of it.
    looked_at: bool,
    /// Another thread wanted to look meanwhile.
    missed: bool,
}

/// What came of looking.
pub(super) enum Found {
    Come(Option<Reservation>),
    /// After how long it would come; the number of the key that it is about.
    TooLate(u64, usize),
    /// The number of the key that it is about.
    Never(usize),
    Wait(Option<u64>),
}

/// Who looks at a place that another thread is looking at just now is told to look again so much later; and by the token when
/// that thread goes on waiting, for a manual clock may stand still.
const LOOKED_AT_NS: u64 = 1_000_000;

impl Waiter {
    pub(super) fn new(by: Held, keys: Awaited, wanted: Wanted, waker: Waker) -> Self {
        Self { by, keys, wanted, waker, standing: Mutex::new(None) }
    }

    fn standing(&self) -> MutexGuard<'_, Option<Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the line, if there has to be one. Once, before anybody can look.
    pub(super) fn join(&self) -> Result<Found, Fault> {
        self.by.waiting.check()?;
        loop {
            let joined = self.joined()?;
            let by = joined.denied_by.unwrap_or(0);
            match joined.turn {
                Turn::Come(held) => return Ok(Found::Come(held)),
                Turn::TooLate(wait) => return Ok(Found::TooLate(wait, by)),
                Turn::Never => return Ok(Found::Never(by)),
                Turn::Wait(place, nanos) => {
                    *self.standing() = Some(self.stand(place)?);
                    return Ok(Found::Wait(nanos));
                }
                Turn::Gone => {}
            }
        }
    }

    fn joined(&self) -> Result<JointTurn, Fault> {
        self.keys.join(&self.by, self.wanted.ask(), self.waker.clone())
    }

    fn stand(&self, place: Place) -> Result<Standing, Fault> {
        let watch = self.by.waiting.watch(self.waker.clone());
        let watch = watch.inspect_err(|_| self.give_up(place))?;
        Ok(Standing { place, _watch: watch, looked_at: false, missed: false })
    }

    fn give_up(&self, place: Place) {
        // Keys that were let in are no error.
        let _ = self.keys.leave(&self.by, place);
    }

    /// What has become of it. One thread at a time finds out.
    pub(super) fn look(&self) -> Result<Found, Fault> {
        let place = match &mut *self.standing() {
            None => return Err(Fault::Handle),
            Some(standing) if standing.looked_at => {
                standing.missed = true;
                return Ok(Found::Wait(Some(LOOKED_AT_NS)));
            }
            Some(standing) => {
                standing.looked_at = true;
                standing.place
            }
        };
        let found = self.find(place);
        if !matches!(found, Ok(Found::Wait(_))) {
            let over = self.standing().take();
            drop(over);
        }
        found
    }

    fn find(&self, at: Place) -> Result<Found, Fault> {
        if let Err(closed) = self.by.waiting.check() {
            self.give_up(at);
            return Err(closed);
        }
        let mut found = self.keys.look(&self.by, self.wanted.ask(), at)?;
        loop {
            let by = found.denied_by.unwrap_or(0);
            found = match found.turn {
                Turn::Come(held) => return Ok(Found::Come(held)),
                Turn::TooLate(wait) => return Ok(Found::TooLate(wait, by)),
                Turn::Never => return Ok(Found::Never(by)),
                Turn::Wait(place, nanos) => {
                    let again = if place == at { None } else { Some(self.stand(place)?) };
                    return self.go_on(place, again).map(|()| Found::Wait(nanos));
                }
                // Who has left does not join again.
                Turn::Gone if self.standing().is_none() => return Err(Fault::Handle),
                Turn::Gone => self.joined()?,
            };
        }
    }

    /// Notes where it stands now, unless it has been left meanwhile: whoever left it has left the old place.
    fn go_on(&self, place: Place, again: Option<Standing>) -> Result<(), Fault> {
        let is_new = again.is_some();
        let mut again = again;
        let missed = self.standing().as_mut().map(|now| {
            now.looked_at = false;
            let missed = std::mem::take(&mut now.missed);
            if let Some(again) = &mut again {
                std::mem::swap(now, again);
            }
            missed
        });
        if let Some(missed) = missed {
            if missed {
                self.waker.wake_by_ref();
            }
            return Ok(());
        }
        if is_new {
            self.give_up(place);
        }
        Err(Fault::Handle)
    }

    /// Leaves the line; false if it was not in it.
    pub(super) fn leave(&self) -> Result<bool, Fault> {
        let left = self.standing().take();
        match left {
            Some(Standing { place, .. }) => self.keys.leave(&self.by, place),
            None => Ok(false),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

/// Waits in this thread, outside of its lane while it is parked. Never `Found::Wait`.
pub(super) fn block(by: Held, keys: Awaited, wanted: Wanted) -> Result<Found, Fault> {
    let (parker, clock) = (Arc::new(Parker::new()), by.core.clock().clone());
    let waiter = Waiter::new(by, keys, wanted, parker.clone().into());
    let inside = |work: &dyn Fn() -> Result<Found, Fault>| {
        let _inside = Inside::enter();
        work()
    };
    let mut found = inside(&|| waiter.join())?;
    while let Found::Wait(nanos) = found {
        parker.park(clock.timer_ns(nanos));
        found = inside(&|| waiter.look())?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::limit::Rate;
    use crate::limiter::Limiter;
    use crate::policy::Policy;

    /// Looks at a place whenever it is woken.
    #[derive(Default)]
    struct Intruder(Mutex<Option<Arc<Waiter>>>);

    impl Wake for Intruder {
        fn wake(self: Arc<Self>) {
            if let Some(waiter) = self.0.lock().unwrap().take() {
                assert!(matches!(waiter.look(), Ok(Found::Wait(Some(LOOKED_AT_NS)))));
            }
        }
    }

    #[test]
    fn a_look_that_was_turned_away_is_told_to_look_again() {
        const SECOND: u64 = 1_000_000_000;
        let clock = Arc::new(ManualClock::new(0, 0));
        let builder = Limiter::builder(Policy::rate(Rate::new(1, SECOND)).unwrap());
        let core = Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap());
        assert!(core.try_acquire(b"a", 1).unwrap());
        let (class, intruder) = (core.default_class(), Arc::<Intruder>::default());
        assert!(matches!(core.join(b"a", Ask::new(1), class, intruder.clone().into()), Ok(Turn::Wait(..))));
        let wakeups = Arc::<Wakeups>::default();
        let bell = Arc::new(Bell { wakeups: wakeups.clone(), token: 7 });
        let wanted = Wanted { ask: Ask::new(1), costs: None };
        let waiter = Arc::new(Waiter::new(Held::new(core, class), Awaited::one(b"a"), wanted, bell.into()));
        assert!(matches!(waiter.join(), Ok(Found::Wait(None))));
        clock.advance_ns(SECOND.cast_signed());
        *intruder.0.lock().unwrap() = Some(waiter.clone());
        // Serves the head, which is woken in the middle of this look.
        assert!(matches!(waiter.look(), Ok(Found::Wait(Some(SECOND)))));
        assert!(intruder.0.lock().unwrap().is_none(), "it has looked");
        let mut told = Vec::new();
        let take = |_, token| {
            told.push(token);
            true
        };
        assert!(wakeups.next(0, take).is_ok());
        assert_eq!(told, [7]);
    }
}
