//! One of two limiters that are told the same, so that all that can be observed of them can be compared.

#![allow(dead_code)] // each test takes from here what it needs

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use tollbar::{
    Ask, Bucket, Clock, Cost, Decision, Error, Joint, LimitState, Limiter, ManualClock, Migration, Place, Plan, Policy,
    Reservation, State, Stats, Turn, WhenFull,
};

use crate::chance::{NAMES, Written, cost, time};

pub(crate) const KEYS: usize = 3;

/// What happens next; times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Pass(u64),
    /// Until the key would pass.
    Until {
        key: usize,
        cost: Cost,
    },
    Charge {
        key: usize,
        cost: Cost,
    },
    Try {
        key: usize,
        n: u64,
    },
    Many {
        n: u64,
    },
    All {
        keys: Vec<usize>,
        cost: Cost,
    },
    Reserve {
        key: usize,
        cost: Cost,
        lease: Option<u64>,
        gives_back: bool,
    },
    Commit {
        which: usize,
        used: Option<Cost>,
    },
    Cancel {
        which: usize,
    },
    Renew {
        which: usize,
        lease: Option<u64>,
    },
    Release {
        key: usize,
    },
    Penalize {
        key: usize,
    },
    Reset {
        key: usize,
    },
    Block {
        key: usize,
        length: u64,
    },
    Drain {
        key: usize,
        to: u64,
        limit: Option<usize>,
    },
    Join {
        key: usize,
        wish: Wish,
    },
    Look {
        which: usize,
    },
    Leave {
        which: usize,
    },
    Pin {
        key: usize,
    },
    ByPin {
        which: usize,
        n: u64,
    },
    Unpin {
        which: usize,
    },
    /// Limits of its own for a key: those of this number.
    Own {
        key: usize,
        to: usize,
        how: Migration,
    },
    Follow {
        key: usize,
        how: Migration,
    },
    /// Other limits for all keys without limits of their own.
    SetLimits {
        to: usize,
        how: Migration,
    },
}

/// What a waiter asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    cost: Cost,
    timeout: Option<u64>,
    priority: u8,
    /// 0: it is charged; 1: held for a while; 2: held without an end; 3: held where something is in flight.
    holds: u8,
}

impl Wish {
    fn ask(&self) -> Ask<'_> {
        let ask = Ask::new(0).costs(&self.cost).priority(self.priority).unwrap().timeout_ns(self.timeout);
        match self.holds {
            1 => ask.holding(Some(700), true).unwrap(),
            2 => ask.holding(None, false).unwrap(),
            3 => ask.holding_in_flight(),
            _ => ask,
        }
    }
}

pub(crate) fn migration() -> impl Strategy<Value = Migration> {
    prop_oneof![6 => Just(Migration::AsIs), 2 => Just(Migration::Proportional), 1 => Just(Migration::Reset)]
}

fn lease() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => time(60).prop_map(Some), 1 => Just(None)]
}

