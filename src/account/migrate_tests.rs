//! Other limits for the same account: what is carried over, and how much of it.

use super::*;
use crate::account::cold::tests::{SECOND, SECOND_NS, at, rate, window};
use crate::account::{Purpose, Terms};
use crate::limit::{Edge, Jail};
use crate::policy::Cost;

/// How many pass one by one at a second.
fn left(cold: &mut Cold, limits: &[Limit], second: u64) -> u64 {
    (0..1_000).take_while(|_| cold.decide(limits, second * SECOND, &Cost::new(1), Purpose::Charge).passes()).count()
        as u64
}

/// An account under `old` that was charged one each at these seconds, under `new` at 100 s.
fn moved(old: &[Limit], charged: &[u64], new: &[Limit], how: Migration) -> Cold {
    let mut cold = Cold::fresh(old, 0);
    for second in charged {
        assert!(cold.decide(old, second * SECOND, &Cost::new(1), Purpose::Charge).passes());
    }
    cold.migrate(old, new, at(100), how)
}

#[test]
fn a_share_is_rounded_up_and_no_more_than_there_is() {
    assert_eq!([scaled(7, 10, 4), scaled(8, 10, 4), scaled(3, 5, 0), scaled(0, 5, 4)], [18, 20, 15, 0]);
    assert_eq!(scaled(u64::MAX, u64::MAX, 1), u64::MAX);
    let owed = Owed { count: 7, of: 10 };
    let carried = |to, how| owed.carried(to, how);
    assert_eq!((carried(20, Migration::AsIs), carried(5, Migration::AsIs)), (7, 7));
    assert_eq!((carried(20, Migration::Proportional), carried(3, Migration::Proportional)), (14, 3));
    assert_eq!(carried(20, Migration::Reset), 0);
}

#[test]
fn a_wider_window_goes_on_with_what_the_old_one_remembers() {
    let (old, new) = ([window(3, 20)], [window(5, 60)]);
    let mut as_is = moved(&old, &[90, 95], &new, Migration::AsIs);
    assert_eq!(left(&mut as_is, &new, 100), 3);
    assert_eq!(left(&mut as_is, &new, 150), 1, "that of 90 has left");
    let mut share = moved(&old, &[90, 95], &new, Migration::Proportional);
    assert_eq!(left(&mut share, &new, 100), 1, "two of three are four of five, rounded up");
    let mut reset = moved(&old, &[90, 95], &new, Migration::Reset);
    assert_eq!(left(&mut reset, &new, 100), 5);
}

#[test]
fn what_a_limit_of_another_kind_counted_counts_as_asked_for_now() {
    let (bucket, counted) = ([rate(10, 10)], [window(4, 10)]);
    let mut narrow = moved(&bucket, &[100, 100, 100], &counted, Migration::AsIs);
    assert_eq!((left(&mut narrow, &counted, 100), left(&mut narrow, &counted, 110)), (1, 4));
    let mut share = moved(&bucket, &[100, 100, 100], &counted, Migration::Proportional);
    assert_eq!(left(&mut share, &counted, 100), 2, "three of ten are two of four, rounded up");
    let mut wide = moved(&counted, &[98, 99, 100], &bucket, Migration::AsIs);
    assert_eq!((left(&mut wide, &bucket, 100), left(&mut wide, &bucket, 101)), (7, 1));
}

#[test]
fn each_of_several_windows_keeps_its_share() {
    for (from, to, left_over) in [((1, 10), (4, 30), 0), ((2, 10), (4, 30), 2), ((4, 10), (4, 60), 3)] {
        let old = [window(from.0, 10), window(from.1, 20)];
        let new = [window(to.0, 10), window(to.1, 20)];
        let mut both = moved(&old, &[100], &new, Migration::Proportional);
        assert_eq!(left(&mut both, &new, 100), left_over, "{from:?} to {to:?}");
    }
}

#[test]
fn each_kind_of_log_is_carried_over_and_one_that_denies_before_one_that_only_counts() {
    let new = [window(3, 10)];
    let in_steps = Limit::window_in_steps(3, 10 * SECOND_NS, Edge::HalfOpen, 10).unwrap();
    for old in [window(3, 10), window(3, 10).shadow(true), in_steps] {
        let mut cold = moved(&[old], &[100, 100], &new, Migration::AsIs);
        assert_eq!(left(&mut cold, &new, 100), 1);
    }
    // The shadow window remembers 50 s and 99 s, the other one 99 s twice; at 150 s that of 50 s would have left.
    let (old, new) = ([window(5, 10), window(2, 60).shadow(true)], [window(5, 100)]);
    let mut cold = moved(&old, &[50, 99, 99], &new, Migration::AsIs);
    assert_eq!(left(&mut cold, &new, 150), 3);
}

