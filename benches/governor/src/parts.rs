//! The parts that no decision can do without, each by itself as fast as it gets: what a decision cannot go below.
//!
//! A part is left out wherever another design could do without it: nothing is searched (the account's number is
//! known), nothing is counted, one limit holds for all, and whoever is denied is not told for how long.

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use rustix::time::{ClockId, clock_gettime};

/// An account in a cache line: its word, its hash, and its key.
#[repr(align(64))]
struct Account {
    word: AtomicU64,
    hash: u64,
    key: [u8; 32],
}

/// Accounts by their numbers.
pub(crate) struct Parts {
    accounts: Box<[Account]>,
    hasher: RandomState,
}

impl Parts {
    /// Of keys up to 32 bytes.
    pub(crate) fn new(keys: &[String]) -> Self {
        let hasher = RandomState::new();
        let account = |key: &String| {
            let mut own = [0; 32];
            own[..key.len()].copy_from_slice(key.as_bytes());
            Account { word: AtomicU64::new(0), hash: hasher.hash_one(key.as_bytes()), key: own }
        };
        Self { accounts: keys.iter().map(account).collect(), hasher }
    }

    /// Hash a key, compare it with that of its account, read the coarse clock, swap the word.
    #[inline]
    pub(crate) fn decide(&self, number: u32, key: &str) -> bool {
        let account = &self.accounts[number as usize];
        let hash = self.hasher.hash_one(key.as_bytes());
        hash == account.hash && account.key.starts_with(key.as_bytes()) && account.charge()
    }

    /// Without a key: read the coarse clock, swap the word.
    #[inline]
    pub(crate) fn decide_held(&self) -> bool {
        self.accounts[0].charge()
    }
}

impl Account {
    /// One token of a limit that is never reached.
    #[inline]
    fn charge(&self) -> bool {
        let mut tat = self.word.load(Ordering::Acquire);
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let now = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
        loop {
            let new = tat.max(now) + 1;
            if new - now > 1 << 40 {
                return false;
            }
            match self.word.compare_exchange_weak(tat, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => tat = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::shuffled_keys;

    #[test]
    fn an_account_passes_under_its_own_key_alone() {
        let keys = shuffled_keys(100);
        let parts = Parts::new(&keys);
        assert!((0..).zip(&keys).all(|(number, key)| parts.decide(number, key)));
        assert!(!parts.decide(0, &keys[1]) && parts.decide_held());
    }
}
