//! Those who wait for one key: served in their order, each as soon as all limits let it pass.
//!
//! What is granted is a reservation until its waiter has noticed, so that whoever leaves at the last moment gives it back
//! exactly. Nobody is woken here: who is to be is handed out, for a lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::cold::{Cold, Purpose, Wait};
use super::leases::{LeaseId, Terms};
use super::part::State;
use crate::policy::{Limit, Rule};
use crate::queue::{Found, Queue, Waiter};
use crate::ticks::{LONGEST, Ticks};

/// A grant that nobody notices counts as sent after ten minutes.
const UNNOTICED: Terms = Terms { length: 600_000_000_000 * crate::ticks::PER_NANO, gives_back: false };

/// What a waiter finds who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its turn has come: it holds this.
    Granted(LeaseId),
    /// Look again when woken, or after so long.
    Wait(Option<Ticks>),
    /// Its time is over, or would be before its turn, after so long; `None`: it can never come.
    TooLate(Option<Ticks>),
    /// There is no such ticket.
    Gone,
}

/// What is to be done when the lock is released.
#[derive(Default)]
pub(crate) struct After {
    wake: Vec<Arc<Waker>>,
    /// To be dropped, no more: what a waker holds may run anything when it goes.
    gone: Vec<Waiter<Asked>>,
}

impl After {
    pub(crate) fn done(self) {
        self.wake.iter().for_each(|waker| waker.wake_by_ref());
    }
}

/// What one waits for, in which class, and with whom it is parked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) n: u64,
    /// Lower ones are served first.
    pub(crate) class: u8,
    /// Those of one group are parked by the same loop, which may be gone without a word.
    pub(crate) group: u64,
}

