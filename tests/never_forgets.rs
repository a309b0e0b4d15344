//! Limits that are lowered, raised, removed and put back forget nothing: no sequence of changes lets more pass than the limits
//! that were in force would have, and none holds room back for longer than a step.

mod chance;
#[path = "brute/said.rs"]
mod said;
mod size;
mod twins;

use std::sync::Arc;

use chance::{Written, calendar, limits, rate, steps, time, window};
use proptest::prelude::*;
use said::Said;
use tollbar::limit::Edge;
use tollbar::{Clock, Cost, Limit, Limiter, ManualClock, Migration, Policy, Rate, WhenFull};
use twins::{Act, Twin, act};

const KEY: &[u8] = b"a";

fn limiter(policy: Policy, max_keys: usize, when_full: WhenFull) -> (Arc<Limiter>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(0, 0));
    let builder = Limiter::builder(policy).max_keys(max_keys).when_full(when_full);
    (Arc::new(builder.clock(Clock::Manual(clock.clone())).build().unwrap()), clock)
}

/// Windows are all exact, or all in steps of one length: others know better when something happened, and that is no loss.
fn written(mut limits: Vec<(Said, bool)>, in_steps: bool) -> Written {
    for (said, _) in &mut limits {
        match *said {
            Said::Steps { limit, steps, .. } if in_steps => *said = Said::Steps { limit, step: 300, steps },
            Said::Window { limit, width, .. } if in_steps => {
                *said = Said::Steps { limit, step: 300, steps: width.div_ceil(300) };
            }
            Said::Steps { limit, step, steps } => {
                *said = Said::Window { limit, width: step * steps, edge: Edge::HalfOpen };
            }
            _ => {}
        }
    }
    Written { limits, first: 0 }
}

/// One that was put under other limits and back again at one moment, and one that was not.
fn there_and_back(policies: &[Written], before: &[Act], through: &[usize]) -> (Twin, Twin) {
    let size = (100, WhenFull::Deny);
    let (mut changed, mut plain) = (Twin::new(policies, size), Twin::new(policies, size));
    for act in before {
        assert_eq!(changed.act(act), plain.act(act));
    }
    for &to in through.iter().chain([&0]) {
        changed.own(0, to % policies.len(), Migration::AsIs).unwrap();
    }
    (changed, plain)
}

