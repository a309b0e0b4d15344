//! Waiting for a key's turn, under its stripe's lock: joining, looking, leaving. Whoever is to be woken is, after the lock.
//!
//! An account that somebody waits for is cold, so nobody charges it without the lock; and whoever asks without waiting is told
//! to wait behind those who do.

use std::sync::Arc;
use std::task::Waker;

use super::cold::Kept;
use super::stripe::Locked;
use super::{Absent, Answer, Table};
use crate::account::{After, Asked, LeaseId, Line, Purpose, Refused, Seen, Terms};
use crate::classes::ClassId;
use crate::policy::Limit;
use crate::ticks::Ticks;

/// What is asked for by one who would wait.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) timeout: Option<Ticks>,
    /// Hold what is granted as a reservation of these terms; else it is charged.
    pub(crate) holds: Holds,
}

/// Whether what is granted is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It is charged.
    Nothing,
    /// It is reserved under these terms.
    Always(Terms),
    /// It is reserved where a limit of the key counts what is in flight, else charged.
    InFlight(Terms),
}

impl Holds {
    /// The terms under which a key of these limits holds what it is granted.
    pub(crate) fn terms(self, limits: &[Limit]) -> Option<Terms> {
        match self {
            Self::Nothing => None,
            Self::Always(terms) => Some(terms),
            Self::InFlight(terms) => limits.iter().any(Limit::is_in_flight).then_some(terms),
        }
    }
}

/// Whether a line was joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// Nobody waited and all limits let it pass; what is held.
    Granted(Option<LeaseId>),
    Waiting(u64),
    /// The turn would come after so long at the earliest, which is too late.
    TooLate(Ticks),
    /// More is asked for than a limit ever lets pass.
    Never,
    /// There is no place for the key; how far the nearest account is from making one.
    Full(Option<Ticks>),
}

impl Table {
    /// Passes at once where nobody waits and all limits let it, else joins the line.
    pub(crate) fn join(&self, key: &[u8], absent: ClassId, request: Request, waker: Waker) -> Joined {
        // Shared, and made before the lock: a waker that does not join is dropped after it.
        let waker = Arc::new(waker);
        let sought = self.seek(key);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        let absent = self.class_for(key, absent);
        let (slot, now) = match self.find(&mut stripe, &sought.probe) {
            Some(slot) => (slot, self.time.now()),
            // What can never pass leaves no trace.
            None if self.never_passes(&self.answer_unknown(&stripe, absent, self.time.now(), &request.asked.cost)) => {
                return Joined::Never;
            }
            None => match self.make(stripe, &sought, &request.asked.cost, Absent::Create(absent)) {
                Ok((locked, slot, now)) => {
                    stripe = locked;
                    (slot, now)
                }
                Err(Answer::Full(nearest)) => return Joined::Full(nearest),
                Err(_) => return Joined::Never,
            },
        };
        if self.is_unlimited_slot(slot) {
            return Joined::Granted(None);
        }
        self.cool_if_word(&mut stripe, slot, now);
        let mut after = After::default();
        // Whoever joins looks at once; it need not be woken for that.
        let join = |kept: &mut Kept, limits: &[Limit]| {
            let (cost, group) = (&request.asked.cost, request.asked.group);
            if !kept.is_waited_for() && kept.cold.decide(limits, now, cost, Purpose::Look).passes() {
                let lease = request.holds.terms(limits).map(|terms| (self.new_number(), terms));
                let purpose = lease.map_or(Purpose::Charge, |(id, terms)| Purpose::Reserve(id, terms));
                kept.cold.decide(limits, now, cost, purpose);
                return Joined::Granted(lease.map(|(id, _)| id));
            }
            let line = kept.line.get_or_insert_with(|| Box::new(Line::new()));
            let place = (&kept.cold, limits);
            match line.join(place, now, request.asked, request.timeout, (self.new_number(), &waker)) {
                Ok(ticket) => {
                    line.probe(group, &mut after);
                    Joined::Waiting(ticket)
                }
                Err(Refused::TooLate(wait)) => Joined::TooLate(wait),
                Err(Refused::Never) => Joined::Never,
            }
        };
        let joined = self.with_kept(&mut stripe, slot, now, join).0;
        drop(stripe);
        after.done();
        joined
    }

    /// What has become of a waiter. What it was granted is charged or held.
    pub(crate) fn look_in_line(&self, key: &[u8], ticket: u64, holds: Holds) -> Seen {
        self.in_line(key, |kept, limits, now, after| {
            let Kept { cold, line: Some(line), .. } = kept else { return Seen::Gone };
            if line.is_joint(ticket) {
                return Seen::Gone;
            }
            line.serve((&mut *cold, limits), now, Some(ticket), || self.new_number(), after);
            let seen = line.look((&mut *cold, limits), ticket, now, after);
            let Seen::Granted(Some(id)) = seen else { return seen };
            if let Some(terms) = holds.terms(limits) {
                cold.renew(limits, id, now, terms);
                return seen;
            }
            cold.settle(limits, id, now, None);
            Seen::Granted(None)
        })
        .unwrap_or(Seen::Gone)
    }

    /// Leaves the line; what was granted and not noticed goes to the next. False if there is no such ticket.
    pub(crate) fn leave_line(&self, key: &[u8], ticket: u64) -> bool {
        let left = self.in_line(key, |kept, limits, now, after| {
            let Kept { cold, line: Some(line), .. } = kept else { return false };
            !line.is_joint(ticket) && line.leave((cold, limits), ticket, now, after)
        });
        left.unwrap_or(false)
    }

    /// Changes a known account that is cold, and serves its line; `None` if there is none.
    pub(super) fn in_line<R>(
        &self,
        key: &[u8],
        act: impl FnOnce(&mut Kept, &[Limit], Ticks, &mut After) -> R,
    ) -> Option<R> {
        let sought = self.seek(key);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        let slot = self.find(&mut stripe, &sought.probe)?;
        if !self.is_cold(self.slab.slot(slot).look_locked().1) {
            return None;
        }
        let (now, mut after) = (self.time.now(), After::default());
        let done =
            self.with_line(&mut stripe, slot, now, &mut after, |kept, limits, after| act(kept, limits, now, after));
        drop(stripe);
        after.done();
        Some(done)
    }

    /// Changes an account and serves its line afterwards.
    pub(super) fn with_line<R>(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        now: Ticks,
        after: &mut After,
        act: impl FnOnce(&mut Kept, &[Limit], &mut After) -> R,
    ) -> R {
        let change = |kept: &mut Kept, limits: &[Limit]| {
            let done = act(kept, limits, after);
            if let Kept { cold, line: Some(line), .. } = kept {
                line.serve((cold, limits), now, None, || self.new_number(), after);
            }
            done
        };
        self.with_kept(stripe, slot, now, change).0
    }
}
