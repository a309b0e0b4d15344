//! Waiting one's turn: joining a key's line, looking, leaving; and the blocking form for threads.
//!
//! Order and time are decided in the core; whoever waits only parks, until it is woken or until the time it was told, and looks
//! again. Only the head of a key's line has a time to look at.

use std::sync::Arc;
use std::task::Waker;

use super::{ClassId, Limiter, Reservation, check};
use crate::account::{Asked, Seen, Terms};
#[cfg(doc)]
use crate::clock::Clock;
use crate::clock::WaiterId;
use crate::counters::Event;
use crate::decision::{Decision, NEVER};
use crate::error::Error;
use crate::parker::Parker;
use crate::policy::{Cost, Limit};
use crate::table::{Answer, Holds, Joined, Request, WhenFull};
use crate::ticks::{PER_NANO, to_nanos_up};

/// The lowest rank: a ticket has seven bits for it.
const MOST_PRIORITY: u8 = 127;

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ask<'a> {
    cost: u64,
    costs: Option<&'a Cost>,
    priority: u8,
    timeout_ns: Option<u64>,
    group: u64,
    holds: Holds,
}

impl<'a> Ask<'a> {
    /// To take `cost` tokens, however long it takes.
    #[must_use]
    pub const fn new(cost: u64) -> Self {
        Self { cost, costs: None, priority: 0, timeout_ns: None, group: 0, holds: Holds::Nothing }
    }

    /// To take a cost of their own from limits that are named.
    #[must_use]
    pub const fn costs(mut self, costs: &'a Cost) -> Self {
        (self.cost, self.costs) = (costs.each(), Some(costs));
        self
    }

    pub(super) fn cost(&self) -> Cost {
        self.costs.map_or_else(|| Cost::new(self.cost), Cost::clone)
    }

    /// Lower ones are served first, equal ones in the order of arrival; from 0, which is usual, to 127.
    ///
    /// # Errors
    /// Refuses more than 127.
    pub fn priority(mut self, priority: u8) -> Result<Self, Error> {
        if priority > MOST_PRIORITY {
            return Err(Error::invalid("priority", priority, "must be at most 127"));
        }
        self.priority = priority;
        Ok(self)
    }

    /// Not if it takes longer than this.
    #[must_use]
    pub const fn timeout_ns(mut self, timeout_ns: Option<u64>) -> Self {
        self.timeout_ns = timeout_ns;
        self
    }

    /// Those of one group are parked by the same loop. A head of another group is woken by who joins behind it, so that a
    /// waker whose loop is closed can leave the line.
    #[must_use]
    pub const fn group(mut self, group: u64) -> Self {
        self.group = group;
        self
    }

    /// To hold a reservation, as [`Limiter::reserve`] does.
    ///
    /// # Errors
    /// A lease of nothing or beyond 4.5 years.
    pub fn holding(mut self, lease_ns: Option<u64>, gives_back: bool) -> Result<Self, Error> {
        self.holds = Holds::Always(Terms::new(lease_ns, gives_back)?);
        Ok(self)
    }

    /// To hold a reservation without an end where a limit of the key counts what is in flight, and else to charge.
    #[must_use]
    pub const fn holding_in_flight(mut self) -> Self {
        self.holds = Holds::InFlight(Terms::UNTIL_ENDED);
        self
    }

    /// Whether what is granted is charged at once, whatever the limits.
    pub(super) const fn only_charges(&self) -> bool {
        matches!(self.holds, Holds::Nothing)
    }

    /// The same for the table.
    pub(super) fn request(&self, cost: Cost, joint: Option<u64>) -> Request {
        let asked = Asked { cost, class: self.priority, group: self.group, joint };
        Request { asked, timeout: self.timeout_ns.map(|nanos| nanos.saturating_mul(PER_NANO)), holds: self.holds }
    }
}

/// A place in a key's line, or in the lines of several keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) ticket: u64,
    pub(super) waiter: WaiterId,
}

/// What somebody finds who waits.
#[derive(Debug)]
pub enum Turn {
    /// It has come. What was asked for is charged or, if a reservation was asked for, held by this one.
    Come(Option<Reservation>),
    /// Look again with this place when woken, or after this many nanoseconds by the limiter's clock ([`Clock::timer_ns`]).
    Wait(Place, Option<u64>),
    /// It would come too late, after so many nanoseconds as far as is known; [`NEVER`]: when a reservation ends that has no
    /// end of its own.
    TooLate(u64),
    /// It never comes: more is asked for than a limit of the key ever lets pass.
    Never,
    /// There is no such place any more (nothing limits the key now, or this is another process than the one that joined):
    /// join anew.
    Gone,
}

