//! Who may go: a bounded look at some accounts of a stripe, for one that has refilled, or else for the one that owes least.
//!
//! CLOCK's hand walks over the index; half of the looks go to the segment where the newcomer belongs, which makes room where
//! room is needed. Accounts of different limits, or of limits that are more than a rate, are compared by what they owe as a
//! share of their limit: an exhausted account stays before a fresh one, however short its period is.

use super::index::RUN;
use super::stripe::Locked;
use crate::classes::Classes;
use crate::ticks::Ticks;

/// The most accounts that one sweep looks at, and the most runs of entries.
const MOST_BUDGET: usize = 16;
pub(super) const MOST_RUNS: usize = 32;

/// Accounts to look at, by numbers. Copied out first: looking may clamp, which needs the stripe whole; and their cache
/// misses overlap.
#[derive(Default)]
struct Met {
    numbers: [u32; 2 * MOST_BUDGET],
    count: usize,
}

impl Met {
    /// Half of the entries are empty, in no order, so nothing here branches on it.
    #[inline]
    fn add(&mut self, number: u32) {
        self.numbers[self.count % (2 * MOST_BUDGET)] = number;
        self.count += usize::from(number != 0);
    }
}

/// What a sweep saw.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// How many accounts were looked at.
    pub(super) looks: u32,
    /// An account that equals a fresh one, and its word.
    pub(super) refilled: Option<(u32, Ticks)>,
    /// The account that owes least, and how much: time where all accounts go by one rate, else its share of its limit.
    pub(super) least: Option<(u32, u64)>,
    /// How far the account nearest to refilled is from it.
    pub(super) nearest: Option<Ticks>,
}

impl Locked<'_> {
    /// Looks for room for a hash: at up to `budget` accounts, half of them in the segment where it belongs, and stops at
    /// the first refilled one. An account that goes from there makes room in the segment that needs it. The hash chooses
    /// where to begin, too, so that no position is worked off before the others.
    pub(super) fn sweep_for(&mut self, hash: u32, now: Ticks, classes: &Classes, budget: usize) -> Sweep {
        let is_all = self.index.is_single();
        let (mut met, from) = (Met::default(), hash as usize >> 8);
        let near = if is_all { budget } else { budget / 2 }.min(MOST_BUDGET);
        for (step, number) in self.index.around(hash, from).enumerate() {
            met.add(number);
            if step % RUN == RUN - 1 && met.count >= near {
                break;
            }
        }
        met.count = met.count.min(near);
        let near = self.judge_all(&met, now, classes);
        if is_all || near.refilled.is_some() {
            return near;
        }
        let far = self.sweep(now, classes, budget - near.looks as usize);
        let least = [near.least, far.least].into_iter().flatten().min_by_key(|&(_, owed)| owed);
        let nearest = near.nearest.into_iter().chain(far.nearest).min();
        Sweep { looks: near.looks + far.looks, refilled: far.refilled, least, nearest }
    }

    /// Looks at up to `budget` accounts from the hand on, wherever they are, and stops at the first refilled one.
    pub(super) fn sweep(&mut self, now: Ticks, classes: &Classes, budget: usize) -> Sweep {
        let mut met = Met::default();
        // Whole runs, so that no account is skipped; no more than a few where there are hardly any.
        let mut runs = 0;
        let walked = self.index.walk(self.inner.hand, |run| {
            for number in run {
                met.add(number);
            }
            runs += 1;
            met.count + RUN <= budget.min(MOST_BUDGET) && runs < MOST_RUNS
        });
        self.inner.hand = self.inner.hand.wrapping_add(walked);
        self.judge_all(&met, now, classes)
    }

    /// Judges who was met, by their words where these compare.
    fn judge_all(&mut self, met: &Met, now: Ticks, classes: &Classes) -> Sweep {
        if classes.is_one_rate() {
            let seen = self.judge::<false>(met, now, classes);
            return Sweep { nearest: seen.least.map(|(_, owed)| owed), ..seen };
        }
        self.judge::<true>(met, now, classes)
    }

    /// Accounts that are held are passed over; words from before a step of the clock are clamped. `SHARES` compares what
    /// accounts owe as shares of their limits, which takes more than comparing their words.
    fn judge<const SHARES: bool>(&mut self, met: &Met, now: Ticks, classes: &Classes) -> Sweep {
        let slots = met.numbers[..met.count].iter().map(|number| number - 1);
        for slot in slots.clone() {
            self.slab.slot(slot).prefetch();
        }
        let mut seen = Sweep::default();
        for slot in slots {
            seen.looks += 1;
            if self.is_pinned(slot) {
                continue;
            }
            let (mut tat, class) = self.slab.slot(slot).look_locked();
            let usual = classes.usual(class);
            // A word of no more than a full bucket is from no step of the clock; a policy that was followed lets nothing pass.
            if tat.saturating_sub(now) > usual.tolerance || usual.burst == 0 {
                self.follow(slot, classes);
                tat = self.clamp(slot, now, classes);
            }
            if tat <= now {
                seen.refilled = Some((slot, tat));
                break;
            }
            let owed = if SHARES { self.share(slot, tat, now, classes) } else { tat - now };
            if seen.least.is_none_or(|(_, least)| owed < least) {
                seen.least = Some((slot, owed));
            }
            if SHARES {
                seen.nearest = Some(seen.nearest.map_or(tat - now, |nearest| nearest.min(tat - now)));
            }
        }
        seen
    }

    /// What an account owes as a share of its limit, of several limits the largest, in parts of 2^32.
    #[cold]
    fn share(&self, slot: u32, tat: Ticks, now: Ticks, classes: &Classes) -> u64 {
        let share = match self.kept(slot) {
            Some(kept) => kept.cold.share(classes.get(kept.home).in_force(), now),
            // A state that was never decided about owes nothing: it waits for its stripe's horizon.
            None => match self.slot(slot).look_locked().1 {
                class if classes.get(class).is_cold() => 0.0,
                class => (tat - now) as f64 / classes.usual(class).tolerance.max(1) as f64,
            },
        };
        // No share is negative, and none needs more than 64 bits: what is larger becomes the largest.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let parts = (share * 4_294_967_296.0) as u64;
        parts
    }
}
