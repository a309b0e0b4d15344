//! A handle's number: which kind of thing, at which place, and how often the place was used before.
//!
//! A top bit that says "dead", four bits of `kind`, 37 of count, 22 of place. A live handle is never 0, and a dead one is never looked
//! up, whoever names it. A place whose count has run out (after 137 thousand million uses) begins anew.

/// How many handles of a kind can live at once.
pub(super) const PLACES: usize = 1 << PLACE_BITS;

const PLACE_BITS: u32 = 22;
const COUNT_BITS: u32 = 37;
const KIND_AT: u32 = PLACE_BITS + COUNT_BITS;
const DEAD: u64 = 1 << 63;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

pub(super) struct Id;

impl Id {
    #[inline]
    pub(super) const fn place(id: u64) -> usize {
        // Cut to 22 bits first, so that nothing is lost.
        #[allow(clippy::cast_possible_truncation)]
        return (id & (PLACES as u64 - 1)) as usize;
    }

    /// The handle after `last` at this place.
    pub(super) const fn next(kind: u8, place: usize, last: u64) -> u64 {
        let count = ((last >> PLACE_BITS) + 1) & COUNT_MASK;
        ((kind as u64) << KIND_AT) | (count << PLACE_BITS) | place as u64
    }

    pub(super) const fn dead(id: u64) -> u64 {
        id | DEAD
    }

    /// Whether a handle of this number could live: neither 0 nor marked as dead, which a caller may do, too.
    #[inline]
    pub(super) const fn may_live(id: u64) -> bool {
        id.cast_signed() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_gives_another_handle_each_time_and_each_kind_its_own() {
        let first = Id::next(1, 5, 0);
        let second = Id::next(1, 5, Id::dead(first));
        assert_eq!((Id::place(first), Id::place(second)), (5, 5));
        assert_ne!(first, second);
        assert_ne!(first, Id::next(2, 5, 0));
        assert_ne!(Id::dead(first), first);
        assert!(Id::may_live(first) && !Id::may_live(0) && !Id::may_live(Id::dead(first)));
    }

    #[test]
    fn a_count_that_runs_out_begins_anew_and_touches_nothing_else() {
        let last = Id::next(15, PLACES - 1, COUNT_MASK << PLACE_BITS);
        assert_eq!(last, (15 << 59) | (PLACES as u64 - 1));
        assert_eq!(Id::next(15, 0, (COUNT_MASK - 1) << PLACE_BITS) & DEAD, 0);
    }
}
