//! One stripe: an index that is read without a lock, and the lock that whoever changes it holds.

use std::collections::HashMap;

use crossbeam_utils::CachePadded;

use super::index::Index;
use super::slab::{Lost, Probe, Slab, Whose};
use crate::account::Notice;
use crate::classes::{ClassId, Classes};
use crate::sync::Mutex;
use crate::ticks::Ticks;

pub(super) struct Stripe {
    pub(super) index: Index,
    pub(super) inner: CachePadded<Mutex<Inner>>,
}

/// What only few accounts have, kept out of the slots.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Handles that hold the account; it is not evicted while there are any.
    pub(super) pins: u32,
    /// First sight on the wall clock, where that is tracked.
    pub(super) created_ns: Option<u64>,
    /// When its denials were last told, where they are.
    pub(super) notice: Notice,
    /// Its word was lowered without a lift, so the slot must not be used again.
    spent: bool,
}

impl Side {
    fn says_nothing(&self) -> bool {
        self.pins == 0 && self.created_ns.is_none() && !self.spent && self.notice.is_new()
    }
}

/// The most accounts that one sweep looks at.
const MOST_BUDGET: usize = 16;

/// What a sweep saw.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// How many accounts were looked at.
    pub(super) looks: u32,
    /// An account that equals a fresh one, and its word.
    pub(super) refilled: Option<(u32, Ticks)>,
    /// The account nearest to that, and how far it is from it.
    pub(super) least: Option<(u32, Ticks)>,
}

/// Protected by the stripe's lock.
pub(super) struct Inner {
    len: usize,
    hand: usize,
    horizon: Ticks,
    side: HashMap<u32, Side>,
    long: HashMap<u32, Box<[u8]>>,
}

impl Stripe {
    pub(super) fn new(slot_bits: u32) -> Self {
        let inner = Inner { len: 0, hand: 0, horizon: 0, side: HashMap::new(), long: HashMap::new() };
        Self { index: Index::new(slot_bits), inner: CachePadded::new(Mutex::new(inner)) }
    }

    /// The stripe with its lock held.
    pub(super) fn lock<'a>(&'a self, slab: &'a Slab) -> Locked<'a> {
        Locked { index: &self.index, slab, inner: self.inner.lock() }
    }
}

#[cfg(not(loom))]
type Guard<'a> = parking_lot::MutexGuard<'a, Inner>;
#[cfg(loom)]
type Guard<'a> = loom::sync::MutexGuard<'a, Inner>;

/// A stripe whose lock is held: the only way to change what is in it.
pub(super) struct Locked<'a> {
    index: &'a Index,
    slab: &'a Slab,
    inner: Guard<'a>,
}

