//! Chapter: a clock for tests, which stands still until it is moved.

use crate::capi::given;
use crate::capi::guard::guard;
use crate::capi::objects::CLOCKS;
use crate::capi::types::{ClockHandle, TOLLBAR_OK};
use crate::clock::ManualClock;

/// A clock that reads `start_ns`; its wall clock reads the same, as nanoseconds of Unix time. To be freed with
/// `tollbar_clock_free`, at any time: limiters keep what they were made with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_clock_new(start_ns: u64, clock: *mut ClockHandle) -> i32 {
    guard(|_| {
        let place = given::wanted("clock", clock)?;
        let id = CLOCKS.put(ManualClock::new(start_ns, start_ns))?;
        // SAFETY: the conventions.
        unsafe { given::put(place, ClockHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Moves the clock, backwards when negative; never below 0. Wakes the waiters whose time has
/// come: threads in `tollbar_acquire`, and places by their tokens.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_clock_advance(clock: ClockHandle, delta_ns: i64) -> i32 {
    guard(|_| {
        CLOCKS.get(clock.id)?.advance_ns(delta_ns);
        Ok(TOLLBAR_OK)
    })
}

/// What the clock reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_clock_now(clock: ClockHandle, now_ns: *mut u64) -> i32 {
    guard(|_| {
        let place = given::wanted("now_ns", now_ns)?;
        let now = CLOCKS.get(clock.id)?.now_ns();
        // SAFETY: the conventions.
        unsafe { given::put(place, now) };
        Ok(TOLLBAR_OK)
    })
}

/// Frees a clock. Of one that stands for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_clock_free(clock: ClockHandle) -> i32 {
    guard(|_| {
        if clock.id != 0 {
            CLOCKS.take(clock.id)?;
        }
        Ok(TOLLBAR_OK)
    })
}
