//! How this face parks whoever waits: a thread for a while at a time, a task until a callable is called.

use std::sync::Arc;
use std::task::Wake;

use pyo3::prelude::*;

use super::interpreter::aside;
use super::leaving;

/// A parked thread looks for signals at least so often.
pub(super) const CHUNK_NS: u64 = 100_000_000;

/// Calls a Python callable, which lets a task go on.
pub(super) struct Call(pub(super) Py<PyAny>);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Where the interpreter is ending, nobody waits.
        leaving::call(|py| {
            // A destructor may wake: that of a reservation, say.
            aside(py, || {
                if let Err(error) = self.0.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        });
    }
}
