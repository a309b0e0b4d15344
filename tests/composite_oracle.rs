//! Several limits on several keys, reserved, charged together, expiring: every answer against an oracle that keeps every
//! event and finds every time by trying.

mod brute;
mod size;

use std::sync::Arc;

use brute::{Key, Said, TICKS, Told};
use proptest::prelude::*;
use tollbar::limit::Edge;
use tollbar::{Clock, Decision, Limiter, ManualClock, NEVER, Plan, Policy, Reservation};

const KEYS: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    Charge { key: usize, n: u64 },
    All { keys: Vec<usize>, n: u64 },
    Reserve { key: usize, n: u64, lease: u64, gives_back: bool },
    Commit { which: usize, used: Option<u64> },
    Cancel { which: usize },
    Release { key: usize },
}

/// Times that often meet each other, and now and then just miss.
fn time(most: u64) -> impl Strategy<Value = u64> {
    (1..most, prop_oneof![8 => Just(0_i64), 1 => Just(-1), 1 => Just(1)])
        .prop_map(|(units, more)| (100 * units).saturating_add_signed(more))
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => (1_u64..15, 1_u64..6).prop_map(|(units, burst)| Said::Rate { emission: 100 * units, burst }),
        3 => (1_u64..6, time(40), any::<bool>()).prop_map(|(limit, width, closed)| Said::Window {
            limit,
            width,
            edge: if closed { Edge::Closed } else { Edge::HalfOpen },
        }),
        1 => (1_u64..6, time(8), 1_u64..6).prop_map(|(limit, step, steps)| Said::Steps { limit, step, steps }),
        1 => (1_u64..6).prop_map(|limit| Said::InFlight { limit }),
        1 => (1_u64..4, time(30), time(30), 1_u32..4, time(60)).prop_map(|(denials, within, duration, factor, more)| {
            Said::Jail { denials, within, duration, factor, longest: duration + more }
        }),
    ]
}

fn policy() -> impl Strategy<Value = Vec<(Said, bool)>> {
    prop::collection::vec((said(), prop::bool::weighted(0.15)), 1..5)
}

fn act() -> impl Strategy<Value = Act> {
    let key = 0..KEYS;
    prop_oneof![
        4 => time(12).prop_map(Act::Pass),
        1 => time(80).prop_map(Act::Pass),
        6 => (key.clone(), 0_u64..4).prop_map(|(key, n)| Act::Charge { key, n }),
        2 => (prop::sample::subsequence(vec![0, 1, 2], 1..=KEYS), 1_u64..4, any::<bool>()).prop_map(|(mut keys, n, turned)| {
            if turned {
                keys.reverse();
            }
            Act::All { keys, n }
        }),
        4 => (key.clone(), 0_u64..4, time(60), any::<bool>()).prop_map(|(key, n, lease, gives_back)| {
            Act::Reserve { key, n, lease, gives_back }
        }),
        3 => (0_usize..12, prop::option::of(0_u64..6)).prop_map(|(which, used)| Act::Commit { which, used }),
        2 => (0_usize..12).prop_map(|which| Act::Cancel { which }),
        1 => key.prop_map(|key| Act::Release { key }),
    ]
}

struct Bench {
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    /// In the oracle's ticks.
    now: u64,
    keys: Vec<Key>,
    reserved: Vec<(usize, Reservation)>,
}

fn name(key: usize) -> [u8; 1] {
    [b'a' + u8::try_from(key).unwrap()]
}

impl Bench {
    fn new(policy: &[(Said, bool)]) -> Self {
        let clock = Arc::new(ManualClock::new(0, 0));
        let limits = policy.iter().enumerate().map(|(at, (said, shadow))| said.limit(&at.to_string(), *shadow));
        let policy_built = Policy::all(limits).unwrap();
        let limiter = Limiter::builder(policy_built).clock(Clock::Manual(clock.clone())).build().unwrap();
        let keys = vec![Key::new(policy); KEYS];
        Self { limiter: Arc::new(limiter), clock, now: 0, keys, reserved: Vec::new() }
    }

