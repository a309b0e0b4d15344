//! The state of one key: its permits, what was learned of the way to the server, and who waits.
//!
//! Nothing here wakes anybody: what is to be woken, and what is to be dropped, is handed out, for the lock is held.

use std::sync::Arc;
use std::task::Waker;

use super::{Look, Rule};
use crate::limit::{Headroom, Permits, Slot};
use crate::queue::{Found, Queue, Waiter};

/// What was learned of the network is good for so long without a request.
const REMEMBERED: u64 = 600_000_000_000;
/// What has no response after that will not arrive any more.
const LONGEST_WAY: u64 = 10_000_000_000;

/// What is to be done when the lock is released.
#[derive(Default)]
pub(super) struct After {
    wake: Vec<Arc<Waker>>,
    /// To be dropped, no more: what a waker holds may run anything when it goes.
    gone: Vec<Waiter>,
}

impl After {
    pub(super) fn done(self) {
        self.wake.iter().for_each(|waker| waker.wake_by_ref());
    }
}

pub(super) struct Account {
    permits: Permits,
    headroom: Headroom,
    queue: Queue<Slot>,
    /// No request is sent before this, by the server's own word.
    blocked_until: u64,
    last_sent: Option<u64>,
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) timed_out: u64,
    /// The newest time, and by how much it is ahead of a clock that was set back.
    latest: u64,
    ahead: u64,
    /// Waiters and flights of another process, from before a fork, are nobody's.
    process: u32,
}

impl Account {
    pub(super) fn new(rule: &Rule, now: u64) -> Self {
        Self {
            permits: Permits::default(),
            headroom: Headroom::new(rule.headroom, now),
            queue: Queue::default(),
            blocked_until: 0,
            last_sent: None,
            granted: 0,
            refused: 0,
            timed_out: 0,
            latest: now,
            ahead: 0,
            process: std::process::id(),
        }
    }

    /// A reading as a time of this account, which goes on where it was when the clock is set back.
    pub(super) fn time(&mut self, reading: u64) -> u64 {
        self.ahead = self.ahead.max(self.latest.saturating_sub(reading));
        self.latest = reading.saturating_add(self.ahead);
        self.latest
    }

    /// In a process that was forked off, nobody else is there: who waited is gone, and what was sent may have arrived.
    pub(super) fn forget_the_parents(&mut self, now: u64, after: &mut After) {
        let process = std::process::id();
        if self.process == process {
            return;
        }
        self.process = process;
        for slot in self.queue.revoke() {
            self.permits.put_back(slot);
        }
        after.gone.extend(self.queue.clear());
        self.permits.end_all(now);
    }

    pub(super) fn is_idle(&mut self, rule: &Rule, now: u64) -> bool {
        self.permits.settle(&rule.pace, now);
        let is_quiet = self.permits.in_use() == 0 && self.queue.is_empty() && self.blocked_until <= now;
        is_quiet && self.latest.saturating_add(REMEMBERED) <= now.saturating_add(self.ahead)
    }

    /// When the next request may be sent; `None`: not before something else happens.
    fn next_at(&self, rule: &Rule, now: u64) -> Option<u64> {
        let at = self.permits.ready_at(&rule.pace, &self.headroom, now)?.max(self.blocked_until);
        if rule.spacing == 0 {
            return Some(at);
        }
        // Whoever was called will send; the spacing counts from then.
        let spaced = self.last_sent.map_or(0, |sent| sent.saturating_add(rule.spacing));
        (self.queue.called() == 0).then_some(at.max(spaced))
    }

    fn slot(&mut self, rule: &Rule, now: u64) -> Option<Slot> {
        self.next_at(rule, now).filter(|&at| at <= now)?;
        self.permits.take(&rule.pace, &self.headroom, now)
    }

    fn send(&mut self, slot: Slot, now: u64) -> u64 {
        self.granted += 1;
        self.last_sent = Some(now);
        self.permits.send(slot, now)
    }

    /// Calls whoever can be called, in order, and sees to it that the head has a timer.
    fn serve(&mut self, rule: &Rule, now: u64, after: &mut After) {
        self.headroom.relax(now);
        while let Some(head) = self.queue.head() {
            let is_over = head.deadline.is_some_and(|deadline| deadline < now);
            let slot = if is_over { None } else { self.slot(rule, now) };
            if slot.is_none() && !is_over {
                break;
            }
            after.wake.extend(self.queue.call(slot));
        }
        if let Some(at) = self.next_at(rule, now) {
            after.wake.extend(self.queue.rearm(at));
        }
    }

    /// Sends now, if a permit is free and nobody waits.
    pub(super) fn try_acquire(&mut self, rule: &Rule, now: u64, after: &mut After) -> Option<u64> {
        self.serve(rule, now, after);
        // Those who wait have been served: what is free now is meant for none of them.
        let slot = self.slot(rule, now)?;
        Some(self.send(slot, now))
    }

