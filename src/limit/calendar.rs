//! So much in each period of a calendar: a day, a week, a month in some time zone.
//!
//! The rule knows no calendar. It is given the periods' beginnings on the wall clock, in which daylight saving, month
//! lengths and skipped hours are already accounted for, and finds the period of a moment among them. Periods of equal length
//! in a row are one entry: the days of a century are four entries a year in a zone with daylight saving, one in UTC.

use std::sync::Arc;

use crate::error::Error;
use crate::ticks::{LONGEST, PER_NANO, Ticks};

/// The largest limit, as of a window.
const MOST: u64 = 1 << 53;

/// How far before its beginning on the wall clock a period may begin for a key whose period before is over: two readings of
/// the clocks differ by their own delay, and a leap second sets the wall clock back by one.
pub(crate) const SLACK_NS: u64 = 2_000_000_000;

/// Periods of equal length, one after another: the first begins at `begins`, the last where the next run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    begins: i64,
    length: i64,
}

/// The periods of a calendar, in nanoseconds of Unix time.
///
/// After the last beginning that was given, the last length repeats; before the first, the first length.
#[derive(Debug, PartialEq, Eq)]
pub struct Periods {
    runs: Box<[Run]>,
    longest: u64,
}

/// One period: from `begins` on, until just before `ends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first nanosecond of the period.
    pub begins: i64,
    /// The first nanosecond of the next period.
    pub ends: i64,
}

impl Periods {
    /// The periods that begin at these moments: nanoseconds since 1970, each later than the one before.
    ///
    /// # Errors
    /// Refuses fewer than two moments, moments that do not rise, and periods longer than 4.5 years.
    pub fn new(beginnings: &[i64]) -> Result<Self, Error> {
        if beginnings.len() < 2 {
            return Err(Error::invalid("boundaries", beginnings.len(), "must be at least 2"));
        }
        let (mut runs, mut longest): (Vec<Run>, u64) = (Vec::new(), 0);
        for pair in beginnings.windows(2) {
            let (begins, length) = (pair[0], pair[1].checked_sub(pair[0]).unwrap_or(i64::MAX));
            if pair[1] <= pair[0] {
                return Err(Error::invalid("boundaries", pair[1], "must rise"));
            }
            if length.unsigned_abs() > LONGEST / PER_NANO {
                return Err(Error::invalid("boundaries", pair[1], "must be at most 4.5 years apart"));
            }
            longest = longest.max(length.unsigned_abs());
            if runs.last().is_none_or(|run| run.length != length) {
                runs.push(Run { begins, length });
            }
        }
        Ok(Self { runs: runs.into(), longest })
    }

    /// Periods of one length, of which one begins at `begins`: days in UTC are `Periods::every(0, 86_400_000_000_000)`.
    ///
    /// # Errors
    /// Refuses lengths of 0, and those beyond 4.5 years.
    pub fn every(begins: i64, length_ns: u64) -> Result<Self, Error> {
        match i64::try_from(length_ns) {
            Ok(0) => Err(Error::invalid("length", length_ns, "must be at least 1 ns")),
            Ok(length) if length_ns <= LONGEST / PER_NANO => {
                Ok(Self { runs: [Run { begins, length }].into(), longest: length_ns })
            }
            _ => Err(Error::invalid("length", length_ns as f64 / 1e9, "must be at most 4.5 years")),
        }
    }

    /// The number of the run that a moment is in.
    fn run_at(&self, unix_ns: i64) -> usize {
        self.runs.partition_point(|run| run.begins <= unix_ns).saturating_sub(1)
    }

    /// The period of a moment.
    #[must_use]
    pub fn at(&self, unix_ns: i64) -> Period {
        let Run { begins, length } = self.runs[self.run_at(unix_ns)];
        // In 128 bits: a run may repeat from one end of time to the other.
        let (first, length) = (i128::from(begins), i128::from(length));
        let begins = first + (i128::from(unix_ns) - first).div_euclid(length) * length;
        Period { begins: clamped(begins), ends: clamped(begins + length) }
    }

    /// The beginning of the period that comes `count` periods after the one that begins at `begins`.
    #[must_use]
    pub fn later(&self, mut begins: i64, mut count: u64) -> i64 {
        let mut run = self.run_at(begins);
        loop {
            let length = i128::from(self.runs[run].length);
            let to = i128::from(begins) + i128::from(count) * length;
            match self.runs.get(run + 1) {
                Some(next) if to > i128::from(next.begins) => {
                    let passed = (i128::from(next.begins) - i128::from(begins)) / length;
                    count -= u64::try_from(passed).unwrap_or(count);
                    (begins, run) = (next.begins, run + 1);
                }
                _ => return clamped(to),
            }
        }
    }

    /// The length of the longest period, in nanoseconds.
    #[must_use]
    pub const fn longest(&self) -> u64 {
        self.longest
    }

    /// The memory that the periods take, beside the value itself.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of::<Run>() * self.runs.len()
    }
}

fn clamped(moment: i128) -> i64 {
    i64::try_from(moment).unwrap_or(if moment < 0 { i64::MIN } else { i64::MAX })
}

/// At most `limit` in each of these periods.
#[derive(Clone, Debug)]
pub struct Calendar {
    limit: u64,
    periods: Arc<Periods>,
}

