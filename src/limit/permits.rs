//! So many requests in any window, counted by a server that is some way off: interchangeable permits, each held from the
//! send until its request must have left the server's window.
//!
//! When the response is here, the request has arrived before: a permit that comes back a window after the response is
//! always safe. It may come back earlier, a window and a headroom after the send, if no request takes longer to arrive
//! than the headroom says (`headroom.rs`). That is a bet on the network; few of them are open at a time, so a network
//! that changes all of a sudden costs few refusals before the headroom has learned of it.
//!
//! Permits have no order among themselves: whichever is free first goes next.

use std::collections::BTreeMap;

use super::Headroom;
use crate::error::Error;

/// Of so many permits, one may be a bet at a time.
const PERMITS_PER_BET: usize = 5;

/// The most permits: 2^32 - 1.
const MOST: u64 = u32::MAX as u64;

/// `permits` requests in any window of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    permits: usize,
    window: u64,
    margin: u64,
}

impl Pace {
    /// `margin` is added to the window: the grain of the server's clock.
    ///
    /// # Errors
    /// Refuses zeros, and more than 2^32 - 1 permits.
    pub fn new(permits: u64, window: u64, margin: u64) -> Result<Self, Error> {
        if permits == 0 {
            return Err(Error::invalid("permits", permits, "must be at least 1"));
        }
        if window == 0 {
            return Err(Error::invalid("window", window, "must be at least 1 ns"));
        }
        match usize::try_from(permits) {
            Ok(fits) if permits <= MOST => Ok(Self { permits: fits, window, margin }),
            _ => Err(Error::invalid("permits", permits, "must be at most 4,294,967,295")),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn permits(&self) -> usize {
        self.permits
    }

    /// The same with another margin.
    #[must_use]
    pub const fn with_margin(self, margin: u64) -> Self {
        Self { margin, ..self }
    }

    /// From the arrival to the end of the hold: the server wants *more* than a window between two.
    const fn hold(&self) -> u64 {
        let margin = if self.margin == 0 { 1 } else { self.margin };
        self.window.saturating_add(margin)
    }

    /// How many bets may be open.
    const fn bets(&self) -> usize {
        if self.permits < PERMITS_PER_BET { 1 } else { self.permits / PERMITS_PER_BET }
    }
}

/// A permit whose request has ended, and which is held still.
#[derive(Debug)]
struct Held {
    number: u64,
    sent: u64,
    ended: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    sent: u64,
    is_bet: bool,
}

/// The right to send one request now, not used yet; it remembers whose place it took early.
#[derive(Debug)]
#[must_use = "a slot that is neither sent nor put back is lost"]
pub struct Slot(Option<Held>);

/// The permits of one key that are not free.
#[derive(Debug, Default)]
pub struct Permits {
    flights: BTreeMap<u64, Flight>,
    /// The held ones twice: by the send, which the bet goes by, and by the end, which is certain.
    by_send: BTreeMap<(u64, u64), u64>,
    by_end: BTreeMap<(u64, u64), u64>,
    slots: usize,
    /// Slots and flights that are bets.
    bets: usize,
    numbers: u64,
}

impl Permits {
    /// How many are promised, in flight or held.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.slots + self.flights.len() + self.by_send.len()
    }

    /// Requests that were sent and have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    fn hold(&mut self, held: &Held) {
        self.by_send.insert((held.sent, held.number), held.ended);
        self.by_end.insert((held.ended, held.number), held.sent);
    }

    /// Frees what has certainly left the server's window.
    pub fn settle(&mut self, pace: &Pace, now: u64) {
        while let Some(first) = self.by_end.first_entry() {
            let (ended, number) = *first.key();
            if ended.saturating_add(pace.hold()) > now {
                break;
            }
            self.by_send.remove(&(first.remove(), number));
        }
    }

    /// When the next slot can be had, if nothing ends before that; `None`: not before a request ends.
    #[must_use]
    pub fn ready_at(&self, pace: &Pace, headroom: &Headroom, now: u64) -> Option<u64> {
        if self.in_use() < pace.permits {
            return Some(now);
        }
        let certain = self.by_end.first_key_value().map(|((ended, _), _)| ended.saturating_add(pace.hold()));
        certain.into_iter().chain(self.bet_at(pace, headroom)).min()
    }

    /// When the permit that was sent first may be sent again on the headroom's word.
    fn bet_at(&self, pace: &Pace, headroom: &Headroom) -> Option<u64> {
        let ((sent, _), _) = self.by_send.first_key_value()?;
        let at = sent.saturating_add(headroom.get()).saturating_add(pace.hold());
        // A request that will have been under way for longer than the headroom explains belies it.
        let longest = headroom.shortest().saturating_add(headroom.get());
        let belied = self.flights.first_key_value().is_some_and(|(_, oldest)| oldest.sent.saturating_add(longest) < at);
        (self.bets < pace.bets() && !belied).then_some(at)
    }

