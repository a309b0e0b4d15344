//! The unit of an account's time: sixteenths of a nanosecond.
//!
//! A rate is stored as the time between two tokens. In whole nanoseconds, 3,000,000 tokens a second
//! would be 333 ns instead of 333.33 and the limit would be exceeded by a thousandth; in
//! sixteenths, rounded up, no rate is ever exceeded, and none up to 8,000 a second is missed by more
//! than one in a million.
//!
//! Time is counted from the limiter's own start and wraps after [`RANGE`] (18.2 years of uptime).
//! Wrapping is safe: a word from before the wrap lies beyond anything a charge could have written,
//! and is clamped like any word after a clock step (see [`crate::limit::TokenBucket::clamp`]).

/// A time or a duration in sixteenths of a nanosecond.
pub type Ticks = u64;

/// Sixteenths in a nanosecond.
pub const PER_NANO: u64 = 16;

/// Readings are counted modulo this.
pub const RANGE: Ticks = 1 << 63;

/// The longest time a full bucket may take to refill: a quarter of [`RANGE`], 4.5 years.
pub const LONGEST: Ticks = RANGE / 4;

/// How far two threads' readings of one clock may lie apart before it counts as a step of the clock.
pub const SKEW: Ticks = 100_000_000 * PER_NANO;

/// Nanoseconds since the limiter's start, as a reading.
#[inline]
#[must_use]
pub const fn from_nanos(nanos: u64) -> Ticks {
    nanos.wrapping_mul(PER_NANO) & (RANGE - 1)
}

/// Nanoseconds, rounded up: whoever waits this long has waited long enough.
#[inline]
#[must_use]
pub const fn to_nanos_up(ticks: Ticks) -> u64 {
    ticks.div_ceil(PER_NANO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(to_nanos_up(0), 0);
        assert_eq!(to_nanos_up(1), 1);
        assert_eq!(to_nanos_up(16), 1);
        assert_eq!(to_nanos_up(17), 2);
    }

    #[test]
    fn readings_wrap_after_eighteen_years() {
        let years = RANGE / PER_NANO / (365 * 86_400 * 1_000_000_000);
        assert_eq!(years, 18);
        assert_eq!(from_nanos(RANGE / PER_NANO), 0);
        assert_eq!(from_nanos(RANGE / PER_NANO + 5), 5 * PER_NANO);
    }
}
