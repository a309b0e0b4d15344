//! The interpreter's exit: nobody comes back into one that is ending, nor calls what is Python's.
//!
//! Up to Python 3.13, a daemon thread that asks an ending interpreter for its lock is unwound by force, which no frame of
//! Rust below it survives: the process aborts. So once the exit has begun, whoever has worked outside stays outside, as
//! Python 3.14 has it, and nobody is woken any more; and the exit waits for those who are on their way.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The thread that the interpreter ends in; it goes on as ever, for others' exit hooks may wait, too.
static ENDING: OnceLock<ThreadId> = OnceLock::new();
/// Whether it is known. The exit writes this and then reads `COMING`, a thread writes `COMING` and then reads this. One of
/// the two sees the other's write only if all four are `SeqCst`, and the read in `OnceLock::get` is not.
static ENDS: AtomicBool = AtomicBool::new(false);
/// Threads that come back from outside, or call what is Python's.
static COMING: AtomicUsize = AtomicUsize::new(0);

/// That this thread comes: the exit waits for it. `None` if it has begun.
struct Coming;

impl Coming {
    fn begin() -> Option<Self> {
        COMING.fetch_add(1, Ordering::SeqCst);
        let coming = Self;
        let ends = ENDS.load(Ordering::SeqCst);
        let ends_elsewhere = ends && ENDING.get().is_some_and(|ending| *ending != std::thread::current().id());
        if ends_elsewhere { None } else { Some(coming) }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        COMING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` without the interpreter.
pub(super) fn outside<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let (done, _coming) = py.detach(move || {
        let done = work();
        match Coming::begin() {
            Some(coming) => (done, coming),
            None => loop {
                std::thread::park(); // until the process ends
            },
        }
    });
    done
}

/// Calls what is Python's from a thread that may have nothing to do with it, unless the interpreter is ending.
pub(super) fn call(work: impl FnOnce(Python<'_>)) {
    if let Some(_coming) = Coming::begin() {
        Python::try_attach(work);
    }
}

/// Other threads are gone, and do not come.
pub(super) fn forked() {
    COMING.store(0, Ordering::SeqCst);
}

/// Hears of the interpreter's exit before it begins.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let hook = wrap_pyfunction!(before_exit, module)?;
    module.py().import("atexit")?.call_method1("register", (hook,)).map(|_| ())
}

/// Lets end who is on the way, for a second at most; from now on nobody else begins.
#[pyfunction(name = "_before_exit")]
fn before_exit(py: Python<'_>) {
    let _ = ENDING.set(std::thread::current().id());
    ENDS.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    py.detach(|| {
        while COMING.load(Ordering::SeqCst) > 0 && begun.elapsed() < Duration::from_secs(1) {
            std::thread::yield_now();
        }
    });
}
