//! Chapter: limits, put together before there is a limiter. A setting applies to the limit that was added last.

use std::ffi::c_char;

use crate::capi::given::{self, Told};
use crate::capi::guard::{Fault, guard, telling};
use crate::capi::lanes::Inside;
use crate::capi::objects::POLICIES;
use crate::capi::specs::{Draft, Kind};
use crate::capi::types::{PolicyHandle, TOLLBAR_OK};
use crate::error::Error;

/// An empty policy. To be freed with `tollbar_policy_free`, at any time: limiters keep what they were made with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_new(policy: *mut PolicyHandle) -> i32 {
    guard(|_| {
        let place = given::wanted("policy", policy)?;
        let id = POLICIES.put(Draft::default().into())?;
        // SAFETY: the conventions.
        unsafe { given::put(place, PolicyHandle { id }) };
        Ok(TOLLBAR_OK)
    })
}

unsafe fn with(
    policy: PolicyHandle,
    message: *mut c_char,
    size: usize,
    change: impl FnOnce(&mut Draft) -> Result<(), Error>,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, size) };
    let work = |_: &Inside| -> Result<i32, Fault> {
        change(&mut POLICIES.get(policy.id)?.lock())?;
        Ok(TOLLBAR_OK)
    };
    telling(told, work)
}

/// Adds a token bucket: `limit` tokens flow in per `period_ns`, and as many pass at once unless `TOLLBAR_SET_BURST` says
/// otherwise. Its name is "100 per 60 s".
///
/// With a token in every T and a burst of B, a window of w admits at most B + w / T by the clock readings that decide. A yes may
/// be decided by a reading up to one tick old (10 ms at most, typically 4 ms or 1 ms), so in real time the bound is
/// B + (w + tick) / T.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_rate(
    policy: PolicyHandle,
    limit: u64,
    period_ns: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    let kind = Kind::Rate { limit, period_ns, burst: None, strict: false };
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.add(kind)) }
}

/// Adds an exact sliding window: at most `limit`, which is at most 2^53, in any `per_ns`. Its name is "100 in 60 s".
/// Memory follows the requests that it remembers, whatever they cost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_window(
    policy: PolicyHandle,
    limit: u64,
    per_ns: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    let kind = Kind::Window { limit, per_ns, steps: None, closed: false };
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.add(kind)) }
}

/// Adds a limit of what is reserved and has not ended. Its name is "5 in flight".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_in_flight(
    policy: PolicyHandle,
    limit: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.add(Kind::InFlight { limit })) }
}

/// Adds a timeout of `duration_ns` for a key that is denied `denials` times within `within_ns` by the limits beside it. Its name
/// is "jail".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_jail(
    policy: PolicyHandle,
    denials: u64,
    within_ns: u64,
    duration_ns: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    let kind = Kind::Jail { denials, within_ns, duration_ns, escalating: None };
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.add(kind)) }
}

/// Adds a limit that lets nothing pass, ever: a key that may not send. Its name is "closed". Such a denial has the reason
/// `TOLLBAR_REASON_CLOSED`; a cost of 0 passes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_closed(
    policy: PolicyHandle,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.add(Kind::Closed)) }
}

/// Changes the limit that was added last: `what` is one of `TOLLBAR_SET_...`. If it is refused, the limit stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_set(
    policy: PolicyHandle,
    what: i32,
    value: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.set(what, value)) }
}

/// Names the limit that was added last, as decisions will name it: UTF-8 of `name_len` bytes. Names in a policy differ.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_set_name(
    policy: PolicyHandle,
    name: *const c_char,
    name_len: usize,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |_| {
        // SAFETY: the conventions.
        let name = unsafe { given::text("name", name, name_len) }?;
        POLICIES.get(policy.id)?.lock().set_name(name)?;
        Ok(TOLLBAR_OK)
    })
}

/// Makes each timeout in a row of the jail that was added last `factor` times as long as the one before, up to `longest_ns`
/// (`TOLLBAR_NEVER`: 4.5 years).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_set_escalation(
    policy: PolicyHandle,
    factor: f64,
    longest_ns: u64,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { with(policy, message, message_size, |draft| draft.set_escalation(factor, longest_ns)) }
}

/// Frees a policy. Of one that stands for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_policy_free(policy: PolicyHandle) -> i32 {
    guard(|_| {
        if policy.id != 0 {
            POLICIES.take(policy.id)?;
        }
        Ok(TOLLBAR_OK)
    })
}
