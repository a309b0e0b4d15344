//! Limits, times and costs by chance.

#![allow(dead_code)] // each test takes from here what it needs

use proptest::prelude::*;
use tollbar::Cost;
use tollbar::limit::Edge;

use crate::said::Said;

/// Limits, each with whether it is a shadow. Their names are numbers from `first` on, modulo [`NAMES`].
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) limits: Vec<(Said, bool)>,
    pub(crate) first: usize,
}

/// How many names there are for limits.
pub(crate) const NAMES: usize = 5;

impl Written {
    pub(crate) fn policy(&self) -> tollbar::Policy {
        let name = |at: usize| ((at + self.first) % NAMES).to_string();
        let limits = self.limits.iter().enumerate().map(|(at, (said, shadow))| said.limit(&name(at), *shadow));
        tollbar::Policy::all(limits).unwrap()
    }
}

/// Times that often meet each other, and now and then just miss.
pub(crate) fn time(most: u64) -> impl Strategy<Value = u64> {
    (1..most, prop_oneof![8 => Just(0_i64), 1 => Just(-1), 1 => Just(1)])
        .prop_map(|(units, more)| (100 * units).saturating_add_signed(more))
}

pub(crate) fn rate() -> impl Strategy<Value = Said> {
    (1_u64..15, 1_u64..6).prop_map(|(units, burst)| Said::Rate { emission: 100 * units, burst })
}

pub(crate) fn window() -> impl Strategy<Value = Said> {
    (1_u64..6, time(40), any::<bool>()).prop_map(|(limit, width, closed)| Said::Window {
        limit,
        width,
        edge: if closed { Edge::Closed } else { Edge::HalfOpen },
    })
}

pub(crate) fn steps() -> impl Strategy<Value = Said> {
    (1_u64..6, time(8), 1_u64..6).prop_map(|(limit, step, steps)| Said::Steps { limit, step, steps })
}

/// Often some of the same few periods, so that limits meet others in the same ones.
pub(crate) fn calendar() -> impl Strategy<Value = Said> {
    let boundaries = prop_oneof![
        1 => Just(vec![-500, 1_500, 4_000, 5_000]),
        1 => Just(vec![0, 700]),
        2 => (-30_i64..0, prop::collection::vec(time(30), 1..12)).prop_map(|(first, lengths)| {
            let mut boundaries = vec![100 * first];
            for length in lengths {
                boundaries.push(boundaries.last().unwrap() + length.cast_signed());
            }
            boundaries
        }),
    ];
    (1_u64..6, boundaries).prop_map(|(limit, boundaries)| Said::Calendar { limit, boundaries })
}

pub(crate) fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => rate(),
        3 => window(),
        1 => steps(),
        2 => calendar(),
        1 => (1_u64..6).prop_map(|limit| Said::InFlight { limit }),
        1 => (1_u64..4, time(30), time(30), 1_u32..4, time(60)).prop_map(|(denials, within, duration, factor, more)| {
            Said::Jail { denials, within, duration, factor, longest: duration + more }
        }),
    ]
}

/// One to four limits of any kind, a few of them shadows.
pub(crate) fn limits() -> impl Strategy<Value = Vec<(Said, bool)>> {
    prop::collection::vec((said(), prop::bool::weighted(0.15)), 1..5)
}

/// The same, single rates and closed doors more often, and now and then nothing at all.
pub(crate) fn written() -> impl Strategy<Value = Written> {
    let limits = prop_oneof![
        12 => limits(),
        4 => (rate(), prop::bool::weighted(0.15)).prop_map(|limit| vec![limit]),
        1 => prop::bool::ANY.prop_map(|shadow| vec![(Said::Closed, shadow)]),
        1 => Just(Vec::new()),
    ];
    (limits, prop_oneof![3 => Just(0), 1 => 0..NAMES]).prop_map(|(limits, first)| Written { limits, first })
}

/// What a request costs: mostly the same of each limit, else a number of its own for some of the first `names` limits.
pub(crate) fn cost() -> impl Strategy<Value = Cost> {
    let named = prop::collection::vec((0..NAMES, 0_u64..5), 0..3);
    (0_u64..4, prop_oneof![3 => Just(Vec::new()), 2 => named])
        .prop_map(|(each, named)| Cost::new(each).with(named.into_iter().map(|(name, n)| (name.to_string(), n))))
}
