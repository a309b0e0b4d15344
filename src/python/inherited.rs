//! Says once in a process that was forked off that its limiters from before the fork have budgets of their own.
//!
//! Each limiter keeps where it was made. Nobody pays for that but a forked child, until the line is out: only there do the
//! hot methods have entries that compare (`install`), and the colder methods ask one flag that nobody else writes.
//!
//! The same flag and entries serve limiters that follow an event loop's time: every call first brings their clock to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pyo3::prelude::*;

use super::interpreter::aside;
use super::loop_clock::{Follower, LoopClock};
use super::{denial, install};

/// How many forks lie between the process that imported the module and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// A limiter was made here or before.
static MADE: AtomicBool = AtomicBool::new(false);
/// There may be limiters from before a fork, and nothing was said yet.
static UNTOLD: AtomicBool = AtomicBool::new(false);
/// A limiter was made here or before that follows a loop's time.
static FOLLOWED: AtomicBool = AtomicBool::new(false);
/// One of the two above: calls look first.
static WATCHED: AtomicBool = AtomicBool::new(false);

const LINE: &str = "This process was forked from one that had made its rate limiters already, so it has a budget of its \
    own: it goes on with a copy, and N such processes admit up to N times the limit. Give each a part of the limit, or \
    let one process decide for all. (Said once in each process.)";

/// The process that a limiter was made in, and whose time it follows.
#[derive(Clone)]
pub(super) struct Home(u32, Option<Arc<Follower>>);

impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// What was made in some process.
pub(super) trait Made {
    fn home(&self) -> &Home;
}

impl Home {
    /// This process, for a limiter that is being made with this clock.
    pub(super) fn here(clock: Option<&Bound<'_, PyAny>>) -> Self {
        MADE.store(true, Ordering::SeqCst);
        let follows = clock.and_then(|clock| clock.cast::<LoopClock>().ok()).map(|clock| clock.get().follower());
        if follows.is_some() && !FOLLOWED.swap(true, Ordering::SeqCst) {
            watch();
        }
        Self(FORKS.load(Ordering::SeqCst), follows)
    }

    /// To be called before a decision: brings the clock to the time of the loop that it follows, and says the line if this
    /// is another process, and nobody has said it here. Runs the loop's code.
    #[inline]
    pub(super) fn heed(&self, py: Python<'_>) -> PyResult<()> {
        if WATCHED.load(Ordering::SeqCst) { self.attend(py) } else { Ok(()) }
    }

    /// The same where the call must not fail: the clock then stays where it was.
    pub(super) fn heed_if_possible(&self, py: Python<'_>) {
        if WATCHED.load(Ordering::SeqCst) {
            aside(py, || self.attend(py).unwrap_or_else(|error| error.write_unraisable(py, None)));
        }
    }

    /// The same in a destructor. Only a clock that follows a loop needs it.
    pub(super) fn heed_in_passing(&self) {
        if self.follows() {
            Python::try_attach(|py| self.heed_if_possible(py));
        }
    }

    #[cold]
    fn attend(&self, py: Python<'_>) -> PyResult<()> {
        self.compare(py);
        self.1.as_ref().map_or(Ok(()), |follower| follower.follow(py))
    }

    /// Says the line if this is another process, and nobody has said it here.
    pub(super) fn compare(&self, py: Python<'_>) {
        if self.0 != FORKS.load(Ordering::SeqCst) && UNTOLD.swap(false, Ordering::SeqCst) {
            watch();
            denial::warn(py, LINE);
        }
    }

    /// Whether its clock follows a loop.
    pub(super) fn follows(&self) -> bool {
        self.1.is_some()
    }
}

/// Lets calls look first, as long as there is anything to look at.
fn watch() {
    let is_watched = UNTOLD.load(Ordering::SeqCst) || FOLLOWED.load(Ordering::SeqCst);
    WATCHED.store(is_watched, Ordering::SeqCst);
    install::watch_all(is_watched);
}

/// In the child, right after a fork, before anything else runs there.
pub(super) fn forked() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    if MADE.load(Ordering::SeqCst) {
        UNTOLD.store(true, Ordering::SeqCst);
        watch();
    }
}
