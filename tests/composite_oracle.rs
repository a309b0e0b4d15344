//! Several limits on several keys, reserved, charged together, expiring: every answer against an oracle that keeps every
//! event and finds every time by trying.

mod brute;
mod size;

use brute::Said;
use brute::bench::{Act, Bench, KEYS};
use proptest::prelude::*;
use tollbar::limit::Edge;

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
        3 => (1_u64..6, -30_i64..0, prop::collection::vec(time(30), 1..12)).prop_map(|(limit, first, lengths)| {
            let mut boundaries = vec![100 * first];
            for length in lengths {
                boundaries.push(boundaries.last().unwrap() + length.cast_signed());
            }
            Said::Calendar { limit, boundaries }
        }),
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
