//! When things happened: a sorted log of stamps that any number of windows over it share.
//!
//! It grows with what is in it, not with a limit: from 1,000 stamps on, one costs at most 9 bytes, and an empty log has
//! no memory of its own. The newest stamp is added in O(1), any other is put in its place among the newest ones; the n-th from
//! either end is found in O(1), a stamp's rank in O(log n).

use super::blocks::{BLOCK, Blocks};

/// A log that has become this short is kept in one piece again.
const SHORT: usize = BLOCK / 2;

/// Stamps in ascending order; equal ones may repeat.
#[derive(Clone, Debug)]
pub struct Log(Form);

#[derive(Clone, Debug)]
enum Form {
    Few(Vec<u64>),
    Many(Box<Blocks>),
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    /// An empty log, which costs nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Form::Few(Vec::new()))
    }

    /// How many stamps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(stamps) => stamps.len(),
            Form::Many(blocks) => blocks.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn at(&self, index: usize) -> u64 {
        match &self.0 {
            Form::Few(stamps) => stamps[index],
            Form::Many(blocks) => blocks.get(index),
        }
    }

    /// The stamp that `n` older ones precede.
    #[inline]
    #[must_use]
    pub fn nth_from_start(&self, n: usize) -> Option<u64> {
        (n < self.len()).then(|| self.at(n))
    }

    /// The stamp that `n` newer ones follow.
    #[inline]
    #[must_use]
    pub fn nth_from_end(&self, n: usize) -> Option<u64> {
        let len = self.len();
        (n < len).then(|| self.at(len - 1 - n))
    }

    /// The oldest stamp.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.nth_from_start(0)
    }

    /// The newest stamp.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.nth_from_end(0)
    }

    /// How many stamps are older than `stamp`.
    #[must_use]
    pub fn rank_below(&self, stamp: u64) -> usize {
        self.rank(|other| other < stamp)
    }

    /// How many stamps are as old as `stamp` or older.
    #[must_use]
    pub fn rank_through(&self, stamp: u64) -> usize {
        self.rank(|other| other <= stamp)
    }

    fn rank(&self, precedes: impl Fn(u64) -> bool) -> usize {
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

    /// Adds the newest stamp; one that is not the newest goes where it belongs.
    #[inline]
    pub fn push(&mut self, stamp: u64) {
        if self.last().is_none_or(|last| last <= stamp) {
            self.put(self.len(), stamp);
        } else {
            self.insert(stamp);
        }
    }

    /// Puts a stamp where it belongs, after those that equal it.
    pub fn insert(&mut self, stamp: u64) {
        self.put(self.rank_through(stamp), stamp);
    }

    fn put(&mut self, index: usize, stamp: u64) {
        match &mut self.0 {
            Form::Few(stamps) if stamps.len() < BLOCK => {
                if stamps.len() == stamps.capacity() {
                    stamps.reserve_exact(stamps.len().max(2));
                }
                stamps.insert(index, stamp);
            }
            Form::Few(stamps) => {
                let mut blocks = Box::new(Blocks::from_sorted(stamps));
                blocks.insert(index, stamp);
                self.0 = Form::Many(blocks);
            }
            Form::Many(blocks) => blocks.insert(index, stamp),
        }
    }

    /// Drops what is older than `stamp`, and the memory that it took.
    pub fn drop_before(&mut self, stamp: u64) {
        // Usually none is, or one.
        let count = match self.first() {
            Some(first) if first < stamp => match self.nth_from_start(1) {
                Some(second) if second < stamp => self.rank_below(stamp),
                _ => 1,
            },
            _ => return,
        };
        self.drop_first(count);
    }

    /// Keeps no more than the `most` newest.
    #[inline]
    pub fn keep_newest(&mut self, most: usize) {
        if let Some(count) = self.len().checked_sub(most).filter(|&count| count > 0) {
            self.drop_first(count);
        }
    }

    fn drop_first(&mut self, count: usize) {
        if count == self.len() {
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
        }
    }

    /// Makes stamps that are newer than `now` as new as that: after a clock stepped back.
    pub fn settle(&mut self, now: u64) {
        if self.last().is_none_or(|last| last <= now) {
            return;
        }
        for index in self.rank_through(now)..self.len() {
            match &mut self.0 {
                Form::Few(stamps) => stamps[index] = now,
                Form::Many(blocks) => blocks.set(index, now),
            }
        }
    }

    /// Every stamp, the oldest first.
    pub fn stamps(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Memory in use, as asked of the allocator; the log itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inside = match &self.0 {
            Form::Few(stamps) => stamps.capacity() * size_of::<u64>(),
            Form::Many(blocks) => blocks.bytes(),
        };
        size_of::<Self>() + inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(log: &Log) -> Vec<u64> {
        log.stamps().collect()
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
        for round in 0..60 {
            let (mut log, mut list) = (Log::new(), Vec::new());
            let (longest, mut newest) = (1 << (round % 12), 0);
            for _ in 0..2_000 {
                match random(9) {
                    which @ (0 | 8) => {
                        let old = newest - random(newest + 1);
                        if which == 0 {
                            log.insert(old);
                        } else {
                            log.push(old);
                        }
                        list.insert(list.partition_point(|&other| other <= old), old);
                    }
                    1..=6 if list.len() < longest => {
                        newest += random(3);
                        log.push(newest);
                        list.push(newest);
                    }
                    _ => {
                        let cut = list.first().map_or(0, |first| first + random(40));
                        log.drop_before(cut);
                        list.retain(|&stamp| stamp >= cut);
                    }
                }
                assert_eq!((log.len(), log.is_empty()), (list.len(), list.is_empty()));
                assert_eq!((log.first(), log.last()), (list.first().copied(), list.last().copied()));
            }
            assert_eq!(all(&log), list);
        }
    }

    #[test]
    fn ranks_count_equals_on_the_right_side() {
        for size in [0, 1, 5, 31, 32, 33, 200] {
            let mut log = Log::new();
            (0..size).for_each(|n| log.push(n / 3 * 10));
            for stamp in 0..size * 4 {
                assert_eq!(log.rank_below(stamp), all(&log).iter().filter(|&&other| other < stamp).count());
                assert_eq!(log.rank_through(stamp), all(&log).iter().filter(|&&other| other <= stamp).count());
            }
            assert_eq!(log.nth_from_end(usize::try_from(size).unwrap()), None);
        }
    }

    #[test]
    fn a_stamp_costs_at_most_nine_bytes_from_a_thousand_on() {
        for size in [1_000_usize, 1_010, 1_026, 1_500, 4_000, 20_000] {
            let mut log = Log::new();
            (0..3 * size as u64).for_each(|n| log.push(n * 10));
            // However long it has been used, and wherever in its blocks it begins.
            for n in 0..2_000_u64 {
                log.drop_before((n + 2 * size as u64) * 10 + 1);
                let newest = log.last().unwrap();
                while log.len() < size {
                    log.push(log.last().unwrap() + 10);
                }
                if n % 3 == 0 {
                    log.drop_before(log.first().unwrap() + 1);
                    log.insert(newest - 15);
                }
                assert_eq!(log.len(), size);
                assert!(log.bytes() <= 9 * size, "{} bytes for {size}", log.bytes());
            }
        }
    }

    #[test]
    fn the_newest_are_kept_and_the_future_becomes_now() {
        for size in [1, 5, 32, 33, 100] {
            let mut log = Log::new();
            (0..size).for_each(|n| log.push(n));
            log.settle(size / 2);
            assert_eq!(all(&log), (0..size).map(|n| n.min(size / 2)).collect::<Vec<_>>());
            log.settle(size);
            assert_eq!(log.last(), Some(size / 2));
            log.keep_newest(200);
            log.keep_newest(3);
            assert_eq!(log.len() as u64, size.min(3));
            log.keep_newest(0);
            assert!(log.is_empty());
        }
    }

    #[test]
    fn few_stamps_cost_little_and_none_cost_nothing() {
        let mut log = Log::new();
        let empty = log.bytes();
        assert!(empty <= 32, "{empty}");
        (0..5).for_each(|n| log.push(n));
        assert_eq!(log.bytes(), empty + 64, "room for 2, 4, 8");
        log.drop_before(2);
        assert_eq!((log.len(), log.bytes()), (3, empty + 64), "three of eight are not few");
        log.drop_before(3);
        assert_eq!((log.len(), log.bytes()), (2, empty + 32), "two are");
        (5..10_000).for_each(|n| log.push(n));
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
        (0..BLOCK as u64).for_each(|n| log.push(n));
        assert!(is_short(&log));
        log.push(BLOCK as u64);
        assert!(!is_short(&log));
        log.keep_newest(SHORT + 1);
        assert!(!is_short(&log));
        log.keep_newest(SHORT);
        assert!(is_short(&log) && log.len() == BLOCK / 2);
    }
}
