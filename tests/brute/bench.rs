//! A limiter and its oracle, told the same and compared after each step.

use std::sync::Arc;

use tollbar::{Clock, Decision, Limiter, ManualClock, NEVER, Plan, Policy, Reservation};

use super::{Key, Said, TICKS, Told, UNIX};

pub(crate) const KEYS: usize = 3;

/// What happens next, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Pass(u64),
    Charge { key: usize, n: u64 },
    All { keys: Vec<usize>, n: u64 },
    Reserve { key: usize, n: u64, lease: u64, gives_back: bool },
    Commit { which: usize, used: Option<u64> },
    Cancel { which: usize },
    Release { key: usize },
}

/// A limiter beside the oracle of each of its keys.
pub(crate) struct Bench {
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
    pub(crate) fn new(policy: &[(Said, bool)]) -> Self {
        let clock = Arc::new(ManualClock::new(0, UNIX));
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

    /// Does it to both, and compares.
    pub(crate) fn act(&mut self, act: Act) {
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
                let reservation = self.limiter.reserve(&name(key), n, Some(lease), gives_back).unwrap();
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
