//! Counts of decisions that cost a decision next to nothing.
//!
//! RUNS PER DECISION: [`Counters::count`], a plain load and store to a line that only this thread
//! writes. A shared counter would make every core wait for the same cache line.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crossbeam_utils::CachePadded;

/// Threads beyond this many share the last lane, and pay for an atomic addition.
const LANES: usize = 32;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Allowed,
    /// By a full table; by whatever it is, where nobody asks.
    Denied,
    Full,
    Shadowed,
    Jailed,
    /// Denied, for the wait was over before the turn came.
    Late,
    /// Denied, for more was asked than there can ever be.
    Never,
    /// Denied by a block.
    Blocked,
}

impl Event {
    /// Where it is counted in a lane.
    pub(crate) const fn place(self) -> usize {
        self as usize
    }
}

const EVENTS: usize = 8;
/// How many things a lane has places for: the events, and others that take the places behind them as they come.
pub(crate) const PLACES: usize = 16;
/// The first of the other places.
pub(crate) const FREE_FROM: usize = EVENTS;

pub(crate) struct Counters {
    /// One lane a thread, and one that the others share.
    lanes: Box<[Lane; LANES + 1]>,
    /// The lane of those of whom there is one at a time.
    alone: Lane,
}

type Lane = CachePadded<[AtomicU64; PLACES]>;

impl Counters {
    pub(crate) fn new() -> Self {
        Self { lanes: Box::new(std::array::from_fn(|_| Lane::default())), alone: Lane::default() }
    }

    #[inline]
    pub(crate) fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// The same for callers of whom there is one at a time, such as those that hold an interpreter's lock: they share a
    /// lane, for to look for one's own takes a call in a shared library.
    #[cfg(any(test, feature = "python"))]
    #[inline]
    pub(crate) fn count_alone(&self, event: Event) {
        bump(&self.alone[event as usize], 1);
    }

    /// Counts what has this place, below [`PLACES`].
    #[inline]
    pub(crate) fn count_at(&self, place: usize) {
        self.add_at(place, 1);
    }

    #[inline]
    pub(crate) fn add(&self, event: Event, more: u64) {
        self.add_at(event.place(), more);
    }

    #[inline]
    fn add_at(&self, at: usize, more: u64) {
        let lane = MINE.try_with(Cell::get).unwrap_or(LANES);
        if lane < LANES {
            bump(&self.lanes[lane][at], more);
        } else {
            self.add_elsewhere(at, more);
        }
    }

    /// A thread's first count, or one of a thread without a lane.
    #[cold]
    fn add_elsewhere(&self, at: usize, more: u64) {
        let lane = Owned::mine();
        // ORDERING: Relaxed; the shared lane has many writers and adds atomically, and so it does for a first count.
        self.lanes[lane][at].fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn total(&self, event: Event) -> u64 {
        self.total_at(event.place())
    }

    pub(crate) fn total_at(&self, at: usize) -> u64 {
        // ORDERING: Relaxed; see `bump`.
        self.lanes.iter().chain([&self.alone]).map(|lane| lane[at].load(Ordering::Relaxed)).sum()
    }
}

#[inline]
fn bump(count: &AtomicU64, more: u64) {
    // ORDERING: Relaxed; a lane has one writer at a time (the mutex of `FREE`, or what lets one caller in at a time,
    // orders a writer before the next), and readers want no more than a sum.
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// Lanes that no thread owns.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Lanes that were ever given out.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

/// The list of them, unless it stays locked: a fork may have left it so in the child, where no lane is used again then.
fn free() -> Option<MutexGuard<'static, Vec<usize>>> {
    let tries = (0..1000).map(|_| {
        FREE.try_lock().ok().or_else(|| {
            std::thread::yield_now();
            None
        })
    });
    tries.flatten().next()
}

thread_local! {
    /// The number of the thread's lane, or that of the shared one; beside `OWNED`, for it needs no destructor and so is
    /// read without asking whether it still exists.
    static MINE: Cell<usize> = const { Cell::new(LANES) };
    static OWNED: Owned = Owned::take();
}

/// A thread's right to its lane, given back when the thread ends.
struct Owned(usize);

impl Owned {
    fn take() -> Self {
        let returned = free().and_then(|mut free| free.pop());
        Self(returned.unwrap_or_else(|| GIVEN.fetch_add(1, Ordering::SeqCst).min(LANES)))
    }

    /// This thread's lane, taken if it has none yet. A thread that is ending has none any more.
    fn mine() -> usize {
        let lane = OWNED.try_with(|owned| owned.0).unwrap_or(LANES);
        let _ = MINE.try_with(|mine| mine.set(lane));
        lane
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Another thread-local's destructor may still decide something: let it use the shared lane.
        let _ = MINE.try_with(|mine| mine.set(LANES));
        if self.0 < LANES
            && let Some(mut free) = free()
        {
            free.push(self.0);
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
    fn what_is_counted_by_one_at_a_time_is_in_the_total() {
        let counters = Mutex::new(Counters::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| counters.lock().unwrap().count_alone(Event::Allowed)));
            }
        });
        counters.lock().unwrap().count(Event::Allowed);
        assert_eq!(counters.lock().unwrap().total(Event::Allowed), 4001);
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
