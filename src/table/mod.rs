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
//! that its inside can change. Two stripes are never locked at once but by `together` and `wait_all`, in their order, and no caller's
//! code runs under a lock.
//!
//! **Never seen equals refilled.** An account whose word is not ahead of the clock answers like a
//! fresh one, so it may be dropped. Each stripe remembers the latest reading at which it dropped one,
//! its *horizon*: an absent key counts as an account whose word is the horizon, which keeps a thread
//! with an older reading from seeing a fresh bucket where a newer one saw a used one.

mod answer;
mod batch;
mod birth;
mod cold;
mod index;
mod line;
mod manage;
mod memory;
mod orders;
mod own;
mod pages;
mod pins;
mod probe;
mod reclass;
mod room;
mod segment;
mod slot;
mod stripe;
mod sweep;
mod take;
mod together;
mod wait_all;

use crate::account::Notice;
use crate::classes::{ClassId, Classes, Registered};
use crate::clock::Timeline;
use crate::decision::Reason;
use crate::error::Error;
use crate::limit::Verdict;
use crate::policy::{Cost, Policy};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, SLOT_BITS, SLOTS_IN_CHUNK, keyed_hash};
use crate::ticks::Ticks;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

pub(crate) use answer::{Absent, Answer, Charge, Look};
pub(crate) use cold::Ruled;
pub(crate) use line::{Holds, Joined, Request};
use memory::{Chunks, Slab};
use own::OwnLimits;
pub(crate) use pins::Pin;
use probe::Probe;
pub use room::{LOOKS_PER_INSERTION, WhenFull};
use slot::{Lost, Whose};
use stripe::{Locked, Stripe};
pub(crate) use together::NoPlace;

/// The longest key: 1 MiB.
pub const MAX_KEY_LEN: usize = 1 << 20;

/// Stripes of a large table; small ones have fewer, at least 64 accounts in each.
const STRIPES: usize = 64;

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
    /// The coarse reading that was decided by; 0 if none was taken.
    now: Ticks,
}

/// A key, and where to look for it.
#[derive(Clone, Copy)]
struct Sought<'a> {
    probe: Probe<'a>,
    home: usize,
}

/// How much of the answer is wanted of an account that is more than a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Whether the request passes, and for how long not.
    YesOrNo,
    /// What could still pass, too, and how long until all is as new.
    Whole,
}

pub(crate) struct Table {
    stripes: Box<[Stripe]>,
    slab: Slab,
    /// When each slot's denials were last told, where they are. Memory that no denial touches costs nothing.
    notices: Option<Chunks<Notice, SLOTS_IN_CHUNK, false>>,
    hasher: ahash::RandomState,
    classes: Classes,
    time: Timeline,
    plan: Plan,
    seats: AtomicUsize,
    rotor: AtomicUsize,
    /// Searches in a row, of those under a newcomer's own lock, that met nobody who has refilled.
    barren: AtomicU32,
    evicted: AtomicU64,
    forgiven: AtomicU64,
    most_looks: AtomicU32,
    next_number: AtomicU64,
    own: OwnLimits,
    /// The number of the policy of keys without limits of their own.
    default: AtomicU32,
}

