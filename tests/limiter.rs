//! The facade, verb by verb: what each answers, charges, makes and counts.

use std::sync::Arc;

use tollbar::{
    Ask, Clock, Decision, Edge, Error, Jail, Limit, Limiter, MAX_KEY_LEN, ManualClock, Migration, NEVER, Outcome, Plan,
    Policy, Rate, Reason, Turn, WhenFull,
};

const SECOND: u64 = 1_000_000_000;
const KEY: &[u8] = b"a";

fn rate(burst: u64) -> Limit {
    Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()
}

fn window(limit: u64) -> Limit {
    Limit::window(limit, 10 * SECOND, Edge::HalfOpen).unwrap()
}

fn of(limits: Vec<Limit>) -> Policy {
    Policy::all(limits).unwrap()
}

/// A limiter of two keys at most that starts at 5 s, and on the wall clock at 7 s.
fn limiter(policy: Policy, when_full: WhenFull) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(5 * SECOND, 7 * SECOND));
    let builder = Limiter::builder(policy).max_keys(2).when_full(when_full).track_created(true);
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

fn usual() -> Arc<Limiter> {
    limiter(of(vec![rate(3)]), WhenFull::Deny).0
}

fn remaining(limiter: &Limiter) -> u64 {
    limiter.peek(KEY, 1).unwrap().remaining
}

#[test]
fn it_takes_what_there_is_and_says_what_is_left() {
    let limiter = usual();
    let wide = limiter.class(of(vec![rate(9)])).unwrap();
    assert!(limiter.try_acquire(KEY, 2).unwrap() && !limiter.try_acquire(KEY, 2).unwrap());
    assert!(limiter.try_acquire_as(b"b", 9, wide).unwrap() && !limiter.try_acquire_as(b"b", 1, wide).unwrap());
    let peeked = limiter.peek(KEY, 2).unwrap();
    assert_eq!((peeked.allowed, peeked.reason, peeked.retry_after_ns), (false, Some(Reason::Rate), SECOND));
    assert_eq!((peeked.remaining, peeked.reset_after_ns, peeked.shadowed), (1, 2 * SECOND, false));
    assert_eq!(peeked.limit.as_deref(), Some("1 per 1 s"));
    assert_eq!(limiter.peek_as(b"unknown", 9, wide).unwrap().remaining, 9);
    let decided = limiter.decide(KEY, 1).unwrap();
    assert_eq!((decided.allowed, decided.reason, decided.retry_after_ns, decided.remaining), (true, None, 0, 0));
    assert_eq!(decided.limit, None);
    assert_eq!(limiter.decide_as(b"b", 10, wide).unwrap().reason, Some(Reason::Never));
    assert_eq!(
        [1, 3, 4].map(|cost| limiter.plan(KEY, cost).unwrap()),
        [Plan::After(SECOND), Plan::After(3 * SECOND), Plan::Never]
    );
}

#[test]
fn many_are_answered_one_by_one_and_counted() {
    let limiter = usual();
    let wide = limiter.class(of(vec![rate(9)])).unwrap();
    assert_eq!(limiter.try_acquire_many(&[KEY, KEY, b"b"], 2).unwrap(), [true, false, true]);
    assert_eq!(limiter.try_acquire_many_as::<&[u8]>(&[b"c"], 5, wide).unwrap(), [false], "the table is full");
    let stats = limiter.stats();
    assert_eq!((stats.allowed, stats.denied, stats.full, stats.keys), (2, 2, 1, 2));
    let roomy = Arc::new(Limiter::builder(of(vec![rate(1)])).build().unwrap());
    let wide = roomy.class(of(vec![rate(9)])).unwrap();
    assert_eq!(roomy.try_acquire_many_as(&[KEY, b"b"], 9, wide).unwrap(), [true, true]);
    assert_eq!(roomy.stats().allowed, 2);
    let shadow = limiter_of_shadow();
    assert_eq!(shadow.try_acquire_many(&[KEY, KEY, KEY], 1).unwrap(), [true; 3]);
    assert_eq!((shadow.stats().allowed, shadow.stats().shadow_denied, shadow.stats().denied), (3, 2, 0));
}

