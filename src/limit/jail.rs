//! The timeout of whoever does not stop asking: too many denials in a while, and everything is denied for longer.
//!
//! A record holds the stamps of recent denials, when the timeout ends, and strikes. The n-th timeout in a row lasts
//! duration * factor^(n - 1), at most `longest`; a strike is forgotten for each `duration` without a denial since the last
//! release or denial.

use super::Log;
use super::window::Window;
use crate::error::Error;

/// The most denials that a timeout may take: 2^32 - 1.
const MOST: u64 = u32::MAX as u64;

/// `denials` of them within `within` ticks (both ends included) start a timeout of `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jail {
    denials: u64,
    within: u64,
    duration: u64,
    factor: f64,
    longest: Option<u64>,
}

/// What is remembered of one who was denied.
#[derive(Clone, Debug, Default)]
pub struct Record {
    denials: Log,
    until: u64,
    /// How long the timeout lasts in all, by the jail that it was given by.
    sentence: u64,
    /// Timeouts in a row.
    strikes: u8,
    /// The last release or denial: from here on, strikes are forgotten.
    quiet_since: u64,
}

impl Jail {
    /// A timeout that always lasts the same.
    ///
    /// # Errors
    /// Refuses zeros, and more than 2^32 - 1 denials.
    pub fn new(denials: u64, within: u64, duration: u64) -> Result<Self, Error> {
        if denials == 0 {
            return Err(Error::invalid("denials", denials, "must be at least 1"));
        }
        if denials > MOST {
            return Err(Error::invalid("denials", denials, "must be at most 4,294,967,295"));
        }
        if within == 0 {
            return Err(Error::invalid("within", within, "must be at least 1 ns"));
        }
        if duration == 0 {
            return Err(Error::invalid("duration", duration, "must be at least 1 ns"));
        }
        Ok(Self { denials, within, duration, factor: 1.0, longest: None })
    }

    /// Each timeout in a row is `factor` times as long as the one before, but never longer than `longest`.
    ///
    /// # Errors
    /// Refuses factors below 1 and what is not finite, and a `longest` below the duration.
    pub fn escalating(mut self, factor: f64, longest: Option<u64>) -> Result<Self, Error> {
        if !factor.is_finite() || factor < 1.0 {
            return Err(Error::invalid("factor", factor, "must be a finite number of at least 1"));
        }
        if longest.is_some_and(|longest| longest < self.duration) {
            let longest = longest.unwrap_or_default() as f64 / 1e9;
            return Err(Error::invalid("longest", longest, "must be at least the duration"));
        }
        (self.factor, self.longest) = (factor, longest);
        Ok(self)
    }

    /// The same in a unit of which `by` make one of those before; no timeout lasts longer than `most` of the new ones.
    ///
    /// # Errors
    /// Refuses times beyond `most`.
    pub fn in_unit(&self, by: u64, most: u64) -> Result<Self, Error> {
        let fits = |name, time: u64| match time.checked_mul(by) {
            Some(time) if time <= most => Ok(time),
            _ => Err(Error::invalid(name, time as f64 / 1e9, "must be at most 4.5 years")),
        };
        let longest = self.longest.and_then(|longest| longest.checked_mul(by)).unwrap_or(most).min(most);
        Ok(Self {
            within: fits("within", self.within)?,
            duration: fits("duration", self.duration)?,
            longest: Some(longest),
            ..*self
        })
    }

    /// How many denials it takes.
    #[must_use]
    pub const fn denials(&self) -> u64 {
        self.denials
    }

    /// Within how many ticks.
    #[must_use]
    pub const fn within(&self) -> u64 {
        self.within
    }

    /// How long the first timeout lasts.
    #[must_use]
    pub const fn duration(&self) -> u64 {
        self.duration
    }

    /// By how much each timeout in a row is longer.
    #[must_use]
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// How long any may last.
    #[must_use]
    pub const fn longest(&self) -> Option<u64> {
        self.longest
    }

    /// How long the timeout of this many strikes lasts, in whole ticks. More than 255 are not counted.
    #[must_use]
    pub fn sentence(&self, strikes: u8) -> u64 {
        let longest = self.longest.unwrap_or(u64::MAX);
        if strikes <= 1 {
            return self.duration;
        }
        // One multiplication at a time: the same everywhere, as powers need not be.
        let length = (1..strikes).fold(self.duration as f64, |length, _| length * self.factor);
        // A float beyond the range becomes its end.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let length = length.round() as u64;
        length.clamp(self.duration, longest)
    }

