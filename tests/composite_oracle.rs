//! Several limits on several keys, reserved, charged together, expiring: every answer against an oracle that keeps every
//! event and finds every time by trying.

mod brute;
mod chance;
mod size;

use brute::bench::{Act, Bench, KEYS, Spend};
use brute::said;
use chance::{limits, time};
use proptest::prelude::*;

/// Mostly the same of each limit, else a number of its own for some.
fn spend(most: u64) -> impl Strategy<Value = Spend> {
    let named = prop::collection::vec((0_usize..4, 0..most), 1..3);
    let named = prop_oneof![3 => Just(Vec::new()), 2 => named];
    (0..most, named).prop_map(|(each, named)| Spend { each, named })
}

fn lease() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![4 => time(60).prop_map(Some), 1 => Just(None)]
}

fn act() -> impl Strategy<Value = Act> {
    let (key, which) = (|| 0..KEYS, || 0_usize..12);
    let keys = (prop::sample::subsequence(vec![0, 1, 2], 1..=KEYS), any::<bool>()).prop_map(|(mut keys, turned)| {
        if turned {
            keys.reverse();
        }
        keys
    });
    let numbers = [1_u64..6, 1..6, 1..6, 1..6];
    prop_oneof![
        8 => time(12).prop_map(Act::Pass),
        2 => time(80).prop_map(Act::Pass),
        2 => (key(), spend(4)).prop_map(|(key, cost)| Act::Until { key, cost }),
        12 => (key(), spend(4)).prop_map(|(key, cost)| Act::Charge { key, cost }),
        4 => (keys, spend(4)).prop_map(|(keys, cost)| Act::All { keys, cost }),
        8 => (key(), spend(4), lease(), any::<bool>())
            .prop_map(|(key, cost, lease, gives_back)| Act::Reserve { key, cost, lease, gives_back }),
        6 => (which(), prop::option::of(spend(6))).prop_map(|(which, used)| Act::Commit { which, used }),
        4 => which().prop_map(|which| Act::Cancel { which }),
        2 => (which(), lease()).prop_map(|(which, lease)| Act::Renew { which, lease }),
        2 => key().prop_map(|key| Act::Release { key }),
        1 => (key(), prop_oneof![1 => Just(0), 4 => time(30)]).prop_map(|(key, length)| Act::Block { key, length }),
        1 => (key(), 0_u64..4, prop::option::of(0_usize..4))
            .prop_map(|(key, to, limit)| Act::Drain { key, to, limit }),
        2 => (prop::option::of(key()), numbers).prop_map(|(key, numbers)| Act::Renumber { key, numbers }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

    // HAZARD cost-by-limit
    #[test]
    fn every_answer_is_that_of_the_oracle(policy in limits(), acts in prop::collection::vec(act(), 1..40)) {
        size::schedule();
        let mut bench = Bench::new(&policy);
        for act in acts {
            bench.act(act);
        }
        // What a reservation still open is dropped as is asked by nobody any more.
    }
}
