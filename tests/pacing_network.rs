//! A saturated client, a network with random delays and a server that counts: what is refused, and what gets through.
//!
//! Time is virtual: events in a heap move a `ManualClock`. The server keeps a ring of N stamps, taken on arrival, and
//! takes a request if the oldest is more than a window old; it counts in whole milliseconds, as servers do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Wake;

use tollbar::pacing::{Joined, Look, Permit, Ticket};
use tollbar::{Clock, ManualClock, Pacer};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const PERMITS: u64 = 20;
/// What a round trip of nothing would allow.
const CEILING: f64 = 20.0;
const KEY: &[u8] = b"key";

/// An LCG: the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % (bound + 1)
    }

    fn within(&mut self, [low, high]: [u64; 2]) -> u64 {
        low * MS + self.below((high - low) * 1_000) * 1_000
    }
}

/// From this millisecond on, legs there and back last so many milliseconds.
#[derive(Clone, Copy)]
struct Network {
    from: u64,
    there: [u64; 2],
    back: [u64; 2],
}

const fn network(from: u64, there: [u64; 2], back: [u64; 2]) -> Network {
    Network { from, there, back }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker looks whether its turn has come.
    Look(usize),
    Arrives(usize),
    Returns(usize, bool),
    /// A worker has had no response for long enough.
    GivesUp(usize),
}

#[derive(Clone, Copy)]
enum Worker {
    Waits(Ticket),
    Sent(Permit),
}

struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    /// When requests were taken and refused, in nanoseconds.
    taken: Vec<u64>,
    refused: Vec<u64>,
}

impl Outcome {
    /// What was taken, as a share of the ceiling. Requests may come twenty at a time: the last twenty are not counted, for
    /// their second has only begun.
    fn share(&self, from: u64, to: u64) -> f64 {
        let taken: Vec<_> = self.taken.iter().filter(|at| (from * SECOND..to * SECOND).contains(at)).collect();
        let seconds = (taken[taken.len() - 1] - taken[0]) as f64 / SECOND as f64;
        (taken.len() as f64 - PERMITS as f64) / seconds / CEILING
    }
}

struct Simulation<'a> {
    networks: &'a [Network],
    random: Random,
    clock: Arc<ManualClock>,
    pacer: Pacer,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    number: u64,
    woken: Arc<Mutex<Vec<usize>>>,
    workers: Vec<Option<Worker>>,
    stamps: VecDeque<u64>,
    /// Of a hundred responses, so many are lost.
    lost: u64,
    outcome: Outcome,
}

