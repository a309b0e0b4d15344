//! Says once in a process that was forked off that its limiters from before the fork have budgets of their own.
//!
//! Each limiter keeps where it was made. Nobody pays for that but a forked child, until the line is out: only there do the
//! hot methods have entries that compare (`install`), and the colder methods ask one flag that nobody else writes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pyo3::prelude::*;

use super::{denial, install};

/// How many forks lie between the process that imported the module and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// A limiter was made here or before.
static MADE: AtomicBool = AtomicBool::new(false);
/// There may be limiters from before a fork, and nothing was said yet.
static UNTOLD: AtomicBool = AtomicBool::new(false);

const LINE: &str = "This process was forked from one that had made its rate limiters already, so it has a budget of its \
    own: it goes on with a copy, and N such processes admit up to N times the limit. Give each a part of the limit, or \
    let one process decide for all. (Said once in each process.)";

/// The process that a limiter was made in.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Home(u32);

/// What was made in some process.
pub(super) trait Made {
    fn home(&self) -> Home;
}

impl Home {
    /// This process, for a limiter that is being made.
    pub(super) fn here() -> Self {
        MADE.store(true, Ordering::SeqCst);
        Self(FORKS.load(Ordering::SeqCst))
    }

    /// To be called before a decision: says the line if this is another process, and nobody has said it here.
    #[inline]
    pub(super) fn heed(self, py: Python<'_>) {
        if UNTOLD.load(Ordering::SeqCst) {
            self.compare(py);
        }
    }

    #[cold]
    fn compare(self, py: Python<'_>) {
        if self.0 != FORKS.load(Ordering::SeqCst) && UNTOLD.swap(false, Ordering::SeqCst) {
            install::watch_all(false);
            denial::warn(py, LINE);
        }
    }
}

/// In the child, right after a fork, before anything else runs there.
pub(super) fn forked() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    if MADE.load(Ordering::SeqCst) {
        UNTOLD.store(true, Ordering::SeqCst);
        install::watch_all(true);
    }
}