#[test]
fn batches_of_any_size_answer_every_key_of_a_large_table() {
    let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
    let limiter = Limiter::builder(of(vec![rate(2)])).clock(clock).build().unwrap();
    let keys: Vec<String> = (0..8_300).map(|i| format!("key {i}")).collect();
    assert_eq!(limiter.try_acquire_many(&keys, 1).unwrap(), vec![true; keys.len()]);
    let mut rest = &keys[..];
    for size in [0, 1, 31, 32, 33, 64, 100] {
        let (these, others) = rest.split_at(size);
        for passes in [true, false] {
            assert_eq!(limiter.try_acquire_many(these, 1).unwrap(), vec![passes; size], "{size}");
        }
        rest = others;
    }
}

fn limiter_of_shadow() -> Arc<Limiter> {
    limiter(of(vec![rate(1).shadow(true)]), WhenFull::Deny).0
}

#[test]
fn a_shadow_limit_says_what_it_would_have_done() {
    let limiter = limiter_of_shadow();
    assert!(limiter.try_acquire(KEY, 1).unwrap());
    let decided = limiter.decide(KEY, 1).unwrap();
    assert_eq!((decided.allowed, decided.shadowed, decided.reason, decided.retry_after_ns), (true, true, None, 0));
    let counted = limiter.shadow_denied().into_iter().map(|(name, n)| (name.to_string(), n)).collect::<Vec<_>>();
    assert_eq!(counted, [("1 per 1 s".into(), 1)]);
    let Outcome::Denied(denial) = limiter.charge_known(KEY, 1).unwrap() else { panic!("it says so") };
    assert!(denial.shadow && Outcome::Denied(denial).passes());
    let limits = vec![window(9).named("w"), window(1).named("x").shadow(true), window(1).named("y").shadow(true)];
    let (limiter, _) = self::limiter(of(limits), WhenFull::Deny);
    assert!(!limiter.decide(KEY, 1).unwrap().shadowed);
    for _ in 0..2 {
        let decided = limiter.decide(KEY, 1).unwrap();
        assert_eq!((decided.allowed, decided.shadowed, decided.limit.as_deref()), (true, true, Some("x")));
    }
    let counts: Vec<(String, u64)> = limiter.shadow_denied().into_iter().map(|(n, c)| (n.to_string(), c)).collect();
    assert_eq!(counts, [("x".into(), 2), ("y".into(), 2)]);
}

type Counts<Of> = Vec<(Of, u64)>;

/// Counts by limit and by reason, as text.
fn denials(limiter: &Limiter) -> (Counts<String>, Counts<&'static str>) {
    let by_limit = limiter.denied_by_limit().into_iter().map(|(name, n)| (name.to_string(), n)).collect();
    let word = |reason: Option<Reason>| reason.map_or("timeout", Reason::as_str);
    let by_reason: Counts<_> = limiter.denied_by_reason().into_iter().map(|(why, n)| (word(why), n)).collect();
    assert_eq!(limiter.stats().denied, by_reason.iter().map(|(_, n)| n).sum::<u64>());
    (by_limit, by_reason)
}