/// What is asked afterwards: after how long, and for how much.
fn afterwards() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((prop_oneof![1 => Just(0), 2 => time(20)], 1_u64..4), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    // HAZARD change-forgives
    #[test]
    fn limits_put_back_are_never_laxer(
        policies in prop::collection::vec(limits(), 1..5),
        before in prop::collection::vec(act(), 0..12),
        through in prop::collection::vec(0_usize..5, 1..7),
        after in afterwards(),
        in_steps in any::<bool>(),
    ) {
        size::schedule();
        let policies: Vec<Written> = policies.into_iter().map(|limits| written(limits, in_steps)).collect();
        // What only counts need not remember what it has counted.
        let denies = policies[0].limits.iter().any(|(_, shadow)| !shadow);
        let (mut changed, mut plain) = there_and_back(&policies, &before, &through);
        for (pass, n) in after {
            for twin in [&mut changed, &mut plain] {
                twin.act(&Act::Pass(pass));
            }
            for n in 1..5 {
                let (now, otherwise) = (changed.limiter.peek(KEY, n).unwrap(), plain.limiter.peek(KEY, n).unwrap());
                prop_assert!(otherwise.allowed || !now.allowed, "{now:?} {otherwise:?}");
                prop_assert!(!denies || now.remaining <= otherwise.remaining, "{now:?} {otherwise:?}");
                let exact = !now.estimated && !otherwise.estimated;
                prop_assert!(!exact || now.retry_after_ns >= otherwise.retry_after_ns, "{now:?} {otherwise:?}");
            }
            // Both go on with the same: what passes by the stricter one.
            if changed.limiter.try_acquire(KEY, n).unwrap() {
                prop_assert!(plain.limiter.try_acquire(KEY, n).unwrap());
            }
        }
    }

    #[test]
    fn one_limit_of_a_kind_put_back_is_as_it_was(
        kind in 0_usize..4,
        rates in prop::collection::vec(rate(), 4),
        windows in prop::collection::vec(window(), 4),
        steps in prop::collection::vec(steps(), 4),
        calendars in prop::collection::vec(calendar(), 4),
        before in prop::collection::vec(prop_oneof![
            2 => time(12).prop_map(Act::Pass),
            3 => (0_u64..4).prop_map(|n| Act::Try { key: 0, n }),
            1 => (0_u64..4).prop_map(|to| Act::Drain { key: 0, to, limit: None }),
        ], 0..12),
        through in prop::collection::vec(0_usize..4, 1..7),
    ) {
        size::schedule();
        let limits = vec![rates, windows, steps, calendars].swap_remove(kind);
        let policies: Vec<Written> = limits.into_iter().map(|limit| written(vec![(limit, false)], kind == 2)).collect();
        let (changed, plain) = there_and_back(&policies, &before, &through);
        // Parts of a token are rounded up to the tick, so that nothing is given away, each time.
        let rounded = if kind == 0 { through.len() as u64 + 1 } else { 0 };
        for n in 0..7 {
            let (mut now, otherwise) = (changed.limiter.peek(KEY, n).unwrap(), plain.limiter.peek(KEY, n).unwrap());
            for (time, others) in [
                (&mut now.retry_after_ns, otherwise.retry_after_ns),
                (&mut now.reset_after_ns, otherwise.reset_after_ns),
            ] {
                let is_that = *time == others || (others..=others.saturating_add(rounded)).contains(time);
                prop_assert!(is_that, "{time} {others}");
                *time = others;
            }
            prop_assert_eq!(now, otherwise);
        }
    }

    #[test]
    fn changing_rates_admit_no_more_than_the_highest(
        rates in prop::collection::vec((1_u64..15, 1_u64..20), 1..5),
        share in any::<bool>(),
        acts in prop::collection::vec((time(30), 0_usize..8, 0_u8..6), 1..40),
    ) {
        size::schedule();
        // A share of the burst keeps its worth only if every bucket fills in the same time.
        let rates: Vec<(u64, u64)> = rates.into_iter()
            .map(|(units, burst)| if share { (2_520 / burst.clamp(1, 10), burst.clamp(1, 10)) } else { (100 * units, burst) })
            .map(|(emission, burst)| if 2_520 % burst == 0 || !share { (emission, burst) } else { (2_520, 1) })
            .collect();
        let how = if share { Migration::Proportional } else { Migration::AsIs };
        let policy = |(emission, burst), name: u8| {
            let limit = Limit::rate(Rate::new(1, emission).burst(burst)).unwrap();
            Policy::all([limit.named(&(name % 2).to_string())]).unwrap()
        };
        let (limiter, clock) = limiter(policy(rates[0], 0), 100, WhenFull::Deny);
        let (mut sent, mut highest) = (Vec::new(), (rates[0].1, rates[0].0));
        for (pass, to, what) in acts {
            match what {
                0 => clock.advance_ns(pass.cast_signed()),
                1..=3 => {
                    let rate = rates[to % rates.len()];
                    highest = (highest.0.max(rate.1), highest.1.min(rate.0));
                    let class = limiter.class(policy(rate, what)).unwrap();
                    match what {
                        3 => limiter.set_limits(policy(rate, what), how).unwrap(),
                        _ => drop(limiter.reconfigure(KEY, class, how).unwrap()),
                    }
                }
                // As much as there is, one by one or in threes, and on to when there is more.
                _ => {
                    let n = if what == 4 { 1 } else { 3 };
                    while limiter.try_acquire(KEY, n).unwrap() {
                        sent.push((clock.now_ns(), n));
                    }
                    let wait = limiter.peek(KEY, 1).unwrap().retry_after_ns;
                    clock.advance_ns(wait.min(100_000).cast_signed());
                }
            }
        }
        for from in 0..sent.len() {
            let mut sum = 0;
            for &(at, n) in &sent[from..] {
                sum += n;
                let most = highest.0 + (at - sent[from].0) / highest.1;
                prop_assert!(sum <= most, "{sum} of {most} from {} to {at}", sent[from].0);
            }
        }
    }

    #[test]
    fn each_window_knows_what_it_counts(
        widths in (1_u64..5, 1_u64..4, 1_u64..4),
        acts in prop::collection::vec(windows_act(), 1..40),
        removes in prop::bool::weighted(0.3),
    ) {
        size::schedule();
        // Each a multiple of the one before, and each step of all shorter ones: what is known of it by the end of one is known
        // by the end of the other.
        let widths = [1_200 * widths.0, 1_200 * widths.0 * widths.1, 1_200 * widths.0 * widths.1 * widths.2];
        let mut windows = Windows::new(widths);
        for act in acts {
            windows.act(&act, removes)?;
        }
    }
}

