//! Limits by the calendar, asked at whole seconds: periods of the wall clock, what a step of it does, other limits meanwhile.

use std::sync::Arc;

use super::super::cold::tests::{SECOND, SECOND_NS, rate, window};
use super::super::cold::{Purpose, Wait};
use super::super::leases::Terms;
use super::*;
use crate::limit::{Migration, Periods};
use crate::policy::Cost;

const S: i64 = SECOND_NS.cast_signed();

/// At most so many in each period that begins at these seconds of the wall clock.
fn calendar(limit: u64, boundaries: &[i64]) -> Limit {
    let moments: Vec<i64> = boundaries.iter().map(|second| second * S).collect();
    Limit::calendar(limit, Arc::new(Periods::new(&moments).unwrap()), "period").unwrap()
}

/// A key whose wall clock is `ahead` seconds ahead of the readings.
struct Bench {
    cold: Cold,
    limits: Vec<Limit>,
    ahead: i64,
}

fn bench(limits: Vec<Limit>, ahead: i64) -> Bench {
    Bench { cold: Cold::fresh(&limits, 0), limits, ahead }
}

impl Bench {
    fn at(&self, second: u64) -> Moment {
        Moment { now: second * SECOND, unix_ns: (second.cast_signed() + self.ahead) * S }
    }

    fn decide(&mut self, second: u64, n: u64, purpose: Purpose) -> (Wait, u64) {
        let moment = self.at(second);
        self.cold.follow_calendars(&self.limits, moment.now, || moment);
        let ruling = self.cold.decide_whole(&self.limits, moment.now, &Cost::new(n), purpose);
        let wait = match ruling.wait {
            Wait::For(ticks) => Wait::For(ticks / SECOND),
            wait => wait,
        };
        (wait, ruling.remaining)
    }

    fn charge(&mut self, second: u64, n: u64) -> bool {
        self.decide(second, n, Purpose::Charge).0 == Wait::Now
    }

    fn wait(&mut self, second: u64, n: u64) -> Wait {
        self.decide(second, n, Purpose::Look).0
    }

    fn left(&mut self, second: u64) -> u64 {
        self.decide(second, 0, Purpose::Look).1
    }

    fn reserve(&mut self, second: u64, n: u64, length_s: u64, gives_back: bool) -> bool {
        let terms = Terms { length: length_s * SECOND, gives_back };
        self.decide(second, n, Purpose::Reserve(second, terms)).0 == Wait::Now
    }

    fn migrate(self, second: u64, new: Vec<Limit>, how: Migration) -> Self {
        let at = self.at(second);
        let cold = self.cold.migrate(&self.limits, &new, at, how);
        Self { cold, limits: new, ahead: self.ahead }
    }

    fn settled(&self, second: u64) -> u64 {
        self.cold.settled(&self.limits, second * SECOND) / SECOND
    }
}

#[test]
fn a_period_ends_when_the_next_one_begins() {
    let mut key = bench(vec![calendar(3, &[1_000, 1_010, 1_040, 1_050])], 1_000);
    assert!(key.charge(2, 2) && !key.charge(2, 2) && key.charge(9, 1));
    assert_eq!((key.wait(9, 1), key.wait(9, 3), key.wait(9, 4)), (Wait::For(1), Wait::For(1), Wait::Never));
    assert_eq!((key.left(9), key.settled(9)), (0, 10));
    assert_eq!((key.left(10), key.settled(10)), (3, 10));
    assert!(key.charge(10, 3));
    assert_eq!((key.wait(10, 1), key.wait(39, 1), key.wait(40, 1)), (Wait::For(30), Wait::For(1), Wait::Now));
    assert!(key.charge(1_000, 3), "after the last boundary the last length repeats");
    assert_eq!(key.wait(1_001, 1), Wait::For(9));
}