#[test]
fn denials_are_counted_by_limit_and_by_reason() {
    let (limiter, clock) = limiter(of(vec![window(2).named("w"), rate(3).named("r")]), WhenFull::Deny);
    assert_eq!(denials(&limiter), (vec![], vec![]));
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    assert!(!limiter.try_acquire(KEY, 1).unwrap() && !limiter.decide(KEY, 1).unwrap().allowed);
    assert!(!limiter.try_acquire(KEY, 9).unwrap(), "more than there can ever be");
    clock.advance_ns(u64::cast_signed(10 * SECOND));
    limiter.drain(KEY, 0, Some("r")).unwrap();
    assert!(!limiter.try_acquire_all(&[KEY], 1).unwrap().decision.allowed);
    let late = || Ask::new(1).timeout_ns(Some(1));
    assert!(matches!(limiter.acquire_blocking(KEY, late()).unwrap(), Turn::TooLate(_)));
    limiter.block(KEY, 5 * SECOND).unwrap();
    assert!(!limiter.peek(KEY, 1).unwrap().allowed && !limiter.try_acquire(KEY, 1).unwrap());
    assert!(limiter.try_acquire(b"b", 1).unwrap() && !limiter.try_acquire(b"c", 1).unwrap(), "the table is full");
    let by_limit = vec![("r".into(), 1), ("w".into(), 2)];
    let by_reason = vec![("timeout", 1), ("rate", 1), ("window", 2), ("never", 1), ("full", 1), ("blocked", 1)];
    assert_eq!(denials(&limiter), (by_limit, by_reason));
}

#[test]
fn a_single_limit_counts_its_denials_and_a_closed_one_too() {
    let limiter = usual();
    assert!(limiter.try_acquire(KEY, 3).unwrap() && !limiter.try_acquire(KEY, 1).unwrap());
    assert!(!limiter.try_acquire_many(&[KEY, KEY], 1).unwrap().contains(&true));
    let closed = limiter.class(Policy::closed()).unwrap();
    assert!(!limiter.try_acquire_as(b"b", 1, closed).unwrap());
    let by_limit = vec![("1 per 1 s".into(), 3), ("closed".into(), 1)];
    assert_eq!(denials(&limiter), (by_limit, vec![("rate", 3), ("closed", 1)]));
}

#[test]
fn each_of_many_limits_has_a_count() {
    let limiter = limiter(of(vec![rate(1)]), WhenFull::EvictLeast).0;
    for name in 10_u8..50 {
        let class = limiter.class(of(vec![window(9), rate(1).named(&name.to_string())])).unwrap();
        assert!(limiter.charge_as(&[name], 1, class).unwrap().passes());
        for _ in 0..name {
            assert!(!limiter.try_acquire(&[name], 1).unwrap());
        }
    }
    let by_limit = (10_u8..50).map(|name| (name.to_string(), u64::from(name))).collect();
    assert_eq!(denials(&limiter), (by_limit, vec![("rate", (10..50).sum())]));
}

#[test]
fn several_limits_are_one_answer() {
    let (limiter, clock) = limiter(of(vec![window(2), rate(3)]), WhenFull::Deny);
    assert!(limiter.decide(KEY, 2).unwrap().allowed);
    let denied = limiter.decide(KEY, 1).unwrap();
    assert_eq!((denied.allowed, denied.reason, denied.retry_after_ns), (false, Some(Reason::Window), 10 * SECOND));
    assert_eq!((denied.limit.as_deref(), denied.remaining, denied.shadowed), (Some("2 in 10 s"), 0, false));
    assert_eq!(limiter.decide(KEY, 3).unwrap().reason, Some(Reason::Never));
    let Outcome::Denied(denial) = limiter.charge_known(KEY, 1).unwrap() else { panic!("denied") };
    assert_eq!((denial.reason, denial.retry_after_ns, denial.shadow), (Reason::Window, 10 * SECOND, false));
    assert_eq!(denial.limit().map(Limit::name), Some("2 in 10 s"));
    assert!(!Outcome::Denied(denial).passes() && !Outcome::Unknown.passes() && Outcome::Allowed.passes());
    let Outcome::Denied(never) = limiter.charge_known(KEY, 3).unwrap() else { panic!("denied") };
    assert_eq!((never.reason, never.retry_after_ns), (Reason::Never, NEVER));
    clock.advance_ns(10 * SECOND.cast_signed());
    assert_eq!(limiter.decide(KEY, 1).unwrap().remaining, 1);
}

