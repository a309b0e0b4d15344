//! Units logged by stamp and number: memory follows the requests, not what they cost.
//!
//! An entry is a stamp and the running sum of units up to and including it, 16 bytes. Entries of one stamp are one entry.
//! A rank is found in O(log n) through the sums. The newest stamp is added in O(1); a late one raises every later sum.
//!
//! No sum overflows. An entry counts at most 2^53 units: no limit is larger, so 2^53 units of one stamp fill a window as more
//! would. Where the running sum would pass 2^64 - 1, [`Tally::rebase`] takes out what was dropped.

use super::sequence::Sequence;

/// The largest limit of a window, and the most units that count of one stamp: 2^53, exact as a float.
pub(super) const MOST: u64 = 1 << 53;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    stamp: u64,
    /// Units of all entries up to and including this one, dropped ones too.
    up_to: u64,
}

/// Entries (stamp, n) in ascending order of stamps, no two of one stamp.
#[derive(Clone, Debug)]
pub struct Tally {
    entries: Sequence<Entry>,
    /// Units of the entries that were dropped.
    dropped: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { entries: Sequence::new(), dropped: 0 }
    }
}

impl Tally {
    /// How many units there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total() - self.dropped
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries there are.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    fn total(&self) -> u64 {
        self.entries.last().map_or(self.dropped, |last| last.up_to)
    }

    /// Units before the entry at `index`, dropped ones too.
    fn before(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(self.dropped, |last| self.entries.at(last).up_to)
    }

    /// Adds `n` units of a stamp, wherever it belongs.
    pub fn push(&mut self, stamp: u64, n: u64) {
        let n = n.min(MOST);
        if n == 0 {
            return;
        }
        if self.total().checked_add(n).is_none() {
            self.rebase(n);
        }
        let len = self.entries.len();
        let index = match self.entries.last() {
            Some(last) if last.stamp == stamp => len - 1,
            Some(last) if last.stamp > stamp => self.entries.partition_point(|entry| entry.stamp < stamp),
            _ => len,
        };
        let before = self.before(index);
        let is_there = index < len && self.entries.at(index).stamp == stamp;
        let counted = if is_there { self.entries.at(index).up_to - before } else { 0 };
        if !is_there {
            self.entries.insert(index, Entry { stamp, up_to: before });
        }
        let n = n.min(MOST - counted);
        for later in index..self.entries.len() {
            let entry = self.entries.at(later);
            self.entries.set(later, Entry { up_to: entry.up_to + n, ..entry });
        }
    }

    /// Makes room in the running sums for `n` more, by counting from the oldest entry that is kept.
    ///
    /// Where the kept units alone are too many, the oldest go, but for the newest 2^53: no window holds more.
    #[cold]
    fn rebase(&mut self, n: u64) {
        if self.len().checked_add(n).is_none() {
            let gone = self.dropped + (self.len() - MOST);
            self.drop_first(self.entries.partition_point(|entry| entry.up_to <= gone));
        }
        for index in 0..self.entries.len() {
            let entry = self.entries.at(index);
            self.entries.set(index, Entry { up_to: entry.up_to - self.dropped, ..entry });
        }
        self.dropped = 0;
    }

