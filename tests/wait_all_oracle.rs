//! Waiting for several keys beside others who wait for one: each passes at the very moment that the model says, and no
//! other; whoever waits looks only when it is woken or at the time that it was told.

mod lines;
mod size;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use lines::{End, Key, Model, SECOND, Waiter};
use proptest::prelude::*;
use tollbar::{Ask, ClassId, Clock, Limit, Limiter, ManualClock, Migration, Place, Policy, Rate, Reservation, Turn};

const NAMES: [&str; 4] = ["w", "x", "y", "z"];

#[derive(Clone, Debug)]
enum Act {
    Join {
        keys: Vec<usize>,
        n: u64,
        class: u8,
        timeout: Option<u64>,
    },
    /// A look that nobody asked for.
    Look(usize),
    Leave(usize),
    Pass(u64),
    Try {
        keys: Vec<usize>,
        n: u64,
    },
    Reserve {
        key: usize,
        n: u64,
        lease: u64,
    },
    Commit(usize),
    Block {
        key: usize,
        seconds: u64,
    },
    Reset(usize),
    /// Limits or none, anew.
    Switch(usize),
}

fn some_keys() -> impl Strategy<Value = Vec<usize>> {
    (Just(vec![0, 1, 2, 3]).prop_shuffle(), 1_usize..=3).prop_map(|(keys, count)| keys[..count].to_vec())
}

fn act() -> impl Strategy<Value = Act> {
    let class = prop_oneof![3 => Just(0_u8), 1 => 0_u8..3];
    prop_oneof![
        8 => (some_keys(), 1_u64..5, class, prop::option::weighted(0.3, 0_u64..8))
            .prop_map(|(keys, n, class, timeout)| Act::Join { keys, n, class, timeout }),
        1 => (0_usize..12).prop_map(Act::Look),
        2 => (0_usize..12).prop_map(Act::Leave),
        6 => (1_u64..4).prop_map(Act::Pass),
        2 => (some_keys(), 1_u64..3).prop_map(|(keys, n)| Act::Try { keys, n }),
        2 => (0_usize..4, 1_u64..3, 1_u64..6).prop_map(|(key, n, lease)| Act::Reserve { key, n, lease }),
        1 => (0_usize..4).prop_map(Act::Commit),
        1 => (0_usize..4, 0_u64..5).prop_map(|(key, seconds)| Act::Block { key, seconds }),
        1 => (0_usize..4).prop_map(Act::Reset),
        1 => (0_usize..4).prop_map(Act::Switch),
    ]
}

#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Somebody who waits for real: for one key in its line, or for several.
struct Standing {
    number: usize,
    keys: Vec<usize>,
    ask: Ask<'static>,
    bell: Arc<Bell>,
    place: Place,
    looks_at: Option<u64>,
}

struct Bench {
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    model: Model,
    standing: Vec<Standing>,
    ended: Vec<(usize, End, u64)>,
    held: Vec<(usize, usize, Reservation)>,
    /// The limits of each key.
    classes: Vec<ClassId>,
    numbers: usize,
}

fn names(keys: &[usize]) -> Vec<&'static str> {
    keys.iter().map(|&key| NAMES[key]).collect()
}

