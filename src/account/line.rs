//! Those who wait for one key: served in their order, each as soon as all limits let it pass.
//!
//! What is granted is a reservation until its waiter has noticed, so that whoever leaves at the last moment gives it back
//! exactly. Nobody is woken here: who is to be is handed out, for a lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::cold::{Cold, Purpose, Wait};
use super::earliest::soonest_of_bucket;
use super::leases::{LeaseId, Terms};
use super::part::State;
use crate::policy::{Cost, Limit, Rule};
use crate::queue::{self, Found, Queue, Standing, Waiter};
use crate::ticks::{LONGEST, Ticks};

/// A grant that nobody notices counts as sent after ten minutes.
const UNNOTICED: Terms = Terms { length: 600_000_000_000 * crate::ticks::PER_NANO, gives_back: false };

/// What a waiter finds who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Its turn has come: it holds this.
    Granted(Option<LeaseId>),
    /// Look again when woken, or after so long.
    Wait(Option<Ticks>),
    /// Its time is over, or would be before its turn, after so long; `None`: when is not known.
    TooLate(Option<Ticks>),
    /// It asks for more than a limit ever lets pass.
    Never,
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
    /// Drops what a waiter holds when no lock is held any more.
    pub(crate) fn drop_later(&mut self, waiter: Waiter<Asked>) {
        self.gone.push(waiter);
    }

    pub(crate) fn done(self) {
        self.wake.iter().for_each(|waker| waker.wake_by_ref());
    }
}

/// Why a waiter is not let into the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its turn would come after so long at the earliest.
    TooLate(Ticks),
    Never,
}

/// What one waits for, in which class, and with whom it is parked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) cost: Cost,
    /// Lower ones are served first.
    pub(crate) class: u8,
    /// Those of one group are parked by the same loop, which may be gone without a word.
    pub(crate) group: u64,
    /// Of one that waits in the lines of several keys: the mark of these keys. No single line can grant it anything: it is woken,
    /// and looks for itself.
    pub(crate) joint: Option<u64>,
}

/// Who waits for one key.
pub(crate) struct Line {
    queue: Queue<LeaseId, Asked>,
    /// What the waiters of a class ask for in all.
    sums: BTreeMap<u8, Sum>,
    /// Waiters from before a fork are in another process.
    process: u32,
}

/// What several requests cost in all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    count: usize,
    each: u64,
    /// How much more (or less) the limits of these names cost.
    more: BTreeMap<Arc<str>, i128>,
}

impl Sum {
    fn add(&mut self, cost: &Cost) {
        self.count += 1;
        self.each = self.each.saturating_add(cost.each());
        for (name, n) in cost.named() {
            *self.more.entry(name.clone()).or_default() += i128::from(*n) - i128::from(cost.each());
        }
    }

    fn subtract(&mut self, cost: &Cost) {
        self.count -= 1;
        self.each = self.each.saturating_sub(cost.each());
        for (name, n) in cost.named() {
            if let Some(more) = self.more.get_mut(name) {
                *more -= i128::from(*n) - i128::from(cost.each());
            }
        }
        self.more.retain(|_, more| *more != 0);
    }

