//! Several limits on several keys, reserved, charged together, expiring: every answer against an oracle that keeps every
//! event and finds every time by trying.

mod brute;
mod chance;
mod size;

use brute::bench::{Act, Bench, KEYS};
use brute::said;
use chance::{limits, time};
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: size::schedules(), failure_persistence: None, ..ProptestConfig::default() })]

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