#[test]
fn a_reservation_counts_in_the_period_in_which_it_ends() {
    let mut key = bench(vec![calendar(3, &[0, 10, 20])], 0);
    assert!(key.reserve(8, 2, 1_000, true) && key.charge(8, 1));
    assert_eq!(key.wait(9, 1), Wait::For(1), "what was charged leaves with its period");
    assert_eq!((key.left(10), key.wait(10, 2)), (1, Wait::For(998)), "what is reserved stays");
    assert!(key.cold.settle(&key.limits, 8, 12 * SECOND, None));
    assert_eq!((key.left(12), key.wait(12, 2), key.left(20)), (1, Wait::For(8), 3));
    // A lease that ends by itself counts when it ends: seen later, in a period that is over.
    assert!(key.reserve(21, 3, 4, false));
    assert_eq!(key.settled(21), 30, "when that period is over");
    assert!(key.charge(31, 3));
    assert!(key.reserve(41, 3, 14, false));
    assert_eq!(key.wait(42, 1), Wait::For(18), "it ends at 55, its period at 60");
    assert_eq!((key.left(56), key.wait(56, 1), key.left(60)), (0, Wait::For(4), 3));
}

#[test]
fn a_wait_for_a_reservation_is_an_upper_bound() {
    let mut key = bench(vec![calendar(3, &[0, 100, 200])], 0);
    assert!(key.charge(10, 1) && key.reserve(10, 2, 300, true));
    let mut estimated = |n| key.cold.decide(&key.limits, 20 * SECOND, &Cost::new(n), Purpose::Look).estimated;
    assert_eq!([estimated(1), estimated(2), estimated(3)], [true, true, true]);
    assert!(key.cold.cancel(&key.limits, 10, 20 * SECOND));
    let ruling = key.cold.decide(&key.limits, 20 * SECOND, &Cost::new(3), Purpose::Look);
    assert_eq!((ruling.wait, ruling.estimated), (Wait::For(80 * SECOND), false));
}

#[test]
fn a_step_of_the_wall_clock_within_a_period_changes_nothing() {
    let mut key = bench(vec![calendar(1, &[0, 100, 200])], 0);
    assert!(key.charge(20, 1));
    key.ahead = 70;
    assert_eq!(key.wait(50, 1), Wait::For(50), "the end was found at 20");
    assert!(key.charge(100, 1), "and the next one by the wall clock as it is then: 170");
    assert_eq!(key.wait(100, 1), Wait::For(30));
}

#[test]
fn a_wall_clock_set_back_into_a_period_gives_nothing_twice() {
    let mut key = bench(vec![calendar(1, &[0, 100, 200])], 0);
    assert!(key.charge(20, 1));
    key.ahead = -60;
    assert_eq!((key.left(100), key.wait(100, 1)), (0, Wait::For(60)), "it is 40 on the wall clock");
    assert!(!key.charge(159, 1) && key.charge(160, 1));
    // A leap second: the period begins as it was promised, and ends as the wall clock says.
    key.ahead = -61;
    assert!(key.charge(260, 1));
    assert_eq!(key.wait(260, 1), Wait::For(101));
}

// HAZARD clock-back
#[test]
fn a_clock_that_steps_back_locks_nothing_out_for_long() {
    let mut key = bench(vec![calendar(1, &[0, 100, 200])], 0);
    assert!(key.charge(950, 1));
    assert_eq!(key.wait(930, 1), Wait::For(70));
    assert_eq!((key.left(520), key.wait(520, 1)), (0, Wait::For(80)), "it counts in the period of now");
    assert!(key.charge(600, 1));
}

#[test]
fn a_shadow_counts_only_what_it_would_have_let_through() {
    let mut key = bench(vec![calendar(2, &[0, 100]).shadow(true), rate(10, 10)], 0);
    assert!(key.charge(20, 1) && key.charge(20, 2) && key.charge(20, 1));
    assert_eq!(key.cold.remains(0, &key.limits[0], 20 * SECOND), 0);
    assert_eq!(key.left(20), 6);
}

