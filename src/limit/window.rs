//! A sliding window over a log of units, exactly: at most `limit` of them in any stretch of the window's width.
//!
//! Cost n passes at `now` if and only if the unit that must have left the window, the (limit - n + 1)-th newest, is
//! missing or old enough: one look for each window, however long the history. Several windows share one log.
//!
//! RUNS PER DECISION: [`admits`] where time runs forwards, [`Window::fits`] where it may not.

use super::Log;
use super::tally::MOST;
use crate::error::Error;

/// The most steps that a window is cut into.
const MOST_STEPS: u64 = 1 << 16;

/// Whether a stamp that is exactly as old as the window is wide still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// It does (`t >= now - width`): it is free only when `now - t > width`.
    Closed,
    /// It does not (`t > now - width`).
    HalfOpen,
}

/// At most `limit` in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    limit: u64,
    /// Two stamps share a window if they are no farther apart than this.
    reach: u64,
    /// Stamps are rounded up to the next multiple of this; 0 keeps them as they are.
    step: u64,
}

/// What windows say to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Allow,
    /// Not now, but from `earliest` on, if nothing else is logged: not one tick before.
    Deny {
        /// The first moment at which the same request passes.
        earliest: u64,
    },
    /// Not ever: more than a limit.
    Never,
}

impl Window {
    /// At most `limit` in any window of `width` ticks.
    ///
    /// # Errors
    /// Refuses zeros, and limits above 2^53: up to there every number is exact as a float.
    pub fn new(limit: u64, width: u64, edge: Edge) -> Result<Self, Error> {
        if limit == 0 {
            return Err(Error::invalid("limit", limit, "must be at least 1"));
        }
        if limit > MOST {
            return Err(Error::invalid("limit", limit, "must be at most 9,007,199,254,740,992"));
        }
        if width == 0 {
            return Err(Error::invalid("period", width, "must be at least 1 ns"));
        }
        Ok(Self { limit, reach: if edge == Edge::Closed { width } else { width - 1 }, step: 0 })
    }

    /// The same limit with its width cut into so many steps, of which each counts whole until all of it has left: never more
    /// than the limit in any window still, in memory that does not grow with the limit; what leaves is counted for up to
    /// one step longer.
    ///
    /// # Errors
    /// Those of [`Window::new`], 0 steps, and more than 65,536.
    pub fn in_steps(limit: u64, width: u64, edge: Edge, steps: u64) -> Result<Self, Error> {
        if steps == 0 {
            return Err(Error::invalid("steps", steps, "must be at least 1"));
        }
        if steps > MOST_STEPS {
            return Err(Error::invalid("steps", steps, "must be at most 65,536"));
        }
        Ok(Self { step: width.div_ceil(steps), ..Self::new(limit, width, edge)? })
    }

