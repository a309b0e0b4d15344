//! Chapter: charged now, then committed with what was really used, or cancelled.

use std::ffi::c_char;

use crate::capi::given;
use crate::capi::guard::{Fault, guard};
use crate::capi::objects::{LIMITERS, RESERVATIONS};
use crate::capi::types::{Decision, LimitCost, LimiterHandle, ReservationHandle};
use crate::policy::Cost;

/// Charges `cost` to the key's account until the reservation is committed or cancelled, or `lease_ns` are over
/// (`TOLLBAR_NEVER`, or 0: the lease has no end): 1 if it was granted, 0 if not, and `reservation` then stands for nothing. A lease
/// that is over counts as used, or is given back if `gives_back`. Must be ended by `tollbar_commit`, `tollbar_commit_actual`,
/// `tollbar_commit_costs` or `tollbar_cancel`, which frees it, also when its lease is over. `decision` may be NULL.
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
    let terms = (given::lease(lease_ns), gives_back);
    // SAFETY: the conventions.
    unsafe { reserve(limiter, (key, key_len), || Ok(cost.into()), terms, reservation, (decision, decision_size)) }
}

/// `tollbar_reserve`, where limits may have a cost of their own, as `tollbar_decide_costs` takes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_reserve_costs(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    costs: *const LimitCost,
    costs_count: usize,
    lease_ns: u64,
    gives_back: bool,
    reservation: *mut ReservationHandle,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    let terms = (given::lease(lease_ns), gives_back);
    // SAFETY: the conventions.
    let all = || unsafe { given::costs(cost, costs, costs_count) };
    // SAFETY: the conventions.
    unsafe { reserve(limiter, (key, key_len), all, terms, reservation, (decision, decision_size)) }
}

unsafe fn reserve(
    limiter: LimiterHandle,
    (key, key_len): (*const c_char, usize),
    cost: impl FnOnce() -> Result<Cost, Fault>,
    (lease_ns, gives_back): (Option<u64>, bool),
    reservation: *mut ReservationHandle,
    (decision, decision_size): (*mut Decision, usize),
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let place = given::wanted("reservation", reservation)?;
        given::can_put(decision, decision_size)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let reserved = held.core.reserve_as(key, cost()?, lease_ns, gives_back, held.class)?;
        // SAFETY: the conventions.
        unsafe { given::put_decision(decision, decision_size, reserved.decision()) }?;
        let granted = reserved.is_granted();
        let id = if granted { super::kept(reserved)? } else { 0 };
        // SAFETY: the conventions.
        unsafe { given::put(place, ReservationHandle { id }) };
        Ok(granted.into())
    })
}

/// Lets the lease begin anew: it is over `lease_ns` from now (`TOLLBAR_NEVER`, or 0: it has no end): 1. 0 if the reservation has
/// ended because its lease is over; it must be freed all the same.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_renew(reservation: ReservationHandle, lease_ns: u64) -> i32 {
    guard(|_| Ok(RESERVATIONS.get(reservation.id)?.renew(given::lease(lease_ns))?.into()))
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

/// The same, where limits may have an actual cost of their own: `actual` is that of limits that were reserved without one, and
/// limits that `costs` does not name took what was reserved of them by their names. A name that the limiter does not know gives
/// `TOLLBAR_ERROR_INVALID`, and the reservation stays open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_commit_costs(
    reservation: ReservationHandle,
    actual: u64,
    costs: *const LimitCost,
    costs_count: usize,
) -> i32 {
    guard(|_| {
        let open = RESERVATIONS.get(reservation.id)?;
        // SAFETY: the conventions.
        let ended = open.commit_costs(&unsafe { given::costs(actual, costs, costs_count) }?)?;
        // Another thread that ends the same reservation may have been faster.
        let _ = RESERVATIONS.take(reservation.id);
        Ok(ended.into())
    })
}

/// The act will not happen: 1, and what was reserved is given back, a rate's as far as nobody could have charged it since. 0 if it
/// had ended before.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_cancel(reservation: ReservationHandle) -> i32 {
    guard(|_| Ok(RESERVATIONS.take(reservation.id)?.cancel().into()))
}