    fn check(&mut self, decision: &Decision, told: &Told, key: Option<usize>) {
        assert_eq!(decision.allowed, told.allowed, "{decision:?} {told:?}");
        assert_eq!(decision.retry_after_ns, told.wait.unwrap_or(NEVER), "{decision:?} {told:?}");
        assert_eq!(decision.limit.as_deref(), told.by.map(|by| by.to_string()).as_deref(), "{decision:?} {told:?}");
        assert_eq!(decision.shadowed, told.shadowed, "{decision:?} {told:?}");
        assert_eq!(decision.reason.is_none(), told.allowed);
        if let Some(key) = key
            && let Some(remaining) = self.keys[key].remaining(self.now)
        {
            assert_eq!(decision.remaining, remaining, "{decision:?}");
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Pass(time) => {
                self.now += TICKS * time;
                self.clock.advance_ns(time.cast_signed());
            }
            Act::Charge { key, n } => {
                let told = self.keys[key].told(self.now, n);
                let peeked = self.limiter.peek(&name(key), n).unwrap();
                self.check(&peeked, &told, Some(key));
                let plan = match told.wait {
                    Some(0) if told.allowed => Plan::Now,
                    Some(wait) => Plan::After(wait),
                    None => Plan::Never,
                };
                assert_eq!(self.limiter.plan(&name(key), n).unwrap(), plan);
                let told = self.keys[key].charge(self.now, n);
                let decided = self.limiter.decide(&name(key), n).unwrap();
                self.check(&decided, &told, Some(key));
            }
            Act::All { keys, n } => {
                let told: Vec<Told> = keys.iter().map(|&key| self.keys[key].told(self.now, n)).collect();
                let never = told.iter().any(|told| told.wait.is_none());
                let after: Vec<Told> = if told.iter().all(|told| told.allowed) {
                    keys.iter().map(|&key| self.keys[key].charge(self.now, n)).collect()
                } else {
                    let each = keys.iter().zip(told).map(|(&key, told)| {
                        if told.allowed || never { told } else { self.keys[key].denied(self.now, n, told) }
                    });
                    each.collect()
                };
                let names: Vec<_> = keys.iter().map(|&key| name(key)).collect();
                let joint = self.limiter.try_acquire_all(&names, n).unwrap();
                let late = |told: &Told| told.wait.unwrap_or(u64::MAX);
                let denied = after.iter().enumerate().filter(|(_, told)| !told.allowed);
                let last = denied.fold(None, |last: Option<(usize, &Told)>, (at, told)| match last {
                    Some((_, longest)) if late(longest) >= late(told) => last,
                    _ => Some((at, told)),
                });
                assert_eq!(joint.decision.allowed, last.is_none());
                assert_eq!(joint.denied_by, last.map(|(at, _)| at));
                if let Some((_, told)) = last {
                    assert_eq!(joint.decision.retry_after_ns, told.wait.unwrap_or(NEVER));
                    assert_eq!(joint.decision.limit.as_deref(), told.by.map(|by| by.to_string()).as_deref());
                }
            }
            Act::Reserve { key, n, lease, gives_back } => {
                let id = self.reserved.len();
                let told = self.keys[key].reserve(self.now, n, id, TICKS * lease, gives_back);
                let reservation = self.limiter.reserve(&name(key), n, lease, gives_back).unwrap();
                self.check(&reservation.decision().clone(), &told, Some(key));
                self.reserved.push((key, reservation));
            }
            Act::Commit { which, used } => self.settle(which, used, |reservation| reservation.commit(used)),
            Act::Cancel { which } => self.settle(which, Some(0), Reservation::cancel),
            Act::Release { key } => {
                let released = self.keys[key].release(self.now);
                assert_eq!(self.limiter.release(&name(key)).unwrap(), released);
            }
        }
    }

    fn settle(&mut self, which: usize, used: Option<u64>, end: impl Fn(&Reservation) -> bool) {
        let Some((key, reservation)) = self.reserved.get(which) else { return };
        let was_open = reservation.is_open();
        let did = end(reservation);
        if was_open {
            let was = (reservation.cost(), reservation.gives_back());
            assert_eq!(did, self.keys[*key].settle(self.now, which, used, was));
        } else {
            assert!(!did, "a second time does nothing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_that_of_the_oracle(policy in policy(), acts in prop::collection::vec(act(), 1..40)) {
        size::schedule();
        let mut bench = Bench::new(&policy);
        for act in acts {
            bench.act(act);
        }
        // What a reservation still open is dropped as is asked by nobody any more.
    }
}
