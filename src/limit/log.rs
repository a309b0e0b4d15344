//! When things happened, and how much each time: a sorted log of entries that any number of windows over it share.
//!
//! It grows with its entries, not with their counts and not with a limit. While every entry counts one, an entry costs at most 9
//! bytes from 1,000 on; the first that counts more turns the log into one with running sums (a [`Tally`]), 16 bytes an entry. An
//! empty log has no memory of its own.
//!
//! Lengths, positions and ranks are in units: an entry of 400 is 400 equal stamps. The newest entry is added in O(1); the n-th
//! unit from either end is found in O(1), in a log with sums in O(log n); a stamp's rank in O(log n).

use super::blocks::{BLOCK, Blocks};
use super::tally::Tally;

/// A log that has become this short is kept in one piece again.
const SHORT: usize = BLOCK / 2;

/// Entries in ascending order of their stamps; equal stamps may repeat.
#[derive(Clone, Debug)]
pub struct Log(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Every entry counts one.
    Few(Vec<u64>),
    Many(Box<Blocks>),
    Sums(Box<Tally>),
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// A number of entries in memory as a number of units.
const fn units(count: usize) -> u64 {
    count as u64
}

/// Below a number of entries in memory, so it fits.
#[allow(clippy::cast_possible_truncation)]
const fn index(units: u64) -> usize {
    units as usize
}

impl Log {
    /// An empty log, which costs nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Form::Few(Vec::new()))
    }

    /// How many units there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Form::Few(stamps) => units(stamps.len()),
            Form::Many(blocks) => units(blocks.len()),
            Form::Sums(tally) => tally.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stamp of the unit that `n` older ones precede; there are more than `n`.
    #[inline]
    fn at(&self, n: u64) -> u64 {
        match &self.0 {
            Form::Few(stamps) => stamps[index(n)],
            Form::Many(blocks) => blocks.get(index(n)),
            Form::Sums(tally) => tally.nth_from_end(tally.len() - 1 - n).unwrap_or(0),
        }
    }

    /// The stamp that `n` older units precede.
    #[inline]
    #[must_use]
    pub fn nth_from_start(&self, n: u64) -> Option<u64> {
        (n < self.len()).then(|| self.at(n))
    }

    /// The stamp that `n` newer units follow.
    #[inline]
    #[must_use]
    pub fn nth_from_end(&self, n: u64) -> Option<u64> {
        let len = self.len();
        (n < len).then(|| self.at(len - 1 - n))
    }

    /// The oldest stamp.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        match &self.0 {
            Form::Sums(tally) => tally.first(),
            Form::Few(_) | Form::Many(_) => self.nth_from_start(0),
        }
    }

    /// The newest stamp.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        match &self.0 {
            Form::Sums(tally) => tally.last(),
            Form::Few(_) | Form::Many(_) => self.nth_from_end(0),
        }
    }

    /// How many units are older than `stamp`.
    #[must_use]
    pub fn rank_below(&self, stamp: u64) -> u64 {
        match (&self.0, stamp.checked_sub(1)) {
            (_, None) => 0,
            (Form::Sums(tally), Some(older)) => tally.len() - tally.newer_than(older),
            (Form::Few(_) | Form::Many(_), _) => self.rank(|other| other < stamp),
        }
    }

    /// How many units are as old as `stamp` or older.
    #[must_use]
    pub fn rank_through(&self, stamp: u64) -> u64 {
        match &self.0 {
            Form::Sums(tally) => tally.len() - tally.newer_than(stamp),
            Form::Few(_) | Form::Many(_) => self.rank(|other| other <= stamp),
        }
    }

    fn rank(&self, precedes: impl Fn(u64) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if precedes(self.at(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Adds `n` at a stamp, usually the newest; one that is not goes where it belongs. In a log with sums, that costs a step
    /// for each newer entry.
    #[inline]
    pub fn push(&mut self, stamp: u64, n: u64) {
        match (&self.0, n) {
            (_, 0) => {}
            (Form::Sums(_), _) | (_, 2..) => self.push_sum(stamp, n),
            _ if self.last().is_none_or(|last| last <= stamp) => self.put(index(self.len()), stamp),
            _ => self.put(index(self.rank_through(stamp)), stamp),
        }
    }

    fn push_sum(&mut self, stamp: u64, n: u64) {
        if let Form::Sums(tally) = &mut self.0 {
            tally.insert(stamp, n);
            return;
        }
        let mut tally = Box::new(Tally::default());
        self.entries().for_each(|(stamp, n)| tally.push(stamp, n));
        tally.insert(stamp, n);
        self.0 = Form::Sums(tally);
    }

    fn put(&mut self, at: usize, stamp: u64) {
        match &mut self.0 {
            Form::Few(stamps) if stamps.len() < BLOCK => {
                if stamps.len() == stamps.capacity() {
                    stamps.reserve_exact(stamps.len().max(2));
                }
                stamps.insert(at, stamp);
            }
            Form::Few(stamps) => {
                let mut blocks = Box::new(Blocks::from_sorted(stamps));
                blocks.insert(at, stamp);
                self.0 = Form::Many(blocks);
            }
            Form::Many(blocks) => blocks.insert(at, stamp),
            Form::Sums(tally) => tally.insert(stamp, 1),
        }
    }

    /// Drops what is older than `stamp`, and the memory that it took.
    pub fn drop_before(&mut self, stamp: u64) {
        if let Form::Sums(tally) = &mut self.0 {
            tally.drop_before(stamp);
            if tally.is_empty() {
                *self = Self::new();
            }
            return;
        }
        // Usually none is, or one.
        let count = match self.first() {
            Some(first) if first < stamp => match self.nth_from_start(1) {
                Some(second) if second < stamp => self.rank_below(stamp),
                _ => 1,
            },
            _ => return,
        };
        self.drop_first(index(count));
    }

    fn drop_first(&mut self, count: usize) {
        if units(count) == self.len() {
            *self = Self::new();
            return;
        }
        match &mut self.0 {
            Form::Few(stamps) => {
                stamps.drain(..count);
                if stamps.len() <= stamps.capacity() / 4 {
                    stamps.shrink_to(stamps.capacity() / 2);
                }
            }
            Form::Many(blocks) => {
                blocks.drop_first(count);
                if blocks.len() <= SHORT {
                    self.0 = Form::Few((0..blocks.len()).map(|index| blocks.get(index)).collect());
                }
            }
            Form::Sums(_) => {}
        }
    }

    /// Makes stamps that are newer than `now` as new as that: after a clock stepped back.
    pub fn settle(&mut self, now: u64) {
        if self.last().is_none_or(|last| last <= now) {
            return;
        }
        let through = index(self.rank_through(now));
        match &mut self.0 {
            Form::Few(stamps) => stamps[through..].fill(now),
            Form::Many(blocks) => (through..blocks.len()).for_each(|index| blocks.set(index, now)),
            Form::Sums(tally) => tally.settle(now),
        }
    }

    /// Every entry, the oldest first: its stamp, and how much it counts.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (ones, sums) = match &self.0 {
            Form::Sums(tally) => (0, Some(tally.runs())),
            Form::Few(_) | Form::Many(_) => (self.len(), None),
        };
        (0..ones).map(|n| (self.at(n), 1)).chain(sums.into_iter().flatten())
    }

    /// Memory in use, as asked of the allocator; the log itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inside = match &self.0 {
            Form::Few(stamps) => stamps.capacity() * size_of::<u64>(),
            Form::Many(blocks) => blocks.bytes(),
            Form::Sums(tally) => tally.bytes(),
        };
        size_of::<Self>() + inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every unit's stamp.
    fn all(log: &Log) -> Vec<u64> {
        log.entries().flat_map(|(stamp, n)| (0..n).map(move |_| stamp)).collect()
    }

    fn count(list: &[u64], is_meant: impl Fn(u64) -> bool) -> u64 {
        list.iter().filter(|&&stamp| is_meant(stamp)).count() as u64
    }

    /// Numbers without a pattern, the same each time.
    fn noise() -> impl FnMut(u64) -> u64 {
        let mut state = 1_u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        }
    }

    #[test]
    fn it_is_a_sorted_list_in_every_form_and_order() {
        let mut random = noise();
        for round in 0..120 {
            let (mut log, mut list) = (Log::new(), Vec::new());
            // Every second round, an entry now and then counts more than one.
            let (longest, weighted, mut newest) = (1 << (round / 2 % 12), round % 2 == 1, 0);
            for _ in 0..1_500 {
                let n = if weighted && random(20) == 0 { 1 + random(5) } else { 1 };
                match random(9) {
                    0 | 8 => {
                        let old = newest - random(newest + 1);
                        log.push(old, n);
                        let at = list.partition_point(|&other| other <= old);
                        (0..n).for_each(|_| list.insert(at, old));
                    }
                    1..=6 if list.len() < longest => {
                        newest += random(3);
                        log.push(newest, n);
                        list.extend((0..n).map(|_| newest));
                    }
                    _ => {
                        let cut = list.first().map_or(0, |first| first + random(40));
                        log.drop_before(cut);
                        list.retain(|&stamp| stamp >= cut);
                    }
                }
                assert_eq!((log.len(), log.is_empty()), (list.len() as u64, list.is_empty()));
                assert_eq!((log.first(), log.last()), (list.first().copied(), list.last().copied()));
                let (at, stamp) = (random(list.len() as u64 + 2), newest - random(newest.min(30) + 1));
                assert_eq!(log.nth_from_start(at), list.get(index(at)).copied());
                assert_eq!(log.nth_from_end(at), list.iter().rev().nth(index(at)).copied());
                assert_eq!(log.rank_below(stamp), count(&list, |other| other < stamp));
                assert_eq!(log.rank_through(stamp), count(&list, |other| other <= stamp));
            }
            assert_eq!(all(&log), list);
        }
    }

    #[test]
    fn counts_cost_nothing_and_entries_a_few_bytes() {
        let mut log = Log::new();
        log.push(10, 4_000_000_000);
        log.push(20, u64::MAX / 4);
        assert_eq!((log.len(), log.nth_from_end(u64::MAX / 4)), (4_000_000_000 + u64::MAX / 4, Some(10)));
        assert!(log.bytes() < 300, "{}", log.bytes());
        log.drop_before(15);
        assert_eq!((log.len(), log.first()), (u64::MAX / 4, Some(20)));
        let mut random = noise();
        (0..10_000).for_each(|n| log.push(100 + n, 1 + random(1_000_000)));
        assert!(log.bytes() <= 33 * 10_000, "{}", log.bytes());
        log.drop_before(100 + 9_990);
        assert!(log.bytes() <= 1_000, "{}", log.bytes());
        log.drop_before(100 + 10_000);
        assert!(log.is_empty() && matches!(log.0, Form::Few(_)), "an empty log counts ones again");
        log.push(5, 0);
        assert!(log.is_empty());
    }

    #[test]
    fn a_stamp_costs_at_most_nine_bytes_from_a_thousand_on() {
        for size in [1_000_usize, 1_010, 1_026, 1_500, 4_000, 20_000] {
            let mut log = Log::new();
            (0..3 * size as u64).for_each(|n| log.push(n * 10, 1));
            // However long it has been used, and wherever in its blocks it begins.
            for n in 0..2_000_u64 {
                log.drop_before((n + 2 * size as u64) * 10 + 1);
                let newest = log.last().unwrap();
                while log.len() < size as u64 {
                    log.push(log.last().unwrap() + 10, 1);
                }
                if n % 3 == 0 {
                    log.drop_before(log.first().unwrap() + 1);
                    log.push(newest - 15, 1);
                }
                assert_eq!(log.len(), size as u64);
                assert!(log.bytes() <= 9 * size, "{} bytes for {size}", log.bytes());
            }
        }
    }

    #[test]
    fn the_future_becomes_now() {
        for (size, n) in [1, 5, 32, 33, 100].into_iter().flat_map(|size| [(size, 1), (size, 3)]) {
            let mut log = Log::new();
            (0..size).for_each(|stamp| log.push(stamp, n));
            log.settle(size / 2);
            let settled = (0..size).flat_map(|stamp| (0..n).map(move |_| stamp.min(size / 2)));
            assert_eq!(all(&log), settled.collect::<Vec<_>>());
            log.settle(size);
            assert_eq!((log.last(), log.len()), (Some(size / 2), size * n));
        }
    }

    #[test]
    fn few_stamps_cost_little_and_none_cost_nothing() {
        let mut log = Log::new();
        let empty = log.bytes();
        assert!(empty <= 32, "{empty}");
        (0..5).for_each(|n| log.push(n, 1));
        assert_eq!(log.bytes(), empty + 64, "room for 2, 4, 8");
        log.drop_before(2);
        assert_eq!((log.len(), log.bytes()), (3, empty + 64), "three of eight are not few");
        log.drop_before(3);
        assert_eq!((log.len(), log.bytes()), (2, empty + 32), "two are");
        (5..10_000).for_each(|n| log.push(n, 1));
        log.drop_before(9_995);
        assert_eq!(all(&log), [9_995, 9_996, 9_997, 9_998, 9_999]);
        assert!(log.bytes() <= empty + 64, "{}", log.bytes());
        log.drop_before(10_000);
        assert_eq!((log.len(), log.bytes()), (0, empty));
    }

    #[test]
    fn it_is_in_one_piece_up_to_a_block_and_again_from_half_a_block_on() {
        let mut log = Log::new();
        let is_short = |log: &Log| matches!(log.0, Form::Few(_));
        (0..BLOCK as u64).for_each(|n| log.push(n, 1));
        assert!(is_short(&log));
        log.push(BLOCK as u64, 1);
        assert!(!is_short(&log));
        log.drop_first(SHORT);
        assert!(!is_short(&log));
        log.drop_first(1);
        assert!(is_short(&log) && log.len() == BLOCK as u64 / 2);
    }
}