/// What happens to a key under three windows.
#[derive(Clone, Debug)]
enum WindowsAct {
    Pass(u64),
    /// A cost for each.
    Charge([u64; 3]),
    /// How much each lets pass, in how many steps (0: exact), and whether it is in force.
    Change([(u64, u64, bool); 3], bool),
}

fn windows_act() -> impl Strategy<Value = WindowsAct> {
    let form =
        || (1_u64..9, prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(4)], prop::bool::weighted(0.8));
    prop_oneof![
        3 => time(13).prop_map(WindowsAct::Pass),
        1 => time(90).prop_map(WindowsAct::Pass),
        5 => [0_u64..4, 0_u64..4, 0_u64..4].prop_map(WindowsAct::Charge),
        3 => ([form(), form(), form()], any::<bool>()).prop_map(|(forms, all)| WindowsAct::Change(forms, all)),
    ]
}

/// A limiter under windows of three widths, beside all that has passed.
struct Windows {
    widths: [u64; 3],
    limiter: Arc<Limiter>,
    clock: Arc<ManualClock>,
    forms: [(u64, u64, bool); 3],
    /// The longest step that each window has had.
    coarsest: [u64; 3],
    sent: Vec<(u64, [u64; 3])>,
}

impl Windows {
    fn policy(widths: [u64; 3], forms: [(u64, u64, bool); 3]) -> Policy {
        let limit = |(at, &(limit, steps, is_in_force)): (usize, &(u64, u64, bool))| {
            let window = match steps {
                0 => Limit::window(limit, widths[at], Edge::HalfOpen).unwrap(),
                _ => Limit::window_in_steps(limit, widths[at], Edge::HalfOpen, steps).unwrap(),
            };
            is_in_force.then(|| window.named(&at.to_string()))
        };
        Policy::all(forms.iter().enumerate().filter_map(limit)).unwrap()
    }

    fn new(widths: [u64; 3]) -> Self {
        let forms = [(3, 0, true), (5, 4, true), (7, 2, true)];
        let (limiter, clock) = limiter(Self::policy(widths, forms), 100, WhenFull::Deny);
        let mut new = Self { widths, limiter, clock, forms, coarsest: [0; 3], sent: Vec::new() };
        new.coarsen();
        new
    }

    fn coarsen(&mut self) {
        for ((coarsest, &width), &(_, steps, is_in_force)) in
            self.coarsest.iter_mut().zip(&self.widths).zip(&self.forms)
        {
            if is_in_force && steps > 0 {
                *coarsest = (*coarsest).max(width / steps);
            }
        }
    }

    /// What one window counts, in which stamps stay for so much longer.
    fn counted(&self, at: usize, longer: u64) -> u64 {
        let now = self.clock.now_ns();
        let counts = |&&(stamp, _): &&(u64, [u64; 3])| stamp + self.widths[at] + longer > now;
        self.sent.iter().filter(counts).map(|(_, cost)| cost[at]).sum()
    }

    /// Puts these in force.
    fn put(&self, forms: [(u64, u64, bool); 3], all: bool) {
        let policy = Self::policy(self.widths, forms);
        if all {
            self.limiter.follow_default(KEY, Migration::AsIs).unwrap();
            self.limiter.set_limits(policy, Migration::AsIs).unwrap();
        } else {
            let class = self.limiter.class(policy).unwrap();
            self.limiter.reconfigure(KEY, class, Migration::AsIs).unwrap();
        }
    }

    fn act(&mut self, act: &WindowsAct, removes: bool) -> Result<(), TestCaseError> {
        match act {
            WindowsAct::Pass(time) => self.clock.advance_ns(time.cast_signed()),
            WindowsAct::Charge(cost) => {
                let named = cost.iter().enumerate().map(|(at, &n)| (at.to_string(), n));
                let spent = Cost::new(0).with(named);
                if self.limiter.decide_as(KEY, spent, self.limiter.default_class()).unwrap().allowed {
                    self.sent.push((self.clock.now_ns(), *cost));
                }
            }
            WindowsAct::Change(forms, all) => {
                if removes {
                    // Some of them for a moment.
                    self.put(*forms, *all);
                }
                self.forms = forms.map(|(limit, steps, _)| (limit, steps, true));
                self.coarsen();
                self.put(self.forms, *all);
            }
        }
        for state in self.limiter.inspect(KEY, 1).unwrap() {
            let at: usize = state.name.parse().unwrap();
            let left = |counted: u64| self.forms[at].0.saturating_sub(counted);
            let (most, least) = (left(self.counted(at, 0)), left(self.counted(at, self.coarsest[at])));
            prop_assert!(state.remaining <= most, "{state:?} at most {most}");
            prop_assert!(removes || state.remaining >= least, "{state:?} at least {least}");
        }
        Ok(())
    }
}

