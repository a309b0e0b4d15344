//! The state of one bucket of its own: an atomic word. And what an account remembers of its denials.
//!
//! RUNS PER DECISION: [`Word::charge_now`], one coarse reading of the clock, one load and,
//! when the answer is yes, one compare-and-swap. A "no" reads the clock precisely first, and writes nothing.

mod balance;
mod charge;
mod cold;
mod dormant;
mod earliest;
mod history;
mod inspect;
mod leases;
mod line;
mod migrate;
mod part;
mod period;

use crate::clock::Timeline;
use crate::limit::{TokenBucket, Verdict};
use crate::sync::{AtomicU32, AtomicU64, Ordering, pause};
use crate::ticks::{PER_NANO, Ticks};

pub(crate) use cold::{Cold, Purpose, Ruling, Wait};
pub(crate) use inspect::Inspected;
pub(crate) use leases::{LeaseId, NO_END, Terms};
pub(crate) use line::{After, Asked, Line, Refused, Seen};
pub(crate) use migrate::remembers;

/// The theoretical arrival time of one token bucket, shared by all threads.
///
/// Charges only ever raise it; [`Word::lower`] is for what must lower it. Accounts in a table have slots instead,
/// which serve one account after another.
#[derive(Debug)]
pub(crate) struct Word(AtomicU64);

impl Word {
    pub(crate) fn new(tat: Ticks) -> Self {
        Self(AtomicU64::new(tat))
    }

    #[inline]
    pub(crate) fn load(&self) -> Ticks {
        // ORDERING: Acquire pairs with the Release half of the swap in `charge`: who sees a word also
        // sees what its writer did before, so a caller told "full" may rely on the charges it counts.
        self.0.load(Ordering::Acquire)
    }

    /// Puts a charged word in place of the one that was loaded, for a caller that knows that no other thread charges it
    /// meanwhile.
    #[cfg(feature = "python")]
    #[inline]
    pub(crate) fn store_alone(&self, tat: Ticks) {
        // ORDERING: Release pairs with the Acquire in `load`, as the swap in `charge` does.
        self.0.store(tat, Ordering::Release);
    }

    /// Takes `n` tokens at the reading `now` if the rule allows it. Returns the verdict and the word
    /// that it left or found.
    ///
    /// Lock-free: a thread that stops between reading the clock and the swap holds up nobody.
    #[inline]
    pub(crate) fn charge(&self, rule: &TokenBucket, now: Ticks, n: u64) -> (Verdict, Ticks) {
        let mut tat = self.load();
        loop {
            let verdict = rule.decide(tat, now, n);
            let Verdict::Allow(new) = verdict else { return (verdict, tat) };
            if new == tat {
                return (verdict, tat);
            }
            // ORDERING: AcqRel pairs with itself and with `load`: the swaps on one word are a single
            // chain, each admission built on the one before.
            match self.0.compare_exchange_weak(tat, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return (verdict, new),
                Err(_) => pause(),
            }
            tat = self.load();
        }
    }

    /// The same by the clock itself: first by its coarse reading, and only if that would deny, by the
    /// precise one. Returns the reading that was decided by, too.
    ///
    /// The coarse reading is never ahead, so a yes by it is a yes by a slightly older clock: stricter in
    /// that reading. `at` is a reading taken before, for a whole batch, in place of the coarse one.
    #[inline]
    pub(crate) fn charge_now(
        &self,
        rule: &TokenBucket,
        time: &Timeline,
        at: Option<Ticks>,
        n: u64,
    ) -> (Verdict, Ticks, Ticks) {
        let now = at.unwrap_or_else(|| time.coarse());
        let (verdict, tat) = self.charge(rule, now, n);
        if !matches!(verdict, Verdict::Deny(_)) {
            return (verdict, tat, now);
        }
        let now = time.now();
        let (verdict, tat) = self.charge(rule, now, n);
        (verdict, tat, now)
    }

