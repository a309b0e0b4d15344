//! All accounts: stripes of key -> account, each under its own lock.
//!
//! HOT PATH, stop 2. RUNS PER DECISION: [`Table::charge`] on a known key: hash, the stripe's read
//! lock, one probe of its index, the coarse clock, one compare-and-swap. Everything else in this room
//! happens at first sight, at eviction, or on request.
//!
//! No account leaves this room: callers charge, look, pin, configure, reset and iterate by key, so
//! that its inside can change. Two stripes are never locked at once, and no caller's code runs under
//! a lock.
//!
//! **Never seen equals refilled.** An account whose word is not ahead of the clock answers like a
//! fresh one, so it may be dropped. Each stripe remembers the latest reading at which it dropped one,
//! its *horizon*: an absent key counts as an account whose word is the horizon, which keeps a thread
//! with an older reading from seeing a fresh bucket where a newer one saw a used one.
//!
//! **Lowering a word** (clamp, reset, reconfigure) and evicting an account in debt happen under the
//! stripe's write lock, where no charge runs beside them.

mod room;
mod stripe;

use crossbeam_utils::CachePadded;

use crate::account::Account;
use crate::classes::{ClassId, Classes};
use crate::clock::Timeline;
use crate::error::Error;
use crate::limit::{Migration, Verdict};
use crate::policy::Policy;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, RwLock};
use crate::ticks::{SKEW, Ticks};

pub use room::{LOOKS_PER_INSERTION, WhenFull};
use stripe::{Side, Stripe};

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

