//! The shared vectors: the same configuration, times and answers in every language.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tollbar::{Clock, Cost, Edge, Jail, Limit, Limiter, ManualClock, NEVER, Policy, Rate, Reservation};

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
        "closed" => Ok(Limit::closed()),
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

/// The cost of a step: `each`, and those of limits that the field `named` names.
fn cost(step: &Value, each: &str, named: &str) -> Cost {
    let named = step[named].as_object().into_iter().flatten();
    Cost::new(whole(&step[each])).with(named.map(|(name, n)| (name.as_str(), whole(n))))
}

/// Ends a reservation; whether it had not ended before.
fn end(step: &Value, place: &Reservation) -> bool {
    if step["call"] == "cancel" {
        return place.cancel();
    }
    match step["actuals"].as_object() {
        Some(named) if !named.is_empty() => place.commit_costs(&cost(step, "actual", "actuals")).unwrap(),
        _ => place.commit(step["actual"].as_u64()),
    }
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
                assert_eq!(end(step, place), step["ended"] == true, "{step}");
                continue;
            }
            let (key, class) = (step["key"].as_str().unwrap().as_bytes(), limiter.default_class());
            if let "block" | "drain" = call {
                let done = match call {
                    "block" => limiter.block(key, whole(&step["length_ns"])),
                    _ => limiter.drain(key, whole(&step["to"]), step["name"].as_str()),
                };
                assert_eq!(done.unwrap(), step["ended"] == true, "{step}");
                continue;
            }
            let cost = cost(step, "cost", "costs");
            let answer = match call {
                "peek" => limiter.peek_as(key, cost, class).unwrap(),
                "decide" => limiter.decide_as(key, cost, class).unwrap(),
                "all" => {
                    let joint = limiter.try_acquire_all_as(&["a", "b"], cost, |_| class).unwrap();
                    assert_eq!(joint.denied_by.map(|by| by as u64), step["denied_by"].as_u64(), "{step}");
                    joint.decision
                }
                _ => {
                    let (lease, gives_back) = (Some(whole(&step["lease_ns"])), step["lost"] == "returned");
                    let place = limiter.reserve_as(key, cost, lease, gives_back, class).unwrap();
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
    assert!(steps >= 1400, "{steps}");
}
