//! One stripe: an index that is read without a lock, and the lock that whoever changes it holds.

use std::collections::{HashMap, VecDeque};

use crossbeam_utils::CachePadded;

use super::cold::Kept;
use super::index::Index;
use super::memory::Slab;
use super::probe::Probe;
use super::slot::{Lost, Slot, Whose};
use crate::classes::{ClassId, Classes};
use crate::sync::{Mutex, MutexGuard, keyed_hash};
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
    /// Its word was lowered without a lift, so the slot must not be used again.
    spent: bool,
    /// The state of an account that is more than a word.
    kept: Option<Box<Kept>>,
}

impl Side {
    fn says_nothing(&self) -> bool {
        self.pins == 0 && self.created_ns.is_none() && !self.spent && self.kept.is_none()
    }

    /// The word of an account of a single rate that is kept as more for now.
    pub(super) fn shown_word(&self) -> Option<Ticks> {
        self.kept.as_ref().map(|kept| kept.cold.shown_word())
    }

    fn is_held(&self) -> bool {
        self.pins > 0 || self.kept.as_ref().is_some_and(|kept| kept.is_held())
    }
}

/// Why an account could not be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotIn {
    /// The slot must not be used again.
    SlotIsSpent,
    /// The index cannot tell more than a segment of such hashes apart.
    NoRoom,
}

/// Every so many changes of accounts that are more than a word, another such account is looked at.
pub(super) const CHANGES: u32 = 4;
/// Turns that are looked at for one account that still has one: more than new ones can have come.
const TURNS_AT_MOST: u32 = 4 * CHANGES;

/// When a state in a slot is looked at again: another state in the same slot has a turn of its own.
#[derive(Clone, Copy)]
struct Turn {
    slot: u32,
    number: u64,
}

/// Protected by the stripe's lock.
pub(super) struct Inner {
    pub(super) hand: usize,
    horizon: Ticks,
    side: HashMap<u32, Side, ahash::RandomState>,
    /// The slots of accounts that are more than a word, in the order in which they are looked at again.
    turns: VecDeque<Turn>,
    numbers: u64,
    /// Changes since an account was looked at because of its turn.
    changes: u32,
    long: HashMap<u32, Box<[u8]>>,
}

impl Stripe {
    pub(super) fn new(slot_bits: u32, slab: &Slab) -> Self {
        let inner = Inner {
            hand: 0,
            horizon: 0,
            side: HashMap::with_hasher(keyed_hash()),
            turns: VecDeque::new(),
            numbers: 0,
            changes: 0,
            long: HashMap::new(),
        };
        Self { index: Index::new(slot_bits, slab.segments.clone()), inner: CachePadded::new(Mutex::new(inner)) }
    }

    /// The stripe with its lock held.
    pub(super) fn lock<'a>(&'a self, slab: &'a Slab) -> Locked<'a> {
        Locked { index: &self.index, slab, inner: self.inner.lock() }
    }
}

/// A stripe whose lock is held: the only way to change what is in it.
pub(super) struct Locked<'a> {
    pub(super) index: &'a Index,
    pub(super) slab: &'a Slab,
    pub(super) inner: MutexGuard<'a, Inner>,
}

