//! A history in whole seconds, run-length coded: how many sends lie within a window, and when enough of them have left.
//!
//! RUNS PER DECISION: [`Runs::drop_through`], and [`Runs::count_after`] for each window. Both look at the ends of the history
//! or beside the place where they looked last, whatever its length: as time goes on, a window's edge passes every run once.
//!
//! A run is a second in which something was sent, and how many sends there were up to and including it: 16 bytes, at most one
//! for each second of the longest window, however much is sent. The runs' seconds rise strictly, and so do their counts.

use std::collections::VecDeque;

/// Steps from the place where a window's edge was last; one that has moved farther is searched for.
const NEAR: usize = 4;
/// Room that is never given back while anything is kept.
const FEW: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Run {
    second: i64,
    up_to: u64,
}

/// The sends of one key, by the second; one remembered place for each of `WINDOWS` windows.
#[derive(Clone, Debug)]
pub struct Runs<const WINDOWS: usize> {
    kept: VecDeque<Run>,
    /// Sends in runs that were dropped.
    dropped: u64,
    /// Where each window's edge was: where to look first, and nothing that an answer depends on.
    places: [usize; WINDOWS],
}

impl<const WINDOWS: usize> Default for Runs<WINDOWS> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), dropped: 0, places: [0; WINDOWS] }
    }
}

impl<const WINDOWS: usize> Runs<WINDOWS> {
    /// A history of these seconds, in any order.
    #[must_use]
    pub fn of(mut seconds: Vec<i64>) -> Self {
        seconds.sort_unstable();
        let mut runs = Self::default();
        for second in seconds {
            runs.log(second);
        }
        runs
    }

    /// How many sends are kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total() - self.dropped
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Records a send. One that comes late is put where it belongs, which moves all that is newer.
    #[inline]
    pub fn log(&mut self, second: i64) {
        match self.kept.back_mut() {
            Some(last) if last.second == second => last.up_to += 1,
            Some(last) if last.second > second => self.log_late(second),
            _ => {
                let up_to = self.total() + 1;
                self.kept.push_back(Run { second, up_to });
            }
        }
    }

    #[cold]
    fn log_late(&mut self, second: i64) {
        let at = self.kept.partition_point(|run| run.second < second);
        if self.kept[at].second != second {
            let up_to = self.before(at);
            self.kept.insert(at, Run { second, up_to });
        }
        self.kept.range_mut(at..).for_each(|run| run.up_to += 1);
    }

    /// Forgets all sends up to and including this second.
    #[inline]
    pub fn drop_through(&mut self, second: i64) {
        if self.kept.front().is_some_and(|first| first.second <= second) {
            self.drop_first(self.first_after(second, 0));
        }
    }

