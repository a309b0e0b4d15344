//! All accounts: stripes of key -> account. A known key is found and charged without a lock.
//!
//! HOT PATH, stop 2. RUNS PER DECISION: [`Table::take`] on a known key: hash, the stripe's index, and the slot's
//! own [`Slot::take`](slot::Slot::take). Nothing shared is written but the account's word, and that only by a
//! yes. Everything else in this room happens at first sight, at eviction, or on request, under a stripe's lock.
//!
//! `slot` argues why a reader needs no lock. `index` finds, and may miss: then the search is made again under the
//! lock, where it is exact. Keys longer than 40 bytes always go that way.
//!
//! No account leaves this room: callers charge, look, pin, configure, reset and iterate by key, so
//! that its inside can change. Two stripes are never locked at once but by `together`, in their order, and no caller's
//! code runs under a lock.
//!
//! **Never seen equals refilled.** An account whose word is not ahead of the clock answers like a
//! fresh one, so it may be dropped. Each stripe remembers the latest reading at which it dropped one,
//! its *horizon*: an absent key counts as an account whose word is the horizon, which keeps a thread
//! with an older reading from seeing a fresh bucket where a newer one saw a used one.

mod batch;
mod index;
mod manage;
mod memory;
mod pages;
mod pins;
mod probe;
mod room;
mod segment;
mod slot;
mod stripe;
mod take;
mod together;

use crate::account::Notice;
use crate::classes::{ClassId, Classes};
use crate::clock::Timeline;
use crate::error::Error;
use crate::limit::Verdict;
use crate::policy::Policy;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, SLOT_BITS, SLOTS_IN_CHUNK, keyed_hash};
use crate::ticks::{SKEW, Ticks};

use std::hash::{BuildHasher, Hasher};

use memory::{Chunks, Slab};
pub(crate) use pins::Pin;
use probe::Probe;
use room::Seat;
pub use room::{LOOKS_PER_INSERTION, WhenFull};
use slot::{Charged, Whose};
use stripe::{Locked, NotIn, Stripe};
pub(crate) use together::NoPlace;

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

impl Answer {
    #[inline]
    pub(crate) fn is_allowance(&self) -> bool {
        matches!(self, Self::Charged(Charge { verdict: Verdict::Allow(_), .. }))
    }
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

/// How far a search came that gave no answer.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    hash: u64,
    likely: Option<u32>,
    now: Ticks,
}

/// A key, and where to look for it.
#[derive(Clone, Copy)]
struct Sought<'a> {
    probe: Probe<'a>,
    home: usize,
}

pub(crate) struct Table {
    stripes: Box<[Stripe]>,
    slab: Slab,
    /// When each slot's denials were last told, where they are. Memory that no denial touches costs nothing.
    notices: Option<Chunks<Notice, SLOTS_IN_CHUNK>>,
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
            notices: plan.notice_ms.map(|_| Chunks::sparse(slots)),
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

