//! The policies of one limiter, each under a small number: an account stores the number.
//!
//! RUNS PER DECISION: [`Classes::usual`], a look into an array. Policies are never removed, so a
//! number stays valid for as long as the limiter lives; a limiter sees as many as there are different
//! limits in its accounts' configuration.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock, atomic};

use crate::clock::Moment;
use crate::counters::{FREE_FROM, PLACES};
use crate::decision::Reason;
use crate::error::Error;
use crate::limit::{Migration, TokenBucket, Usual};
use crate::policy::{MAX_LIMITS, Policy};
use crate::sync::{AtomicU64, Mutex, Ordering, fence};
use crate::ticks::Ticks;

/// The number of a policy in its limiter. Outside it goes with the limiter that it is a number of: `limiter::ClassId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClassId(u32);

impl ClassId {
    /// The number itself, at most 24 bits.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// The class of a number that [`ClassId::bits`] gave.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// The first chunk holds 64 policies, each further one twice as many: 2^24 - 64 in all.
const FIRST: u32 = 64;
const CHUNKS: usize = 18;

type Chunk = Box<[Entry]>;

/// A policy, and what has followed it.
#[derive(Default)]
struct Entry {
    policy: OnceLock<Registered>,
    change: OnceLock<Change>,
}

/// A policy, and where the denials of its limits are counted.
pub(crate) struct Registered {
    pub(crate) policy: Policy,
    /// By the number of the limit: the place in [`crate::counters`] where its denials are counted.
    places: [u8; MAX_LIMITS],
    /// The counts of limits that came when all places were taken, by the number of the limit; none, if there is no such.
    denied: Box<[atomic::AtomicU64]>,
}

impl Registered {
    /// Where the denials of the limit of this number are counted: the place, or else the count.
    #[inline]
    pub(crate) fn denials_of(&self, limit: u8) -> Result<usize, Option<&atomic::AtomicU64>> {
        let place = usize::from(self.places[usize::from(limit) % MAX_LIMITS]);
        if place < PLACES { Ok(place) } else { Err(self.denied.get(usize::from(limit))) }
    }
}

/// Another policy for all accounts of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) to: ClassId,
    pub(crate) how: Migration,
    /// When it took place.
    pub(crate) at: Moment,
}

/// The rule of a policy that another has followed: accounts are looked at under their stripe's lock.
static FOLLOWED: TokenBucket = TokenBucket::elsewhere();

/// What the usual yes takes of one policy: zeros, by which nobody is allowed anything, until it is in place. The model
/// checker is not asked about them, as little as about the policies.
#[derive(Default)]
struct Quick {
    emission: atomic::AtomicU64,
    burst: atomic::AtomicU64,
    tolerance: atomic::AtomicU64,
}

/// The policies by their contents, how many numbers were given out, the names of all their limits, and whose denials have a
/// place in the counters: those of the first limits that came, by name and reason.
#[derive(Default)]
struct Numbers {
    of: HashMap<Policy, ClassId>,
    given: u32,
    names: HashSet<Arc<str>>,
    counted: Vec<(Arc<str>, Reason)>,
}

impl Numbers {
    fn register(&mut self, policy: Policy) -> Registered {
        let (mut places, mut denied) = ([u8::MAX; MAX_LIMITS], Vec::new());
        let deny = policy.limits().iter().zip(&mut places).filter(|(limit, _)| !limit.is_shadow());
        for (limit, place) in deny {
            let is_it = |(name, reason): &(Arc<str>, Reason)| *name == limit.name && *reason == limit.reason();
            let at = self.counted.iter().position(is_it).unwrap_or(self.counted.len());
            if FREE_FROM + at >= PLACES {
                denied.resize_with(policy.limits().len(), Default::default);
                continue;
            }
            if at == self.counted.len() {
                self.counted.push((limit.name.clone(), limit.reason()));
            }
            *place = u8::try_from(FREE_FROM + at).unwrap_or(u8::MAX);
        }
        Registered { policy, places, denied: denied.into() }
    }
}

pub(crate) struct Classes {
    /// Beside the policies of the first chunk, and found without a pointer.
    quick: [Quick; FIRST as usize],
    /// The first chunk, all that most limiters ever need.
    first: Box<[Entry; FIRST as usize]>,
    further: [OnceLock<Chunk>; CHUNKS - 1],
    numbers: Mutex<Numbers>,
    longest: AtomicU64,
    /// Whether any policy has been followed by another.
    changed: atomic::AtomicBool,
    /// How many policies there are beside the first, and one more if that is no rate.
    several: atomic::AtomicU64,
}

impl Classes {
    pub(crate) fn new() -> Self {
        Self {
            quick: std::array::from_fn(|_| Quick::default()),
            first: Box::new(std::array::from_fn(|_| Entry::default())),
            further: [const { OnceLock::new() }; CHUNKS - 1],
            numbers: Mutex::new(Numbers::default()),
            longest: AtomicU64::new(0),
            changed: atomic::AtomicBool::new(false),
            several: atomic::AtomicU64::new(0),
        }
    }