    /// A denial at `at`, `newest` being the newest time known and `oldest` the oldest that can still come. True if it
    /// starts a timeout, which then lasts from `newest` on.
    pub fn denied(&self, record: &mut Record, at: u64, newest: u64, oldest: u64) -> bool {
        let forgotten = at.saturating_sub(record.quiet_since) / self.duration;
        record.strikes = record.strikes.saturating_sub(u8::try_from(forgotten).unwrap_or(u8::MAX));
        record.quiet_since = record.quiet_since.max(at);
        let enough = Window::fewer_than(self.denials, self.within);
        enough.forget(&mut record.denials, oldest);
        if enough.fits(&record.denials, at, 1) {
            record.denials.push(at, 1);
            return false;
        }
        record.strikes = record.strikes.saturating_add(1);
        record.sentence = self.sentence(record.strikes);
        record.until = newest.saturating_add(record.sentence);
        record.quiet_since = record.until;
        record.denials = Log::new();
        true
    }

    /// Brings a record from before a step of the clock back to where a denial at `now` could have left it. A timeout that
    /// another jail gave keeps its length.
    pub fn settle(&self, record: &mut Record, now: u64) {
        record.denials.settle(now);
        record.until = record.until.min(now.saturating_add(record.sentence));
        record.quiet_since = record.quiet_since.min(now.max(record.until));
    }

    /// From when on a record says no more than none would.
    #[must_use]
    pub fn settled(&self, record: &Record) -> u64 {
        let decayed = match record.strikes {
            0 => 0,
            strikes => record.quiet_since.saturating_add(self.duration.saturating_mul(strikes.into())),
        };
        let quiet = record.denials.last().map_or(0, |last| last.saturating_add(self.within).saturating_add(1));
        record.until.max(decayed).max(quiet)
    }
}

impl Record {
    /// Whether somebody asking at `at` is refused: whatever is before the release is.
    #[inline]
    #[must_use]
    pub const fn holds(&self, at: u64) -> bool {
        at < self.until
    }

    /// When the timeout ends; in the past, if there is none.
    #[must_use]
    pub const fn until(&self) -> u64 {
        self.until
    }

    /// Timeouts in a row, as of the last denial.
    #[must_use]
    pub const fn strikes(&self) -> u8 {
        self.strikes
    }

    /// Takes over what another record remembers beyond this one: the later end, the more strikes, the more denials.
    pub(crate) fn join(&mut self, other: &Self) {
        if other.until > self.until {
            (self.until, self.sentence) = (other.until, other.sentence);
        }
        self.strikes = self.strikes.max(other.strikes);
        self.quiet_since = self.quiet_since.max(other.quiet_since);
        if other.denials.len() > self.denials.len() {
            self.denials = other.denials.clone();
        }
    }