#[test]
fn accounts_are_found_changed_and_listed() {
    let (limiter, clock) = limiter(of(vec![rate(3)]), WhenFull::Deny);
    assert_eq!((limiter.is_empty(), limiter.len()), (true, 0));
    assert!(!limiter.contains(KEY).unwrap() && !limiter.reset(KEY).unwrap());
    let wide = limiter.class(of(vec![rate(9)])).unwrap();
    assert!(!limiter.reconfigure(KEY, wide, Migration::AsIs).unwrap());
    assert_eq!(
        (remaining(&limiter), limiter.stats().own_limits),
        (9, 1),
        "it has limits of its own before its first sight"
    );
    assert!(!limiter.follow_default(KEY, Migration::AsIs).unwrap());
    assert_eq!((remaining(&limiter), limiter.stats().own_limits), (3, 0));
    assert!(limiter.try_acquire(KEY, 2).unwrap());
    clock.advance_ns(SECOND.cast_signed());
    assert!(limiter.contains(KEY).unwrap() && !limiter.is_empty() && limiter.len() == 1);
    assert_eq!((limiter.created_ns(KEY), limiter.created_ns(b"b")), (Some(7 * SECOND), None));
    let mut listed = Vec::new();
    limiter.for_each(|key, state| listed.push((key.to_vec(), state)));
    let [(key, state)] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((key.as_slice(), state.capacity, state.created_ns), (KEY, 3, Some(7 * SECOND)));
    assert!((state.tokens - 2.0).abs() < 1e-9 && (state.refill_per_second - 1.0).abs() < 1e-9);
    assert!(limiter.reconfigure(KEY, wide, Migration::AsIs).unwrap());
    assert_eq!(remaining(&limiter), 8);
    assert!(limiter.reset(KEY).unwrap());
    assert_eq!(remaining(&limiter), 9);
    assert_eq!(format!("{limiter:?}").matches("keys: 1").count(), 1);
    assert!(matches!(limiter.clock(), Clock::Manual(_)));
}

#[test]
fn what_an_account_without_a_bucket_holds() {
    let (limiter, _) = limiter(Policy::closed(), WhenFull::Deny);
    let open = limiter.class(of(vec![rate(4)]).unlimited()).unwrap();
    limiter.charge_as(KEY, 0, limiter.default_class()).unwrap();
    limiter.charge_as(b"b", 0, open).unwrap();
    let mut held = Vec::new();
    limiter.for_each(|key, state| held.push((key.to_vec(), format!("{:.1} of {}", state.tokens, state.capacity))));
    held.sort();
    assert_eq!(held, [(KEY.to_vec(), "0.0 of 0".into()), (b"b".to_vec(), "4.0 of 4".into())]);
}

#[test]
fn a_handle_keeps_its_account_and_is_its_account() {
    let limiter = usual();
    assert!(limiter.bucket(KEY).unwrap().is_none());
    let class = limiter.default_class();
    let held = limiter.bucket_as(KEY, class).unwrap().unwrap();
    assert!(held.try_acquire(2) && !held.try_acquire(2));
    assert_eq!((held.peek(1).remaining, remaining(&limiter)), (1, 1));
    assert_eq!(limiter.bucket(KEY).unwrap().unwrap().identity(), held.identity());
    assert!(limiter.try_acquire(b"b", 3).unwrap());
    assert!(!limiter.try_acquire(b"c", 1).unwrap(), "neither may go");
    assert_eq!(limiter.stats().evicted, 0);
    assert!(limiter.bucket_as(b"c", class).unwrap().is_none(), "nor for a handle");
    let (open, clock) = self::limiter(of(vec![rate(3)]), WhenFull::Allow);
    let pins = [KEY, b"b"].map(|key| open.bucket_as(key, open.default_class()).unwrap().unwrap());
    let beside = open.bucket_as(b"c", open.default_class()).unwrap().unwrap();
    assert!(beside.try_acquire(3) && !beside.try_acquire(1), "a bucket of its own");
    assert!(!open.contains(b"c").unwrap());
    drop(pins);
    clock.advance_ns(SECOND.cast_signed());
    assert!(open.try_acquire(b"d", 1).unwrap() && open.contains(b"d").unwrap(), "let go, they may go");
}

