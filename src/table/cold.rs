//! Accounts whose state is more than a word: several limits, a window, or reservations.
//!
//! Such an account's class says that it is decided about elsewhere, so the lock-free path gives no answer for it, at no cost
//! to all others; its state lies beside the slot and is changed under the stripe's lock alone. The slot's word is then the
//! time from which on the account equals a fresh one: who goes when the table is full is found as ever.
//!
//! An account of a single rate *cools down* when something is reserved (its word becomes a state, its class that class's
//! cold twin) and *warms up* again when nothing is.

use super::stripe::Locked;
use super::{Absent, Answer, Charge, Detail, Sought, Table};
use crate::account::{After, Cold, LeaseId, Line, Purpose, Ruling, Terms};
use crate::classes::ClassId;
use crate::limit::Verdict;
use crate::policy::{Cost, Limit};
use crate::sync::Ordering;
use crate::ticks::Ticks;

/// The answer of an account with several limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ruled {
    pub(crate) ruling: Ruling,
    /// The class whose limits were asked.
    pub(crate) class: ClassId,
    pub(crate) now: Ticks,
    /// This denial is to be told, with the number of those before it that were not.
    pub(crate) notice: Option<u32>,
    /// What was reserved.
    pub(crate) lease: Option<LeaseId>,
}

/// An account's state, and the class that it is of while it has one.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) home: ClassId,
    pub(super) cold: Cold,
    /// Who waits.
    pub(super) line: Option<Box<Line>>,
    /// The number of its turn to be looked at; the stripe gives it.
    pub(super) turn: u64,
}

impl Kept {
    pub(super) fn new(home: ClassId, cold: Cold) -> Self {
        Self { home, cold, line: None, turn: 0 }
    }

    /// Whether somebody waits or has a reservation.
    pub(super) fn is_held(&self) -> bool {
        self.cold.is_held() || self.is_waited_for()
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.is_empty())
    }
}

impl Table {
    fn limits(&self, class: ClassId) -> &[Limit] {
        self.classes.get(class).in_force()
    }

    pub(super) fn is_cold(&self, class: ClassId) -> bool {
        self.classes.get(class).is_cold()
    }

    /// Whether accounts of this class are looked at under their stripe's lock: they are more than a word, or other limits
    /// have followed theirs.
    pub(super) fn is_elsewhere(&self, class: ClassId) -> bool {
        self.classes.rule(class).is_elsewhere()
    }

    /// What an unknown key is, with its limits: a fresh account, which must not be one before the stripe's horizon.
    pub(super) fn unknown(&self, stripe: &Locked<'_>, class: ClassId, now: Ticks) -> (Cold, &[Limit]) {
        let limits = self.limits(class);
        let from = Some(stripe.horizon()).filter(|&horizon| horizon > now);
        (Cold::fresh(limits, from.unwrap_or(0)), limits)
    }

    /// What an unknown key would be told.
    pub(super) fn rule_unknown(&self, stripe: &Locked<'_>, class: ClassId, now: Ticks, cost: &Cost) -> Ruled {
        let (mut cold, limits) = self.unknown(stripe, class, now);
        let ruling = cold.decide_whole(limits, now, cost, Purpose::Look);
        Ruled { ruling, class, now, notice: None, lease: None }
    }

    /// Decides about an account that is cold, by a reading taken under this lock. Nobody overtakes those who wait.
    pub(super) fn rule(&self, stripe: &mut Locked<'_>, slot: u32, now: Ticks, cost: &Cost, purpose: Purpose) -> Ruled {
        self.rule_by(stripe, slot, now, (cost, purpose), Cold::decide_whole)
    }

    fn rule_by(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        now: Ticks,
        (cost, purpose): (&Cost, Purpose),
        decide: impl FnOnce(&mut Cold, &[Limit], Ticks, &Cost, Purpose) -> Ruling,
    ) -> Ruled {
        let (ruling, class) = self.with_kept(stripe, slot, now, |kept, limits| {
            if !cost.is_zero() && kept.is_waited_for() {
                return decide(&mut kept.cold, limits, now, cost, Purpose::Look).behind_others(limits);
            }
            decide(&mut kept.cold, limits, now, cost, purpose)
        });
        let lease = match purpose {
            Purpose::Reserve(id, _) if ruling.passes() => Some(id),
            _ => None,
        };
        Ruled { ruling, class, now, notice: None, lease }
    }

