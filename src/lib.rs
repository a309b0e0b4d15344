//! tollbar decides, for one account among millions, whether one more message may go now.
//!
//! # The house
//! | room | what it is for |
//! | --- | --- |
//! | [`ticks`], [`decision`], [`error`], `sync`, `counters` | plain values and small parts, used by everybody |
//! | [`clock`] | monotonic or moved by hand |
//! | [`limit`] | pure arithmetic, one rule a file |
//! | [`policy`], `classes` | checked limits, and the small number that an account stores for them |
//! | `account` | the word of a bucket of its own, when denials were told, and the state of a key with several limits — hot path, stop 1 |
//! | `table` | stripes of key -> account, and eviction that does not forgive — hot path, stop 2 |
//! | `queue`, [`parker`] | who waits, in order of arrival, only the head with a timer; and where a thread does |
//! | `striped` | keys behind a lock for each share of them, for states that are more than a word |
//! | [`limiter`], [`bucket`] | the facade, all that the faces see |
//! | [`history`] | another: limits over logged sends, so many a minute, an hour, a day |
//! | [`access`] | another: so many accesses in any period, in whatever order their times come |
//! | [`pacing`] | another: a client that reaches a server's limit and is never told 429 |
//! | `python` | a thin face: converts, calls the facade, converts back |
//! | `capi` | another, for C and whatever can call it |
//! | `extension` | the module that Python imports: its face, and C's functions beside it, over the same limiters |
//!
//! A decision on a known key walks `python -> limiter -> table -> account -> limit`.
//! Rooms call only downwards; a test reads the `use` lines.
//!
//! # Unsafe code
//! Denied throughout, but for the table's `pages` (memory that was never touched, and
//! advice about it), `memory` and `index` (pointers into it, which is freed with the table and not before; and one
//! prefetch, which reads nothing), `capi` (a C program's pointers), `extension` (a capsule around a static) and files of the
//! Python face that say so: `interpreter`, calls that pyo3 has no safe form of; `entry`, the raw entries of the hot
//! methods, and `install`, which puts them in place; `granted`, `refused` and `answered`, the awaitables that they answer with, and their `raw_type`.
//!
//! # Example
//! ```
//! use tollbar::{Limiter, Policy, Rate};
//!
//! let hourly = Rate::new(10_000, 3_600_000_000_000).burst(500);
//! let limiter = Limiter::builder(Policy::rate(hourly)?).build()?;
//! assert!(limiter.try_acquire(b"someone@example.org", 1)?);
//! # Ok::<(), tollbar::Error>(())
//! ```

pub mod access;
mod account;
pub mod bucket;
mod classes;
pub mod clock;
mod counters;
pub mod decision;
pub mod error;
pub mod history;
pub mod limit;
pub mod limiter;
pub mod pacing;
pub mod parker;
pub mod policy;
mod queue;
mod striped;
mod sync;
mod table;
pub mod ticks;

#[cfg(any(feature = "capi", feature = "python"))]
mod capi;
#[cfg(feature = "python")]
mod extension;
#[cfg(feature = "python")]
mod python;

pub use access::ClientAccess;
pub use bucket::Bucket;
pub use clock::{Clock, ExternalClock, ManualClock};
pub use decision::{Decision, NEVER, Plan, Reason};
pub use error::Error;
pub use history::{Limits, Planned, SendHistory};
pub use limit::{Edge, Jail, Migration, Periods, Rate};
pub use limiter::{
    Ask, ClassId, Denial, Joint, JointTurn, LimitState, Limiter, Outcome, Place, Reservation, State, Stats, Turn,
};
pub use pacing::Pacer;
pub use policy::{Cost, Limit, MAX_LIMITS, Policy};
pub use table::{LOOKS_PER_INSERTION, MAX_KEY_LEN, WhenFull};
