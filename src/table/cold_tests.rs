//! Accounts that are more than a word among those that are one: who stays, who is looked at, what is told.

use std::task::Waker;

use super::*;
use crate::account::{Asked, Ruling, Terms, Wait};
use crate::table::stripe::CHANGES;
use crate::ticks::PER_NANO;

fn terms(seconds: u64) -> Terms {
    Terms::new(Some(seconds * SECOND), true).unwrap()
}

fn asked(n: u64) -> Request {
    Request {
        asked: Asked { cost: Cost::new(n), class: 0, group: 0, joint: None },
        timeout: None,
        holds: Holds::Nothing,
    }
}

fn ruling(answer: Answer) -> Ruling {
    let Answer::Ruled(ruled) = answer else { panic!("{answer:?}") };
    ruled.ruling
}

impl Bench {
    fn rate(&self, rate: Rate) -> ClassId {
        self.table.intern(Policy::rate(rate).unwrap()).unwrap()
    }

    /// The class of a window.
    fn window(&self, limit: u64, per_s: u64) -> ClassId {
        self.limited_by([Limit::window(limit, per_s * SECOND, Edge::HalfOpen).unwrap()])
    }

    fn reserve(&self, key: &str, n: u64, class: ClassId) -> Answer {
        self.table.reserve(key.as_bytes(), &Cost::new(n), class, terms(1))
    }

    fn join(&self, key: &str, request: Request) -> Joined {
        self.table.join(key.as_bytes(), self.class, request, Waker::noop().clone())
    }

    /// Whether the lock-free path knows the key and lets it pass.
    fn is_taken(&self, key: &str) -> bool {
        self.table.take::<false>(key.as_bytes(), 1).is_ok()
    }
}

#[test]
fn who_holds_a_reservation_or_waits_is_not_forgiven_for_others() {
    let bench = bench(4, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    assert!(bench.table.reserve(b"held", &Cost::new(1), bench.class, terms(7)).is_allowance());
    assert_eq!(bench.exhaust("waited for"), 10);
    assert!(matches!(bench.join("waited for", asked(10)), Joined::Waiting(_)));
    bench.advance(5 * SECOND);
    // Both owe less than any of these does.
    (0..20).for_each(|i| assert!(bench.ask(&i.to_string(), 10).is_allowance()));
    assert!(bench.table.holds(b"held") && bench.table.holds(b"waited for"));
    assert_eq!((bench.table.len(), bench.table.evictions().1), (4, 18));
}

#[test]
fn who_does_not_ask_for_anything_overtakes_nobody() {
    let bench = bench(4, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    bench.exhaust("a");
    assert!(matches!(bench.join("a", asked(1)), Joined::Waiting(_)));
    assert!(ruling(bench.ask("a", 0)).passes());
    bench.advance(SECOND);
    assert_eq!(ruling(bench.ask("a", 1)).wait, Wait::For(1), "behind the one who waits");
}

// HAZARD clock-back
#[test]
fn an_unknown_key_of_several_limits_is_not_fresh_before_the_horizon() {
    let bench = bench(1, WhenFull::EvictLeast, Rate::new(10, 10 * SECOND));
    let window = bench.window(5, 10);
    let charge = |key, n| ruling(bench.charge(key, n, Absent::Create(window), None));
    assert!(charge("a", 5).passes());
    bench.advance(10 * SECOND);
    assert!(charge("b", 1).passes() && !bench.table.holds(b"a"), "a has refilled and goes");
    bench.back(4 * SECOND);
    let until = Wait::For(4 * SECOND * PER_NANO);
    assert_eq!(ruling(bench.table.peek(b"a", &Cost::new(1), window)).wait, until, "a was dropped later than now");
    assert_eq!(charge("a", 1).wait, until);
    assert!(bench.table.holds(b"a"));
    bench.advance(4 * SECOND);
    assert!(charge("a", 5).passes());
}

#[test]
fn a_few_changes_pay_for_a_look_at_another_account() {
    let bench = bench(4, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let window = bench.window(100, 10);
    bench.charge("busy", 1, Absent::Create(window), None);
    assert!(bench.reserve("idle", 1, bench.class).is_allowance());
    bench.advance(2 * SECOND);
    assert!(!bench.is_taken("idle"), "it is more than a word, for all anybody knows");
    // Each of the two has its turn.
    (0..2 * CHANGES).for_each(|_| assert!(ruling(bench.ask("busy", 1)).passes()));
    assert!(bench.is_taken("idle"), "its reservation is over, as was noticed on the way");
}

#[test]
fn only_what_passes_is_reserved() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let window = bench.window(5, 10);
    let lease = |answer| if let Answer::Ruled(ruled) = answer { ruled.lease } else { None };
    assert!(lease(bench.reserve("windowed", 5, window)).is_some());
    let denied = bench.reserve("windowed", 1, window);
    assert!(lease(denied).is_none() && !ruling(denied).passes());

    // Of a word, a no is the word's.
    bench.exhaust("word");
    let denied = bench.reserve("word", 1, bench.class);
    assert!(matches!(denied, Answer::Charged(Charge { verdict: Verdict::Deny(_), notice: None, .. })), "{denied:?}");
    let never = bench.reserve("unknown", 11, bench.class);
    assert!(matches!(never, Answer::Charged(Charge { verdict: Verdict::Never, .. })), "{never:?}");
    assert!(!bench.table.holds(b"unknown"));
}

#[test]
fn where_nothing_limits_nothing_is_held() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let open = bench.limited_by([]);
    let reserved = bench.reserve("open", 1000, open);
    assert!(matches!(reserved, Answer::Charged(Charge { verdict: Verdict::Allow(_), .. })), "{reserved:?}");
    let request = Request { holds: Holds::Always(terms(1)), ..asked(1000) };
    assert_eq!(bench.join("open", request), Joined::Granted(None));
    assert!(matches!(bench.ask("open", 1), Answer::Charged(_)), "it is a word still");
}

#[test]
fn what_only_shadows_limit_is_reserved_whatever_they_say() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let shadow = Policy::rate(Rate::new(10, 10 * SECOND)).unwrap().shadow(true);
    let shadow = bench.table.intern(shadow).unwrap();
    for n in [11, 10, 10] {
        let Answer::Ruled(reserved) = bench.reserve("a", n, shadow) else { panic!("{n} are not reserved") };
        assert!(reserved.ruling.passes() && reserved.lease.is_some());
        assert_eq!(reserved.ruling.shadowed, u16::from(n == 11), "{n}: given back");
        assert!(bench.table.settle(b"a", reserved.lease.unwrap(), Some(&Cost::new(0))));
    }
}

