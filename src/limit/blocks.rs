//! A long list of items in blocks of 32: the form that a [`super::sequence::Sequence`] takes once it is long.
//!
//! A tiered vector (Goodrich and Kloss, 1999): all blocks but the first and the last are full, so a position tells its
//! block at once. Each block is a ring of its own: room in the middle is made by moving items inside one block, and one
//! item from each later block to the next. So memory has slack in two blocks only, whatever order items come in.

use std::collections::VecDeque;

/// Items in a block.
pub(super) const BLOCK: usize = 32;

/// The fewest blocks that the list of blocks grows by, and the fewest that it keeps room for.
const STEP: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Blocks<T> {
    rings: VecDeque<Box<[T; BLOCK]>>,
    /// Where the ring of each block begins. Apart from the blocks: theirs would not stay a power of two.
    heads: VecDeque<u8>,
    /// Places before the first item, in the first block.
    vacant: usize,
    len: usize,
}

impl<T: Copy + Default> Blocks<T> {
    pub(super) fn of(items: &[T]) -> Self {
        let mut blocks = Self::default();
        for &item in items {
            blocks.insert(blocks.len, item);
        }
        blocks
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> T {
        let place = self.vacant + index;
        let block = place / BLOCK;
        self.rings[block][(usize::from(self.heads[block]) + place) % BLOCK]
    }

    pub(super) fn set(&mut self, index: usize, item: T) {
        let place = self.vacant + index;
        let block = place / BLOCK;
        self.rings[block][(usize::from(self.heads[block]) + place) % BLOCK] = item;
    }

    /// Puts an item before the one at `index`, or at the end. Costs a block, and a step for each block after it.
    pub(super) fn insert(&mut self, index: usize, item: T) {
        let end = self.vacant + self.len;
        if end == self.rings.len() * BLOCK {
            self.add_block();
        }
        self.len += 1;
        let (block, last) = ((self.vacant + index) / BLOCK, end / BLOCK);
        // The last item that stays in the block has to leave it, unless it is the last block, which has room.
        let stays = if block == last { self.len - 1 } else { (block + 1) * BLOCK - 1 - self.vacant };
        let mut carried = if block == last { item } else { self.get(stays) };
        for moved in (index + 1..=stays).rev() {
            self.set(moved, self.get(moved - 1));
        }
        self.set(index, item);
        for next in block + 1..=last {
            // One place back, the ring begins where it ended: what was last goes on to the next block.
            let head = (usize::from(self.heads[next]) + BLOCK - 1) % BLOCK;
            carried = std::mem::replace(&mut self.rings[next][head], carried);
            #[allow(clippy::cast_possible_truncation)] // below BLOCK
            let head = head as u8;
            self.heads[next] = head;
        }
    }

    fn add_block(&mut self) {
        let count = self.rings.len();
        // The list of heads is as long, and always has the same room.
        if count == self.rings.capacity() {
            // By an eighth, not by doubling: the list is part of what an item costs.
            let more = (count / 8).max(STEP);
            self.rings.reserve_exact(more);
            self.heads.reserve_exact(more);
        }
        self.rings.push_back(Box::new([T::default(); BLOCK]));
        self.heads.push_back(0);
    }

    pub(super) fn drop_first(&mut self, count: usize) {
        self.len -= count;
        self.vacant += count;
        while self.vacant >= BLOCK {
            self.rings.pop_front();
            self.heads.pop_front();
            self.vacant -= BLOCK;
        }
        self.shrink();
    }

    /// Keeps the first `len` items.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        let count = (self.vacant + self.len).div_ceil(BLOCK);
        self.rings.truncate(count);
        self.heads.truncate(count);
        self.shrink();
    }

    fn shrink(&mut self) {
        let count = self.rings.len();
        if self.rings.capacity() > count + count / 4 + STEP {
            self.rings.shrink_to(count + count / 8);
            self.heads.shrink_to(count + count / 8);
        }
    }

    /// Memory in use, as asked of the allocator.
    pub(super) fn bytes(&self) -> usize {
        let list = self.rings.capacity() * size_of::<Box<[T; BLOCK]>>() + self.heads.capacity();
        size_of::<Self>() + list + self.rings.len() * size_of::<[T; BLOCK]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_by_an_eighth_and_is_given_back_in_steps() {
        let mut blocks = Blocks::<u64>::default();
        let mut room = 0;
        let is = |blocks: &Blocks<u64>, room: usize| {
            assert_eq!((blocks.rings.capacity(), blocks.heads.capacity()), (room, room), "{}", blocks.len());
            let list = room * (size_of::<usize>() + size_of::<u8>());
            assert_eq!(blocks.bytes(), size_of::<Blocks<u64>>() + list + blocks.rings.len() * 8 * BLOCK);
        };
        for count in 0..100 {
            if count == room {
                room += (count / 8).max(4);
            }
            (0..BLOCK).for_each(|_| blocks.insert(blocks.len(), 7));
            is(&blocks, room);
        }
        for count in (0..100).rev() {
            blocks.drop_first(BLOCK - 1);
            is(&blocks, room);
            blocks.drop_first(1);
            if room > count + count / 4 + 4 {
                room = count + count / 8;
            }
            is(&blocks, room);
        }
    }
}
