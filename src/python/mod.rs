//! The Python face: converts, calls the facade, converts back. It holds no rule of its own.
//!
//! No Python code runs while a stripe is locked: the core returns first, then this face logs, reads
//! an account's configuration, or makes an exception.

// pyo3 hands arguments and results over by value.
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]
// A method of a Python object has a self, whether it looks at it or not.
#![allow(clippy::unused_self)]

/// A docstring of the stub, as the build script found it: `stub!("Limiter.decide")`.
#[cfg(not(clippy))]
macro_rules! stub {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/docs/", $name))
    };
}
/// Clippy reads documentation as Rust's, which this is not.
#[cfg(clippy)]
macro_rules! stub {
    ($name:literal) => {
        "Documented in the stub."
    };
}
pub(crate) use stub;

mod access;
mod accounts;
mod answered;
mod asked;
mod awaitable;
mod awaited;
mod batch;
mod calendars;
mod clock;
mod convert;
mod decision;
mod denial;
mod entry;
mod exceeded;
mod fork;
mod granted;
mod inherited;
mod inspect;
mod install;
mod interpreter;
mod leaving;
mod limiter;
mod limits;
mod loop_clock;
mod pacing;
mod parked;
mod policies;
mod rate;
mod rate_limiter;
mod raw_type;
mod refused;
mod reservation;
mod sliding_window;
mod suggest;
mod token_bucket;
mod waiting;
mod window;

use std::sync::Arc;

use pyo3::prelude::*;

/// The core of a limiter, for code that decides without the interpreter's lock. It is given out here and nowhere else, because
/// from then on no decision from Python may take itself for the only one.
pub(crate) fn shared_core(limiter: &Bound<'_, PyAny>) -> PyResult<Arc<crate::limiter::Limiter>> {
    let core = if let Ok(native) = limiter.cast::<limiter::Limiter>() {
        native.get().core()
    } else if let Ok(drop_in) = limiter.cast::<rate_limiter::RateLimiter>() {
        drop_in.get().core()
    } else {
        return Err(convert::wrong_type("limiter", "a Limiter or a RateLimiter", limiter));
    };
    fork::share(limiter.py());
    Ok(core.clone())
}

/// Fills the native part of the package `tollbar`.
pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    interpreter::refuse_subinterpreters()?;
    fork::register(module)?;
    leaving::register(module)?;
    module.add_class::<access::ClientAccess>()?;
    module.add_class::<clock::ManualClock>()?;
    module.add_class::<decision::Decision>()?;
    module.add_class::<exceeded::RateLimitExceeded>()?;
    module.add_class::<limiter::Limiter>()?;
    module.add_class::<inspect::LimitState>()?;
    module.add_class::<limits::Closed>()?;
    module.add_class::<limits::InFlight>()?;
    module.add_class::<limits::Jail>()?;
    module.add_class::<loop_clock::LoopClock>()?;
    module.add_class::<window::Window>()?;
    module.add_class::<pacing::Pacing>()?;
    module.add_class::<pacing::Turn>()?;
    module.add("RateLimiterTimeout", pacing::timeout_class(py)?)?;
    module.add_class::<rate::Rate>()?;
    module.add_class::<rate_limiter::RateLimiter>()?;
    module.add_class::<reservation::Reservation>()?;
    module.add_class::<sliding_window::SlidingWindow>()?;
    module.add_class::<token_bucket::TokenBucket>()?;
    module.add_class::<waiting::Waiting>()?;
    module.setattr("__doc__", stub!("module"))?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    granted::prepare(py)?;
    refused::prepare(py)?;
    answered::prepare(py)?;
    module.setattr("_fast_entries", install::install_all(py)?)
}
