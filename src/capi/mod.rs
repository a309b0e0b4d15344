//! The C face: checks what a stranger hands over, calls the facade, hands the answer back. It holds no rule of its own.
//!
//! RUNS PER DECISION: [`guard::guard`] (a lane is entered and left with two plain stores, a panic is caught),
//! [`handles::Handles::get`] (a handle is compared with what its slot says), and the facade.
//!
//! # Why no handle can hurt
//! A handle is a number: a kind, a place and how often that place was used before. It is compared with the number that stands
//! at its place, and only then is the pointer beside it read. Whoever reads it is in a lane of his own (`lanes`); whoever frees
//! marks the place first, then waits for all who are in a lane, and only then lets go of what they may be using. Nothing here
//! trusts a number that comes from outside.
//!
//! Pointers are another matter: that they lead to as many bytes as is said is the caller's word, which the header's
//! conventions ask for. `given` holds all that is done with them.
#![allow(unsafe_code)] // raw pointers are what this face is for

mod awaited;
mod barrier;
#[cfg(feature = "forced-panic")]
mod forced;
mod forks;
mod given;
mod guard;
mod handles;
mod ids;
mod lanes;
mod objects;
mod shelf;
mod specs;
pub(crate) mod table;
pub(crate) mod types;
mod wakeups;

pub(crate) mod exports;

/// A handle to a limiter that another language made, as `tollbar_limiter_clone` would give it: its owner frees it, and the limiter
/// lives as long. Keys that are first seen by it get the limiter's own limits.
#[cfg(feature = "python")]
pub(crate) fn lend(core: std::sync::Arc<crate::limiter::Limiter>) -> Result<u64, String> {
    let class = core.default_class();
    objects::LIMITERS.put(objects::Held::new(core, class)).map_err(|fault| fault.to_string())
}
