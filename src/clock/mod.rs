//! Where time comes from: the system's monotonic clock, one that a test moves by hand, or an event loop.
//!
//! An enum and not a type parameter, so that one limiter object serves every face and language.

mod external;
mod system;
mod timers;

use std::sync::Arc;

pub use external::ExternalClock;
use timers::Timers;
pub(crate) use timers::WaiterId;

use crate::sync::{AtomicU64, Ordering};
use crate::ticks::{self, Ticks};

/// A source of time.
///
/// Decisions read only [`Clock::now_ns`], but for those of [`crate::history`], and limits by the calendar, which read the wall
/// clock when a period begins for a key; else the wall clock serves for showing when something happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Clock {
    /// The system's monotonic clock. It stands still while the host is suspended, which can only make a
    /// limit stricter.
    Monotonic,
    /// A clock that moves only when told to, and wakes the waiters by it.
    Manual(Arc<ManualClock>),
    /// A clock that shows another source of time; its waiters set timers of that source.
    External(Arc<ExternalClock>),
}

impl Clock {
    /// Nanoseconds since some fixed point. Never moves backwards, except by hand.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        match self {
            Self::Monotonic => system::precise_ns(),
            Self::Manual(manual) => manual.now_ns(),
            Self::External(external) => external.now_ns(),
        }
    }

    /// A reading that is cheap to have, never ahead of [`Clock::now_ns`] and behind it by a tick at most.
    #[inline]
    #[must_use]
    pub fn coarse_ns(&self) -> u64 {
        match self {
            Self::Monotonic => system::coarse_ns(),
            Self::Manual(manual) => manual.now_ns(),
            Self::External(external) => external.now_ns(),
        }
    }

    /// The wall clock of the same moment: nanoseconds since 1970. It may step.
    #[must_use]
    pub fn unix_ns(&self) -> u64 {
        match self {
            Self::Monotonic => system::unix_ns(),
            Self::Manual(manual) => manual.unix_ns(),
            Self::External(external) => external.unix_ns(),
        }
    }

    /// The wall clock as of the last tick, cheap to have and not ahead of [`Clock::unix_ns`].
    #[inline]
    #[must_use]
    pub fn coarse_unix_ns(&self) -> u64 {
        match self {
            Self::Monotonic => system::coarse_unix_ns(),
            Self::Manual(manual) => manual.unix_ns(),
            Self::External(external) => external.unix_ns(),
        }
    }
}

/// A clock for tests: it stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicU64,
    unix: AtomicU64,
    timers: Timers,
}

impl ManualClock {
    /// A clock that reads `start_ns`, while the wall clock reads `unix_ns`.
    #[must_use]
    pub fn new(start_ns: u64, unix_ns: u64) -> Self {
        Self { now: AtomicU64::new(start_ns), unix: AtomicU64::new(unix_ns), timers: Timers::new() }
    }

    /// The reading in nanoseconds.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// The wall clock's reading in nanoseconds since 1970.
    #[must_use]
    pub fn unix_ns(&self) -> u64 {
        self.unix.load(Ordering::SeqCst)
    }

    /// Moves both readings by `delta_ns`, backwards when negative; neither goes below 0 or past 2^64. Wakes the waiters whose
    /// time has come; after a step back every waiter that has a timer, because its limits may pass it sooner.
    pub fn advance_ns(&self, delta_ns: i64) {
        for reading in [&self.now, &self.unix] {
            let moved = |old: u64| Some(old.saturating_add_signed(delta_ns));
            let _ = reading.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        }
        self.timers.wake(if delta_ns < 0 { u64::MAX } else { self.now_ns() });
    }

    /// In how many nanoseconds the next waiter looks again; `None` if no waiter has a timer.
    #[must_use]
    pub fn until_next_ns(&self) -> Option<u64> {
        self.timers.next().map(|due| due.saturating_sub(self.now_ns()))
    }
}

/// One moment by both clocks: it says which reading of the one belongs to a time of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Ticks,
    pub(crate) unix_ns: i64,
}

impl Moment {
    /// The time of the wall clock at a reading, as long as neither clock steps.
    pub(crate) fn unix_at(&self, reading: Ticks) -> i64 {
        let passed = (i128::from(reading) - i128::from(self.now)).div_euclid(i128::from(ticks::PER_NANO));
        i64::try_from(i128::from(self.unix_ns) + passed).unwrap_or(if passed < 0 { i64::MIN } else { i64::MAX })
    }

