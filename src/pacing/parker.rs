//! Where a thread waits that has nothing else to do.

use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A place for one thread to sleep in. To be woken is remembered until the thread has noticed.
#[derive(Debug, Default)]
pub struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    /// Nobody has woken it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sleeps until woken, or for so many nanoseconds.
    pub fn park(&self, nanos: Option<u64>) {
        let mut woken = self.woken.lock();
        if !*woken {
            match nanos {
                None => self.changed.wait(&mut woken),
                Some(nanos) => {
                    self.changed.wait_for(&mut woken, Duration::from_nanos(nanos));
                }
            }
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}
