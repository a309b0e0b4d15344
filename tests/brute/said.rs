//! Limits as a test says them, in nanoseconds.

#![allow(dead_code)] // each test takes from here what it needs

use std::sync::Arc;

use tollbar::limit::{Edge, Jail, Periods};
use tollbar::{Limit, Rate, Reason};

/// Oracles count in sixteenths of a nanosecond, as waits do before they are rounded up.
pub(crate) const TICKS: u64 = 16;

/// What the wall clock reads when the oracle's time begins, in nanoseconds.
pub(crate) const UNIX: u64 = 1_000_000;

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
    /// In periods that begin at these moments of the wall clock, counted from the start of the oracle's time.
    Calendar {
        limit: u64,
        boundaries: Vec<i64>,
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
            Self::Calendar { limit, ref boundaries } => {
                let moments: Vec<i64> = boundaries.iter().map(|moment| moment + UNIX.cast_signed()).collect();
                Limit::calendar(limit, Arc::new(Periods::new(&moments).unwrap()), "period")
            }
            Self::InFlight { limit } => Limit::in_flight(limit),
            Self::Closed => return Limit::closed().named(name).shadow(shadow),
            Self::Jail { denials, within, duration, factor, longest } => {
                let jail = Jail::new(denials, within, duration).unwrap();
                Limit::jail(jail.escalating(factor.into(), Some(longest)).unwrap())
            }
        };
        limit.unwrap().named(name).shadow(shadow)
    }

    /// The same with another number, if it is a window, a calendar or counts what is in flight; true if it is another then.
    pub(crate) fn renumber(&mut self, number: u64) -> bool {
        match self {
            Self::Window { limit, .. }
            | Self::Steps { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::InFlight { limit } => std::mem::replace(limit, number) != number,
            Self::Rate { .. } | Self::Jail { .. } | Self::Closed => false,
        }
    }

    /// Why it denies.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Rate { .. } => Reason::Rate,
            Self::Window { .. } | Self::Steps { .. } | Self::Calendar { .. } => Reason::Window,
            Self::InFlight { .. } => Reason::InFlight,
            Self::Jail { .. } => Reason::Jail,
            Self::Closed => Reason::Closed,
        }
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
            Self::Calendar { boundaries, .. } => {
                for moment in boundaries {
                    *moment *= TICKS.cast_signed();
                }
            }
            Self::InFlight { .. } | Self::Closed => {}
        }
        said
    }

    pub(crate) fn capacity(&self) -> u64 {
        match *self {
            Self::Rate { burst, .. } => burst,
            Self::Window { limit, .. }
            | Self::Steps { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::InFlight { limit } => limit,
            Self::Jail { .. } => u64::MAX,
            Self::Closed => 0,
        }
    }
}
