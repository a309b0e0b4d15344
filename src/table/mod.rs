//! All accounts: stripes of key -> account. A known key is found and charged without a lock.
//!
//! HOT PATH, stop 2. RUNS PER DECISION: [`Table::charge`] on a known key: hash, the stripe's index, and the slot's
//! own [`Slot::charge`](slab::Slot::charge). Nothing shared is written but the account's word, and that only by a
//! yes. Everything else in this room happens at first sight, at eviction, or on request, under a stripe's lock.
//!
//! `slab` argues why a reader needs no lock. `index` finds, and may miss: then the search is made again under the
//! lock, where it is exact. Keys longer than 40 bytes always go that way.
//!
//! No account leaves this room: callers charge, look, pin, configure, reset and iterate by key, so
//! that its inside can change. Two stripes are never locked at once, and no caller's code runs under
//! a lock.
//!
//! **Never seen equals refilled.** An account whose word is not ahead of the clock answers like a
//! fresh one, so it may be dropped. Each stripe remembers the latest reading at which it dropped one,
//! its *horizon*: an absent key counts as an account whose word is the horizon, which keeps a thread
//! with an older reading from seeing a fresh bucket where a newer one saw a used one.

mod index;
mod pins;
mod room;
mod slab;
mod stripe;

use crate::classes::{ClassId, Classes};
use crate::clock::Timeline;
use crate::error::Error;
use crate::limit::{Migration, Verdict};
use crate::policy::Policy;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, SLOT_BITS, keyed_hash};
use crate::ticks::{SKEW, Ticks};

pub(crate) use pins::Pin;
pub use room::{LOOKS_PER_INSERTION, WhenFull};
use slab::{Charged, Probe, Slab, Whose};
use stripe::{Locked, Stripe};

/// The longest key: 1 MiB.
pub const MAX_KEY_LEN: usize = 1 << 20;

/// Stripes of a large table; small ones have fewer, at least 64 accounts in each.
const STRIPES: usize = 64;

/// What to do about a key that the table does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Answer that it is unknown.
    Tell,
    /// Create an account of this class if the charge passes.
    Charge(ClassId),
    /// Create an account of this class whatever the answer.
    Create(ClassId),
}

/// What a charge found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The account's own answer.
    Charged(Charge),
    /// No such account, and none was asked for.
    Unknown,
    /// No account could go; the nearest to going is this far from it (`None`: all are pinned).
    Full(Option<Ticks>),
}

/// One account's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) verdict: Verdict,
    /// The word that the charge left, or found.
    pub(crate) tat: Ticks,
    /// The reading that was decided by.
    pub(crate) now: Ticks,
    pub(crate) class: ClassId,
    /// This denial is to be told, with the number of those before it that were not.
    pub(crate) notice: Option<u32>,
}

/// An account as it stands at a reading. Of an unknown key: the word it would be born with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) tat: Ticks,
    pub(crate) now: Ticks,
    pub(crate) class: Option<ClassId>,
}

/// How a table was asked to be.
pub(crate) struct Plan {
    pub(crate) max_keys: usize,
    pub(crate) when_full: WhenFull,
    /// Tell denials at most once in so many milliseconds an account; `None` never.
    pub(crate) notice_ms: Option<u32>,
    /// Remember the wall clock of each account's first sight.
    pub(crate) track_created: bool,
}

pub(crate) struct Table {
    stripes: Box<[Stripe]>,
    slab: Slab,
    hasher: ahash::RandomState,
    classes: Classes,
    time: Timeline,
    plan: Plan,
    seats: AtomicUsize,
    rotor: AtomicUsize,
    evicted: AtomicU64,
    forgiven: AtomicU64,
    most_looks: AtomicU32,
}

impl Table {
    pub(crate) fn new(plan: Plan, time: Timeline) -> Self {
        let stripes = (plan.max_keys / STRIPES).next_power_of_two().clamp(1, STRIPES);
        // Handles may hold accounts beyond the bound: numbers for twice as many slots.
        let slots = (2 * plan.max_keys + 2).next_power_of_two();
        Self {
            stripes: (0..stripes).map(|_| Stripe::new(slots.ilog2().max(SLOT_BITS))).collect(),
            slab: Slab::new(slots - 1),
            hasher: keyed_hash(),
            classes: Classes::new(),
            time,
            plan,
            seats: AtomicUsize::new(0),
            rotor: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            forgiven: AtomicU64::new(0),
            most_looks: AtomicU32::new(0),
        }
    }

