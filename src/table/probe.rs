//! A key on its way to a slot: its hash, and how its bytes are kept and compared.
//!
//! RUNS PER DECISION: [`Probe::is_in`], for a slot with the same hash and a key of the same length.
//!
//! **How a key is kept.** Of more than 16 bytes: its first two words, its last two, which may overlap them, and the third
//! where these leave a gap. Of 8 to 16: its first word and its last. Of fewer: one word with zeros behind. So a key of any
//! usual length is compared by four loads of each side, without a loop and without looking at single bytes.

use super::slot::{INLINE, KEY_WORDS};
use crate::sync::{AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();
/// Two words, those in front or those at the end.
const TWO: usize = 2 * WORD;

/// A key and its hash, ready to be compared.
#[derive(Clone, Copy)]
pub(super) struct Probe<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u32,
}

impl<'a> Probe<'a> {
    #[inline]
    pub(super) fn new(key: &'a [u8], hash: u32) -> Self {
        Self { key, hash }
    }

    /// Whether these words keep the key, given that they keep one of its length. No words keep one that is too long.
    #[inline]
    pub(super) fn is_in(&self, kept: &[AtomicU64; KEY_WORDS]) -> bool {
        // ORDERING: Relaxed; the caller proves afterwards that what it read belongs together (`Slot::life`).
        let is = |at: usize, word: u64| kept[at].load(Ordering::Relaxed) == word;
        let (key, len) = (self.key, self.key.len());
        if len > TWO {
            return is(0, word_at(key, 0))
                && is(1, word_at(key, WORD))
                && is(2, word_at(key, len - TWO))
                && is(3, word_at(key, len - WORD))
                && (len <= 2 * TWO || len <= INLINE && is(4, word_at(key, TWO)));
        }
        if len >= WORD {
            return is(0, word_at(key, 0)) && is(1, word_at(key, len - WORD));
        }
        is(0, only_word(key))
    }

    /// The words that a slot keeps this key in.
    pub(super) fn words(&self) -> [u64; KEY_WORDS] {
        let at = |at| word_at(self.key, at);
        match self.key.len() {
            0..WORD => [only_word(self.key), 0, 0, 0, 0],
            len @ WORD..=TWO => [at(0), at(len - WORD), 0, 0, 0],
            len => {
                let third = if len > 2 * TWO { at(TWO) } else { 0 };
                [at(0), at(WORD), at(len - TWO), at(len - WORD), third]
            }
        }
    }
}

/// The key of this length that these words keep.
pub(super) fn kept_key(words: [u64; KEY_WORDS], len: usize) -> Vec<u8> {
    let [first, second, before_last, last, third] = words.map(u64::to_le_bytes);
    let (front, end) = match len {
        0..WORD => (first.to_vec(), vec![]),
        WORD..=TWO => (first.to_vec(), second.to_vec()),
        _ => ([first, second, third].concat(), [before_last, last].concat()),
    };
    // The end may begin before the front is over.
    [&front[..front.len().min(len - end.len())], &end].concat()
}

#[inline]
fn word_at(key: &[u8], at: usize) -> u64 {
    key[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// Up to 7 bytes, with zeros behind. Read without a copy, of which the processor would have to wait for the end.
#[inline]
fn only_word(key: &[u8]) -> u64 {
    key.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn kept(key: &[u8]) -> [AtomicU64; KEY_WORDS] {
        Probe::new(key, 0).words().map(AtomicU64::new)
    }

    #[test]
    fn a_key_of_any_length_comes_back_and_a_change_of_any_byte_shows() {
        for len in 0..=INLINE {
            let key: Vec<u8> = (1..).take(len).collect();
            let kept = kept(&key);
            assert_eq!(kept_key(Probe::new(&key, 0).words(), len), key);
            assert!(Probe::new(&key, 0).is_in(&kept), "{len}");
            for at in 0..len {
                let mut other = key.clone();
                other[at] ^= 0x80;
                assert!(!Probe::new(&other, 0).is_in(&kept), "{at} of {len}");
            }
        }
    }

    #[test]
    fn only_keys_up_to_32_bytes_leave_room_for_a_shift() {
        assert!((0..=32).all(|len| Probe::new(&vec![b'x'; len], 0).words()[KEY_WORDS - 1] == 0));
        assert_ne!(Probe::new(&[b'x'; 33], 0).words()[KEY_WORDS - 1], 0);
    }

    #[test]
    fn what_is_too_long_for_a_slot_is_in_none() {
        let long = [b'x'; INLINE + 1];
        assert!(!Probe::new(&long, 0).is_in(&kept(&long[..INLINE])));
    }
}