/// Keeps one account from being evicted. Given back with [`Table::unpin`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pin {
    stripe: usize,
    slot: u32,
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
    stripes: Box<[CachePadded<RwLock<Stripe>>]>,
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
        Self {
            stripes: (0..stripes).map(|_| CachePadded::new(RwLock::new(Stripe::new()))).collect(),
            // Keyed from the system's randomness, so that nobody outside can choose colliding keys.
            hasher: ahash::RandomState::new(),
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
        let hash = self.hash(key);
        let home = self.home(hash);
        {
            let stripe = self.stripes[home].read();
            if let Some(slot) = stripe.find(hash, key) {
                let charge = self.charge_account(stripe.account(slot), n, at, self.plan.notice_ms);
                if !self.is_ahead(&charge) {
                    return Answer::Charged(charge);
                }
            }
        }
        self.charge_slowly(hash, home, key, n, absent)
    }

    /// First sight of a key, or a word from before a step of the clock.
    #[cold]
    fn charge_slowly(&self, hash: u64, home: usize, key: &[u8], n: u64, absent: Absent) -> Answer {
        if let Some(charge) = self.charge_clamped(hash, home, key, n) {
            return Answer::Charged(charge);
        }
        let (class, always) = match absent {
            Absent::Tell => return Answer::Unknown,
            Absent::Charge(class) => (class, false),
            Absent::Create(class) => (class, true),
        };
        let rule = *self.classes.get(class).rule();
        if !always {
            // A request that cannot pass leaves no trace.
            let Look { tat, now, .. } = self.look_absent(home, class);
            let verdict = rule.decide(tat, now, n);
            if !matches!(verdict, Verdict::Allow(_)) {
                return Answer::Charged(Charge { verdict, tat, now, class, notice: None });
            }
        }
        let seat = match self.find_seat(home) {
            Ok(seat) => seat,
            Err(wait) => return Answer::Full(wait),
        };
        let mut stripe = self.stripes[home].write();
        let slot = stripe.find(hash, key).unwrap_or_else(|| {
            seat.take();
            self.give_birth(&mut stripe, hash, key, class)
        });
        Answer::Charged(self.charge_account(stripe.account(slot), n, Some(self.time.now()), self.plan.notice_ms))
    }

    /// Charges a known account under the write lock, after bringing its word back to where a charge
    /// could have left it. Clamped by a reading taken here: a thread that slept since its own reading
    /// must not mistake its sleep for a step of the clock.
    fn charge_clamped(&self, hash: u64, home: usize, key: &[u8], n: u64) -> Option<Charge> {
        let mut stripe = self.stripes[home].write();
        let now = self.time.now();
        let Some(slot) = stripe.find(hash, key) else {
            stripe.settle_horizon(now, self.classes.longest_tolerance() + SKEW);
            return None;
        };
        stripe.clamp(slot, now, &self.classes);
        Some(self.charge_account(stripe.account(slot), n, Some(now), self.plan.notice_ms))
    }

    /// Takes `n` tokens from a pinned account: no hash and no search.
    pub(crate) fn charge_pinned(&self, pin: &Pin, n: u64) -> Charge {
        {
            let stripe = self.stripes[pin.stripe].read();
            let charge = self.charge_account(stripe.account(pin.slot), n, None, None);
            if !self.is_ahead(&charge) {
                return charge;
            }
        }
        let mut stripe = self.stripes[pin.stripe].write();
        let now = self.time.now();
        stripe.clamp(pin.slot, now, &self.classes);
        self.charge_account(stripe.account(pin.slot), n, Some(now), None)
    }

    #[inline]
    fn charge_account(&self, account: &Account, n: u64, at: Option<Ticks>, tell: Option<u32>) -> Charge {
        let rule = self.classes.get(account.class).rule();
        let (verdict, tat, now) = account.word.charge_now(rule, &self.time, at, n);
        let notice = match (&verdict, tell) {
            (Verdict::Allow(_), _) | (_, None) => None,
            (_, Some(every_ms)) => account.notice.denied(now, every_ms),
        };
        Charge { verdict, tat, now, class: account.class, notice }
    }

    #[inline]
    fn is_ahead(&self, charge: &Charge) -> bool {
        matches!(charge.verdict, Verdict::Deny(_))
            && self.classes.get(charge.class).rule().is_ahead(charge.tat, charge.now)
    }

    /// The account as it stands; of an unknown key, as one of `class` would be born.
    pub(crate) fn look(&self, key: &[u8], class: ClassId) -> Look {
        let hash = self.hash(key);
        let home = self.home(hash);
        {
            let stripe = self.stripes[home].read();
            if let Some(slot) = stripe.find(hash, key) {
                let account = stripe.account(slot);
                return Look { tat: account.word.load(), now: self.time.now(), class: Some(account.class) };
            }
        }
        self.look_absent(home, class)
    }

    pub(crate) fn look_pinned(&self, pin: &Pin) -> Look {
        let stripe = self.stripes[pin.stripe].read();
        let account = stripe.account(pin.slot);
        Look { tat: account.word.load(), now: self.time.now(), class: Some(account.class) }
    }

    fn look_absent(&self, home: usize, class: ClassId) -> Look {
        let horizon = self.stripes[home].read().horizon();
        let now = self.time.now();
        Look { tat: self.classes.get(class).rule().clamp(horizon, now), now, class: None }
    }

    /// Puts a new account into a stripe. The caller holds a seat for it.
    fn give_birth(&self, stripe: &mut Stripe, hash: u64, key: &[u8], class: ClassId) -> u32 {
        let now = self.time.now();
        stripe.settle_horizon(now, self.classes.longest_tolerance() + SKEW);
        let tat = self.classes.get(class).rule().clamp(stripe.horizon(), now);
        let slot = stripe.insert(hash, key, Account::new(tat, class));
        if self.plan.track_created {
            stripe.side_mut(slot).created_ns = Some(self.time.clock().unix_ns());
        }
        slot
    }

    /// Keeps the key's account from eviction; `absent` says what to do about an unknown key, and
    /// `Ok(None)` is the answer to [`Absent::Tell`].
    pub(crate) fn pin(&self, key: &[u8], absent: Absent) -> Result<Option<Pin>, Option<Ticks>> {
        let hash = self.hash(key);
        let home = self.home(hash);
        let pin = |stripe: &mut Stripe, slot| {
            stripe.side_mut(slot).pins += 1;
            Ok(Some(Pin { stripe: home, slot }))
        };
        {
            let mut stripe = self.stripes[home].write();
            if let Some(slot) = stripe.find(hash, key) {
                return pin(&mut stripe, slot);
            }
        }
        let (Absent::Charge(class) | Absent::Create(class)) = absent else { return Ok(None) };
        let seat = self.find_seat(home)?;
        let mut stripe = self.stripes[home].write();
        let slot = stripe.find(hash, key).unwrap_or_else(|| {
            seat.take();
            self.give_birth(&mut stripe, hash, key, class)
        });
        pin(&mut stripe, slot)
    }

    /// A second pin on the same account.
    pub(crate) fn pin_again(&self, pin: &Pin) -> Pin {
        self.stripes[pin.stripe].write().side_mut(pin.slot).pins += 1;
        Pin { stripe: pin.stripe, slot: pin.slot }
    }

    /// Gives a pin back. Takes it by value: a pin given back cannot be used again.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn unpin(&self, pin: Pin) {
        self.stripes[pin.stripe].write().unpin(pin.slot);
    }

    /// Puts a known account under another policy; false if the key is unknown.
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> bool {
        let hash = self.hash(key);
        let mut stripe = self.stripes[self.home(hash)].write();
        let Some(slot) = stripe.find(hash, key) else { return false };
        let now = self.time.now();
        let account = stripe.account_mut(slot);
        let (old, new) = (self.classes.get(account.class).rule(), self.classes.get(class).rule());
        let tat = account.word.load();
        let lowered = account.word.lower(tat, old.migrate(new, tat, now, how));
        debug_assert!(lowered, "no charge runs beside a write lock");
        account.class = class;
        true
    }

    /// Makes the key's account as good as new; false if the key is unknown.
    pub(crate) fn reset(&self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let stripe = self.stripes[self.home(hash)].write();
        let Some(slot) = stripe.find(hash, key) else { return false };
        let word = &stripe.account(slot).word;
        let lowered = word.lower(word.load(), self.time.now());
        debug_assert!(lowered, "no charge runs beside a write lock");
        true
    }

    /// Calls `each` with every account, stripe by stripe, after the stripe's lock is let go. There is no
    /// moment at which all of it is true: accounts come and go while it runs.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], Look, Option<u64>)) {
        for stripe in &self.stripes {
            let copies: Vec<_> = {
                let stripe = stripe.read();
                let now = self.time.now();
                let look = |account: &Account| Look { tat: account.word.load(), now, class: Some(account.class) };
                stripe
                    .live()
                    .map(|(slot, key, account)| {
                        let created = stripe.side(slot).and_then(|side| side.created_ns);
                        (Box::<[u8]>::from(key), look(account), created)
                    })
                    .collect()
            };
            for (key, look, created) in copies {
                each(&key, look, created);
            }
        }
    }

    /// When the key was first seen, on the wall clock, if that is tracked and it is known.
    pub(crate) fn created_ns(&self, key: &[u8]) -> Option<u64> {
        let hash = self.hash(key);
        let stripe = self.stripes[self.home(hash)].read();
        let slot = stripe.find(hash, key)?;
        stripe.side(slot).and_then(|side: &Side| side.created_ns)
    }

    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        self.stripes[self.home(hash)].read().find(hash, key).is_some()
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

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The stripe of a hash. The index inside uses the lowest and the highest bits; these are others.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.stripes.len() - 1)
    }
}

#[cfg(all(test, loom))]
mod modelled;
#[cfg(all(test, not(loom)))]
mod tests;
