//! Permits and the queue through random schedules, against an oracle that knows when each request was under way.

mod size;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Wake;

use proptest::prelude::*;
use tollbar::pacing::{Joined, Look, Permit, Ticket};
use tollbar::{Clock, ManualClock, Pacer};

const WINDOW: u64 = 100;
const KEY: &[u8] = b"key";

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Try,
    Join(Option<u64>),
    Look(usize),
    Leave(usize),
    End(usize, bool),
    Reject(Option<u64>),
    /// Whoever was woken, or whose timer has run, looks.
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..60).prop_map(Step::Pass),
        2 => Just(Step::Try),
        3 => prop::option::weighted(0.3, 0_u64..200).prop_map(Step::Join),
        2 => (0_usize..8).prop_map(Step::Look),
        1 => (0_usize..8).prop_map(Step::Leave),
        4 => (0_usize..8, prop::bool::weighted(0.8)).prop_map(|(which, answered)| Step::End(which, answered)),
        1 => prop::option::of(0_u64..50).prop_map(Step::Reject),
        9 => Just(Step::Settle),
    ]
}

struct Woken(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

struct Waiter {
    number: u64,
    ticket: Ticket,
    deadline: Option<u64>,
    /// When it was told to look again.
    timer: Option<u64>,
}

/// Does what faces do, and remembers everything.
struct Model {
    clock: Arc<ManualClock>,
    pacer: Pacer,
    permits: usize,
    waiters: VecDeque<Waiter>,
    woken: Arc<Mutex<Vec<u64>>>,
    flights: Vec<(u64, Permit)>,
    /// Requests that have ended: when they were certainly out of the way.
    ended: Vec<u64>,
    blocked: u64,
    joined: u64,
    granted: u64,
}

impl Model {
    fn new(permits: usize) -> Self {
        let clock = Arc::new(ManualClock::new(1_000, 0));
        let pacer = Pacer::new(permits as u64, WINDOW, Clock::Manual(clock.clone())).unwrap();
        Self {
            clock,
            // So large a headroom that nothing is bet: then all is certain.
            pacer: pacer.margin(0).headroom(1_000_000),
            permits,
            waiters: VecDeque::new(),
            woken: Arc::default(),
            flights: Vec::new(),
            ended: Vec::new(),
            blocked: 0,
            joined: 0,
            granted: 0,
        }
    }

    fn now(&self) -> u64 {
        self.clock.now_ns()
    }

    fn in_use(&self) -> usize {
        self.flights.len() + self.ended.iter().filter(|&&ended| ended + WINDOW + 1 > self.now()).count()
    }

    fn sends(&mut self, permit: Permit) {
        assert!(self.in_use() < self.permits, "one too many");
        assert!(self.now() >= self.blocked, "the server did not want it");
        self.flights.push((self.now(), permit));
        self.granted += 1;
    }

    /// Looks for the waiter at this place. True if it is gone.
    fn look(&mut self, place: usize) -> bool {
        let Waiter { ticket, deadline, .. } = self.waiters[place];
        match self.pacer.look(KEY, ticket).unwrap() {
            Look::Granted(permit) => {
                self.waiters.remove(place);
                self.sends(permit);
                true
            }
            Look::Wait(nanos) => {
                assert_ne!(nanos, Some(0));
                let timer = nanos.map(|nanos| self.now() + nanos);
                if let (Some(deadline), Some(timer)) = (deadline, timer) {
                    assert!(timer <= deadline);
                }
                self.waiters[place].timer = timer;
                false
            }
            Look::TooLate(wait) => {
                let deadline = deadline.expect("it had a timeout");
                assert!(self.now() + wait > deadline || self.now() >= deadline);
                self.waiters.remove(place);
                true
            }
            Look::Gone => panic!("it did not leave"),
        }
    }

    /// Whoever was woken, or whose timer has run, looks; the last ones first, for no order is promised.
    fn settle(&mut self) {
        loop {
            let now = self.now();
            let mut woken = self.woken.lock().unwrap();
            let due = self
                .waiters
                .iter()
                .rposition(|waiter| woken.contains(&waiter.number) || waiter.timer.is_some_and(|timer| timer <= now));
            let Some(place) = due else { break woken.clear() };
            woken.retain(|number| *number != self.waiters[place].number);
            drop(woken);
            self.waiters[place].timer = None;
            self.look(place);
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Pass(nanos) => self.clock.advance_ns(i64::try_from(nanos).unwrap()),
            Step::Try => {
                let free = (self.permits - self.in_use()) * usize::from(self.now() >= self.blocked);
                // One whose timeout is over has no turn.
                let over = |waiter: &&Waiter| waiter.deadline.is_some_and(|deadline| deadline < self.now());
                let waiting = self.waiters.len() - self.waiters.iter().filter(over).count();
                let permit = self.pacer.try_acquire(KEY).unwrap();
                assert!(permit.is_none() || waiting < free, "those who wait come first");
                assert!(permit.is_some() || self.waiters.len() >= free, "nobody else could have it");
                if let Some(permit) = permit {
                    self.sends(permit);
                }
            }
            Step::Join(timeout) => {
                self.joined += 1;
                let waker = Arc::new(Woken(self.joined, self.woken.clone())).into();
                if let Joined::Waiting(ticket) = self.pacer.join(KEY, timeout, waker).unwrap() {
                    let deadline = timeout.map(|timeout| self.now() + timeout);
                    self.waiters.push_back(Waiter { number: self.joined, ticket, deadline, timer: None });
                    self.look(self.waiters.len() - 1);
                }
            }
            Step::Look(which) if which < self.waiters.len() => {
                self.look(which);
            }
            Step::Leave(which) if which < self.waiters.len() => {
                let waiter = self.waiters.remove(which).unwrap();
                assert!(self.pacer.leave(KEY, waiter.ticket).unwrap());
            }
            Step::End(which, answered) if which < self.flights.len() => {
                let (sent, permit) = self.flights.remove(which);
                assert!(self.pacer.end(KEY, permit, answered).unwrap());
                // The headroom of a millisecond is how long the others may be under way.
                self.ended.push(if answered { self.now() } else { self.now().max(sent + self.headroom()) });
            }
            Step::Reject(retry_after) => {
                self.pacer.record_rejected(KEY, retry_after).unwrap();
                self.blocked = self.blocked.max(self.now() + retry_after.unwrap_or(0));
            }
            Step::Settle => self.settle(),
            Step::Look(_) | Step::Leave(_) | Step::End(..) => {}
        }
    }

    fn headroom(&self) -> u64 {
        self.pacer.stats(KEY).unwrap().headroom_ns
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), ..ProptestConfig::default() })]

    /// Never one too many by what is certain; nobody who can go is left waiting; and in the end every permit is there.
    #[test]
    fn no_permit_is_used_twice_and_none_is_lost(
        permits in 1_usize..5,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        size::schedule();
        let mut model = Model::new(permits);
        for step in &steps {
            model.take(step);
            if !matches!(step, Step::Settle) {
                continue;
            }
            let stats = model.pacer.stats(KEY).unwrap();
            prop_assert_eq!(stats.waiting, model.waiters.len());
            prop_assert_eq!((stats.in_use, stats.in_flight), (model.in_use(), model.flights.len()));
            prop_assert_eq!(stats.granted, model.granted);
            let could_go = model.in_use() < permits && model.now() >= model.blocked;
            prop_assert!(!could_go || model.waiters.is_empty(), "{} wait for nothing after {step:?}", model.waiters.len());
            // One timer at most is not a deadline: the head's.
            let timers = model.waiters.iter().skip(1).filter(|waiter| waiter.timer != waiter.deadline).count();
            prop_assert_eq!(timers, 0);
        }
        while let Some((_, permit)) = model.flights.pop() {
            prop_assert!(model.pacer.end(KEY, permit, true).unwrap());
        }
        for waiter in std::mem::take(&mut model.waiters) {
            prop_assert!(model.pacer.leave(KEY, waiter.ticket).unwrap());
        }
        model.clock.advance_ns(1_000_000_000_000);
        let stats = model.pacer.stats(KEY).unwrap();
        prop_assert_eq!((stats.in_use, stats.waiting), (0, 0));
    }

    /// Whatever becomes of them, they have their turn in the order in which they came.
    #[test]
    fn turns_come_in_the_order_of_arrival(
        permits in 1_usize..4,
        leavers in prop::collection::vec(prop::bool::weighted(0.2), 1..40),
        trips in prop::collection::vec(1_u64..80, 40),
    ) {
        size::schedule();
        let mut model = Model::new(permits);
        for _ in 0..permits {
            model.take(&Step::Try);
        }
        (0..leavers.len()).for_each(|_| model.take(&Step::Join(None)));
        let (mut order, mut rank) = (HashMap::new(), 0_u64);
        let mut leaving: Vec<u64> = (1..).zip(&leavers).filter(|(_, leaves)| **leaves).map(|(number, _)| number).collect();
        for trip in trips.into_iter().cycle().take(4_000) {
            let before: Vec<u64> = model.waiters.iter().map(|waiter| waiter.number).collect();
            if before.is_empty() {
                break;
            }
            model.take(&Step::Pass(trip));
            if trip % 3 == 0 && let Some(number) = leaving.pop()
                && let Some(place) = before.iter().position(|other| *other == number)
            {
                model.take(&Step::Leave(place));
            }
            let before: Vec<u64> = model.waiters.iter().map(|waiter| waiter.number).collect();
            model.settle();
            for number in before.iter().filter(|number| !model.waiters.iter().any(|waiter| waiter.number == **number)) {
                rank += 1;
                order.insert(*number, rank);
            }
            while !model.flights.is_empty() {
                model.take(&Step::End(0, true));
            }
            model.settle();
        }
        prop_assert!(model.waiters.is_empty());
        let mut numbers: Vec<_> = order.iter().collect();
        numbers.sort_by_key(|(_, rank)| **rank);
        prop_assert!(numbers.is_sorted_by_key(|(number, _)| **number), "{numbers:?}");
    }
}
