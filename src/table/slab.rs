//! Slots that never move: an account's word, its policy's number, and its key, all in atomic words.
//!
//! RUNS PER DECISION: [`Slot::charge`]: load the word, compare the key, decide, compare-and-swap the word.
//!
//! **A life.** A slot serves one account after another. Its word says which life it is in: within a slot the
//! stored word only ever rises, from charge to charge and from life to life, so a value never comes back and
//! a compare-and-swap succeeds only in the life that its expected value was read in. Between two lives the
//! word is DEAD (its top bit), and only then, under the stripe's lock, do key, class and shift change.
//!
//! **One rule for lowering.** Time may have to step back for an account (reset, reconfigure, clamp), and an account
//! in debt may have to go. Either way a new life begins, whose word is stored with a *shift* added that
//! lifts it above everything the slot held before. Nearly all slots have none; where one is needed, it takes
//! the place of the last eight bytes of the key.
//!
//! **Why a reader needs no lock.** It loads the word (Acquire), then key, class and shift (Relaxed):
//! 1. A word is published (Release) after what belongs to it, so who sees it sees at least that.
//! 2. What it saw may belong to a *later* life. But then the word had been DEAD before, and never becomes the
//!    loaded value again: the swap fails. A swap that succeeds (Release) comes before the one that makes the word
//!    DEAD (Acquire), and so before every write to the key that follows it.
//! 3. A denial swaps nothing: it loads the word again, after a fence that pairs with the one between DEAD and
//!    the writes to the key.

use std::sync::OnceLock;

use crate::classes::{ClassId, Classes};
use crate::clock::Timeline;
use crate::limit::Verdict;
use crate::sync::{AtomicU64, AtomicUsize, FIRST_CHUNK, LAST_CHUNK, Mutex, Ordering, fence};
use crate::ticks::{RANGE, Ticks};

/// Set in a word while its slot is between two lives; the rest is the last word of the life before.
const DEAD: u64 = RANGE;
/// A shift beyond this is not given out: the slot is not used again.
const MOST_SHIFT: Ticks = RANGE / 4;

const KEY_WORDS: usize = 5;
/// Keys up to this length are kept in the slot, a little less beside a shift.
pub(super) const INLINE: usize = 8 * KEY_WORDS;
const INLINE_SHIFTED: usize = INLINE - 8;

/// meta = hash (32 bits) | class (24) | kind (8). The kind is the key's length, plus this beside a shift.
const CLASS_AT: u32 = 32;
const KIND_AT: u32 = 56;
const CLASS_MASK: u64 = 0xff_ffff << CLASS_AT;
const SHIFTED: u64 = 0x40;
/// The key is not in the slot: the stripe keeps it, and its account is found under the stripe's lock alone.
const LONG: u64 = 0xff;

/// A key and its hash, ready to be compared.
pub(super) struct Probe<'a> {
    pub(super) key: &'a [u8],
    pub(super) hash: u32,
    /// What `meta` holds beside the class if the key is in the slot without a shift; `None` if it never is.
    plain: Option<u64>,
    words: [u64; KEY_WORDS],
}

impl<'a> Probe<'a> {
    #[inline]
    pub(super) fn new(key: &'a [u8], hash: u32) -> Self {
        let mut bytes = [0; INLINE];
        if key.len() <= INLINE {
            bytes[..key.len()].copy_from_slice(key);
        }
        let mut words = [0; KEY_WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        }
        let plain = (key.len() <= INLINE).then(|| u64::from(hash) | (key.len() as u64) << KIND_AT);
        Self { key, hash, plain, words }
    }
}

/// Whose account a caller expects to find in a slot.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// The one of this key.
    Key(&'a Probe<'a>),
    /// Whoever is there: the caller holds a pin, or the stripe's lock.
    Anybody,
}

/// A word with what belongs to it, as far as the reader knows.
#[derive(Clone, Copy)]
struct Life {
    stored: u64,
    shift: Ticks,
    class: ClassId,
}

/// Why a slot gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Between two lives.
    Dead,
    /// Somebody else's account.
    Other,
}