// HAZARD change-evicted
#[test]
fn own_limits_survive_a_flood_of_other_keys() {
    let few = |name: &str| Limit::rate(Rate::new(5, 60_000_000_000)).unwrap().named(name);
    let exact = Limit::window(5, 60_000_000_000, Edge::HalfOpen).unwrap();
    for own in [Policy::all([few("a")]).unwrap(), Policy::all([exact, few("b")]).unwrap(), Policy::closed()] {
        for when_full in [WhenFull::Deny, WhenFull::EvictLeast, WhenFull::Allow] {
            let many = Policy::rate(Rate::new(100, 60_000_000_000)).unwrap();
            let (limiter, clock) = limiter(many, 50, when_full);
            let class = limiter.class(own.clone()).unwrap();
            assert!(limiter.try_acquire(KEY, 1).unwrap());
            assert!(limiter.reconfigure(KEY, class, Migration::AsIs).unwrap());
            clock.advance_ns(120_000_000_000);
            let mut evicted = 0;
            for number in 0..10_000_u32 {
                limiter.try_acquire(&number.to_be_bytes(), 1).unwrap();
                clock.advance_ns(100_000_000);
                evicted += u32::from(!limiter.contains(KEY).unwrap());
            }
            assert!(evicted > 0, "the key's account was to be evicted");
            clock.advance_ns(120_000_000_000);
            assert_eq!(limiter.peek(KEY, 0).unwrap().remaining, own.capacity(), "before it is seen again");
            let passed = (0..100).filter(|_| limiter.try_acquire(KEY, 1).unwrap()).count() as u64;
            assert_eq!(passed, own.capacity());
            assert_eq!(limiter.stats().own_limits, 1);
            limiter.follow_default(KEY, Migration::Reset).unwrap();
            assert_eq!((0..200).filter(|_| limiter.try_acquire(KEY, 1).unwrap()).count(), 100);
        }
    }
}

/// A minute's window that is exact beside a day's: the day is raised when the minute is over.
#[test]
fn a_raised_day_leaves_the_minute_alone() {
    const MINUTE: u64 = 60_000_000_000;
    const DAY: u64 = 1_440 * MINUTE;
    for steps in [None, Some(24)] {
        let both = |most: u64| {
            let day = steps.map_or_else(
                || Limit::window(most, DAY, Edge::HalfOpen),
                |steps| Limit::window_in_steps(most, DAY, Edge::HalfOpen, steps),
            );
            let minute = Limit::window(3, MINUTE, Edge::HalfOpen).unwrap().named("minute");
            Policy::all([minute, day.unwrap().named("day")]).unwrap()
        };
        let (limiter, clock) = limiter(both(1_000), 100, WhenFull::Deny);
        assert!(limiter.try_acquire(KEY, 3).unwrap());
        clock.advance_ns(61_000_000_000);
        let class = limiter.class(both(2_000)).unwrap();
        assert!(limiter.reconfigure(KEY, class, Migration::AsIs).unwrap());
        assert_eq!(limiter.peek(KEY, 3).unwrap().remaining, 3);
        let used: Vec<u64> = limiter.inspect(KEY, 1).unwrap().iter().map(|state| state.used).collect();
        assert_eq!(used, [0, 3]);
        assert!(limiter.try_acquire(KEY, 3).unwrap() && !limiter.try_acquire(KEY, 1).unwrap());
    }
}

/// Whether an account is a word or more makes no difference to what a closed key remembers.
#[test]
fn a_key_that_was_closed_for_a_while_owes_what_it_owed() {
    let policy = Policy::rate(Rate::new(10, 10_000)).unwrap();
    for how in [Migration::AsIs, Migration::Proportional] {
        for blocked in [false, true] {
            let (limiter, clock) = limiter(policy.clone(), 100, WhenFull::Deny);
            assert!(limiter.try_acquire(KEY, 6).unwrap());
            limiter.set_limits(Policy::closed(), how).unwrap();
            clock.advance_ns(1_000);
            assert!(!limiter.try_acquire(KEY, 1).unwrap());
            if blocked {
                limiter.block(KEY, 500).unwrap();
            }
            clock.advance_ns(1_000);
            limiter.set_limits(policy.clone(), how).unwrap();
            assert_eq!(limiter.peek(KEY, 1).unwrap().remaining, 6, "{how:?} {blocked}");
        }
    }
}
