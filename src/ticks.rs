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

/// Seconds as nanoseconds, exactly rounded to the nearest (halves away from zero): `seconds * 1e9` in floats is off by up
/// to 128 ns for the times of our days. `None` for what is no number or beyond 64 bits.
#[must_use]
pub fn nanos(seconds: f64) -> Option<i64> {
    let bits = seconds.abs().to_bits();
    let exponent = i32::try_from(bits >> 52).ok()? - 1075;
    if exponent > 11 {
        return None; // 2^64 and more, infinities, NaN
    }
    // Below 2^-1022 a float has no leading one; half a nanosecond is far above.
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52) * 1_000_000_000;
    let rounded = match u32::try_from(exponent) {
        Ok(exponent) => mantissa << exponent,
        Err(_) if exponent < -90 => 0,
        Err(_) => ((mantissa >> (-exponent - 1)) + 1) >> 1,
    };
    let rounded = i64::try_from(rounded).ok()?;
    Some(if seconds < 0.0 { -rounded } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_the_nearest_nanosecond() {
        for (seconds, exact) in [
            (0.0, 0),
            (-0.0, 0),
            (0.1, 100_000_000),
            (-1.5, -1_500_000_000),
            (0.5e-9, 1),
            (0.49e-9, 0),
            (5e-324, 0),
            (1e-30, 0),
            (1e9 + 0.5, 1_000_000_000_500_000_000),
            (9_223_372_036.0, 9_223_372_036_000_000_000),
        ] {
            assert_eq!(nanos(seconds), Some(exact), "{seconds:e}");
        }
        for beyond in [9_223_372_037.0, -9_223_372_037.0, 1e308, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(nanos(beyond), None, "{beyond}");
        }
        let mut state = 1_u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let seconds = (state >> 11) as f64 / (1_u64 << (20 + (state & 31))) as f64;
            let exact = num_rational::BigRational::from_float(seconds).unwrap();
            let exact = (exact * num_rational::BigRational::from_integer(1_000_000_000.into())).round();
            let fits = i64::try_from(exact.to_integer()).ok();
            assert_eq!((nanos(seconds), nanos(-seconds)), (fits, fits.map(|nanos| -nanos)), "{seconds}");
        }
    }

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
