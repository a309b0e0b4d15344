//! A limiter and its oracle, told the same and compared after each step.

use std::sync::Arc;

use tollbar::{Clock, Cost, Decision, Limiter, ManualClock, Migration, NEVER, Plan, Policy, Reason, Reservation};

use super::said::UNIX;
use super::{Key, OPEN, Said, TICKS, Told};

pub(crate) const KEYS: usize = 3;

/// What a request costs: the same of each limit, but for some by their numbers. Limits that there are not are left out.
#[derive(Clone, Debug)]
pub(crate) struct Spend {
    pub(crate) each: u64,
    pub(crate) named: Vec<(usize, u64)>,
}

/// What happens next, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Pass(u64),
    /// Until a request passes that does not pass now, and not a nanosecond sooner.
    Until {
        key: usize,
        cost: Spend,
    },
    Charge {
        key: usize,
        cost: Spend,
    },
    All {
        keys: Vec<usize>,
        cost: Spend,
    },
    Reserve {
        key: usize,
        cost: Spend,
        lease: Option<u64>,
        gives_back: bool,
    },
    Commit {
        which: usize,
        used: Option<Spend>,
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
    Block {
        key: usize,
        length: u64,
    },
    Drain {
        key: usize,
        to: u64,
        limit: Option<usize>,
    },
    /// Other numbers for the windows and what is in flight: of one key, or of all that have none of their own.
    Renumber {
        key: Option<usize>,
        numbers: [u64; 4],
    },
}

/// A limiter beside the oracle of each of its keys.
pub(crate) struct Bench {
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    /// In the oracle's ticks.
    now: u64,
    keys: Vec<Key>,
    /// The limits of all, as they were said.
    said: Vec<(Said, bool)>,
    /// Keys that have limits of their own.
    own: [bool; KEYS],
    reserved: Vec<(usize, Vec<u64>, Reservation)>,
}

fn name(key: usize) -> [u8; 1] {
    [b'a' + u8::try_from(key).unwrap()]
}

fn policy(said: &[(Said, bool)]) -> Policy {
    Policy::all(said.iter().enumerate().map(|(at, (said, shadow))| said.limit(&at.to_string(), *shadow))).unwrap()
}

impl Bench {
    pub(crate) fn new(said: &[(Said, bool)]) -> Self {
        let clock = Arc::new(ManualClock::new(0, UNIX));
        let limiter = Limiter::builder(policy(said)).clock(Clock::Manual(clock.clone())).build().unwrap();
        let keys = vec![Key::new(said); KEYS];
        let (limiter, said) = (Arc::new(limiter), said.to_vec());
        Self { limiter, clock, now: 0, keys, said, own: [false; KEYS], reserved: Vec::new() }
    }

    /// A cost for the limiter, and what it costs each limit; at the end, what it would cost another.
    fn cost(&self, spend: &Spend) -> (Cost, Vec<u64>) {
        let mut each = vec![spend.each; self.said.len() + 1];
        let named: Vec<_> = spend.named.iter().copied().filter(|&(at, _)| at < self.said.len()).collect();
        for &(at, n) in &named {
            each[at] = n;
        }
        (Cost::new(spend.each).with(named.into_iter().map(|(at, n)| (at.to_string(), n))), each)
    }

    fn pass(&mut self, time: u64) {
        self.now += TICKS * time;
        self.clock.advance_ns(time.cast_signed());
    }

    fn check(&mut self, decision: &Decision, told: &Told, key: Option<usize>) {
        let wait = told.wait.filter(|&wait| wait != OPEN).unwrap_or(NEVER);
        assert_eq!(decision.allowed, told.allowed, "{decision:?} {told:?}");
        assert_eq!(decision.retry_after_ns, wait, "{decision:?} {told:?}");
        assert_eq!(decision.limit.as_deref(), told.by.map(|by| by.to_string()).as_deref(), "{decision:?} {told:?}");
        assert_eq!(decision.shadowed, told.shadowed, "{decision:?} {told:?}");
        assert_eq!(decision.estimated, told.estimated, "{decision:?} {told:?}");
        let reason = match told.by {
            _ if told.allowed => None,
            None => Some(Reason::Blocked),
            Some(by) => Some(match (told.wait, self.said[by].0.reason()) {
                (None, Reason::Closed) => Reason::Closed,
                (None, _) => Reason::Never,
                (Some(_), reason) => reason,
            }),
        };
        assert_eq!(decision.reason, reason, "{decision:?} {told:?}");
        if let Some(key) = key
            && let Some(remaining) = self.keys[key].remaining(self.now)
        {
            assert_eq!(decision.remaining, remaining, "{decision:?}");
        }
    }

    /// Asks without taking anything.
    fn peek(&mut self, key: usize, spend: &Spend) -> Told {
        let (cost, each) = self.cost(spend);
        let told = self.keys[key].told(self.now, &each);
        let peeked = self.limiter.peek_as(&name(key), cost, self.limiter.default_class()).unwrap();
        self.check(&peeked, &told, Some(key));
        let plan = match told.wait {
            Some(0) if told.allowed => Plan::Now,
            Some(OPEN) => Plan::After(NEVER),
            Some(wait) => Plan::After(wait),
            None => Plan::Never,
        };
        assert_eq!(peeked.plan(), plan);
        told
    }

