//! What surrounds every call: a lane, a place where panics end, and a status for what was wrong.
//!
//! RUNS PER DECISION: [`guard`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::lanes::Inside;
use super::types;
use crate::error::Error;

/// What was wrong with a call.
#[derive(Debug)]
pub(super) enum Fault {
    /// The core's own word.
    Refused(Error),
    /// A pointer that leads nowhere: the argument's name.
    Null(&'static str),
    /// A handle that stands for nothing.
    Handle,
    /// A structure of a size that there never was: which.
    Size(&'static str),
    /// A program that was compiled for another library.
    Abi(u32),
    /// No room for another handle.
    TooMany,
    /// The limiter's handle was freed while its key was waited for.
    Closed,
    /// Lengths that do not add up.
    Lengths,
}

impl From<Error> for Fault {
    #[cold]
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Fault {
    /// The status of a call that ended so.
    #[cold]
    pub(super) fn status(&self) -> i32 {
        match self {
            Self::Refused(error) => error.code(),
            Self::Null(_) => types::TOLLBAR_ERROR_NULL,
            Self::Handle => types::TOLLBAR_ERROR_HANDLE,
            Self::Size(_) => types::TOLLBAR_ERROR_SIZE,
            Self::Abi(_) => types::TOLLBAR_ERROR_ABI,
            Self::TooMany => types::TOLLBAR_ERROR_TOO_MANY_HANDLES,
            Self::Closed => types::TOLLBAR_ERROR_CLOSED,
            Self::Lengths => types::TOLLBAR_ERROR_LENGTHS,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Null(argument) => write!(f, "{argument} must not be NULL"),
            Self::Abi(version) => {
                write!(f, "the library's ABI version is {}, the program's is {version}", types::TOLLBAR_ABI_VERSION)
            }
            Self::Size(which) => write!(f, "there is no {which} of this size"),
            other => f.write_str(super::given::words(other.status())),
        }
    }
}

/// Runs `work` in this thread's lane. A panic becomes a status.
#[inline]
pub(super) fn guard(work: impl FnOnce(&Inside) -> Result<i32, Fault>) -> i32 {
    let inside = Inside::enter();
    waiting(|| work(&inside))
}

/// The same, for calls that tell what was wrong in the caller's buffer.
pub(super) fn telling(told: super::given::Told, work: impl FnOnce(&Inside) -> Result<i32, Fault>) -> i32 {
    guard(|inside| {
        let done = work(inside);
        match &done {
            Ok(_) => told.write(""),
            Err(fault) => told.write(&fault.to_string()),
        }
        done
    })
}

/// The same outside of the lane: for calls that wait.
#[inline]
pub(super) fn waiting(work: impl FnOnce() -> Result<i32, Fault>) -> i32 {
    // Whoever panics in here leaves nothing half done that a later call would see: the facade's own promise.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(fault)) => fault.status(),
        Err(_) => types::TOLLBAR_ERROR_PANIC,
    }
}