#[test]
fn each_limit_is_charged_by_its_name() {
    let (tokens, requests) = (calendar(500, &[0, 100]).named("tokens"), calendar(2, &[0, 100]).named("requests"));
    let mut key = bench(vec![tokens, requests], 0);
    key.charge(5, 0);
    let cost = Cost::new(1).with([("tokens", 400)]);
    let mut passes = || key.cold.decide(&key.limits, 5 * SECOND, &cost, Purpose::Charge).passes();
    assert_eq!([passes(), passes()], [true, false]);
    assert_eq!((key.cold.remains(0, &key.limits[0], 5 * SECOND), key.left(5)), (100, 1));
    assert!(key.cold.drain(&key.limits, 5 * SECOND, 30, Some("tokens")));
    assert_eq!(key.cold.remains(0, &key.limits[0], 5 * SECOND), 30);
}

#[test]
fn turns_come_a_whole_limit_in_each_period() {
    let mut key = bench(vec![calendar(3, &[0, 10, 40, 50])], 0);
    assert!(key.charge(5, 1));
    let State::Period(counted) = &key.cold.parts[0].state else { panic!("a count") };
    let Rule::Calendar(rule) = &key.limits[0].rule else { panic!("a calendar") };
    let turns = [2, 3, 5, 6, 8, 9, 12].map(|n| counted.through(rule, n) / SECOND);
    assert_eq!(turns, [0, 10, 10, 40, 40, 50, 60]);
}

#[test]
fn other_limits_in_the_same_periods_go_on_with_the_count() {
    let days = |limit| vec![calendar(limit, &[0, 100, 200])];
    for (how, to, left) in [
        (Migration::AsIs, 20, 13),
        (Migration::Proportional, 20, 6),
        (Migration::Reset, 20, 20),
        (Migration::AsIs, 5, 0),
    ] {
        let mut key = bench(days(10), 0);
        assert!(key.charge(30, 7));
        let mut key = key.migrate(40, days(to), how);
        assert_eq!((key.left(40), key.left(100)), (left, to), "{how:?}");
    }
    let of = |limit| vec![calendar(limit, &[0, 100, 200]).named("a day"), window(50, 60)];
    let mut key = bench(of(10), 0);
    key.charge(10, 0);
    let cost = Cost::new(20).with([("a day", 3)]);
    assert!(key.cold.decide(&key.limits, 10 * SECOND, &cost, Purpose::Charge).passes());
    assert_eq!(key.migrate(20, of(20), Migration::AsIs).left(20), 17, "whatever the limit beside it counts");
    let mut same = bench(days(10), 0);
    assert!(same.charge(30, 7));
    let same = same.migrate(40, days(10), Migration::Proportional);
    assert_eq!(same.settled(40), 100);
}

#[test]
fn limits_that_return_remember_their_period() {
    let days = || vec![calendar(10, &[0, 100, 200])];
    let mut key = bench(days(), 0);
    assert!(key.charge(30, 7));
    let mut away = key.migrate(40, vec![rate(100, 100)], Migration::AsIs);
    assert!(away.charge(50, 2) && away.cold.has_dormant());
    assert_eq!(away.settled(50), 100, "the account is kept until then");
    let mut back = away.migrate(60, days(), Migration::AsIs);
    assert_eq!((back.left(60), back.left(100)), (1, 10), "nine were sent meanwhile");
    let mut key = bench(days(), 0);
    assert!(key.charge(30, 7));
    let mut away = key.migrate(40, vec![rate(100, 100)], Migration::AsIs);
    away.charge(130, 1);
    assert!(!away.cold.has_dormant(), "its period is over");
}

