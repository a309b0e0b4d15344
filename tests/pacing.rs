//! Permits of a paced client: how long each is held, who is next, and that none is ever lost.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use tollbar::pacing::{Joined, Look, Permit, Ticket};
use tollbar::{Clock, Error, ManualClock, Pacer};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// A pacer of one key, with a clock to move and a list of who was woken.
struct Bench {
    clock: Arc<ManualClock>,
    pacer: Pacer,
    woken: Arc<Mutex<Vec<usize>>>,
}

struct Note(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

fn bench(permits: u64, with: impl FnOnce(Pacer) -> Pacer) -> Bench {
    let clock = Arc::new(ManualClock::new(50 * SECOND, 0));
    let pacer = with(Pacer::new(permits, SECOND, Clock::Manual(clock.clone())).unwrap());
    Bench { clock, pacer, woken: Arc::default() }
}

impl Bench {
    fn pass(&self, nanos: u64) {
        self.clock.advance_ns(i64::try_from(nanos).unwrap());
    }

    fn take(&self) -> Option<Permit> {
        self.pacer.try_acquire(b"a").unwrap()
    }

    fn end(&self, permit: Permit) {
        assert!(self.pacer.end(b"a", permit, true).unwrap());
    }

    /// Joins as number `n`, and looks, as everybody has to.
    fn join(&self, n: usize, timeout: Option<u64>) -> Result<Ticket, u64> {
        let waker = Waker::from(Arc::new(Note(n, self.woken.clone())));
        match self.pacer.join(b"a", timeout, waker).unwrap() {
            Joined::Waiting(ticket) => {
                assert!(matches!(self.look(ticket), Look::Wait(_)));
                Ok(ticket)
            }
            Joined::TooLate(wait) => Err(wait),
        }
    }

    fn look(&self, ticket: Ticket) -> Look {
        self.pacer.look(b"a", ticket).unwrap()
    }

    fn granted(&self, ticket: Ticket) -> Permit {
        match self.look(ticket) {
            Look::Granted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn woken(&self) -> Vec<usize> {
        std::mem::take(&mut self.woken.lock().unwrap())
    }

    /// So many requests of the same length, as fast as they go: what is learned of a calm network.
    fn calm(&self, requests: usize, trip: u64) {
        for _ in 0..requests {
            let permit = loop {
                match self.take() {
                    Some(permit) => break permit,
                    None => self.pass(10 * MS),
                }
            };
            self.pass(trip);
            self.end(permit);
        }
        self.pass(2 * SECOND);
    }
}

#[test]
fn a_permit_is_free_more_than_a_window_after_its_response() {
    for (margin, held) in [(MS, SECOND + MS), (0, SECOND + 1)] {
        let bench = bench(2, |pacer| pacer.margin(margin));
        let (a, b) = (bench.take().unwrap(), bench.take().unwrap());
        assert!(bench.take().is_none());
        bench.pass(30 * MS);
        bench.end(b);
        bench.pass(5 * MS);
        bench.end(a);
        bench.pass(held - 5 * MS - 1);
        assert!(bench.take().is_none());
        bench.pass(1);
        assert!(bench.take().is_some() && bench.take().is_none(), "b came back first, though sent second");
        bench.pass(5 * MS);
        assert!(bench.take().is_some());
        assert!(!bench.pacer.end(b"a", a, true).unwrap(), "ended before");
    }
}

#[test]
fn who_has_no_response_holds_his_permit() {
    let bench = bench(1, |pacer| pacer);
    let permit = bench.take().unwrap();
    bench.pass(100 * SECOND);
    assert!(bench.take().is_none());
    let stats = bench.pacer.stats(b"a").unwrap();
    assert_eq!((stats.in_use, stats.in_flight, stats.granted), (1, 1, 1));
    bench.end(permit);
    bench.pass(SECOND);
    assert!(bench.take().is_none());
    bench.pass(MS);
    assert!(bench.take().is_some());
}

#[test]
fn a_request_that_failed_may_still_arrive() {
    for (trips, longest) in [(&[][..], 50), (&[400, 10][..], 400)] {
        let bench = bench(1, |pacer| pacer);
        for trip in trips {
            bench.pacer.record_latency(b"a", trip * MS).unwrap();
        }
        let permit = bench.take().unwrap();
        bench.pass(MS);
        assert!(bench.pacer.end(b"a", permit, false).unwrap());
        bench.pass(longest * MS + SECOND - 1);
        assert!(bench.take().is_none(), "{longest}");
        bench.pass(1);
        assert!(bench.take().is_some(), "{longest}");
    }
}

#[test]
fn on_a_calm_network_the_headroom_is_enough_but_for_few_at_a_time() {
    let bench = bench(20, |pacer| pacer);
    bench.calm(30_000, 300 * MS);
    let headroom = bench.pacer.stats(b"a").unwrap().headroom_ns;
    assert!((5 * MS..6 * MS).contains(&headroom), "{headroom}");
    let flights: Vec<Permit> = std::iter::from_fn(|| bench.take()).collect();
    assert_eq!(flights.len(), 20);
    bench.pass(300 * MS);
    for permit in flights {
        bench.end(permit);
    }
    bench.pass(SECOND + MS + headroom - 300 * MS);
    let early: Vec<Permit> = std::iter::from_fn(|| bench.take()).collect();
    assert_eq!(early.len(), 4, "300 ms before it is certain");
    bench.pass(100 * MS);
    assert!(bench.take().is_none());
    bench.end(early[0]);
    let headroom = bench.pacer.stats(b"a").unwrap().headroom_ns;
    assert_eq!(headroom, 200 * MS, "a response after 100 ms says that 200 of the 300 are not for sure");
    bench.pass(95 * MS + 6 * MS);
    assert!(bench.take().is_some() && bench.take().is_none(), "one bet is over, one is free");
}

#[test]
fn requests_that_do_not_end_belie_the_headroom() {
    let bench = bench(2, |pacer| pacer);
    bench.calm(5_000, 300 * MS);
    let first = bench.take().unwrap();
    bench.pass(300 * MS);
    bench.end(first);
    let _lost = bench.take().unwrap();
    bench.pass(SECOND);
    assert!(bench.take().is_none(), "a second on its way, where 300 ms were usual");
    bench.pass(SECOND);
    assert!(bench.take().is_some());
}

#[test]
fn who_came_first_is_first_and_only_the_head_is_woken() {
    let bench = bench(3, |pacer| pacer);
    let flights: Vec<Permit> = std::iter::from_fn(|| bench.take()).collect();
    let tickets: Vec<Ticket> = (0..1_000).map(|n| bench.join(n, None).unwrap()).collect();
    assert_eq!(bench.look(tickets[0]), Look::Wait(None), "nobody knows when a response comes");
    assert_eq!(bench.look(tickets[1]), Look::Wait(None));
    assert!(bench.woken().is_empty());
    bench.pass(10 * MS);
    bench.end(flights[0]);
    assert_eq!(bench.woken(), [0], "the head has a time now");
    assert_eq!(bench.look(tickets[0]), Look::Wait(Some(SECOND + MS)));
    bench.end(flights[1]);
    assert!(bench.woken().is_empty(), "its timer is set");
    bench.pass(SECOND + MS);
    assert_eq!(bench.woken(), [0], "the clock wakes a waiter whose time has come");
    assert!(bench.take().is_none(), "nobody overtakes those who wait");
    assert_eq!(bench.woken(), [0, 1], "two permits, and nobody knows when the third will come");
    bench.granted(tickets[0]);
    bench.granted(tickets[1]);
    assert_eq!(bench.look(tickets[0]), Look::Gone);
    assert_eq!(bench.pacer.stats(b"a").unwrap().waiting, 998);
    bench.end(flights[2]);
    assert_eq!(bench.woken(), [2]);
}

#[test]
fn a_move_of_the_clock_wakes_a_deadline_behind_the_head() {
    let bench = bench(1, |pacer| pacer);
    let _flight = bench.take().unwrap();
    let (head, behind) = (bench.join(0, None).unwrap(), bench.join(1, Some(3_600 * SECOND)).unwrap());
    bench.pass(3_600 * SECOND - 1);
    assert!(bench.woken().is_empty());
    bench.pass(1);
    assert_eq!(bench.woken(), [1]);
    assert!(matches!(bench.look(behind), Look::TooLate(_)));
    assert!(bench.pacer.leave(b"a", head).unwrap());
    bench.pass(SECOND);
    assert!(bench.woken().is_empty() && bench.clock.until_next_ns().is_none(), "the clock forgets waiters that left");
}

/// The head's timer is the only one, so whoever becomes the head is told.
// HAZARD incident-herd
#[test]
fn a_thousand_who_wait_are_served_with_two_wakes_each() {
    let bench = bench(5, |pacer| pacer);
    let mut tickets: Vec<Ticket> = Vec::new();
    let flights: Vec<Permit> = std::iter::from_fn(|| bench.take()).collect();
    tickets.extend((0..1_000).map(|n| bench.join(n, None).unwrap()));
    for permit in flights {
        bench.end(permit);
    }
    let (mut wakes, mut served, mut timer) = (0, Vec::new(), None);
    while served.len() < tickets.len() {
        let woken = bench.woken();
        wakes += woken.len();
        if woken.is_empty() {
            bench.pass(timer.take().expect("the head has a timer"));
            let looked = bench.granted(tickets[served.len()]);
            served.push(served.len());
            bench.end(looked);
        }
        for n in woken {
            match bench.look(tickets[n]) {
                Look::Granted(permit) => {
                    assert_eq!(n, served.len(), "in order");
                    served.push(n);
                    bench.end(permit);
                }
                Look::Wait(nanos) => timer = nanos,
                Look::Gone => assert!(n < served.len()),
                Look::TooLate(_) => panic!("nobody has a timeout"),
            }
        }
    }
    assert!(wakes <= 2_000, "{wakes}");
}

// HAZARD python-waiters
#[test]
fn who_leaves_hands_his_place_on_and_no_permit_is_lost() {
    let bench = bench(1, |pacer| pacer);
    let permit = bench.take().unwrap();
    let tickets: Vec<Ticket> = (0..4).map(|n| bench.join(n, None).unwrap()).collect();
    bench.end(permit);
    assert_eq!(bench.woken(), [0]);
    assert!(bench.pacer.leave(b"a", tickets[0]).unwrap() && !bench.pacer.leave(b"a", tickets[0]).unwrap());
    assert_eq!(bench.woken(), [1], "the new head has to set its timer");
    assert_eq!(bench.look(tickets[1]), Look::Wait(Some(SECOND + MS)));
    assert!(bench.pacer.leave(b"a", tickets[2]).unwrap());
    bench.pass(SECOND + MS);
    assert_eq!(bench.woken(), [1], "the clock wakes a waiter whose time has come");
    assert!(bench.take().is_none());
    assert_eq!(bench.woken(), [1]);
    assert!(bench.pacer.leave(b"a", tickets[1]).unwrap(), "called, and gone before it looked");
    assert_eq!(bench.woken(), [3]);
    bench.granted(tickets[3]);
    let stats = bench.pacer.stats(b"a").unwrap();
    assert_eq!((stats.in_use, stats.granted, stats.waiting), (1, 2, 0));
}

#[test]
fn a_timeout_that_cannot_be_met_is_told_at_once() {
    let bench = bench(2, |pacer| pacer);
    let flights: Vec<Permit> = std::iter::from_fn(|| bench.take()).collect();
    assert_eq!(bench.join(0, Some(SECOND)), Err(SECOND + MS), "no response can come before now");
    for permit in flights {
        bench.end(permit);
    }
    assert_eq!(bench.join(0, Some(SECOND + MS - 1)), Err(SECOND + MS));
    let first = bench.join(0, Some(SECOND + MS)).unwrap();
    let _second = bench.join(1, None).unwrap();
    assert_eq!(bench.join(2, Some(2 * SECOND)), Err(2 * (SECOND + MS)), "two are first");
    let third = bench.join(2, Some(5 * SECOND)).unwrap();
    assert_eq!(bench.look(third), Look::Wait(Some(5 * SECOND)), "its timeout, and no more");
    bench.pass(SECOND + MS);
    bench.granted(first);
    assert_eq!(bench.pacer.stats(b"a").unwrap().timed_out, 3);
    bench.pass(4 * SECOND - MS);
    assert!(matches!(bench.look(third), Look::TooLate(_)));
    assert_eq!(bench.look(third), Look::Gone);
}

#[test]
fn a_timeout_is_kept_where_nobody_knows_when_the_turn_comes() {
    let bench = bench(1, |pacer| pacer);
    let permit = bench.take().unwrap();
    bench.pass(SECOND);
    let (first, second) = (bench.join(0, Some(2 * SECOND)).unwrap(), bench.join(1, Some(9 * SECOND)).unwrap());
    assert_eq!(bench.look(first), Look::Wait(Some(2 * SECOND)));
    bench.pass(SECOND);
    bench.end(permit);
    assert!(matches!(bench.look(first), Look::TooLate(_)), "in 1.001 s, with one left");
    assert_eq!(bench.woken().last(), Some(&1));
    assert_eq!(bench.look(second), Look::Wait(Some(SECOND + MS)));
    bench.pass(9 * SECOND + 1);
    assert!(bench.take().is_some(), "whose timeout is over has no turn");
    assert!(matches!(bench.look(second), Look::TooLate(_)));
}

#[test]
fn nothing_is_sent_before_the_server_wants_it() {
    let bench = bench(3, |pacer| pacer);
    let permit = bench.take().unwrap();
    let _other = bench.take().unwrap();
    let _third = bench.take().unwrap();
    let (first, second) = (bench.join(0, None).unwrap(), bench.join(1, Some(3 * SECOND)).unwrap());
    bench.end(permit);
    bench.pass(SECOND + MS);
    assert!(bench.take().is_none());
    assert_eq!(bench.woken(), [0, 0], "to set its timer, and called");
    bench.pacer.record_rejected(b"a", Some(5 * SECOND)).unwrap();
    assert_eq!(bench.look(first), Look::Wait(Some(5 * SECOND)), "called off, and the first still");
    assert_eq!(bench.join(2, Some(4 * SECOND)), Err(5 * SECOND));
    let stats = bench.pacer.stats(b"a").unwrap();
    assert_eq!((stats.refused, stats.blocked_ns, stats.headroom_ns), (1, 5 * SECOND, 100 * MS));
    bench.pacer.record_rejected(b"a", Some(SECOND)).unwrap();
    assert!(bench.pacer.leave(b"a", second).unwrap());
    bench.pass(5 * SECOND - 1);
    assert_eq!(bench.look(first), Look::Wait(Some(1)));
    bench.pass(1);
    bench.granted(first);
}

#[test]
fn a_spacing_is_kept_between_sends() {
    let bench = bench(100, |pacer| pacer.spacing(20 * MS));
    assert!(bench.take().is_some() && bench.take().is_none());
    assert_eq!(bench.join(0, Some(19 * MS)), Err(20 * MS));
    let (first, second) = (bench.join(0, None).unwrap(), bench.join(1, None).unwrap());
    bench.pass(50 * MS);
    bench.granted(first);
    assert_eq!(bench.look(second), Look::Wait(Some(20 * MS)), "from the send, not from when it might have been");
    bench.pass(20 * MS);
    bench.granted(second);
}

// HAZARD clock-back
// HAZARD clock-forward
#[test]
fn steps_of_the_clock_let_nobody_through_and_lock_nobody_out() {
    for back in [1, SECOND, 3_600 * SECOND] {
        let bench = bench(1, |pacer| pacer);
        bench.end(bench.take().unwrap());
        bench.pass(600 * MS);
        bench.clock.advance_ns(-i64::try_from(back).unwrap());
        assert!(bench.take().is_none());
        bench.pass(SECOND + MS);
        bench.end(bench.take().expect("a window later at the latest"));
        assert!(bench.take().is_none());
        bench.pass(100 * 365 * 86_400 * SECOND);
        assert!(bench.take().is_some() && bench.take().is_none(), "a window's worth and no more");
    }
}

#[test]
fn keys_are_apart_and_idle_ones_are_forgotten() {
    let bench = bench(1, |pacer| pacer);
    let lasting = bench.take().unwrap();
    for number in 0..100_000_u64 {
        let key = number.to_le_bytes();
        let permit = bench.pacer.try_acquire(&key).unwrap().unwrap();
        assert!(bench.pacer.try_acquire(&key).unwrap().is_none());
        bench.pacer.end(&key, permit, true).unwrap();
        bench.pass(SECOND);
    }
    assert!(bench.pacer.len() < 20_000, "{}", bench.pacer.len());
    assert!(bench.take().is_none());
    bench.end(lasting);
    let long = vec![b'x'; (1 << 20) + 1];
    assert_eq!(bench.pacer.try_acquire(&long), Err(Error::KeyTooLong(long.len())));
}

// HAZARD construction-values
#[test]
fn what_is_no_pace_is_refused_by_name() {
    let refused = |permits, window| Pacer::new(permits, window, Clock::Monotonic).err().unwrap().to_string();
    assert_eq!(refused(0, 1), "permits must be at least 1, not 0");
    assert_eq!(refused(1, 0), "window must be at least 1 ns, not 0");
    assert_eq!(refused(1 << 32, 1), "permits must be at most 4,294,967,295, not 4294967296");
    assert!(Pacer::new((1 << 32) - 1, u64::MAX, Clock::Monotonic).unwrap().try_acquire(b"a").unwrap().is_some());
}
