//! What a limit by the calendar counts of a key: how much in which period.
//!
//! The end of a period is kept as a reading of the monotonic clock. It is found by the wall clock once, when the period begins
//! for the key, so that a wait that was reported is exact, and a decision reads one clock. The state holds one moment by both
//! clocks (the end), by which it finds the ends of later periods, too.

use super::cold::Cold;
use super::leases::{Lease, NO_END};
use super::migrate::{Handover, Owed, remembers};
use super::part::{Part, State};
use crate::clock::Moment;
use crate::limit::{Calendar, Period, SLACK_NS};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

/// The count of a key in one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    used: u64,
    /// The reading at which the period begins.
    begins: Ticks,
    /// The reading at which the period ends; 0 until the wall clock has been read, which is before anything is decided.
    until: Ticks,
    /// The same moment on the wall clock.
    ends: i64,
}

impl Counted {
    /// What counts in the period of `now`.
    pub(super) const fn used_at(&self, now: Ticks) -> u64 {
        if self.until <= now { 0 } else { self.used }
    }

    /// Whether it counts no less than another, and for as long.
    pub(super) const fn covers(&self, other: &Self) -> bool {
        self.used >= other.used && self.until >= other.until
    }

    /// Counts what happened at `at`, unless that period is over.
    pub(super) fn log(&mut self, at: Ticks, n: u64) {
        if at >= self.begins {
            self.used = self.used.saturating_add(n);
        }
    }

    /// Whether the period has ended, or lies farther ahead than one can after a step of the clock.
    fn is_due(&self, calendar: &Calendar, now: Ticks) -> bool {
        self.until <= now || self.until - now > calendar.longest()
    }

    fn place(&mut self, Period { begins, ends }: Period, moment: Moment) {
        self.begins = moment.reading_at(begins).min(moment.now);
        self.until = moment.reading_at(ends).max(moment.now + 1);
        self.ends = ends;
    }

    /// Brings a count that is due into the period of a moment; true if something is forgotten.
    fn follow(&mut self, calendar: &Calendar, moment: Moment) -> bool {
        let (periods, is_new, is_over) = (calendar.periods(), self.until == 0, self.until <= moment.now);
        let mut period = periods.at(moment.unix_ns);
        let mut goes_on = is_new || !is_over;
        if !goes_on && period.ends == self.ends {
            // The wall clock has stepped back into the period, which goes on; or it is late by no more than it may be.
            goes_on = period.ends.abs_diff(moment.unix_ns) > SLACK_NS;
            if !goes_on {
                period = periods.at(period.ends);
            }
        }
        self.place(period, moment);
        !goes_on && std::mem::take(&mut self.used) > 0
    }

    /// The end of the period that a reading is in, or of this one if that is later.
    fn end_after(&self, calendar: &Calendar, reading: Ticks) -> Ticks {
        if reading < self.until {
            return self.until;
        }
        let known = self.known();
        known.reading_at(calendar.periods().at(known.unix_at(reading)).ends)
    }

    /// The beginning of the period that comes `count` periods after this one.
    fn later(&self, calendar: &Calendar, count: u64) -> Ticks {
        self.known().reading_at(calendar.periods().later(self.ends, count.saturating_sub(1)))
    }

    const fn known(&self) -> Moment {
        Moment { now: self.until, unix_ns: self.ends }
    }

    /// From when on nothing of what was logged counts.
    pub(super) const fn settled(&self) -> Ticks {
        if self.used > 0 { self.until } else { 0 }
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
        let mut leaving = vec![(self.settled(), self.used)];
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
        let mut forgot = false;
        let mut follow = |part: &mut Part, limit: &Limit| {
            if let (State::Period(counted), Rule::Calendar(calendar)) = (&mut part.state, &limit.rule)
                && counted.is_due(calendar, now)
            {
                let wall = read.get_or_insert_with(&wall);
                forgot |= counted.follow(calendar, Moment { now, unix_ns: wall.unix_at(now) });
            }
        };
        self.parts.iter_mut().zip(limits).for_each(|(part, limit)| follow(part, limit));
        self.dormant.iter_mut().for_each(|dormant| follow(&mut dormant.part, &dormant.limit));
        if forgot {
            self.from = self.from.max(now);
        }
    }

    /// What a limit by the calendar begins with that takes over from limit `from`: what its namesake counts in the same periods,
    /// in force or dormant. Else what counts most of its predecessor, of the dormant calendars of that one, and, unless it has
    /// a predecessor in the same periods, of all limits, as asked for now.
    pub(super) fn count_for(
        &self,
        (limit, calendar): (&Limit, &Calendar),
        from: Option<usize>,
        handover: &Handover<'_>,
    ) -> Counted {
        let &Handover { old, now, how, .. } = handover;
        let kin = from.and_then(|from| {
            let counted = self.parts[from].count_in(&old[from].rule, calendar)?;
            let owed = Owed { count: counted.used, of: old[from].most() };
            Some(Counted { used: owed.carried(calendar.limit(), how), ..counted.clone() })
        });
        let is_namesake = |other: &Limit| other.name == limit.name;
        let dormant = || self.dormant.iter().filter(|_| remembers(how, old));
        let slept = dormant().filter(|dormant| is_namesake(&dormant.limit));
        let slept = slept.filter_map(|dormant| dormant.count_in(calendar)).cloned();
        let namesake = kin.clone().filter(|_| from.is_some_and(|from| is_namesake(&old[from])));
        if let Some(counted) = slept.chain(namesake).max_by_key(|counted| counted.used) {
            return counted;
        }
        let counts = dormant().filter_map(|dormant| {
            let is_meant = from.is_none() || dormant.heir.is_none() || dormant.heir == from;
            let State::Period(counted) = &dormant.part.state else { return None };
            (is_meant || is_namesake(&dormant.limit)).then_some(counted.used)
        });
        let counts = counts.max().unwrap_or(0);
        if let Some(kin) = kin {
            return Counted { used: kin.used.max(counts), ..kin };
        }
        let held = self.leases.iter().fold(0, |sum: u64, (_, lease)| sum.saturating_add(lease.cost.on(limit)));
        let owed = self.owed(old, now).map(|owed| owed.carried(calendar.limit(), how)).max();
        Counted { used: owed.unwrap_or(0).saturating_sub(held).max(counts), ..Counted::default() }
    }

    /// Whether limits that are no longer in force remember anything.
    pub(crate) fn has_dormant(&self) -> bool {
        !self.dormant.is_empty()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "period_tests.rs"]
mod tests;
