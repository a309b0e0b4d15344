//! Room for one more: who goes, and how far is looked for them.

use super::*;
use crate::sync::Ordering;

#[test]
fn while_half_have_refilled_a_newcomer_finds_one_who_has() {
    // All that are looked at owing something would be a chance of 2^-32, were they chosen one by one. They come four and
    // eight from a segment, where newcomers have replaced each other's neighbours: it was seen twice in a million.
    for max_keys in [1_000, 20_000] {
        let bench = bench(max_keys, WhenFull::Deny, Rate::new(10, 10 * SECOND));
        (0..max_keys).for_each(|i| assert!(bench.passes(&format!("resident {i}"))));
        bench.advance(10 * SECOND);
        let refused = (0..max_keys / 2).filter(|i| !bench.passes(&format!("newcomer {i}"))).count();
        assert!(refused <= 2, "{refused} of {max_keys}");
        assert_eq!(bench.table.len(), max_keys);
    }
}

#[test]
fn a_sweep_gets_past_a_desert() {
    // A stripe that has grown large and lost nearly everybody: whoever is left is found in the end.
    let bench = bench(100_000, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    (0..100_000).for_each(|i| assert!(bench.passes(&i.to_string())));
    let mut stripe = bench.table.stripes[0].lock(&bench.table.slab);
    let slots: Vec<u32> = stripe.slots().collect();
    for &slot in &slots[..slots.len() - 1] {
        let freed = stripe.evict(slot, None, 0).unwrap().unwrap();
        bench.table.slab.give_back_place((freed, false));
    }
    let found = (0..1000).any(|_| stripe.sweep(1 << 60, &bench.table.classes, 16).refilled.is_some());
    assert!(found);
}

#[test]
fn no_insertion_looks_farther_than_it_may() {
    for when_full in [WhenFull::Deny, WhenFull::Allow, WhenFull::EvictLeast] {
        let bench = bench(10_000, when_full, Rate::new(10, 10 * SECOND));
        for i in 0..30_000 {
            bench.ask(&i.to_string(), 1);
        }
        let (_, _, looks) = bench.table.evictions();
        assert!(looks > 0 && looks <= LOOKS_PER_INSERTION, "{when_full:?}: {looks}");
        assert_eq!(bench.table.len(), 10_000);
    }
}

#[test]
fn where_hardly_anybody_has_refilled_few_newcomers_ask_other_stripes() {
    let bench = bench(10_000, WhenFull::EvictLeast, Rate::new(10, HOUR));
    let far = || bench.table.rotor.load(Ordering::SeqCst);
    (0..10_000).for_each(|i| assert!(bench.passes(&format!("resident {i}"))));
    assert_eq!(far(), 0);
    (0..16).for_each(|i| assert!(bench.passes(&format!("first {i}"))));
    assert_eq!(far(), 16, "nobody knows yet that hardly anybody has");
    (0..800).for_each(|i| assert!(bench.passes(&format!("newcomer {i}"))));
    assert_eq!(far(), 16 + 800 / 8, "one in eight goes on asking");
    let (evicted, forgiven, looks) = bench.table.evictions();
    assert_eq!((evicted, forgiven), (816, 816));
    assert!((17..=32).contains(&looks), "{looks} at home and elsewhere");
    bench.advance(HOUR);
    assert!(bench.passes("somebody"));
    assert_eq!(bench.table.evictions().1, 816, "all have refilled, so nobody is forgiven");
    assert_eq!(bench.table.barren.load(Ordering::SeqCst), 0);
    assert_eq!(bench.table.len(), 10_000);
}

#[test]
fn nobody_is_refused_before_other_stripes_were_asked() {
    for when_full in [WhenFull::Deny, WhenFull::Allow] {
        let bench = bench(10_000, when_full, Rate::new(10, HOUR));
        (0..10_000).for_each(|i| assert!(bench.passes(&format!("resident {i}"))));
        (0..100).for_each(|i| assert!(matches!(bench.ask(&format!("newcomer {i}"), 1), Answer::Full(Some(_)))));
        assert_eq!(bench.table.rotor.load(Ordering::SeqCst), 100, "{when_full:?}");
        let (evicted, _, looks) = bench.table.evictions();
        assert!(evicted == 0 && (17..=32).contains(&looks), "{looks} at home and elsewhere");
    }
}

#[test]
fn the_few_who_have_refilled_elsewhere_are_found_in_the_end() {
    // One in a thousand has refilled. Whoever finds one forgives nobody, and all are found before long.
    let bench = bench(10_000, WhenFull::EvictLeast, Rate::new(10, 10 * HOUR));
    (0..10_000).for_each(|i| assert!(bench.passes(&format!("resident {i}"))));
    (0..10_000).filter(|i| i % 1000 != 0).for_each(|i| {
        bench.ask(&format!("resident {i}"), 9);
    });
    bench.advance(HOUR);
    (0..20_000).for_each(|i| {
        bench.ask(&format!("newcomer {i}"), 10);
    });
    let (evicted, forgiven, _) = bench.table.evictions();
    assert_eq!((evicted, evicted - forgiven), (20_000, 10));
}

#[test]
fn every_other_stripe_is_asked_in_its_turn() {
    // All that has refilled is in the stripe before the newcomers' own, which is the last of the round.
    let bench = bench(20_000, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let home = |key: &str| bench.table.seek(key.as_bytes()).home;
    let residents: Vec<String> = (0..20_000).map(|i| format!("resident {i}")).collect();
    assert!(residents.iter().all(|key| bench.passes(key)));
    bench.advance(SECOND);
    assert!(residents.iter().filter(|key| home(key) != 0).all(|key| bench.passes(key)));
    let newcomers = (0..).map(|i| format!("newcomer {i}")).filter(|key| home(key) == 1);
    let passed = newcomers.take(63).filter(|key| bench.passes(key)).count();
    assert_eq!(passed, 2, "it is the second to be asked, and then the first");
    assert_eq!(bench.table.rotor.load(Ordering::SeqCst), 63);
}

#[test]
fn of_two_stripes_the_other_one_is_asked_every_time() {
    let bench = bench(128, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    assert_eq!(bench.table.stripes.len(), 2);
    let home = |key: &str| bench.table.seek(key.as_bytes()).home;
    let residents: Vec<String> = (0..128).map(|i| format!("resident {i}")).collect();
    assert!(residents.iter().all(|key| bench.passes(key)));
    bench.advance(SECOND);
    // All of the one owe something, all of the other have refilled.
    assert!(residents.iter().filter(|key| home(key) == 1).all(|key| bench.passes(key)));
    let newcomers = (0..).map(|i| format!("newcomer {i}")).filter(|key| home(key) == 1);
    assert!(newcomers.take(20).all(|key| bench.passes(&key)));
}

#[test]
fn a_table_of_one_stripe_is_looked_at_once() {
    let bench = bench(20, WhenFull::Deny, Rate::new(10, HOUR));
    (0..20).for_each(|i| assert!(bench.passes(&format!("resident {i}"))));
    assert!(!bench.passes("newcomer"));
    assert_eq!((bench.table.stripes.len(), bench.table.evictions().2), (1, 16));
    assert_eq!(LOOKS_PER_INSERTION, 64);
}

#[test]
fn what_the_table_holds_above_its_bound_is_worked_off() {
    let bench = bench(2, WhenFull::EvictLeast, Rate::new(10, HOUR));
    let pins = ["a", "b", "c", "d"].map(|key| bench.pinned(key, bench.class));
    assert_eq!(bench.table.len(), 4, "nobody who is held goes");
    for pin in pins {
        bench.table.unpin(pin);
    }
    assert!(bench.passes("e"));
    assert_eq!(bench.table.len(), 3);
    assert!(bench.passes("f") && bench.passes("g"));
    assert_eq!(bench.table.len(), 2);
}

#[test]
fn looks_for_what_is_above_the_bound_are_counted_with_those_for_the_newcomer() {
    let bench = bench(1, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    let pins = ["a", "b"].map(|key| bench.pinned(key, bench.class));
    for pin in pins {
        bench.table.unpin(pin);
    }
    bench.advance(SECOND);
    bench.table.most_looks.store(0, Ordering::SeqCst);
    assert!(bench.passes("c"));
    assert_eq!(bench.table.evictions(), (2, 0, 2), "one goes for c, one was too many, each found at once");
}
