//! What a limit by the calendar counts of a key: how much in which period.
//!
//! The end of a period is kept as a reading of the monotonic clock. It is found by the wall clock once, when the period begins
//! for the key, so that a wait that was reported is exact, and a decision reads one clock. The state holds one moment by both
//! clocks (the end), by which it finds the ends of later periods, too.

use super::cold::Cold;
use super::leases::{Lease, NO_END};
use super::part::{Part, State};
use crate::clock::Moment;
use crate::limit::{Calendar, Period, SLACK_NS};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// The count of a key in one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    used: u64,
    /// The reading at which the period begins; while `until` is 0, the reading as of which `used` was counted.
    begins: Ticks,
    /// The reading at which the period ends; 0 until the wall clock has been read.
    until: Ticks,
    /// The same moment on the wall clock.
    ends: i64,
}

impl Counted {
    /// So much in the period that `now` is in, whichever that is.
    pub(super) const fn as_of(now: Ticks, used: u64) -> Self {
        Self { used, begins: now, until: 0, ends: 0 }
    }

    pub(super) const fn is_placed(&self) -> bool {
        self.until > 0
    }

    /// What counts in the period of `now`.
    pub(super) const fn used_at(&self, now: Ticks) -> u64 {
        if self.is_placed() && self.until <= now { 0 } else { self.used }
    }

    /// The same period with another count.
    pub(super) const fn with_used(self, used: u64) -> Self {
        Self { used, ..self }
    }

    /// Counts what happened at `at`, unless that period is over.
    pub(super) fn log(&mut self, at: Ticks, n: u64) {
        if !self.is_placed() && self.used == 0 {
            self.begins = at;
        }
        if at >= self.begins {
            self.used = self.used.saturating_add(n);
        }
    }

    /// Whether the period has ended, or lies farther ahead than one can after a step of the clock.
    fn is_due(&self, calendar: &Calendar, now: Ticks) -> bool {
        self.until <= now || self.until - now > calendar.longest()
    }

    fn place(&mut self, Period { begins, ends }: Period, moment: Moment, now: Ticks) {
        self.begins = moment.reading_at(begins).min(now);
        self.until = moment.reading_at(ends).max(now + 1);
        self.ends = ends;
    }

    /// Brings the count into the period of `now`, by a moment of both clocks; true if something is forgotten.
    fn follow(&mut self, calendar: &Calendar, now: Ticks, moment: Moment) -> bool {
        let periods = calendar.periods();
        if !self.is_placed() && self.used > 0 {
            let then = self.begins;
            self.place(periods.at(moment.unix_at(then)), moment, then);
        }
        let unix = moment.unix_at(now);
        let mut period = periods.at(unix);
        if self.is_placed() {
            if self.until > now {
                if self.until - now > calendar.longest() {
                    // The clock has stepped back: what was counted counts in the period of now.
                    self.place(period, moment, now);
                }
                return false;
            }
            if period.ends == self.ends {
                if period.ends.abs_diff(unix) > SLACK_NS {
                    // The wall clock has stepped back into the period, which goes on.
                    self.place(period, moment, now);
                    return false;
                }
                period = periods.at(period.ends);
            }
        }
        self.place(period, moment, now);
        std::mem::take(&mut self.used) > 0
    }

    /// The end of the period that a reading is in, or of this one if that is later.
    fn end_after(&self, calendar: &Calendar, reading: Ticks) -> Ticks {
        if !self.is_placed() {
            return reading.saturating_add(calendar.longest()).min(NO_END);
        }
        if reading < self.until {
            return self.until;
        }
        let known = self.known();
        known.reading_at(calendar.periods().at(known.unix_at(reading)).ends)
    }

    /// The beginning of the period that comes `count` periods after this one.
    fn later(&self, calendar: &Calendar, count: u64) -> Ticks {
        let rounds = count.saturating_sub(1);
        if self.is_placed() {
            self.known().reading_at(calendar.periods().later(self.ends, rounds))
        } else {
            self.begins
        }
    }

    const fn known(&self) -> Moment {
        Moment { now: self.until, unix_ns: self.ends }
    }

    /// From when on nothing of what was logged counts.
    pub(super) fn settled(&self, calendar: &Calendar) -> Ticks {
        if self.used > 0 { self.end_after(calendar, self.begins) } else { 0 }
    }

    /// When a reservation leaves: one that is given back when it ends, others with the period in which it ends.
    pub(super) fn leaves(&self, calendar: &Calendar, lease: &Lease) -> Ticks {
        if lease.terms.gives_back || lease.expiry >= NO_END {
            return lease.expiry;
        }
        self.end_after(calendar, lease.expiry).min(NO_END)
    }

    /// The first moment at which no more than `spare` count: in the past, if that is so already.
    pub(super) fn earliest<'a>(
        &self,
        calendar: &Calendar,
        (leases, held): (impl Iterator<Item = (&'a Lease, u64)>, u64),
        spare: u64,
    ) -> Ticks {
        if self.used.saturating_add(held) <= spare {
            return 0;
        }
        let mut leaving = vec![(self.settled(calendar), self.used)];
        if held > 0 {
            leaving.extend(leases.map(|(lease, n)| (self.leaves(calendar, lease), n)));
        }
        leaving.sort_unstable_by_key(|&(at, _)| std::cmp::Reverse(at));
        let mut later: u64 = 0;
        for (at, n) in leaving {
            later = later.saturating_add(n);
            if later > spare {
                return at;
            }
        }
        0
    }

    /// When so much has passed at the earliest, nothing reserved: what is left goes now, and a whole limit in each period after.
    pub(super) fn through(&self, calendar: &Calendar, n: u64) -> Ticks {
        match n.saturating_sub(calendar.limit().saturating_sub(self.used)) {
            0 => 0,
            rest => self.later(calendar, rest.div_ceil(calendar.limit())),
        }
    }
}

impl Cold {
    /// Brings every count into the period of `now`. The wall clock is asked only where a period has ended or none has begun.
    pub(crate) fn follow_calendars(&mut self, limits: &[Limit], now: Ticks, wall: impl Fn() -> Moment) {
        let mut read = None;
        self.each_calendar(limits, |counted, calendar| {
            counted.is_due(calendar, now) && counted.follow(calendar, now, *read.get_or_insert_with(&wall))
        })
        .then(|| self.from = self.from.max(now));
    }

    /// The same without a wall clock: by what is known of it since the last period began.
    pub(super) fn roll_calendars(&mut self, limits: &[Limit], now: Ticks) {
        self.each_calendar(limits, |counted, calendar| {
            let known = counted.known();
            counted.is_placed() && counted.is_due(calendar, now) && counted.follow(calendar, now, known)
        })
        .then(|| self.from = self.from.max(now));
    }

    /// True if any of them is.
    fn each_calendar(&mut self, limits: &[Limit], mut change: impl FnMut(&mut Counted, &Calendar) -> bool) -> bool {
        let mut any = false;
        let mut one = |part: &mut Part, limit: &Limit| {
            if let (State::Period(counted), Rule::Calendar(calendar)) = (&mut part.state, &limit.rule) {
                any |= change(counted, calendar);
            }
        };
        self.parts.iter_mut().zip(limits).for_each(|(part, limit)| one(part, limit));
        self.dormant.iter_mut().for_each(|dormant| one(&mut dormant.part, &dormant.limit));
        any
    }

    /// Whether limits that are no longer in force remember anything.
    pub(crate) fn has_dormant(&self) -> bool {
        !self.dormant.is_empty()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "period_tests.rs"]
mod tests;
