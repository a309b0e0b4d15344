//! The system's monotonic clock, read precisely or coarsely.
//!
//! RUNS PER DECISION: [`coarse_ticks_since`], a read of memory that the kernel updates at every tick; only a request
//! that would be denied by it reads [`precise_ns`].
//!
//! Both count from the same base, and the coarse one is never ahead of the precise one: it shows the
//! precise clock as of the last tick, 1 to 10 ms ago. It is what Linux calls `CLOCK_MONOTONIC_COARSE`;
//! elsewhere the precise clock serves for both. Never a raw time-stamp counter, which runs backwards on some
//! hosts.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod source {
    use rustix::time::{ClockId, clock_gettime};

    use crate::ticks::PER_NANO;

    /// What a clock of the kernel's shows: seconds, and nanoseconds.
    #[inline]
    fn parts(id: ClockId) -> (u64, u64) {
        let time = clock_gettime(id);
        // Since boot: not negative, whatever the width of the fields, and 2^64 ns are 584 years.
        #[allow(clippy::cast_sign_loss, clippy::cast_lossless)]
        return (time.tv_sec as u64, time.tv_nsec as u64);
    }

    #[inline]
    fn read(id: ClockId) -> u64 {
        let (seconds, nanos) = parts(id);
        seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
    }

    /// Spelled so that as little as may be is left to do once the clock has answered: a decision waits for this.
    #[inline]
    pub(in crate::clock) fn coarse_ticks_since(start_ns: u64) -> u64 {
        let (seconds, nanos) = parts(ClockId::MonotonicCoarse);
        let rest = nanos.wrapping_sub(start_ns).wrapping_mul(PER_NANO);
        seconds.wrapping_mul(1_000_000_000 * PER_NANO).wrapping_add(rest)
    }

    #[inline]
    pub(in crate::clock) fn precise_ns() -> u64 {
        read(ClockId::Monotonic)
    }

    #[inline]
    pub(in crate::clock) fn coarse_ns() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    /// The wall clock as of the last tick: nanoseconds since 1970, and 0 before it.
    #[inline]
    pub(in crate::clock) fn coarse_unix_ns() -> u64 {
        let nanos = read(ClockId::RealtimeCoarse);
        if i64::try_from(nanos).is_ok() { nanos } else { 0 }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod source {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[inline]
    pub(in crate::clock) fn precise_ns() -> u64 {
        // 2^64 ns are 584 years of uptime.
        #[allow(clippy::cast_possible_truncation)]
        return START.elapsed().as_nanos() as u64;
    }

    #[inline]
    pub(in crate::clock) fn coarse_ns() -> u64 {
        precise_ns()
    }

    #[inline]
    pub(in crate::clock) fn coarse_ticks_since(start_ns: u64) -> u64 {
        coarse_ns().wrapping_sub(start_ns).wrapping_mul(crate::ticks::PER_NANO)
    }

    #[inline]
    pub(in crate::clock) fn coarse_unix_ns() -> u64 {
        super::unix_ns()
    }
}

use std::time::{SystemTime, UNIX_EPOCH};

/// The coarse reading since `start_ns` in ticks, modulo 2^64: beyond their range for one from before the start.
pub(super) use source::coarse_ticks_since;
pub(super) use source::{coarse_ns, coarse_unix_ns, precise_ns};

/// The wall clock: nanoseconds since 1970, and 0 before it.
pub(super) fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_never_ahead_and_never_far_behind() {
        for _ in 0..100_000 {
            let before = precise_ns();
            let coarse = coarse_ns();
            let after = precise_ns();
            assert!(coarse <= after, "ahead by {}", coarse - after);
            // A tick is at most 10 ms. A thread that is held up between the two reads looks behind by that much.
            let behind = before.saturating_sub(coarse);
            assert!(behind < 1_000_000_000, "behind by {behind}");
        }
    }

    // HAZARD incident-tsc (governor#299)
    #[test]
    fn neither_runs_backwards() {
        let (mut precise, mut coarse) = (0, 0);
        for _ in 0..100_000 {
            let (p, c) = (precise_ns(), coarse_ns());
            assert!(p >= precise && c >= coarse);
            (precise, coarse) = (p, c);
        }
    }
}