    /// Fewer than `count` in any closed window: `count - 1` may be 0 here, which [`Window::new`] refuses.
    pub(super) const fn fewer_than(count: u64, width: u64) -> Self {
        Self { limit: count.saturating_sub(1), reach: width, step: 0 }
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// How far apart two stamps in one window may be.
    #[must_use]
    pub const fn reach(&self) -> u64 {
        self.reach
    }

    /// Whether stamps are rounded, and a [`super::Tally`] holds them.
    #[must_use]
    pub const fn is_conservative(&self) -> bool {
        self.step > 0
    }

    /// The stamp under which something that happens at `now` is kept: in steps, the end of its step.
    #[must_use]
    pub const fn stamped(&self, now: u64) -> u64 {
        if self.step == 0 { now } else { now.saturating_add(self.step - now % self.step) }
    }

    /// The first moment that shares no window with a stamp.
    #[inline]
    #[must_use]
    pub const fn free_at(&self, stamp: u64) -> u64 {
        stamp.saturating_add(self.reach).saturating_add(1)
    }

    /// Drops stamps that share no window with anything at or after `oldest`.
    pub fn forget(&self, log: &mut Log, oldest: u64) {
        log.drop_before(self.horizon(oldest));
    }

    /// The oldest stamp that shares a window with `now`.
    #[must_use]
    pub const fn horizon(&self, now: u64) -> u64 {
        now.saturating_sub(self.reach)
    }

    /// May `n` units of `stamp` join the log, wherever in it they belong? Only if afterwards no window, those that end
    /// later included, holds more than the limit.
    ///
    /// One look for the newest stamp. For others O(log), and a step for each entry by which the surroundings, one width to
    /// either side, exceed the limit.
    #[inline]
    #[must_use]
    pub fn fits(&self, log: &Log, stamp: u64, n: u64) -> bool {
        let Some(spare) = self.spare(n) else { return n == 0 };
        if log.last().is_none_or(|last| last <= stamp) {
            return log.nth_from_end(spare).is_none_or(|other| stamp - other > self.reach);
        }
        self.fits_among(log, stamp, spare)
    }

    /// How many units may be left in a window for `n` more to pass. At most the limit: adding 1 to it does not overflow.
    fn spare(&self, n: u64) -> Option<u64> {
        self.limit.checked_sub(n).filter(|_| n > 0)
    }

    fn fits_among(&self, log: &Log, stamp: u64, spare: u64) -> bool {
        let through = log.rank_through(stamp);
        let before = through - log.rank_below(stamp.saturating_sub(self.reach));
        let after = log.rank_through(stamp.saturating_add(self.reach)) - through;
        if before > spare || after > spare {
            return false;
        }
        // One unit more than may be left, `right` of them newer than this stamp: do they fit in one window?
        let mut right = spare + 1 - before;
        while right <= after {
            let Some((last, up_to)) = log.entry_of(through + right - 1) else { return true };
            // With all units of the entry on the right, the fewest are left of the stamp: that window is the narrowest.
            // `after` ends with an entry, so this is no more than `after`, and `left` is at least 1.
            right = up_to - through;
            let left = spare + 1 - right;
            if log.nth_from_start(through - left).is_some_and(|first| last - first <= self.reach) {
                return false;
            }
            right += 1;
        }
        true
    }
}

/// May `n` be logged at `now`, by every window? A cost of 0 asks for nothing and passes.
///
/// A reading older than the newest stamp is only stricter: it counts what is newer, too.
#[must_use]
pub fn admits(windows: &[Window], log: &Log, now: u64, n: u64) -> Admission {
    let mut earliest = 0;
    for window in windows {
        let Some(spare) = window.spare(n) else {
            if n == 0 {
                continue;
            }
            return Admission::Never;
        };
        if let Some(stamp) = log.nth_from_end(spare) {
            earliest = earliest.max(window.free_at(stamp));
        }
    }
    if earliest <= now { Admission::Allow } else { Admission::Deny { earliest } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(stamps: &[u64]) -> Log {
        let mut log = Log::new();
        for &stamp in stamps {
            log.push(stamp, 1);
        }
        log
    }

    #[test]
    fn the_edge_decides_about_stamps_as_old_as_the_window() {
        let once = log(&[100]);
        let closed = Window::new(1, 10, Edge::Closed).unwrap();
        let half_open = Window::new(1, 10, Edge::HalfOpen).unwrap();
        assert_eq!(admits(&[half_open], &once, 109, 1), Admission::Deny { earliest: 110 });
        assert_eq!(admits(&[half_open], &once, 110, 1), Admission::Allow);
        assert_eq!(admits(&[closed], &once, 110, 1), Admission::Deny { earliest: 111 });
        assert_eq!(admits(&[closed], &once, 111, 1), Admission::Allow);
        assert_eq!(admits(&[half_open, closed], &once, 105, 1), Admission::Deny { earliest: 111 });
        assert!(half_open.fits(&once, 90, 1) && !half_open.fits(&once, 91, 1));
        assert!(closed.fits(&once, 89, 1) && !closed.fits(&once, 90, 1));
    }

    #[test]
    fn costs() {
        let three = Window::new(3, 10, Edge::HalfOpen).unwrap();
        let two = log(&[100, 104]);
        assert_eq!(admits(&[three], &two, 105, 1), Admission::Allow);
        assert_eq!(admits(&[three], &two, 105, 2), Admission::Deny { earliest: 110 });
        assert_eq!(admits(&[three], &two, 105, 3), Admission::Deny { earliest: 114 });
        assert_eq!(admits(&[three], &two, 105, 4), Admission::Never);
        assert_eq!(admits(&[three], &two, 105, 0), Admission::Allow);
        assert!(three.fits(&two, 102, 0) && three.fits(&two, 102, 1) && !three.fits(&two, 102, 4));
        let more = log(&[100, 101, 102, 103]);
        assert!(three.fits(&more, 104, 0), "whoever asks for nothing is not counted, however many there are");
        assert_eq!(admits(&[three], &more, 104, 0), Admission::Allow);
    }

    #[test]
    fn what_shares_no_window_any_more_is_forgotten() {
        let (window, mut stamps) = (Window::new(3, 10, Edge::Closed).unwrap(), log(&[100, 104, 109]));
        assert_eq!([5, 10, 114].map(|now| window.horizon(now)), [0, 0, 104]);
        window.forget(&mut stamps, 114);
        assert_eq!(stamps.entries().collect::<Vec<_>>(), [(104, 1), (109, 1)]);
    }

    #[test]
    fn a_late_stamp_may_break_a_window_that_ends_after_it() {
        let two = Window::new(2, 10, Edge::HalfOpen).unwrap();
        let around = log(&[96, 104]);
        assert!(!two.fits(&around, 100, 1), "96, 100 and 104 are in one window");
        let wide = log(&[90, 104, 110]);
        assert!(!two.fits(&wide, 101, 1), "101, 104 and 110");
        assert!(two.fits(&wide, 100, 1), "100 and 110 are not in one");
    }

    #[test]
    fn late_units_fit_among_large_numbers_exactly() {
        let (window, half) = (Window::new(MOST, 10, Edge::HalfOpen).unwrap(), MOST / 2);
        let mut around = Log::new();
        for (stamp, n) in [(84, MOST), (95, half), (101, half / 2), (104, half / 2 - 5), (109, half), (111, 7)] {
            around.push(stamp, n);
        }
        let is_most = |stamp, n| window.fits(&around, stamp, n) && !window.fits(&around, stamp, n + 1);
        assert!(is_most(93, 0), "84 fills its window");
        assert!(is_most(94, half / 2), "95 and 101 come with it");
        assert!([95, 99, 101, 103, 104].iter().all(|&stamp| is_most(stamp, 5)), "95 to 104");
        assert!([105, 109].iter().all(|&stamp| is_most(stamp, 5)), "101 to 109");
        assert!(is_most(112, half / 2 - 2), "104 to 111");
    }

    #[test]
    fn the_ends_of_time() {
        let one = Window::new(1, u64::MAX, Edge::Closed).unwrap();
        assert!(!one.fits(&log(&[0]), u64::MAX, 1));
        assert!(!one.fits(&log(&[u64::MAX]), 0, 1));
        assert_eq!(admits(&[one], &log(&[5]), 6, 1), Admission::Deny { earliest: u64::MAX });
    }

    #[test]
    fn steps_round_up_and_count_whole() {
        let window = Window::new(5, 100, Edge::HalfOpen).unwrap();
        assert_eq!((window.stamped(57), window.is_conservative()), (57, false));
        let stepped = Window::in_steps(5, 100, Edge::HalfOpen, 10).unwrap();
        assert!(stepped.is_conservative());
        assert_eq!([50, 57, 59, 60].map(|now| stepped.stamped(now)), [60, 60, 60, 70]);
        assert_eq!(stepped.free_at(stepped.stamped(50)), 160, "at most one step later than 150");
        let steps = |steps| Window::in_steps(5, 100, Edge::Closed, steps);
        assert_eq!(steps(1).unwrap().stamped(0), 100);
        assert!(steps(0).is_err() && steps(65_536).is_ok() && steps(65_537).is_err());
    }

    // HAZARD construction-values
    #[test]
    fn what_is_no_window_is_refused_by_name() {
        let refused = |limit, width| Window::new(limit, width, Edge::Closed).unwrap_err().to_string();
        assert_eq!(refused(0, 5), "limit must be at least 1, not 0");
        assert_eq!(refused(MOST + 1, 5), "limit must be at most 9,007,199,254,740,992, not 9007199254740993");
        assert_eq!(refused(5, 0), "period must be at least 1 ns, not 0");
        assert!(Window::new(MOST, u64::MAX, Edge::HalfOpen).is_ok());
    }
}