/// Everything but changes of limits. The clock never steps back: which accounts notice that first depends on the hashes.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    let key = || 0..KEYS;
    let which = || 0_usize..8;
    let used = prop_oneof![1 => Just(None), 2 => cost().prop_map(Some)];
    let wish = (cost(), prop::option::of(time(60)), 0_u8..3, 0_u8..4)
        .prop_map(|(cost, timeout, priority, holds)| Wish { cost, timeout, priority, holds });
    let subset = (prop::sample::subsequence(vec![0, 1, 2], 1..=KEYS), any::<bool>()).prop_map(|(mut keys, turned)| {
        if turned {
            keys.reverse();
        }
        keys
    });
    prop_oneof![
        8 => time(12).prop_map(Act::Pass),
        2 => time(80).prop_map(Act::Pass),
        3 => (key(), cost()).prop_map(|(key, cost)| Act::Until { key, cost }),
        10 => (key(), cost()).prop_map(|(key, cost)| Act::Charge { key, cost }),
        4 => (key(), 0_u64..4).prop_map(|(key, n)| Act::Try { key, n }),
        1 => (0_u64..4).prop_map(|n| Act::Many { n }),
        3 => (subset, cost()).prop_map(|(keys, cost)| Act::All { keys, cost }),
        6 => (key(), cost(), lease(), any::<bool>())
            .prop_map(|(key, cost, lease, gives_back)| Act::Reserve { key, cost, lease, gives_back }),
        4 => (which(), used).prop_map(|(which, used)| Act::Commit { which, used }),
        2 => which().prop_map(|which| Act::Cancel { which }),
        2 => (which(), lease()).prop_map(|(which, lease)| Act::Renew { which, lease }),
        1 => key().prop_map(|key| Act::Release { key }),
        1 => key().prop_map(|key| Act::Penalize { key }),
        1 => key().prop_map(|key| Act::Reset { key }),
        2 => (key(), prop_oneof![1 => Just(0), 4 => time(30)]).prop_map(|(key, length)| Act::Block { key, length }),
        2 => (key(), 0_u64..4, prop::option::of(0..NAMES)).prop_map(|(key, to, limit)| Act::Drain { key, to, limit }),
        6 => (key(), wish).prop_map(|(key, wish)| Act::Join { key, wish }),
        4 => which().prop_map(|which| Act::Look { which }),
        2 => which().prop_map(|which| Act::Leave { which }),
        1 => key().prop_map(|key| Act::Pin { key }),
        2 => (which(), 0_u64..4).prop_map(|(which, n)| Act::ByPin { which, n }),
        1 => which().prop_map(|which| Act::Unpin { which }),
    ]
}

/// What an act is answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Nothing,
    Flag(bool),
    Flags(Vec<bool>),
    Decision(Decision),
    Joint(Joint),
    Wait(u64),
    Turn(&'static str, Option<u64>),
    Refused(Error),
}

impl From<Result<bool, Error>> for Told {
    fn from(result: Result<bool, Error>) -> Self {
        result.map_or_else(Told::Refused, Told::Flag)
    }
}

/// All that can be observed.
#[derive(Debug, PartialEq)]
pub(crate) struct Observed {
    known: Vec<bool>,
    pub(crate) peeks: Vec<Decision>,
    plans: Vec<Plan>,
    inspected: Vec<Vec<LimitState>>,
    states: BTreeMap<Vec<u8>, State>,
    pinned: Vec<(Decision, State)>,
    open: Vec<bool>,
    wakes: Vec<usize>,
    stats: Stats,
    shadow_denied: BTreeMap<Arc<str>, u64>,
}