impl Bench {
    fn new(limits: &[(u64, Option<u64>)]) -> Self {
        let clock = Arc::new(ManualClock::new(0, 0));
        let builder = Limiter::builder(Policy::all([]).unwrap());
        let limiter = Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap());
        let mut classes = Vec::new();
        for (key, &(burst, places)) in limits.iter().enumerate() {
            let mut each = vec![Limit::rate(Rate::new(1, SECOND).burst(burst)).unwrap()];
            each.extend(places.map(|places| Limit::in_flight(places).unwrap()));
            let class = limiter.class(Policy::all(each).unwrap()).unwrap();
            limiter.reconfigure(NAMES[key].as_bytes(), class, Migration::AsIs).unwrap();
            classes.push(class);
        }
        let keys = limits.iter().map(|&(burst, places)| Key::new(burst, places)).collect();
        let model = Model { keys, waiting: Vec::new(), ended: Vec::new(), now: 0 };
        Self { limiter, clock, model, standing: Vec::new(), ended: Vec::new(), held: Vec::new(), classes, numbers: 0 }
    }

    fn joins(&self, keys: &[usize], ask: Ask<'static>, bell: &Arc<Bell>) -> Turn {
        let (class, waker) = (self.limiter.default_class(), Waker::from(bell.clone()));
        match keys {
            [key] => self.limiter.join(NAMES[*key].as_bytes(), ask, class, waker).unwrap(),
            _ => self.limiter.join_all(&names(keys), ask, |_| class, waker).unwrap().turn,
        }
    }

    fn looks(&self, standing: &Standing) -> Turn {
        if let [key] = standing.keys[..] {
            return self.limiter.look(NAMES[key].as_bytes(), standing.ask, standing.place).unwrap();
        }
        let class = self.limiter.default_class();
        self.limiter.look_all(&names(&standing.keys), |_| class, standing.place).unwrap().turn
    }

    fn leaves(&self, standing: &Standing) -> bool {
        match standing.keys[..] {
            [key] => self.limiter.leave(NAMES[key].as_bytes(), standing.place).unwrap(),
            _ => self.limiter.leave_all(&names(&standing.keys), standing.place).unwrap(),
        }
    }

    fn join(&mut self, keys: Vec<usize>, n: u64, class: u8, timeout: Option<u64>) {
        self.numbers += 1;
        let (number, now) = (self.numbers, self.model.now);
        // No deadline falls on the moment of anything else.
        let timeout = timeout.map(|seconds| seconds * SECOND + number as u64);
        let ask = Ask::new(n).priority(class).unwrap().timeout_ns(timeout);
        let bell = Arc::<Bell>::default();
        let turn = self.joins(&keys, ask, &bell);
        let waiter = Waiter { number, keys: keys.clone(), n, class, deadline: timeout.map(|timeout| now + timeout) };
        if !self.model.can_ever(&waiter) {
            assert!(matches!(turn, Turn::Never), "{turn:?}");
            return;
        }
        match turn {
            Turn::TooLate(wait) => {
                assert!(timeout.is_some_and(|timeout| wait > timeout), "{wait}");
                // Those ahead count until they are told that they never pass.
                let counts = self.model.waiting.iter().all(|one| self.model.can_ever(one));
                assert!(!counts || self.model.would_wait(waiter) >= wait, "it was told more than it is");
                return;
            }
            Turn::Come(None) => self.ended.push((number, End::Passed, now)),
            Turn::Wait(place, nanos) => {
                let looks_at = nanos.map(|nanos| now + nanos);
                self.standing.push(Standing { number, keys, ask, bell, place, looks_at });
            }
            other => panic!("{other:?}"),
        }
        self.model.join(waiter);
    }

    /// What has become of one of them; false if it waits no more.
    fn look(&mut self, at: usize) -> bool {
        let now = self.model.now;
        let end = match self.looks(&self.standing[at]) {
            Turn::Wait(place, nanos) => {
                assert_eq!(place, self.standing[at].place);
                self.standing[at].looks_at = nanos.map(|nanos| now + nanos);
                return true;
            }
            Turn::Come(_) => End::Passed,
            Turn::TooLate(_) => End::TooLate,
            Turn::Never => End::Never,
            other @ Turn::Gone => panic!("{other:?}"),
        };
        self.ended.push((self.standing.remove(at).number, end, now));
        false
    }

    /// Whoever was woken or whose time has come looks, until nobody has to; then all is as the model says.
    fn settle(&mut self) {
        self.model.settle();
        let now = self.model.now;
        let has_to =
            |one: &Standing| one.bell.0.swap(false, Ordering::SeqCst) || one.looks_at.is_some_and(|at| at <= now);
        for turn in 0.. {
            let Some(at) = self.standing.iter().position(has_to) else { break };
            assert!(turn < 1_000, "they wake each other for nothing");
            self.look(at);
        }
        let (mut ended, mut expected) = (self.ended.clone(), self.model.ended.clone());
        ended.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ended, expected, "at {now}");
        for (name, key) in NAMES.iter().zip(&self.model.keys).filter(|(_, key)| key.is_limited) {
            let remaining = self.limiter.peek(name.as_bytes(), 0).unwrap().remaining;
            assert_eq!(remaining, key.remaining(now), "{name} at {now}");
        }
    }

    /// Of several who wait for other keys, too, when a key gets its first limit or a block, the first to look is the first in
    /// its line for a moment. With one the order is certain.
    fn may_get_a_line(&self, key: usize) -> bool {
        self.model.keys[key].has_line(self.model.now)
            || self.standing.iter().filter(|one| one.keys.contains(&key)).count() < 2
    }

    /// Whoever waits for other keys, too, learns when it looks that a key has got limits, or a block, and so a line.
    fn all_look_anew(&self) {
        self.standing.iter().for_each(|one| one.bell.0.store(true, Ordering::SeqCst));
    }

    fn pass(&mut self, nanos: u64) {
        let end = self.model.now + nanos;
        while self.model.now < end {
            let timers = self.standing.iter().filter_map(|one| one.looks_at);
            let next = timers.chain(self.model.next()).chain([end]).min().unwrap_or(end);
            self.clock.advance_ns((next - self.model.now).cast_signed());
            self.model.now = next;
            self.settle();
        }
    }

    fn act(&mut self, act: Act) {
        let now = self.model.now;
        match act {
            Act::Join { keys, n, class, timeout } => self.join(keys, n, class, timeout),
            Act::Look(at) if at < self.standing.len() => assert!(self.look(at), "nothing has changed"),
            Act::Leave(at) if at < self.standing.len() => {
                let gone = self.standing.remove(at);
                assert!(self.leaves(&gone) && !self.leaves(&gone));
                self.model.waiting.retain(|waiter| waiter.number != gone.number);
            }
            Act::Pass(seconds) => self.pass(seconds * SECOND),
            Act::Try { keys, n } => {
                let passed = self.limiter.try_acquire_all(&names(&keys), n).unwrap().decision.allowed;
                assert_eq!(passed, self.model.tries(&keys, n), "{keys:?}");
            }
            Act::Reserve { key, n, lease } if self.model.keys[key].is_limited => {
                let place = self.limiter.reserve(NAMES[key].as_bytes(), n, Some(lease * SECOND), false).unwrap();
                assert_eq!(place.is_granted(), self.model.tries(&[key], n));
                if place.is_granted() {
                    self.numbers += 1;
                    self.model.keys[key].leases.push((self.numbers, now + lease * SECOND, n));
                    self.held.push((key, self.numbers, place));
                }
            }
            Act::Commit(at) if at < self.held.len() => {
                let (key, number, place) = self.held.remove(at);
                place.commit(None);
                self.model.keys[key].leases.retain(|&(other, ..)| other != number);
            }
            Act::Block { key, seconds } if self.may_get_a_line(key) => {
                self.limiter.block(NAMES[key].as_bytes(), seconds * SECOND).unwrap();
                self.model.keys[key].block(now + seconds * SECOND);
                self.all_look_anew();
            }
            Act::Reset(key) => {
                self.limiter.reset(NAMES[key].as_bytes()).unwrap();
                self.model.keys[key].reset();
            }
            // What is reserved would stay so.
            Act::Switch(key)
                if self.model.keys[key].leases.iter().all(|&(_, end, _)| end <= now) && self.may_get_a_line(key) =>
            {
                self.model.keys[key].switch();
                let is_limited = self.model.keys[key].is_limited;
                let class = if is_limited { self.classes[key] } else { self.limiter.default_class() };
                self.limiter.reconfigure(NAMES[key].as_bytes(), class, Migration::Reset).unwrap();
                self.all_look_anew();
            }
            _ => {}
        }
        self.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_passes_at_the_first_moment_that_its_keys_and_those_ahead_allow(
        limits in prop::collection::vec((2_u64..6, prop::option::of(2_u64..5)), NAMES.len()),
        acts in prop::collection::vec(act(), 1..60),
    ) {
        size::schedule();
        let mut bench = Bench::new(&limits);
        for act in acts {
            bench.act(act);
        }
        bench.pass(400 * SECOND);
        prop_assert!(bench.standing.is_empty(), "nobody waits for ever");
    }
}
