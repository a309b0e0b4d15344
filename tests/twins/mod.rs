//! One of two limiters that are told the same, so that all that can be observed of them can be compared.

#![allow(dead_code)] // each test takes from here what it needs

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tollbar::{
    Bucket, Clock, Cost, Decision, Error, Joint, LimitState, Limiter, ManualClock, Migration, Place, Plan, Policy,
    Reason, Reservation, State, Stats, Turn, WhenFull,
};

use crate::chance::{NAMES, Written};
use crate::said::UNIX;

mod acts;

#[allow(unused_imports)] // each test takes from here what it needs
pub(crate) use acts::{Act, Wish, act, migration};

pub(crate) const KEYS: usize = 3;

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
    denied: (BTreeMap<Arc<str>, u64>, BTreeMap<Option<Reason>, u64>),
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
        assert_eq!(
            (&self.stats, &self.shadow_denied, &self.denied),
            (&other.stats, &other.shadow_denied, &other.denied),
            "after {after:?}"
        );
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
        let clock = Arc::new(ManualClock::new(0, UNIX));
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
        let (mut states, mut totals) = (BTreeMap::new(), limiter.stats());
        // How far an insertion looks depends on the hashes.
        (totals.own_limits, totals.most_looks) = (0, 0);
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
            stats: totals,
            shadow_denied: limiter.shadow_denied(),
            denied: (limiter.denied_by_limit(), limiter.denied_by_reason()),
        }
    }
}