#[test]
fn what_other_limits_count_counts_as_asked_for_at_the_change() {
    let month = || vec![calendar(10, &[0, 100, 200])];
    for old in [vec![window(5, 60)], vec![rate(5, 600)], vec![calendar(5, &[30, 60, 90])]] {
        let mut key = bench(old, 0);
        assert!(key.charge(40, 3));
        let mut key = key.migrate(50, month(), Migration::AsIs);
        assert_eq!((key.left(50), key.left(99), key.left(100)), (7, 7, 10));
    }
    let mut key = bench(vec![window(5, 60)], 0);
    assert!(key.charge(40, 3));
    let mut late = key.migrate(50, month(), Migration::AsIs);
    assert_eq!(late.left(150), 10, "met in another period than that of the change");
    let mut key = bench(month(), 0);
    assert!(key.charge(40, 3));
    assert_eq!(key.migrate(50, vec![window(5, 60)], Migration::AsIs).left(50), 2);
}

#[test]
fn a_reservation_that_ended_before_the_change_counts_in_its_period() {
    let days = |limit| vec![calendar(limit, &[0, 100, 200])];
    for (change, left) in [(120, 3), (220, 5)] {
        let mut key = bench(days(4), 0);
        assert!(key.reserve(90, 2, 20, false));
        assert_eq!(key.migrate(change, days(5), Migration::AsIs).left(change), left, "{change}");
    }
}

#[test]
fn a_change_goes_by_the_wall_clock_of_its_moment() {
    let days = || vec![calendar(10, &[0, 100, 200])];
    let mut key = bench(vec![window(5, 60)], 0);
    assert!(key.charge(40, 3));
    let mut key = key.migrate(50, days(), Migration::AsIs);
    key.ahead = 60;
    assert_eq!((key.left(70), key.left(99), key.left(100)), (7, 7, 10), "set forward before the key is met");
    let mut key = bench(days(), 0);
    assert!(key.charge(40, 3));
    assert_eq!(key.migrate(150, vec![calendar(5, &[0, 100, 200])], Migration::AsIs).left(150), 5, "a period later");
}

#[test]
fn a_namesake_that_is_put_back_counts_what_it_did() {
    let day = || calendar(10, &[0, 100, 200]).named("day");
    let month = || calendar(1_000, &[0, 10_000]).named("month");
    let cost = Cost::new(1).with([("month", 300)]);
    let mut key = bench(vec![month(), day()], 0);
    key.charge(20, 0);
    assert!(key.cold.decide(&key.limits, 20 * SECOND, &cost, Purpose::Charge).passes());
    let mut without = key.migrate(30, vec![month()], Migration::AsIs);
    assert!(without.charge(40, 2));
    let mut back = without.migrate(50, vec![month(), day()], Migration::AsIs);
    assert_eq!(back.left(50), 7, "not what the month counts");
    // When its day is over it is not known which of the month's were today.
    let mut without = back.migrate(60, vec![month()], Migration::AsIs);
    assert!(without.charge(110, 1));
    assert_eq!(without.migrate(120, vec![month(), day()], Migration::AsIs).left(120), 0);
}

#[test]
fn another_name_in_the_same_periods_takes_the_count_over() {
    let day = |limit, name: &str| vec![calendar(limit, &[0, 100, 200]).named(name)];
    let mut key = bench(day(10, "a"), 0);
    assert!(key.charge(20, 4));
    let mut other = key.migrate(30, day(12, "b"), Migration::AsIs);
    assert!(other.left(30) == 8 && other.charge(40, 1) && other.cold.has_dormant());
    assert_eq!(other.migrate(50, day(10, "a"), Migration::AsIs).left(50), 5);
    // The count of a limit that was raised and lowered meanwhile is one, and nothing sleeps beside it.
    let mut key = bench(day(10, "a"), 0);
    assert!(key.charge(20, 4));
    for limit in [5, 3, 8, 10] {
        key = key.migrate(30, day(limit, "a"), Migration::AsIs);
    }
    assert_eq!((key.left(30), key.cold.has_dormant()), (6, false));
    // Nor beside itself: a limit that goes dormant twice does so once.
    for _ in 0..3 {
        key = key.migrate(40, vec![rate(100, 100)], Migration::AsIs).migrate(40, day(10, "a"), Migration::AsIs);
    }
    let asleep = key.cold.dormant.iter().filter(|dormant| dormant.limit.is_calendar());
    assert_eq!((asleep.count(), key.left(40)), (1, 6));
}

