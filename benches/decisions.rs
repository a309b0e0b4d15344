//! What a decision costs in Rust: nanoseconds per decision, the bare loop taken off, as one line of JSON.
//!
//! `decisions COUNT`: decisions per sample; with `decisions CASE COUNT` one case alone, for a tool that counts. benches/calls/calls.c does the same from C, with the same keys in the same
//! order.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tollbar::{Bucket, Limiter, Policy, Rate};

const KEYS: usize = 1000;
const VISITS: usize = 4096;
const BATCH: usize = 100;
const SAMPLES: usize = 5;

struct Bench {
    limiter: Arc<Limiter>,
    bucket: Bucket,
    keys: Vec<String>,
    visits: Vec<usize>,
}

impl Bench {
    fn new() -> Self {
        // Never reached: every decision is a yes.
        let rate = Rate::new(1_000_000, 1_000_000_000).burst(1_000_000_000);
        let limiter = Arc::new(Limiter::builder(Policy::rate(rate).expect("a rate")).build().expect("a limiter"));
        let keys: Vec<String> = (0..KEYS).map(|at| format!("account-{at:07}@example.org...")).collect();
        for key in &keys {
            limiter.try_acquire(key.as_bytes(), 1).expect("a key");
        }
        let visits = (0..VISITS).scan(1_u32, |state, _| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 8) as usize % KEYS)
        });
        let bucket = limiter.bucket(keys[0].as_bytes()).expect("a key").expect("a known one");
        Self { visits: visits.collect(), bucket, keys, limiter }
    }

    fn visits(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        (0..count).map(|at| self.visits[at % VISITS])
    }

    fn bare(&self, count: usize) -> usize {
        self.visits(count).fold(0, |done, visit| black_box(done + visit))
    }

    fn hot(&self, count: usize) -> usize {
        let key = self.keys[0].as_bytes();
        let take = || usize::from(self.limiter.try_acquire(black_box(key), 1).expect("a key"));
        self.visits(count).map(|visit| visit + take()).sum()
    }

    fn thousand(&self, count: usize) -> usize {
        let take = |visit: usize| self.limiter.try_acquire(black_box(self.keys[visit].as_bytes()), 1).expect("a key");
        self.visits(count).map(|visit| usize::from(take(visit))).sum()
    }

    fn handle(&self, count: usize) -> usize {
        self.visits(count).map(|visit| visit + usize::from(black_box(&self.bucket).try_acquire(1))).sum()
    }

    fn batch(&self, count: usize) -> usize {
        let keys: Vec<&[u8]> = self.visits.iter().map(|&visit| self.keys[visit].as_bytes()).collect();
        let batches = (0..count).step_by(BATCH).map(|at| at % (VISITS - BATCH));
        batches.map(|at| self.limiter.try_acquire_many(&keys[at..at + BATCH], 1).expect("keys").len()).sum()
    }
}

/// One more thing to measure.
type Case = (&'static str, fn(&Bench, usize) -> usize);

const CASES: [Case; 5] = [
    ("loop", Bench::bare),
    ("hot", Bench::hot),
    ("thousand", Bench::thousand),
    ("handle", Bench::handle),
    ("batch", Bench::batch),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` starts it without a count.
    let Some(count) = arguments.last().and_then(|count| count.parse::<usize>().ok()) else { return };
    let bench = Bench::new();
    if let [case, _] = &arguments[..] {
        for (_, run) in CASES.iter().filter(|(name, _)| name == case) {
            black_box(run(&bench, count));
        }
        return;
    }
    let mut took = vec![Vec::new(); CASES.len()];
    for _ in 0..SAMPLES {
        for ((_, run), took) in CASES.iter().zip(&mut took) {
            let begun = Instant::now();
            black_box(run(&bench, count));
            took.push(begun.elapsed().as_secs_f64() * 1e9 / count as f64);
        }
    }
    let median = |took: &mut Vec<f64>| {
        took.sort_by(f64::total_cmp);
        took[SAMPLES / 2]
    };
    let medians: Vec<f64> = took.iter_mut().map(median).collect();
    let told = CASES.iter().zip(&medians).enumerate().map(|(at, ((name, _), median))| {
        format!("\"{name}\": {:.3}", if at == 0 { *median } else { median - medians[0] })
    });
    println!("{{{}}}", told.collect::<Vec<_>>().join(", "));
}
