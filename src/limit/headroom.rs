//! How long after its send a request may still arrive, as far as its sender can tell: the spread of round-trip times.
//!
//! A server that stamps requests as they arrive sees two of them closer together than they were sent, by up to the spread
//! of the one-way delay. The sender knows round trips only, and their spread is no smaller than that of either way.

/// What a sender assumes before it has seen anything: 50 ms.
pub const FIRST_HEADROOM: u64 = 50_000_000;
/// No network is calmer than that for long.
const LEAST: u64 = 5_000_000;
/// A refusal doubles the headroom no further than that.
const MOST: u64 = 10_000_000_000;
/// "Recent" is at least so long and so many round trips ago, and at most twice as long.
const RECENT: u64 = 10_000_000_000;
const ENOUGH: u32 = 100;
/// Fewer round trips than these do not say what the shortest one is, nor lower the headroom below the first.
const FEW: u32 = 20;
/// A headroom that is too large comes down by 1 - 1/e of the difference in this time.
const SLOWLY: u64 = 30_000_000_000;

/// A headroom that is learned, in nanoseconds. Times are those of any monotonic clock.
#[derive(Clone, Debug)]
pub struct Headroom {
    first: u64,
    now: u64,
    /// As of when `now` is.
    at: u64,
    recent: Trips,
    before: Trips,
}

/// Round trips of some time: how many, and the shortest and the longest.
#[derive(Clone, Copy, Debug, Default)]
struct Trips {
    since: u64,
    count: u32,
    shortest: u64,
    longest: u64,
}

impl Trips {
    fn add(&mut self, trip: u64) {
        self.shortest = if self.count == 0 { trip } else { self.shortest.min(trip) };
        self.longest = self.longest.max(trip);
        self.count = self.count.saturating_add(1);
    }

    fn are_over(&self, at: u64) -> bool {
        self.count >= ENOUGH && at.saturating_sub(self.since) >= RECENT
    }
}

impl Headroom {
    /// Begins with `first`, at `at`.
    #[must_use]
    pub fn new(first: u64, at: u64) -> Self {
        let recent = Trips { since: at, ..Trips::default() };
        Self { first, now: first, at, recent, before: Trips::default() }
    }

    /// The headroom as of the last thing that was learned.
    #[inline]
    #[must_use]
    pub const fn get(&self) -> u64 {
        self.now
    }

    fn are_few(&self) -> bool {
        self.recent.count.saturating_add(self.before.count) < FEW
    }

    /// The shortest recent round trip; 0 as long as few are known.
    #[inline]
    #[must_use]
    pub fn shortest(&self) -> u64 {
        match (self.are_few(), self.before.count) {
            (true, _) => 0,
            (_, 0) => self.recent.shortest,
            _ => self.recent.shortest.min(self.before.shortest),
        }
    }