    /// The reading at a time of the wall clock; 0 for times before the start, no later than every reading.
    pub(crate) fn reading_at(&self, unix_ns: i64) -> Ticks {
        let ahead = (i128::from(unix_ns) - i128::from(self.unix_ns)) * i128::from(ticks::PER_NANO);
        let reading = (i128::from(self.now) + ahead).clamp(0, i128::from(ticks::RANGE - 1));
        Ticks::try_from(reading).unwrap_or(0)
    }
}

/// A clock read as [`Ticks`] since the limiter's own start.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    clock: Clock,
    start_ns: u64,
}

impl Timeline {
    /// With the system's clock it starts just before the last tick, so that no coarse reading is from before the start: all
    /// until the next tick would be.
    pub(crate) fn starting_now(clock: Clock) -> Self {
        let start_ns = match clock {
            Clock::Monotonic => clock.coarse_ns().saturating_sub(1),
            Clock::Manual(_) | Clock::External(_) => clock.now_ns(),
        };
        Self { clock, start_ns }
    }

    /// The reading. A clock moved back before the start reads 0.
    #[inline]
    pub(crate) fn now(&self) -> Ticks {
        ticks::from_nanos(self.clock.now_ns().saturating_sub(self.start_ns))
    }

    /// A reading that may be a tick old: good enough to say yes by, too old to say no by.
    #[inline]
    pub(crate) fn coarse(&self) -> Ticks {
        if matches!(self.clock, Clock::Monotonic) {
            let ticks = system::coarse_ticks_since(self.start_ns);
            if ticks < ticks::RANGE {
                return ticks;
            }
        }
        self.coarse_beyond()
    }

    /// Of a clock that is moved by hand, or as time wraps.
    #[cold]
    #[inline(never)]
    fn coarse_beyond(&self) -> Ticks {
        ticks::from_nanos(self.clock.coarse_ns().saturating_sub(self.start_ns))
    }

    /// The reading and the wall clock's. The wall clock is read first: a moment that it has not reached by then is not taken
    /// for reached.
    pub(crate) fn moment(&self) -> Moment {
        let unix_ns = i64::try_from(self.clock.unix_ns()).unwrap_or(i64::MAX);
        Moment { now: self.now(), unix_ns }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_run_backwards() {
        let clock = Clock::Monotonic;
        let mut last = clock.now_ns();
        for _ in 0..10_000 {
            let now = clock.now_ns();
            assert!(now >= last);
            last = now;
        }
        assert!(clock.unix_ns() > 1_700_000_000_000_000_000);
    }

    #[test]
    fn the_manual_clock_moves_only_when_told_and_stays_in_range() {
        let manual = Arc::new(ManualClock::new(5, 100));
        let clock = Clock::Manual(manual.clone());
        assert_eq!((clock.now_ns(), clock.unix_ns()), (5, 100));
        manual.advance_ns(10);
        assert_eq!((clock.now_ns(), clock.unix_ns()), (15, 110));
        manual.advance_ns(-20);
        assert_eq!((clock.now_ns(), clock.unix_ns()), (0, 90));
    }

    #[test]
    fn the_first_coarse_reading_is_one() {
        for _ in 0..1000 {
            let timeline = Timeline::starting_now(Clock::Monotonic);
            let coarse = timeline.coarse();
            assert!(coarse > 0 && coarse <= timeline.now(), "{coarse}");
        }
    }

    #[test]
    fn a_moment_translates_between_the_clocks() {
        let moment = Moment { now: 1_600, unix_ns: 1_000 };
        assert_eq!([1_600, 1_632, 1_599, 0].map(|reading| moment.unix_at(reading)), [1_000, 1_002, 999, 900]);
        assert_eq!([1_000, 1_002, 900, 899].map(|unix| moment.reading_at(unix)), [1_600, 1_632, 0, 0]);
        assert_eq!([i64::MIN, i64::MAX].map(|unix| moment.reading_at(unix)), [0, ticks::RANGE - 1]);
        let manual = Arc::new(ManualClock::new(1_000, 77));
        let timeline = Timeline::starting_now(Clock::Manual(manual.clone()));
        manual.advance_ns(3);
        assert_eq!(timeline.moment(), Moment { now: 3 * ticks::PER_NANO, unix_ns: 80 });
    }

    // HAZARD clock-zero
    #[test]
    fn a_timeline_starts_at_zero_and_never_below() {
        let manual = Arc::new(ManualClock::new(1_000, 0));
        let timeline = Timeline::starting_now(Clock::Manual(manual.clone()));
        assert_eq!(timeline.now(), 0);
        manual.advance_ns(3);
        assert_eq!(timeline.now(), 3 * ticks::PER_NANO);
        manual.advance_ns(-500);
        assert_eq!(timeline.now(), 0);
    }
}
