//! Histories of several limits, as the shared vectors have them: every answer is that of the oracle that keeps every event.
#![no_main]

#[path = "../../tests/brute/mod.rs"]
mod brute;

use brute::Said;
use brute::bench::{Act, Bench, KEYS};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tollbar::Edge;

#[derive(Arbitrary, Debug)]
struct Limit {
    kind: u8,
    a: u8,
    b: u8,
    c: u8,
    shadow: bool,
}

#[derive(Arbitrary, Debug)]
struct Step {
    call: u8,
    key: u8,
    n: u8,
    time: u8,
    which: bool,
}

#[derive(Arbitrary, Debug)]
struct History {
    limits: Vec<Limit>,
    steps: Vec<Step>,
}

/// Times that often meet each other, and now and then just miss.
fn time(told: u8, most: u64) -> u64 {
    let units = 100 * (1 + u64::from(told) % most);
    match told % 10 {
        8 => units - 1,
        9 => units + 1,
        _ => units,
    }
}

fn said(told: &Limit) -> (Said, bool) {
    let (few, some) = (1 + u64::from(told.a) % 5, 1 + u64::from(told.c) % 5);
    let said = match told.kind % 8 {
        0 | 1 => Said::Rate { emission: 100 * (1 + u64::from(told.b) % 14), burst: few },
        2 | 3 => Said::Window { limit: few, width: time(told.b, 39), edge: Edge::HalfOpen },
        4 => Said::Window { limit: few, width: time(told.b, 39), edge: Edge::Closed },
        5 => Said::Steps { limit: few, step: time(told.b, 7), steps: some },
        6 => Said::InFlight { limit: few },
        _ => {
            let (duration, more) = (time(told.b, 29), time(told.c, 59));
            let (within, factor) = (time(told.a ^ told.c, 29), 1 + u32::from(told.c) % 3);
            Said::Jail { denials: 1 + few % 3, within, duration, factor, longest: duration + more }
        }
    };
    (said, told.shadow && told.kind & 64 != 0)
}

fn act(step: &Step) -> Act {
    let (key, n, time) = (usize::from(step.key) % KEYS, u64::from(step.n) % 4, time(step.time, 79));
    match step.call % 16 {
        0..=3 => Act::Pass(time),
        4..=7 => Act::Charge { key, n },
        8 => Act::All { keys: (0..=key).map(|at| if step.which { at } else { key - at }).collect(), n: n.max(1) },
        9..=11 => Act::Reserve { key, n, lease: time, gives_back: step.which },
        12 | 13 => Act::Commit { which: usize::from(step.key) % 12, used: step.which.then_some(n + 2) },
        14 => Act::Cancel { which: usize::from(step.key) % 12 },
        _ => Act::Release { key },
    }
}

fuzz_target!(|history: History| {
    let limits: Vec<_> = history.limits.iter().take(4).map(said).collect();
    if limits.is_empty() {
        return;
    }
    let mut bench = Bench::new(&limits);
    for step in history.steps.iter().take(64) {
        bench.act(act(step));
    }
});