#[test]
fn one_warning_for_all_that_is_forgiven() {
    let (limiter, _) = limiter(of(vec![rate(3)]), WhenFull::EvictLeast);
    assert!(limiter.try_acquire(KEY, 1).unwrap() && limiter.try_acquire(b"b", 2).unwrap());
    assert!(!limiter.newly_forgiven());
    assert!(limiter.try_acquire(b"c", 1).unwrap());
    assert!(!limiter.contains(KEY).unwrap(), "who owed least");
    assert!(limiter.newly_forgiven() && !limiter.newly_forgiven());
    assert!(limiter.try_acquire(b"d", 1).unwrap() && !limiter.newly_forgiven());
    assert_eq!((limiter.stats().evicted, limiter.stats().forgiven), (2, 2));
}

#[test]
fn a_full_table_says_so() {
    let ask = |when_full| {
        let (limiter, _) = limiter(of(vec![rate(3)]), when_full);
        assert!(limiter.try_acquire(KEY, 1).unwrap() && limiter.try_acquire(b"b", 2).unwrap());
        let decided = limiter.decide(b"c", 1).unwrap();
        let joint = limiter.try_acquire_all(&[KEY, b"c"], 1).unwrap();
        (decided, joint, limiter.stats())
    };
    let is_full = |decision: &Decision, seconds: u64| {
        let shown = (decision.allowed, decision.reason, decision.retry_after_ns, decision.shadowed);
        shown == (false, Some(Reason::Full), seconds * SECOND, false) && decision.limit.is_none()
    };
    let (decided, joint, stats) = ask(WhenFull::Deny);
    assert!(is_full(&decided, 1), "{decided:?}");
    assert!(is_full(&joint.decision, 2) && joint.denied_by == Some(1), "who asks, too, makes no room: {joint:?}");
    assert_eq!((stats.allowed, stats.denied, stats.full), (2, 2, 2));
    let (decided, joint, stats) = ask(WhenFull::Allow);
    assert_eq!((decided.allowed, decided.reason, decided.retry_after_ns, decided.shadowed), (true, None, 0, false));
    assert!(joint.decision.allowed && joint.denied_by.is_none() && joint.decision.remaining == 1);
    let (open, _) = limiter(of(vec![rate(3)]), WhenFull::Allow);
    assert!([KEY, b"b"].iter().all(|key| open.try_acquire(key, 1).unwrap()));
    assert!(open.try_acquire_all(&[b"c", b"d"], 1).unwrap().decision.allowed, "there is no place for any of them");
    assert_eq!((stats.allowed, stats.denied, stats.full), (4, 0, 2));
}

#[test]
fn a_full_table_under_shadow_limits_lets_pass_and_says_what_it_would_have_done() {
    let (limiter, _) = limiter(of(vec![rate(3).shadow(true)]), WhenFull::Deny);
    assert!(limiter.try_acquire(KEY, 1).unwrap() && limiter.try_acquire(b"b", 1).unwrap());
    let decided = limiter.decide(b"c", 1).unwrap();
    assert_eq!((decided.allowed, decided.shadowed, decided.reason, decided.retry_after_ns), (true, true, None, 0));
    assert_eq!((limiter.stats().allowed, limiter.stats().shadow_denied, limiter.stats().full), (3, 1, 1));
}