#[test]
fn a_reservation_outlives_any_change_of_policy() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let (wide, open) = (bench.rate(Rate::new(20, 10 * SECOND)), bench.limited_by([]));
    for class in [wide, bench.window(100, 10), open] {
        let Answer::Ruled(reserved) = bench.reserve("a", 4, bench.class) else { panic!("not reserved") };
        assert!(bench.table.configure(b"a", class, Migration::AsIs));
        assert!(bench.table.settle(b"a", reserved.lease.unwrap(), None));
        assert!(bench.table.configure(b"a", bench.class, Migration::Reset));
    }
}

#[test]
fn a_word_that_becomes_more_keeps_its_debt() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let rate = Limit::rate(Rate::new(10, 10 * SECOND)).unwrap();
    let window = Limit::window(100, 10 * SECOND, Edge::HalfOpen).unwrap();
    let both = bench.limited_by([rate, window]);
    assert!(bench.ask("a", 4).is_allowance());
    assert!(bench.table.configure(b"a", both, Migration::AsIs));
    let told = ruling(bench.table.peek(b"a", &Cost::new(1), both));
    assert_eq!((told.wait, told.remaining), (Wait::Now, 6));
    // And from there to a window, which remembers none of it.
    assert!(bench.table.configure(b"a", bench.window(5, 10), Migration::Reset));
    assert_eq!(ruling(bench.table.peek(b"a", &Cost::new(1), both)).remaining, 5);
}

#[test]
fn whoever_wants_to_know_exactly_is_told_by_the_precise_clock() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    bench.advance(SECOND);
    bench.exhaust("a");
    let Err(trace) = bench.table.take::<false>(b"a", 10) else { panic!("it is denied") };
    let now = |answer| match answer {
        Answer::Charged(charge) => charge.now,
        other => panic!("{other:?}"),
    };
    let late = Trace { now: trace.now - 7, ..trace };
    assert_eq!(now(bench.table.charge(b"a", late, 10, Absent::Tell)), trace.now - 7);
    assert_eq!(now(bench.table.charge_otherwise(b"a", late, 10, Absent::Tell, Detail::YesOrNo)), trace.now);
}

#[test]
fn a_pinned_account_is_answered_for_as_one_that_is_sought() {
    let bench = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    bench.advance(1000 * SECOND);
    let (word, windowed) = (bench.pinned("word", bench.class), bench.pinned("windowed", bench.window(5, 10)));
    assert!(ruling(bench.table.charge_pinned(&windowed, 2)).passes());
    let looks = [&word, &windowed].map(|pin| bench.table.look_pinned(pin));
    assert_eq!(looks.map(|look| look.left), [None, Some(3)]);
    assert!(bench.table.charge_pinned(&word, 10).is_allowance());
    // HAZARD clock-back: no longer locked out than an empty bucket would be.
    bench.back(500 * SECOND);
    let denied = bench.table.charge_pinned(&word, 1);
    let Answer::Charged(Charge { verdict: Verdict::Deny(wait), .. }) = denied else { panic!("{denied:?}") };
    assert!(wait <= SECOND * PER_NANO, "{wait}");
}

#[test]
fn denials_of_pinned_accounts_are_not_told() {
    let plan = Plan { max_keys: 9, when_full: WhenFull::Deny, notice_ms: Some(1), track_created: false };
    let quiet = bench(9, WhenFull::Deny, Rate::new(10, 10 * SECOND));
    let table = Table::new(plan, Timeline::starting_now(Clock::Manual(quiet.clock.clone())));
    let bench =
        Bench { class: table.intern(Policy::rate(Rate::new(10, 10 * SECOND)).unwrap()).unwrap(), table, ..quiet };
    let notice = |answer| match answer {
        Answer::Charged(charge) => charge.notice,
        Answer::Ruled(ruled) => ruled.notice,
        other => panic!("{other:?}"),
    };
    bench.advance(1000 * SECOND);
    for (key, class) in [("word", bench.class), ("windowed", bench.window(10, 10))] {
        let pin = bench.pinned(key, class);
        assert!(bench.table.charge_pinned(&pin, 10).is_allowance());
        assert_eq!(notice(bench.ask(key, 1)), Some(0), "{key}");
        bench.advance(SECOND / 1000);
        assert_eq!(notice(bench.table.charge_pinned(&pin, 1)), None, "{key}");
        // What comes through the stripe's lock is not, either.
        bench.back(500 * SECOND);
        assert_eq!(notice(bench.table.charge_pinned(&pin, 1)), None, "{key}");
    }
}
