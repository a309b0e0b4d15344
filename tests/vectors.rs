//! The shared vectors: the same configuration, times and answers in every language.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tollbar::{Clock, Edge, Jail, Limit, Limiter, ManualClock, NEVER, Policy, Rate, Reservation};

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn rate(told: &Value) -> Rate {
    let mut rate = Rate::new(whole(&told["limit"]), whole(&told["per_ns"]));
    if let Some(burst) = told.get("burst") {
        rate = rate.burst(whole(burst));
    }
    if told.get("strict").is_some_and(|strict| strict == true) {
        rate = rate.strict();
    }
    rate
}

#[test]
fn every_answer_is_the_one_that_is_written_down() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/rate.json")).unwrap();
    let mut steps = 0;
    for vector in vectors.as_array().unwrap() {
        let clock = Arc::new(ManualClock::new(0, 0));
        let builder = Limiter::builder(Policy::rate(rate(&vector["rate"])).unwrap());
        let limiter = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
        for step in vector["steps"].as_array().unwrap() {
            clock.advance_ns(whole(&step["advance_ns"]).cast_signed());
            let (key, cost) = (step["key"].as_str().unwrap().as_bytes(), whole(&step["cost"]));
            let answer = match step["call"].as_str().unwrap() {
                "peek" => limiter.peek(key, cost),
                _ => limiter.decide(key, cost),
            };
            let answer = answer.unwrap();
            let wait = step["retry_after_ns"].as_u64().unwrap_or(NEVER);
            assert_eq!(answer.allowed, step["allowed"] == true, "{}: {step}", vector["rate"]);
            assert_eq!(answer.reason.map(tollbar::Reason::as_str), step["reason"].as_str(), "{step}");
            assert_eq!(answer.retry_after_ns, wait, "{}: {step}", vector["rate"]);
            assert_eq!(answer.remaining, whole(&step["remaining"]), "{}: {step}", vector["rate"]);
            assert_eq!(answer.reset_after_ns, whole(&step["reset_after_ns"]), "{}: {step}", vector["rate"]);
            steps += 1;
        }
    }
    assert!(steps >= 400, "{steps}");
}

fn limit(told: &Value) -> Limit {
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    let edge = if text("edge") == "closed" { Edge::Closed } else { Edge::HalfOpen };
    let limit = match text("kind") {
        "rate" => Limit::rate(rate(told)),
        "in_flight" => Limit::in_flight(whole(&told["limit"])),
        "jail" => {
            let jail =
                Jail::new(whole(&told["denials"]), whole(&told["within_ns"]), whole(&told["duration_ns"])).unwrap();
            Limit::jail(jail.escalating(told["factor"].as_f64().unwrap(), None).unwrap())
        }
        _ => match told.get("steps") {
            None => Limit::window(whole(&told["limit"]), whole(&told["per_ns"]), edge),
            Some(steps) => Limit::window_in_steps(whole(&told["limit"]), whole(&told["per_ns"]), edge, whole(steps)),
        },
    };
    limit.unwrap().named(text("name")).shadow(told.get("shadow").is_some_and(|shadow| shadow == true))
}

#[test]
fn several_limits_answer_as_is_written_down() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/limits.json")).unwrap();
    let mut steps = 0;
    for vector in vectors.as_array().unwrap() {
        let clock = Arc::new(ManualClock::new(0, 0));
        let policy = Policy::all(vector["limits"].as_array().unwrap().iter().map(limit)).unwrap();
        let limiter = Arc::new(Limiter::builder(policy).clock(Clock::Manual(clock.clone())).build().unwrap());
        let mut places = HashMap::new();
        for step in vector["steps"].as_array().unwrap() {
            steps += 1;
            clock.advance_ns(whole(&step["advance_ns"]).cast_signed());
            let call = step["call"].as_str().unwrap();
            if let "commit" | "cancel" = call {
                let place: &Reservation = &places[&whole(&step["reservation"])];
                let ended = if call == "cancel" { place.cancel() } else { place.commit(step["actual"].as_u64()) };
                assert_eq!(ended, step["ended"] == true, "{step}");
                continue;
            }
            let (key, cost) = (step["key"].as_str().unwrap().as_bytes(), whole(&step["cost"]));
            let answer = match call {
                "peek" => limiter.peek(key, cost).unwrap(),
                "decide" => limiter.decide(key, cost).unwrap(),
                _ => {
                    let place =
                        limiter.reserve(key, cost, Some(whole(&step["lease_ns"])), step["lost"] == "returned").unwrap();
                    let decision = place.decision().clone();
                    places.insert(whole(&step["reservation"]), place);
                    decision
                }
            };
            assert_eq!(answer.allowed, step["allowed"] == true, "{step}");
            assert_eq!(answer.reason.map(tollbar::Reason::as_str), step["reason"].as_str(), "{step}");
            assert_eq!(answer.retry_after_ns, step["retry_after_ns"].as_u64().unwrap_or(NEVER), "{step}");
            assert_eq!(answer.limit.as_deref(), step["limit"].as_str(), "{step}");
            assert_eq!(answer.shadowed, step["shadowed"] == true, "{step}");
            assert_eq!(answer.remaining, whole(&step["remaining"]), "{step}");
        }
    }
    assert!(steps >= 800, "{steps}");
}
