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
            message(limiter.join_all(&[KEY], Ask::new(1), |_| class, Waker::noop().clone())),
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
fn a_place_is_of_no_other_keys_than_it_was_given_for() {
    let limiter = Limiter::builder(rate(1)).build().map(Arc::new).unwrap();
    let (class, one, waker) = (limiter.default_class(), Ask::new(1), || Waker::noop().clone());
    let [x, y, z] = ["x", "y", "z"];
    for key in [x, y, z] {
        assert!(limiter.try_acquire(key.as_bytes(), 1).unwrap());
    }
    let Turn::Wait(place, _) = limiter.join_all(&[x, y], one, |_| class, waker()).unwrap().turn else { panic!() };
    let Turn::Wait(single, _) = limiter.join(b"x", one, class, waker()).unwrap() else { panic!() };
    for (keys, place) in [(vec![x, z], place), (vec![x], place), (vec![x, y, z], place), (vec![x], single)] {
        let joint = limiter.look_all(&keys, |_| class, place).unwrap();
        assert!(matches!((joint.turn, joint.denied_by), (Turn::Gone, None)), "{keys:?}");
        assert!(!limiter.leave_all(&keys, place).unwrap(), "{keys:?}");
    }
    assert!(matches!(limiter.look(b"x", one, place).unwrap(), Turn::Gone));
    assert!(!limiter.leave(b"x", place).unwrap());
    assert!(matches!(limiter.look_all(&[y, x], |_| class, place).unwrap().turn, Turn::Wait(..)), "in any order");
    assert!(limiter.reset(b"z").unwrap() && limiter.try_acquire(b"z", 1).unwrap(), "nobody waits for z");
    assert!(limiter.leave_all(&[y, x], place).unwrap() && limiter.leave(b"x", single).unwrap());
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
