//! Slots that never move: an account's word, its policy's number, and its key, all in atomic words.
//!
//! RUNS PER DECISION: [`Slot::take`]: load the word, compare the key, decide, compare-and-swap the word.
//!
//! **A life.** A slot serves one account after another. Its word says which life it is in: within a slot the
//! stored word only ever rises, from charge to charge and from life to life, so a value never comes back and
//! a compare-and-swap succeeds only in the life that its expected value was read in. Between two lives the
//! word is dead (without its top bit, ALIVE), and only then, under the stripe's lock, do key, class and shift change.
//!
//! **One rule for lowering.** Time may have to step back for an account (reset, reconfigure, clamp), and an account
//! in debt may have to go. Either way a new life begins, whose word is stored with a *shift* added that
//! lifts it above everything the slot held before. Nearly all slots have none; where one is needed, it takes
//! the place of the last eight bytes of the key.
//!
//! **Why a reader needs no lock.** It loads the word (Acquire), then key, class and shift (Relaxed):
//! 1. A word is published (Release) after what belongs to it, so who sees it sees at least that; and after the class was
//!    put in place, so the class's numbers, too.
//! 2. What it saw may belong to a *later* life. But then the word had been dead before, and never becomes the
//!    loaded value again: the swap fails. A swap that succeeds (Release) comes before the one that makes the word
//!    dead (Acquire), and so before every write to the key that follows it.
//! 3. A denial swaps nothing: it loads the word again, after a fence that pairs with the one between the death and
//!    the writes to the key.
//!
//! Who is alone needs none of this, and stores what others would swap. That is a promise of the caller's: an interpreter
//! that lets one thread in at a time keeps it.

use super::memory::prefetch;
use super::probe::{Probe, kept_key};
use crate::classes::{ClassId, Classes};
use crate::limit::Verdict;
use crate::sync::{AtomicU64, Ordering, fence, pause};
use crate::ticks::{RANGE, SKEW, Ticks};

/// Set in a word that belongs to an account. Without it the slot is new or between two lives, and the rest is the last
/// word of the life before.
const ALIVE: u64 = RANGE;
/// A shift beyond this is not given out: the slot is not used again.
const MOST_SHIFT: Ticks = RANGE / 4;

pub(super) const KEY_WORDS: usize = 5;
/// Keys up to this length are kept in the slot, a little less beside a shift.
pub(super) const INLINE: usize = 8 * KEY_WORDS;
const INLINE_SHIFTED: usize = INLINE - 8;

/// meta = hash (32 bits) | class (24) | kind (8). The kind is the key's length, plus this beside a shift. Its top bit
/// is kept for accounts that somebody waits for: with it set, a search without the lock passes the account over, so
/// that a charge goes to the lock, where the waiters are. All others pay nothing for that.
pub(super) const CLASS_AT: u32 = 32;
pub(super) const KIND_AT: u32 = 56;
const SHIFTED: u64 = 0x40;
/// The key is not in the slot (its shift is, even where it is 0): the stripe keeps it, and its account is found under
/// the stripe's lock alone.
const LONG: u64 = SHIFTED | 0x3f;

/// Whose account a caller expects to find in a slot.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// The one of this key.
    Key(Probe<'a>),
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

impl Life {
    /// The account's word; anything at all where a part was read of one life and the other of the next, which no swap and no
    /// second look will confirm.
    #[inline]
    fn tat(&self) -> Ticks {
        self.stored.saturating_sub(self.shift)
    }

    /// The account's word after a yes.
    #[allow(clippy::inline_always)] // as `Slot::take`
    #[inline(always)]
    fn admitted(&self, classes: &Classes, now: Ticks, n: u64) -> Option<Ticks> {
        // Stored words are compared, shift and all: all sums without the reading come first, it comes last.
        let new = classes.usual(self.class).take(self.stored, now + self.shift, n)?;
        (new < RANGE).then(|| new - self.shift)
    }

    #[inline]
    fn charged(&self, new: Ticks, now: Ticks) -> Charged {
        (Verdict::Allow(new), new, now, self.class)
    }
}

/// Why a slot gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Between two lives.
    Dead,
    /// Another key's account.
    Other,
    /// The key's account, most likely, which is decided about under its stripe's lock.
    Elsewhere,
}

/// What a charge did: the verdict, the account's word after it, the reading decided by, and the class.
pub(super) type Charged = (Verdict, Ticks, Ticks, ClassId);

/// New, all zeros, it is dead.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
pub(super) struct Slot {
    word: AtomicU64,
    meta: AtomicU64,
    key: [AtomicU64; KEY_WORDS],
}