#[test]
fn joint_answers_name_the_longest_wait() {
    let (limiter, _) = limiter(of(vec![rate(9)]), WhenFull::Deny);
    assert!(limiter.try_acquire(KEY, 9).unwrap() && limiter.try_acquire(b"b", 8).unwrap());
    let both = limiter.try_acquire_all(&[KEY, b"b"], 2).unwrap();
    assert_eq!((both.denied_by, both.decision.retry_after_ns), (Some(0), 2 * SECOND));
    let both = limiter.try_acquire_all(&[b"b", KEY], 2).unwrap();
    assert_eq!((both.denied_by, both.decision.retry_after_ns), (Some(1), 2 * SECOND));
    assert_eq!(both.decision.limit.as_deref(), Some("1 per 1 s"));
    let shadow = self::limiter(of(vec![rate(1).shadow(true)]), WhenFull::Deny).0;
    let first = shadow.try_acquire_all(&[KEY, b"b"], 1).unwrap().decision;
    let again = shadow.try_acquire_all(&[KEY, b"b"], 1).unwrap().decision;
    assert_eq!((first.shadowed, again.shadowed, again.allowed), (false, true, true));
    assert_eq!((first.limit, again.limit.as_deref()), (None, Some("1 per 1 s")));
    assert_eq!((shadow.stats().allowed, shadow.stats().shadow_denied), (2, 1));
    let one = self::limiter(of(vec![rate(1).shadow(true)]), WhenFull::Deny).0;
    assert!(one.try_acquire(KEY, 1).unwrap());
    let limit = one.try_acquire_all(&[KEY, b"b"], 1).unwrap().decision.limit;
    assert_eq!(limit.as_deref(), Some("1 per 1 s"), "that of the first who would have been denied");
    let (mixed, _) = self::limiter(of(vec![rate(1).shadow(true)]), WhenFull::Deny);
    let strict = mixed.class(of(vec![rate(1).named("strict")])).unwrap();
    mixed.charge_as(b"b", 1, strict).unwrap();
    mixed.try_acquire(KEY, 1).unwrap();
    let joint = mixed.try_acquire_all(&[KEY, b"b"], 1).unwrap();
    assert_eq!((joint.denied_by, joint.decision.limit.as_deref()), (Some(1), Some("strict")));
    assert_eq!((joint.decision.allowed, mixed.stats().denied), (false, 1));
}

#[test]
fn a_reservation_is_open_until_it_is_ended() {
    let limiter = usual();
    let held = limiter.reserve(KEY, 2, None, true).unwrap();
    assert!(held.is_granted() && held.is_open() && held.gives_back() && held.decision().allowed);
    assert_eq!((held.cost(), held.key(), held.decision().remaining), (2, KEY, 1));
    let denied = limiter.reserve(KEY, 2, None, false).unwrap();
    assert!(!denied.is_granted() && !denied.is_open() && !denied.gives_back());
    assert!(!denied.commit(None) && !denied.cancel());
    assert!(held.cancel() && !held.is_open() && !held.cancel() && !held.commit(None));
    assert_eq!(remaining(&limiter), 3);
    let held = limiter.reserve(KEY, 2, None, false).unwrap();
    assert!(held.commit(Some(1)) && !held.commit(None));
    assert_eq!(remaining(&limiter), 2);
    drop(limiter.reserve(KEY, 2, None, true).unwrap());
    assert_eq!(remaining(&limiter), 0, "dropped without a word it counts as used");
    let (flights, _) = self::limiter(of(vec![Limit::in_flight(1).unwrap()]), WhenFull::Deny);
    drop(flights.reserve(KEY, 1, None, false).unwrap());
    assert!(flights.reserve(KEY, 1, None, false).unwrap().is_granted(), "and holds nothing any more");
    assert!(matches!(limiter.reserve(KEY, 1, Some(0), true), Err(Error::Invalid { argument: "lease", .. })));
}

