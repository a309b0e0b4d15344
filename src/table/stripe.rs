//! One stripe: an index of hashes over a slab of slots, with everything that its lock protects.

use std::collections::HashMap;

use hashbrown::HashTable;

use crate::account::Account;
use crate::classes::Classes;
use crate::ticks::Ticks;

struct Slot {
    hash: u64,
    /// `None` while the slot is on the free list.
    live: Option<(Box<[u8]>, Account)>,
}

/// What only few accounts have, kept out of the slots.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Handles that hold the account; it is not evicted while there are any.
    pub(super) pins: u32,
    /// First sight on the wall clock, where that is tracked.
    pub(super) created_ns: Option<u64>,
}

/// What a sweep saw.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// How many slots were looked at.
    pub(super) looks: u32,
    /// An account that equals a fresh one.
    pub(super) refilled: Option<u32>,
    /// The account nearest to that, and how far it is from it.
    pub(super) least: Option<(u32, Ticks)>,
}

pub(super) struct Stripe {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    side: HashMap<u32, Side>,
    hand: usize,
    horizon: Ticks,
}

impl Stripe {
    pub(super) fn new() -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), free: Vec::new(), side: HashMap::new(), hand: 0, horizon: 0 }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |&slot: &u32| {
            let slot = &self.slots[slot as usize];
            slot.hash == hash && slot.live.as_ref().is_some_and(|(own, _)| **own == *key)
        };
        self.index.find(hash, is_it).copied()
    }

    #[inline]
    pub(super) fn account(&self, slot: u32) -> &Account {
        let (_, account) = self.slots[slot as usize].live.as_ref().expect("an indexed or pinned slot is live");
        account
    }

    pub(super) fn account_mut(&mut self, slot: u32) -> &mut Account {
        let (_, account) = self.slots[slot as usize].live.as_mut().expect("an indexed or pinned slot is live");
        account
    }

    pub(super) fn insert(&mut self, hash: u64, key: &[u8], account: Account) -> u32 {
        let live = Some((key.into(), account));
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Slot { hash, live };
            slot
        } else {
            self.slots.push(Slot { hash, live });
            u32::try_from(self.slots.len() - 1).expect("max_keys fits 32 bits")
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&slot| slots[slot as usize].hash);
        slot
    }

    /// Drops an account at the reading `now`.
    pub(super) fn remove(&mut self, slot: u32, now: Ticks) {
        let hash = self.slots[slot as usize].hash;
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.slots[slot as usize].live = None;
        self.side.remove(&slot);
        self.free.push(slot);
        self.horizon = self.horizon.max(now);
    }

    /// Looks at up to `budget` slots from the hand on, and stops at the first refilled account.
    /// Pinned accounts are passed over; words from before a step of the clock are clamped.
    pub(super) fn sweep(&mut self, now: Ticks, classes: &Classes, budget: u32) -> Sweep {
        let mut seen = Sweep::default();
        for _ in 0..budget.min(u32::try_from(self.slots.len()).unwrap_or(u32::MAX)) {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let at = self.hand;
            self.hand += 1;
            seen.looks += 1;
            let slot = u32::try_from(at).expect("max_keys fits 32 bits");
            if self.slots[at].live.is_none() || self.side.get(&slot).is_some_and(|side| side.pins > 0) {
                continue;
            }
            let owed = self.clamp(slot, now, classes).saturating_sub(now);
            if owed == 0 {
                seen.refilled = Some(slot);
                break;
            }
            if seen.least.is_none_or(|(_, least)| owed < least) {
                seen.least = Some((slot, owed));
            }
        }
        seen
    }

    /// Brings a word from before a step of the clock back to where a charge could have left it.
    /// Returns the word.
    pub(super) fn clamp(&mut self, slot: u32, now: Ticks, classes: &Classes) -> Ticks {
        let account = self.account(slot);
        let (rule, tat) = (classes.get(account.class).rule(), account.word.load());
        if !rule.is_ahead(tat, now) {
            return tat;
        }
        let lowered = account.word.lower(tat, rule.clamp(tat, now));
        debug_assert!(lowered, "no charge runs beside a write lock");
        account.word.load()
    }

    /// The word of an absent key: the latest reading at which an account was dropped here.
    pub(super) fn horizon(&self) -> Ticks {
        self.horizon
    }

    /// After a step of the clock, no absent key may be locked out for longer than `longest`.
    pub(super) fn settle_horizon(&mut self, now: Ticks, longest: Ticks) {
        self.horizon = self.horizon.min(now.saturating_add(longest));
    }

    pub(super) fn side(&self, slot: u32) -> Option<&Side> {
        self.side.get(&slot)
    }

    pub(super) fn side_mut(&mut self, slot: u32) -> &mut Side {
        self.side.entry(slot).or_default()
    }

    pub(super) fn unpin(&mut self, slot: u32) {
        let side = self.side_mut(slot);
        side.pins -= 1;
        if side.pins == 0 && side.created_ns.is_none() {
            self.side.remove(&slot);
        }
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (u32, &[u8], &Account)> {
        self.slots.iter().zip(0..).filter_map(|(slot, at)| {
            let (key, account) = slot.live.as_ref()?;
            Some((at, &**key, account))
        })
    }
}