    /// A key's hash, by which all of this table finds it.
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// Where to look for a key: the hash's upper half chooses the stripe, the index uses the lower.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn sought<'a>(&self, key: &'a [u8], hash: u64) -> Sought<'a> {
        Sought { probe: Probe::new(key, hash as u32), home: (hash >> 32) as usize & (self.stripes.len() - 1) }
    }

    #[inline]
    fn seek<'a>(&self, key: &'a [u8]) -> Sought<'a> {
        self.sought(key, self.hash(key))
    }

    /// Takes `n` tokens from the key's account, whatever that takes. Not inlined, so that the usual yes is short.
    #[inline(never)]
    pub(crate) fn charge(&self, key: &[u8], trace: Trace, n: u64, absent: Absent) -> Answer {
        let sought = self.sought(key, trace.hash);
        if let Some(number) = trace.likely {
            let now = self.time.now();
            if let Some(charge) = self.charge_slot(&sought, number, now, n) {
                return Answer::Charged(charge);
            }
            // Other keys may look like this one.
            let mut others = self.stripes[sought.home].index.candidates(&self.slab.segments, sought.probe.hash);
            if let Some(charge) = others.find_map(|number| self.charge_slot(&sought, number, now, n)) {
                return Answer::Charged(charge);
            }
        }
        self.charge_slowly(&sought, n, absent)
    }

    #[inline]
    fn charge_slot(&self, sought: &Sought<'_>, number: u32, now: Ticks, n: u64) -> Option<Charge> {
        let charged = self.slab.slot(number).charge(Whose::Key(&sought.probe), &self.classes, now, n).ok()?;
        let charge = Charge::of(charged, None);
        Some(match charge.verdict {
            Verdict::Allow(_) => charge,
            _ => self.refuse(sought, number, n, charge),
        })
    }

    /// A known account said no: because its word is from before a step of the clock? And is it to be told?
    #[inline]
    fn refuse(&self, sought: &Sought<'_>, slot: u32, n: u64, charge: Charge) -> Charge {
        if self.is_ahead(&charge) {
            let mut stripe = self.stripes[sought.home].lock(&self.slab);
            // Evicted meanwhile? The answer was right when it was made.
            if let Some(slot) = stripe.find(&sought.probe) {
                return self.charge_locked(&mut stripe, slot, self.time.now(), n);
            }
        }
        self.noticed(slot, charge)
    }

    /// First sight of a key, a long key, or one whose entry was being moved.
    #[cold]
    fn charge_slowly(&self, sought: &Sought<'_>, n: u64, absent: Absent) -> Answer {
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        if let Some(slot) = stripe.find(&sought.probe) {
            return Answer::Charged(self.charge_locked(&mut stripe, slot, self.time.now(), n));
        }
        let (Absent::Charge(class) | Absent::Create(class)) = absent else { return Answer::Unknown };
        let now = self.time.now();
        stripe.settle_horizon(now, self.classes.longest_tolerance() + SKEW);
        if matches!(absent, Absent::Charge(_)) {
            // A request that cannot pass leaves no trace.
            let rule = self.classes.get(class).rule();
            let tat = rule.clamp(stripe.horizon(), now);
            let verdict = rule.decide(tat, now, n);
            if !matches!(verdict, Verdict::Allow(_)) {
                return Answer::Charged(Charge { verdict, tat, now, class, notice: None });
            }
        }
        match self.create(stripe, sought, class, now) {
            Ok((mut stripe, slot, now)) => Answer::Charged(self.charge_locked(&mut stripe, slot, now, n)),
            Err(wait) => Answer::Full(wait),
        }
    }

    /// Charges under the lock, after bringing the word back to where a charge could have left it. Clamped by a reading
    /// taken under this lock: a thread that slept since its own must not mistake its sleep for a step of the clock.
    fn charge_locked(&self, stripe: &mut Locked<'_>, slot: u32, now: Ticks, n: u64) -> Charge {
        stripe.clamp(slot, now, &self.classes);
        let own = self.slab.slot(slot);
        let charged = own.charge(Whose::Anybody, &self.classes, now, n).expect("no life ends without the lock");
        self.noticed(slot, Charge::of(charged, None))
    }

    /// The same with a word on whether it is to be told, if it is a denial. A slot's next account may lose or inherit one
    /// denial that is counted at the moment when they change places.
    #[inline]
    fn noticed(&self, slot: u32, charge: Charge) -> Charge {
        match (charge.verdict, &self.notices, self.plan.notice_ms) {
            (Verdict::Allow(_), ..) | (_, None, _) | (_, _, None) => charge,
            (_, Some(notices), Some(every)) => Charge { notice: notices.at(slot).denied(charge.now, every), ..charge },
        }
    }

    #[inline]
    fn is_ahead(&self, charge: &Charge) -> bool {
        matches!(charge.verdict, Verdict::Deny(_))
            && self.classes.get(charge.class).rule().is_ahead(charge.tat, charge.now)
    }

    /// Makes an account for a key that the stripe does not hold, and returns its slot with the stripe locked, and the
    /// reading at which it was born. `now` was taken under this lock.
    fn create<'a>(
        &'a self,
        mut stripe: Locked<'a>,
        sought: &Sought<'_>,
        class: ClassId,
        mut now: Ticks,
    ) -> Result<(Locked<'a>, u32, Ticks), Option<Ticks>> {
        let mut seat = self.free_seat();
        loop {
            if seat.is_none() {
                // Somebody must go, perhaps from another stripe, and two are never locked at once. So the search is
                // made again afterwards.
                drop(stripe);
                seat = Some(self.find_seat(sought)?);
                stripe = self.stripes[sought.home].lock(&self.slab);
                now = self.time.now();
                if let Some(slot) = stripe.find(&sought.probe) {
                    return Ok((stripe, slot, now));
                }
            }
            match self.move_in(&mut stripe, sought, class, now, seat.take().expect("found above")) {
                Ok(slot) => return Ok((stripe, slot, now)),
                Err(NotIn::SlotIsSpent) => {}
                Err(NotIn::NoRoom) => return Err(None),
            }
        }
    }

    fn move_in(
        &self,
        stripe: &mut Locked<'_>,
        sought: &Sought<'_>,
        class: ClassId,
        now: Ticks,
        seat: Seat<'_>,
    ) -> Result<u32, NotIn> {
        // Born at this reading, or at a later one at which an account was dropped here.
        let tat = self.classes.get(class).rule().clamp(stripe.horizon(), now).max(now);
        let place = seat.place();
        match stripe.insert(&sought.probe, class, tat, place) {
            Ok(()) => seat.take(),
            Err(NotIn::SlotIsSpent) => {
                seat.take();
                self.give_up_seat();
                return Err(NotIn::SlotIsSpent);
            }
            Err(NotIn::NoRoom) => return Err(NotIn::NoRoom), // dropping the seat gives it and its slot back
        }
        // Memory that no denial has touched stays untouched.
        if let Some(notice) = self.notices.as_ref().and_then(|notices| notices.made(place.0)) {
            notice.forget();
        }
        if self.plan.track_created {
            stripe.side_mut(place.0).created_ns = Some(self.time.clock().unix_ns());
        }
        Ok(place.0)
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
