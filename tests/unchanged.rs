//! Limits that are put in force again change nothing: two limiters are told the same, and one of them is put again and again
//! under the limits that its keys have already. Every answer and all that can be observed is equal, to the tick.

mod chance;
#[path = "brute/said.rs"]
mod said;
mod size;
mod twins;

use chance::{Written, written};
use proptest::prelude::*;
use tollbar::{Migration, WhenFull};
use twins::{Act, KEYS, Twin, act, migration, name};

/// The limits in force, put in force again.
#[derive(Clone, Debug)]
enum Again {
    /// As the key's own; `stays` if it keeps them.
    Own {
        key: usize,
        stays: bool,
    },
    Follow {
        key: usize,
    },
    SetLimits,
}

fn again() -> impl Strategy<Value = (Again, Migration)> {
    let again = prop_oneof![
        2 => (0..KEYS, any::<bool>()).prop_map(|(key, stays)| Again::Own { key, stays }),
        1 => (0..KEYS).prop_map(|key| Again::Follow { key }),
        1 => Just(Again::SetLimits),
    ];
    (again, prop_oneof![3 => Just(Migration::AsIs), 1 => Just(Migration::Proportional)])
}

const POLICIES: usize = 3;

/// Real changes, after which there are limits to be put in force again.
fn change() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..KEYS, 0..POLICIES, migration()).prop_map(|(key, to, how)| Act::Own { key, to, how }),
        1 => (0..KEYS, migration()).prop_map(|(key, how)| Act::Follow { key, how }),
        2 => (0..POLICIES, migration()).prop_map(|(to, how)| Act::SetLimits { to, how }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(Act, Vec<(Again, Migration)>)>> {
    let step = (prop_oneof![9 => act(), 1 => change()], prop::collection::vec(again(), 0..3));
    prop::collection::vec(step, 1..30)
}

/// Which policy each key is under, and which of them as its own.
struct InForce {
    all: usize,
    own: [Option<usize>; KEYS],
}

impl InForce {
    fn heed(&mut self, act: &Act, did: bool) {
        match *act {
            Act::Own { key, to, .. } if did => self.own[key] = Some(to),
            Act::Follow { key, .. } => self.own[key] = None,
            Act::SetLimits { to, .. } => self.all = to,
            _ => {}
        }
    }

    /// Puts in force what is in force.
    fn again(&self, twin: &Twin, (again, how): &(Again, Migration), may_stay: bool) {
        match *again {
            Again::Own { key, stays } => {
                let known = twin.limiter.contains(&name(key)).unwrap();
                let did = twin.own(key, self.own[key].unwrap_or(self.all), *how);
                assert!(!may_stay || did == Ok(known), "{did:?}");
                if self.own[key].is_none() && !(stays && may_stay) {
                    assert_eq!(twin.limiter.follow_default(&name(key), *how), Ok(known));
                }
            }
            Again::Follow { key } if self.own[key].is_some() => {}
            Again::Follow { key } => {
                let known = twin.limiter.contains(&name(key)).unwrap();
                assert_eq!(twin.limiter.follow_default(&name(key), *how), Ok(known));
            }
            Again::SetLimits => twin.limiter.set_limits(twin.policy(self.all), *how).unwrap(),
        }
    }
}

fn sizes() -> impl Strategy<Value = (usize, WhenFull)> {
    prop_oneof![
        4 => Just((100, WhenFull::Deny)),
        // Which of several is evicted depends on the hashes.
        1 => prop_oneof![Just(WhenFull::Deny), Just(WhenFull::Allow), Just(WhenFull::EvictLeast)].prop_map(|when| (1, when)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    // HAZARD change-equal
    #[test]
    fn limits_put_in_force_again_change_nothing(
        policies in prop::collection::vec(written(), POLICIES),
        size in sizes(),
        steps in steps(),
        looks in prop::bool::weighted(0.7),
    ) {
        size::schedule();
        // A full table drops an account whose lease is over when something has noticed that. A key that nothing limits holds no
        // reservation, unless a block that is over has not been noticed.
        let looks = looks || size.0 == 1 || policies.iter().any(|policy| policy.limits.is_empty());
        check(&policies, size, &steps, looks);
    }
}

fn check(policies: &[Written], size: (usize, WhenFull), steps: &[(Act, Vec<(Again, Migration)>)], looks: bool) {
    let (mut plain, mut again) = (Twin::new(policies, size), Twin::new(policies, size));
    // A key that has limits of its own does not follow what all get later, and takes a place that another may want.
    let may_stay = size.0 > KEYS && !steps.iter().any(|(act, _)| matches!(act, Act::SetLimits { .. }));
    let mut in_force = InForce { all: 0, own: [None; KEYS] };
    for (act, repeats) in steps {
        for repeat in repeats {
            in_force.again(&again, repeat, may_stay);
        }
        let told = plain.act(act);
        assert_eq!(told, again.act(act), "{act:?}");
        in_force.heed(act, !matches!(told, twins::Told::Refused(_)));
        // Observing settles what is due; some schedules go without.
        if looks {
            plain.observe().is_that_of(&again.observe(), act);
        }
    }
    plain.observe().is_that_of(&again.observe(), &"all");
}
