//! Threads that share a pacer: no permit too many, and nobody left asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tollbar::{Clock, ManualClock, Pacer};

// HAZARD race-k-tokens
#[test]
fn threads_get_exactly_as_many_permits_as_there_are() {
    for permits in [1, 7, 1_000] {
        let clock = Clock::Manual(Arc::new(ManualClock::new(0, 0)));
        let pacer = Pacer::new(permits, 1_000_000_000, clock).unwrap();
        let granted: usize = thread::scope(|scope| {
            let ask = || (0..1_000).filter(|_| pacer.try_acquire(b"a").unwrap().is_some()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted as u64, permits);
    }
}

/// A wake-up that is lost would leave a thread parked for ever. The window is a nanosecond: it is the responses that are
/// waited for.
#[test]
fn threads_that_wait_for_each_other_all_come_through() {
    let pacer = Pacer::new(2, 1, Clock::Monotonic).unwrap().margin(0);
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let permit = pacer.acquire_blocking(b"a", None).unwrap().unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(pacer.end(b"a", permit, true).unwrap());
                }
            });
        }
    });
    assert_eq!(pacer.stats(b"a").unwrap().granted, 16_000);
    assert!(most.into_inner() <= 2);
    let _held = (pacer.acquire_blocking(b"a", None).unwrap(), pacer.acquire_blocking(b"a", None).unwrap());
    assert!(pacer.acquire_blocking(b"a", Some(0)).unwrap().is_err());
}
