//! Other limits for an account: ordered for its key alone, or for all keys that follow the limiter's own limits.
//!
//! A change of the limiter's limits is one entry in the policy registry (see [`crate::classes`]), made while all stripes are
//! locked, which takes microseconds whatever the table holds. From then on no decision without a lock succeeds under the old
//! limits. Each account is brought under the new ones when it is met next under its stripe's lock: as of the time of the
//! change, so it makes no difference when that is.

use super::cold::Kept;
use super::stripe::Locked;
use crate::account::{Cold, remembers};
use crate::classes::{ClassId, Classes};
use crate::clock::Moment;
use crate::limit::Migration;

impl Locked<'_> {
    /// Brings an account under the limits that have followed its own.
    #[inline]
    pub(super) fn follow(&mut self, slot: u32, classes: &Classes) {
        if classes.have_changed() {
            self.follow_changes(slot, classes);
        }
    }

    #[cold]
    #[inline(never)]
    fn follow_changes(&mut self, slot: u32, classes: &Classes) {
        while let Some(change) = classes.change_of(self.policy_of(slot)) {
            self.reclass(slot, change.to, change.how, change.at, classes);
        }
    }

    /// The number of the policy that an account is under, whatever its slot shows meanwhile.
    pub(super) fn policy_of(&self, slot: u32) -> ClassId {
        self.kept(slot).map_or_else(|| self.slot(slot).look_locked().1, |kept| kept.home)
    }

    /// Gives an account's policy another number: that of an equal policy.
    pub(super) fn renumber(&mut self, slot: u32, class: ClassId, classes: &Classes) {
        match self.kept_of(slot) {
            Some(kept) => kept.home = class,
            None => self.change(slot, |tat, _| (tat, class)),
        }
        // The slot of a composite account shows what its policy shows.
        if let (true, Some(shown)) = (self.kept(slot).is_some(), composite_of(class, classes)) {
            self.change(slot, |word, _| (word, shown));
        }
    }

    /// Puts an account under another policy as of a moment. An account that waiters wait for keeps them.
    pub(super) fn reclass(&mut self, slot: u32, class: ClassId, how: Migration, at: Moment, classes: &Classes) {
        let now = at.now;
        let (tat, shown) = self.slot(slot).look_locked();
        let (old, new) = (classes.get(shown), classes.get(class));
        if !old.is_cold() {
            let (before, after) = (old.rule(), new.rule());
            // A shadow owes nothing later on, so what it takes over is remembered elsewhere.
            let cannot_hold = before.overflows(after, tat, now) || (new.is_shadow() && !old.is_shadow());
            let forgets = cannot_hold && remembers(how, new.in_force());
            if !new.is_cold() && !forgets {
                self.change(slot, |tat, _| (before.migrate(after, tat, now, how), class));
                return;
            }
            if !self.make_composite(slot, classes) {
                return;
            }
        }
        let Some(kept) = self.take_kept(slot) else {
            // Not decided about since it was inserted.
            self.change(slot, |word, _| (word, class));
            return;
        };
        let Kept { home, cold, line, .. } = *kept;
        let cold = cold.migrate(classes.get(home).in_force(), new.in_force(), at, how);
        if new.is_cold() || cold.is_more_than_a_word() || line.is_some() {
            let Some(shown) = composite_of(class, classes) else { return };
            let settled = cold.settled(new.in_force(), now);
            self.kept_mut(slot, || Kept { line, ..Kept::new(class, cold) });
            self.change(slot, |_, _| (settled, shown));
        } else {
            let tat = cold.shown_word();
            self.change(slot, |_, _| (tat, class));
        }
    }

    /// Makes a word a state, so that no thread charges it without the lock. False if there are no numbers for policies left.
    pub(super) fn make_composite(&mut self, slot: u32, classes: &Classes) -> bool {
        let (_, home) = self.slot(slot).look_locked();
        let Some(twin) = composite_of(home, classes) else { return false };
        let mut found = 0;
        self.change(slot, |tat, _| {
            found = tat;
            (tat, twin)
        });
        let limits = classes.get(home).in_force();
        self.kept_mut(slot, || Kept::new(home, Cold::of_word(limits, found)));
        true
    }
}

/// The number that the slot of a composite account of this policy shows.
fn composite_of(class: ClassId, classes: &Classes) -> Option<ClassId> {
    let policy = classes.get(class);
    if policy.is_cold() { Some(class) } else { classes.intern(policy.clone().cold()).ok() }
}