/// What a charge did: the verdict, the account's word after it, the reading decided by, and the class.
pub(super) type Charged = (Verdict, Ticks, Ticks, ClassId);

pub(super) struct Slot {
    word: AtomicU64,
    meta: AtomicU64,
    key: [AtomicU64; KEY_WORDS],
}

impl Slot {
    fn unborn() -> Self {
        Self { word: AtomicU64::new(DEAD), meta: AtomicU64::new(0), key: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Loads the word and what belongs to it. Only a swap of the word, or loading it again, proves that it does.
    #[inline]
    fn life(&self, whose: Whose<'_>) -> Result<Life, Lost> {
        // ORDERING: Acquire pairs with the Release store in `be_born`: key, class and shift of this life, or of a
        // later one, are seen below. Those loads are Relaxed; see the head of the file, 2 and 3.
        let stored = self.word.load(Ordering::Acquire);
        if stored & DEAD != 0 {
            return Err(Lost::Dead);
        }
        let meta = self.meta.load(Ordering::Relaxed);
        let word = |at: usize| self.key[at].load(Ordering::Relaxed);
        let kind = meta >> KIND_AT;
        #[allow(clippy::cast_possible_truncation)]
        let class = ClassId::from_bits((meta >> CLASS_AT) as u32 & 0xff_ffff);
        let Whose::Key(probe) = whose else {
            let shift = if kind & SHIFTED != 0 { word(KEY_WORDS - 1) } else { 0 };
            return Ok(Life { stored, shift, class });
        };
        let plain = probe.plain.ok_or(Lost::Other)?;
        let same = |words: usize| (0..words).all(|at| word(at) == probe.words[at]);
        if meta & !CLASS_MASK == plain && same(KEY_WORDS) {
            return Ok(Life { stored, shift: 0, class });
        }
        if meta & !CLASS_MASK == plain | SHIFTED << KIND_AT && same(KEY_WORDS - 1) {
            return Ok(Life { stored, shift: word(KEY_WORDS - 1), class });
        }
        Err(Lost::Other)
    }

    /// Whether the word is still the one that this life was read with: proves a reading that swaps nothing.
    #[inline]
    fn still(&self, life: &Life) -> bool {
        // ORDERING: the Acquire fence pairs with the Release fence in `between_lives`: if any of what was read was
        // written by a later life, this load sees that life's DEAD, or something after it.
        fence(Ordering::Acquire);
        self.word.load(Ordering::Relaxed) == life.stored
    }

    /// Takes `n` tokens if the account's rule allows it: by the coarse clock, or `at`, and only if that would deny, by
    /// the precise one.
    #[inline]
    pub(super) fn charge(
        &self,
        whose: Whose<'_>,
        classes: &Classes,
        time: &Timeline,
        at: Option<Ticks>,
        n: u64,
    ) -> Result<Charged, Lost> {
        let mut life = self.life(whose)?;
        let mut now = at.unwrap_or_else(|| time.coarse());
        let mut precise = false;
        loop {
            let tat = life.stored - life.shift;
            let verdict = classes.get(life.class).rule().decide(tat, now, n);
            match verdict {
                Verdict::Allow(new) if new != tat => {
                    let stored = new + life.shift;
                    if stored >= DEAD {
                        // Eighteen years are over: nothing passes until time starts again from 0.
                        return Ok((Verdict::Deny(RANGE - now), tat, now, life.class));
                    }
                    // ORDERING: AcqRel: Release so that the reads above come before whatever follows a later DEAD;
                    // Acquire on both ways, as for the load in `life`.
                    let swap = self.word.compare_exchange(life.stored, stored, Ordering::AcqRel, Ordering::Acquire);
                    if swap.is_ok() {
                        return Ok((verdict, new, now, life.class));
                    }
                }
                Verdict::Deny(_) if !precise => {
                    (now, precise) = (time.now(), true);
                    continue;
                }
                _ if self.still(&life) => return Ok((verdict, tat, now, life.class)),
                _ => {}
            }
            life = self.life(whose)?;
        }
    }

    /// The account's word and class.
    #[inline]
    pub(super) fn look(&self, whose: Whose<'_>) -> Result<(Ticks, ClassId), Lost> {
        loop {
            let life = self.life(whose)?;
            if self.still(&life) {
                return Ok((life.stored - life.shift, life.class));
            }
        }
    }

    // All that follows needs the lock of the stripe that the slot belongs to.

    /// The hash that the account was put in under.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn hash(&self) -> u32 {
        // ORDERING: Relaxed; written under the lock that the caller holds.
        self.meta.load(Ordering::Relaxed) as u32
    }

    /// The key, unless the stripe keeps it.
    pub(super) fn key(&self) -> Option<Vec<u8>> {
        // ORDERING: Relaxed; written under the lock that the caller holds.
        let kind = self.meta.load(Ordering::Relaxed) >> KIND_AT;
        let word = |word: &AtomicU64| word.load(Ordering::Relaxed).to_ne_bytes();
        if kind == LONG {
            return None;
        }
        let len = usize::try_from(kind & !SHIFTED).expect("a short length");
        let mut bytes: Vec<u8> = self.key.iter().flat_map(word).collect();
        bytes.truncate(len);
        Some(bytes)
    }

    /// Ends a life: no charge succeeds any more. Returns the account's word and class; `None` if somebody charged
    /// after the word was `seen`.
    pub(super) fn die(&self, seen: Option<Ticks>) -> Option<(Ticks, ClassId)> {
        loop {
            let life = self.life(Whose::Anybody).ok()?;
            let tat = life.stored - life.shift;
            if seen.is_some_and(|seen| seen != tat) {
                return None;
            }
            // ORDERING: AcqRel: Acquire so that what follows comes after the reads of every charge that succeeded.
            let swap = self.word.compare_exchange(life.stored, life.stored | DEAD, Ordering::AcqRel, Ordering::Relaxed);
            if swap.is_ok() {
                return Some((tat, life.class));
            }
        }
    }

    /// Begins a life in a dead slot. Returns whether the stripe must keep the key; `Err` if the slot would have to be
    /// lifted too far, and must not be used again.
    pub(super) fn be_born(&self, probe: &Probe<'_>, class: ClassId, tat: Ticks, first: bool) -> Result<bool, ()> {
        // ORDERING: Relaxed; a dead word is written under the lock that the caller holds.
        let last = self.word.load(Ordering::Relaxed) & !DEAD;
        let shift = if first || tat > last { 0 } else { last + 1 - tat };
        if shift > MOST_SHIFT {
            return Err(());
        }
        let len = probe.key.len();
        let kind = match shift {
            0 if len <= INLINE => len as u64,
            _ if shift > 0 && len <= INLINE_SHIFTED => len as u64 | SHIFTED,
            _ => LONG,
        };
        // ORDERING: the Release fence pairs with the Acquire fence in `still`. The stores are Relaxed, for the Release
        // store of the word publishes them to the Acquire load in `life`.
        fence(Ordering::Release);
        let meta = u64::from(probe.hash) | u64::from(class.bits()) << CLASS_AT | kind << KIND_AT;
        self.meta.store(meta, Ordering::Relaxed);
        for (at, word) in self.key.iter().enumerate() {
            let is_shift = kind & SHIFTED != 0 && at == KEY_WORDS - 1;
            word.store(if is_shift { shift } else { probe.words[at] }, Ordering::Relaxed);
        }
        // A word in the last moments before time wraps must not look dead.
        self.word.store((tat + shift).min(DEAD - 1), Ordering::Release);
        Ok(kind == LONG)
    }
}

/// All slots of a table, in chunks that are made when they are needed and never freed.
pub(super) struct Slab {
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
    used: AtomicUsize,
    free: Mutex<Vec<u32>>,
    capacity: usize,
}

/// Chunks double in size up to this one, and are equal from there on.
const DOUBLING: usize = (LAST_CHUNK / FIRST_CHUNK).ilog2() as usize + 1;
/// Slots in all chunks that double.
const DOUBLED: usize = 2 * LAST_CHUNK - FIRST_CHUNK;

impl Slab {
    pub(super) fn new(capacity: usize) -> Self {
        let chunks = DOUBLING + capacity.saturating_sub(DOUBLED).div_ceil(LAST_CHUNK);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            used: AtomicUsize::new(0),
            free: Mutex::new(Vec::new()),
            capacity,
        }
    }

