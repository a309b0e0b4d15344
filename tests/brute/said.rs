//! Limits as a test says them, in nanoseconds.

#![allow(dead_code)] // each test takes from here what it needs

use tollbar::limit::{Edge, Jail};
use tollbar::{Limit, Rate};

/// Oracles count in sixteenths of a nanosecond, as waits do before they are rounded up.
pub(crate) const TICKS: u64 = 16;

/// A limit, in nanoseconds as it is said.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A token every `emission`, up to `burst`.
    Rate {
        emission: u64,
        burst: u64,
    },
    Window {
        limit: u64,
        width: u64,
        edge: Edge,
    },
    /// So many steps of this length.
    Steps {
        limit: u64,
        step: u64,
        steps: u64,
    },
    InFlight {
        limit: u64,
    },
    Jail {
        denials: u64,
        within: u64,
        duration: u64,
        factor: u32,
        longest: u64,
    },
    Closed,
}

impl Said {
    pub(crate) fn limit(&self, name: &str, shadow: bool) -> Limit {
        let limit = match *self {
            Self::Rate { emission, burst } => Limit::rate(Rate::new(1, emission).burst(burst)),
            Self::Window { limit, width, edge } => Limit::window(limit, width, edge),
            Self::Steps { limit, step, steps } => Limit::window_in_steps(limit, step * steps, Edge::HalfOpen, steps),
            Self::InFlight { limit } => Limit::in_flight(limit),
            Self::Closed => return Limit::closed().named(name).shadow(shadow),
            Self::Jail { denials, within, duration, factor, longest } => {
                let jail = Jail::new(denials, within, duration).unwrap();
                Limit::jail(jail.escalating(factor.into(), Some(longest)).unwrap())
            }
        };
        limit.unwrap().named(name).shadow(shadow)
    }

    pub(crate) fn in_ticks(&self) -> Self {
        let mut said = self.clone();
        match &mut said {
            Self::Rate { emission: time, .. } | Self::Window { width: time, .. } | Self::Steps { step: time, .. } => {
                *time *= TICKS;
            }
            Self::Jail { within, duration, longest, .. } => {
                for time in [within, duration, longest] {
                    *time *= TICKS;
                }
            }
            Self::InFlight { .. } | Self::Closed => {}
        }
        said
    }

    pub(crate) fn capacity(&self) -> u64 {
        match *self {
            Self::Rate { burst, .. } => burst,
            Self::Window { limit, .. } | Self::Steps { limit, .. } | Self::InFlight { limit } => limit,
            Self::Jail { .. } => u64::MAX,
            Self::Closed => 0,
        }
    }
}