impl Limiter {
    /// Takes what is asked for if nobody waits and all limits let it pass, else joins the line of the key. Whoever is told
    /// to wait looks again when woken or told to, until its turn comes, is too late, or it leaves.
    ///
    /// A `cost` that can never pass, and a timeout that cannot be met, are told at once; nothing is charged then.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn join(self: &Arc<Self>, key: &[u8], ask: Ask<'_>, class: ClassId, waker: Waker) -> Result<Turn, Error> {
        let key = check(key)?;
        let class = self.own(class)?;
        if ask.only_charges() && ask.costs.is_none() && self.table.take::<false>(key, ask.cost).is_ok() {
            return Ok(self.come(key, ask, None));
        }
        let cost = ask.cost();
        self.check_names(&cost)?;
        let (waker, waiter) = self.clock().watched(waker);
        Ok(match self.table.join(key, class, ask.request(cost, None), waker) {
            Joined::Granted(lease) => self.come(key, ask, lease),
            Joined::Waiting(ticket) => self.look(key, ask, Place { ticket, waiter })?,
            Joined::TooLate(wait) => self.too_late(to_nanos_up(wait)),
            Joined::Never => self.never(),
            Joined::Full(_) if self.table.plan().when_full == WhenFull::Allow => {
                self.counters.count(Event::Full);
                self.come(key, ask, None)
            }
            Joined::Full(nearest) => {
                self.counters.count(Event::Full);
                self.counters.count(Event::Denied);
                Turn::TooLate(nearest.map_or(NEVER, to_nanos_up))
            }
        })
    }

    /// What has become of a place in the line.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn look(self: &Arc<Self>, key: &[u8], ask: Ask<'_>, place: Place) -> Result<Turn, Error> {
        let key = check(key)?;
        let glance = self.clock().glance();
        Ok(match self.table.look_in_line(key, place.ticket, ask.holds) {
            Seen::Granted(lease) => self.come(key, ask, lease),
            Seen::Wait(ticks) => {
                let nanos = ticks.map(to_nanos_up);
                glance.look_after(place.waiter, nanos);
                Turn::Wait(place, nanos)
            }
            Seen::TooLate(wait) => self.too_late(wait.map_or(NEVER, to_nanos_up)),
            Seen::Never => self.never(),
            Seen::Gone => Turn::Gone,
        })
    }

    /// Leaves the line; what was granted and not noticed goes to the next. False if there is no such place.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn leave(&self, key: &[u8], place: Place) -> Result<bool, Error> {
        Ok(self.table.leave_line(check(key)?, place.ticket))
    }

    /// Waits for the key's turn in this thread, at most as long as the timeout: [`Turn::Come`], [`Turn::TooLate`] or
    /// [`Turn::Never`].
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a cost that names a limit that this limiter does not know.
    pub fn acquire_blocking(self: &Arc<Self>, key: &[u8], ask: Ask<'_>) -> Result<Turn, Error> {
        let parker = Arc::new(Parker::new());
        let mut turn = self.join(key, ask, self.default_class(), parker.clone().into())?;
        loop {
            match turn {
                Turn::Wait(place, nanos) => {
                    parker.park(self.clock().timer_ns(nanos));
                    turn = self.look(key, ask, place)?;
                }
                Turn::Gone => turn = self.join(key, ask, self.default_class(), parker.clone().into())?,
                Turn::Come(_) | Turn::TooLate(_) | Turn::Never => return Ok(turn),
            }
        }
    }

    /// The limit that can never hold what is asked for, as the key's limits are now, and what it would cost it; of several the
    /// smallest. This is why a turn is [`Turn::Never`].
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn too_small(&self, key: &[u8], ask: Ask<'_>, class: ClassId) -> Result<Option<(&Limit, u64)>, Error> {
        let (cost, class) = (ask.cost(), self.own(class)?);
        let class = match self.table.peek(check(key)?, &cost, class) {
            Answer::Charged(charge) => charge.class,
            Answer::Ruled(ruled) => ruled.class,
            Answer::Full(_) | Answer::Unknown => class,
        };
        let limits = self.table.policy(class).limits().iter().map(|limit| (limit, cost.on(limit)));
        let too_small = limits.filter(|(limit, n)| !limit.is_shadow() && limit.capacity() < *n);
        Ok(too_small.min_by_key(|(limit, _)| limit.capacity()))
    }

    fn come(self: &Arc<Self>, key: &[u8], ask: Ask<'_>, lease: Option<u64>) -> Turn {
        self.counters.count(Event::Allowed);
        let gives_back = match ask.holds {
            Holds::Nothing => return Turn::Come(None),
            Holds::InFlight(_) if lease.is_none() => return Turn::Come(None),
            Holds::InFlight(terms) | Holds::Always(terms) => terms.gives_back,
        };
        let decision = Decision { allowed: true, ..Decision::default() };
        let held = Reservation::granted(self.clone(), key, ask.cost(), decision, lease, gives_back);
        Turn::Come(Some(held))
    }

    pub(super) fn too_late(&self, wait: u64) -> Turn {
        self.counters.count(Event::Late);
        Turn::TooLate(wait)
    }

    pub(super) fn never(&self) -> Turn {
        self.counters.count(Event::Never);
        Turn::Never
    }
}