    /// The number of this policy, a new one if it was not seen before.
    pub(crate) fn intern(&self, policy: Policy) -> Result<ClassId, Error> {
        let mut numbers = self.numbers.lock();
        if let Some(&class) = numbers.of.get(&policy) {
            return Ok(class);
        }
        let class = self.put(&mut numbers, policy.clone())?;
        numbers.of.insert(policy, class);
        Ok(class)
    }

    /// A number that this policy shares with no equal one: other policies may follow it.
    pub(crate) fn add(&self, policy: Policy) -> Result<ClassId, Error> {
        self.put(&mut self.numbers.lock(), policy)
    }

    fn put(&self, numbers: &mut Numbers, policy: Policy) -> Result<ClassId, Error> {
        let next = numbers.given;
        let (chunk, offset) = place(next);
        let room = match chunk.checked_sub(1) {
            None => &self.first[..],
            Some(further) => {
                let chunk = self.further.get(further).ok_or(Error::TooManyPolicies)?;
                chunk.get_or_init(|| (0..FIRST as usize + next as usize).map(|_| Entry::default()).collect())
            }
        };
        // ORDERING: Relaxed; only ever read under a stripe's lock, as a bound that may lag by one policy.
        self.longest.fetch_max(policy.longest(), Ordering::Relaxed);
        if let Some(quick) = self.quick.get(next as usize) {
            quick.set(&Usual::of(policy.rule()));
        }
        numbers.names.extend(policy.limits().iter().map(|limit| limit.name.clone()));
        // ORDERING: Relaxed; see `is_one_rate`.
        self.several.fetch_add(u64::from(next > 0 || policy.is_cold()), atomic::Ordering::Relaxed);
        let _ = room[offset].policy.set(numbers.register(policy));
        numbers.given += 1;
        Ok(ClassId(next))
    }

    /// Lets another policy follow this one. The caller holds the locks of all stripes, so whoever holds one of them sees
    /// either none of this or all.
    pub(crate) fn follow(&self, class: ClassId, change: Change) {
        let _ = self.entry(class).map(|entry| entry.change.set(change));
        if let Some(quick) = self.quick.get(class.0 as usize) {
            quick.close();
        }
        self.changed.store(true, atomic::Ordering::SeqCst);
    }

    /// Whether there has been one policy alone, and that a rate: then words tell who owes more.
    pub(crate) fn is_one_rate(&self) -> bool {
        // ORDERING: Relaxed; a policy that comes meanwhile is compared like the others a little later.
        self.several.load(atomic::Ordering::Relaxed) == 0
    }

    /// Whether any policy has been followed by another.
    #[inline]
    pub(crate) fn have_changed(&self) -> bool {
        // ORDERING: Relaxed; under a stripe's lock, what `follow` stored under all of them is seen. Without a lock, a charge
        // that misses a change has begun before it was over.
        self.changed.load(atomic::Ordering::Relaxed)
    }

    /// What has followed a policy.
    pub(crate) fn change_of(&self, class: ClassId) -> Option<Change> {
        if self.have_changed() { self.entry(class)?.change.get().copied() } else { None }
    }

    /// The policy that accounts of this one are under by now.
    pub(crate) fn current(&self, mut class: ClassId) -> ClassId {
        while let Some(change) = self.change_of(class) {
            class = change.to;
        }
        class
    }

    /// The rule to decide by without a lock.
    #[inline]
    pub(crate) fn rule(&self, class: ClassId) -> &TokenBucket {
        if self.have_changed() && self.change_of(class).is_some() { &FOLLOWED } else { self.get(class).rule() }
    }

    /// Whether any policy has a limit of this name.
    pub(crate) fn has_limit(&self, name: &str) -> bool {
        self.numbers.lock().names.contains(name)
    }

    /// What the usual yes takes of a policy, by its number.
    #[inline]
    pub(crate) fn usual(&self, class: ClassId) -> Usual {
        match self.quick.get(class.0 as usize) {
            Some(quick) => quick.get(),
            None => Usual::of(self.rule(class)),
        }
    }

    /// The policy of a number that [`Classes::intern`] or [`Classes::add`] of this object gave out.
    ///
    /// A search without the lock may come with a number that it has not verified: of a later life of the slot, read by a
    /// Relaxed load. It is a whole number that was given out here all the same, because one store writes it with the rest
    /// of `meta` ([`crate::table`], `slot`), and a life begins with a number of this table alone. What such a search
    /// makes of the policy is dropped when its swap fails or its second look differs. Its load may be ahead of the
    /// policy, though: then the fence in `get_late` catches up.
    #[inline]
    pub(crate) fn get(&self, class: ClassId) -> &Policy {
        &self.registered(class).policy
    }