#[test]
fn what_was_used_after_it_was_given_back_is_charged_all_the_same() {
    let (limiter, clock) = limiter(of(vec![window(5)]), WhenFull::Deny);
    for (gives_back, left) in [(true, 3), (false, 1)] {
        let late = limiter.reserve(KEY, 2, Some(SECOND), gives_back).unwrap();
        clock.advance_ns(2 * SECOND.cast_signed());
        assert!(!late.commit(None), "its lease was over");
        assert_eq!(remaining(&limiter), left, "and two were used");
    }
}

#[test]
fn timeouts_begin_by_penalties_and_end_by_release() {
    let jail = Limit::jail(Jail::new(2, 10 * SECOND, 100 * SECOND).unwrap()).unwrap();
    let (limiter, _) = limiter(of(vec![window(5)]), WhenFull::Deny);
    let class = limiter.class(of(vec![window(5), jail])).unwrap();
    assert!(!limiter.penalize(b"b").unwrap() && !limiter.penalize(b"b").unwrap(), "no jail");
    assert!(!limiter.penalize_as(KEY, class).unwrap() && limiter.penalize_as(KEY, class).unwrap());
    assert!(limiter.penalize(KEY).unwrap(), "it is known by now");
    assert_eq!(limiter.decide(KEY, 1).unwrap().reason, Some(Reason::Jail));
    assert!(limiter.release(KEY).unwrap() && !limiter.release(KEY).unwrap());
    assert!(limiter.try_acquire(KEY, 1).unwrap());
}

#[test]
fn a_thread_waits_only_where_it_may_come_to_something() {
    let limiter = usual();
    assert!(matches!(limiter.acquire_blocking(KEY, Ask::new(3)).unwrap(), Turn::Come(None)));
    assert!(matches!(limiter.acquire_blocking(KEY, Ask::new(1).timeout_ns(Some(0))).unwrap(), Turn::TooLate(SECOND)));
    assert!(matches!(limiter.acquire_blocking(KEY, Ask::new(4)).unwrap(), Turn::Never));
    let ask = Ask::new(2).holding(None, true).unwrap();
    let Turn::Come(Some(held)) = limiter.acquire_blocking(b"b", ask).unwrap() else { panic!("its turn") };
    assert!(held.is_open() && held.decision().allowed && held.cancel());
    assert_eq!((limiter.stats().allowed, limiter.stats().denied), (2, 2));
    assert!(limiter.try_acquire(b"b", 1).unwrap());
    let ask = Ask::new(1).timeout_ns(Some(0));
    assert!(matches!(limiter.acquire_blocking(b"c", ask).unwrap(), Turn::TooLate(SECOND)), "the table is full");
    let (open, _) = self::limiter(of(vec![rate(3)]), WhenFull::Allow);
    assert!([KEY, b"b"].iter().all(|key| open.try_acquire(key, 1).unwrap()));
    assert!(matches!(open.acquire_blocking(b"c", ask).unwrap(), Turn::Come(_)));
    assert_eq!((open.stats().full, open.stats().allowed), (1, 3));
}

#[test]
fn one_denial_in_an_interval_is_to_be_told() {
    let told = |limits: Vec<Limit>| {
        let clock = Arc::new(ManualClock::new(0, 0));
        let builder = Limiter::builder(of(limits)).max_keys(2).notice_every_ms(Some(1000));
        let limiter = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
        let tell = |key: &[u8]| match limiter.charge_as(key, 1, limiter.default_class()).unwrap() {
            Outcome::Denied(denial) => denial.tell,
            other => panic!("{other:?}"),
        };
        assert!(limiter.try_acquire(KEY, 1).unwrap() && limiter.try_acquire(b"b", 1).unwrap());
        let mut told = vec![tell(KEY), tell(KEY), tell(KEY), tell(b"b"), tell(b"c"), tell(b"d")];
        clock.advance_ns(SECOND.cast_signed());
        told.extend([tell(KEY), tell(KEY), tell(b"b"), tell(b"c")]);
        told
    };
    let rate = Limit::rate(Rate::new(1, 100 * SECOND)).unwrap();
    let expected = [Some(0), None, None, Some(0), Some(0), None, Some(2), None, Some(0), Some(1)];
    assert_eq!(told(vec![rate.clone()]), expected);
    assert_eq!(told(vec![window(1), rate]), expected);
}

