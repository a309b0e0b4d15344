//! A rate as people say it, "10,000 an hour, at most 500 at once", checked and turned into a rule.

use super::{TokenBucket, simplest_fraction};
use crate::error::Error;
use crate::ticks::{LONGEST, PER_NANO, Ticks};

/// The largest burst: 2^32 - 1 tokens.
pub const MAX_BURST: u64 = u32::MAX as u64;

/// The shortest time between two tokens: 100 ns, ten million a second.
const SHORTEST: u128 = 100 * PER_NANO as u128;

/// `limit` tokens in every `period`, of which up to `burst` may be taken at once.
///
/// With a token in every T, a window of w admits at most burst + w / T by the clock readings that decide. A yes may be
/// decided by a reading up to one tick old (10 ms at most, typically 4 ms or 1 ms), so in real time the bound is
/// burst + (w + tick) / T.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    limit: u64,
    period_ns: u128,
    burst: Option<u64>,
    strict: bool,
}

impl Rate {
    /// `limit` tokens in every `period_ns` nanoseconds. The burst is the limit unless [`Rate::burst`] says otherwise.
    #[must_use]
    pub const fn new(limit: u64, period_ns: u64) -> Self {
        Self { limit, period_ns: period_ns as u128, burst: None, strict: false }
    }

    /// A float of tokens a second, read as the simplest fraction that rounds to it.
    ///
    /// # Errors
    /// Refuses what is not a number, not positive, or beyond any rate that can be limited.
    pub fn per_second(refill_rate: f64, burst: u64) -> Result<Self, Error> {
        let refuse = |rule| Error::invalid("refill_rate", refill_rate, rule);
        if !refill_rate.is_finite() || refill_rate <= 0.0 {
            return Err(refuse("must be a finite number above 0"));
        }
        let (limit, seconds) =
            simplest_fraction(refill_rate).ok_or_else(|| refuse("must be between 1e-8 and 1e7 tokens a second"))?;
        let limit = u64::try_from(limit).map_err(|_| refuse("must be at most 1e7 tokens a second"))?;
        Ok(Self { limit, period_ns: seconds * 1_000_000_000, burst: Some(burst), strict: false })
    }

    /// At most this many tokens at once.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Never more than `limit` in *any* window of the period. The burst is paid for with a slower
    /// refill, (limit - burst) in every period; without a burst given it is a tenth of the limit.
    ///
    /// The bound counts by the clock readings that decide, of which one may be a tick old: with a token in every T, a period
    /// of real time admits at most limit + tick / T.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The rule to decide by.
    ///
    /// The emission interval is rounded up, so that the rate is never exceeded: T = ceil(W / L), for a
    /// strict rate ceil(W / (L - B)).
    ///
    /// # Errors
    /// Refuses zeros, a strict burst that leaves nothing to refill with, more than ten million tokens
    /// a second, and a bucket that would take longer than 4.5 years to fill.
    pub fn rule(&self) -> Result<TokenBucket, Error> {
        let Self { limit, period_ns, .. } = *self;
        if limit == 0 {
            return Err(Error::invalid("limit", limit, "must be at least 1"));
        }
        if period_ns == 0 {
            return Err(Error::invalid("per", period_ns, "must be at least 1 ns"));
        }
        let burst = self.burst_or_default();
        if burst == 0 {
            return Err(Error::invalid("burst", burst, "must be at least 1"));
        }
        if burst > MAX_BURST {
            return Err(Error::invalid("burst", burst, "must be at most 4,294,967,295"));
        }
        let refilled = match (self.strict, limit) {
            (false, _) | (true, 1) => limit,
            (true, _) if burst < limit => limit - burst,
            (true, _) => {
                let rule = "must be less than limit for a strict rate";
                return Err(Error::invalid("burst", burst, rule));
            }
        };
        if self.strict && burst > limit {
            return Err(Error::invalid("burst", burst, "must be 1 for a strict rate of 1"));
        }
        let period = period_ns * u128::from(PER_NANO);
        if u128::from(refilled) * SHORTEST > period {
            return Err(Error::invalid("limit", limit, "must be at most 10,000,000 a second"));
        }
        let emission = period.div_ceil(u128::from(refilled));
        let tolerance = emission.checked_mul(u128::from(burst)).and_then(|ticks| Ticks::try_from(ticks).ok());
        match (Ticks::try_from(emission), tolerance) {
            (Ok(emission), Some(tolerance)) if tolerance <= LONGEST => Ok(TokenBucket::metered(emission, burst)),
            _ => {
                Err(Error::invalid("burst", burst, "must refill within 4.5 years (burst times the time for one token)"))
            }
        }
    }

    /// The burst in force: the one given, else the limit, else (strict) a tenth of it.
    #[must_use]
    pub fn burst_or_default(&self) -> u64 {
        let usual = if self.strict { (self.limit / 10).max(1) } else { self.limit };
        self.burst.unwrap_or(usual)
    }

    /// Tokens in each period.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The period in nanoseconds.
    #[must_use]
    pub const fn period_ns(&self) -> u128 {
        self.period_ns
    }

