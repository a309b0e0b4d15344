//! Keys and what belongs to them, behind a lock for each share of the keys: for limits whose state is more than a word.
//!
//! RUNS PER DECISION of such limits: [`Striped::with`], one hash, one lock, one look into a hash map. The lock is held for
//! the caller's closure, which computes and does nothing else.
//!
//! What equals a key never seen is forgotten: when a stripe has grown to twice what was left at its last sweep, it is
//! swept, so that an insertion pays for two keys on average and nobody scans everything.

use std::collections::HashMap;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicUsize, Mutex, Ordering, keyed_hash};

pub(crate) const STRIPES: usize = 64;
/// A stripe is not swept before it has so many keys.
const FEW: usize = 64;

struct Stripe<V> {
    keys: HashMap<Box<[u8]>, V, ahash::RandomState>,
    sweep_at: usize,
}

pub(crate) struct Striped<V> {
    stripes: Box<[CachePadded<Mutex<Stripe<V>>>]>,
    hasher: ahash::RandomState,
    /// Keys in all stripes, and places taken for keys that are being made.
    count: AtomicUsize,
}

impl<V> Stripe<V> {
    /// Forgets what is idle, and says how much that was.
    fn sweep(&mut self, is_idle: impl Fn(&mut V) -> bool) -> usize {
        let before = self.keys.len();
        self.keys.retain(|_, value| !is_idle(value));
        self.sweep_at = (2 * self.keys.len()).max(FEW);
        self.keys.shrink_to(self.sweep_at);
        before - self.keys.len()
    }
}

impl<V: Default> Striped<V> {
    pub(crate) fn new() -> Self {
        let hasher = keyed_hash();
        let stripe = || Stripe { keys: HashMap::with_hasher(hasher.clone()), sweep_at: FEW };
        Self {
            stripes: (0..STRIPES).map(|_| CachePadded::new(Mutex::new(stripe()))).collect(),
            hasher,
            count: AtomicUsize::new(0),
        }
    }

    fn stripe(&self, key: &[u8]) -> &Mutex<Stripe<V>> {
        // The map uses the upper bits for itself, and the lower ones after them: these are others.
        &self.stripes[(self.hasher.hash_one(key) >> 32) as usize % STRIPES]
    }

    /// Shows what belongs to a key, if there is anything.
    pub(crate) fn look<R>(&self, key: &[u8], look: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.stripe(key).lock().keys.get_mut(key).map(look)
    }

    /// Changes what belongs to a key, made new first if there is nothing. `is_idle` says of anything whether it equals a
    /// new one and may be forgotten.
    pub(crate) fn with<R>(&self, key: &[u8], is_idle: impl Fn(&mut V) -> bool, change: impl FnOnce(&mut V) -> R) -> R {
        self.with_at_most(key, usize::MAX, is_idle, || None, change).expect("there is always a place")
    }

    /// [`Striped::with`] for no more than `most` keys: `None` for an unknown one that finds no place. `refuse` may answer
    /// for an unknown key, which is then not made.
    pub(crate) fn with_at_most<R>(
        &self,
        key: &[u8],
        most: usize,
        is_idle: impl Fn(&mut V) -> bool,
        refuse: impl FnOnce() -> Option<R>,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let mut stripe = self.stripe(key).lock();
        if let Some(value) = stripe.keys.get_mut(key) {
            return Some(change(value));
        }
        self.sweep_if_grown(&mut stripe, is_idle);
        // Asked after the sweep, which may have forgotten this very key.
        if let Some(answer) = refuse() {
            return Some(answer);
        }
        let place = |count| (count < most).then_some(count + 1);
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, place).ok()?;
        Some(change(stripe.keys.entry(key.into()).or_default()))
    }

    fn sweep_if_grown(&self, stripe: &mut Stripe<V>, is_idle: impl Fn(&mut V) -> bool) {
        if stripe.keys.len() >= stripe.sweep_at {
            self.count.fetch_sub(stripe.sweep(is_idle), Ordering::SeqCst);
        }
    }

    /// Forgets what is idle in the stripe of this number (any number will do); says how many keys it looked at, and how
    /// many it forgot.
    pub(crate) fn sweep(&self, number: usize, is_idle: impl Fn(&mut V) -> bool) -> (usize, usize) {
        let mut stripe = self.stripes[number % STRIPES].lock();
        let looked = stripe.keys.len();
        let forgotten = stripe.sweep(is_idle);
        self.count.fetch_sub(forgotten, Ordering::SeqCst);
        (looked, forgotten)
    }

    /// Forgets a key and hands out what belonged to it.
    pub(crate) fn remove(&self, key: &[u8]) -> Option<V> {
        let removed = self.stripe(key).lock().keys.remove(key);
        if removed.is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
        removed
    }

    pub(crate) fn clear(&self) {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            self.count.fetch_sub(stripe.keys.len(), Ordering::SeqCst);
            stripe.keys.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Shows every key, stripe by stripe, with the stripe's lock held. There is no moment at which all of it is true.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], &mut V)) {
        for stripe in &self.stripes {
            stripe.lock().keys.iter_mut().for_each(|(key, value)| each(key, value));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_is_forgotten_and_nothing_else() {
        let striped = Striped::<u64>::new();
        for number in 0..100_000_u64 {
            // Every tenth is in use.
            striped.with(&number.to_le_bytes(), |value| *value == 0, |value| *value = u64::from(number % 10 == 0));
        }
        let mut used = 0;
        striped.for_each(|_, value| used += *value);
        assert_eq!(used, 10_000);
        assert!(striped.len() < 40_000, "{}", striped.len());
        assert_eq!(striped.look(&20_u64.to_le_bytes(), |value| *value), Some(1));
        assert_eq!(striped.remove(&20_u64.to_le_bytes()), Some(1));
        assert_eq!(striped.look(&20_u64.to_le_bytes(), |value| *value), None);
        let mut found = 0;
        striped.for_each(|_, _| found += 1);
        assert_eq!(striped.len(), found);
        striped.clear();
        assert_eq!(striped.len(), 0);
    }

    #[test]
    fn no_more_keys_than_there_are_places() {
        let striped = Striped::<u64>::new();
        let ask = |key: u64, refuse: bool| {
            let refuse = || refuse.then_some(99);
            striped.with_at_most(&key.to_le_bytes(), 2, |value| *value == 0, refuse, |value| *value)
        };
        assert_eq!([ask(1, false), ask(2, true), ask(2, false), ask(3, false)], [Some(0), Some(99), Some(0), None]);
        assert_eq!((ask(1, true), ask(3, true), striped.len()), (Some(0), Some(99), 2));
        striped.look(&1_u64.to_le_bytes(), |value| *value = 1);
        let (looked, forgotten) = (0..STRIPES).fold((0, 0), |sum, number| {
            let one = striped.sweep(number, |value| *value == 0);
            (sum.0 + one.0, sum.1 + one.1)
        });
        assert_eq!((looked, forgotten, striped.len()), (2, 1, 1));
        assert_eq!([ask(3, false), ask(4, false)], [Some(0), None]);
    }
}
