//! A key on its way to a slot: its hash, and how its bytes are compared.
//!
//! RUNS PER DECISION: [`Probe::new`], a few operations; and [`Probe::is_in`] for a slot with the same hash.

use super::slot::{CLASS_AT, INLINE, KEY_WORDS, KIND_AT};
use crate::sync::{AtomicU64, Ordering};

/// What no slot's `meta` is beside the class: a class's bit.
const NO_SLOT: u64 = 1 << CLASS_AT;

/// A key and its hash, ready to be compared.
#[derive(Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u32,
    /// What `meta` holds beside the class if the key is in the slot without a shift.
    pub(super) plain: u64,
}

impl<'a> Probe<'a> {
    #[inline]
    pub(super) fn new(key: &'a [u8], hash: u32) -> Self {
        let plain = if key.len() <= INLINE { u64::from(hash) | (key.len() as u64) << KIND_AT } else { NO_SLOT };
        Self { key, hash, plain }
    }

    /// Whether these words keep the key, given that they keep one of its length.
    #[inline]
    pub(super) fn is_in(&self, kept: &[AtomicU64; KEY_WORDS]) -> bool {
        let (words, rest) = self.key.as_chunks::<8>();
        // ORDERING: Relaxed; the caller proves afterwards that what it read belongs together (`Slot::life`).
        let same = |(own, word): (&AtomicU64, &[u8; 8])| own.load(Ordering::Relaxed) == u64::from_le_bytes(*word);
        kept.iter().zip(words).all(same)
            && (rest.is_empty() || kept[words.len()].load(Ordering::Relaxed) == last_word(self.key, rest))
    }

    /// The words that a slot keeps this key in.
    pub(super) fn words(&self) -> [u64; KEY_WORDS] {
        let mut bytes = [0; INLINE];
        let len = self.key.len().min(INLINE);
        bytes[..len].copy_from_slice(&self.key[..len]);
        std::array::from_fn(|at| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().expect("eight bytes")))
    }
}

/// The last 1 to 7 bytes of a key, as a slot's word holds them: with zeros behind. Read without a copy, of which the
/// processor would have to wait for the end.
#[inline]
fn last_word(key: &[u8], rest: &[u8]) -> u64 {
    if let Some(last) = key.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (64 - 8 * rest.len());
    }
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}
