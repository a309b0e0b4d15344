//! Chapter: what is done about a key beside asking, and totals.

use std::ffi::c_char;

use crate::capi::given::{self, Told};
use crate::capi::guard::{guard, telling};
use crate::capi::objects::{LIMITERS, POLICIES};
use crate::capi::types::{self, LimiterHandle, PolicyHandle, TOLLBAR_OK, Totals};
use crate::error::Error;
use crate::limit::Migration;

/// Makes the key's account as good as new: 1, or 0 if the key is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_reset(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        Ok(LIMITERS.get(limiter.id, inside)?.core.reset(key)?.into())
    })
}

/// Puts a known account under another policy; `migration`, one of `TOLLBAR_MIGRATE_...`, says what becomes of what was spent: 1, or
/// 0 if the key is unknown. No decision sees a mixture of the two.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_reconfigure(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    policy: PolicyHandle,
    migration: i32,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let how = match migration {
            types::TOLLBAR_MIGRATE_AS_IS => Migration::AsIs,
            types::TOLLBAR_MIGRATE_PROPORTIONAL => Migration::Proportional,
            types::TOLLBAR_MIGRATE_RESET => Migration::Reset,
            _ => return Err(Error::invalid("migration", migration, "must be one of TOLLBAR_MIGRATE_...").into()),
        };
        let held = LIMITERS.get(limiter.id, inside)?;
        let class = held.core.class(POLICIES.get(policy.id)?.lock().policy()?)?;
        Ok(held.core.reconfigure(key, class, how)?.into())
    })
}

/// Ends every timeout of the key: 1, or 0 if none runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_release(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        Ok(LIMITERS.get(limiter.id, inside)?.core.release(key)?.into())
    })
}

/// Counts a denial of the key that was made elsewhere (a wrong password, say): 1 if the key is in a timeout now, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_penalize(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let held = LIMITERS.get(limiter.id, inside)?;
        Ok(held.core.penalize_as(key, held.class)?.into())
    })
}

/// Whether the table holds an account for the key: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_contains(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        Ok(LIMITERS.get(limiter.id, inside)?.core.contains(key)?.into())
    })
}

/// Totals since the limiter was made. `totals_size` is their `sizeof`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_stats(limiter: LimiterHandle, totals: *mut Totals, totals_size: usize) -> i32 {
    guard(|inside| {
        let place = given::wanted("totals", totals)?;
        let stats = LIMITERS.get(limiter.id, inside)?.core.stats();
        let totals = Totals {
            allowed: stats.allowed,
            denied: stats.denied,
            shadow_denied: stats.shadow_denied,
            evicted: stats.evicted,
            forgiven: stats.forgiven,
            full: stats.full,
            keys: stats.keys,
            most_looks: stats.most_looks.into(),
        };
        // SAFETY: the conventions.
        unsafe { given::put_totals(place, totals_size, &totals) }?;
        Ok(TOLLBAR_OK)
    })
}

/// How often the shadow limit of this name would have denied: 1, or 0 if it never did, and `count` is 0 then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_shadow_denied(
    limiter: LimiterHandle,
    name: *const c_char,
    name_len: usize,
    count: *mut u64,
) -> i32 {
    guard(|inside| {
        let place = given::wanted("count", count)?;
        // SAFETY: the conventions.
        let name = unsafe { given::text("name", name, name_len) }?;
        let denied = LIMITERS.get(limiter.id, inside)?.core.shadow_denied().get(&*name).copied().unwrap_or(0);
        // SAFETY: the conventions.
        unsafe { given::put(place, denied) };
        Ok((denied > 0).into())
    })
}
