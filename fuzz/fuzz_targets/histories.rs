//! Histories of several limits, as the shared vectors have them: every answer is that of the oracle that keeps every event.
#![no_main]

#[path = "../../tests/brute/mod.rs"]
mod brute;

use brute::Said;
use brute::bench::{Act, Bench, KEYS, Spend};
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
    let (which, limit) = (usize::from(step.key) % 12, usize::from(step.n) / 4 % 8);
    // Half of the requests cost one of the limits something else.
    let spend =
        |each| Spend { each, named: if limit < 4 { vec![(limit, u64::from(step.n) / 32 % 6)] } else { Vec::new() } };
    let lease = (limit != 7).then_some(time);
    match step.call % 22 {
        0..=3 => Act::Pass(time),
        4 => Act::Until { key, cost: spend(n) },
        5..=8 => Act::Charge { key, cost: spend(n) },
        9 | 10 => {
            let keys = (0..=key).map(|at| if step.which { at } else { key - at }).collect();
            Act::All { keys, cost: spend(n) }
        }
        11..=13 => Act::Reserve { key, cost: spend(n), lease, gives_back: step.which },
        14 | 15 => Act::Commit { which, used: step.which.then(|| spend(n + 2)) },
        16 => Act::Cancel { which },
        17 => Act::Renew { which, lease },
        18 => Act::Block { key, length: if step.which { time } else { 0 } },
        19 => Act::Drain { key, to: n, limit: (limit < 4).then_some(limit) },
        20 => {
            let numbers = [0, 2, 4, 6].map(|at| 1 + u64::from(step.time >> at) % 5);
            Act::Renumber { key: step.which.then_some(key), numbers }
        }
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