    /// Charges an account that is cold. A call of its own, so that those who never come here do not make room for it.
    #[cold]
    #[inline(never)]
    pub(super) fn charge_cold(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        now: Ticks,
        cost: &Cost,
        detail: Detail,
    ) -> Answer {
        let asked = (cost, Purpose::Charge);
        let ruled = match detail {
            Detail::YesOrNo => self.rule_by(stripe, slot, now, asked, Cold::decide),
            Detail::Whole => self.rule_by(stripe, slot, now, asked, Cold::decide_whole),
        };
        Answer::Ruled(self.told(slot, ruled))
    }

    /// Changes the state of a cold account. Every few changes pay for one look at another one, whose turn it is: idle logs
    /// shrink, and what ended by itself is noticed.
    pub(super) fn with_kept<R>(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        now: Ticks,
        change: impl FnOnce(&mut Kept, &[Limit]) -> R,
    ) -> (R, ClassId) {
        let answer = self.with_one(stripe, slot, now, change);
        if let Some(other) = stripe.next_kept().filter(|&other| other != slot) {
            // Brought to now under limits that others have followed, it would be too far ahead of their change.
            stripe.follow(other, &self.classes);
            if self.is_cold(self.slab.slot(other).look_locked().1) {
                self.with_one(stripe, other, now, |kept, limits| kept.cold.tidy(limits, now));
            }
        }
        answer
    }

    /// Changes the state, and what the slot shows of it. Without a reservation or a waiter, an account of a single rate is a
    /// word again.
    fn with_one<R>(
        &self,
        stripe: &mut Locked<'_>,
        slot: u32,
        now: Ticks,
        change: impl FnOnce(&mut Kept, &[Limit]) -> R,
    ) -> (R, ClassId) {
        let (word, class) = self.slab.slot(slot).look_locked();
        let fresh = || {
            let born = Some(word).filter(|&word| word > now);
            Kept::new(class, Cold::fresh(self.limits(class), born.unwrap_or(0)))
        };
        let kept = stripe.kept_mut(slot, fresh);
        let home = kept.home;
        let policy = self.classes.get(home);
        let limits = policy.in_force();
        if policy.follows_calendar() || kept.cold.has_dormant() {
            kept.cold.follow_calendars(limits, now, || self.time.moment());
        }
        let answer = change(kept, limits);
        if !kept.is_waited_for() {
            kept.line = None;
        }
        if !self.is_cold(home)
            && kept.line.is_none()
            && let Some(tat) = kept.cold.word()
        {
            stripe.take_kept(slot);
            stripe.change(slot, |_, _| (tat, home));
            return (answer, home);
        }
        let settled = kept.cold.settled(limits, now);
        match settled.cmp(&word) {
            std::cmp::Ordering::Equal => {}
            // Nobody charges this word without the lock, and it rises.
            std::cmp::Ordering::Greater => self.slab.slot(slot).thaw(settled),
            std::cmp::Ordering::Less => stripe.change(slot, |_, class| (settled, class)),
        }
        (answer, home)
    }

    /// Makes a state of a word, which is first brought back to where a charge could have left it.
    pub(super) fn cool_if_word(&self, stripe: &mut Locked<'_>, slot: u32, now: Ticks) {
        if !self.is_cold(self.slab.slot(slot).look_locked().1) {
            stripe.clamp(slot, now, &self.classes);
            stripe.make_composite(slot, &self.classes);
        }
    }

    /// Whether nothing limits the account.
    pub(super) fn is_unlimited_slot(&self, slot: u32) -> bool {
        self.classes.get(self.slab.slot(slot).look_locked().1).is_unlimited()
    }

    /// A number that nothing else has, for a reservation or a place in line. Under one lock, later ones are higher.
    pub(super) fn new_number(&self) -> u64 {
        // ORDERING: Relaxed; a number and no more. Whoever had the lock before added to the same word before.
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The slot of the key's account, made of this class if it is unknown and `n` would pass.
    pub(super) fn find_or_make<'a>(
        &'a self,
        sought: &Sought<'_>,
        cost: &Cost,
        class: ClassId,
    ) -> Result<(Locked<'a>, u32, Ticks), Answer> {
        let class = self.class_for(sought.probe.key, class);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        match self.find(&mut stripe, &sought.probe) {
            Some(slot) => Ok((stripe, slot, self.time.now())),
            // Where no limit denies, everything passes.
            None if self.classes.get(class).is_shadow() => self.make(stripe, sought, cost, Absent::Create(class)),
            None => self.make(stripe, sought, cost, Absent::Charge(class)),
        }
    }

