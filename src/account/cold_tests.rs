//! Accounts of many limits, one rule at a time: what each remembers, and what a step of the clock leaves of it.

use super::*;
use crate::clock::Moment;
use crate::limit::{Edge, Jail, Rate};
use crate::ticks::PER_NANO;

pub(in crate::account) const SECOND_NS: u64 = 1_000_000_000;
pub(in crate::account) const SECOND: Ticks = SECOND_NS * PER_NANO;

/// A moment at a whole second.
pub(in crate::account) fn at(second: u64) -> Moment {
    Moment { now: second * SECOND, unix_ns: (second * SECOND_NS).cast_signed() }
}

pub(in crate::account) fn rate(limit: u64, per_s: u64) -> Limit {
    Limit::rate(Rate::new(limit, per_s * SECOND_NS)).unwrap()
}

pub(in crate::account) fn window(limit: u64, per_s: u64) -> Limit {
    Limit::window(limit, per_s * SECOND_NS, Edge::HalfOpen).unwrap()
}

fn in_steps(limit: u64, per_s: u64) -> Limit {
    Limit::window_in_steps(limit, per_s * SECOND_NS, Edge::HalfOpen, per_s).unwrap()
}

fn jail(denials: u64, within_s: u64, duration_s: u64) -> Limit {
    Limit::jail(Jail::new(denials, within_s * SECOND_NS, duration_s * SECOND_NS).unwrap()).unwrap()
}

/// An account with its limits, asked at whole seconds.
struct Bench {
    cold: Cold,
    limits: Vec<Limit>,
}

fn bench(limits: Vec<Limit>) -> Bench {
    Bench { cold: Cold::fresh(&limits, 0), limits }
}

impl Bench {
    fn decide(&mut self, second: u64, n: u64, purpose: Purpose) -> Ruling {
        self.cold.decide_whole(&self.limits, second * SECOND, &Cost::new(n), purpose)
    }

    fn wait(&mut self, second: u64, n: u64) -> Wait {
        self.decide(second, n, Purpose::Look).wait
    }

    fn charge(&mut self, second: u64, n: u64) -> bool {
        self.decide(second, n, Purpose::Charge).passes()
    }

    fn reserve(&mut self, second: u64, n: u64, length_s: u64, gives_back: bool) -> bool {
        let terms = Terms { length: length_s * SECOND, gives_back };
        self.decide(second, n, Purpose::Reserve(second, terms)).passes()
    }

    /// From when on it equals an account never seen, in seconds.
    fn settled(&self, second: u64) -> f64 {
        self.cold.settled(&self.limits, second * SECOND) as f64 / SECOND as f64
    }
}

fn near(seconds: f64, expected: f64) -> bool {
    (seconds - expected).abs() < 1e-6
}

#[test]
fn an_account_is_settled_when_no_limit_remembers_it() {
    let mut bucket = bench(vec![rate(10, 10)]);
    assert!(bucket.charge(100, 3) && near(bucket.settled(100), 103.0));
    assert_eq!(bucket.decide(100, 1, Purpose::Look).reset_after, 3 * SECOND);
    let mut counted = bench(vec![window(3, 10)]);
    assert!(counted.charge(100, 1) && near(counted.settled(100), 110.0));
    assert!(counted.reserve(104, 1, 5, false), "counts as sent at 109, and leaves 10 s later");
    assert!(near(counted.settled(104), 119.0));
    assert!(counted.reserve(105, 1, 20, true), "is given back at 125");
    assert!(near(counted.settled(105), 125.0));
    let mut jailed = bench(vec![window(1, 10), jail(1, 10, 100)]);
    assert!(jailed.charge(100, 1) && !jailed.charge(101, 1));
    assert!(near(jailed.settled(101), 301.0), "released at 201, and the strike is forgotten a duration later");
}

#[test]
fn nobody_overtakes_and_nobody_is_told_to_come_sooner_than_alone() {
    let ruling = Ruling {
        wait: Wait::Now,
        by: None,
        blocked: false,
        estimated: false,
        shadowed: 0,
        remaining: 5,
        reset_after: 9,
    };
    let limits = [rate(1, 1).shadow(true), rate(2, 1), window(1, 1)];
    let behind = Ruling { wait: Wait::For(1), by: Some(1), remaining: 0, ..ruling };
    assert_eq!(ruling.behind_others(&limits), behind, "a shadow limit delays no request");
    let denied = Ruling { wait: Wait::For(7), by: Some(2), ..ruling };
    assert_eq!(denied.behind_others(&limits), Ruling { remaining: 0, ..denied });
}

#[test]
fn it_is_a_word_again_when_nothing_is_reserved() {
    let limits = vec![rate(10, 10)];
    let mut one = Bench { cold: Cold::of_word(&limits, 77), limits };
    assert_eq!((one.cold.word(), one.cold.shown_word()), (Some(77), 77));
    assert!(one.reserve(100, 2, 5, true));
    assert_eq!((one.cold.word(), one.cold.shown_word()), (None, 102 * SECOND));
}

