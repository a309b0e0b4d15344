//! Pure arithmetic, one rule a file: (state, now, cost) -> (state', outcome).
//!
//! No key, no lock, no clock, no I/O; every function here can be checked with pen and paper.

mod blocks;
mod calendar;
mod fraction;
mod headroom;
mod jail;
mod log;
mod permits;
mod rate;
mod runs;
mod sequence;
mod tally;
mod token_bucket;
mod usual;
mod window;

pub(crate) use calendar::SLACK_NS;
pub use calendar::{Calendar, Period, Periods};
pub use fraction::simplest_fraction;
pub use headroom::{FIRST_HEADROOM, Headroom};
pub use jail::{Jail, Record};
pub use log::Log;
pub use permits::{Pace, Permits, Slot};
pub use rate::{MAX_BURST, Rate};
pub use runs::Runs;
pub use tally::Tally;
pub use token_bucket::{Balance, Migration, Reserved, TokenBucket, Verdict};
pub(crate) use usual::Usual;
pub use window::{Admission, Edge, Window, admits};
