//! Chapter: limits by the calendar. The caller knows time zones, or counts days of UTC.

use std::ffi::c_char;
use std::sync::Arc;

use crate::capi::given::{self, Told};
use crate::capi::guard::telling;
use crate::capi::objects::POLICIES;
use crate::capi::specs::Kind;
use crate::capi::types::{PolicyHandle, TOLLBAR_OK};
use crate::limit::Periods;

const DAY_NS: u64 = 86_400_000_000_000;

/// Adds a limit by the calendar: at most `limit` in each period. The periods begin at these `count` moments, in nanoseconds of
/// Unix time, each later than the one before; 2 at least, and at most 4.5 years apart. Beyond either end the length there
/// repeats. Its name is "100 a period". With `boundaries_ns` of NULL and a `count` of 0 the periods are days of UTC, and its name
/// is "100 a day in UTC".
///
/// A key reads the wall clock when a period begins for it: a later step of the wall clock does not change that period's end.
/// What is reserved counts until it ends, and then in the period in which it ends. The moments are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_policy_add_calendar(
    policy: PolicyHandle,
    limit: u64,
    boundaries_ns: *const i64,
    count: usize,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |_| {
        let (periods, each) = if boundaries_ns.is_null() && count == 0 {
            (Periods::every(0, DAY_NS)?, "day in UTC")
        } else {
            // SAFETY: the conventions.
            (Periods::new(unsafe { given::many("boundaries", boundaries_ns, count) }?)?, "period")
        };
        POLICIES.get(policy.id)?.lock().add(Kind::Calendar { limit, periods: Arc::new(periods), each })?;
        Ok(TOLLBAR_OK)
    })
}