    /// Does it to both, and compares.
    pub(crate) fn act(&mut self, act: Act) {
        let class = self.limiter.default_class();
        match act {
            Act::Pass(time) => self.pass(time),
            Act::Until { key, cost } => {
                let told = self.peek(key, &cost);
                if let Some(wait @ 1..OPEN) = told.wait {
                    self.pass(wait - 1);
                    assert!(!self.peek(key, &cost).allowed);
                    self.pass(1);
                    assert!(self.peek(key, &cost).allowed);
                }
            }
            Act::Charge { key, cost } => {
                self.peek(key, &cost);
                let (cost, each) = self.cost(&cost);
                let told = self.keys[key].charge(self.now, &each);
                let decided = self.limiter.decide_as(&name(key), cost, class).unwrap();
                self.check(&decided, &told, Some(key));
            }
            Act::All { keys, cost } => self.all(&keys, &cost),
            Act::Reserve { key, cost, lease, gives_back } => {
                let ((cost, each), id) = (self.cost(&cost), self.reserved.len());
                let terms = (lease.map(|lease| TICKS * lease), gives_back);
                let told = self.keys[key].reserve(self.now, &each, id, terms);
                let reservation = self.limiter.reserve_as(&name(key), cost, lease, gives_back, class).unwrap();
                self.check(&reservation.decision().clone(), &told, Some(key));
                self.reserved.push((key, each, reservation));
            }
            Act::Commit { which, used } => self.commit(which, used.as_ref()),
            Act::Cancel { which } => {
                let Some((key, each, reservation)) = self.reserved.get(which) else { return };
                let was_open = reservation.is_open();
                let did = reservation.cancel();
                assert_eq!(did, was_open && self.keys[*key].settle(self.now, which, &vec![0; each.len()], false));
            }
            Act::Renew { which, lease } => {
                let Some((key, _, reservation)) = self.reserved.get(which) else { return };
                let renewed = reservation.renew(lease).unwrap();
                let lease = lease.map(|lease| TICKS * lease);
                assert_eq!(renewed, reservation.is_open() && self.keys[*key].renew(self.now, which, lease));
            }
            Act::Release { key } => {
                let released = self.keys[key].release(self.now);
                assert_eq!(self.limiter.release(&name(key)).unwrap(), released);
            }
            Act::Block { key, length } => {
                self.keys[key].block(self.now, TICKS * length);
                assert!(self.limiter.block(&name(key), length).unwrap());
            }
            Act::Drain { key, to, limit } => {
                let limit = limit.filter(|&limit| limit < self.said.len());
                let drained = self.keys[key].drain(self.now, to, limit);
                let limit = limit.map(|limit| limit.to_string());
                assert_eq!(self.limiter.drain(&name(key), to, limit.as_deref()).unwrap(), drained);
            }
            Act::Renumber { key, numbers } => self.renumber(key, &numbers),
        }
    }

    fn all(&mut self, keys: &[usize], spend: &Spend) {
        let (cost, each) = self.cost(spend);
        let told: Vec<Told> = keys.iter().map(|&key| self.keys[key].told(self.now, &each)).collect();
        let never = told.iter().any(|told| told.wait.is_none());
        let after: Vec<Told> = if told.iter().all(|told| told.allowed) {
            keys.iter().map(|&key| self.keys[key].charge(self.now, &each)).collect()
        } else {
            let denied = keys.iter().zip(told).map(|(&key, told)| {
                if told.allowed || never { told } else { self.keys[key].denied(self.now, &each, told) }
            });
            denied.collect()
        };
        let names: Vec<_> = keys.iter().map(|&key| name(key)).collect();
        let joint = self.limiter.try_acquire_all_as(&names, cost, |_| self.limiter.default_class()).unwrap();
        let late = |told: &Told| told.wait.filter(|&wait| wait != OPEN).unwrap_or(NEVER);
        let denied = after.iter().enumerate().filter(|(_, told)| !told.allowed);
        let last = denied.fold(None, |last: Option<(usize, &Told)>, (at, told)| match last {
            Some((_, longest)) if late(longest) >= late(told) => last,
            _ => Some((at, told)),
        });
        assert_eq!(joint.decision.allowed, last.is_none());
        assert_eq!(joint.denied_by, last.map(|(at, _)| at));
        if let Some((_, told)) = last {
            self.check(&joint.decision, told, None);
        }
    }

    fn commit(&mut self, which: usize, used: Option<&Spend>) {
        let asked = used.map(|used| (self.cost(used), used));
        let Some((key, reserved, reservation)) = self.reserved.get(which) else { return };
        let was_open = reservation.is_open();
        // What was reserved of a limit by its name is what it took, unless something else is said of it by its name.
        let (did, used) = match asked {
            None => (reservation.commit(None), reserved.clone()),
            Some(((cost, mut each), spend)) => {
                for (name, n) in reservation.costs().named() {
                    let at: usize = name.parse().unwrap();
                    if spend.named.iter().all(|&(other, _)| other != at) {
                        each[at] = *n;
                    }
                }
                (reservation.commit_costs(&cost).unwrap(), each)
            }
        };
        if was_open {
            assert_eq!(did, self.keys[*key].settle(self.now, which, &used, reservation.gives_back()));
        } else {
            assert!(!did, "a second time does nothing");
        }
    }

    fn renumber(&mut self, key: Option<usize>, numbers: &[u64]) {
        let mut said = self.said.clone();
        for ((said, _), &number) in said.iter_mut().zip(numbers) {
            said.renumber(number);
        }
        if let Some(key) = key {
            self.own[key] = true;
            self.keys[key].renumber(self.now, numbers);
            let class = self.limiter.class(policy(&said)).unwrap();
            self.limiter.reconfigure(&name(key), class, Migration::AsIs).unwrap();
            return;
        }
        for (key, _) in self.keys.iter_mut().zip(self.own).filter(|(_, own)| !own) {
            key.renumber(self.now, numbers);
        }
        self.limiter.set_limits(policy(&said), Migration::AsIs).unwrap();
        self.said = said;
    }
}
