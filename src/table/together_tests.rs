//! Keys charged together: all or none, and no trace of a no.

use super::*;
use crate::account::Wait;
use crate::limit::Jail;
use crate::ticks::{PER_NANO, RANGE};

impl Bench {
    /// Asks for all of these keys together; whether they pass, and what the first one was told.
    fn together(&self, keys: &[(&str, ClassId)], n: u64) -> (bool, Answer) {
        let keys: Vec<_> = keys.iter().map(|&(key, class)| (key.as_bytes(), class)).collect();
        let Ok(answers) = self.table.charge_all(&keys, &crate::policy::Cost::new(n)) else {
            panic!("there is a place for all")
        };
        (answers.iter().all(Answer::passes), answers[0])
    }
}

#[test]
fn what_was_charged_together_may_go_afterwards() {
    let bench = bench(4, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    let both = [("a", bench.class), ("b", bench.class)];
    assert!(bench.together(&both, 1).0);
    assert!(!bench.together(&both, 10).0);
    (0..20).for_each(|i| assert!(bench.ask(&i.to_string(), 10).is_allowance()));
    assert!(!bench.table.holds(b"a") && !bench.table.holds(b"b"));
    assert_eq!(bench.table.len(), 4);
}

#[test]
fn a_joint_no_leaves_no_trace() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let windowed = bench.limited_by([Limit::window(10, 10 * SECOND, Edge::HalfOpen).unwrap()]);
    for (key, class) in [("word", bench.class), ("windowed", windowed)] {
        assert!(bench.charge(key, 10, Absent::Create(class), None).is_allowance());
        assert!(!bench.together(&[(key, class), ("unknown", bench.class)], 1).0, "{key}");
        assert!(!bench.table.holds(b"unknown"), "{key}");
    }
    assert!(!bench.together(&[("unknown", bench.class), ("other", windowed)], 11).0, "never");
    assert_eq!(bench.table.len(), 2);
}

#[test]
fn a_joint_no_is_counted_where_denials_are() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let jail = Jail::new(3, 10 * SECOND, HOUR).unwrap();
    let jailed = bench.limited_by([Limit::rate(Rate::new(10, 10 * SECOND)).unwrap(), Limit::jail(jail).unwrap()]);
    let keys = [("jailed", jailed), ("free", bench.class)];
    assert!(bench.together(&keys, 10).0);
    assert!(!bench.together(&keys, 11).0, "which no jail counts, for it is a mistake");
    let wait = || match bench.together(&keys, 1) {
        (false, Answer::Ruled(ruled)) => ruled.ruling.wait,
        other => panic!("{other:?}"),
    };
    assert_eq!([wait(), wait()], [Wait::For(SECOND * PER_NANO); 2]);
    assert_eq!(wait(), Wait::For(HOUR * PER_NANO), "the third one");
}

// HAZARD clock-back
#[test]
fn together_too_nobody_is_locked_out_by_a_step_of_the_clock() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    bench.advance(1000 * SECOND);
    bench.exhaust("a");
    bench.back(500 * SECOND);
    let both = [("a", bench.class), ("b", bench.class)];
    let (passes, Answer::Charged(told)) = bench.together(&both, 1) else { panic!("a word's answer") };
    assert!(!passes && told.verdict == Verdict::Deny(SECOND * PER_NANO), "{told:?}");
    bench.advance(SECOND);
    assert!(bench.together(&both, 1).0, "though nobody asked for the one alone meanwhile");
}

// HAZARD clock-forward
#[test]
fn together_too_nothing_passes_where_time_ends() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    bench.advance(RANGE / PER_NANO - SECOND);
    let (passes, Answer::Charged(told)) = bench.together(&[("a", bench.class), ("b", bench.class)], 2) else {
        panic!("a word's answer")
    };
    assert!(!passes && told.verdict == Verdict::Deny(SECOND * PER_NANO), "{told:?}");
}
