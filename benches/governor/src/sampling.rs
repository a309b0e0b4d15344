//! How one row is sampled: three contenders in rotating order, each on threads pinned to cores of their own.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use serde_json::{Value, json};

use crate::numbers::{median, ratio};

/// Caches are warm after one round, but a processor that idled takes longer to reach its speed.
const WARM_UP: Duration = Duration::from_millis(100);

/// Nanoseconds per decision of every repeat, the bare loop taken off.
pub(crate) struct Samples {
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
}

/// What a row of the tables is about.
pub(crate) struct Row<'a> {
    pub(crate) what: &'a str,
    pub(crate) keys: u32,
    pub(crate) order: &'a str,
    pub(crate) threads: usize,
}

impl Row<'_> {
    pub(crate) fn with(&self, samples: &Samples) -> Value {
        let Self { what, keys, order, threads } = self;
        let Samples { ours, theirs } = samples;
        let (ours_ns, theirs_ns, ratio) = (median(ours), median(theirs), ratio(ours, theirs));
        eprintln!(
            "{what}, {keys} keys, {order}, {threads} thread(s): {ours_ns:.1} against {theirs_ns:.1} ns, {ratio:.3}"
        );
        json!({
            "what": what, "keys": keys, "order": order, "threads": threads,
            "ours_ns": ours_ns, "theirs_ns": theirs_ns, "ratio": ratio,
            "samples_ours": ours, "samples_theirs": theirs,
        })
    }
}

/// The cores that this process may use; one, where the system does not tell.
pub(crate) fn cores() -> Vec<CoreId> {
    core_affinity::get_core_ids().filter(|cores| !cores.is_empty()).unwrap_or_else(|| vec![CoreId { id: 0 }])
}

/// Wall time from when the first thread begins to when the last one ends; `work` is told the thread's number.
pub(crate) fn wall_ns(cores: &[CoreId], work: impl Fn(usize) + Sync) -> f64 {
    let (work, here) = (&work, &AtomicUsize::new(0));
    let on_a_core = |number: usize, core: CoreId| {
        core_affinity::set_for_current(core);
        here.fetch_add(1, Ordering::SeqCst);
        // Whoever slept at a barrier would wake late, and that would count as work.
        while here.load(Ordering::SeqCst) < cores.len() {
            spin_loop();
        }
        let begun = Instant::now();
        work(number);
        (begun, Instant::now())
    };
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads = cores.iter().enumerate().map(|(number, &core)| scope.spawn(move || on_a_core(number, core)));
        let started: Vec<_> = threads.collect();
        started.into_iter().map(|thread| thread.join().expect("it measures")).collect()
    });
    let (first, last) = (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max());
    last.zip(first).map_or(0.0, |(last, first)| (last - first).as_nanos() as f64)
}

/// Samples both sides and the bare loop; each is given the number of its thread. `decisions` is what one
/// thread makes of them.
pub(crate) fn sample(
    repeats: usize,
    cores: &[CoreId],
    decisions: usize,
    ours: impl Fn(usize) + Sync,
    theirs: impl Fn(usize) + Sync,
    bare: impl Fn(usize) + Sync,
) -> Samples {
    let contenders: [&(dyn Fn(usize) + Sync); 3] = [&ours, &theirs, &bare];
    let warming = Instant::now();
    while warming.elapsed() < WARM_UP {
        for work in contenders {
            wall_ns(cores, work);
        }
    }
    let mut samples = Samples { ours: Vec::new(), theirs: Vec::new() };
    for repeat in 0..repeats {
        let mut spent = [0.0; 3];
        for turn in 0..contenders.len() {
            // Nobody always follows the same one.
            let who = (repeat + turn) % contenders.len();
            spent[who] = wall_ns(cores, contenders[who]) / (cores.len() * decisions) as f64;
        }
        let [ours, theirs, bare] = spent;
        samples.ours.push(ours - bare);
        samples.theirs.push(theirs - bare);
    }
    samples
}

/// Visits keys in this order.
#[inline]
pub(crate) fn walk<T>(keys: &[String], order: &[u32], mut decide: impl FnMut(&String) -> T) {
    for &number in order {
        black_box(decide(black_box(&keys[number as usize])));
    }
}