    /// A slot, if one can be had now.
    pub fn take(&mut self, pace: &Pace, headroom: &Headroom, now: u64) -> Option<Slot> {
        self.settle(pace, now);
        if self.ready_at(pace, headroom, now).is_none_or(|at| at > now) {
            return None;
        }
        self.slots += 1;
        if self.in_use() <= pace.permits {
            return Some(Slot(None));
        }
        self.bets += 1;
        let ((sent, number), ended) = self.by_send.pop_first()?;
        self.by_end.remove(&(ended, number));
        Some(Slot(Some(Held { number, sent, ended })))
    }

    /// Takes a slot back that was not used.
    pub fn put_back(&mut self, slot: Slot) {
        self.slots -= 1;
        if let Some(held) = slot.0 {
            self.bets -= 1;
            self.hold(&held);
        }
    }

    /// Uses a slot: its request is sent at `now`. Returns the flight's number.
    pub fn send(&mut self, slot: Slot, now: u64) -> u64 {
        let Slot(early) = slot;
        self.slots -= 1;
        self.numbers += 1;
        self.flights.insert(self.numbers, Flight { sent: now, is_bet: early.is_some() });
        self.numbers
    }

    /// When this flight was sent.
    #[must_use]
    pub fn sent(&self, number: u64) -> Option<u64> {
        self.flights.get(&number).map(|flight| flight.sent)
    }

    /// A flight has ended, and its request had arrived by `ended`. False if there is no such flight.
    pub fn end(&mut self, number: u64, ended: u64) -> bool {
        let Some(Flight { sent, is_bet }) = self.flights.remove(&number) else { return false };
        self.bets -= usize::from(is_bet);
        self.hold(&Held { number, sent, ended });
        true
    }

    /// Ends every flight at `ended`, whatever became of it.
    pub fn end_all(&mut self, ended: u64) {
        while let Some((&number, _)) = self.flights.first_key_value() {
            self.end(number, ended);
        }
    }