    /// The longest recent round trip; 0 if none is known.
    #[inline]
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.recent.longest.max(self.before.longest)
    }

    fn spread(&self) -> u64 {
        self.longest() - self.shortest()
    }

    /// A round trip that ended at `at`. A spread beyond the headroom raises it at once.
    pub fn learn(&mut self, trip: u64, at: u64) {
        self.relax(at);
        if self.recent.are_over(at) {
            self.before = self.recent;
            self.recent = Trips { since: at, ..Trips::default() };
        }
        self.recent.add(trip);
        self.raise(self.spread(), at);
    }

    fn raise(&mut self, to: u64, at: u64) {
        if self.now < to {
            // From here on it comes down, not from when nothing was left to come down.
            (self.now, self.at) = (to, at);
        }
    }

    /// The server refused a request, so it was too small: twice as much, and no less than half of a round trip.
    pub fn refused(&mut self, at: u64) {
        self.relax(at);
        self.raise(self.now.saturating_mul(2).max(self.longest() / 2).clamp(LEAST, MOST), at);
    }

    /// Comes down towards what the recent round trips ask for.
    pub fn relax(&mut self, at: u64) {
        let target = self.spread().max(if self.are_few() { self.first } else { LEAST });
        let above = u128::from(self.now.saturating_sub(target));
        let passed = u128::from(at.saturating_sub(self.at).min(SLOWLY));
        // A difference divided by a time: less than either.
        let less = u64::try_from(above * passed / u128::from(SLOWLY)).unwrap_or(0);
        if less > 0 || above == 0 {
            (self.now, self.at) = (self.now - less, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;

    /// A headroom that has seen so many round trips of each of two lengths, 10 ms apart.
    fn after(count: u64, [short, long]: [u64; 2]) -> (Headroom, u64) {
        let mut headroom = Headroom::new(FIRST_HEADROOM, 0);
        for n in 0..count {
            headroom.learn(if n % 2 == 0 { short } else { long } * MS, n * 10 * MS);
        }
        (headroom, count * 10 * MS)
    }

    #[test]
    fn it_is_the_spread_of_round_trips_and_not_their_length() {
        assert_eq!(after(0, [0, 0]).0.get(), 50 * MS);
        assert_eq!(after(2, [10, 20]).0.get(), 50 * MS, "two round trips do not say that the network is calm");
        assert_eq!(after(2, [300, 301]).0.get(), 301 * MS, "nor what the shortest may be");
        let (calm, _) = after(30_000, [300, 312]);
        assert!((12 * MS..13 * MS).contains(&calm.get()), "{}", calm.get());
        let (calmest, _) = after(60_000, [300, 300]);
        assert!((LEAST..LEAST + MS).contains(&calmest.get()), "{}", calmest.get());
    }

    #[test]
    fn the_twentieth_round_trip_says_which_is_the_shortest() {
        assert_eq!(after(19, [300, 300]).0.shortest(), 0);
        assert_eq!(after(20, [300, 300]).0.shortest(), 300 * MS);
    }

    #[test]
    fn it_comes_down_by_all_the_time_that_passes_however_it_is_cut() {
        let mut headroom = Headroom::new(LEAST + 10, 0);
        (0..20).for_each(|_| headroom.learn(0, 0));
        // A third of a nanosecond each.
        (1..3).for_each(|second| headroom.relax(second * SECOND));
        assert_eq!(headroom.get(), LEAST + 10);
        headroom.relax(3 * SECOND);
        assert_eq!(headroom.get(), LEAST + 9);
    }

    #[test]
    fn it_comes_down_from_when_there_was_something_to_come_down() {
        let mut headroom = Headroom::new(50 * MS, 0);
        (1..20).for_each(|second| headroom.learn(0, second * SECOND));
        headroom.learn(0, 19 * SECOND);
        headroom.relax(22 * SECOND);
        assert_eq!(headroom.get(), 50 * MS - 45 * MS / 10, "a tenth of the time, a tenth of the way");
    }

    #[test]
    fn a_refusal_at_the_most_does_not_put_off_the_coming_down() {
        let mut headroom = Headroom::new(50 * MS, 0);
        (0..10).for_each(|_| headroom.refused(0));
        assert_eq!(headroom.get(), MOST);
        headroom.refused(1);
        headroom.relax(4);
        assert_eq!(headroom.get(), MOST - 1, "four nanoseconds of thirty seconds, of ten seconds");
    }

    #[test]
    fn a_longer_or_shorter_round_trip_raises_it_at_once() {
        for trip in [80, 320] {
            let (mut headroom, at) = after(60_000, [200, 200]);
            headroom.learn(trip * MS, at);
            assert_eq!(headroom.get(), 120 * MS, "{trip}");
        }
    }

    #[test]
    fn a_refusal_doubles_it_and_does_not_start_from_nothing() {
        let (mut headroom, at) = after(60_000, [200, 200]);
        headroom.refused(at);
        assert_eq!(headroom.get(), 100 * MS, "half of a round trip");
        headroom.refused(at);
        assert_eq!(headroom.get(), 200 * MS);
        (0..100).for_each(|_| headroom.refused(at));
        assert_eq!(headroom.get(), MOST);
    }

    #[test]
    fn it_comes_down_slowly_and_no_faster_when_looked_at_often() {
        for steps in [1, 7, 1_000, 100_000] {
            let (mut headroom, at) = after(200, [0, 60]);
            headroom.refused(at);
            assert_eq!(headroom.get(), 120 * MS);
            (1..=steps).for_each(|step| headroom.relax(at + step * 3 * SECOND / steps));
            let left = headroom.get();
            assert!((113 * MS..115 * MS).contains(&left), "a tenth of the time, a tenth of the 60 ms: {left}");
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_what_is_recent_is_not() {
        let (mut headroom, mut at) = after(200, [0, 100]);
        for seconds in 0..40 {
            assert_eq!(headroom.shortest(), if seconds < 18 { 0 } else { 70 * MS }, "after {seconds} s");
            for _ in 0..100 {
                at += 10 * MS;
                headroom.learn(70 * MS, at);
            }
        }
        assert_eq!((headroom.shortest(), headroom.longest()), (70 * MS, 70 * MS));
    }
}
