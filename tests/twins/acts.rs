//! What is done to both of two limiters, by chance.

use proptest::prelude::*;
use tollbar::{Ask, Cost, Migration};

use super::KEYS;
use crate::chance::{NAMES, cost, time};

/// What happens next; times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Pass(u64),
    /// Until the key would pass.
    Until {
        key: usize,
        cost: Cost,
    },
    Charge {
        key: usize,
        cost: Cost,
    },
    Try {
        key: usize,
        n: u64,
    },
    Many {
        n: u64,
    },
    All {
        keys: Vec<usize>,
        cost: Cost,
    },
    Reserve {
        key: usize,
        cost: Cost,
        lease: Option<u64>,
        gives_back: bool,
    },
    Commit {
        which: usize,
        used: Option<Cost>,
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
    Penalize {
        key: usize,
    },
    Reset {
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
    Join {
        key: usize,
        wish: Wish,
    },
    Look {
        which: usize,
    },
    Leave {
        which: usize,
    },
    Pin {
        key: usize,
    },
    ByPin {
        which: usize,
        n: u64,
    },
    Unpin {
        which: usize,
    },
    /// Limits of its own for a key: those of this number.
    Own {
        key: usize,
        to: usize,
        how: Migration,
    },
    Follow {
        key: usize,
        how: Migration,
    },
    /// Other limits for all keys without limits of their own.
    SetLimits {
        to: usize,
        how: Migration,
    },
}

/// What a waiter asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    cost: Cost,
    timeout: Option<u64>,
    priority: u8,
    /// 0: it is charged; 1: held for a while; 2: held without an end; 3: held where something is in flight.
    holds: u8,
}

impl Wish {
    pub(super) fn ask(&self) -> Ask<'_> {
        let ask = Ask::new(0).costs(&self.cost).priority(self.priority).unwrap().timeout_ns(self.timeout);
        match self.holds {
            1 => ask.holding(Some(700), true).unwrap(),
            2 => ask.holding(None, false).unwrap(),
            3 => ask.holding_in_flight(),
            _ => ask,
        }
    }
}

pub(crate) fn migration() -> impl Strategy<Value = Migration> {
    prop_oneof![6 => Just(Migration::AsIs), 2 => Just(Migration::Proportional), 1 => Just(Migration::Reset)]
}

fn lease() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => time(60).prop_map(Some), 1 => Just(None)]
}

/// Everything but changes of limits. The clock never steps back: which accounts notice that first depends on the hashes.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    let key = || 0..KEYS;
    let which = || 0_usize..8;
    let used = prop_oneof![1 => Just(None), 2 => cost().prop_map(Some)];
    let wish = (cost(), prop::option::of(time(60)), 0_u8..3, 0_u8..4)
        .prop_map(|(cost, timeout, priority, holds)| Wish { cost, timeout, priority, holds });
    let subset = (prop::sample::subsequence(vec![0, 1, 2], 1..=KEYS), any::<bool>()).prop_map(|(mut keys, turned)| {
        if turned {
            keys.reverse();
        }
        keys
    });
    prop_oneof![
        8 => time(12).prop_map(Act::Pass),
        2 => time(80).prop_map(Act::Pass),
        3 => (key(), cost()).prop_map(|(key, cost)| Act::Until { key, cost }),
        10 => (key(), cost()).prop_map(|(key, cost)| Act::Charge { key, cost }),
        4 => (key(), 0_u64..4).prop_map(|(key, n)| Act::Try { key, n }),
        1 => (0_u64..4).prop_map(|n| Act::Many { n }),
        3 => (subset, cost()).prop_map(|(keys, cost)| Act::All { keys, cost }),
        6 => (key(), cost(), lease(), any::<bool>())
            .prop_map(|(key, cost, lease, gives_back)| Act::Reserve { key, cost, lease, gives_back }),
        4 => (which(), used).prop_map(|(which, used)| Act::Commit { which, used }),
        2 => which().prop_map(|which| Act::Cancel { which }),
        2 => (which(), lease()).prop_map(|(which, lease)| Act::Renew { which, lease }),
        1 => key().prop_map(|key| Act::Release { key }),
        1 => key().prop_map(|key| Act::Penalize { key }),
        1 => key().prop_map(|key| Act::Reset { key }),
        2 => (key(), prop_oneof![1 => Just(0), 4 => time(30)]).prop_map(|(key, length)| Act::Block { key, length }),
        2 => (key(), 0_u64..4, prop::option::of(0..NAMES)).prop_map(|(key, to, limit)| Act::Drain { key, to, limit }),
        6 => (key(), wish).prop_map(|(key, wish)| Act::Join { key, wish }),
        4 => which().prop_map(|which| Act::Look { which }),
        2 => which().prop_map(|which| Act::Leave { which }),
        1 => key().prop_map(|key| Act::Pin { key }),
        2 => (which(), 0_u64..4).prop_map(|(which, n)| Act::ByPin { which, n }),
        1 => which().prop_map(|which| Act::Unpin { which }),
    ]
}