#[test]
fn a_share_that_was_carried_over_forgets_nothing() {
    let day = |limit, name: &str| vec![calendar(limit, &[0, 100, 200]).named(name)];
    for back in ["a", "d"] {
        let mut key = bench(day(100, "a"), 0);
        assert!(key.charge(20, 70));
        let shared = key.migrate(30, day(50, "b"), Migration::AsIs);
        let mut shared = shared.migrate(30, day(10, "a"), Migration::Proportional);
        assert_eq!(shared.left(30), 0);
        assert_eq!(shared.migrate(30, day(100, back), Migration::AsIs).left(30), 30, "{back}");
    }
}

#[test]
fn what_is_reserved_at_a_change_counts_once() {
    for old in [vec![window(5, 60)], vec![rate(5, 600)], vec![calendar(5, &[30, 60, 90])]] {
        let mut key = bench(old, 0);
        assert!(key.reserve(40, 2, 500, true) && key.charge(41, 1));
        let mut key = key.migrate(50, vec![calendar(10, &[0, 100, 200])], Migration::AsIs);
        assert_eq!((key.left(50), key.left(100)), (7, 8));
    }
}

#[test]
fn a_reservation_counts_in_a_dormant_limit_where_it_ends() {
    let (days, away) = (|| vec![calendar(5, &[0, 100, 200])], || vec![rate(100, 1)]);
    for (settled, returns, left) in [(50, 60, 3), (150, 160, 3), (150, 210, 5), (90, 110, 5)] {
        let mut key = bench(days(), 0);
        assert!(key.reserve(8, 3, 1_000, false));
        let mut key = key.migrate(9, away(), Migration::AsIs);
        assert!(key.charge(30, 0) && key.cold.has_dormant());
        assert!(key.settled(30) >= 1_100, "until the period in which it ends is over");
        key.decide(settled, 0, Purpose::Look);
        assert!(key.cold.settle(&key.limits, 8, settled * SECOND, Some(&Cost::new(2))));
        assert_eq!(key.migrate(returns, days(), Migration::AsIs).left(returns), left, "{settled} {returns}");
    }
    let mut key = bench(days(), 0);
    key.charge(8, 0);
    let endless = Purpose::Reserve(1, Terms::UNTIL_ENDED);
    assert_eq!(key.decide(8, 5, endless).0, Wait::Now);
    assert_eq!((key.wait(110, 1), key.left(110)), (Wait::Open, 0), "whatever period it is");
    let mut key = key.migrate(120, away(), Migration::AsIs).migrate(300, days(), Migration::AsIs);
    assert_eq!((key.wait(300, 1), key.left(300)), (Wait::Open, 0));
}

#[test]
fn a_dormant_limit_weighs_what_it_counts() {
    let mut key = bench(vec![calendar(10, &[0, 100, 200])], 0);
    assert!(key.charge(20, 4));
    let share = |key: &Bench, second| (100.0 * key.cold.share(&key.limits, second * SECOND)).round();
    assert!((share(&key, 20) - 40.0).abs() < 1.0 && share(&key, 100) < 1.0);
    let away = key.migrate(30, vec![rate(100, 1)], Migration::AsIs);
    assert!((share(&away, 30) - 40.0).abs() < 1.0 && share(&away, 100) < 1.0);
}

#[test]
fn a_count_makes_no_key_larger() {
    use crate::limit::Log;
    assert_eq!((size_of::<State>(), size_of::<Counted>()), (size_of::<Log>(), 32));
}