impl Locked<'_> {
    /// The slot of a key. With the lock held, a miss is one.
    pub(super) fn find(&self, probe: &Probe<'_>) -> Option<u32> {
        self.index.candidates(probe.hash).find(|&slot| match self.slab.slot(slot).look(Whose::Key(*probe)) {
            Ok(_) => true,
            Err(Lost::Dead | Lost::Elsewhere) => false,
            Err(Lost::Other) => self.inner.long.get(&slot).is_some_and(|key| **key == *probe.key),
        })
    }

    /// Puts an account into a dead slot.
    pub(super) fn insert(
        &mut self,
        probe: &Probe<'_>,
        class: ClassId,
        tat: Ticks,
        (slot, first): (u32, bool),
    ) -> Result<(), NotIn> {
        let is_long = self.slab.slot(slot).be_born(probe, class, tat, first).map_err(|()| NotIn::SlotIsSpent)?;
        if is_long {
            self.inner.long.insert(slot, probe.key.into());
        }
        let slab = self.slab;
        if self.index.insert(probe.hash, slot, |slot| slab.slot(slot).hash()) {
            return Ok(());
        }
        self.slab.slot(slot).die(None);
        self.inner.long.remove(&slot);
        Err(NotIn::NoRoom)
    }

    /// Drops an account whose word is `seen` (or whatever it is) at the reading `now`, and hands its dead slot on.
    /// `Err` if somebody charged it; `Ok(None)` if the slot must not be used again.
    pub(super) fn evict(&mut self, slot: u32, seen: Option<Ticks>, now: Ticks) -> Result<Option<u32>, ()> {
        self.slab.slot(slot).die(seen).ok_or(())?;
        self.index.remove(self.slab.slot(slot).hash(), slot);
        if !self.inner.long.is_empty() {
            self.inner.long.remove(&slot);
        }
        self.inner.horizon = self.inner.horizon.max(now);
        let side = if self.inner.side.is_empty() { None } else { self.inner.side.remove(&slot) };
        let spent = side.is_some_and(|side| side.spent);
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
    pub(super) fn clamp(&mut self, slot: u32, now: Ticks, classes: &Classes) -> Ticks {
        let (tat, class) = self.slab.slot(slot).look_locked();
        let rule = classes.get(class).rule();
        if !rule.is_ahead(tat, now) {
            return tat;
        }
        self.change(slot, |tat, class| (rule.clamp(tat, now), class));
        rule.clamp(tat, now)
    }

    /// Whether the slot holds an account of this stripe that nobody has pinned or has a reservation of.
    pub(super) fn may_go(&self, slot: u32) -> bool {
        let mut same = self.index.candidates(self.slab.slot(slot).hash());
        same.any(|other| other == slot) && !self.is_pinned(slot)
    }

    #[inline]
    pub(super) fn is_pinned(&self, slot: u32) -> bool {
        !self.inner.side.is_empty() && self.is_held(slot)
    }

    #[inline(never)]
    fn is_held(&self, slot: u32) -> bool {
        self.inner.side.get(&slot).is_some_and(Side::is_held)
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
        self.side_mut(slot).pins -= 1;
        self.drop_side_if_empty(slot);
    }

    fn drop_side_if_empty(&mut self, slot: u32) {
        if self.side(slot).is_some_and(Side::says_nothing) {
            self.inner.side.remove(&slot);
        }
    }

    /// An account's slot.
    pub(super) fn slot(&self, slot: u32) -> &Slot {
        self.slab.slot(slot)
    }

    /// The state of an account that is more than a word.
    pub(super) fn kept(&self, slot: u32) -> Option<&Kept> {
        self.side(slot).and_then(|side| side.kept.as_deref())
    }

    /// The same, to change it.
    pub(super) fn kept_of(&mut self, slot: u32) -> Option<&mut Kept> {
        self.inner.side.get_mut(&slot).and_then(|side| side.kept.as_deref_mut())
    }

    /// The slots of keys that are waited for.
    pub(super) fn waited_for(&self) -> Vec<u32> {
        let waited = |side: &Side| side.kept.as_ref().is_some_and(|kept| kept.is_waited_for());
        self.inner.side.iter().filter(|(_, side)| waited(side)).map(|(&slot, _)| slot).collect()
    }

    /// The state of an account that is more than a word, made if it is not there yet.
    pub(super) fn kept_mut(&mut self, slot: u32, make: impl FnOnce() -> Kept) -> &mut Kept {
        let Inner { side, turns, numbers, .. } = &mut *self.inner;
        side.entry(slot).or_default().kept.get_or_insert_with(|| {
            *numbers += 1;
            turns.push_back(Turn { slot, number: *numbers });
            Box::new(Kept { turn: *numbers, ..make() })
        })
    }

    /// Takes the state away: the account is a word again, or another state is put in its place.
    pub(super) fn take_kept(&mut self, slot: u32) -> Option<Box<Kept>> {
        let kept = self.inner.side.get_mut(&slot)?.kept.take();
        self.drop_side_if_empty(slot);
        kept
    }

    /// Another account that is more than a word, each in its turn, every few times that this is asked. Turns of those who are
    /// gone are dropped faster than new ones come.
    pub(super) fn next_kept(&mut self) -> Option<u32> {
        self.inner.changes += 1;
        if self.inner.changes < CHANGES {
            return None;
        }
        self.inner.changes = 0;
        for _ in 0..TURNS_AT_MOST {
            let turn = self.inner.turns.pop_front()?;
            let kept = self.side(turn.slot).and_then(|side| side.kept.as_ref());
            if kept.is_some_and(|kept| kept.turn == turn.number) {
                self.inner.turns.push_back(turn);
                return Some(turn.slot);
            }
        }
        None
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn turns(&self) -> usize {
        self.inner.turns.len()
    }

    pub(super) fn key(&self, slot: u32) -> Vec<u8> {
        let kept = || self.inner.long.get(&slot).map(|key| key.to_vec());
        self.slab.slot(slot).key().or_else(kept).unwrap_or_default()
    }

    /// Every account's slot.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.index.all()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "stripe_tests.rs"]
mod tests;