    /// Replaces `seen` by a lower word; false if somebody charged in between.
    pub(crate) fn lower(&self, seen: Ticks, to: Ticks) -> bool {
        self.0.compare_exchange(seen, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Remembers when an account's denials were last told, so that a log has a line an interval and not
/// a line a message. Milliseconds and one, modulo 2^32 (49 days); 0 means never.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[derive(Debug, Default)]
pub(crate) struct Notice {
    told_at: AtomicU32,
    untold: AtomicU32,
}

impl Notice {
    /// Another account begins.
    pub(crate) fn forget(&self) {
        // ORDERING: Relaxed, as in `denied`. Written only where something is, to leave untouched memory untouched.
        if self.told_at.load(Ordering::Relaxed) != 0 {
            self.told_at.store(0, Ordering::Relaxed);
            self.untold.store(0, Ordering::Relaxed);
        }
    }

    /// A denial happened at `now`. `Some(n)` if it is this caller's to tell, with the number of those
    /// before it that nobody told; at most one caller an interval gets it.
    pub(crate) fn denied(&self, now: Ticks, every_ms: u32) -> Option<u32> {
        #[allow(clippy::cast_possible_truncation)] // modulo 2^32 on purpose
        let now_ms = ((now / PER_NANO / 1_000_000) as u32).wrapping_add(1).max(1);
        // ORDERING: Relaxed throughout; the counters carry no other data, and the swap alone decides
        // who tells.
        let told = self.told_at.load(Ordering::Relaxed);
        let due = told == 0 || now_ms.wrapping_sub(told) >= every_ms;
        let mine = due && self.told_at.compare_exchange(told, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(loom)]
impl crate::sync::Zeroed for Notice {
    fn zero() -> Self {
        Self::default()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::limit::Rate;

    const SECOND: Ticks = 1_000_000_000 * PER_NANO;

    fn ten_a_second() -> TokenBucket {
        Rate::new(10, 1_000_000_000).rule().unwrap()
    }

    #[test]
    fn a_word_gives_out_its_burst_and_no_more() {
        let (word, rule) = (Word::new(0), ten_a_second());
        let allowed = (0..20).filter(|_| matches!(word.charge(&rule, SECOND, 1).0, Verdict::Allow(_))).count();
        assert_eq!(allowed, 10);
        assert_eq!(word.load(), 2 * SECOND);
    }

    #[test]
    fn a_denial_and_a_cost_of_zero_write_nothing() {
        let (word, rule) = (Word::new(0), ten_a_second());
        word.charge(&rule, SECOND, 10);
        let before = word.load();
        assert_eq!(word.charge(&rule, SECOND, 1), (Verdict::Deny(SECOND / 10), before));
        assert_eq!(word.charge(&rule, SECOND, 11), (Verdict::Never, before));
        assert_eq!(word.charge(&rule, SECOND, 0), (Verdict::Allow(before), before));
        assert_eq!(word.load(), before);
    }

    #[test]
    fn lowering_fails_if_somebody_charged() {
        let (word, rule) = (Word::new(0), ten_a_second());
        let seen = word.load();
        word.charge(&rule, SECOND, 1);
        assert!(!word.lower(seen, 0));
        assert!(word.lower(word.load(), 0));
    }

    #[test]
    fn denials_are_told_once_an_interval_with_the_number_untold() {
        let notice = Notice::default();
        assert_eq!(notice.denied(0, 60_000), Some(0));
        assert_eq!(notice.denied(SECOND, 60_000), None);
        assert_eq!(notice.denied(59 * SECOND, 60_000), None);
        assert_eq!(notice.denied(60 * SECOND, 60_000), Some(2));
        assert_eq!(notice.denied(62 * SECOND, 0), Some(0), "an interval of 0 tells every denial");
        notice.denied(63 * SECOND, 60_000);
        notice.forget();
        assert_eq!(notice.denied(64 * SECOND, 60_000), Some(0), "another account's first denial is told");
    }

    #[test]
    fn a_clock_moved_back_tells_rather_than_goes_silent() {
        let notice = Notice::default();
        notice.denied(100 * SECOND, 60_000);
        assert_eq!(notice.denied(50 * SECOND, 60_000), Some(0));
    }
}