impl<'a> Simulation<'a> {
    fn new(networks: &'a [Network], seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(7 * SECOND, 0));
        let pacer = Pacer::new(PERMITS, SECOND, Clock::Manual(clock.clone())).unwrap();
        Self {
            networks,
            random: Random(seed),
            clock,
            pacer,
            events: BinaryHeap::new(),
            number: 0,
            woken: Arc::default(),
            workers: Vec::new(),
            stamps: VecDeque::new(),
            lost: 0,
            outcome: Outcome::default(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.now_ns() - 7 * SECOND
    }

    fn after(&mut self, nanos: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((self.now() + nanos, self.number, event)));
    }

    fn legs(&mut self) -> (u64, u64) {
        let now = self.now() / MS;
        let network = *self.networks.iter().rev().find(|network| network.from <= now).unwrap();
        (self.random.within(network.there), self.random.within(network.back))
    }

    fn join(&mut self, worker: usize) {
        let waker = Arc::new(Woken(worker, self.woken.clone())).into();
        let Joined::Waiting(ticket) = self.pacer.join(KEY, None, waker).unwrap() else { panic!("there is no timeout") };
        self.workers[worker] = Some(Worker::Waits(ticket));
        self.look(worker);
    }

    fn look(&mut self, worker: usize) {
        // A timer of a turn that has come long since.
        let Some(Worker::Waits(ticket)) = self.workers[worker] else { return };
        match self.pacer.look(KEY, ticket).unwrap() {
            Look::Granted(permit) => {
                self.workers[worker] = Some(Worker::Sent(permit));
                let (there, _) = self.legs();
                self.after(there, Event::Arrives(worker));
            }
            Look::Wait(Some(nanos)) => {
                assert!(nanos > 0, "it would never end");
                // A timer fires up to a millisecond late.
                let late = self.random.below(MS);
                self.after(nanos + late, Event::Look(worker));
            }
            Look::Wait(None) => {}
            other => panic!("{other:?}"),
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Look(worker) => self.look(worker),
            Event::Arrives(worker) => {
                let stamp = now / MS;
                let takes = self.stamps.len() < usize::try_from(PERMITS).unwrap() || stamp - self.stamps[0] > 1_000;
                if takes {
                    self.stamps.push_back(stamp);
                    if self.stamps.len() > usize::try_from(PERMITS).unwrap() {
                        self.stamps.pop_front();
                    }
                    self.outcome.taken.push(now);
                } else {
                    self.outcome.refused.push(now);
                }
                let (_, back) = self.legs();
                if self.random.below(99) < self.lost {
                    self.after(200 * MS, Event::GivesUp(worker));
                } else {
                    self.after(back, Event::Returns(worker, takes));
                }
            }
            Event::Returns(worker, taken) => {
                let Some(Worker::Sent(permit)) = self.workers[worker] else { panic!("it was sent") };
                if !taken {
                    self.pacer.record_rejected(KEY, None).unwrap();
                }
                assert!(self.pacer.end(KEY, permit, true).unwrap());
                self.join(worker);
            }
            Event::GivesUp(worker) => {
                let Some(Worker::Sent(permit)) = self.workers[worker] else { panic!("it was sent") };
                assert!(self.pacer.end(KEY, permit, false).unwrap());
                self.join(worker);
            }
        }
        let woken = std::mem::take(&mut *self.woken.lock().unwrap());
        for worker in woken {
            let late = self.random.below(MS / 10);
            self.after(late, Event::Look(worker));
        }
    }

    /// Twice as many workers as permits, for so many seconds.
    fn run(mut self, seconds: u64) -> Outcome {
        for worker in 0..2 * usize::try_from(PERMITS).unwrap() {
            self.workers.push(None);
            self.join(worker);
        }
        while let Some(Reverse((at, _, event))) = self.events.pop().filter(|Reverse((at, ..))| *at < seconds * SECOND) {
            self.clock.advance_ns(i64::try_from(at - self.now()).unwrap());
            self.happens(event);
        }
        let stats = self.pacer.stats(KEY).unwrap();
        assert_eq!(stats.refused, self.outcome.refused.len() as u64);
        self.outcome
    }
}

fn simulated(networks: &[Network], seed: u64, seconds: u64) -> Outcome {
    Simulation::new(networks, seed).run(seconds)
}

#[test]
fn random_legs_up_to_50_ms_are_never_refused_and_cost_little() {
    for seed in 0..50 {
        let outcome = simulated(&[network(0, [0, 50], [0, 50])], seed, 600);
        let share = outcome.share(1, 600);
        println!("seed {seed}: {:.2} % of the ceiling, {} refused", 100.0 * share, outcome.refused.len());
        assert_eq!(outcome.refused.len(), 0, "seed {seed}");
        assert!(share >= 0.945, "seed {seed}: {share}");
    }
}

#[test]
fn short_legs_cost_next_to_nothing() {
    for seed in 0..50 {
        let outcome = simulated(&[network(0, [0, 5], [0, 5])], seed, 600);
        let share = outcome.share(1, 600);
        println!("seed {seed}: {:.2} % of the ceiling, {} refused", 100.0 * share, outcome.refused.len());
        assert_eq!(outcome.refused.len(), 0, "seed {seed}");
        assert!(share >= 0.98, "seed {seed}: {share}");
    }
}

#[test]
fn responses_that_are_lost_cost_their_permits_time_and_nothing_else() {
    for seed in 0..20 {
        let networks = [network(0, [0, 50], [0, 50])];
        let mut simulation = Simulation::new(&networks, seed);
        simulation.lost = 5;
        let outcome = simulation.run(300);
        let share = outcome.share(1, 300);
        println!("seed {seed}: {:.2} % of the ceiling, {} refused", 100.0 * share, outcome.refused.len());
        assert_eq!(outcome.refused.len(), 0, "seed {seed}");
        assert!(share >= 0.93, "seed {seed}: {share}");
    }
}

/// Whatever the legs do, four bets are open at a time, and the first that is lost raises the headroom.
#[test]
fn a_leg_that_jumps_is_learned_from_few_refusals() {
    const LATER: u64 = 300_007;
    let jumps = [
        ("there, up", [[5, 5], [5, 5]], [[80, 80], [5, 5]], 0),
        ("there, random", [[0, 5], [0, 5]], [[0, 80], [0, 5]], 0),
        ("back, random", [[0, 5], [0, 5]], [[0, 5], [0, 80]], 0),
        ("both, random", [[0, 5], [0, 5]], [[0, 80], [0, 80]], 0),
        ("both, up", [[5, 5], [5, 5]], [[80, 80], [80, 80]], 0),
        ("there, down", [[80, 80], [80, 80]], [[5, 5], [80, 80]], 4),
        ("both, down", [[80, 80], [80, 80]], [[5, 5], [5, 5]], 4),
        ("swapped", [[80, 80], [5, 5]], [[5, 5], [80, 80]], 4),
        ("swapped back", [[5, 5], [80, 80]], [[80, 80], [5, 5]], 0),
        ("far, down", [[200, 205], [200, 205]], [[50, 52], [50, 52]], 4),
    ];
    for (name, [there, back], [then_there, then_back], most) in jumps {
        let (mut refused, mut shares) = (0, [0.0; 3]);
        for seed in 0..20 {
            let networks = [network(0, there, back), network(LATER, then_there, then_back)];
            let outcome = simulated(&networks, seed, 420);
            refused = refused.max(outcome.refused.len());
            shares = [outcome.share(200, 300), outcome.share(301, 321), outcome.share(360, 420)];
        }
        println!("{name}: {refused} refused at most; shares before, just after, later: {shares:.3?}");
        assert!(refused <= most, "{name}: {refused} refused");
        assert!(shares[2] > 0.9, "{name}: {shares:?}");
    }
}

/// Legs that jump every few seconds, in any way: some are refused after a jump, and never many.
#[test]
fn a_network_that_never_rests_costs_few_refusals_a_jump() {
    for seed in 0..20 {
        let mut random = Random(seed + 99);
        let mut leg = || {
            let low = random.below(100);
            [low, low + random.below(100)]
        };
        let jumps: Vec<_> = (0..200).map(|jump| network(jump * 5_003, leg(), leg())).collect();
        let outcome = simulated(&jumps, seed, 1_000);
        let worst = jumps.iter().map(|jump| {
            let at = jump.from * MS;
            outcome.refused.iter().filter(|refused| (at..at + 5_003 * MS).contains(refused)).count()
        });
        let worst = worst.max().unwrap_or(0);
        println!(
            "seed {seed}: {} refused of {}, {worst} after the worst jump",
            outcome.refused.len(),
            outcome.taken.len()
        );
        assert!(worst < 10, "seed {seed}: {worst}");
    }
}