impl Slot {
    /// Loads the word and what belongs to it. Only a swap of the word, or loading it again, proves that it does.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn life(&self, whose: Whose<'_>) -> Result<Life, Lost> {
        // ORDERING: Acquire pairs with the Release store in `be_born`: key, class and shift of this life, or of a
        // later one, are seen below. Those loads are Relaxed; see the head of the file, 2 and 3.
        let stored = self.word.load(Ordering::Acquire);
        if stored & ALIVE == 0 {
            return Err(Lost::Dead);
        }
        let stored = stored & !ALIVE;
        let meta = self.meta.load(Ordering::Relaxed);
        if let Whose::Key(probe) = whose {
            // The same hash, the same length, a shift or none; then the same bytes.
            let len = meta >> KIND_AT & !SHIFTED;
            if meta as u32 != probe.hash || len != probe.key.len() as u64 || !probe.is_in(&self.key) {
                return Err(Lost::Other);
            }
        }
        // ORDERING: Relaxed, as the other loads here.
        let shift = if meta >> KIND_AT & SHIFTED != 0 { self.key[KEY_WORDS - 1].load(Ordering::Relaxed) } else { 0 };
        let class = ClassId::from_bits((meta >> CLASS_AT) as u32 & 0xff_ffff);
        Ok(Life { stored, shift, class })
    }

    /// Whether the word is still the one that this life was read with: proves a reading that swaps nothing.
    #[inline]
    fn still(&self, life: &Life) -> bool {
        // ORDERING: the Acquire fence pairs with the Release fence in `between_lives`: if any of what was read was
        // written by a later life, this load sees the death before that, or something after it.
        fence(Ordering::Acquire);
        self.word.load(Ordering::Relaxed) == life.stored | ALIVE
    }

    /// Takes `n` tokens if the account's rule says yes by the reading `now`, which may be a coarse one. `None` is no
    /// answer: [`Slot::charge`] finds out which it is.
    #[allow(clippy::inline_always)] // it has several callers, and each is a hot path
    #[inline(always)]
    pub(super) fn take(&self, whose: Whose<'_>, classes: &Classes, now: Ticks, n: u64) -> Option<Charged> {
        let life = self.life(whose).ok()?;
        let new = life.admitted(classes, now, n)?;
        if self.swap(&life, new) {
            return Some(life.charged(new, now));
        }
        self.take_again(whose, classes, now, n)
    }

    /// The same for a caller that knows that no other thread does anything to the table meanwhile: a swap would cost a third
    /// of the decision, and keep the processor from beginning the next. `now` is read when the account is found.
    #[allow(clippy::inline_always)] // as `take`
    #[inline(always)]
    pub(super) fn take_alone(
        &self,
        whose: Whose<'_>,
        classes: &Classes,
        now: impl FnOnce() -> Ticks,
        n: u64,
    ) -> Option<Charged> {
        let life = self.life(whose).ok()?;
        let now = now();
        let new = life.admitted(classes, now, n)?;
        // ORDERING: Release, for other threads later, as in `swap`.
        self.word.store((new + life.shift) | ALIVE, Ordering::Release);
        Some(life.charged(new, now))
    }

    /// Another charge came first.
    #[allow(clippy::inline_always)] // whatever is handed on by its address would be stored by those who come first, too
    #[inline(always)]
    fn take_again(&self, whose: Whose<'_>, classes: &Classes, now: Ticks, n: u64) -> Option<Charged> {
        match whose {
            Whose::Key(probe) => self.take_again_as(probe.key, probe.hash, classes, now, n),
            Whose::Anybody => self.take_until(whose, classes, now, n),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_again_as(&self, key: &[u8], hash: u32, classes: &Classes, now: Ticks, n: u64) -> Option<Charged> {
        self.take_until(Whose::Key(Probe::new(key, hash)), classes, now, n)
    }

    #[cold]
    #[inline(never)]
    fn take_until(&self, whose: Whose<'_>, classes: &Classes, now: Ticks, n: u64) -> Option<Charged> {
        loop {
            pause();
            let life = self.life(whose).ok()?;
            let new = life.admitted(classes, now, n)?;
            if self.swap(&life, new) {
                return Some(life.charged(new, now));
            }
        }
    }

    #[inline]
    fn swap(&self, life: &Life, new: Ticks) -> bool {
        // ORDERING: AcqRel: Release so that the reads before it come before whatever follows a later death, Acquire to
        // continue the chain of admissions. Relaxed where it fails: whoever goes on loads the word anew.
        let (seen, next) = (life.stored | ALIVE, (new + life.shift) | ALIVE);
        self.word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The plain no by a coarse reading (0: none is at hand): one that holds for longer than two readings may lie apart needs
    /// no better one. A word from before a step of the clock is not judged by it.
    #[allow(clippy::inline_always)] // nearly all that a denial does, and its answer is large
    #[inline(always)]
    pub(super) fn deny(&self, whose: Whose<'_>, classes: &Classes, coarse: Ticks, n: u64) -> Result<Charged, Lost> {
        let life = self.life(whose)?;
        let (tat, rule) = (life.tat(), classes.rule(life.class));
        let verdict = rule.decide(tat, coarse, n);
        let is_plain =
            coarse > 0 && matches!(verdict, Verdict::Deny(wait) if wait > SKEW) && !rule.is_ahead(tat, coarse);
        if is_plain && self.still(&life) {
            return Ok((verdict, tat, coarse, life.class));
        }
        // Not this account, not now, or not here.
        Err(if rule.is_elsewhere() { Lost::Elsewhere } else { Lost::Dead })
    }

    /// Takes `n` tokens if the account's rule allows it by a precise reading, which is taken when the account is found.
    /// [`Lost::Elsewhere`] reads no clock.
    #[inline]
    pub(super) fn charge(
        &self,
        whose: Whose<'_>,
        classes: &Classes,
        precise: impl FnOnce() -> Ticks,
        n: u64,
    ) -> Result<Charged, Lost> {
        let (mut life, mut precise, mut now) = (self.life(whose)?, Some(precise), 0);
        loop {
            let (tat, rule) = (life.tat(), classes.rule(life.class));
            if rule.is_elsewhere() {
                return Err(Lost::Elsewhere);
            }
            now = precise.take().map_or(now, |precise| precise());
            let verdict = rule.decide(tat, now, n);
            match verdict {
                // Eighteen years are over: nothing passes until time starts again from 0.
                Verdict::Allow(new) if new + life.shift >= RANGE => {
                    return Ok((Verdict::Deny(RANGE - now), tat, now, life.class));
                }
                Verdict::Allow(new) if new != tat && self.swap(&life, new) => {
                    return Ok((verdict, new, now, life.class));
                }
                Verdict::Allow(new) if new != tat => pause(),
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
                return Ok((life.tat(), life.class));
            }
        }
    }

    /// Asks for the memory that [`Slot::look_locked`] needs.
    pub(super) fn prefetch(&self) {
        prefetch(self);
    }

    // All that follows needs the lock of the stripe that the slot belongs to.

    /// The word and the class of a slot that is in the index: no life ends or begins without the lock.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn look_locked(&self) -> (Ticks, ClassId) {
        // ORDERING: Acquire, as in `life`; the class is written under the lock that the caller holds.
        let (stored, meta) = (self.word.load(Ordering::Acquire), self.meta.load(Ordering::Relaxed));
        debug_assert!(stored & ALIVE != 0, "who is in the index is alive");
        ((stored & !ALIVE) - self.shift(), ClassId::from_bits((meta >> CLASS_AT) as u32 & 0xff_ffff))
    }

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
        if kind == LONG {
            return None;
        }
        let words = std::array::from_fn(|at| self.key[at].load(Ordering::Relaxed));
        Some(kept_key(words, usize::try_from(kind & !SHIFTED).expect("a short length")))
    }

    /// Ends a life: no charge succeeds any more. Returns the account's word and class; `None` if somebody charged
    /// after the word was `seen`.
    pub(super) fn die(&self, seen: Option<Ticks>) -> Option<(Ticks, ClassId)> {
        loop {
            let life = self.life(Whose::Anybody).ok()?;
            let tat = life.tat();
            if seen.is_some_and(|seen| seen != tat) {
                return None;
            }
            // ORDERING: AcqRel: Acquire so that what follows comes after the reads of every charge that succeeded.
            let (seen, dead) = (life.stored | ALIVE, life.stored);
            let swap = self.word.compare_exchange(seen, dead, Ordering::AcqRel, Ordering::Relaxed);
            if swap.is_ok() {
                return Some((tat, life.class));
            }
        }
    }

    /// Takes the life up again that [`Slot::die`] broke off, with this word, which is no lower than the one it ended with.
    pub(super) fn thaw(&self, tat: Ticks) {
        // ORDERING: Release, as in `be_born`.
        self.word.store((tat + self.shift()).min(RANGE - 1) | ALIVE, Ordering::Release);
    }

    /// The first word that this life has no room for.
    pub(super) fn end_of_time(&self) -> Ticks {
        RANGE - self.shift()
    }

    /// Where many are looked at, some have one and some not, so nothing here branches on it.
    fn shift(&self) -> Ticks {
        // ORDERING: Relaxed; written under the lock that the caller holds.
        let (meta, last) = (self.meta.load(Ordering::Relaxed), self.key[KEY_WORDS - 1].load(Ordering::Relaxed));
        last & u64::from(meta >> KIND_AT & SHIFTED != 0).wrapping_neg()
    }

    /// Begins a life in a dead slot. Returns whether the stripe must keep the key; `Err` if the slot would have to be
    /// lifted too far, and must not be used again.
    pub(super) fn be_born(&self, probe: &Probe<'_>, class: ClassId, tat: Ticks, first: bool) -> Result<bool, ()> {
        // ORDERING: Relaxed; a dead word is written under the lock that the caller holds.
        let last = self.word.load(Ordering::Relaxed);
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
        let mut words = if kind == LONG { [0; KEY_WORDS] } else { probe.words() };
        if kind & SHIFTED != 0 {
            words[KEY_WORDS - 1] = shift;
        }
        for (own, word) in self.key.iter().zip(words) {
            own.store(word, Ordering::Relaxed);
        }
        // A word in the last moments before time wraps must not look dead.
        self.word.store((tat + shift).min(RANGE - 1) | ALIVE, Ordering::Release);
        Ok(kind == LONG)
    }
}

#[cfg(loom)]
impl crate::sync::Zeroed for Slot {
    fn zero() -> Self {
        Self { word: AtomicU64::new(0), meta: AtomicU64::new(0), key: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "slot_tests.rs"]
mod tests;
