//! Waiting one's turn without a callback: a thread parks, or a list of tokens tells which places to look at.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::guard::Fault;
use super::lanes::Inside;
use super::objects::{Held, Watch};
use super::types;
use crate::limiter::{Ask, Place, Reservation, Turn};
use crate::parker::Parker;

/// Tokens of those who shall look again, oldest first.
#[derive(Default)]
pub(super) struct Wakeups {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    tokens: VecDeque<u64>,
    closed: bool,
}

impl Wakeups {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, token: u64) {
        self.told().tokens.push_back(token);
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.told().closed = true;
        self.changed.notify_all();
    }

    /// Waits for tokens, at most so long; takes as many as there is room for.
    pub(super) fn next(&self, timeout_ns: u64, mut take: impl FnMut(usize, u64) -> bool) -> Result<usize, Fault> {
        // A deadline beyond what an `Instant` can say is none.
        let end = Instant::now().checked_add(Duration::from_nanos(timeout_ns));
        let end = end.filter(|_| timeout_ns != types::TOLLBAR_NEVER);
        let mut told = self.told();
        while told.tokens.is_empty() && !told.closed {
            let Some(end) = end else {
                told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(0);
            }
            told = self.changed.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if told.tokens.is_empty() {
            return Err(Fault::Closed);
        }
        let mut taken = 0;
        while let Some(&token) = told.tokens.front() {
            if !take(taken, token) {
                break;
            }
            told.tokens.pop_front();
            taken += 1;
        }
        Ok(taken)
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

/// Somebody who waits.
pub(super) struct Waiter {
    by: Held,
    key: Box<[u8]>,
    ask: Ask,
    waker: Waker,
    /// `None` when it is over.
    place: Mutex<Option<(Place, Watch)>>,
}

/// What came of looking.
pub(super) enum Found {
    Come(Option<Reservation>),
    TooLate(u64),
    Wait(Option<u64>),
}

impl Waiter {
    pub(super) fn new(by: Held, key: &[u8], ask: Ask, waker: Waker) -> Self {
        Self { by, key: key.into(), ask, waker, place: Mutex::new(None) }
    }

    /// Joins the line, if there has to be one.
    pub(super) fn join(&self) -> Result<Found, Fault> {
        self.by.waiting.check()?;
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        self.note(self.joined()?, &mut place)
    }

    fn joined(&self) -> Result<Turn, Fault> {
        Ok(self.by.core.join(&self.key, self.ask, self.by.class, self.waker.clone())?)
    }

    fn note(&self, mut turn: Turn, place: &mut Option<(Place, Watch)>) -> Result<Found, Fault> {
        loop {
            turn = match turn {
                Turn::Come(held) => {
                    *place = None;
                    return Ok(Found::Come(held));
                }
                Turn::TooLate(wait) => {
                    *place = None;
                    return Ok(Found::TooLate(wait));
                }
                Turn::Wait(at, nanos) => {
                    if place.as_ref().is_none_or(|(old, _)| *old != at) {
                        let watch = self.by.waiting.watch(self.waker.clone());
                        *place = Some((at, watch.inspect_err(|_| drop(self.by.core.leave(&self.key, at)))?));
                    }
                    return Ok(Found::Wait(nanos));
                }
                Turn::Gone => self.joined()?,
            };
        }
    }

    pub(super) fn look(&self) -> Result<Found, Fault> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, _)) = &*place else { return Err(Fault::Handle) };
        let at = *at;
        if let Err(closed) = self.by.waiting.check() {
            *place = None;
            // A key that was let in is one.
            let _ = self.by.core.leave(&self.key, at);
            return Err(closed);
        }
        let turn = self.by.core.look(&self.key, self.ask, at)?;
        self.note(turn, &mut place)
    }

    /// Leaves the line; false if it was not in it.
    pub(super) fn leave(&self) -> Result<bool, Fault> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match place.take() {
            Some((at, _)) => Ok(self.by.core.leave(&self.key, at)?),
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
pub(super) fn block(by: Held, key: &[u8], ask: Ask) -> Result<Found, Fault> {
    let parker = Arc::new(Parker::new());
    let waiter = Waiter::new(by, key, ask, parker.clone().into());
    let inside = |work: &dyn Fn() -> Result<Found, Fault>| {
        let _inside = Inside::enter();
        work()
    };
    let mut found = inside(&|| waiter.join())?;
    while let Found::Wait(nanos) = found {
        parker.park(nanos);
        found = inside(&|| waiter.look())?;
    }
    Ok(found)
}
