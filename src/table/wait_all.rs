//! Waiting for the turn of several keys at once, under the locks of all their stripes.
//!
//! A joint waiter stands in the line of each of its keys, under one ticket. It takes all these places in one step, so any
//! two joint waiters stand in the same order in every line that they share, and none waits for the other in a circle. It
//! passes when it is the head of all its lines and all its keys let it pass: then all are charged at one moment. Until then
//! it holds nothing.
//!
//! No line can serve a joint head, because that takes the locks of the other lines too. The head is woken and looks for
//! itself, and those behind it wait for that.

use std::sync::Arc;
use std::task::Waker;

use super::cold::Kept;
use super::pins::Pin;
use super::together::{NoPlace, Stripes};
use super::{Joined, Request, Table};
use crate::account::{After, Asked, Line, Purpose, Seen, Wait};
use crate::classes::ClassId;
use crate::policy::{Cost, Limit};
use crate::queue::{Standing, Waiter, ticket};
use crate::ticks::Ticks;

/// A joint waiter, its lines and the locks of their stripes.
struct Joint<'a> {
    table: &'a Table,
    stripes: Stripes<'a>,
    /// Each account as the number of its stripe and its slot.
    accounts: Vec<(usize, u32)>,
    now: Ticks,
    after: After,
    /// Its waiters bear this mark.
    mark: Option<u64>,
}

/// Where a joint waiter stands in one line, and when that key lets it pass.
struct Stand {
    standing: Standing,
    wait: Wait,
    /// False where no limit but a block is in the way, which ends without regard to any line.
    is_limited: bool,
}

impl Table {
    /// Takes the cost of each of these different keys if nobody waits for any of them and all their limits let it pass, else
    /// joins the lines of those that have limits. Beside the answer, the number of the key that it is about.
    pub(crate) fn join_all(
        &self,
        keys: &[(&[u8], ClassId)],
        request: &Request,
        waker: &Arc<Waker>,
    ) -> Result<(Joined, usize), NoPlace> {
        let asked = &request.asked;
        // What can never pass leaves no trace.
        for (at, &(key, class)) in keys.iter().enumerate() {
            if self.never_passes(&self.peek(key, &asked.cost, class)) {
                return Ok((Joined::Never, at));
            }
        }
        let held = self.hold(keys)?;
        let mut stripes = self.lock_all(held.pins.iter().map(Pin::stripe));
        let now = self.time.now();
        if self.charge_held(&mut stripes, &held.pins, now, &asked.cost, Purpose::Look).1 {
            return Ok((Joined::Granted(None), 0));
        }
        let accounts = held.pins.iter().map(|pin| (pin.stripe(), pin.slot())).collect();
        let mut joint = Joint { table: self, stripes, accounts, now, after: After::default(), mark: asked.joint };
        let joined = joint.join(asked, request.timeout, waker);
        joint.done();
        Ok(joined)
    }

    /// What has become of a joint waiter, which is charged if its turn has come. Beside the answer, the number of the key
    /// that it is about. `Err` leaves it in its lines.
    pub(crate) fn look_all(&self, keys: &[(&[u8], ClassId)], ticket: u64, mark: u64) -> Result<(Seen, usize), NoPlace> {
        let held = self.hold(keys)?;
        let stripes = self.lock_all(held.pins.iter().map(Pin::stripe));
        let accounts = held.pins.iter().map(|pin| (pin.stripe(), pin.slot())).collect();
        let now = self.time.now();
        let mut joint = Joint { table: self, stripes, accounts, now, after: After::default(), mark: Some(mark) };
        let seen = joint.look(ticket);
        joint.done();
        Ok(seen)
    }

    /// The same for the same keys in any order, and for no others.
    pub(crate) fn mark<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> u64 {
        keys.fold(0, |mark: u64, key| mark.wrapping_add(self.hash(key)))
    }

    /// Leaves all lines at once. False if there is no such ticket.
    pub(crate) fn leave_all<'k>(&self, keys: impl Iterator<Item = &'k [u8]> + Clone, ticket: u64, mark: u64) -> bool {
        let mut stripes = self.lock_all(keys.clone().map(|key| self.seek(key).home));
        let find = |key: &[u8]| {
            let sought = self.seek(key);
            let slot = self.find(stripes.of(sought.home), &sought.probe)?;
            Some((sought.home, slot))
        };
        // A key that it waits for has an account.
        let accounts = keys.filter_map(find).collect();
        let now = self.time.now();
        let mut joint = Joint { table: self, stripes, accounts, now, after: After::default(), mark: Some(mark) };
        let left = joint.leave(ticket);
        joint.done();
        left
    }
}

