//! A million strangers against a full table: nobody is forgiven, memory stays flat, no search is long.

// A counting allocator cannot be written without.
#![allow(unsafe_code)]

mod size;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tollbar::{Clock, LOOKS_PER_INSERTION, Limiter, ManualClock, Policy, Rate, WhenFull};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every request to the system's allocator unchanged, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's own contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's own contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PLACES: usize = 10_000;
const HOUR: u64 = 3_600_000_000_000;

/// How many bytes of this process are in memory, where the system tells.
fn resident() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = told.split_whitespace().nth(1)?.parse().ok()?;
    // Pages of 4 KiB; where they are larger, this is too little throughout, which a comparison does not mind.
    Some(pages * 4096)
}

/// How long insertions took, in powers of two of a nanosecond. Told, never judged.
struct Histogram([u64; 40]);

impl Histogram {
    fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap().max(1);
        self.0[(nanos.ilog2() as usize).min(39)] += 1;
    }

    fn told(&self) -> String {
        let told = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        told.map(|(log, count)| format!("< {} ns: {count}", 1_u64 << (log + 1))).collect::<Vec<_>>().join(", ")
    }
}

fn flooded(when_full: WhenFull) {
    let strangers = usize::try_from(size::of(1_000_000, 10_000_000)).unwrap();
    let clock = Arc::new(ManualClock::new(0, 0));
    let policy = Policy::rate(Rate::new(100, HOUR)).unwrap();
    let builder = Limiter::builder(policy).max_keys(PLACES).when_full(when_full);
    let limiter = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
    let exhausted: Vec<String> = (0..100).map(|number| format!("exhausted{number}@example.org")).collect();
    assert!(exhausted.iter().all(|key| limiter.try_acquire(key.as_bytes(), 100).unwrap()));
    let (mut admitted, mut live, mut warm, mut took) = (0, 0, None, Histogram([0; 40]));
    for stranger in 0..strangers {
        let key = format!("stranger{stranger:012}@example.org");
        let begun = Instant::now();
        admitted += usize::from(limiter.try_acquire(key.as_bytes(), 1).unwrap());
        took.add(begun.elapsed());
        if stranger % 1000 == 0 {
            let key = &exhausted[stranger / 1000 % exhausted.len()];
            assert!(!limiter.try_acquire(key.as_bytes(), 1).unwrap(), "{when_full:?}: {key} forgiven after {stranger}");
            assert!(limiter.len() <= PLACES);
        }
        if stranger == strangers / 5 {
            (live, warm) = (LIVE.load(Ordering::SeqCst), resident());
        }
    }
    let grown = LIVE.load(Ordering::SeqCst).saturating_sub(live);
    assert!(grown < live / 50, "{when_full:?}: grew by {grown} of {live} bytes");
    if let (Some(warm), Some(now)) = (warm, resident()) {
        // A quarter of a MiB is for what others in the process do; the strangers alone would be tens of them.
        assert!(now <= warm + (1 << 18), "{when_full:?}: resident {warm} bytes when warm, {now} after the flood");
        size::saw(&format!("{when_full:?}: resident {warm} bytes when warm, {now} after the flood"));
    }
    assert!(exhausted.iter().all(|key| !limiter.try_acquire(key.as_bytes(), 1).unwrap()), "{when_full:?}");
    let stats = limiter.stats();
    assert!(stats.most_looks <= LOOKS_PER_INSERTION);
    assert_eq!(stats.keys, PLACES as u64);
    let (expected, forgiven) = match when_full {
        WhenFull::Deny => (PLACES - exhausted.len(), 0),
        WhenFull::Allow => (strangers, 0),
        WhenFull::EvictLeast => (strangers, (strangers - PLACES + exhausted.len()) as u64),
    };
    assert_eq!(admitted, expected);
    assert_eq!(stats.forgiven, forgiven);
    size::saw(&format!("{when_full:?}: {}", took.told()));
    size::did(strangers, "strangers");
    // And when their hour is over, they have their hundred again.
    clock.advance_ns(HOUR.cast_signed());
    assert!(limiter.try_acquire(exhausted[0].as_bytes(), 100).unwrap());
    assert!(!limiter.try_acquire(exhausted[0].as_bytes(), 1).unwrap());
}

// One test, so that no other allocates meanwhile.
// HAZARD table-refilled-first, HAZARD table-when-full, HAZARD table-active
#[test]
fn exhausted_accounts_stay_exhausted_and_memory_flat_under_each_policy() {
    for when_full in [WhenFull::Deny, WhenFull::Allow, WhenFull::EvictLeast] {
        flooded(when_full);
    }
}
