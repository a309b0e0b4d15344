//! What happened when: a sorted log of units that any number of windows over it share.
//!
//! Lengths and ranks are in units; memory follows the entries, which are requests. A log of single units keeps the bare
//! stamps: from 1,000 on, one costs at most 9 bytes. The first entry of more than one unit turns the log into a [`Tally`],
//! in O(entries): 16 bytes a stamp, whatever its number of units. A log that becomes empty begins anew.
//!
//! | | single units | weighted |
//! | --- | --- | --- |
//! | add the newest | O(1) | O(1) |
//! | add a late one | 32 steps, and one for each 32 newer | O(entries) |
//! | the n-th from either end | O(1) | O(log entries) |
//! | the rank of a stamp | O(log entries) | O(log entries) |

use super::sequence::Sequence;
use super::tally::Tally;

/// Entries (stamp, n) in ascending order of stamps; in a log of single units, equal stamps repeat.
#[derive(Clone, Debug)]
pub struct Log(Form);

#[derive(Clone, Debug)]
enum Form {
    Units(Sequence<u64>),
    Weighted(Box<Tally>),
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
        Self(Form::Units(Sequence::new()))
    }

    /// How many units there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Form::Units(stamps) => stamps.len() as u64,
            Form::Weighted(tally) => tally.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entry_count() == 0
    }

    /// How many entries take memory.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        match &self.0 {
            Form::Units(stamps) => stamps.len(),
            Form::Weighted(tally) => tally.entry_count(),
        }
    }

    /// The stamp of the unit that `n` older ones precede, and how many units there are up to and including its entry.
    #[inline]
    #[must_use]
    pub fn entry_of(&self, n: u64) -> Option<(u64, u64)> {
        match &self.0 {
            Form::Units(stamps) => {
                let index = usize::try_from(n).ok().filter(|&index| index < stamps.len())?;
                Some((stamps.at(index), n + 1))
            }
            Form::Weighted(tally) => tally.entry_of(n),
        }
    }

    /// The stamp of the unit that `n` older ones precede.
    #[inline]
    #[must_use]
    pub fn nth_from_start(&self, n: u64) -> Option<u64> {
        self.entry_of(n).map(|(stamp, _)| stamp)
    }

    /// The stamp of the unit that `n` newer ones follow.
    #[inline]
    #[must_use]
    pub fn nth_from_end(&self, n: u64) -> Option<u64> {
        self.nth_from_start(self.len().checked_sub(n)?.checked_sub(1)?)
    }

    /// The oldest stamp.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        match &self.0 {
            Form::Units(stamps) => (!stamps.is_empty()).then(|| stamps.at(0)),
            Form::Weighted(tally) => tally.first(),
        }
    }

    /// The newest stamp.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        match &self.0 {
            Form::Units(stamps) => stamps.last(),
            Form::Weighted(tally) => tally.last(),
        }
    }

    /// How many units are older than `stamp`.
    #[must_use]
    pub fn rank_below(&self, stamp: u64) -> u64 {
        match &self.0 {
            Form::Units(stamps) => stamps.partition_point(|other| other < stamp) as u64,
            Form::Weighted(tally) => tally.rank_below(stamp),
        }
    }

    /// How many units are as old as `stamp` or older.
    #[must_use]
    pub fn rank_through(&self, stamp: u64) -> u64 {
        match &self.0 {
            Form::Units(stamps) => stamps.partition_point(|other| other <= stamp) as u64,
            Form::Weighted(tally) => tally.rank_through(stamp),
        }
    }

    /// How many units are newer than `stamp`.
    #[must_use]
    pub fn newer_than(&self, stamp: u64) -> u64 {
        self.len() - self.rank_through(stamp)
    }

    /// Adds `n` units of a stamp, the newest or not: it goes where it belongs. None changes nothing.
    ///
    /// More than 2^53 units of one stamp count as 2^53, which fill every window.
    #[inline]
    pub fn push(&mut self, stamp: u64, n: u64) {
        match &mut self.0 {
            Form::Units(stamps) if n == 1 => {
                let index = match stamps.last() {
                    Some(last) if last > stamp => stamps.partition_point(|other| other <= stamp),
                    _ => stamps.len(),
                };
                stamps.insert(index, stamp);
            }
            Form::Units(_) => self.push_weighted(stamp, n),
            Form::Weighted(tally) => tally.push(stamp, n),
        }
    }

    /// The first entry that is not a single unit.
    fn push_weighted(&mut self, stamp: u64, n: u64) {
        if n == 0 {
            return;
        }
        let mut tally = Box::<Tally>::default();
        self.entries().for_each(|(stamp, n)| tally.push(stamp, n));
        tally.push(stamp, n);
        self.0 = Form::Weighted(tally);
    }

    /// Drops what is older than `stamp`, and the memory that it took.
    pub fn drop_before(&mut self, stamp: u64) {
        match &mut self.0 {
            Form::Units(stamps) => {
                // Usually none is, or one.
                let is_old = |index: usize| index < stamps.len() && stamps.at(index) < stamp;
                let count = match (is_old(0), is_old(1)) {
                    (false, _) => return,
                    (true, false) => 1,
                    (true, true) => stamps.partition_point(|other| other < stamp),
                };
                stamps.drop_first(count);
            }
            Form::Weighted(tally) => {
                tally.drop_before(stamp);
                if tally.is_empty() {
                    *self = Self::new();
                }
            }
        }
    }

    /// Makes stamps that are newer than `now` as new as that: after a clock stepped back.
    pub fn settle(&mut self, now: u64) {
        if self.last().is_none_or(|last| last <= now) {
            return;
        }
        match &mut self.0 {
            Form::Units(stamps) => {
                (stamps.partition_point(|other| other <= now)..stamps.len()).for_each(|index| stamps.set(index, now));
            }
            Form::Weighted(tally) => tally.settle(now),
        }
    }

    /// Every entry, the oldest first: its stamp and how many units it has.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (units, weighted) = match &self.0 {
            Form::Units(stamps) => (Some(stamps), None),
            Form::Weighted(tally) => (None, Some(tally)),
        };
        let units = units.into_iter().flat_map(|stamps| stamps.iter().map(|stamp| (stamp, 1)));
        units.chain(weighted.into_iter().flat_map(|tally| tally.entries()))
    }

    /// Memory in use, as asked of the allocator; the log itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inside = match &self.0 {
            Form::Units(stamps) => stamps.bytes(),
            Form::Weighted(tally) => tally.bytes(),
        };
        size_of::<Self>() + inside
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
