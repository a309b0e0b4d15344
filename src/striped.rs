//! Keys and what belongs to them, behind a lock for each share of the keys: for limits whose state is more than a word.
//!
//! RUNS PER DECISION of such limits: [`Striped::with`], one hash, one lock, one look into a hash map. The lock is held for
//! the caller's closure, which computes and does nothing else.
//!
//! What equals a key never seen is forgotten: when a stripe has grown to twice what was left at its last sweep, it is
//! swept, so that an insertion pays for two keys on average and nobody scans everything.

use std::collections::HashMap;

use crossbeam_utils::CachePadded;

use crate::sync::{Mutex, keyed_hash};

const STRIPES: usize = 64;
/// A stripe is not swept before it has so many keys.
const FEW: usize = 64;

struct Stripe<V> {
    keys: HashMap<Box<[u8]>, V, ahash::RandomState>,
    sweep_at: usize,
}

pub(crate) struct Striped<V> {
    stripes: Box<[CachePadded<Mutex<Stripe<V>>>]>,
    hasher: ahash::RandomState,
}

impl<V: Default> Striped<V> {
    pub(crate) fn new() -> Self {
        let hasher = keyed_hash();
        let stripe = || Stripe { keys: HashMap::with_hasher(hasher.clone()), sweep_at: FEW };
        Self { stripes: (0..STRIPES).map(|_| CachePadded::new(Mutex::new(stripe()))).collect(), hasher }
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
        let mut stripe = self.stripe(key).lock();
        if let Some(value) = stripe.keys.get_mut(key) {
            return change(value);
        }
        if stripe.keys.len() >= stripe.sweep_at {
            stripe.keys.retain(|_, value| !is_idle(value));
            stripe.sweep_at = (2 * stripe.keys.len()).max(FEW);
            let room = stripe.sweep_at;
            stripe.keys.shrink_to(room);
        }
        change(stripe.keys.entry(key.into()).or_default())
    }

    /// Forgets a key and hands out what belonged to it.
    pub(crate) fn remove(&self, key: &[u8]) -> Option<V> {
        self.stripe(key).lock().keys.remove(key)
    }

    pub(crate) fn clear(&self) {
        for stripe in &self.stripes {
            stripe.lock().keys.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().keys.len()).sum()
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
        striped.clear();
        assert_eq!(striped.len(), 0);
    }
}
