//! Counts of decisions that cost a decision next to nothing.
//!
//! RUNS PER DECISION: [`Counters::count`], a plain load and store to a line that only this thread
//! writes. A shared counter would make every core wait for the same cache line.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// Threads beyond this many share the last lane, and pay for an atomic addition.
const LANES: usize = 32;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Allowed,
    Denied,
    Full,
    Shadowed,
}

const EVENTS: usize = 4;

pub(crate) struct Counters {
    lanes: Box<[CachePadded<[AtomicU64; EVENTS]>]>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self { lanes: (0..=LANES).map(|_| CachePadded::default()).collect() }
    }

    #[inline]
    pub(crate) fn count(&self, event: Event) {
        let lane = MINE.try_with(|lane| lane.number.get()).unwrap_or(LANES);
        let cell = &self.lanes[lane][event as usize];
        // ORDERING: Relaxed; a lane has one writer at a time (the mutex in `Lane` orders an owner
        // before the next), the shared lane adds atomically, and readers want no more than a sum.
        if lane < LANES {
            cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn total(&self, event: Event) -> u64 {
        // ORDERING: Relaxed; see `count`.
        self.lanes.iter().map(|lane| lane[event as usize].load(Ordering::Relaxed)).sum()
    }
}

/// A thread's lane, taken at its first decision and given back when it ends.
struct Lane {
    number: Cell<usize>,
}

/// Lanes that no thread owns.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Lanes that were ever given out.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Lane = Lane::take();
}

impl Lane {
    fn take() -> Self {
        let returned = FREE.lock().ok().and_then(|mut free| free.pop());
        let fresh = || GIVEN.fetch_add(1, Ordering::SeqCst).min(LANES);
        Self { number: Cell::new(returned.unwrap_or_else(fresh)) }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Another thread-local's destructor may still decide something: let it use the shared lane.
        let number = self.number.replace(LANES);
        if number < LANES
            && let Ok(mut free) = FREE.lock()
        {
            free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_arrives_from_more_threads_than_there_are_lanes() {
        const COUNTS: usize = 20_000;
        let (counters, all_there) = (Counters::new(), std::sync::Barrier::new(3 * LANES));
        std::thread::scope(|scope| {
            for _ in 0..3 * LANES {
                scope.spawn(|| {
                    all_there.wait();
                    (0..COUNTS).for_each(|_| counters.count(Event::Allowed));
                });
            }
        });
        assert_eq!(counters.total(Event::Allowed), (3 * LANES * COUNTS) as u64);
        assert_eq!(counters.total(Event::Denied), 0);
    }

    #[test]
    fn a_lane_is_used_again_after_its_thread_ended() {
        let counters = Counters::new();
        for _ in 0..500 {
            std::thread::scope(|scope| {
                scope.spawn(|| counters.count(Event::Full));
            });
        }
        assert_eq!(counters.total(Event::Full), 500);
    }
}