    /// Tokens a second that flow back in.
    #[must_use]
    pub fn refill_per_second(&self) -> f64 {
        let paid_for = if self.strict && self.limit > 1 { self.burst_or_default() } else { 0 };
        let refilled = self.limit.saturating_sub(paid_for);
        // Whole seconds divide exactly as a caller's own limit / 3600 does.
        let whole = self.period_ns.is_multiple_of(1_000_000_000);
        let seconds = if whole { (self.period_ns / 1_000_000_000) as f64 } else { self.period_ns as f64 / 1e9 };
        refilled as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn refused(rate: Rate) -> String {
        rate.rule().unwrap_err().to_string()
    }

    #[test]
    fn ten_thousand_an_hour_is_exactly_a_token_every_360_ms() {
        let rule = Rate::new(10_000, HOUR).rule().unwrap();
        assert_eq!(rule.emission(), 360_000_000 * PER_NANO);
        assert_eq!(rule.burst(), 10_000);
    }

    // HAZARD construction-exact
    #[test]
    fn the_ends_of_the_range_are_exact() {
        let days = Rate::new(1, 100 * 24 * HOUR).rule().unwrap();
        assert_eq!(days.emission(), 100 * 24 * HOUR * PER_NANO);
        let wide = Rate::new(1000, SECOND).burst(MAX_BURST).rule().unwrap();
        assert_eq!(wide.tolerance(), MAX_BURST * 1_000_000 * PER_NANO);
        assert_eq!(Rate::new(10_000_000, SECOND).rule().unwrap().emission(), 1600);
    }

    // HAZARD construction-values, HAZARD construction-range
    #[test]
    fn what_cannot_be_limited_is_refused_by_name() {
        assert_eq!(refused(Rate::new(0, HOUR)), "limit must be at least 1, not 0");
        assert_eq!(refused(Rate::new(1, 0)), "per must be at least 1 ns, not 0");
        assert_eq!(refused(Rate::new(5, HOUR).burst(0)), "burst must be at least 1, not 0");
        for huge in [1 << 63, u64::MAX] {
            assert!(refused(Rate::new(huge, HOUR)).starts_with("burst must be at most"));
            assert!(refused(Rate::new(huge, HOUR).burst(1)).starts_with("limit must be at most 10,000,000"));
            assert!(refused(Rate::new(5, HOUR).burst(huge)).starts_with("burst must be at most"));
            assert!(refused(Rate::new(1, huge).burst(9)).starts_with("burst must refill within"));
        }
        assert!(refused(Rate::new(10_000_001, SECOND)).starts_with("limit must be at most 10,000,000"));
        assert!(refused(Rate::new(1, 24 * HOUR).burst(MAX_BURST)).starts_with("burst must refill"));
    }

    // HAZARD construction-values, HAZARD incident-fast-rates (governor#203)
    #[test]
    fn float_rates_that_are_none_are_refused() {
        for bad in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, 5e-324, 1e300] {
            let refused = Rate::per_second(bad, 5).unwrap_err().to_string();
            let is_a_rate = bad.is_finite() && bad > 0.0;
            assert_eq!(!is_a_rate, refused.starts_with("refill_rate must be a finite number above 0"), "{refused}");
        }
        for (bad, burst) in [(1e9, 5), (1.1e7, 5), (1e-9, 1), (1e-10, 1)] {
            assert!(Rate::per_second(bad, burst).and_then(|rate| rate.rule()).is_err(), "{bad}");
        }
        let hour = Rate::per_second(10_000.0 / 3600.0, 10_000).unwrap();
        assert_eq!(hour.rule(), Rate::new(10_000, HOUR).rule());
    }

    #[test]
    fn what_flows_back_in_a_second_is_the_limit_over_the_period() {
        let refill = |limit, period| Rate::new(limit, period).refill_per_second();
        assert!((refill(10_000, HOUR) - 10_000.0 / 3600.0).abs() < f64::EPSILON);
        assert!((refill(3, SECOND * 3 / 2) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_strict_rate_trades_refill_for_burst() {
        let strict = Rate::new(10_000, HOUR).strict();
        let rule = strict.rule().unwrap();
        assert_eq!(rule.burst(), 1000);
        assert_eq!(rule.emission(), 400_000_000 * PER_NANO);
        assert!((strict.refill_per_second() - 2.5).abs() < 1e-12);
        assert_eq!(Rate::new(1, HOUR).strict().rule().unwrap().emission(), HOUR * PER_NANO);
        assert!(refused(Rate::new(10, HOUR).strict().burst(10)).starts_with("burst must be less than limit"));
        assert!(refused(Rate::new(1, HOUR).strict().burst(2)).starts_with("burst must be 1"));
    }

    #[test]
    fn the_rate_error_is_at_most_a_millionth_up_to_8000_a_second() {
        for per_second in (1..=8000_u64).chain([9999, 123_457, 7_654_321]) {
            let emission = u128::from(Rate::new(per_second, SECOND).rule().unwrap().emission());
            let exact = u128::from(SECOND * PER_NANO); // emission * per_second, were there no rounding
            let excess = emission * u128::from(per_second) - exact;
            let allowed = if per_second <= 8000 { 1e-6 } else { per_second as f64 / 8e9 };
            assert!(excess as f64 / exact as f64 <= allowed, "{per_second}");
        }
    }
}
