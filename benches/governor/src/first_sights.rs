//! First sights: keys that no table knows yet, each timed by itself.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tollbar::{Clock, Limiter, ManualClock, Policy, Rate, WhenFull};

use crate::Extent;
use crate::keys::{KEY_LENGTH, write_key};
use crate::numbers::{median, quantile};
use crate::sides::{self, Side};

const HOUR_NS: u64 = 3_600_000_000_000;

/// A table of refilled accounts is replaced in so many parts: at least nine of ten can go at any time.
const PARTS: u32 = 10;

/// What the report says about single calls, by its name in it: quantiles in ten-thousandths.
const QUANTILES: [(&str, usize); 5] =
    [("median", 5_000), ("p99", 9_900), ("p99_9", 9_990), ("p99_99", 9_999), ("max", 10_000)];

/// Nanoseconds of each call; reading the clock is in all of them.
fn timed<T>(numbers: Range<u32>, mut decide: impl FnMut(&String) -> T) -> Vec<u32> {
    // Filled, so that no call is charged with the memory of what is written down about it.
    let mut spent = vec![1; numbers.len()];
    let mut key = String::with_capacity(KEY_LENGTH);
    for (number, spent) in numbers.zip(&mut spent) {
        write_key(&mut key, number);
        let begun = Instant::now();
        black_box(decide(black_box(&key)));
        *spent = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
    }
    spent
}

/// The median of each quantile over the repeats, but the slowest call of all.
fn quantiles(mut repeats: Vec<Vec<u32>>) -> Value {
    for spent in &mut repeats {
        spent.sort_unstable();
    }
    let over = |per_10_000| repeats.iter().map(|spent| f64::from(quantile(spent, per_10_000))).collect::<Vec<_>>();
    let mut told: serde_json::Map<String, Value> =
        QUANTILES.iter().map(|&(name, per_10_000)| (name.to_owned(), json!(median(&over(per_10_000))))).collect();
    told.insert("max".to_owned(), json!(over(10_000).into_iter().fold(0.0, f64::max)));
    let tails = repeats.iter().map(|spent| f64::from(quantile(spent, 9_990)) / f64::from(quantile(spent, 5_000)));
    told.insert("p99_9_by_median".to_owned(), json!(median(&tails.collect::<Vec<_>>())));
    Value::Object(told)
}

fn grow(side: Side, keys: u32) -> Vec<u32> {
    match side {
        Side::Ours => {
            let limiter = sides::tollbar(keys);
            let spent = timed(0..keys, |key| sides::ours(&limiter, key));
            assert_eq!((limiter.len(), limiter.stats().denied), (keys as usize, 0));
            spent
        }
        Side::Theirs => {
            let limiter = sides::governor();
            let spent = timed(0..keys, |key| sides::theirs(&limiter, key));
            assert_eq!(limiter.len(), keys as usize);
            spent
        }
    }
}

/// From empty to many keys, on both sides.
pub(crate) fn growth(extent: &Extent) -> Value {
    let mut spent = Side::BOTH.map(|_| Vec::new());
    for repeat in 0..extent.growth_repeats {
        for turn in 0..Side::BOTH.len() {
            let who = (repeat + turn) % Side::BOTH.len();
            eprintln!("growth to {} keys, {}", extent.growth, Side::BOTH[who].name());
            spent[who].push(grow(Side::BOTH[who], extent.growth));
        }
    }
    let clock = vec![timed(0..extent.full_table, |_| ())];
    let [ours, theirs] = spent.map(quantiles);
    json!({ "keys": extent.growth, "ours": ours, "theirs": theirs, "clock": quantiles(clock) })
}

/// One token an hour, by a clock that stands still, and full of accounts that have taken theirs.
fn slow_tollbar(keys: u32, when_full: WhenFull, clock: &Arc<ManualClock>) -> (Limiter, Vec<u32>) {
    let policy = Policy::rate(Rate::new(1, HOUR_NS)).expect("a rate");
    let builder = Limiter::builder(policy).max_keys(keys as usize).when_full(when_full);
    let limiter = builder.clock(Clock::Manual(clock.clone())).build().expect("a limiter");
    let spent = sight(&limiter, 0..keys);
    (limiter, spent)
}

fn sight(limiter: &Limiter, numbers: Range<u32>) -> Vec<u32> {
    let passed = limiter.stats().allowed + numbers.len() as u64;
    let spent = timed(numbers, |key| sides::ours(limiter, key));
    assert_eq!(limiter.stats().allowed, passed, "a denial is not what was to be measured");
    spent
}

/// tollbar alone, in an empty table, in one of refilled accounts, and in one of accounts in debt.
pub(crate) fn in_a_full_table(extent: &Extent) -> Value {
    let keys = extent.full_table;
    let mut spent = [const { Vec::new() }; 3];
    for repeat in 0..extent.growth_repeats {
        eprintln!("first sights in a table of {keys} keys, repeat {repeat}");
        let clock = Arc::new(ManualClock::new(0, 0));
        let (limiter, empty) = slow_tollbar(keys, WhenFull::Deny, &clock);
        let mut idle = Vec::new();
        for part in 0..PARTS {
            // Whoever came since the last time has refilled, too.
            clock.advance_ns(2 * HOUR_NS.cast_signed());
            let from = keys + keys / PARTS * part;
            idle.extend(sight(&limiter, from..from + keys / PARTS));
        }
        assert_eq!(limiter.stats().forgiven, 0);
        // Nobody has refilled here: whoever comes takes the place of one in debt.
        let (limiter, _) = slow_tollbar(keys, WhenFull::EvictLeast, &clock);
        let in_debt = sight(&limiter, keys..2 * keys);
        assert_eq!(limiter.stats().forgiven, u64::from(keys));
        for (all, one) in spent.iter_mut().zip([empty, idle, in_debt]) {
            all.push(one);
        }
    }
    let [empty, idle, in_debt] = spent.map(quantiles);
    json!({ "keys": keys, "empty": empty, "full_of_idle": idle, "full_of_debtors": in_debt })
}
