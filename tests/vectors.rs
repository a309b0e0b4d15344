//! The shared vectors: the same configuration, times and answers in every language.

use std::sync::Arc;

use serde_json::Value;
use tollbar::{Clock, Limiter, ManualClock, NEVER, Policy, Rate};

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
