//! One simulated hour, message by message: what "10,000 an hour" lets through, and what strict does.

use std::sync::Arc;

use tollbar::{Clock, Limiter, ManualClock, Policy, Rate};

const HOUR: u64 = 3_600_000_000_000;

/// Readings at which a request passed, asking every 50 ms for two hours.
fn admissions(rate: Rate) -> Vec<u64> {
    let clock = Arc::new(ManualClock::new(0, 0));
    let limiter = Limiter::builder(Policy::rate(rate).unwrap()).clock(Clock::Manual(clock.clone())).build().unwrap();
    let mut admitted = Vec::new();
    while clock.now_ns() < 2 * HOUR {
        if limiter.try_acquire(b"someone", 1).unwrap() {
            admitted.push(clock.now_ns());
        }
        clock.advance_ns(50_000_000);
    }
    admitted
}

/// The most that passed in any window of an hour, half-open.
fn densest(admitted: &[u64]) -> usize {
    let inside = |&start: &u64| admitted.iter().filter(|&&t| t >= start && t < start + HOUR).count();
    admitted.iter().step_by(97).map(inside).max().unwrap()
}

#[test]
fn a_plain_rate_admits_its_burst_and_the_refill() {
    let admitted = admissions(Rate::new(10_000, HOUR));
    // The closed bound over the first hour: 10,000 + floor(w / 360 ms), w the span of the requests.
    let first_hour = admitted.iter().filter(|&&t| t < HOUR).count() as u64;
    assert_eq!(first_hour, 10_000 + (HOUR - 50_000_000) / 360_000_000);
    assert_eq!(densest(&admitted), 19_999, "nearly twice the limit, as the guarantee says");
}

#[test]
fn a_strict_rate_admits_its_limit_in_every_hour() {
    for burst in [1, 100, 1000, 9999] {
        let admitted = admissions(Rate::new(10_000, HOUR).strict().burst(burst));
        let worst = admitted.windows(10_001).filter(|window| window[10_000] - window[0] < HOUR).count();
        assert_eq!(worst, 0, "burst {burst}: never 10,001 within less than an hour");
        assert!(densest(&admitted) <= 10_000);
        let steady = admitted.iter().filter(|&&t| t >= HOUR).count() as u64;
        let refill = 10_000 - burst;
        assert!(steady <= refill + 1, "burst {burst}: {steady}");
        // A burst of one cannot make up for what falls between two requests.
        assert!(burst == 1 || steady >= refill - 1, "burst {burst}: {steady}");
    }
}