// HAZARD keys-refused
#[test]
fn keys_up_to_a_mebibyte_are_keys_and_longer_ones_are_refused() {
    let limiter = usual();
    let longest = vec![b'x'; MAX_KEY_LEN];
    assert!(limiter.try_acquire(&longest, 1).unwrap() && limiter.contains(&longest).unwrap());
    let longer = vec![b'x'; MAX_KEY_LEN + 1];
    assert_eq!(limiter.try_acquire(&longer, 1), Err(Error::KeyTooLong(MAX_KEY_LEN + 1)));
    assert_eq!(limiter.try_acquire_many(&[KEY, &longer], 1), Err(Error::KeyTooLong(MAX_KEY_LEN + 1)));
    assert!(!limiter.contains(KEY).unwrap(), "nothing is charged then");
    for (size, refused) in [(0, true), (1, false), (1 << 25, false), ((1 << 25) + 1, true)] {
        assert_eq!(Limiter::builder(of(vec![rate(1)])).max_keys(size).build().is_err(), refused, "{size}");
    }
}

/// Each key with the seconds at which it is charged and by how much; the table is full then.
fn full_table(limits: Vec<Limit>, own: &[(&[u8], Limit)], charges: &[(&[u8], u64)]) -> Limiter {
    let clock = Arc::new(ManualClock::new(5 * SECOND, 0));
    let builder = Limiter::builder(of(limits)).max_keys(4).when_full(WhenFull::EvictLeast);
    let limiter = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
    for (key, limit) in own {
        let class = limiter.class(of(vec![limit.clone()])).unwrap();
        limiter.reconfigure(key, class, Migration::AsIs).unwrap();
    }
    for &(key, n) in charges {
        clock.advance_ns(SECOND.cast_signed());
        assert!(limiter.try_acquire(key, n).unwrap());
    }
    assert_eq!(limiter.len(), charges.len());
    limiter
}

#[test]
fn the_account_that_has_used_least_of_its_limit_goes_first() {
    // The entries of an exhausted window leave first here, and yet it stays.
    let charges: [(&[u8], u64); 4] = [(b"exhausted", 3), (b"b", 1), (b"c", 2), (b"d", 2)];
    for limit in [window(3), Limit::window_in_steps(3, 10 * SECOND, Edge::HalfOpen, 10).unwrap()] {
        let limiter = full_table(vec![limit], &[], &charges);
        assert!(limiter.try_acquire(b"newcomer", 1).unwrap());
        let known = |key: &[u8]| limiter.contains(key).unwrap();
        assert_eq!([&b"exhausted"[..], b"b", b"c", b"d"].map(known), [true, false, true, true]);
    }
}

#[test]
fn shares_of_different_limits_are_compared() {
    let day = Limit::window(1_000, 86_400 * SECOND, Edge::HalfOpen).unwrap();
    let places = Limit::in_flight(5).unwrap();
    let slow = Limit::rate(Rate::new(100, 86_400 * SECOND)).unwrap();
    let own: [(&[u8], Limit); 2] = [(b"day", day), (b"slow", slow)];
    // What "day" and "slow" owe takes long to leave, and is next to nothing of their limits.
    let limiter = full_table(vec![rate(4), places], &own, &[(b"day", 1), (b"slow", 99), (b"b", 3), (b"exhausted", 4)]);
    assert!(limiter.try_acquire(b"newcomer", 4).unwrap());
    let known = |key: &[u8]| limiter.contains(key).unwrap();
    assert_eq!([&b"day"[..], b"slow", b"b", b"exhausted"].map(known), [false, true, true, true]);
    assert_eq!(limiter.peek(b"day", 1).unwrap().remaining, 1_000, "its own limits outlive its account");
}
