//! A list whose memory follows its length: one piece while it is short, blocks once it is long.
//!
//! An empty list has no memory of its own. From 1,000 items on the slack is at most an eighth of 8 bytes an item. An item
//! at a position is found in O(1). Putting one in costs O(1) at the end; elsewhere a block of 32, and a step for each
//! later block. Growing moves no more than 32 items, however long the list is.

use super::blocks::{BLOCK, Blocks};

/// A list that has become this short is kept in one piece again.
const SHORT: usize = BLOCK / 2;

#[derive(Clone, Debug)]
pub(super) enum Sequence<T> {
    Few(Vec<T>),
    Many(Box<Blocks<T>>),
}

impl<T> Sequence<T> {
    pub(super) const fn new() -> Self {
        Self::Few(Vec::new())
    }
}

impl<T: Copy + Default> Sequence<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(items) => items.len(),
            Self::Many(blocks) => blocks.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`, which must be below the length.
    #[inline]
    pub(super) fn at(&self, index: usize) -> T {
        match self {
            Self::Few(items) => items[index],
            Self::Many(blocks) => blocks.get(index),
        }
    }

    #[inline]
    pub(super) fn last(&self) -> Option<T> {
        self.len().checked_sub(1).map(|index| self.at(index))
    }

    pub(super) fn set(&mut self, index: usize, item: T) {
        match self {
            Self::Few(items) => items[index] = item,
            Self::Many(blocks) => blocks.set(index, item),
        }
    }

    /// The first position whose item fails `precedes`; the items must be sorted by it.
    pub(super) fn partition_point(&self, precedes: impl Fn(T) -> bool) -> usize {
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

    /// Puts an item before the one at `index`, or at the end.
    pub(super) fn insert(&mut self, index: usize, item: T) {
        match self {
            Self::Few(items) if items.len() < BLOCK => {
                if items.len() == items.capacity() {
                    items.reserve_exact(items.len().max(2));
                }
                items.insert(index, item);
            }
            Self::Few(items) => {
                let mut blocks = Box::new(Blocks::of(items));
                blocks.insert(index, item);
                *self = Self::Many(blocks);
            }
            Self::Many(blocks) => blocks.insert(index, item),
        }
    }

    /// Drops the first `count` items, which must be there, and the memory that they took.
    pub(super) fn drop_first(&mut self, count: usize) {
        if count == self.len() {
            *self = Self::new();
            return;
        }
        match self {
            Self::Few(items) => {
                items.drain(..count);
                if items.len() <= items.capacity() / 4 {
                    items.shrink_to(items.capacity() / 2);
                }
            }
            Self::Many(blocks) => blocks.drop_first(count),
        }
        self.shorten();
    }

    /// Keeps the first `len` items.
    pub(super) fn truncate(&mut self, len: usize) {
        if len == 0 {
            *self = Self::new();
            return;
        }
        match self {
            Self::Few(items) => items.truncate(len),
            Self::Many(blocks) => blocks.truncate(len),
        }
        self.shorten();
    }

    fn shorten(&mut self) {
        if let Self::Many(blocks) = self
            && blocks.len() <= SHORT
        {
            *self = Self::Few((0..blocks.len()).map(|index| blocks.get(index)).collect());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Memory in use beside the list itself, as asked of the allocator.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Few(items) => items.capacity() * size_of::<T>(),
            Self::Many(blocks) => blocks.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize) -> Sequence<usize> {
        let mut sequence = Sequence::new();
        (0..count).for_each(|item| sequence.insert(item, item));
        sequence
    }

    #[test]
    fn it_is_in_one_piece_up_to_a_block_and_again_from_half_a_block_on() {
        let is_short = |sequence: &Sequence<usize>| matches!(sequence, Sequence::Few(_));
        assert!(is_short(&of(BLOCK)) && !is_short(&of(BLOCK + 1)));
        let mut sequence = of(BLOCK + 1);
        sequence.drop_first(BLOCK - SHORT);
        assert!(!is_short(&sequence) && sequence.len() == SHORT + 1);
        sequence.drop_first(1);
        assert!(is_short(&sequence) && sequence.iter().eq(BLOCK + 1 - SHORT..=BLOCK));
        let mut sequence = of(BLOCK + 1);
        sequence.truncate(SHORT + 1);
        assert!(!is_short(&sequence));
        sequence.truncate(SHORT);
        assert!(is_short(&sequence) && sequence.iter().eq(0..SHORT));
    }

    #[test]
    fn it_goes_on_after_being_cut_at_either_end() {
        for count in 0..200 {
            for (front, back) in [(0, 0), (0, 1), (7, 0), (5, 31), (40, 33), (33, 64), (70, 90)] {
                let (mut sequence, mut list) = (of(count), (0..count).collect::<Vec<_>>());
                let front = count.min(front);
                sequence.drop_first(front);
                list.drain(..front);
                let left = list.len().saturating_sub(back);
                sequence.truncate(left);
                list.truncate(left);
                for item in 0..70 {
                    let index = if item % 3 == 0 { list.len() / 2 } else { list.len() };
                    sequence.insert(index, 1_000 + item);
                    list.insert(index, 1_000 + item);
                }
                assert!(sequence.iter().eq(list.iter().copied()), "{count}, {front}, {back}");
                assert_eq!(sequence.last(), list.last().copied());
            }
        }
    }

    #[test]
    fn memory_is_given_back_when_the_end_is_cut() {
        let mut sequence = of(10_000);
        sequence.truncate(33);
        assert!(sequence.bytes() <= 4 * 33 * size_of::<usize>(), "{}", sequence.bytes());
        sequence.truncate(0);
        assert_eq!(sequence.bytes(), 0);
    }
}