    /// The oldest stamp.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.entries.at(0).stamp)
    }

    /// The newest stamp.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.stamp)
    }

    /// The stamp of the unit that `n` older ones precede, and how many units there are up to and including its entry.
    #[must_use]
    pub fn entry_of(&self, n: u64) -> Option<(u64, u64)> {
        if n >= self.len() {
            return None;
        }
        // Below the total: no overflow.
        let wanted = self.dropped + n;
        let entry = self.entries.at(self.entries.partition_point(|entry| entry.up_to <= wanted));
        Some((entry.stamp, entry.up_to - self.dropped))
    }

    /// The stamp of the unit that `n` newer ones follow.
    #[must_use]
    pub fn nth_from_end(&self, n: u64) -> Option<u64> {
        let from_start = self.len().checked_sub(n)?.checked_sub(1)?;
        self.entry_of(from_start).map(|(stamp, _)| stamp)
    }

    /// How many units are older than `stamp`.
    #[must_use]
    pub fn rank_below(&self, stamp: u64) -> u64 {
        self.before(self.entries.partition_point(|entry| entry.stamp < stamp)) - self.dropped
    }

    /// How many units are as old as `stamp` or older.
    #[must_use]
    pub fn rank_through(&self, stamp: u64) -> u64 {
        self.before(self.entries.partition_point(|entry| entry.stamp <= stamp)) - self.dropped
    }

    /// How many units are newer than `stamp`.
    #[must_use]
    pub fn newer_than(&self, stamp: u64) -> u64 {
        self.len() - self.rank_through(stamp)
    }

    /// Drops what is older than `stamp`, and the memory that it took.
    pub fn drop_before(&mut self, stamp: u64) {
        // Usually none is, or one.
        let is_old = |index: usize| index < self.entries.len() && self.entries.at(index).stamp < stamp;
        let count = match (is_old(0), is_old(1)) {
            (false, _) => return,
            (true, false) => 1,
            (true, true) => self.entries.partition_point(|entry| entry.stamp < stamp),
        };
        self.drop_first(count);
    }

    fn drop_first(&mut self, count: usize) {
        self.dropped = self.before(count);
        self.entries.drop_first(count);
        if self.entries.is_empty() {
            self.dropped = 0;
        }
    }

    /// Makes stamps that are newer than `now` as new as that: after a clock stepped back.
    pub fn settle(&mut self, now: u64) {
        let count = self.newer_than(now);
        if count > 0 {
            self.entries.truncate(self.entries.partition_point(|entry| entry.stamp <= now));
            self.push(now, count);
        }
    }

    /// Every stamp and how many units it has, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut before = self.dropped;
        self.entries.iter().map(move |entry| (entry.stamp, entry.up_to - std::mem::replace(&mut before, entry.up_to)))
    }

    /// Memory in use, as asked of the allocator; the tally itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.entries.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(tally: &Tally) -> Vec<(u64, u64)> {
        tally.entries().collect()
    }

    #[test]
    fn a_late_stamp_goes_where_it_belongs_and_equal_ones_merge() {
        let mut tally = Tally::default();
        for (stamp, n) in [(10, 3), (30, 1), (20, 5), (10, 2), (30, 7), (5, 0)] {
            tally.push(stamp, n);
        }
        assert_eq!(all(&tally), [(10, 5), (20, 5), (30, 8)]);
        assert_eq!((tally.len(), tally.entry_count()), (18, 3));
        assert_eq!([0, 4, 5, 17].map(|n| tally.entry_of(n).unwrap()), [(10, 5), (10, 5), (20, 10), (30, 18)]);
        assert_eq!((tally.entry_of(18), tally.nth_from_end(18)), (None, None));
        assert_eq!([0, 7, 8, 13].map(|n| tally.nth_from_end(n).unwrap()), [30, 30, 20, 10]);
    }

    #[test]
    fn the_future_becomes_now() {
        let mut tally = Tally::default();
        for (stamp, n) in [(5, 9), (10, 1), (20, 2), (30, 3)] {
            tally.push(stamp, n);
        }
        tally.drop_before(10);
        tally.settle(30);
        assert_eq!(all(&tally), [(10, 1), (20, 2), (30, 3)]);
        tally.settle(15);
        assert_eq!(all(&tally), [(10, 1), (15, 5)]);
        tally.settle(10);
        assert_eq!(all(&tally), [(10, 6)]);
        tally.settle(3);
        assert_eq!(all(&tally), [(3, 6)]);
    }

    #[test]
    fn one_stamp_counts_no_more_than_the_largest_limit() {
        let mut tally = Tally::default();
        tally.push(5, 5);
        tally.push(10, u64::MAX);
        assert_eq!(all(&tally), [(5, 5), (10, MOST)]);
        tally.drop_before(10);
        tally.push(20, 7);
        tally.push(10, 1);
        tally.push(20, MOST - 7);
        tally.push(20, 1);
        assert_eq!(all(&tally), [(10, MOST), (20, MOST)]);
        tally.settle(15);
        assert_eq!(all(&tally), [(10, MOST), (15, MOST)]);
    }

    #[test]
    fn running_sums_begin_anew_before_they_overflow() {
        let mut tally = Tally::default();
        for stamp in 0..10_000 {
            tally.drop_before(stamp);
            tally.push(stamp, MOST - 1);
            tally.push(stamp, 1);
            tally.push(stamp + 1, 5);
            assert_eq!(all(&tally), [(stamp, MOST), (stamp + 1, 5)], "of the last stamp, 5 are there already");
        }
    }

    #[test]
    fn of_more_units_than_a_number_holds_the_newest_stay() {
        let mut tally = Tally::default();
        for stamp in 0..10_000 {
            tally.push(stamp, MOST - 3);
            assert!(stamp == 0 || tally.len() >= MOST);
            assert_eq!(tally.last(), Some(stamp));
            assert_eq!(tally.newer_than(stamp.saturating_sub(1)), if stamp == 0 { 0 } else { MOST - 3 });
            assert_eq!(tally.nth_from_end(MOST - 1), stamp.checked_sub(1));
        }
    }

    #[test]
    fn memory_follows_the_entries() {
        let mut tally = Tally::default();
        let empty = tally.bytes();
        tally.push(10, 4_000_000_000);
        assert_eq!(tally.bytes(), empty + 2 * size_of::<Entry>());
        (0..1_000).for_each(|n| tally.push(10 + n, 1));
        assert!(tally.bytes() <= 17 * 1_000 + 600, "{}", tally.bytes());
        tally.drop_before(2_000);
        assert_eq!(tally.bytes(), empty);
    }
}
