//! Chapter: limiters, and how they are to be.

use std::ffi::c_char;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::capi::given::{self, Told};
use crate::capi::guard::{Fault, guard, telling};
use crate::capi::objects::{CLOCKS, Held, LIMITERS, OPTIONS, POLICIES};
use crate::capi::specs::Options;
use crate::capi::types::{self, ClockHandle, LimiterHandle, OptionsHandle, PolicyHandle, TOLLBAR_OK};
use crate::clock::Clock;
use crate::limiter::Limiter;

/// The usual options. To be freed with `tollbar_options_free`, at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_options_new(options: *mut OptionsHandle) -> i32 {
    guard(|_| {
        let place = given::wanted("options", options)?;
        let id = OPTIONS.put(Mutex::default())?;
        // SAFETY: the conventions.
        unsafe { given::put(place, OptionsHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Changes an option: `what` is one of `TOLLBAR_OPTION_...`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_options_set(
    options: OptionsHandle,
    what: i32,
    value: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |_| {
        OPTIONS.get(options.id)?.lock().set(what, value)?;
        Ok(TOLLBAR_OK)
    })
}

/// Decides by this clock, not by the system's.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_options_set_clock(options: OptionsHandle, clock: ClockHandle) -> i32 {
    guard(|_| {
        let clock = CLOCKS.get(clock.id)?;
        OPTIONS.get(options.id)?.lock().clock = Clock::Manual(clock);
        Ok(TOLLBAR_OK)
    })
}

/// Frees options. Of those that stand for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_options_free(options: OptionsHandle) -> i32 {
    guard(|_| {
        if options.id != 0 {
            OPTIONS.take(options.id)?;
        }
        Ok(TOLLBAR_OK)
    })
}

/// A limiter of this policy. `abi_version` is `TOLLBAR_ABI_VERSION`; `options` may stand for nothing. To be freed with
/// `tollbar_limiter_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_limiter_new(
    abi_version: u32,
    policy: PolicyHandle,
    options: OptionsHandle,
    limiter: *mut LimiterHandle,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    LIMITERS.sweep();
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |_| {
        if abi_version != types::TOLLBAR_ABI_VERSION {
            return Err(Fault::Abi(abi_version));
        }
        let place = given::wanted("limiter", limiter)?;
        let options = if options.id == 0 { Options::default() } else { OPTIONS.get(options.id)?.lock().clone() };
        let policy = POLICIES.get(policy.id)?.lock().policy()?;
        let builder = Limiter::builder(policy).max_keys(options.max_keys).when_full(options.when_full);
        let core = builder.clock(options.clock).build()?;
        let class = core.default_class();
        let id = LIMITERS.put(Held::new(Arc::new(core), class))?;
        // SAFETY: the conventions.
        unsafe { given::put(place, LimiterHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Another handle to the same limiter, with an end of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_limiter_clone(limiter: LimiterHandle, clone: *mut LimiterHandle) -> i32 {
    guard(|inside| {
        let place = given::wanted("clone", clone)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let id = LIMITERS.put(Held::new(held.core.clone(), held.class))?;
        // SAFETY: the conventions.
        unsafe { given::put(place, LimiterHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Another handle to the same limiter: keys that are first seen by it get this policy. Accounts that are known keep theirs.
/// Equal policies cost nothing, so one may be made for each tariff.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_limiter_with_policy(
    limiter: LimiterHandle,
    policy: PolicyHandle,
    other: *mut LimiterHandle,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |inside| {
        let place = given::wanted("other", other)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let class = held.core.class(POLICIES.get(policy.id)?.lock().policy()?)?;
        let id = LIMITERS.put(Held::new(held.core.clone(), class))?;
        // SAFETY: the conventions.
        unsafe { given::put(place, LimiterHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

/// Frees a handle; the limiter goes with the last of its handles, buckets, reservations and places. Calls that other threads
/// make by it meanwhile end well or with `TOLLBAR_ERROR_HANDLE`, those who wait by it with `TOLLBAR_ERROR_CLOSED`. Of a handle
/// that stands for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_limiter_free(limiter: LimiterHandle) -> i32 {
    let done = guard(|_| {
        if limiter.id != 0 {
            LIMITERS.free(limiter.id, |held| held.waiting.close())?;
        }
        Ok(TOLLBAR_OK)
    });
    LIMITERS.sweep();
    done
}