impl Table {
    pub(crate) fn new(plan: Plan, time: Timeline) -> Self {
        let stripes = (plan.max_keys / STRIPES).next_power_of_two().clamp(1, STRIPES);
        // Handles may hold accounts beyond the bound: numbers for twice as many slots.
        let slots = (2 * plan.max_keys + 2).next_power_of_two();
        let slab = Slab::new(slots - 1);
        Self {
            stripes: (0..stripes).map(|_| Stripe::new(slots.ilog2().max(SLOT_BITS), &slab)).collect(),
            slab,
            notices: plan.notice_ms.map(|_| Chunks::new(slots)),
            hasher: keyed_hash(),
            classes: Classes::new(),
            time,
            plan,
            seats: AtomicUsize::new(0),
            rotor: AtomicUsize::new(0),
            barren: AtomicU32::new(0),
            evicted: AtomicU64::new(0),
            forgiven: AtomicU64::new(0),
            most_looks: AtomicU32::new(0),
            next_number: AtomicU64::new(1),
            own: OwnLimits::new(),
            default: AtomicU32::new(0),
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

    /// Takes `n` tokens from the key's account, whatever that takes.
    #[inline]
    pub(crate) fn charge(&self, key: &[u8], trace: Trace, n: u64, absent: Absent) -> Answer {
        match self.deny(key, trace, n) {
            Ok(denied) => Answer::Charged(denied),
            Err(trace) => self.charge_otherwise(key, trace, n, absent, Detail::YesOrNo),
        }
    }

    /// The usual no: of a known account, by the coarse reading. An `Err` is no answer: [`Table::charge_otherwise`] gives it.
    #[allow(clippy::inline_always)] // as `Slot::deny`
    #[inline(always)]
    pub(crate) fn deny(&self, key: &[u8], trace: Trace, n: u64) -> Result<Charge, Trace> {
        let (Some(number), sought) = (trace.likely, self.sought(key, trace.hash)) else { return Err(trace) };
        match self.slab.slot(number).deny(Whose::Key(sought.probe), &self.classes, trace.now, n) {
            Ok(denied) => Ok(self.noticed(number, Charge::of(denied, None))),
            // One look sends it to the lock.
            Err(Lost::Elsewhere) => Err(Trace { likely: None, ..trace }),
            Err(_) => Err(trace),
        }
    }

    /// Everything but the usual yes and the usual no, by the precise clock. Not inlined, so that those are short.
    #[inline(never)]
    pub(crate) fn charge_otherwise(&self, key: &[u8], trace: Trace, n: u64, absent: Absent, detail: Detail) -> Answer {
        let sought = self.sought(key, trace.hash);
        if let Some(number) = trace.likely {
            match self.charge_slot(&sought, number, n) {
                Ok(charge) => return Answer::Charged(charge),
                Err(Lost::Elsewhere) => {}
                Err(_) => {
                    // Other keys may look like this one.
                    let mut others = self.stripes[sought.home].index.candidates(sought.probe.hash);
                    if let Some(charge) = others.find_map(|number| self.charge_slot(&sought, number, n).ok()) {
                        return Answer::Charged(charge);
                    }
                }
            }
        }
        self.charge_slowly(&sought, &Cost::new(n), absent, detail)
    }

    /// `Err`: this is not the slot, or what is in it is decided about under the lock.
    #[inline]
    fn charge_slot(&self, sought: &Sought<'_>, number: u32, n: u64) -> Result<Charge, Lost> {
        let (slot, whose) = (self.slab.slot(number), Whose::Key(sought.probe));
        let charge = Charge::of(slot.charge(whose, &self.classes, || self.time.now(), n)?, None);
        match charge.verdict {
            // A word from before a step of the clock.
            Verdict::Deny(_) if self.is_ahead(&charge) => Err(Lost::Elsewhere),
            Verdict::Deny(_) | Verdict::Never => Ok(self.noticed(number, charge)),
            Verdict::Allow(_) => Ok(charge),
        }
    }

    /// First sight of a key, a long key, one whose entry was being moved, an account that is more than a word, or one whose
    /// word is from before a step of the clock.
    #[cold]
    fn charge_slowly(&self, sought: &Sought<'_>, cost: &Cost, absent: Absent, detail: Detail) -> Answer {
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        if let Some(slot) = self.find(&mut stripe, &sought.probe) {
            return self.charge_locked(&mut stripe, slot, self.time.now(), cost, detail);
        }
        match self.make(stripe, sought, cost, absent) {
            Ok((mut stripe, slot, now)) => self.charge_settled(&mut stripe, slot, now, cost, detail),
            Err(answer) => answer,
        }
    }

    /// Charges a request that costs its limits differently: which cost is which is known when the account is found.
    #[cold]
    pub(crate) fn charge_by_names(&self, key: &[u8], cost: &Cost, absent: Absent, detail: Detail) -> Answer {
        self.charge_slowly(&self.seek(key), cost, absent, detail)
    }

    /// Charges under the lock. A word is first brought back to where a charge could have left it, by a reading taken under this
    /// lock: a thread that slept since its own must not mistake its sleep for a step of the clock.
    fn charge_locked(&self, stripe: &mut Locked<'_>, slot: u32, now: Ticks, cost: &Cost, detail: Detail) -> Answer {
        if self.is_cold(self.slab.slot(slot).look_locked().1) {
            return self.charge_cold(stripe, slot, now, cost, detail);
        }
        stripe.clamp(slot, now, &self.classes);
        self.charge_settled(stripe, slot, now, cost, detail)
    }

    #[inline]
    fn charge_settled(&self, stripe: &mut Locked<'_>, slot: u32, now: Ticks, cost: &Cost, detail: Detail) -> Answer {
        let own = self.slab.slot(slot);
        let n = cost.uniform().unwrap_or_else(|| cost.on_only(self.classes.get(own.look_locked().1).limits()));
        match own.charge(Whose::Anybody, &self.classes, || now, n) {
            Ok(charged) => Answer::Charged(self.noticed(slot, Charge::of(charged, None))),
            Err(lost) => {
                debug_assert_eq!(lost, Lost::Elsewhere, "no life ends without the lock");
                self.charge_cold(stripe, slot, now, cost, detail)
            }
        }
    }

    /// The same with a word on whether it is to be told, if it is a denial. A slot's next account may lose or inherit one
    /// denial that is counted at the moment when they change places.
    #[inline]
    fn noticed(&self, slot: u32, charge: Charge) -> Charge {
        match charge.verdict {
            Verdict::Allow(_) => charge,
            _ => Charge { notice: self.notice(slot, charge.now), ..charge },
        }
    }

    #[allow(clippy::inline_always)] // where nothing is told, a denial need not call for that
    #[inline(always)]
    fn notice(&self, slot: u32, now: Ticks) -> Option<u32> {
        match (&self.notices, self.plan.notice_ms) {
            (Some(notices), Some(every)) => notices.at(slot).denied(now, every),
            _ => None,
        }
    }

    #[inline]
    fn is_ahead(&self, charge: &Charge) -> bool {
        matches!(charge.verdict, Verdict::Deny(_))
            && self.classes.get(charge.class).rule().is_ahead(charge.tat, charge.now)
    }

    /// The slot of a key, whose account is brought under the limits that have followed its own. With the lock held, a miss
    /// is one.
    fn find(&self, stripe: &mut Locked<'_>, probe: &Probe<'_>) -> Option<u32> {
        let slot = stripe.find(probe)?;
        stripe.follow(slot, &self.classes);
        Some(slot)
    }

    pub(crate) fn intern(&self, policy: Policy) -> Result<ClassId, Error> {
        self.classes.intern(policy)
    }

    /// Whether any policy of this table has a limit of this name.
    pub(crate) fn knows_limit(&self, name: &str) -> bool {
        self.classes.has_limit(name)
    }

    pub(crate) fn policy(&self, class: ClassId) -> &Policy {
        self.classes.get(class)
    }

    /// A policy, with where its denials are counted.
    #[inline]
    pub(crate) fn registered(&self, class: ClassId) -> &Registered {
        self.classes.registered(class)
    }

    /// What each limit has denied; see [`Classes::denied`].
    pub(crate) fn denied(&self, at: impl Fn(usize) -> u64) -> BTreeMap<(Arc<str>, Reason), u64> {
        self.classes.denied(at)
    }

    pub(crate) fn time(&self) -> &Timeline {
        &self.time
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}

#[cfg(all(test, loom, not(shuttle)))]
mod modelled;
#[cfg(all(test, not(loom)))]
mod replayed;
#[cfg(test)]
#[path = "../../tests/size/mod.rs"]
mod size;
#[cfg(all(test, not(loom)))]
mod tests;
