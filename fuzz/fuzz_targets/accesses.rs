//! Times of accesses in any order, years apart or ticks: no window over the limit, and every answer that of an oracle that forgets
//! nothing.
#![no_main]

#[path = "../../tests/accesses/mod.rs"]
mod accesses;

use std::collections::HashMap;

use accesses::{Answer, Oracle, Rules, ask};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Story {
    limit: u8,
    period: u8,
    lateness: u8,
    jail: Option<(u8, u8, u8, u8)>,
    places: u8,
    start: i64,
    /// Whether times come at most so late, so that the oracle can follow.
    steps: Vec<(u8, i16, u8)>,
}

fuzz_target!(|story: Story| {
    let jail = story.jail.map(|(denials, within, duration, factor)| {
        (
            1 + u64::from(denials % 4),
            1 + u64::from(within % 29),
            1 + u64::from(duration % 39),
            1 + u32::from(factor % 3),
        )
    });
    let (limit, period) = (1 + u64::from(story.limit % 5), 1 + u64::from(story.period % 29));
    let rules = Rules { limit, period, lateness: u64::from(story.lateness % 40), jail };
    let access = rules.limiter().max_clients(1 + usize::from(story.places % 5)).expect("at least one");
    let mut admitted: HashMap<u8, Vec<i64>> = HashMap::new();
    let mut oracles: HashMap<u8, Oracle> = HashMap::new();
    // Far from where times end, where no window fits any more.
    let (mut newest, lateness) = (story.start / 4, i64::from(story.lateness % 40));
    for &(forward, back, client) in story.steps.iter().take(128) {
        newest += i64::from(forward % 8) * if forward & 128 == 0 { 1 } else { 20 };
        let (wild, client) = (story.places & 128 != 0, client % 6);
        let back = if wild { i64::from(back) } else { i64::from(back).rem_euclid(lateness + 1) };
        let at = if forward % 8 == 0 || wild { newest - back } else { newest };
        let answer = ask(&access, client, at);
        if answer == Answer::Allowed {
            let all = admitted.entry(client).or_default();
            all.push(at);
            assert!(rules.is_kept(all), "client {client} at {all:?}");
        }
        if !wild && answer != Answer::Full {
            assert_eq!(answer, oracles.entry(client).or_default().ask(&rules, at), "client {client} at {at}");
        }
    }
});
