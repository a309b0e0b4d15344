//! Accesses of clients, timeouts included, against an oracle that forgets nothing and counts everything.

mod accesses;
mod size;

use std::collections::HashMap;

use accesses::{Answer, Oracle, Rules, ask};
use proptest::prelude::*;

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
