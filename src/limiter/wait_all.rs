//! Waiting for the turn of several keys at once: joining their lines, looking, leaving; and the blocking form for threads.

use std::sync::Arc;
use std::task::Waker;

use super::together::{Places, check_all};
use super::{Ask, ClassId, Limiter, Place, Turn};
use crate::account::Seen;
use crate::counters::Event;
use crate::decision::NEVER;
use crate::error::Error;
use crate::parker::Parker;
use crate::table::Joined;
use crate::ticks::to_nanos_up;

/// What a request finds that waits for several keys.
#[derive(Debug)]
#[non_exhaustive]
pub struct JointTurn {
    /// One answer for all.
    pub turn: Turn,
    /// The number, among the keys asked about, of the one whose turn comes too late or never; of several, the last to come.
    pub denied_by: Option<usize>,
}

/// Of a single key, or where no key denies.
impl From<Turn> for JointTurn {
    fn from(turn: Turn) -> Self {
        Self { turn, denied_by: None }
    }
}

impl Limiter {
    /// Takes the cost of each key's account if nobody waits for any of them and all their limits let it pass, else joins the
    /// lines of all keys in one step. The key of each number, if it is unknown, gets an account of a class of its own.
    ///
    /// The turn has come when the request is first in the lines of all its keys and all their limits let it pass; then all keys
    /// are charged at one moment. Until then nothing is charged. Requests for several keys stand in the same order in
    /// every line that they share (by priority, then by arrival), so they never wait for each other in a circle. Those
    /// behind a request wait for it, also in the line of a key that would let it pass already. A key that nothing limits has no line. A
    /// cost of 0 does not wait.
    ///
    /// A `cost` that can never pass by one of the keys, and a timeout that cannot be met, are told at once; nothing is
    /// charged then. [`Limiter::too_small`] says why a key's turn never comes.
    ///
    /// # Errors
    /// No keys, the same key twice, [`Error::KeyTooLong`], a cost that names a limit that this limiter does not know, and a
    /// request that would hold a reservation, which is of one key.
    pub fn join_all<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        ask: Ask<'_>,
        class: impl Fn(usize) -> ClassId,
        waker: Waker,
    ) -> Result<JointTurn, Error> {
        let cost = ask.cost();
        self.check_names(&cost)?;
        check_all(keys)?;
        if !ask.only_charges() {
            return Err(Error::invalid("keys", "several", "must be one where a reservation is asked for"));
        }
        // Shared, and made before any lock: a waker that does not join is dropped after it.
        let (waker, waiter) = self.clock().watched(waker);
        let (request, waker) = (ask.request(cost, Some(self.mark(keys))), Arc::new(waker));
        let joined = self.with_places(keys, &class, |these| self.table.join_all(these, &request, &waker))?;
        let (joined, by) = match joined {
            Places::Had((joined, at), numbers) => (joined, numbers[at]),
            Places::NeedNone => (Joined::Granted(None), 0),
            Places::None(at, nearest) => (Joined::Full(nearest), at),
        };
        let turn = match joined {
            Joined::Granted(_) => return Ok(self.come_for_all().into()),
            Joined::Waiting(ticket) => return self.look_all(keys, class, Place { ticket, waiter }),
            Joined::TooLate(wait) => self.too_late(to_nanos_up(wait)),
            Joined::Never => self.never(),
            Joined::Full(nearest) => {
                self.counters.count(Event::Denied);
                Turn::TooLate(nearest.map_or(NEVER, to_nanos_up))
            }
        };
        Ok(JointTurn { turn, denied_by: Some(by) })
    }

    /// What has become of a place in the lines of these keys. Of other keys than those that it was given for: [`Turn::Gone`].
    ///
    /// # Errors
    /// Those of [`Limiter::join_all`] about the keys.
    pub fn look_all<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        class: impl Fn(usize) -> ClassId,
        place: Place,
    ) -> Result<JointTurn, Error> {
        check_all(keys)?;
        let (mark, glance) = (self.mark(keys), self.clock().glance());
        let seen = match self.with_places(keys, class, |these| self.table.look_all(these, place.ticket, mark))? {
            Places::Had((seen, at), numbers) => (seen, numbers[at]),
            // None of the keys has an account, so none has a line.
            Places::NeedNone => (Seen::Gone, 0),
            Places::None(at, nearest) => {
                self.leave_all(keys, place)?;
                (Seen::TooLate(nearest), at)
            }
        };
        let turn = match seen.0 {
            Seen::Granted(_) => return Ok(self.come_for_all().into()),
            Seen::Wait(ticks) => {
                let nanos = ticks.map(to_nanos_up);
                glance.look_after(place.waiter, nanos);
                return Ok(Turn::Wait(place, nanos).into());
            }
            Seen::Gone => return Ok(Turn::Gone.into()),
            Seen::TooLate(wait) => self.too_late(wait.map_or(NEVER, to_nanos_up)),
            Seen::Never => self.never(),
        };
        Ok(JointTurn { turn, denied_by: Some(seen.1) })
    }

    /// Leaves the lines of all these keys at once. False if there is no such place for just these keys.
    ///
    /// # Errors
    /// Those of [`Limiter::join_all`] about the keys.
    pub fn leave_all<K: AsRef<[u8]>>(&self, keys: &[K], place: Place) -> Result<bool, Error> {
        check_all(keys)?;
        Ok(self.table.leave_all(keys.iter().map(AsRef::as_ref), place.ticket, self.mark(keys)))
    }

    /// Waits for the turn of all these keys in this thread, at most as long as the timeout: [`Turn::Come`], [`Turn::TooLate`]
    /// or [`Turn::Never`].
    ///
    /// # Errors
    /// Those of [`Limiter::join_all`].
    pub fn acquire_all_blocking<K: AsRef<[u8]>>(&self, keys: &[K], ask: Ask<'_>) -> Result<JointTurn, Error> {
        let parker = Arc::new(Parker::new());
        let (class, waker) = (|_| self.default_class(), || Waker::from(parker.clone()));
        let mut joint = self.join_all(keys, ask, class, waker())?;
        loop {
            joint = match joint.turn {
                Turn::Wait(place, nanos) => {
                    parker.park(self.clock().timer_ns(nanos));
                    self.look_all(keys, class, place)?
                }
                Turn::Gone => self.join_all(keys, ask, class, waker())?,
                Turn::Come(_) | Turn::TooLate(_) | Turn::Never => return Ok(joint),
            };
        }
    }

    /// By which a place is known to be one for these keys, in whatever order.
    fn mark<K: AsRef<[u8]>>(&self, keys: &[K]) -> u64 {
        self.table.mark(keys.iter().map(AsRef::as_ref))
    }

    fn come_for_all(&self) -> Turn {
        self.counters.count(Event::Allowed);
        Turn::Come(None)
    }
}