    fn drop_first(&mut self, gone: usize) {
        self.dropped = self.before(gone);
        self.kept.drain(..gone);
        self.places = self.places.map(|place| place.saturating_sub(gone));
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        } else if self.kept.capacity() > FEW.max(4 * self.kept.len()) {
            self.kept.shrink_to(2 * self.kept.len());
        }
    }

    /// How many sends are newer than this second, which is a window's edge: asked about the same `window` again and again,
    /// the answer is at hand.
    #[inline]
    pub fn count_after(&mut self, second: i64, window: usize) -> u64 {
        let place = self.first_after(second, self.places[window]);
        self.places[window] = place;
        self.total() - self.before(place)
    }

    /// The second of the send that has so many newer ones after it; `None` if there are not so many.
    #[must_use]
    pub fn newest(&self, after: u64) -> Option<i64> {
        self.nth(self.len().checked_sub(after)?.checked_sub(1)?)
    }

    /// The second of a send, the oldest being number 0.
    #[must_use]
    pub fn nth(&self, number: u64) -> Option<i64> {
        let wanted = self.dropped.checked_add(number)?;
        self.kept.get(self.kept.partition_point(|run| run.up_to <= wanted)).map(|run| run.second)
    }

    /// The earliest second at which a half-open window of `length` seconds holds at most `kept` of these sends, if it is
    /// not so already at any time: the send that has `kept` newer ones must have left.
    #[must_use]
    pub fn earliest(&self, length: i64, kept: u64) -> Option<i64> {
        self.newest(kept).map(|second| second.saturating_add(length))
    }

    /// Every send's second, the oldest first.
    pub fn seconds(&self) -> impl Iterator<Item = i64> + '_ {
        let mut before = self.dropped;
        self.kept.iter().flat_map(move |run| {
            let count = run.up_to - std::mem::replace(&mut before, run.up_to);
            (0..count).map(|_| run.second)
        })
    }

    fn total(&self) -> u64 {
        self.kept.back().map_or(self.dropped, |last| last.up_to)
    }

    /// How many sends there were before the run at this place, dropped ones included.
    #[inline]
    fn before(&self, place: usize) -> u64 {
        place.checked_sub(1).map_or(self.dropped, |last| self.kept[last].up_to)
    }

    /// The place of the first run that is newer than this second, looked for from a place near by.
    #[inline]
    fn first_after(&self, second: i64, from: usize) -> usize {
        let mut place = from.min(self.kept.len());
        for _ in 0..NEAR {
            if self.kept.get(place).is_some_and(|run| run.second <= second) {
                place += 1;
            } else if place > 0 && self.kept[place - 1].second > second {
                place -= 1;
            } else {
                return place;
            }
        }
        self.kept.partition_point(|run| run.second <= second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same in each run (splitmix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % bound
        }

        fn second(&mut self, bound: u64) -> i64 {
            i64::try_from(self.below(bound)).unwrap()
        }
    }

    /// The same history, written down send by send.
    fn count(stamps: &[i64], after: i64) -> u64 {
        stamps.iter().filter(|&&stamp| stamp > after).count() as u64
    }

    fn check(runs: &mut Runs<3>, stamps: &[i64], now: i64, windows: [i64; 3], limit: u64) {
        assert_eq!(runs.len(), stamps.len() as u64);
        for (number, &length) in windows.iter().enumerate() {
            let sent = runs.count_after(now - length, number);
            assert_eq!(sent, count(stamps, now - length), "{stamps:?} at {now}, window {length}");
            if sent < limit {
                continue;
            }
            let earliest = runs.earliest(length, limit - 1).expect("it is over the limit");
            assert!(count(stamps, earliest - length) < limit, "at {earliest} it must be free");
            assert!(count(stamps, earliest - 1 - length) >= limit, "before {earliest} it must not");
        }
    }

    #[test]
    fn twenty_thousand_schedules_count_as_brute_force_does() {
        let mut dice = Dice(1);
        for _ in 0..20_000 {
            let windows = [1 + dice.second(5), 5 + dice.second(20), 25 + dice.second(40)];
            let limit = 1 + dice.below(6);
            let (mut runs, mut stamps, mut now) = (Runs::<3>::default(), Vec::new(), 1_000);
            for _ in 0..dice.below(40) {
                match dice.below(10) {
                    0 => now -= dice.second(30),
                    1 => now += dice.second(60),
                    2 => {
                        runs.drop_through(now - windows[2]);
                        stamps.retain(|&stamp| stamp > now - windows[2]);
                    }
                    3..6 => now += dice.second(3),
                    _ => {
                        runs.log(now);
                        stamps.push(now);
                        stamps.sort_unstable();
                    }
                }
                check(&mut runs, &stamps, now, windows, limit);
            }
            assert!(runs.seconds().eq(stamps.iter().copied()));
            assert!(Runs::<3>::of(stamps.clone()).seconds().eq(stamps.iter().copied()));
            for (number, &stamp) in stamps.iter().enumerate() {
                assert_eq!(runs.nth(number as u64), Some(stamp));
            }
            assert_eq!(runs.nth(stamps.len() as u64), None);
            assert_eq!(runs.nth(u64::MAX), None);
        }
    }

    #[test]
    fn a_day_takes_a_run_a_second_and_idling_gives_the_memory_back() {
        let mut runs = Runs::<1>::default();
        for second in 0..86_400 * 2 {
            runs.drop_through(second - 86_400);
            (0..3).for_each(|_| runs.log(second));
        }
        assert_eq!(runs.kept.len(), 86_400);
        assert_eq!(runs.len(), 3 * 86_400);
        assert_eq!(size_of::<Run>(), 16);
        runs.drop_through(86_400 * 2 - 101);
        assert!(runs.kept.capacity() <= 400, "{}", runs.kept.capacity());
        assert_eq!((runs.len(), runs.count_after(86_400 * 2 - 51, 0)), (300, 150));
        runs.drop_through(86_400 * 2);
        assert_eq!((runs.len(), runs.kept.capacity()), (0, 0));
        assert_eq!((runs.count_after(0, 0), runs.earliest(60, 0)), (0, None));
    }

    #[test]
    fn a_late_send_of_a_second_that_is_there_takes_no_run_of_its_own() {
        let mut runs = Runs::<1>::of(vec![1, 2, 3]);
        runs.log(2);
        assert_eq!((runs.kept.len(), runs.seconds().collect::<Vec<_>>()), (3, vec![1, 2, 2, 3]));
    }

    #[test]
    fn memory_is_given_back_where_less_than_a_quarter_of_it_is_used() {
        let mut runs = Runs::<1>::of((0..1024).collect());
        let room = runs.kept.capacity();
        assert_eq!(room, 1024);
        runs.drop_through(1023 - 256);
        assert_eq!((runs.len(), runs.kept.capacity()), (256, room), "a quarter is not too little");
        runs.drop_through(1024 - 256);
        assert_eq!((runs.len(), runs.kept.capacity()), (255, 510), "room for as much again");
        let all: Vec<i64> = (0..64).collect();
        let mut few = Runs::<1>::of(all.clone());
        few.drop_through(all[FEW - 2]);
        assert_eq!((few.len(), few.kept.capacity()), (1, FEW), "and not where it is little in all");
    }

    #[test]
    fn the_ends_of_time_are_no_edge() {
        let mut runs = Runs::<1>::of(vec![i64::MAX, i64::MIN, 0, 0]);
        assert_eq!(runs.count_after(-1, 0), 3);
        assert_eq!(runs.earliest(60, 0), Some(i64::MAX));
        runs.drop_through(i64::MAX);
        assert!(runs.is_empty());
    }
}