    /// Ends a timeout that runs at `now`. The strikes stay, and are forgotten from now on.
    pub fn release(&mut self, now: u64) -> bool {
        let held = self.holds(now);
        if held {
            (self.until, self.quiet_since) = (0, now);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jail(denials: u64) -> Jail {
        Jail::new(denials, 10, 100).unwrap()
    }

    #[test]
    fn it_is_what_it_was_made_of() {
        let jail = Jail::new(3, 10, 100).unwrap().escalating(2.5, Some(700)).unwrap();
        assert_eq!((jail.denials(), jail.within(), jail.duration(), jail.longest()), (3, 10, 100, Some(700)));
        assert!((jail.factor() - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn enough_denials_in_a_while_start_a_timeout() {
        let (jail, mut record) = (jail(3), Record::default());
        assert!(!jail.denied(&mut record, 1000, 1000, 0));
        assert!(!jail.denied(&mut record, 1005, 1005, 0));
        assert!(!jail.denied(&mut record, 1011, 1011, 0), "1000 is 11 ago");
        assert!(jail.denied(&mut record, 1015, 1015, 0), "1005 is 10 ago");
        assert!(record.holds(1114) && !record.holds(1115));
        assert_eq!((record.until(), record.strikes()), (1115, 1));
    }

    #[test]
    fn what_is_wrong_is_told_in_seconds() {
        let jail = Jail::new(3, 1_000_000_000, 2_500_000_000).unwrap();
        assert_eq!(jail.denials(), 3);
        let told = |refused: Result<Jail, Error>| refused.unwrap_err().to_string();
        let shorter = told(jail.escalating(2.0, Some(2_499_999_999)));
        assert_eq!(shorter, "longest must be at least the duration, not 2.499999999");
        assert!(jail.escalating(2.0, Some(2_500_000_000)).is_ok(), "as long is long enough");
        assert_eq!(told(jail.in_unit(2, 4_999_999_999)), "duration must be at most 4.5 years, not 2.5");
        assert!(jail.in_unit(2, 5_000_000_000).is_ok());
    }

    #[test]
    fn one_denial_may_be_enough() {
        let mut record = Record::default();
        assert!(jail(1).denied(&mut record, 7, 9, 0));
        assert_eq!(record.until(), 109, "from the newest time on");
    }

    #[test]
    fn timeouts_in_a_row_become_longer_up_to_the_longest() {
        let plain = jail(1).escalating(2.0, None).unwrap();
        assert_eq!([0, 1, 2, 3, 11].map(|strikes| plain.sentence(strikes)), [100, 100, 200, 400, 102_400]);
        assert_eq!(plain.sentence(255), u64::MAX);
        let capped = jail(1).escalating(2.5, Some(500)).unwrap();
        assert_eq!([1, 2, 3, 255].map(|strikes| capped.sentence(strikes)), [100, 250, 500, 500]);
        assert_eq!(jail(1).sentence(255), 100);
    }

    #[test]
    fn a_strike_is_forgotten_for_each_duration_without_a_denial() {
        let jail = jail(1).escalating(2.0, None).unwrap();
        let mut record = Record::default();
        for (at, strikes, until) in [
            (1_000, 1, 1_100),
            (1_100, 2, 1_300), // released, and back at once
            (1_399, 3, 1_799), // 99 are not enough
            (1_899, 3, 2_299), // 100 are: one less, and one more
            (2_500, 2, 2_700), // 201: two less
            (9_000, 1, 9_100),
        ] {
            assert!(jail.denied(&mut record, at, at, 0));
            assert_eq!((record.strikes(), record.until()), (strikes, until), "at {at}");
        }
        assert_eq!(jail.settled(&record), 9_200);
    }

    #[test]
    fn a_release_keeps_the_strikes() {
        let jail = jail(1).escalating(2.0, None).unwrap();
        let mut record = Record::default();
        assert!(jail.denied(&mut record, 1_000, 1_000, 0));
        assert!(record.release(1_010) && !record.release(1_010));
        assert!(!record.holds(1_010));
        assert_eq!(jail.settled(&record), 1_110);
        assert!(jail.denied(&mut record, 1_050, 1_050, 0));
        assert_eq!(record.until(), 1_250);
        assert!(!record.release(1_250), "over");
    }

    #[test]
    fn a_step_of_the_clock_makes_no_timeout_longer() {
        let (jail, mut record) = (jail(2).escalating(2.0, None).unwrap(), Record::default());
        for at in [1_000, 1_000, 1_100, 1_100] {
            jail.denied(&mut record, at, at, 0);
        }
        assert_eq!(record.until(), 1_300);
        jail.settle(&mut record, 1_250);
        assert_eq!(record.until(), 1_300, "no step");
        jail.settle(&mut record, 500);
        assert_eq!(record.until(), 700, "as if it began now");
        jail.denied(&mut record, 800, 800, 0);
        jail.settle(&mut record, 300);
        assert!(jail.denied(&mut record, 310, 310, 0), "the denial of before counts as one of now");
    }

    #[test]
    fn another_unit_says_the_same() {
        let fine = jail(3).escalating(2.0, Some(500)).unwrap().in_unit(16, 10_000).unwrap();
        assert_eq!([1, 2, 9].map(|strikes| fine.sentence(strikes)), [1_600, 3_200, 8_000]);
        assert_eq!(fine.within(), 160);
        assert_eq!(jail(3).in_unit(16, 2_000).unwrap().longest(), Some(2_000));
        assert!(jail(3).in_unit(16, 1_599).unwrap_err().to_string().starts_with("duration must be at most 4.5 years"));
    }

    // HAZARD construction-values
    #[test]
    fn what_is_no_jail_is_refused_by_name() {
        let refused = |denials, within, duration| Jail::new(denials, within, duration).unwrap_err().to_string();
        assert_eq!(refused(0, 1, 1), "denials must be at least 1, not 0");
        assert_eq!(refused(1 << 32, 1, 1), "denials must be at most 4,294,967,295, not 4294967296");
        assert_eq!(refused(1, 0, 1), "within must be at least 1 ns, not 0");
        assert_eq!(refused(1, 1, 0), "duration must be at least 1 ns, not 0");
        for factor in [0.0, -1.0, 0.999, f64::NAN, f64::INFINITY] {
            assert!(jail(1).escalating(factor, None).unwrap_err().to_string().starts_with("factor must be"));
        }
        assert!(jail(1).escalating(1.0, Some(99)).unwrap_err().to_string().starts_with("longest must be"));
    }
}