    /// The same, with where its denials are counted.
    #[inline]
    pub(crate) fn registered(&self, class: ClassId) -> &Registered {
        self.find(class).unwrap_or_else(|| self.get_late(class))
    }

    #[inline]
    fn find(&self, class: ClassId) -> Option<&Registered> {
        match self.first.get(class.0 as usize) {
            Some(entry) => entry.policy.get(),
            None => self.get_further(class)?.policy.get(),
        }
    }

    /// What each limit has denied, by its name and reason: `at` tells the count of a place.
    pub(crate) fn denied(&self, at: impl Fn(usize) -> u64) -> BTreeMap<(Arc<str>, Reason), u64> {
        let (counted, given) = {
            let numbers = self.numbers.lock();
            (numbers.counted.clone(), numbers.given)
        };
        let mut counts = BTreeMap::new();
        for (place, key) in (FREE_FROM..).zip(counted) {
            counts.insert(key, at(place));
        }
        let all = (0..given).filter_map(|number| self.entry(ClassId(number))?.policy.get());
        for Registered { policy, denied, .. } in all {
            for (limit, count) in policy.limits().iter().zip(denied) {
                // ORDERING: Relaxed; a count, and no more.
                let count = count.load(atomic::Ordering::Relaxed);
                *counts.entry((limit.name.clone(), limit.reason())).or_default() += count;
            }
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    #[cold]
    #[inline(never)]
    fn get_late(&self, class: ClassId) -> &Registered {
        // ORDERING: Acquire pairs with the Release fence in `Slot::be_born`, which comes after the policy was put in place
        // and before the store that the caller read the number from.
        fence(Ordering::Acquire);
        self.find(class).expect("a class number is given out after its policy is in place")
    }

    fn entry(&self, class: ClassId) -> Option<&Entry> {
        self.first.get(class.0 as usize).or_else(|| self.get_further(class))
    }

    #[cold]
    fn get_further(&self, class: ClassId) -> Option<&Entry> {
        let (chunk, offset) = place(class.0);
        self.further.get(chunk - 1)?.get()?.get(offset)
    }

    /// The longest time that any limit of this limiter remembers a request.
    pub(crate) fn longest(&self) -> Ticks {
        // ORDERING: Relaxed; see `intern`.
        self.longest.load(Ordering::Relaxed)
    }
}

impl Quick {
    fn set(&self, usual: &Usual) {
        // ORDERING: Relaxed, here and in `get`: whoever reads a number from an account sees what was written before the
        // account was born with it. Who reads that of a later life may see zeros, or some of them, and decide wrongly by
        // them; but then its swap fails.
        self.emission.store(usual.emission, Ordering::Relaxed);
        self.burst.store(usual.burst, Ordering::Relaxed);
        self.tolerance.store(usual.tolerance, Ordering::Relaxed);
    }

    /// Nothing passes by these numbers any more. One store, so that no thread reads half of it.
    fn close(&self) {
        self.burst.store(0, atomic::Ordering::SeqCst);
    }

    #[inline]
    fn get(&self) -> Usual {
        // ORDERING: Relaxed; see `set`.
        let read = |number: &atomic::AtomicU64| number.load(Ordering::Relaxed);
        Usual { emission: read(&self.emission), burst: read(&self.burst), tolerance: read(&self.tolerance) }
    }
}

/// Chunk and offset of a number; chunk c holds the numbers from 64 * (2^c - 1) on.
#[inline]
const fn place(number: u32) -> (usize, usize) {
    let shifted = number + FIRST;
    let chunk = shifted.ilog2() - FIRST.ilog2();
    (chunk as usize, (shifted - (FIRST << chunk)) as usize)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::limit::Rate;

    fn hourly(limit: u64) -> Policy {
        Policy::rate(Rate::new(limit, 3_600_000_000_000)).unwrap()
    }

    #[test]
    fn equal_policies_share_a_number_and_numbers_lead_back() {
        let classes = Classes::new();
        let ids: Vec<ClassId> = (1..=1000).map(|limit| classes.intern(hourly(limit)).unwrap()).collect();
        for (limit, &id) in (1..=1000).zip(&ids) {
            assert_eq!(classes.intern(hourly(limit)).unwrap(), id);
            assert_eq!(classes.get(id).capacity(), limit);
            assert_eq!(classes.usual(id), Usual::of(classes.get(id).rule()));
        }
        let longest = (1..=1000).map(|limit| hourly(limit).rule().tolerance()).max();
        assert_eq!(Some(classes.longest()), longest);
    }

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let mut last = (0, usize::MAX);
        for number in 0..10_000 {
            let (chunk, offset) = place(number);
            let follows = (chunk == last.0 && offset == last.1.wrapping_add(1)) || (chunk == last.0 + 1 && offset == 0);
            assert!(follows, "{number}");
            last = (chunk, offset);
        }
        assert!(place(u32::MAX - FIRST).0 >= CHUNKS);
    }
}
