//! Accesses of clients, timeouts included, against an oracle that forgets nothing and counts everything.

mod size;

use std::collections::HashMap;

use proptest::prelude::*;
use tollbar::limit::Jail;
use tollbar::{ClientAccess, Clock};

/// Rules in small numbers, so that every edge is met.
#[derive(Clone, Debug)]
struct Rules {
    limit: u64,
    period: u64,
    lateness: u64,
    jail: Option<(u64, u64, u64, u32)>,
}

impl Rules {
    fn limiter(&self) -> ClientAccess {
        let access = ClientAccess::new(self.limit, self.period, Clock::Monotonic).unwrap().lateness(self.lateness);
        match self.jail {
            None => access,
            Some((denials, within, duration, factor)) => {
                let jail = Jail::new(denials, within, duration).unwrap();
                access.jail(jail.escalating(factor.into(), Some(5 * duration)).unwrap())
            }
        }
    }

    /// Whether every window [start, start + period) that starts with an access holds at most the limit.
    fn is_kept(&self, accesses: &[i64]) -> bool {
        accesses.iter().all(|&start| {
            let end = start + i64::try_from(self.period).unwrap();
            accesses.iter().filter(|&&access| (start..end).contains(&access)).count() as u64 <= self.limit
        })
    }
}

#[derive(Default)]
struct Oracle {
    admitted: Vec<i64>,
    newest: Option<i64>,
    denials: Vec<i64>,
    until: Option<i64>,
    strikes: u64,
    quiet_since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Allowed,
    Denied,
    Jailed,
    Late,
    Full,
}

impl Oracle {
    fn ask(&mut self, rules: &Rules, at: i64) -> Answer {
        let lateness = i64::try_from(rules.lateness).unwrap();
        if self.until.is_some_and(|until| at < until) {
            return Answer::Jailed;
        }
        if self.newest.is_some_and(|newest| at < newest - lateness) {
            return Answer::Late;
        }
        let newest = self.newest.map_or(at, |newest| newest.max(at));
        self.newest = Some(newest);
        self.admitted.push(at);
        if rules.is_kept(&self.admitted) {
            return Answer::Allowed;
        }
        self.admitted.pop();
        if let Some((denials, within, duration, factor)) = rules.jail {
            let (within, duration) = (i64::try_from(within).unwrap(), i64::try_from(duration).unwrap());
            let forgotten = u64::try_from((at - self.quiet_since) / duration).unwrap_or(0);
            self.strikes = self.strikes.saturating_sub(forgotten);
            self.quiet_since = self.quiet_since.max(at);
            self.denials.push(at);
            let most = self.denials.iter().filter(|&&start| (start..=start + within).contains(&at)).map(|&start| {
                self.denials.iter().filter(|&&denial| (start..=start + within).contains(&denial)).count() as u64
            });
            if most.max() >= Some(denials) {
                self.strikes += 1;
                let power = i64::from(factor).saturating_pow(u32::try_from(self.strikes - 1).unwrap().min(20));
                let until = newest + duration.saturating_mul(power).min(5 * duration);
                (self.until, self.quiet_since) = (Some(until), until);
                self.denials.clear();
            }
        }
        Answer::Denied
    }
}

/// What the limiter answered, told by its counts, which must agree with the answer.
fn ask(access: &ClientAccess, client: u8, at: i64) -> Answer {
    let before = access.stats();
    let allowed = access.is_allowed(&[client], Some(at)).unwrap();
    let after = access.stats();
    let counts = [
        (Answer::Allowed, after.allowed - before.allowed),
        (Answer::Denied, after.denied - before.denied),
        (Answer::Jailed, after.jailed - before.jailed),
        (Answer::Late, after.late - before.late),
        (Answer::Full, after.full - before.full),
    ];
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 1);
    let (answer, _) = counts.into_iter().find(|(_, count)| *count == 1).unwrap();
    assert_eq!(allowed, answer == Answer::Allowed);
    answer
}

fn rules() -> impl Strategy<Value = Rules> {
    let jail = prop::option::weighted(0.7, (1_u64..5, 1_u64..30, 1_u64..40, 1_u32..4));
    (1_u64..6, 1_u64..30, 0_u64..40, jail).prop_map(|(limit, period, lateness, jail)| Rules {
        limit,
        period,
        lateness,
        jail,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), ..ProptestConfig::default() })]

    /// Clients come and go, and the limiter forgets whom it can; nobody may notice.
    #[test]
    fn every_answer_is_that_of_an_oracle_that_forgets_nothing(
        rules in rules(),
        places in 1_usize..5,
        start in prop_oneof![Just(-100_i64), Just(0), Just(1_700_000_000_000_000_000)],
        steps in prop::collection::vec((prop_oneof![3 => 0_i64..4, 1 => 0_i64..120], 0_i64..40, 0_u8..6), 1..100),
    ) {
        size::schedule();
        let access = rules.limiter().max_clients(places).unwrap();
        let mut oracles: HashMap<u8, Oracle> = HashMap::new();
        let (mut newest, mut given) = (start, i64::MIN);
        for (forward, back, client) in steps {
            newest += forward;
            let back = back % (i64::try_from(rules.lateness).unwrap() + 1);
            let at = if forward == 0 { newest - back } else { newest };
            given = given.max(at);
            let answer = ask(&access, client, at);
            prop_assert!(access.len() <= places);
            if answer == Answer::Full {
                prop_assert_eq!((access.len(), access.contains(&[client]).unwrap()), (places, false));
                continue;
            }
            let oracle = oracles.entry(client).or_default();
            prop_assert_eq!(answer, oracle.ask(&rules, at), "client {} at {}", client, at);
            let until = oracle.until.filter(|&until| until > given);
            prop_assert_eq!(access.jailed_until(&[client]).unwrap(), until);
        }
        let listed: HashMap<_, _> = access.jailed().into_iter().map(|(client, until)| (client[0], until)).collect();
        let held = oracles.iter().filter_map(|(client, oracle)| Some((*client, oracle.until?)));
        prop_assert_eq!(listed, held.filter(|&(_, until)| until > given).collect());
    }

    /// Times from anywhere, years apart, on clients that are forgotten in between: the limit still holds.
    #[test]
    fn no_order_of_times_admits_more_than_the_limit(
        rules in rules(),
        places in 1_usize..4,
        steps in prop::collection::vec((-150_i64..150, 0_u8..5), 1..100),
    ) {
        size::schedule();
        let access = rules.limiter().max_clients(places).unwrap();
        let mut admitted: HashMap<u8, Vec<i64>> = HashMap::new();
        for (at, client) in steps {
            if ask(&access, client, at) == Answer::Allowed {
                let all = admitted.entry(client).or_default();
                all.push(at);
                prop_assert!(rules.is_kept(all), "client {} at {:?}", client, all);
            }
        }
    }
}
