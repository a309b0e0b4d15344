//! Stripes: who is looked at for a newcomer, who may go, and what is remembered beside a slot.

use super::*;
use crate::account::{Cold, Purpose, Terms};
use crate::limit::Rate;
use crate::policy::Policy;
use crate::table::index::RUN;
use crate::table::sweep::MOST_RUNS;
use crate::ticks::PER_NANO;

const SECOND: Ticks = 1_000_000_000 * PER_NANO;
/// What an empty bucket owes.
const MOST: Ticks = 1000 * SECOND;

struct Bench {
    slab: Slab,
    stripe: Stripe,
    classes: Classes,
    class: ClassId,
}

fn bench() -> Bench {
    let classes = Classes::new();
    let class = classes.intern(Policy::rate(Rate::new(1000, 1_000_000_000_000)).unwrap()).unwrap();
    let slab = Slab::new(10_000);
    Bench { stripe: Stripe::new(16, &slab), slab, classes, class }
}

impl Bench {
    fn lock(&self) -> Locked<'_> {
        self.stripe.lock(&self.slab)
    }

    /// Puts an account in whose word is this.
    fn put(&self, hash: u32, tat: Ticks) -> u32 {
        let place = self.slab.take().unwrap();
        let key = place.0.to_le_bytes();
        self.lock().insert(&Probe::new(&key, hash), self.class, tat, place).unwrap();
        place.0
    }

    /// Puts so many in, whose hashes part early, and who owe a second more each.
    fn fill(&self, count: u32, now: Ticks) -> Vec<u32> {
        (0..count).map(|i| self.put(i.wrapping_mul(0x9e37_79b9), now + (1 + u64::from(i)) * SECOND)).collect()
    }
}

#[test]
fn a_search_looks_at_as_many_as_it_may() {
    // Away from its own segment a search goes by whole runs, of which the last must fit.
    let fewest = 16 - u32::try_from(RUN).unwrap() + 1;
    for (count, single) in [(31, true), (400, false)] {
        let bench = bench();
        bench.fill(count, 0);
        let mut stripe = bench.lock();
        assert_eq!(stripe.index.is_single(), single);
        for step in 0..1000_u32 {
            let hash = step.wrapping_mul(0x2545_f491);
            let seen = stripe.sweep_for(hash, 0, &bench.classes, 16);
            assert!(seen.refilled.is_none());
            assert!((if single { 16 } else { fewest }..=16).contains(&seen.looks), "{} of {count}", seen.looks);
            let seen = stripe.sweep(0, &bench.classes, 16);
            assert!((fewest..=16).contains(&seen.looks), "{} of {count}", seen.looks);
        }
    }
}

#[test]
fn the_one_who_owes_least_of_those_looked_at_is_seen() {
    let now = 7 * SECOND;
    let bench = bench();
    let slots = bench.fill(16, now);
    for (at, own) in [(3, 1), (9, 1), (15, 1)] {
        // Whoever comes first in the search, another one owes less.
        bench.lock().change(slots[at], |_, class| (now + own, class));
        for hash in 0..46 {
            let seen = bench.lock().sweep_for(hash << 8, now, &bench.classes, 16);
            assert_eq!((seen.looks, seen.refilled, seen.least), (16, None, Some((slots[at], own))));
        }
        bench.lock().change(slots[at], |_, class| (now + MOST, class));
    }
    bench.lock().change(slots[5], |_, class| (now, class));
    assert_eq!(bench.lock().sweep(now, &bench.classes, 16).refilled, Some((slots[5], now)));
}

#[test]
fn half_of_the_search_is_made_where_the_newcomer_belongs() {
    let bench = bench();
    let slots = bench.fill(600, SECOND);
    // Everybody of one segment has refilled, and nobody else.
    for &slot in &slots {
        let refilled = bench.slab.slot(slot).hash() & 0xf == 5;
        bench.lock().change(slot, |tat, class| (if refilled { 0 } else { tat }, class));
    }
    for step in 0..100 {
        let seen = bench.lock().sweep_for(step << 8 | 5, SECOND, &bench.classes, 16);
        assert!(seen.looks == 1 && seen.refilled.is_some(), "the first one met had refilled");
    }
}

