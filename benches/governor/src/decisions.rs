//! Decisions on known keys: single ones, those of a held handle, and those of a batch; and their parts alone, which
//! say how much of a row is left to win.

use std::hint::black_box;
use std::sync::Arc;

use core_affinity::CoreId;
use serde_json::Value;
use tollbar::Limiter;

use crate::Extent;
use crate::keys::{Order, shuffled_keys};
use crate::parts::Parts;
use crate::sampling::{Row, Samples, sample, walk};
use crate::sides::{self, Governor};

/// Keys of a batch.
const BATCH: usize = 100;

/// From here on a sample has to be longer to leave the caches.
const MANY: u32 = 100_000;

/// Both limiters, with all keys known to them in an order that is not that of the visits.
struct Known {
    keys: Vec<String>,
    ours: Arc<Limiter>,
    theirs: Governor,
}

impl Known {
    fn new(count: u32) -> Self {
        let (keys, ours, theirs) = (shuffled_keys(count), sides::roomy_tollbar(count), sides::governor());
        let known = Self { keys, ours, theirs };
        known.check();
        known
    }

    /// Nobody is denied, or something else was measured.
    fn check(&self) {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let passes = |key: &String| sides::ours(ours, key) && sides::theirs(theirs, key);
        assert!(self.keys.iter().all(passes), "a denial is not what was to be measured");
        assert_eq!((ours.stats().denied, ours.len(), theirs.len()), (0, self.keys.len(), self.keys.len()));
    }
}

/// A visit that decides nothing.
#[inline]
fn pass_by(key: &str) -> (*const u8, usize) {
    (key.as_ptr(), key.len())
}

/// An order of visits for each thread.
fn each_its_own(order: Order, count: u32, decisions: usize, cores: &[CoreId]) -> Vec<Vec<u32>> {
    (1..).take(cores.len()).map(|seed| order.visits(count, decisions, seed)).collect()
}

fn single(extent: &Extent, cores: &[CoreId], known: &Known, order: Order) -> Value {
    let Known { keys, ours, theirs } = known;
    let count = u32::try_from(keys.len()).expect("few keys");
    let decisions = extent.decisions[usize::from(count >= MANY)];
    let orders = each_its_own(order, count, decisions, cores);
    let samples = sample(
        extent.repeats,
        cores,
        decisions,
        |thread| walk(keys, &orders[thread], |key| sides::ours(ours, key)),
        |thread| walk(keys, &orders[thread], |key| sides::theirs(theirs, key)),
        |thread| walk(keys, &orders[thread], |key| pass_by(key)),
    );
    known.check();
    Row { what: "decision", keys: count, order: order.name(), threads: cores.len() }.with(&samples)
}

/// governor has no handles: it looks the key up.
fn handle(extent: &Extent, cores: &[CoreId], known: &Known) -> Value {
    let Known { keys, ours, theirs } = known;
    let bucket = ours.bucket_as(keys[0].as_bytes(), ours.default_class()).expect("a short key").expect("room");
    let decisions = extent.decisions[0];
    let order = vec![0; decisions];
    let samples = sample(
        extent.repeats,
        cores,
        decisions,
        |_| walk(keys, &order, |_| bucket.try_acquire(1)),
        |_| walk(keys, &order, |key| sides::theirs(theirs, key)),
        |_| walk(keys, &order, |key| pass_by(key)),
    );
    known.check();
    Row { what: "held handle", keys: 1, order: Order::Uniform.name(), threads: cores.len() }.with(&samples)
}

/// What no decision can do without, with a search that costs nothing; and without a key, for a handle.
fn parts(extent: &Extent, cores: &[CoreId], known: &Known) -> Vec<Value> {
    let Known { keys, theirs, .. } = known;
    let count = u32::try_from(keys.len()).expect("few keys");
    let decisions = extent.decisions[usize::from(count >= MANY)];
    let orders = each_its_own(Order::Uniform, count, decisions, cores);
    let (parts, orders) = (&Parts::new(keys), &orders);
    let row = |what, samples: &Samples| {
        Row { what, keys: count, order: Order::Uniform.name(), threads: cores.len() }.with(samples)
    };
    let against = |ours: &(dyn Fn(usize) + Sync)| {
        let theirs = |thread: usize| walk(keys, &orders[thread], |key| sides::theirs(theirs, key));
        let neither = |thread: usize| walk(keys, &orders[thread], |key| pass_by(key));
        sample(extent.repeats, cores, decisions, ours, theirs, neither)
    };
    let whole = |thread: usize| {
        for &number in &orders[thread] {
            black_box(parts.decide(number, black_box(&keys[number as usize])));
        }
    };
    let held = |thread: usize| walk(keys, &orders[thread], |_| parts.decide_held());
    let mut rows = vec![row("the parts of a decision alone", &against(&whole))];
    if count == 1 {
        rows.push(row("the parts of a handle's alone", &against(&held)));
    }
    rows
}

/// governor has no batches either: it decides on one key after the other.
fn batch(extent: &Extent, cores: &[CoreId], known: &Known) -> Value {
    let Known { keys, ours, theirs } = known;
    let count = u32::try_from(keys.len()).expect("few keys");
    let decisions = extent.decisions[usize::from(count >= MANY)];
    let visits = Order::Uniform.visits(count, decisions, 1);
    let batches: Vec<&String> = visits.iter().map(|&number| &keys[number as usize]).collect();
    let batches = &batches;
    let samples = sample(
        extent.repeats,
        cores,
        decisions,
        |_| {
            for batch in batches.chunks(BATCH) {
                black_box(ours.try_acquire_many(black_box(batch), 1).expect("short keys"));
            }
        },
        |_| {
            for key in batches {
                black_box(sides::theirs(theirs, black_box(key)));
            }
        },
        |_| {
            for key in batches {
                black_box(pass_by(black_box(key)));
            }
        },
    );
    known.check();
    Row { what: "batch of 100", keys: count, order: Order::Uniform.name(), threads: cores.len() }.with(&samples)
}

/// All rows, on one thread and on two where there are two cores.
pub(crate) fn measure(extent: &Extent, cores: &[CoreId]) -> Vec<Value> {
    let teams: Vec<&[CoreId]> = (1..=2).filter_map(|threads| cores.get(..threads)).collect();
    let mut rows = Vec::new();
    for &count in extent.counts {
        let known = Known::new(count);
        for team in &teams {
            rows.push(single(extent, team, &known, Order::Uniform));
            if count > 1 {
                rows.push(single(extent, team, &known, Order::Zipf));
            } else {
                rows.push(handle(extent, team, &known));
            }
            rows.extend(parts(extent, team, &known));
        }
        if extent.batches.contains(&count) {
            rows.push(batch(extent, &cores[..1], &known));
        }
    }
    rows
}