impl Locked<'_> {
    /// The slot of a key. With the lock held, a miss is one.
    pub(super) fn find(&self, probe: &Probe<'_>) -> Option<u32> {
        self.index.candidates(probe.hash).find(|&slot| match self.slab.slot(slot).look(Whose::Key(probe)) {
            Ok(_) => true,
            Err(Lost::Dead) => false,
            Err(Lost::Other) => self.inner.long.get(&slot).is_some_and(|key| **key == *probe.key),
        })
    }

    /// Puts an account into a dead slot. False if the slot must not be used again.
    pub(super) fn insert(&mut self, probe: &Probe<'_>, class: ClassId, tat: Ticks, (slot, first): (u32, bool)) -> bool {
        let Ok(is_long) = self.slab.slot(slot).be_born(probe, class, tat, first) else { return false };
        if is_long {
            self.inner.long.insert(slot, probe.key.into());
        }
        let slab = self.slab;
        self.index.insert(probe.hash, slot, self.inner.len, |slot| slab.slot(slot).hash());
        self.inner.len += 1;
        true
    }

    /// Drops an account whose word is `seen` (or whatever it is) at the reading `now`, and hands its dead slot on.
    /// `Err` if somebody charged it; `Ok(None)` if the slot must not be used again.
    pub(super) fn evict(&mut self, slot: u32, seen: Option<Ticks>, now: Ticks) -> Result<Option<u32>, ()> {
        self.slab.slot(slot).die(seen).ok_or(())?;
        let slab = self.slab;
        let hash_of = |slot| slab.slot(slot).hash();
        self.index.remove(hash_of(slot), slot, hash_of);
        self.inner.len -= 1;
        self.inner.long.remove(&slot);
        self.inner.horizon = self.inner.horizon.max(now);
        let spent = self.inner.side.remove(&slot).is_some_and(|side| side.spent);
        Ok((!spent).then_some(slot))
    }

    /// Begins a new life of the same account, under what `change` makes of its word and class. However far the word is
    /// lowered, whoever read the old one cannot swap it any more.
    pub(super) fn change(&mut self, slot: u32, change: impl FnOnce(Ticks, ClassId) -> (Ticks, ClassId)) {
        let key = self.key(slot);
        let own = self.slab.slot(slot);
        let probe = Probe::new(&key, own.hash());
        let Some((tat, class)) = own.die(None) else { return };
        let (tat, class) = change(tat, class);
        let is_long = own.be_born(&probe, class, tat, false).unwrap_or_else(|()| {
            // Lifted by two years in all: from here on the same words may come back within this account, where a
            // charge that succeeds is one of this account all the same. The slot is never another's.
            self.side_mut(slot).spent = true;
            self.slab.slot(slot).be_born(&probe, class, tat, true).expect("a first life needs no lift")
        });
        if is_long {
            self.inner.long.insert(slot, key.into());
        } else {
            self.inner.long.remove(&slot);
        }
    }

    /// Brings a word from before a step of the clock back to where a charge could have left it.
    /// Returns the word.
    pub(super) fn clamp(&mut self, slot: u32, now: Ticks, classes: &Classes) -> Option<Ticks> {
        let (tat, class) = self.slab.slot(slot).look(Whose::Anybody).ok()?;
        let rule = classes.get(class).rule();
        if !rule.is_ahead(tat, now) {
            return Some(tat);
        }
        self.change(slot, |tat, class| (rule.clamp(tat, now), class));
        Some(rule.clamp(tat, now))
    }

    /// Looks at up to `budget` accounts from the hand on, and stops at the first refilled one. Pinned accounts are
    /// passed over; words from before a step of the clock are clamped.
    pub(super) fn sweep(&mut self, now: Ticks, classes: &Classes, budget: usize) -> Sweep {
        // Copied out first: looking may clamp, which needs the stripe whole.
        let mut met = [(0, 0); MOST_BUDGET];
        let (mut count, mut steps) = (0, 0);
        // Entries are at least three eighths full when an array is new; so few steps rarely meet too few.
        for (step, slot) in self.index.from(self.inner.hand).enumerate().take(8 * MOST_BUDGET) {
            steps = step + 1;
            if let Some(slot) = slot {
                met[count] = (step, slot);
                count += 1;
            }
            if count == budget.min(MOST_BUDGET) {
                break;
            }
        }
        let mut seen = Sweep::default();
        for &(step, slot) in &met[..count] {
            seen.looks += 1;
            if self.is_pinned(slot) {
                continue;
            }
            let Some(tat) = self.clamp(slot, now, classes) else { continue };
            if tat <= now {
                seen.refilled = Some((slot, tat));
                steps = step + 1;
                break;
            }
            if seen.least.is_none_or(|(_, least)| tat - now < least) {
                seen.least = Some((slot, tat - now));
            }
        }
        self.inner.hand = self.inner.hand.wrapping_add(steps);
        seen
    }

    /// Whether the slot holds an account of this stripe that nobody has pinned.
    pub(super) fn may_go(&self, slot: u32) -> bool {
        let mut same = self.index.candidates(self.slab.slot(slot).hash());
        same.any(|other| other == slot) && !self.is_pinned(slot)
    }

    fn is_pinned(&self, slot: u32) -> bool {
        !self.inner.side.is_empty() && self.inner.side.get(&slot).is_some_and(|side| side.pins > 0)
    }

    /// The word of an absent key: the latest reading at which an account was dropped here.
    pub(super) fn horizon(&self) -> Ticks {
        self.inner.horizon
    }

    /// After a step of the clock, no absent key may be locked out for longer than `longest`.
    pub(super) fn settle_horizon(&mut self, now: Ticks, longest: Ticks) {
        self.inner.horizon = self.inner.horizon.min(now.saturating_add(longest));
    }

    pub(super) fn side(&self, slot: u32) -> Option<&Side> {
        self.inner.side.get(&slot)
    }

    pub(super) fn side_mut(&mut self, slot: u32) -> &mut Side {
        self.inner.side.entry(slot).or_default()
    }

    pub(super) fn unpin(&mut self, slot: u32) {
        let side = self.side_mut(slot);
        side.pins -= 1;
        if side.says_nothing() {
            self.inner.side.remove(&slot);
        }
    }

    pub(super) fn key(&self, slot: u32) -> Vec<u8> {
        let kept = || self.inner.long.get(&slot).map(|key| key.to_vec());
        self.slab.slot(slot).key().or_else(kept).unwrap_or_default()
    }

    /// Every account's slot.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.index.from(0).flatten()
    }
}