    /// No slot for whoever has `ahead` others before it can be had earlier, if the headroom stays as it is.
    #[must_use]
    pub fn not_before(&self, pace: &Pace, headroom: &Headroom, now: u64, ahead: usize) -> u64 {
        let free = pace.permits.saturating_sub(self.in_use());
        if ahead < free {
            return now;
        }
        let early = |sent: u64, ended: u64| ended.min(sent.saturating_add(headroom.get()));
        let finished = self.by_send.iter().map(|(&(sent, _), &ended)| early(sent, ended));
        // What has not ended ends now at the earliest; what is promised is sent now at the earliest.
        let flights = self.flights.values().map(|flight| early(flight.sent, now));
        let mut stamps: Vec<u64> = finished.chain(flights).collect();
        stamps.resize(self.in_use(), now);
        let (rounds, nth) = (ahead / pace.permits, ahead % pace.permits);
        let hold = pace.hold().saturating_mul(rounds as u64);
        if nth < free {
            return now.saturating_add(hold);
        }
        let (_, stamp, _) = stamps.select_nth_unstable(nth - free);
        stamp.saturating_add(pace.hold()).max(now).saturating_add(hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hold of 101, whatever the headroom.
    fn pace(permits: u64) -> Pace {
        Pace::new(permits, 100, 1).unwrap()
    }

    /// Permits sent at once at 0, whose responses came at these times.
    fn after(pace: &Pace, headroom: &Headroom, ends: &[u64]) -> Permits {
        let mut permits = Permits::default();
        let numbers: Vec<u64> = ends
            .iter()
            .map(|_| {
                let slot = permits.take(pace, headroom, 0).unwrap();
                permits.send(slot, 0)
            })
            .collect();
        for (number, ended) in numbers.iter().zip(ends) {
            assert!(permits.end(*number, *ended) && !permits.end(*number, *ended));
        }
        permits
    }

    #[test]
    fn the_earlier_of_response_and_headroom_decides() {
        let pace = pace(10);
        for (headroom, ready) in [(5, 106), (20, 120), (90, 120)] {
            let headroom = Headroom::new(headroom, 0);
            let mut permits = after(&pace, &headroom, &[19, 30, 30, 30, 40, 40, 40, 40, 50, 50]);
            assert_eq!(permits.ready_at(&pace, &headroom, 50), Some(ready));
            assert!(permits.take(&pace, &headroom, ready - 1).is_none());
            assert!(permits.take(&pace, &headroom, ready).is_some());
        }
    }

    #[test]
    fn one_in_five_may_be_a_bet_and_one_that_is_put_back_is_none() {
        let (pace, headroom) = (pace(10), Headroom::new(5, 0));
        let mut permits = after(&pace, &headroom, &[50; 10]);
        let first = permits.take(&pace, &headroom, 106).unwrap();
        let second = permits.take(&pace, &headroom, 106).unwrap();
        assert!(permits.take(&pace, &headroom, 106).is_none(), "two of ten");
        assert_eq!(permits.ready_at(&pace, &headroom, 106), Some(151), "the rest is certain then");
        permits.put_back(first);
        assert_eq!((permits.in_use(), permits.ready_at(&pace, &headroom, 106)), (10, Some(106)));
        let flight = permits.send(second, 106);
        assert!(permits.end(flight, 120));
        let all: Vec<Slot> = std::iter::from_fn(|| permits.take(&pace, &headroom, 151)).collect();
        assert_eq!(all.len(), 9, "but for the one that was sent again");
    }

    #[test]
    fn no_turn_comes_before_it_is_said_to() {
        let (pace, headroom) = (pace(3), Headroom::new(1_000, 0));
        let mut permits = after(&pace, &headroom, &[10, 40]);
        let not_before = |permits: &Permits, ahead| permits.not_before(&pace, &headroom, 60, ahead);
        assert_eq!([0, 1, 2, 3, 7].map(|ahead| not_before(&permits, ahead)), [60, 111, 141, 161, 313]);
        let slot = permits.take(&pace, &headroom, 60).unwrap();
        assert_eq!([0, 1, 2, 3].map(|ahead| not_before(&permits, ahead)), [111, 141, 161, 212]);
        let flight = permits.send(slot, 60);
        assert_eq!(not_before(&permits, 2), 161, "it ends now at the earliest");
        permits.end(flight, 90);
        assert_eq!(not_before(&permits, 2), 191);
    }

    #[test]
    fn a_pace_is_what_it_was_made_of() {
        let pace = pace(10);
        assert_eq!((pace.permits(), pace.hold(), pace.with_margin(7).hold()), (10, 101, 107));
        assert_eq!(pace.with_margin(0).hold(), 101, "more than a window");
        assert_eq!([1, 4, 5, 9, 10].map(|permits| Pace::new(permits, 100, 1).unwrap().bets()), [1, 1, 1, 1, 2]);
    }

    #[test]
    fn flights_are_counted_and_all_end_when_all_is_lost() {
        let (pace, headroom, mut permits) = (pace(3), Headroom::new(5, 0), Permits::default());
        let numbers = [0, 7].map(|now| {
            let slot = permits.take(&pace, &headroom, now).unwrap();
            permits.send(slot, now)
        });
        assert_eq!(numbers.map(|number| permits.sent(number)), [Some(0), Some(7)]);
        assert_eq!((permits.in_flight(), permits.in_use()), (2, 2));
        permits.end_all(20);
        assert_eq!((permits.in_flight(), permits.in_use(), permits.sent(numbers[0])), (0, 2, None));
        permits.settle(&pace, 120);
        assert_eq!(permits.in_use(), 2);
        permits.settle(&pace, 121);
        assert_eq!(permits.in_use(), 0, "a hold after the end");
    }

    #[test]
    fn a_request_that_is_under_way_for_too_long_belies_the_headroom() {
        let (pace, headroom) = (pace(2), Headroom::new(5, 0));
        let mut permits = after(&pace, &headroom, &[50]);
        let late = permits.take(&pace, &headroom, 100).unwrap();
        let late = permits.send(late, 100);
        let longest = headroom.shortest() + headroom.get();
        assert_eq!(longest, 5);
        assert_eq!(permits.ready_at(&pace, &headroom, 100), Some(151), "sent at 100, it would be 6 under way at 106");
        permits.end(late, 103);
        assert_eq!(permits.ready_at(&pace, &headroom, 103), Some(106));
        let (just, mut permits) = (101, after(&pace, &headroom, &[50]));
        let slot = permits.take(&pace, &headroom, just).unwrap();
        permits.send(slot, just);
        assert_eq!(permits.ready_at(&pace, &headroom, just), Some(106), "5 are explained");
    }

    #[test]
    fn a_bet_that_has_ended_is_none_any_more() {
        let (pace, headroom) = (pace(5), Headroom::new(5, 0));
        let mut permits = after(&pace, &headroom, &[50; 5]);
        let bet = permits.take(&pace, &headroom, 106).unwrap();
        assert!(permits.take(&pace, &headroom, 106).is_none(), "one of five");
        let bet = permits.send(bet, 106);
        assert!(permits.end(bet, 110));
        assert!(permits.take(&pace, &headroom, 111).is_some());
    }
}
