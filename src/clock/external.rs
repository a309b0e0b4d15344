//! A clock that shows another source of time, such as an event loop whose time is virtual.

use crate::sync::{AtomicU64, Ordering};

/// A clock that its owner brings up to date before it asks anything by it. It never goes back.
#[derive(Debug)]
pub struct ExternalClock {
    now: AtomicU64,
    unix: AtomicU64,
}

impl Default for ExternalClock {
    fn default() -> Self {
        Self { now: AtomicU64::new(0), unix: AtomicU64::new(0) }
    }
}

impl ExternalClock {
    /// The reading in nanoseconds.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// The wall clock's reading in nanoseconds since 1970.
    #[must_use]
    pub fn unix_ns(&self) -> u64 {
        self.unix.load(Ordering::SeqCst)
    }

    /// Brings both readings up to date. A reading that is behind the last one changes nothing.
    pub fn set(&self, now_ns: u64, unix_ns: u64) {
        for (reading, new) in [(&self.now, now_ns), (&self.unix, unix_ns)] {
            let _ = reading.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| (new > old).then_some(new));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_external_clock_never_goes_back() {
        let clock = ExternalClock::default();
        clock.set(50, 500);
        clock.set(40, 600);
        assert_eq!((clock.now_ns(), clock.unix_ns()), (50, 600));
    }
}
