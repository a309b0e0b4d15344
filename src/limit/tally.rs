//! How often something happened at each of a few times: a log whose size is that of its times, not of its counts.
//!
//! A conservative window rounds its stamps up to the ends of its steps, so this holds one run for each step that still
//! counts, however much was let through.

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Run {
    stamp: u64,
    /// Counts of all runs up to and including this one, dropped ones too.
    up_to: u64,
}

/// Stamps in ascending order, equal ones counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    runs: VecDeque<Run>,
    dropped: u64,
}

impl Tally {
    /// How many stamps there are, equal ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total() - self.dropped
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    fn total(&self) -> u64 {
        self.runs.back().map_or(self.dropped, |last| last.up_to)
    }

    /// Adds `n` of the newest stamp. One that is older than the newest counts as the newest: that is only stricter.
    pub fn push(&mut self, stamp: u64, n: u64) {
        if n == 0 {
            return;
        }
        let up_to = self.total().saturating_add(n);
        match self.runs.back_mut() {
            Some(last) if last.stamp >= stamp => last.up_to = up_to,
            _ => self.runs.push_back(Run { stamp, up_to }),
        }
    }

    /// Adds `n` of any stamp, where it belongs: a step for each newer one.
    pub fn insert(&mut self, stamp: u64, n: u64) {
        if n == 0 || self.last().is_none_or(|last| last <= stamp) {
            return self.push(stamp, n);
        }
        let at = self.runs.partition_point(|run| run.stamp < stamp);
        if self.runs[at].stamp != stamp {
            let up_to = at.checked_sub(1).map_or(self.dropped, |before| self.runs[before].up_to);
            self.runs.insert(at, Run { stamp, up_to });
        }
        self.runs.range_mut(at..).for_each(|run| run.up_to = run.up_to.saturating_add(n));
    }

    /// The oldest stamp.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.runs.front().map(|run| run.stamp)
    }

    /// The newest stamp.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.runs.back().map(|run| run.stamp)
    }

    /// The stamp that `n` newer ones follow.
    #[must_use]
    pub fn nth_from_end(&self, n: u64) -> Option<u64> {
        let wanted = self.total().checked_sub(n).filter(|&up_to| up_to > self.dropped)?;
        self.runs.get(self.runs.partition_point(|run| run.up_to < wanted)).map(|run| run.stamp)
    }

    /// How many stamps are newer than this.
    #[must_use]
    pub fn newer_than(&self, stamp: u64) -> u64 {
        let older = self.runs.partition_point(|run| run.stamp <= stamp);
        let before = older.checked_sub(1).map_or(self.dropped, |last| self.runs[last].up_to);
        self.total() - before
    }

    /// Drops what is older than `stamp`.
    pub fn drop_before(&mut self, stamp: u64) {
        while let Some(first) = self.runs.front().filter(|first| first.stamp < stamp) {
            self.dropped = first.up_to;
            self.runs.pop_front();
        }
        match self.runs.len() {
            0 => *self = Self::default(),
            count if self.runs.capacity() > 4 * count.max(4) => self.runs.shrink_to(2 * count),
            _ => {}
        }
        // Sums run from what was dropped: they begin anew long before they are too large.
        if self.dropped > u64::MAX / 2 {
            let dropped = std::mem::take(&mut self.dropped);
            self.runs.iter_mut().for_each(|run| run.up_to -= dropped);
        }
    }

    /// Makes stamps that are newer than `now` as new as that: after a clock stepped back.
    pub fn settle(&mut self, now: u64) {
        let count = self.newer_than(now);
        if count > 0 {
            while self.runs.back().is_some_and(|last| last.stamp > now) {
                self.runs.pop_back();
            }
            self.push(now, count);
        }
    }

    /// Every stamp and its count, the oldest first.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut before = self.dropped;
        self.runs.iter().map(move |run| (run.stamp, run.up_to - std::mem::replace(&mut before, run.up_to)))
    }

    /// Memory in use, as asked of the allocator; the tally itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.runs.capacity() * size_of::<Run>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_sorted_list_of_stamps() {
        let (mut tally, mut list, mut state) = (Tally::default(), Vec::new(), 1_u64);
        let mut newest = 0;
        for _ in 0..4_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = state >> 33;
            if random % 8 == 0 {
                let cut = newest - random / 8 % (newest.min(40) + 1);
                tally.drop_before(cut);
                list.retain(|&stamp| stamp >= cut);
            } else {
                newest += random / 8 % 4;
                let n = random / 64 % 5;
                tally.push(newest, n);
                list.extend((0..n).map(|_| newest));
            }
            assert_eq!((tally.len(), tally.is_empty()), (list.len() as u64, list.is_empty()));
            assert_eq!(tally.last(), list.last().copied());
            let at = random / 1024 % (list.len() as u64 + 2);
            assert_eq!(tally.nth_from_end(at), list.iter().rev().nth(usize::try_from(at).unwrap()).copied());
            let edge = newest - random / 4096 % (newest.min(30) + 1);
            assert_eq!(tally.newer_than(edge), list.iter().filter(|&&stamp| stamp > edge).count() as u64);
            let counted: Vec<u64> = tally.runs().flat_map(|(stamp, n)| (0..n).map(move |_| stamp)).collect();
            assert_eq!(counted, list);
        }
    }

    #[test]
    fn the_future_becomes_now() {
        let mut tally = Tally::default();
        for (stamp, n) in [(10, 1), (20, 2), (30, 3)] {
            tally.push(stamp, n);
        }
        tally.settle(30);
        assert_eq!(tally.runs().count(), 3);
        tally.settle(15);
        assert_eq!(tally.runs().collect::<Vec<_>>(), [(10, 1), (15, 5)]);
        tally.settle(10);
        assert_eq!(tally.runs().collect::<Vec<_>>(), [(10, 6)]);
    }

    #[test]
    fn a_late_stamp_counts_as_the_newest_and_counts_cost_nothing() {
        let mut tally = Tally::default();
        tally.push(10, 3);
        tally.push(7, u64::MAX / 2);
        assert_eq!(tally.runs().collect::<Vec<_>>(), [(10, 3 + u64::MAX / 2)]);
        assert!(tally.bytes() < 128, "{}", tally.bytes());
        (0..1000).for_each(|n| tally.push(10 + n, 1));
        assert_eq!(tally.bytes(), size_of::<Tally>() + 16 * tally.runs.capacity());
        assert!(tally.runs.capacity() >= 1000);
    }
}