    /// Takes `n` tokens from the key's account. `at` is a reading taken before, for a whole batch.
    #[inline]
    pub(crate) fn charge(&self, key: &[u8], n: u64, absent: Absent, at: Option<Ticks>) -> Answer {
        let (probe, home) = self.probe(key);
        for slot in self.stripes[home].index.candidates(probe.hash) {
            let charged = self.slab.slot(slot).charge(Whose::Key(&probe), &self.classes, &self.time, at, n);
            let Ok(charged) = charged else { continue };
            if let (Verdict::Allow(_), ..) = charged {
                return Answer::Charged(Charge::of(charged, None));
            }
            return self.refuse(&probe, home, n, charged);
        }
        self.charge_slowly(&probe, home, n, absent)
    }

    /// A known account said no: because its word is from before a step of the clock?
    fn refuse(&self, probe: &Probe<'_>, home: usize, n: u64, charged: Charged) -> Answer {
        if !self.is_ahead(charged) && self.plan.notice_ms.is_none() {
            return Answer::Charged(Charge::of(charged, None));
        }
        let mut stripe = self.stripes[home].lock(&self.slab);
        match stripe.find(probe) {
            Some(slot) if self.is_ahead(charged) => Answer::Charged(self.charge_locked(&mut stripe, slot, n)),
            Some(slot) => Answer::Charged(Charge::of(charged, self.notice(&mut stripe, slot, charged))),
            // Evicted meanwhile; the answer was right when it was made.
            None => Answer::Charged(Charge::of(charged, None)),
        }
    }

    /// First sight of a key, a long key, or one whose entry was being moved.
    #[cold]
    fn charge_slowly(&self, probe: &Probe<'_>, home: usize, n: u64, absent: Absent) -> Answer {
        let mut stripe = self.stripes[home].lock(&self.slab);
        if let Some(slot) = stripe.find(probe) {
            return Answer::Charged(self.charge_locked(&mut stripe, slot, n));
        }
        stripe.settle_horizon(self.time.now(), self.classes.longest_tolerance() + SKEW);
        let (Absent::Charge(class) | Absent::Create(class)) = absent else { return Answer::Unknown };
        if matches!(absent, Absent::Charge(_)) {
            // A request that cannot pass leaves no trace.
            let Look { tat, now, .. } = self.look_absent(&stripe, class);
            let verdict = self.classes.get(class).rule().decide(tat, now, n);
            if !matches!(verdict, Verdict::Allow(_)) {
                return Answer::Charged(Charge { verdict, tat, now, class, notice: None });
            }
        }
        drop(stripe);
        match self.find_or_create(probe, home, class) {
            Ok((mut stripe, slot)) => Answer::Charged(self.charge_locked(&mut stripe, slot, n)),
            Err(wait) => Answer::Full(wait),
        }
    }

    /// Charges under the lock, after bringing the word back to where a charge could have left it. Clamped by a reading
    /// taken here: a thread that slept since its own must not mistake its sleep for a step of the clock.
    fn charge_locked(&self, stripe: &mut Locked<'_>, slot: u32, n: u64) -> Charge {
        let now = self.time.now();
        stripe.clamp(slot, now, &self.classes);
        let own = self.slab.slot(slot);
        let charged =
            own.charge(Whose::Anybody, &self.classes, &self.time, Some(now), n).expect("no life ends without the lock");
        Charge::of(charged, self.notice(stripe, slot, charged))
    }

    /// Whether this denial is to be told.
    fn notice(&self, stripe: &mut Locked<'_>, slot: u32, (verdict, _, now, _): Charged) -> Option<u32> {
        match verdict {
            Verdict::Allow(_) => None,
            _ => stripe.side_mut(slot).notice.denied(now, self.plan.notice_ms?),
        }
    }

    #[inline]
    fn is_ahead(&self, (verdict, tat, now, class): Charged) -> bool {
        matches!(verdict, Verdict::Deny(_)) && self.classes.get(class).rule().is_ahead(tat, now)
    }

    /// The account as it stands; of an unknown key, as one of `class` would be born.
    pub(crate) fn look(&self, key: &[u8], class: ClassId) -> Look {
        let (probe, home) = self.probe(key);
        for slot in self.stripes[home].index.candidates(probe.hash) {
            if let Ok((tat, class)) = self.slab.slot(slot).look(Whose::Key(&probe)) {
                return Look { tat, now: self.time.now(), class: Some(class) };
            }
        }
        let stripe = self.stripes[home].lock(&self.slab);
        if let Some(slot) = stripe.find(&probe) {
            return self.look_locked(slot);
        }
        self.look_absent(&stripe, class)
    }

