//! What handles stand for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use super::guard::Fault;
use super::handles::Handles;
use super::shelf::Shelf;
use super::specs::{Draft, Options};
use super::wakeups::{Waiter, Wakeups};
use crate::bucket::Bucket;
use crate::clock::ManualClock;
use crate::limiter::{ClassId, Limiter, Reservation};

/// Limiters and buckets are asked at every decision, everything else now and then.
pub(super) static LIMITERS: Handles<Held> = Handles::new(1);
pub(super) static BUCKETS: Handles<Bucket> = Handles::new(2);
pub(super) static POLICIES: Shelf<Mutex<Draft>> = Shelf::new(3);
pub(super) static OPTIONS: Shelf<Mutex<Options>> = Shelf::new(4);
pub(super) static CLOCKS: Shelf<ManualClock> = Shelf::new(5);
pub(super) static RESERVATIONS: Shelf<Reservation> = Shelf::new(6);
pub(super) static PLACES: Shelf<Waiter> = Shelf::new(7);
pub(super) static WAKEUPS: Shelf<Wakeups> = Shelf::new(8);

/// A limiter by one of its handles.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) core: Arc<Limiter>,
    /// What an unknown key gets that is met by this handle.
    pub(super) class: ClassId,
    pub(super) waiting: Arc<Waiting>,
}

impl Held {
    pub(super) fn new(core: Arc<Limiter>, class: ClassId) -> Self {
        Self { core, class, waiting: Arc::default() }
    }
}

/// Who waits by a handle, and must hear of its end.
#[derive(Default)]
pub(super) struct Waiting {
    closed: AtomicBool,
    wakers: Mutex<Wakers>,
}

#[derive(Default)]
struct Wakers {
    next: u64,
    /// Whom to wake, and in which process: one from before a fork may have been cut in half, and sleeps in another.
    each: HashMap<u64, (u32, Waker)>,
}

impl Waiting {
    /// The handle was freed: wakes all who wait by it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut self.wakers.lock().each);
        let here = std::process::id();
        wakers.into_values().filter(|(process, _)| *process == here).for_each(|(_, waker)| waker.wake());
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.closed.load(Ordering::SeqCst) { Err(Fault::Closed) } else { Ok(()) }
    }

    /// Wakes this waker when the handle is freed, for as long as the watch is kept.
    pub(super) fn watch(self: &Arc<Self>, waker: Waker) -> Result<Watch, Fault> {
        let mut wakers = self.wakers.lock();
        // Under the lock: who is closed later finds the waker there.
        self.check()?;
        wakers.next += 1;
        let number = wakers.next;
        wakers.each.insert(number, (std::process::id(), waker));
        Ok(Watch { waiting: self.clone(), number })
    }
}

/// See [`Waiting::watch`].
pub(super) struct Watch {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A statement of its own: the lock is released before the waker is dropped.
        let watched = self.waiting.wakers.lock().each.remove(&self.number);
        drop(watched);
    }
}
