//! What a limit that is no longer in force makes of reservations.

use super::*;
use crate::account::cold::tests::{SECOND, at, rate, window};
use crate::account::{Purpose, Terms};

const TO_1100: Terms = Terms { length: 1_000 * SECOND, gives_back: false };

/// A key that reserved `n` of these limits at 100 s, until 1,100 s, and is under others since.
fn lowered(old: &[Limit], n: u64, new: &[Limit]) -> Cold {
    let mut cold = Cold::fresh(old, 0);
    assert!(cold.decide(old, 100 * SECOND, &Cost::new(n), Purpose::Reserve(1, TO_1100)).passes());
    cold.migrate(old, new, at(100), Migration::AsIs)
}

/// What is left at a second, of the limit that is put back then.
fn left(cold: Cold, now: &[Limit], back: &[Limit], second: u64) -> u64 {
    let mut cold = cold.migrate(now, back, at(second), Migration::AsIs);
    cold.decide_whole(back, second * SECOND, &Cost::new(1), Purpose::Look).remaining
}

#[test]
fn a_rate_is_charged_once_with_what_a_reservation_used() {
    let (old, new) = ([rate(10, 1_000)], [rate(2, 10)]);
    for (used, remaining) in [(Some(0), 10), (Some(1), 9), (None, 6), (Some(6), 4)] {
        let mut cold = lowered(&old, 4, &new);
        assert!(cold.settle(&new, 1, 100 * SECOND, used.map(Cost::new).as_ref()));
        assert_eq!(left(cold, &new, &old, 100), remaining, "{used:?}");
    }
    // What is reserved meanwhile is charged when it has been used.
    let mut cold = lowered(&old, 4, &new);
    assert!(cold.decide(&new, 120 * SECOND, &Cost::new(1), Purpose::Reserve(2, TO_1100)).passes());
    assert!(cold.settle(&new, 2, 120 * SECOND, None));
    assert_eq!(left(cold, &new, &old, 120), 5);
}

#[test]
fn a_window_counts_a_reservation_that_ends_after_all_else_has_left() {
    let (old, new) = ([window(3, 800)], [window(5, 10)]);
    for (second, remaining) in [(1_899, 1), (1_900, 3)] {
        let mut cold = lowered(&old, 2, &new);
        cold.tidy(&new, 1_200 * SECOND);
        assert_eq!(left(cold, &new, &old, second), remaining);
    }
    // One that is dormant already and reaches back farther holds what the narrower one does.
    let wider = [window(3, 850)];
    let mut cold = Cold::fresh(&wider, 0);
    assert!(cold.decide(&wider, 100 * SECOND, &Cost::new(1), Purpose::Charge).passes());
    cold = cold.migrate(&wider, &old, at(100), Migration::AsIs);
    assert!(cold.decide(&old, 100 * SECOND, &Cost::new(2), Purpose::Reserve(1, TO_1100)).passes());
    cold = cold.migrate(&old, &new, at(100), Migration::AsIs);
    for second in [1_050, 1_200] {
        cold.tidy(&new, second * SECOND);
    }
    assert_eq!(left(cold, &new, &old, 1_899), 1);
}

// HAZARD lease-unnoticed
#[test]
fn when_something_notices_the_end_of_a_reservation_makes_no_difference() {
    // The rate that is no longer in force counts nothing from 500 s on, so it is not there when the second one ends.
    let (old, new) = ([rate(10, 1_000)], [window(5, 10)]);
    for noticed in [vec![], vec![600], vec![1_150], vec![600, 1_150]] {
        let mut cold = lowered(&old, 4, &new);
        assert!(cold.decide(&new, 150 * SECOND, &Cost::new(1), Purpose::Reserve(2, TO_1100)).passes());
        for &second in &noticed {
            cold.tidy(&new, second * SECOND);
        }
        assert_eq!(left(cold, &new, &old, 1_170), 10, "{noticed:?}");
    }
}

#[test]
fn a_limit_that_is_put_back_knows_what_its_namesake_counted_whatever_took_its_place() {
    for limit in [rate(5, 1_000), window(5, 1_000)] {
        let (old, back) = ([limit.clone().named("a"), window(9, 5_000)], [limit.clone().named("a")]);
        let mut cold = Cold::fresh(&old, 0);
        let cost = Cost::new(1).with([("a", 3)]);
        assert!(cold.decide(&old, 100 * SECOND, &cost, Purpose::Charge).passes());
        // Nothing takes over from it; then there is an equal limit of another name, which goes by what cost less.
        let (between, other) = ([Limit::in_flight(9).unwrap()], [limit.named("b")]);
        cold = cold.migrate(&old, &between, at(100), Migration::AsIs);
        cold = cold.migrate(&between, &other, at(100), Migration::AsIs);
        assert_eq!(left(cold, &other, &back, 100), 2);
    }
}

#[test]
fn a_window_that_had_another_name_for_a_while_is_known_by_its_own() {
    let (narrow, wide) = (window(2, 10).named("a"), window(4, 500));
    let old = [narrow.clone(), wide.clone().named("b")];
    let (renamed, alone) = ([narrow.clone(), wide.named("c")], [narrow]);
    let mut cold = Cold::fresh(&old, 0);
    let cost = Cost::new(1).with([("b", 4)]);
    assert!(cold.decide(&old, 100 * SECOND, &cost, Purpose::Charge).passes());
    cold = cold.migrate(&old, &renamed, at(100), Migration::AsIs);
    cold = cold.migrate(&renamed, &alone, at(100), Migration::AsIs);
    assert_eq!(left(cold, &alone, &old, 100), 0);
}

#[test]
fn a_reservation_changes_nothing_of_rates_that_became_one() {
    let mut cold = lowered(&[rate(100, 100_000)], 1, &[rate(1, 10)]);
    let names: Vec<String> = (0..2 * MOST).map(|number| number.to_string()).collect();
    let mut before = [rate(1, 10)];
    for (name, count) in names.iter().zip(1..) {
        let next = [rate(100 + count, 100_000 + 100 * count).named(name)];
        cold = cold.migrate(&before, &next, at(100), Migration::AsIs);
        before = next;
    }
    assert!(cold.cancel(&before, 1, 100 * SECOND));
    let owed = |dormant: &Dormant| dormant.rate().map(|(bucket, tat)| bucket.owed(tat, 100 * SECOND));
    let owed: Vec<u64> = cold.dormant.iter().filter_map(owed).collect();
    assert_eq!((owed.len(), owed.iter().sum()), (MOST, 1), "{owed:?}: the others were given it back");
}