impl Observed {
    /// Fails with the part that differs.
    pub(crate) fn is_that_of(&self, other: &Self, after: &dyn std::fmt::Debug) {
        assert_eq!((&self.known, &self.states), (&other.known, &other.states), "after {after:?}");
        for (peek, others) in self.peeks.iter().zip(&other.peeks) {
            assert_eq!(peek, others, "after {after:?}");
        }
        for (inspected, others) in self.inspected.iter().zip(&other.inspected) {
            assert_eq!(inspected, others, "after {after:?}");
        }
        assert_eq!((&self.plans, &self.pinned), (&other.plans, &other.pinned), "after {after:?}");
        assert_eq!((&self.open, &self.wakes), (&other.open, &other.wakes), "after {after:?}");
        assert_eq!((&self.stats, &self.shadow_denied), (&other.stats, &other.shadow_denied), "after {after:?}");
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Waiting {
    key: usize,
    wish: Wish,
    place: Place,
    wakes: Arc<Wakes>,
}

pub(crate) struct Twin {
    pub(crate) limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    policies: Vec<Policy>,
    reserved: Vec<Reservation>,
    waiting: Vec<Waiting>,
    pins: Vec<Bucket>,
}

pub(crate) fn name(key: usize) -> [u8; 1] {
    [b'a' + u8::try_from(key).unwrap()]
}

impl Twin {
    /// A limiter whose keys are under the first of these policies.
    pub(crate) fn new(written: &[Written], (max_keys, when_full): (usize, WhenFull)) -> Self {
        let clock = Arc::new(ManualClock::new(0, 0));
        let policies: Vec<Policy> = written.iter().map(Written::policy).collect();
        let builder = Limiter::builder(policies[0].clone()).max_keys(max_keys).when_full(when_full);
        let limiter = Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap());
        // Costs name limits from the first moment on that another policy may bring; and nothing is ever under this one.
        let all = (0..NAMES).map(|at| tollbar::Limit::in_flight(1).unwrap().named(&at.to_string()));
        limiter.class(Policy::all(all).unwrap()).unwrap();
        Self { limiter, clock, policies, reserved: Vec::new(), waiting: Vec::new(), pins: Vec::new() }
    }

    pub(crate) fn policy(&self, number: usize) -> Policy {
        self.policies[number].clone()
    }

    pub(crate) fn own(&self, key: usize, to: usize, how: Migration) -> Result<bool, Error> {
        let class = self.limiter.class(self.policy(to))?;
        self.limiter.reconfigure(&name(key), class, how)
    }

    fn turned(&mut self, turn: Turn, key: usize, wish: Wish, wakes: Arc<Wakes>) -> Told {
        match turn {
            Turn::Come(None) => Told::Turn("charged", None),
            Turn::Come(Some(held)) => {
                self.reserved.push(held);
                Told::Turn("held", None)
            }
            Turn::Wait(place, after) => {
                self.waiting.push(Waiting { key, wish, place, wakes });
                Told::Turn("wait", after)
            }
            Turn::TooLate(after) => Told::Turn("too late", Some(after)),
            Turn::Never => Told::Turn("never", None),
            Turn::Gone => Told::Turn("gone", None),
        }
    }

    /// Does it.
    #[allow(clippy::too_many_lines)] // one arm an act
    pub(crate) fn act(&mut self, act: &Act) -> Told {
        let limiter = self.limiter.clone();
        let class = limiter.default_class();
        match act {
            Act::Pass(time) => self.clock.advance_ns(time.cast_signed()),
            Act::Until { key, cost } => {
                let wait = limiter.peek_as(&name(*key), cost.clone(), class).unwrap().retry_after_ns;
                if wait < 1 << 40 {
                    self.clock.advance_ns(wait.cast_signed());
                }
                return Told::Wait(wait);
            }
            Act::Charge { key, cost } => {
                let decided = limiter.decide_as(&name(*key), cost.clone(), class);
                return decided.map_or_else(Told::Refused, Told::Decision);
            }
            Act::Try { key, n } => return limiter.try_acquire(&name(*key), *n).into(),
            Act::Many { n } => {
                let names: Vec<_> = (0..KEYS).map(name).collect();
                return Told::Flags(limiter.try_acquire_many(&names, *n).unwrap());
            }
            Act::All { keys, cost } => {
                let names: Vec<_> = keys.iter().map(|&key| name(key)).collect();
                let joint = limiter.try_acquire_all_as(&names, cost.clone(), |_| class);
                return joint.map_or_else(Told::Refused, Told::Joint);
            }
            Act::Reserve { key, cost, lease, gives_back } => {
                let reserved = limiter.reserve_as(&name(*key), cost.clone(), *lease, *gives_back, class).unwrap();
                let decision = reserved.decision().clone();
                self.reserved.push(reserved);
                return Told::Decision(decision);
            }
            Act::Commit { which, used } => {
                let Some(held) = self.reserved.get(*which) else { return Told::Nothing };
                return used.as_ref().map_or_else(|| Ok(held.commit(None)), |used| held.commit_costs(used)).into();
            }
            Act::Cancel { which } => {
                let Some(held) = self.reserved.get(*which) else { return Told::Nothing };
                return Told::Flag(held.cancel());
            }
            Act::Renew { which, lease } => {
                let Some(held) = self.reserved.get(*which) else { return Told::Nothing };
                return held.renew(*lease).into();
            }
            Act::Release { key } => return limiter.release(&name(*key)).into(),
            Act::Penalize { key } => return limiter.penalize(&name(*key)).into(),
            Act::Reset { key } => return limiter.reset(&name(*key)).into(),
            Act::Block { key, length } => return limiter.block(&name(*key), *length).into(),
            Act::Drain { key, to, limit } => {
                let limit = limit.map(|limit| limit.to_string());
                return limiter.drain(&name(*key), *to, limit.as_deref()).into();
            }
            Act::Join { key, wish } => {
                let wakes = Arc::new(Wakes::default());
                let turn = limiter.join(&name(*key), wish.ask(), class, Waker::from(wakes.clone())).unwrap();
                return self.turned(turn, *key, wish.clone(), wakes);
            }
            Act::Look { which } | Act::Leave { which } if *which >= self.waiting.len() => {}
            Act::Look { which } => {
                let Waiting { key, wish, place, wakes } = self.waiting.swap_remove(*which);
                let turn = limiter.look(&name(key), wish.ask(), place).unwrap();
                return self.turned(turn, key, wish, wakes);
            }
            Act::Leave { which } => {
                let Waiting { key, place, .. } = self.waiting.swap_remove(*which);
                return limiter.leave(&name(key), place).into();
            }
            Act::Pin { key } => {
                let pinned = limiter.bucket_as(&name(*key), class).unwrap();
                let is_pinned = pinned.is_some();
                self.pins.extend(pinned);
                return Told::Flag(is_pinned);
            }
            Act::ByPin { which, .. } | Act::Unpin { which } if *which >= self.pins.len() => {}
            Act::ByPin { which, n } => return Told::Flag(self.pins[*which].try_acquire(*n)),
            Act::Unpin { which } => drop(self.pins.swap_remove(*which)),
            Act::Own { key, to, how } => return self.own(*key, *to, *how).into(),
            Act::Follow { key, how } => return limiter.follow_default(&name(*key), *how).into(),
            Act::SetLimits { to, how } => limiter.set_limits(self.policy(*to), *how).unwrap(),
        }
        Told::Nothing
    }

    pub(crate) fn observe(&self) -> Observed {
        let (limiter, class) = (&self.limiter, self.limiter.default_class());
        let names: Vec<_> = (0..KEYS).map(name).collect();
        let mixed = Cost::new(1).with([("0", 2), ("1", 0), ("2", 3)]);
        let costs = [Cost::new(1), Cost::new(3), mixed.clone()];
        let (mut states, mut stats) = (BTreeMap::new(), limiter.stats());
        // How far an insertion looks depends on the hashes.
        (stats.own_limits, stats.most_looks) = (0, 0);
        limiter.for_each(|key, state| {
            states.insert(key.to_vec(), state);
        });
        let peek = |key: &[u8; 1]| costs.clone().map(|cost| limiter.peek_as(key, cost, class).unwrap());
        Observed {
            known: names.iter().map(|key| limiter.contains(key).unwrap()).collect(),
            peeks: names.iter().flat_map(peek).collect(),
            plans: names.iter().map(|key| limiter.plan(key, 2).unwrap()).collect(),
            inspected: names.iter().map(|key| limiter.inspect_as(key, mixed.clone(), class).unwrap()).collect(),
            states,
            pinned: self.pins.iter().map(|pin| (pin.peek(1), pin.state())).collect(),
            open: self.reserved.iter().map(Reservation::is_open).collect(),
            wakes: self.waiting.iter().map(|waiting| waiting.wakes.0.load(Ordering::SeqCst)).collect(),
            stats,
            shadow_denied: limiter.shadow_denied(),
        }
    }
}