#[test]
fn a_limit_takes_over_from_its_namesake() {
    let old = [rate(10, 10).named("a"), rate(100, 10).named("b")];
    for (name, left_over) in [("a", 6), ("b", 9), ("c", 6)] {
        let new = [rate(10, 10).named(name)];
        let mut cold = moved(&old, &[100; 4], &new, Migration::Proportional);
        assert_eq!(left(&mut cold, &new, 100), left_over, "{name}");
    }
}

#[test]
fn what_only_counts_and_what_is_reserved() {
    let bucket = [rate(10, 10)];
    let mut shadow = moved(&[window(4, 10).shadow(true)], &[100, 100], &bucket, Migration::AsIs);
    assert_eq!(left(&mut shadow, &bucket, 100), 10, "a shadow limit owes nothing");
    let counted = [window(4, 10)];
    let mut cold = moved(&counted, &[100], &counted, Migration::AsIs);
    let terms = Terms { length: 1_000 * SECOND, gives_back: true };
    assert!(cold.decide(&counted, 100 * SECOND, &Cost::new(2), Purpose::Reserve(1, terms)).passes());
    let mut cold = cold.migrate(&counted, &bucket, at(100), Migration::AsIs);
    assert_eq!(left(&mut cold, &bucket, 100), 7, "what is reserved is owed");
}

#[test]
fn a_timeout_goes_on_but_after_a_reset() {
    let jail = |duration_s| Limit::jail(Jail::new(1, 10 * SECOND_NS, duration_s * SECOND_NS).unwrap()).unwrap();
    for (how, passes) in [(Migration::AsIs, 0), (Migration::Proportional, 0), (Migration::Reset, 1)] {
        let (old, new) = ([window(1, 2), jail(100)], [window(1, 2), jail(200)]);
        let mut cold = Cold::fresh(&old, 0);
        assert_eq!((left(&mut cold, &old, 94), left(&mut cold, &old, 97)), (1, 0));
        let mut cold = cold.migrate(&old, &new, at(100), how);
        assert_eq!(left(&mut cold, &new, 100), passes, "{how:?}");
    }
}

#[test]
fn what_is_reserved_stays_reserved_and_counts_in_every_limit() {
    let (old, new) = ([rate(10, 10)], [rate(5, 10), Limit::in_flight(2).unwrap()]);
    let mut cold = Cold::fresh(&old, 0);
    let terms = Terms { length: 1_000 * SECOND, gives_back: true };
    assert!(cold.decide(&old, 100 * SECOND, &Cost::new(2), Purpose::Reserve(1, terms)).passes());
    let mut cold = cold.migrate(&old, &new, at(100), Migration::AsIs);
    assert_eq!(left(&mut cold, &new, 100), 0, "two are in flight");
    assert!(cold.cancel(&new, 1, 100 * SECOND));
    assert_eq!(left(&mut cold, &new, 100), 5, "and were given back, as much as they count here");
}

// HAZARD clock-back
#[test]
fn after_a_reset_a_reservation_from_before_it_gives_nothing_back() {
    let limits = [rate(10, 10)];
    let mut cold = Cold::fresh(&limits, 0);
    let terms = Terms { length: 1_000 * SECOND, gives_back: true };
    assert!(cold.decide(&limits, 100 * SECOND, &Cost::new(2), Purpose::Reserve(1, terms)).passes());
    let mut cold = cold.migrate(&limits, &limits, at(100), Migration::Reset);
    assert_eq!(left(&mut cold, &limits, 100), 10);
    assert!(cold.cancel(&limits, 1, 95 * SECOND), "the clock has stepped back");
    assert_eq!(cold.shown_word(), 105 * SECOND, "as empty as it can be");
}

#[test]
fn what_no_old_limit_counts_any_more_is_not_carried_over() {
    let (old, new) = ([window(1, 10)], [window(1, 500)]);
    let mut cold = moved(&old, &[50], &new, Migration::AsIs);
    assert_eq!(left(&mut cold, &new, 100), 1, "nothing has dropped it, and it has left its window");
}