impl Calendar {
    /// At most `limit` in each of these periods.
    ///
    /// # Errors
    /// Refuses 0, and limits above 2^53.
    pub fn new(limit: u64, periods: Arc<Periods>) -> Result<Self, Error> {
        match limit {
            0 => Err(Error::invalid("limit", limit, "must be at least 1")),
            _ if limit > MOST => Err(Error::invalid("limit", limit, "must be at most 9,007,199,254,740,992")),
            _ => Ok(Self { limit, periods }),
        }
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The periods.
    #[must_use]
    pub fn periods(&self) -> &Periods {
        &self.periods
    }

    /// How long it remembers a request, in ticks.
    #[must_use]
    pub fn longest(&self) -> Ticks {
        self.periods.longest.saturating_mul(PER_NANO).saturating_add(SLACK_NS.saturating_mul(PER_NANO))
    }

    /// Whether both count in the same periods.
    #[must_use]
    pub fn has_periods_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.periods, &other.periods) || self.periods == other.periods
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit && self.has_periods_of(other)
    }
}

impl Eq for Calendar {}

impl std::hash::Hash for Calendar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Equal periods are as many and as long; their list need not be read.
        (self.limit, self.periods.runs.len(), self.periods.runs[0].begins, self.periods.longest).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_lengths_in_a_row_are_one_entry_and_the_last_repeats() {
        let periods = Periods::new(&[-10, 0, 10, 25, 40, 45]).unwrap();
        assert_eq!((periods.runs.len(), periods.bytes(), periods.longest()), (3, 48, 15));
        let at = |moment| {
            let Period { begins, ends } = periods.at(moment);
            (begins, ends)
        };
        assert_eq!([-10, -1, 0, 9, 10].map(at), [(-10, 0), (-10, 0), (0, 10), (0, 10), (10, 25)]);
        assert_eq!([24, 25, 39, 40, 44].map(at), [(10, 25), (25, 40), (25, 40), (40, 45), (40, 45)]);
        assert_eq!([45, 52, -11, -20, -21].map(at), [(45, 50), (50, 55), (-20, -10), (-20, -10), (-30, -20)]);
    }

    #[test]
    fn periods_reach_to_the_ends_of_time() {
        let days = Periods::every(5, 86_400).unwrap();
        assert_eq!(days.at(4), Period { begins: 5 - 86_400, ends: 5 });
        assert_eq!(days.at(i64::MAX).ends, i64::MAX);
        assert_eq!(days.at(i64::MIN).begins, i64::MIN);
        assert_eq!(days.later(5, u64::MAX), i64::MAX);
        assert_eq!(Periods::new(&[5, 86_405, 172_805]).unwrap(), days);
    }

    // HAZARD construction-values
    #[test]
    fn what_is_no_calendar_is_refused_by_name() {
        let refused = |moments: &[i64]| Periods::new(moments).unwrap_err().to_string();
        assert_eq!(refused(&[]), "boundaries must be at least 2, not 0");
        assert_eq!(refused(&[5]), "boundaries must be at least 2, not 1");
        assert_eq!(refused(&[5, 5]), "boundaries must rise, not 5");
        assert_eq!(refused(&[5, 7, 6]), "boundaries must rise, not 6");
        assert!(refused(&[i64::MIN, i64::MAX]).starts_with("boundaries must be at most 4.5 years apart"));
        let longest = i64::try_from(LONGEST / PER_NANO).unwrap();
        assert!(Periods::new(&[0, longest]).is_ok() && Periods::new(&[0, longest + 1]).is_err());
        assert!(Periods::every(0, LONGEST / PER_NANO).is_ok() && Periods::every(0, LONGEST / PER_NANO + 1).is_err());
        assert!(Periods::every(0, 0).unwrap_err().to_string().starts_with("length must be at least 1 ns"));
        let periods = Arc::new(Periods::every(0, 10).unwrap());
        let refused = |limit| Calendar::new(limit, periods.clone()).unwrap_err().to_string();
        assert_eq!(refused(0), "limit must be at least 1, not 0");
        assert_eq!(refused(MOST + 1), "limit must be at most 9,007,199,254,740,992, not 9007199254740993");
        assert!(Calendar::new(MOST, periods.clone()).is_ok());
    }

    #[test]
    fn calendars_are_equal_by_their_contents() {
        let of = |limit, moments: &[i64]| Calendar::new(limit, Arc::new(Periods::new(moments).unwrap())).unwrap();
        assert_eq!(of(5, &[0, 10, 25]), of(5, &[0, 10, 25]));
        assert_ne!(of(5, &[0, 10, 25]), of(6, &[0, 10, 25]));
        assert_ne!(of(5, &[0, 10, 25]), of(5, &[0, 10, 26]));
        assert!(of(5, &[0, 10, 25]).has_periods_of(&of(6, &[0, 10, 25])));
        assert!(!of(5, &[0, 10, 25]).has_periods_of(&of(5, &[1, 11, 26])));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_moment_is_in_the_period_that_a_list_of_all_says(
            first in -100_i64..100,
            lengths in prop::collection::vec(1_i64..6, 1..30),
            moment in -50_i64..200,
            count in 0_u64..40,
        ) {
            let mut moments = vec![first];
            for length in &lengths {
                moments.push(moments.last().unwrap() + length);
            }
            let periods = Periods::new(&moments).unwrap();
            // The same list, drawn out to both sides.
            let (before, after) = (lengths[0], *lengths.last().unwrap());
            let mut all: Vec<i64> = (1..=500).rev().map(|back| first - back * before).collect();
            all.extend(&moments);
            let last = *moments.last().unwrap();
            all.extend((1..=500).map(|ahead| last + ahead * after));
            let next = all.partition_point(|&begins| begins <= moment);
            prop_assert_eq!(periods.at(moment), Period { begins: all[next - 1], ends: all[next] });
            prop_assert_eq!(periods.later(all[next], count), all[next + usize::try_from(count).unwrap()]);
        }
    }
}
