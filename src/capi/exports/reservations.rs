//! Chapter: charged now, then committed with what was really used, or cancelled.

use std::ffi::c_char;

use crate::capi::given;
use crate::capi::guard::guard;
use crate::capi::objects::{LIMITERS, RESERVATIONS};
use crate::capi::types::{Decision, LimiterHandle, ReservationHandle, TOLLBAR_NEVER};

/// Charges `cost` to the key's account until the reservation is committed or cancelled, or `lease_ns` are over
/// (`TOLLBAR_NEVER`, or 0: the lease has no end): 1 if it was granted, 0 if not, and `reservation` then stands for nothing. A lease that is over counts as used, or is
/// given back if `gives_back`. Must be ended by `tollbar_commit`, `tollbar_commit_actual` or `tollbar_cancel`, which frees it,
/// also when its lease is over. `decision` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_reserve(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    lease_ns: u64,
    gives_back: bool,
    reservation: *mut ReservationHandle,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let place = given::wanted("reservation", reservation)?;
        given::can_put("tollbar_decision", decision, decision_size)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let lease_ns = (lease_ns != 0 && lease_ns != TOLLBAR_NEVER).then_some(lease_ns);
        let reserved = held.core.reserve_as(key, cost, lease_ns, gives_back, held.class)?;
        // SAFETY: the conventions.
        unsafe { given::put_decision(decision, decision_size, reserved.decision()) }?;
        let granted = reserved.is_granted();
        let id = if granted { super::kept(reserved)? } else { 0 };
        // SAFETY: the conventions.
        unsafe { given::put(place, ReservationHandle { id }) };
        Ok(granted.into())
    })
}

/// The act has happened and took what was reserved: 1. 0 if it had ended before, because its lease is over.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_commit(reservation: ReservationHandle) -> i32 {
    guard(|_| Ok(RESERVATIONS.take(reservation.id)?.commit(None).into()))
}

/// The same where it took `actual`: less is given back, more is charged even beyond the limits, for it has happened.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_commit_actual(reservation: ReservationHandle, actual: u64) -> i32 {
    guard(|_| Ok(RESERVATIONS.take(reservation.id)?.commit(Some(actual)).into()))
}

/// The act will not happen: 1, and what was reserved is given back, a rate's as far as nobody could have charged it since. 0 if it
/// had ended before.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_cancel(reservation: ReservationHandle) -> i32 {
    guard(|_| Ok(RESERVATIONS.take(reservation.id)?.cancel().into()))
}