    /// How long somebody who comes now has to wait at least, as far as is known.
    fn wait(&self, rule: &Rule, now: u64, ahead: usize) -> u64 {
        let at = self.permits.not_before(&rule.pace, &self.headroom, now, ahead).max(self.blocked_until);
        let spaced = match self.last_sent {
            Some(sent) if rule.spacing > 0 => sent.saturating_add(rule.spacing.saturating_mul(ahead as u64 + 1)),
            _ => 0,
        };
        at.max(spaced).saturating_sub(now)
    }

    /// Joins the queue, unless the turn is known to come too late; then says in how long it would come.
    pub(super) fn join(
        &mut self,
        rule: &Rule,
        now: u64,
        timeout: Option<u64>,
        waker: &Arc<Waker>,
        after: &mut After,
    ) -> Result<u64, u64> {
        self.serve(rule, now, after);
        if let Some(timeout) = timeout {
            let wait = self.wait(rule, now, self.queue.waiting());
            if wait > timeout {
                self.timed_out += 1;
                return Err(wait);
            }
        }
        Ok(self.queue.join(0, waker.clone(), timeout.map(|timeout| now.saturating_add(timeout)), ()))
    }

    pub(super) fn look(&mut self, rule: &Rule, now: u64, ticket: u64, after: &mut After) -> Look {
        self.serve(rule, now, after);
        match self.queue.look(ticket) {
            Found::Called(Some(slot), waiter) => {
                after.gone.push(waiter);
                let number = self.send(slot, now);
                if rule.spacing > 0 {
                    self.serve(rule, now, after);
                }
                Look::Granted(super::Permit(number))
            }
            Found::Called(None, waiter) => {
                after.gone.push(waiter);
                self.too_late(rule, now)
            }
            Found::Head { deadline } => {
                let next = self.next_at(rule, now);
                // What is in flight may end sooner than what is known of the next permit.
                let is_late = |deadline| deadline <= now || deadline - now < self.wait(rule, now, 0);
                if deadline.is_some_and(is_late) {
                    self.leave(rule, now, ticket, after);
                    return self.too_late(rule, now);
                }
                self.queue.arm(next.unwrap_or(u64::MAX));
                Look::Wait(next.into_iter().chain(deadline).min().map(|at| at - now))
            }
            Found::Behind { deadline: Some(deadline) } if deadline <= now => {
                self.leave(rule, now, ticket, after);
                self.too_late(rule, now)
            }
            Found::Behind { deadline } => Look::Wait(deadline.map(|deadline| deadline - now)),
            Found::Nobody => Look::Gone,
        }
    }

    fn too_late(&mut self, rule: &Rule, now: u64) -> Look {
        self.timed_out += 1;
        Look::TooLate(self.wait(rule, now, self.queue.waiting()))
    }

    /// Leaves the queue; what was granted and not used goes to the next one.
    pub(super) fn leave(&mut self, rule: &Rule, now: u64, ticket: u64, after: &mut After) -> bool {
        let Some((waiter, slot)) = self.queue.leave(ticket) else { return false };
        after.gone.push(waiter);
        if let Some(slot) = slot {
            self.permits.put_back(slot);
        }
        self.serve(rule, now, after);
        true
    }

    /// The request has ended: with its response, or nobody knows how.
    pub(super) fn end(&mut self, rule: &Rule, now: u64, number: u64, answered: bool, after: &mut After) -> bool {
        let Some(sent) = self.permits.sent(number) else { return false };
        let ended = if answered {
            self.headroom.learn(now.saturating_sub(sent), now);
            now
        } else {
            // It may still be on its way, for as long as any.
            let longest = self.headroom.get().max(self.headroom.longest());
            now.max(sent.saturating_add(longest.min(LONGEST_WAY)))
        };
        self.permits.end(number, ended);
        self.serve(rule, now, after);
        true
    }

    pub(super) fn learn(&mut self, rule: &Rule, now: u64, trip: u64, after: &mut After) {
        self.headroom.learn(trip, now);
        self.serve(rule, now, after);
    }

    /// The server has refused a request, and may have said for how long it will refuse others.
    pub(super) fn reject(&mut self, rule: &Rule, now: u64, retry_after: Option<u64>, after: &mut After) {
        self.refused += 1;
        self.headroom.refused(now);
        if let Some(retry_after) = retry_after {
            self.blocked_until = self.blocked_until.max(now.saturating_add(retry_after));
            for slot in self.queue.revoke() {
                self.permits.put_back(slot);
            }
        }
        self.serve(rule, now, after);
    }

    pub(super) fn stats(&mut self, rule: &Rule, now: u64) -> super::PacerStats {
        self.permits.settle(&rule.pace, now);
        self.headroom.relax(now);
        super::PacerStats {
            granted: self.granted,
            refused: self.refused,
            timed_out: self.timed_out,
            waiting: self.queue.waiting() + self.queue.called(),
            in_flight: self.permits.in_flight(),
            in_use: self.permits.in_use(),
            headroom_ns: self.headroom.get(),
            blocked_ns: self.blocked_until.saturating_sub(now),
        }
    }
}