    /// The caller holds the stripe's lock.
    fn look_locked(&self, slot: u32) -> Look {
        let (tat, class) = self.slab.slot(slot).look(Whose::Anybody).expect("no life ends without the lock");
        Look { tat, now: self.time.now(), class: Some(class) }
    }

    fn look_absent(&self, stripe: &Locked<'_>, class: ClassId) -> Look {
        let now = self.time.now();
        Look { tat: self.classes.get(class).rule().clamp(stripe.horizon(), now), now, class: None }
    }

    /// The key's account, made first if there is none, with its stripe locked. No lock is held while a seat is found,
    /// so the search is made again after it.
    fn find_or_create(
        &self,
        probe: &Probe<'_>,
        home: usize,
        class: ClassId,
    ) -> Result<(Locked<'_>, u32), Option<Ticks>> {
        loop {
            let seat = self.find_seat(home)?;
            let mut stripe = self.stripes[home].lock(&self.slab);
            if let Some(slot) = stripe.find(probe) {
                return Ok((stripe, slot));
            }
            let now = self.time.now();
            // Born at this reading, or at a later one at which an account was dropped here.
            let tat = self.classes.get(class).rule().clamp(stripe.horizon(), now).max(now);
            let place = seat.place();
            if stripe.insert(probe, class, tat, place) {
                if self.plan.track_created {
                    stripe.side_mut(place.0).created_ns = Some(self.time.clock().unix_ns());
                }
                seat.take();
                return Ok((stripe, place.0));
            }
            // That slot is spent. Its seat is given back without it.
            seat.take();
            self.give_up_seat();
        }
    }

    /// Puts a known account under another policy; false if the key is unknown.
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> bool {
        let (probe, home) = self.probe(key);
        let mut stripe = self.stripes[home].lock(&self.slab);
        let Some(slot) = stripe.find(&probe) else { return false };
        let now = self.time.now();
        let new = self.classes.get(class).rule();
        stripe.change(slot, |tat, old| (self.classes.get(old).rule().migrate(new, tat, now, how), class));
        true
    }

    /// Makes the key's account as good as new; false if the key is unknown.
    pub(crate) fn reset(&self, key: &[u8]) -> bool {
        let (probe, home) = self.probe(key);
        let mut stripe = self.stripes[home].lock(&self.slab);
        let Some(slot) = stripe.find(&probe) else { return false };
        let now = self.time.now();
        stripe.change(slot, |_, class| (now, class));
        true
    }

    /// Calls `each` with every account, stripe by stripe, after the stripe's lock is let go. There is no
    /// moment at which all of it is true: accounts come and go while it runs.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], Look, Option<u64>)) {
        for stripe in &self.stripes {
            let copies: Vec<_> = {
                let stripe = stripe.lock(&self.slab);
                let created = |slot| stripe.side(slot).and_then(|side| side.created_ns);
                stripe.slots().map(|slot| (stripe.key(slot), self.look_locked(slot), created(slot))).collect()
            };
            for (key, look, created) in copies {
                each(&key, look, created);
            }
        }
    }

    /// When the key was first seen, on the wall clock, if that is tracked and it is known.
    pub(crate) fn created_ns(&self, key: &[u8]) -> Option<u64> {
        let (probe, home) = self.probe(key);
        let stripe = self.stripes[home].lock(&self.slab);
        let slot = stripe.find(&probe)?;
        stripe.side(slot).and_then(|side| side.created_ns)
    }

    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        let (probe, home) = self.probe(key);
        self.stripes[home].lock(&self.slab).find(&probe).is_some()
    }

    pub(crate) fn intern(&self, policy: Policy) -> Result<ClassId, Error> {
        self.classes.intern(policy)
    }

    pub(crate) fn policy(&self, class: ClassId) -> &Policy {
        self.classes.get(class)
    }

    pub(crate) fn time(&self) -> &Timeline {
        &self.time
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The key ready to be compared, and its stripe: the hash's upper half chooses that, the index uses the lower.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn probe<'a>(&self, key: &'a [u8]) -> (Probe<'a>, usize) {
        let hash = self.hasher.hash_one(key);
        (Probe::new(key, hash as u32), (hash >> 32) as usize & (self.stripes.len() - 1))
    }
}

impl Charge {
    #[inline]
    fn of((verdict, tat, now, class): Charged, notice: Option<u32>) -> Self {
        Self { verdict, tat, now, class, notice }
    }
}

#[cfg(all(test, loom))]
mod modelled;
#[cfg(all(test, not(loom)))]
mod tests;
