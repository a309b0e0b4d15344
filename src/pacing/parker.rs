//! Where a thread waits that has nothing else to do.
//!
//! The standard library's locks: they have no state beyond themselves, which a fork could cut in half.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Duration;

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
        let asleep = |woken: &mut bool| !*woken;
        let mut woken = match nanos {
            None => self.changed.wait_while(self.woken(), asleep).unwrap_or_else(PoisonError::into_inner),
            Some(nanos) => {
                let waited = self.changed.wait_timeout_while(self.woken(), Duration::from_nanos(nanos), asleep);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *woken = false;
    }

    fn woken(&self) -> MutexGuard<'_, bool> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken() = true;
        self.changed.notify_one();
    }
}