#[test]
fn a_cost_of_nothing_changes_nothing() {
    let limits = vec![rate(10, 10)];
    let mut one = Bench { cold: Cold::of_word(&limits, 77), limits };
    assert!(one.charge(100, 0));
    assert_eq!(one.cold.shown_word(), 77);
}

// HAZARD clock-back
#[test]
fn a_step_of_the_clock_leaves_nothing_in_the_future() {
    let limits = vec![rate(10, 10)];
    let mut bucket = Bench { cold: Cold::of_word(&limits, 1_000 * SECOND), limits };
    assert_eq!(bucket.wait(5, 1), Wait::For(SECOND));
    assert_eq!(bucket.cold.shown_word(), 15 * SECOND, "as empty as it can be");
    let mut shadow = bench(vec![window(1, 10).shadow(true)]);
    assert!(shadow.charge(1_000, 1));
    assert_eq!([5, 14, 15].map(|at| shadow.decide(at, 1, Purpose::Look).shadowed), [1, 1, 0]);
    let mut jailed = bench(vec![window(1, 10), jail(1, 10, 100)]);
    assert!(jailed.charge(1_000, 1) && !jailed.charge(1_001, 1));
    assert_eq!(jailed.wait(5, 1), Wait::For(100 * SECOND));
}

#[test]
fn what_was_forgotten_is_not_asked_about_again() {
    // Two stamps at 0 s and 1 s are dropped at 20 s. Whoever asks at 12 s after that is told to come back at 20 s.
    let forgetful = |limits| {
        let mut bench = bench(limits);
        assert!(bench.charge(0, 1) && bench.charge(1, 1));
        bench
    };
    for limits in [vec![window(2, 10)], vec![in_steps(2, 10)]] {
        let mut once = bench(limits.clone());
        assert!(once.charge(20, 1));
        assert_eq!(once.wait(12, 1), Wait::Now, "nothing was forgotten");
        let mut charged = forgetful(limits.clone());
        assert!(charged.charge(20, 1));
        assert_eq!(charged.wait(12, 1), Wait::For(8 * SECOND));
        let mut committed = forgetful(limits);
        assert!(committed.reserve(20, 1, 100, false));
        assert_eq!(committed.wait(12, 1), Wait::Now, "nothing was forgotten yet");
        assert!(committed.cold.settle(&committed.limits, 20, 20 * SECOND, None));
        assert_eq!(committed.wait(12, 1), Wait::For(8 * SECOND));
    }
}

#[test]
fn penalties_count_as_denials_and_a_shadow_jail_holds_nobody() {
    let mut jailed = bench(vec![window(5, 10), jail(2, 10, 100)]);
    let penalize = |bench: &mut Bench, second| bench.cold.penalize(&bench.limits, second * SECOND);
    assert!(!penalize(&mut jailed, 100) && jailed.charge(100, 1));
    assert!(penalize(&mut jailed, 101) && penalize(&mut jailed, 102), "and it is in there still");
    assert_eq!(jailed.wait(103, 1), Wait::For(98 * SECOND), "which made it no longer");
    assert!(jailed.cold.release(&jailed.limits, 103 * SECOND) && jailed.charge(103, 1));
    let mut shadow = bench(vec![window(5, 10), jail(1, 10, 100).shadow(true)]);
    assert!(!penalize(&mut shadow, 100) && shadow.charge(100, 1));
}

#[test]
fn who_is_tidied_up_remembers_only_what_counts() {
    let mut one = bench(vec![in_steps(2, 10), window(2, 10).shadow(true)]);
    assert!(one.charge(1, 1));
    one.cold.tidy(&one.limits, 9 * SECOND);
    assert!(one.cold.parts.iter().all(|part| one.cold.stamps(part).last().is_some()));
    one.cold.tidy(&one.limits, 100 * SECOND);
    assert!(one.cold.parts.iter().all(|part| one.cold.stamps(part).last().is_none()));
}

#[test]
fn sums_of_what_is_held_do_not_overflow() {
    let all = || bench(vec![window(5, 10).shadow(true), jail(1, 10, 100)]);
    let mut one = all();
    assert!(one.reserve(100, u64::MAX, 50, false) && one.reserve(101, u64::MAX, 50, false), "nothing denies");
    assert!(one.reserve(102, 2, 60, false), "ends last, and leaves room");
    let limits = vec![window(5, 10)];
    let cold = one.cold.migrate(&one.limits, &limits, at(102), crate::limit::Migration::AsIs);
    let mut two = Bench { cold, limits };
    assert_eq!(two.wait(102, 1), Wait::For(59 * SECOND), "both count as sent when they end, at 150 s and 151 s");
    assert!(two.cold.cancel(&two.limits, 100, 103 * SECOND));
    assert_eq!(two.wait(103, 1), Wait::For(58 * SECOND), "the other one fills the window still");
    assert!(two.cold.cancel(&two.limits, 101, 104 * SECOND));
    assert_eq!(two.wait(104, 1), Wait::Now);
}