    fn on(&self, limit: &Limit) -> u64 {
        let all = i128::from(self.each) + self.more.get(&limit.name).unwrap_or(&0);
        u64::try_from(all.max(0)).unwrap_or(u64::MAX)
    }
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { queue: Queue::default(), sums: BTreeMap::new(), process: std::process::id() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Joins behind those of its class that have lower numbers; `Err` if its turn would come after more than the timeout even
    /// if every reservation ended now, or never.
    pub(crate) fn join(
        &mut self,
        of: (&Cold, &[Limit]),
        now: Ticks,
        asked: Asked,
        timeout: Option<Ticks>,
        (number, waker): (u64, &Arc<Waker>),
    ) -> Result<u64, Refused> {
        let wait = self.turn(of, now, &asked).ok_or(Refused::Never)?;
        if timeout.is_some_and(|timeout| wait > timeout) {
            return Err(Refused::TooLate(wait));
        }
        let deadline = timeout.map(|timeout| now.saturating_add(timeout));
        let ticket = queue::ticket(asked.class, number);
        self.enter(ticket, Waiter::new(waker.clone(), deadline, asked));
        Ok(ticket)
    }

    /// After how long the turn of a request would come that joined now, at the earliest; `None` if never.
    pub(crate) fn turn(&self, (cold, limits): (&Cold, &[Limit]), now: Ticks, asked: &Asked) -> Option<Ticks> {
        let ahead = |limit: &Limit| {
            let sums = self.sums.range(..=asked.class);
            sums.fold(0, |sum: u64, (_, more)| sum.saturating_add(more.on(limit)))
        };
        cold.turn(limits, now, ahead, &asked.cost).map(|at| at.saturating_sub(now))
    }

    /// Takes the place of this ticket.
    pub(crate) fn enter(&mut self, ticket: u64, waiter: Waiter<Asked>) {
        self.sums.entry(waiter.ask.class).or_default().add(&waiter.ask.cost);
        self.queue.enter(ticket, waiter);
    }

    /// Where a waiter stands, if it has not looked; `None`, too, in a process that was forked off since it joined.
    pub(crate) fn find(&self, ticket: u64) -> Option<(Standing, &Waiter<Asked>)> {
        self.queue.find(ticket).filter(|_| self.process == std::process::id())
    }

    /// Whether this ticket is one of several lines.
    pub(crate) fn is_joint(&self, ticket: u64) -> bool {
        self.queue.find(ticket).is_some_and(|(_, waiter)| waiter.ask.joint.is_some())
    }

    /// The head looks by itself at this time.
    pub(crate) fn arm(&mut self, at: Ticks) {
        self.queue.arm(at);
    }

    /// Wakes a head that is parked by another loop: if that loop is closed, its waker finds out and leaves the line.
    pub(crate) fn probe(&self, group: u64, after: &mut After) {
        if let Some(head) = self.queue.head().filter(|head| head.ask.group != group) {
            after.wake.push(head.waker().clone());
        }
    }

    /// One waits no more.
    fn count_out(&mut self, asked: &Asked) {
        if let Some(sum) = self.sums.get_mut(&asked.class) {
            sum.subtract(&asked.cost);
            if sum.count == 0 {
                self.sums.remove(&asked.class);
            }
        }
    }

    fn call(&mut self, grant: Option<LeaseId>, after: &mut After) {
        if let Some(asked) = self.queue.head().map(|head| head.ask.clone()) {
            self.count_out(&asked);
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
            let (cost, deadline) = (head.ask.cost.clone(), head.deadline.unwrap_or(Ticks::MAX));
            let at = match cold.decide(limits, now, &cost, Purpose::Look).wait {
                Wait::Now if head.ask.joint.is_some() => now,
                Wait::Now => {
                    let id = next();
                    cold.decide(limits, now, &cost, Purpose::Reserve(id, UNNOTICED));
                    self.call(Some(id), after);
                    continue;
                }
                Wait::For(wait) if deadline > now => now.saturating_add(wait),
                Wait::Open if deadline > now => Ticks::MAX,
                Wait::For(_) | Wait::Open | Wait::Never => {
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
        let too_late = |cold: &mut Cold, cost: &Cost| match cold.decide(limits, now, cost, Purpose::Look).wait {
            Wait::Never => Seen::Never,
            Wait::Open => Seen::TooLate(None),
            Wait::For(wait) => Seen::TooLate(Some(wait)),
            // Not before those ahead of it.
            Wait::Now => Seen::TooLate(Some(1)),
        };
        match self.queue.look(ticket) {
            Found::Called(Some(id), waiter) => {
                after.gone.push(waiter);
                Seen::Granted(Some(id))
            }
            Found::Called(None, waiter) => {
                let seen = too_late(cold, &waiter.ask.cost);
                after.gone.push(waiter);
                seen
            }
            Found::Head { deadline } => {
                let cost = self.queue.head().map_or(Cost::new(0), |head| head.ask.cost.clone());
                let due = match cold.decide(limits, now, &cost, Purpose::Look).wait {
                    Wait::For(wait) => now.saturating_add(wait),
                    Wait::Open => Ticks::MAX,
                    Wait::Now | Wait::Never => now,
                };
                let at = due.min(deadline.unwrap_or(Ticks::MAX));
                self.queue.arm(at);
                Seen::Wait((at < Ticks::MAX).then(|| at.saturating_sub(now)))
            }
            Found::Behind { deadline: Some(deadline) } if deadline <= now => {
                let Some((waiter, _)) = self.queue.leave(ticket) else { return Seen::Gone };
                self.count_out(&waiter.ask);
                let seen = too_late(cold, &waiter.ask.cost);
                after.gone.push(waiter);
                seen
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
        let was_called = matches!(self.queue.find(ticket), Some((Standing::Called, _)));
        let Some((waiter, grant)) = self.queue.leave(ticket) else { return false };
        if let Some(id) = grant {
            cold.cancel(limits, id, now);
        }
        if !was_called {
            self.count_out(&waiter.ask);
        }
        after.gone.push(waiter);
        true
    }

    /// In a process that was forked off nobody waits; what was granted to those who did is given back.
    pub(crate) fn forget_the_parents(&mut self, (cold, limits): (&mut Cold, &[Limit]), now: Ticks, after: &mut After) {
        let process = std::process::id();
        if self.process != process {
            self.process = process;
            for id in self.queue.revoke() {
                cold.cancel(limits, id, now);
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
    /// When the turn of a request would come with so much before it in line, at the earliest: if every reservation ended now
    /// and nothing was used of it. Exactly then where nothing is reserved, many small ones are ahead, and none of them
    /// leaves. `None` if never.
    fn turn(&self, limits: &[Limit], now: Ticks, ahead: impl Fn(&Limit) -> u64, cost: &Cost) -> Option<Ticks> {
        let mut latest = now;
        for (number, limit) in limits.iter().enumerate().filter(|(_, limit)| !limit.shadow) {
            let n = cost.on(limit);
            let at = match &limit.rule {
                Rule::Rate { bucket, .. } if n > 0 => {
                    let at = self.passes_at_soonest(number, limit, now, n)?.max(now);
                    let before = ahead(limit).saturating_mul(bucket.emission()).min(LONGEST);
                    // What is there already serves those ahead first.
                    let spare = bucket.tolerance().saturating_sub(self.owed_time((number, limit), now));
                    let spare = spare.saturating_sub(n.saturating_mul(bucket.emission()));
                    at.saturating_add(before.saturating_sub(spare))
                }
                Rule::Window(window) if n > 0 && n <= window.limit() => {
                    // Whole limits before it each take a width; the rest goes as one.
                    let through = ahead(limit).saturating_add(n);
                    let (rounds, rest) = ((through - 1) / window.limit(), (through - 1) % window.limit() + 1);
                    let at = self.passes_at_soonest(number, limit, now, rest)?.max(now);
                    at.saturating_add(rounds.saturating_mul(window.reach()).min(LONGEST))
                }
                Rule::Calendar(calendar) if n > 0 && n <= calendar.limit() => {
                    let State::Period(counted) = &self.parts[number].state else { continue };
                    counted.through(calendar, ahead(limit).saturating_add(n))
                }
                _ => self.passes_at_soonest(number, limit, now, n)?,
            };
            latest = latest.max(at);
        }
        Some(latest.max(self.from).max(self.blocked))
    }

    /// What a bucket owes beside what is reserved of it, as time.
    fn owed_time(&self, of: (usize, &Limit), now: Ticks) -> Ticks {
        match (&self.parts[of.0].state, &of.1.rule) {
            (&State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                soonest_of_bucket(bucket, tat, (&self.leases, of), now).saturating_sub(now)
            }
            _ => 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "line_tests.rs"]
mod tests;
