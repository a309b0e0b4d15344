//! Arguments that cannot be right are errors that say so, and charge nothing.

use std::sync::Arc;
use std::task::Waker;

use tollbar::{Ask, Edge, Error, Jail, Limit, Limiter, Migration, Policy, Rate, Turn};

const HOUR: u64 = 3_600_000_000_000;
const KEY: &[u8] = b"a";

fn rate(limit: u64) -> Policy {
    Policy::rate(Rate::new(limit, HOUR)).unwrap()
}

fn limiter() -> Arc<Limiter> {
    let jail = Limit::jail(Jail::new(1, HOUR, HOUR).unwrap()).unwrap();
    let policy = Policy::all([Limit::rate(Rate::new(5, HOUR)).unwrap(), jail]).unwrap();
    Arc::new(Limiter::builder(policy).build().unwrap())
}

fn message<T>(result: Result<T, Error>) -> String {
    result.err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn another_limiters_class_is_an_error_at_every_entry() {
    let (limiter, other) = (limiter(), limiter());
    // One whose number is known here, where it names another policy, and one whose number is not.
    let more: Vec<_> = (1..100).map(|limit| other.class(rate(limit)).unwrap()).collect();
    for class in [other.default_class(), more[0], more[98]] {
        let said = [
            message(limiter.try_acquire_as(KEY, 1, class)),
            message(limiter.decide_as(KEY, 1, class)),
            message(limiter.peek_as(KEY, 1, class)),
            message(limiter.try_acquire_many_as(&[KEY], 1, class)),
            message(limiter.try_acquire_all_as(
                &[KEY, b"b"],
                1,
                |at| if at == 0 { limiter.default_class() } else { class },
            )),
            message(limiter.charge_as(KEY, 1, class)),
            message(limiter.bucket_as(KEY, class)),
            message(limiter.reserve_as(KEY, 1, None, true, class)),
            message(limiter.reconfigure(KEY, class, Migration::AsIs)),
            message(limiter.penalize_as(KEY, class)),
            message(limiter.join(KEY, Ask::new(1), class, Waker::noop().clone())),
        ];
        let wanted = "class must be one of this limiter, not one of another limiter";
        assert!(said.iter().all(|said| said == wanted), "{said:?}");
    }
    assert_eq!((limiter.len(), limiter.stats().allowed, limiter.stats().denied), (0, 0, 0));
    let own = limiter.class(rate(7)).unwrap();
    assert_eq!(limiter.peek_as(KEY, 0, own).unwrap().remaining, 7);
    assert_eq!(limiter.class(rate(7)).unwrap(), own);
}

#[test]
fn a_priority_beyond_127_is_an_error() {
    assert_eq!(message(Ask::new(1).priority(200)), "priority must be at most 127, not 200");
    assert_eq!(message(Ask::new(1).priority(128)), "priority must be at most 127, not 128");
    let last = Ask::new(1).priority(127).unwrap();
    let limiter = limiter();
    let turn = limiter.join(KEY, last, limiter.default_class(), Waker::noop().clone()).unwrap();
    assert!(matches!(turn, Turn::Come(None)));
}

#[test]
fn only_a_policy_of_one_limit_is_named() {
    let window = Limit::window(1, HOUR, Edge::HalfOpen).unwrap();
    let both = Policy::all([Limit::rate(Rate::new(1, HOUR)).unwrap(), window]).unwrap();
    let rule = "limits must be exactly one to be named through the policy (name each with Limit::named)";
    assert_eq!(message(both.named("x")), format!("{rule}, not 2"));
    assert_eq!(message(Policy::all([]).unwrap().named("x")), format!("{rule}, not 0"));
    assert_eq!(rate(1).named("x").unwrap().name(), "x");
}