#[test]
fn in_a_desert_a_search_gives_up_in_time() {
    let bench = bench();
    for slot in bench.fill(2000, SECOND) {
        bench.lock().evict(slot, None, 0).unwrap();
    }
    let runs = |stripe: &Locked<'_>| stripe.inner.hand;
    let mut stripe = bench.lock();
    let before = runs(&stripe);
    assert_eq!(stripe.sweep(SECOND, &bench.classes, 16).looks, 0);
    assert_eq!(runs(&stripe) - before, MOST_RUNS);
}

// HAZARD clock-back
#[test]
fn a_word_from_before_a_step_of_the_clock_is_not_more_than_an_empty_bucket_owes() {
    let bench = bench();
    let slot = bench.put(5, 100_000 * SECOND);
    let seen = bench.lock().sweep(SECOND, &bench.classes, 16);
    assert_eq!((seen.refilled, seen.least), (None, Some((slot, MOST))));
    assert_eq!(bench.slab.slot(slot).look_locked().0, SECOND + MOST);
}

#[test]
fn only_an_account_that_is_there_and_that_nobody_holds_may_go() {
    let bench = bench();
    let (free, pinned, gone) = (bench.put(5, 9), bench.put(6, 9), bench.put(5, 9));
    let mut stripe = bench.lock();
    stripe.side_mut(pinned).pins += 1;
    stripe.evict(gone, None, 0).unwrap();
    assert_eq!([free, pinned, gone].map(|slot| stripe.may_go(slot)), [true, false, false]);
    let seen = stripe.sweep(0, &bench.classes, 16);
    assert_eq!((seen.looks, seen.least), (2, Some((free, 9))), "who is held is passed over");
    stripe.unpin(pinned);
    assert!(stripe.may_go(pinned));
}

#[test]
fn what_is_remembered_beside_a_slot_is_forgotten_with_its_reason() {
    let bench = bench();
    let slot = bench.put(5, 9);
    let mut stripe = bench.lock();
    for _ in 0..2 {
        stripe.side_mut(slot).pins += 1;
    }
    stripe.unpin(slot);
    assert_eq!(stripe.side(slot).map(|side| side.pins), Some(1));
    stripe.unpin(slot);
    assert!(stripe.side(slot).is_none());
    // The state of an account, while it has one.
    let limits = bench.classes.get(bench.class).limits();
    let terms = Terms::new(Some(1_000_000_000), false).unwrap();
    let mut cold = Cold::of_word(limits, 9 + SECOND);
    assert!(cold.decide(limits, 0, &crate::policy::Cost::new(1), Purpose::Reserve(1, terms)).passes());
    stripe.kept_mut(slot, || Kept { home: bench.class, cold, line: None, turn: 0 });
    assert_eq!(stripe.side(slot).and_then(Side::shown_word), Some(9 + 2 * SECOND));
    assert!(!stripe.may_go(slot) && stripe.take_kept(slot).is_some());
    assert!(stripe.side(slot).is_none() && stripe.may_go(slot));
}

#[test]
fn a_slot_whose_words_may_come_back_is_never_anothers() {
    let bench = bench();
    let far = Ticks::MAX / 4;
    let slot = bench.put(5, far);
    let mut stripe = bench.lock();
    stripe.change(slot, |_, class| (0, class));
    assert_eq!(bench.slab.slot(slot).look_locked(), (0, bench.class));
    stripe.side_mut(slot).pins += 1;
    stripe.unpin(slot);
    assert_eq!(stripe.evict(slot, None, 0), Ok(None), "it was not lifted, and that is not forgotten");
}