/// Who waits for one key.
pub(crate) struct Line {
    queue: Queue<LeaseId, Asked>,
    /// What those who wait ask for in all, by their class.
    sums: BTreeMap<u8, u64>,
    /// Waiters from before a fork are in another process.
    process: u32,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { queue: Queue::default(), sums: BTreeMap::new(), process: std::process::id() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Joins behind those of its class; `Err` if its turn would come after more than the timeout, as far as is known.
    pub(crate) fn join(
        &mut self,
        (cold, limits): (&Cold, &[Limit]),
        now: Ticks,
        asked: Asked,
        timeout: Option<Ticks>,
        waker: &Arc<Waker>,
    ) -> Result<u64, Option<Ticks>> {
        let Asked { n, class, .. } = asked;
        let ahead = self.sums.range(..=class).fold(0, |sum: u64, (_, more)| sum.saturating_add(*more));
        let Some(at) = cold.turn(limits, now, ahead, n) else { return Err(None) };
        let wait = at.saturating_sub(now);
        if timeout.is_some_and(|timeout| wait > timeout) {
            return Err(Some(wait));
        }
        let deadline = timeout.map(|timeout| now.saturating_add(timeout));
        let sum = self.sums.entry(class).or_default();
        *sum = sum.saturating_add(n);
        Ok(self.queue.join(class, waker.clone(), deadline, asked))
    }

    /// Wakes a head that is parked by another loop: if that loop is closed, its waker finds out and leaves the line.
    pub(crate) fn probe(&self, group: u64, after: &mut After) {
        if let Some(head) = self.queue.head().filter(|head| head.ask.group != group) {
            after.wake.push(head.waker().clone());
        }
    }

    /// One waits no more.
    fn count_out(&mut self, asked: Asked) {
        if let Some(sum) = self.sums.get_mut(&asked.class) {
            *sum = sum.saturating_sub(asked.n);
            if *sum == 0 {
                self.sums.remove(&asked.class);
            }
        }
    }

    fn call(&mut self, grant: Option<LeaseId>, after: &mut After) {
        if let Some(asked) = self.queue.head().map(|head| head.ask) {
            self.count_out(asked);
        }
        after.wake.extend(self.queue.call(grant));
    }

    /// Grants what can be granted, in order, and tells the head of its timer, unless it is the one who is looking.
    pub(crate) fn serve(
        &mut self,
        (cold, limits): (&mut Cold, &[Limit]),
        now: Ticks,
        looking: Option<u64>,
        mut next: impl FnMut() -> LeaseId,
        after: &mut After,
    ) {
        self.forget_the_parents((&mut *cold, limits), now, after);
        while let Some(head) = self.queue.head() {
            let (n, deadline) = (head.ask.n, head.deadline.unwrap_or(Ticks::MAX));
            let at = match cold.decide(limits, now, n, Purpose::Look).wait {
                Wait::Now => {
                    let id = next();
                    cold.decide(limits, now, n, Purpose::Reserve(id, UNNOTICED));
                    self.call(Some(id), after);
                    continue;
                }
                Wait::For(wait) if deadline > now => now.saturating_add(wait),
                Wait::For(_) | Wait::Never => {
                    self.call(None, after);
                    continue;
                }
            };
            if !looking.is_some_and(|ticket| self.queue.is_head(ticket)) {
                after.wake.extend(self.queue.rearm(at.min(deadline)));
            }
            return;
        }
    }

    /// What has become of a waiter, after serving.
    pub(crate) fn look(
        &mut self,
        (cold, limits): (&mut Cold, &[Limit]),
        ticket: u64,
        now: Ticks,
        after: &mut After,
    ) -> Seen {
        let too_late = |cold: &mut Cold, n| match cold.decide(limits, now, n, Purpose::Look).wait {
            Wait::Never => Seen::TooLate(None),
            Wait::For(wait) => Seen::TooLate(Some(wait)),
            Wait::Now => Seen::TooLate(Some(0)),
        };
        match self.queue.look(ticket) {
            Found::Called(Some(id), waiter) => {
                after.gone.push(waiter);
                Seen::Granted(id)
            }
            Found::Called(None, waiter) => {
                let seen = too_late(cold, waiter.ask.n);
                after.gone.push(waiter);
                seen
            }
            Found::Head { deadline } => {
                let n = self.queue.head().map_or(0, |head| head.ask.n);
                let due = match cold.decide(limits, now, n, Purpose::Look).wait {
                    Wait::For(wait) => now.saturating_add(wait),
                    Wait::Now | Wait::Never => now,
                };
                let at = due.min(deadline.unwrap_or(Ticks::MAX));
                self.queue.arm(at);
                Seen::Wait(Some(at.saturating_sub(now)))
            }
            Found::Behind { deadline: Some(deadline) } if deadline <= now => {
                let Some((waiter, _)) = self.queue.leave(ticket) else { return Seen::Gone };
                let asked = waiter.ask;
                after.gone.push(waiter);
                self.count_out(asked);
                too_late(cold, asked.n)
            }
            Found::Behind { deadline } => Seen::Wait(deadline.map(|deadline| deadline - now)),
            Found::Nobody => Seen::Gone,
        }
    }

    /// Leaves, and gives back what was granted and not noticed. False if there is no such ticket.
    pub(crate) fn leave(
        &mut self,
        (cold, limits): (&mut Cold, &[Limit]),
        ticket: u64,
        now: Ticks,
        after: &mut After,
    ) -> bool {
        let Some((waiter, grant)) = self.queue.leave(ticket) else { return false };
        let asked = waiter.ask;
        after.gone.push(waiter);
        match grant {
            Some(id) => drop(cold.settle(limits, id, now, Some(0))),
            None => self.count_out(asked),
        }
        true
    }

    /// Nothing limits the key any more: everybody's turn has come. They find that there is no such ticket, and ask anew.
    pub(crate) fn disperse(&mut self, after: &mut After) {
        while self.queue.waiting() > 0 {
            self.call(None, after);
        }
        after.gone.extend(self.queue.clear());
    }

    /// In a process that was forked off nobody waits; what was granted to those who did is given back.
    fn forget_the_parents(&mut self, (cold, limits): (&mut Cold, &[Limit]), now: Ticks, after: &mut After) {
        let process = std::process::id();
        if self.process != process {
            self.process = process;
            for id in self.queue.revoke() {
                cold.settle(limits, id, now, Some(0));
            }
            after.gone.extend(self.queue.clear());
            self.sums.clear();
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("waiting", &self.queue.waiting()).finish_non_exhaustive()
    }
}

impl Cold {
    /// When the turn of `n` would come with so much before it in line, at the earliest: exactly then if those are many small
    /// ones and nobody leaves. `None` if never.
    fn turn(&self, limits: &[Limit], now: Ticks, ahead: u64, n: u64) -> Option<Ticks> {
        let mut latest = now;
        for (number, limit) in limits.iter().enumerate().filter(|(_, limit)| !limit.shadow) {
            let at = match &limit.rule {
                Rule::Rate { bucket, .. } if n > 0 => {
                    let at = self.passes_at(number, limit, now, n)?.max(now);
                    let before = ahead.saturating_mul(bucket.emission()).min(LONGEST);
                    // What is there already serves those ahead first.
                    let spare = bucket.tolerance().saturating_sub(self.owed_time(number, now));
                    let spare = spare.saturating_sub(n.saturating_mul(bucket.emission()));
                    at.saturating_add(before.saturating_sub(spare))
                }
                Rule::Window(window) if n > 0 && n <= window.limit() => {
                    // Whole limits before it each take a width; the rest goes as one.
                    let through = ahead.saturating_add(n);
                    let (rounds, rest) = ((through - 1) / window.limit(), (through - 1) % window.limit() + 1);
                    let at = self.passes_at(number, limit, now, rest)?.max(now);
                    at.saturating_add(rounds.saturating_mul(window.reach()).min(LONGEST))
                }
                _ => self.passes_at(number, limit, now, n)?,
            };
            latest = latest.max(at);
        }
        Some(latest.max(self.from))
    }

    /// What a bucket owes, as time.
    fn owed_time(&self, number: usize, now: Ticks) -> Ticks {
        match self.parts[number].state {
            State::Bucket(tat) => tat.saturating_sub(now),
            _ => 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "line_tests.rs"]
mod tests;