    #[inline]
    pub(super) fn slot(&self, number: u32) -> &Slot {
        let (chunk, offset, _) = place(number as usize);
        &self.chunks[chunk].get().expect("a number is given out after its chunk is made")[offset]
    }

    /// A dead slot, and whether it was never used; `None` if there are as many as fit the index.
    pub(super) fn take(&self) -> Option<(u32, bool)> {
        if let Some(number) = self.free.lock().pop() {
            return Some((number, false));
        }
        let next = |used| (used < self.capacity).then_some(used + 1);
        let number = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()?;
        let (chunk, _, size) = place(number);
        self.chunks[chunk].get_or_init(|| (0..size).map(|_| Slot::unborn()).collect());
        Some((u32::try_from(number).expect("the capacity fits 32 bits"), true))
    }

    /// Takes a dead slot back. One that was never used is as good as one that was.
    pub(super) fn give_back_place(&self, (number, _): (u32, bool)) {
        self.free.lock().push(number);
    }
}

/// Chunk, offset and the chunk's size.
#[inline]
const fn place(number: usize) -> (usize, usize, usize) {
    if number < DOUBLED {
        let shifted = number + FIRST_CHUNK;
        let chunk = (shifted.ilog2() - FIRST_CHUNK.ilog2()) as usize;
        (chunk, shifted - (FIRST_CHUNK << chunk), FIRST_CHUNK << chunk)
    } else {
        let rest = number - DOUBLED;
        (DOUBLING + rest / LAST_CHUNK, rest % LAST_CHUNK, LAST_CHUNK)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut last = (0, usize::MAX, 0);
        for number in 0..5 * LAST_CHUNK {
            let (chunk, offset, size) = place(number);
            let follows = (chunk == last.0 && offset == last.1.wrapping_add(1)) || (chunk == last.0 + 1 && offset == 0);
            assert!(follows && offset < size, "{number}");
            last = (chunk, offset, size);
        }
    }

    fn class() -> ClassId {
        ClassId::from_bits(7)
    }

    #[test]
    fn a_slot_tells_keys_apart_and_words_only_rise() {
        let slot = Slot::unborn();
        let long = [b'x'; 33];
        let keys: [&[u8]; 5] = [b"", b"a", b"a\0", &[b'x'; 32], &long];
        let mut stored = 0;
        for (life, key) in keys.iter().enumerate() {
            let probe = Probe::new(key, 5);
            // Always born at the same time: from the second life on, a shift is needed.
            let kept_by_stripe = slot.be_born(&probe, class(), 1000, life == 0).unwrap();
            assert_eq!(kept_by_stripe, life == 4, "33 bytes do not fit beside a shift");
            let raw = slot.word.load(Ordering::SeqCst);
            assert!(raw > stored, "{life}");
            stored = raw;
            assert_eq!(slot.look(Whose::Anybody), Ok((1000, class())));
            for (other, key) in keys.iter().enumerate() {
                let found = slot.look(Whose::Key(&Probe::new(key, 5))).is_ok();
                assert_eq!(found, other == life && life != 4, "{other} in life {life}");
            }
            assert_eq!(slot.look(Whose::Key(&Probe::new(keys[life], 6))), Err(Lost::Other));
            assert_eq!(slot.key().as_deref(), (life != 4).then_some(keys[life]));
            assert_eq!(slot.die(Some(999)), None);
            assert_eq!(slot.die(Some(1000)), Some((1000, class())));
            assert_eq!(slot.look(Whose::Anybody), Err(Lost::Dead));
        }
    }

    #[test]
    fn a_slot_that_was_lifted_too_far_is_not_used_again() {
        let slot = Slot::unborn();
        let probe = Probe::new(b"a", 5);
        slot.be_born(&probe, class(), MOST_SHIFT + 10, true).unwrap();
        slot.die(None).unwrap();
        assert_eq!(slot.be_born(&probe, class(), 0, false), Err(()));
        assert_eq!(slot.be_born(&probe, class(), 20, false), Ok(false));
    }
}
