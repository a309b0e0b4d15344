//! A fork waits for batches that run without the interpreter's lock.
//!
//! A single decision never lets go of the interpreter, and an interpreter forks only when no other
//! thread is inside it, so no decision is cut in half. A large batch does let go: a child forked in
//! the middle of it would inherit a stripe locked by a thread that it does not have.
//!
//! Whoever is attached while no batch runs is alone, which a decision makes use of; see [`is_alone`]. From the moment on at which
//! a limiter is first shared with code that decides without the interpreter's lock (C, through a handle), nobody is alone
//! any more, for good; see [`share`].
//!
//! In the child a limiter from before the fork is a copy, which is said there once; see `inherited`.
//!
//! Neither side ever waits for the other with the interpreter held: a batch that meets a fork simply
//! keeps the interpreter.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{inherited, leaving};

/// Bit 0: a limiter was shared. The rest counts batches, so in steps of two.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
const SHARED: usize = 1;
const BATCH: usize = 2;
/// How many threads are between the two hooks of a fork. A count: the first to return must not let a batch start while
/// another thread is about to fork.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` without the interpreter, unless a fork is about to happen.
pub(super) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            RUNNING.fetch_sub(BATCH, Ordering::SeqCst);
        }
    }
    RUNNING.fetch_add(BATCH, Ordering::SeqCst);
    let leave = Leave;
    if FORKING.load(Ordering::SeqCst) > 0 {
        drop(leave);
        return work();
    }
    leaving::outside(py, move || {
        let _leave = leave;
        work()
    })
}

/// Whether the caller, which is attached, is the only thread that decides anything: where there is a global lock, and no
/// batch runs without it, and no limiter was ever shared.
#[inline]
pub(super) fn is_alone() -> bool {
    // ORDERING: Acquire pairs with the addition and the subtraction in `detached`, and with `share`. The addition is made
    // attached, and so is the sharing: whoever is attached later sees it. Who sees the subtraction sees all that the batch
    // has done.
    cfg!(not(Py_GIL_DISABLED)) && RUNNING.load(Ordering::Acquire) == 0
}

/// Ends [`is_alone`] for good: from now on others decide without the interpreter's lock.
///
/// To be called before they get what they decide by. The caller is attached: a decision that was made by plain stores is over, for
/// it kept the interpreter from its question to its store; and whoever is attached later sees this. So each plain store happens
/// before whatever is done with the handle that the caller makes next.
pub(super) fn share(_attached: Python<'_>) {
    RUNNING.fetch_or(SHARED, Ordering::SeqCst);
}

/// Registers the two sides with `os.register_at_fork`, where there is such a thing.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let Some(at_fork) = py.import("os")?.getattr_opt("register_at_fork")? else { return Ok(()) };
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, module)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork, module)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, module)?)?;
    at_fork.call((), Some(&hooks)).map(|_| ())
}

#[doc = stub!("_before_fork")]
#[pyfunction(name = "_before_fork")]
fn before_fork(py: Python<'_>) {
    FORKING.fetch_add(1, Ordering::SeqCst);
    while RUNNING.load(Ordering::SeqCst) >= BATCH {
        py.detach(|| std::thread::sleep(Duration::from_micros(50)));
    }
}

#[doc = stub!("_after_fork")]
#[pyfunction(name = "_after_fork")]
fn after_fork() {
    // A fork that began before the hooks were registered ends what it did not begin.
    let _ = FORKING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |forks| forks.checked_sub(1));
}

#[doc = stub!("_after_fork_in_child")]
#[pyfunction(name = "_after_fork_in_child")]
fn after_fork_in_child() {
    // The child has this thread alone: no other one is about to fork.
    FORKING.store(0, Ordering::SeqCst);
    inherited::forked();
    leaving::forked();
}