    /// Reserves for the key, until it is settled or the terms are over. `Ok` with no lease if nothing limits the key.
    pub(crate) fn reserve(&self, key: &[u8], cost: &Cost, class: ClassId, terms: Terms) -> Answer {
        let sought = self.seek(key);
        let (mut stripe, slot, now) = match self.find_or_make(&sought, cost, class) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let class = self.slab.slot(slot).look_locked().1;
        if !self.is_cold(class) {
            let tat = stripe.clamp(slot, now, &self.classes);
            let policy = self.classes.get(class);
            let verdict = policy.rule().decide(tat, now, cost.on_only(policy.limits()));
            let denied = !matches!(verdict, Verdict::Allow(_)) && !policy.is_shadow();
            if denied || policy.is_unlimited() {
                return Answer::Charged(self.noticed(slot, Charge { verdict, tat, now, class, notice: None }));
            }
            stripe.make_composite(slot, &self.classes);
        }
        let ruled = self.rule(&mut stripe, slot, now, cost, Purpose::Reserve(self.new_number(), terms));
        Answer::Ruled(self.told(slot, ruled))
    }

    /// Ends a reservation of which so much was used (`None`: all). False if it has ended before.
    pub(crate) fn settle(&self, key: &[u8], id: LeaseId, used: Option<&Cost>) -> bool {
        self.change_known(key, |cold, limits, now| cold.settle(limits, id, now, used))
    }

    /// Lets a reservation begin anew under other terms; false if it has ended.
    pub(crate) fn renew(&self, key: &[u8], id: LeaseId, terms: Terms) -> bool {
        self.change_known(key, |cold, limits, now| cold.renew(limits, id, now, terms))
    }

    /// Charges what was used of a reservation that had been given back: whatever the limits say, because it has happened.
    pub(crate) fn debit(&self, key: &[u8], used: &Cost) -> bool {
        let sought = self.seek(key);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        let Some(slot) = self.find(&mut stripe, &sought.probe) else { return false };
        let now = self.time.now();
        self.cool_if_word(&mut stripe, slot, now);
        self.with_kept(&mut stripe, slot, now, |kept, limits| kept.cold.debit(limits, now, used));
        true
    }

    /// Ends every timeout of the key; false if none runs.
    pub(crate) fn release(&self, key: &[u8]) -> bool {
        self.change_known(key, Cold::release)
    }

    /// Counts a denial that somebody else made; true if it began a timeout.
    pub(crate) fn penalize(&self, key: &[u8], class: ClassId) -> bool {
        let sought = self.seek(key);
        let Ok((mut stripe, slot, now)) = self.find_or_make(&sought, &Cost::new(0), class) else { return false };
        if !self.is_cold(self.slab.slot(slot).look_locked().1) {
            return false;
        }
        self.with_kept(&mut stripe, slot, now, |kept, limits| kept.cold.penalize(limits, now)).0
    }

    fn change_known(&self, key: &[u8], change: impl FnOnce(&mut Cold, &[Limit], Ticks) -> bool) -> bool {
        self.in_line(key, |kept, limits, now, _| change(&mut kept.cold, limits, now)).unwrap_or(false)
    }

    /// Makes a cold account as good as new; its reservations are forgotten, who waits is served.
    pub(super) fn reset_cold(&self, mut stripe: Locked<'_>, slot: u32) {
        let (now, mut after) = (self.time.now(), After::default());
        self.with_line(&mut stripe, slot, now, &mut after, |kept, limits, _| {
            kept.cold = Cold::fresh(limits, 0);
            kept.cold.follow_calendars(limits, now, || self.time.moment());
        });
        drop(stripe);
        after.done();
    }

    /// The same denial with a word on whether it is to be told.
    pub(super) fn told(&self, slot: u32, ruled: Ruled) -> Ruled {
        if ruled.ruling.passes() && ruled.ruling.shadowed == 0 {
            return ruled;
        }
        Ruled { notice: self.notice(slot, ruled.now), ..ruled }
    }
}
