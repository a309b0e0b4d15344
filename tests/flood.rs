//! A million strangers against a full table: nobody is forgiven, memory stays flat, no search is long.

// A counting allocator cannot be written without.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

const STRANGERS: usize = 1_000_000;
const PLACES: usize = 10_000;

fn flooded(when_full: WhenFull) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let policy = Policy::rate(Rate::new(100, 3_600_000_000_000)).unwrap();
    let builder = Limiter::builder(policy).max_keys(PLACES).when_full(when_full);
    let limiter = builder.clock(Clock::Manual(clock.clone())).build().unwrap();
    assert!(limiter.try_acquire(b"exhausted", 100).unwrap());
    let (mut admitted, mut warm) = (0, 0);
    for stranger in 0..STRANGERS {
        let key = format!("stranger{stranger:012}@example.org");
        admitted += usize::from(limiter.try_acquire(key.as_bytes(), 1).unwrap());
        if stranger % 1000 == 0 {
            assert!(!limiter.try_acquire(b"exhausted", 1).unwrap(), "{when_full:?}: forgiven after {stranger}");
            assert!(limiter.len() <= PLACES);
        }
        if stranger == STRANGERS / 5 {
            warm = LIVE.load(Ordering::SeqCst);
        }
    }
    let grown = LIVE.load(Ordering::SeqCst).saturating_sub(warm);
    assert!(grown < warm / 50, "{when_full:?}: grew by {grown} of {warm} bytes");
    let stats = limiter.stats();
    assert!(stats.most_looks <= LOOKS_PER_INSERTION);
    assert_eq!(stats.keys, PLACES as u64);
    let (expected, forgiven) = match when_full {
        WhenFull::Deny => (PLACES - 1, 0),
        WhenFull::Allow => (STRANGERS, 0),
        WhenFull::EvictLeast => (STRANGERS, (STRANGERS - PLACES + 1) as u64),
    };
    assert_eq!(admitted, expected);
    assert_eq!(stats.forgiven, forgiven);
    // And when its hour is over, it has its hundred again.
    clock.advance_ns(3_600_000_000_000);
    assert!(limiter.try_acquire(b"exhausted", 100).unwrap());
    assert!(!limiter.try_acquire(b"exhausted", 1).unwrap());
}

// One test, so that no other allocates meanwhile.
// HAZARD table-refilled-first, HAZARD table-when-full, HAZARD table-active
#[test]
fn an_exhausted_account_stays_exhausted_and_memory_flat_under_each_policy() {
    for when_full in [WhenFull::Deny, WhenFull::Allow, WhenFull::EvictLeast] {
        flooded(when_full);
    }
}