impl Joint<'_> {
    /// Releases the locks, and wakes those whom this has to.
    fn done(self) {
        drop(self.stripes);
        self.after.done();
    }

    /// The numbers of the accounts.
    fn numbers(&self) -> std::ops::Range<usize> {
        0..self.accounts.len()
    }

    /// Whether nothing limits this account, so that nobody waits for it.
    fn is_free(&mut self, at: usize) -> bool {
        let (home, slot) = self.accounts[at];
        let stripe = self.stripes.of(home);
        let is_blocked = stripe.kept(slot).is_some_and(|kept| kept.cold.is_blocked(self.now));
        self.table.classes.get(stripe.policy_of(slot)).is_unlimited() && !is_blocked
    }

    /// The numbers of the accounts that have a line for it.
    fn limited(&mut self) -> Vec<usize> {
        (0..self.accounts.len()).filter(|&at| !self.is_free(at)).collect()
    }

    /// Changes an account that has a state and a line, or gets them.
    fn with_line<R>(&mut self, at: usize, act: impl FnOnce(&mut Kept, &[Limit], &mut After) -> R) -> R {
        let (home, slot) = self.accounts[at];
        let stripe = self.stripes.of(home);
        self.table.cool_if_word(stripe, slot, self.now);
        let act = |kept: &mut Kept, limits: &[Limit]| act(kept, limits, &mut self.after);
        self.table.with_kept(stripe, slot, self.now, act).0
    }

    /// The waiter in the line of this account, if it is there.
    fn waiter(&mut self, at: usize, ticket: u64) -> Option<&Waiter<Asked>> {
        let ((home, slot), mark) = (self.accounts[at], self.mark);
        let line = self.stripes.of(home).kept(slot).and_then(|kept| kept.line.as_deref())?;
        line.find(ticket).map(|(_, waiter)| waiter).filter(|waiter| waiter.ask.joint == mark)
    }

    fn join(&mut self, asked: &Asked, timeout: Option<Ticks>, waker: &Arc<Waker>) -> (Joined, usize) {
        // Taken under all locks: whoever shares a line and joins later gets a higher number.
        let ticket = ticket(asked.class, self.table.new_number());
        let deadline = timeout.map(|timeout| self.now.saturating_add(timeout));
        let mut latest = (0, 0);
        for at in self.limited() {
            let waiter = Waiter::new(waker.clone(), deadline, asked.clone());
            let now = self.now;
            let turn = self.with_line(at, |kept, limits, after| {
                let line = kept.line.get_or_insert_with(|| Box::new(Line::new()));
                line.forget_the_parents((&mut kept.cold, limits), now, after);
                let turn = line.turn((&kept.cold, limits), now, asked)?;
                line.probe(asked.group, after);
                line.enter(ticket, waiter);
                Some(turn)
            });
            let Some(turn) = turn else {
                self.leave(ticket);
                return (Joined::Never, at);
            };
            if turn > latest.0 {
                latest = (turn, at);
            }
        }
        if timeout.is_some_and(|timeout| latest.0 > timeout) {
            self.leave(ticket);
            return (Joined::TooLate(latest.0), latest.1);
        }
        (Joined::Waiting(ticket), 0)
    }

    fn look(&mut self, ticket: u64) -> (Seen, usize) {
        let (table, numbers) = (self.table, self.numbers());
        for (home, slot) in self.accounts.clone() {
            self.stripes.of(home).follow(slot, &table.classes);
        }
        let Some(waiter) = numbers.clone().find_map(|at| self.waiter(at, ticket).cloned()) else {
            return (Seen::Gone, 0);
        };
        let stands: Vec<Stand> = numbers.map(|at| self.stand(at, ticket, &waiter)).collect();
        let seen = self.judge(ticket, &waiter, &stands);
        self.after.drop_later(waiter);
        seen
    }

    /// Serves those ahead in one line, and finds out where the waiter stands in it. A key that nothing limits has no line
    /// for it; one that got limits since it joined has its old place.
    fn stand(&mut self, at: usize, ticket: u64, waiter: &Waiter<Asked>) -> Stand {
        let (table, now) = (self.table, self.now);
        if self.is_free(at) {
            self.leave_one(at, ticket);
            return Stand { standing: Standing::Head, wait: Wait::Now, is_limited: false };
        }
        self.with_line(at, |kept, limits, after| {
            let line = kept.line.get_or_insert_with(|| Box::new(Line::new()));
            line.forget_the_parents((&mut kept.cold, limits), now, after);
            if line.find(ticket).is_none() {
                line.enter(ticket, waiter.clone());
            }
            line.serve((&mut kept.cold, limits), now, Some(ticket), || table.new_number(), after);
            let standing = line.find(ticket).map_or(Standing::Called, |(standing, _)| standing);
            let wait = kept.cold.decide(limits, now, &waiter.ask.cost, Purpose::Look).wait;
            Stand { standing, wait, is_limited: !limits.is_empty() }
        })
    }

    fn judge(&mut self, ticket: u64, waiter: &Waiter<Asked>, stands: &[Stand]) -> (Seen, usize) {
        if let Some(at) = stands.iter().position(|stand| stand.wait == Wait::Never) {
            self.leave(ticket);
            return (Seen::Never, at);
        }
        let now = self.now;
        let due = |stand: &Stand| match stand.wait {
            Wait::Now | Wait::Never => now,
            Wait::For(wait) => now.saturating_add(wait),
            Wait::Open => Ticks::MAX,
        };
        let is_head = stands.iter().all(|stand| stand.standing == Standing::Head);
        // Of those that are due at the same time, the one that it stands behind others for.
        let dues = stands.iter().map(due).enumerate();
        let last = dues.max_by_key(|&(at, due)| (due, stands[at].standing != Standing::Head));
        let (last, latest) = last.unwrap_or((0, now));
        if is_head && latest <= now {
            self.pass(ticket, &waiter.ask.cost);
            return (Seen::Granted(None), 0);
        }
        let deadline = waiter.deadline.unwrap_or(Ticks::MAX);
        if deadline <= now || stands.iter().any(|stand| stand.standing == Standing::Called) {
            self.leave(ticket);
            // Not before those ahead of it.
            let wait = Some(latest).filter(|&latest| latest < Ticks::MAX).map(|latest| (latest - now).max(1));
            return (Seen::TooLate(wait), last);
        }
        for (at, stand) in stands.iter().enumerate() {
            if stand.standing == Standing::Head && !self.is_free(at) {
                let due = due(stand);
                self.with_line(at, |kept, _, _| {
                    if let Some(line) = &mut kept.line {
                        line.arm(due.min(deadline));
                    }
                });
            }
        }
        // Behind others it is woken when it comes to the head. When a block is over that nothing else limits, its line is, too.
        let turn = if is_head { latest } else { Ticks::MAX };
        let blocks = stands.iter().filter(|stand| !stand.is_limited).map(due).filter(|&due| due > now);
        let until = blocks.fold(deadline.min(turn), Ticks::min);
        (Seen::Wait((until < Ticks::MAX).then(|| until - now)), last)
    }

    /// Charges all keys, and leaves all lines.
    fn pass(&mut self, ticket: u64, cost: &Cost) {
        let now = self.now;
        for at in self.limited() {
            self.with_line(at, |kept, limits, _| {
                let charged = kept.cold.decide(limits, now, cost, Purpose::Charge);
                debug_assert!(charged.passes(), "it did, by the same reading under the same lock");
            });
        }
        self.leave(ticket);
    }

    fn leave(&mut self, ticket: u64) -> bool {
        self.numbers().fold(false, |left, at| self.leave_one(at, ticket) | left)
    }

    /// Leaves one line, and serves those behind.
    fn leave_one(&mut self, at: usize, ticket: u64) -> bool {
        if self.waiter(at, ticket).is_none() {
            return false;
        }
        let (table, now) = (self.table, self.now);
        self.with_line(at, |kept, limits, after| {
            let Kept { cold, line: Some(line), .. } = kept else { return false };
            let left = line.leave((&mut *cold, limits), ticket, now, after);
            line.serve((cold, limits), now, None, || table.new_number(), after);
            left
        })
    }
}
