//! Chapter: all functions in one structure, for code that gets them handed and does not link the library.
//!
//! A second copy of the library has limiters of its own. So an extension module that is to share a limiter with Python asks
//! the copy that Python uses for this table, and calls through it.
//!
//! Fields are only ever appended, whatever chapter their functions are in: a program that was compiled with an older header
//! finds everything where it was.

use std::ffi::c_char;

use crate::capi::table::api;
use crate::capi::types::{
    Ask, BucketHandle, ClockHandle, Decision, Key, LimitCost, LimitState, LimiterHandle, OptionsHandle, PlaceHandle,
    PolicyHandle, ReservationHandle, Totals, Turn, WakeupsHandle,
};

/// Every function of this header but `tollbar_api_table`, each under its name without `tollbar_`: for code that is handed
/// this table and does not link the library. Who is handed one compares `abi` with `TOLLBAR_ABI_VERSION` first, then makes sure
/// that `size` is at least `sizeof(struct tollbar_api)`. Under one `TOLLBAR_ABI_VERSION` new functions are appended, and none is
/// moved or taken away.
#[repr(C)]
#[derive(Debug)]
pub struct Api {
    /// Of the table, in bytes.
    pub size: usize,
    /// The `TOLLBAR_ABI_VERSION` of the library that it belongs to.
    pub abi: u32,
    pub version: extern "C" fn() -> *const c_char,
    pub abi_version: extern "C" fn() -> u32,
    pub status_text: extern "C" fn(status: i32) -> *const c_char,
    pub reason_text: extern "C" fn(reason: i32) -> *const c_char,
    pub policy_new: unsafe extern "C" fn(policy: *mut PolicyHandle) -> i32,
    pub policy_add_rate: unsafe extern "C" fn(
        policy: PolicyHandle,
        limit: u64,
        period_ns: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_add_window: unsafe extern "C" fn(
        policy: PolicyHandle,
        limit: u64,
        per_ns: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_add_in_flight:
        unsafe extern "C" fn(policy: PolicyHandle, limit: u64, message: *mut c_char, message_size: usize) -> i32,
    pub policy_add_jail: unsafe extern "C" fn(
        policy: PolicyHandle,
        denials: u64,
        within_ns: u64,
        duration_ns: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_set: unsafe extern "C" fn(
        policy: PolicyHandle,
        what: i32,
        value: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_set_name: unsafe extern "C" fn(
        policy: PolicyHandle,
        name: *const c_char,
        name_len: usize,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_set_escalation: unsafe extern "C" fn(
        policy: PolicyHandle,
        factor: f64,
        longest_ns: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub policy_free: extern "C" fn(policy: PolicyHandle) -> i32,
    pub clock_new: unsafe extern "C" fn(start_ns: u64, clock: *mut ClockHandle) -> i32,
    pub clock_advance: extern "C" fn(clock: ClockHandle, delta_ns: i64) -> i32,
    pub clock_now: unsafe extern "C" fn(clock: ClockHandle, now_ns: *mut u64) -> i32,
    pub clock_free: extern "C" fn(clock: ClockHandle) -> i32,
    pub options_new: unsafe extern "C" fn(options: *mut OptionsHandle) -> i32,
    pub options_set: unsafe extern "C" fn(
        options: OptionsHandle,
        what: i32,
        value: u64,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub options_set_clock: extern "C" fn(options: OptionsHandle, clock: ClockHandle) -> i32,
    pub options_free: extern "C" fn(options: OptionsHandle) -> i32,
    pub limiter_new: unsafe extern "C" fn(
        abi_version: u32,
        policy: PolicyHandle,
        options: OptionsHandle,
        limiter: *mut LimiterHandle,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub limiter_clone: unsafe extern "C" fn(limiter: LimiterHandle, clone: *mut LimiterHandle) -> i32,
    pub limiter_with_policy: unsafe extern "C" fn(
        limiter: LimiterHandle,
        policy: PolicyHandle,
        other: *mut LimiterHandle,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub limiter_free: extern "C" fn(limiter: LimiterHandle) -> i32,
    pub try_acquire: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize, cost: u64) -> i32,
    pub decide: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        decision: *mut Decision,
        decision_size: usize,
    ) -> i32,
    pub peek: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        decision: *mut Decision,
        decision_size: usize,
    ) -> i32,
    pub try_acquire_many: unsafe extern "C" fn(
        limiter: LimiterHandle,
        keys: *const Key,
        count: usize,
        cost: u64,
        answers: *mut u8,
    ) -> i32,
    pub try_acquire_packed: unsafe extern "C" fn(
        limiter: LimiterHandle,
        data: *const c_char,
        size: usize,
        lengths: *const u32,
        count: usize,
        cost: u64,
        answers: *mut u8,
    ) -> i32,
    pub try_acquire_all: unsafe extern "C" fn(
        limiter: LimiterHandle,
        keys: *const Key,
        count: usize,
        cost: u64,
        decision: *mut Decision,
        decision_size: usize,
        denied_by: *mut usize,
    ) -> i32,
    pub bucket_new: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        bucket: *mut BucketHandle,
    ) -> i32,
    pub bucket_try_acquire: extern "C" fn(bucket: BucketHandle, cost: u64) -> i32,
    pub bucket_peek:
        unsafe extern "C" fn(bucket: BucketHandle, cost: u64, decision: *mut Decision, decision_size: usize) -> i32,
    pub bucket_free: extern "C" fn(bucket: BucketHandle) -> i32,
    pub reserve: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        lease_ns: u64,
        gives_back: bool,
        reservation: *mut ReservationHandle,
        decision: *mut Decision,
        decision_size: usize,
    ) -> i32,
    pub commit: extern "C" fn(reservation: ReservationHandle) -> i32,
    pub commit_actual: extern "C" fn(reservation: ReservationHandle, actual: u64) -> i32,
    pub cancel: extern "C" fn(reservation: ReservationHandle) -> i32,
    pub acquire: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        ask: *const Ask,
        ask_size: usize,
        turn: *mut Turn,
        turn_size: usize,
    ) -> i32,
    pub join: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        ask: *const Ask,
        ask_size: usize,
        wakeups: WakeupsHandle,
        token: u64,
        turn: *mut Turn,
        turn_size: usize,
    ) -> i32,
    pub look: unsafe extern "C" fn(place: PlaceHandle, turn: *mut Turn, turn_size: usize) -> i32,
    pub leave: extern "C" fn(place: PlaceHandle) -> i32,
    pub wakeups_new: unsafe extern "C" fn(wakeups: *mut WakeupsHandle) -> i32,
    pub wakeups_next:
        unsafe extern "C" fn(wakeups: WakeupsHandle, timeout_ns: u64, tokens: *mut u64, capacity: usize) -> i32,
    pub wakeups_tell: extern "C" fn(wakeups: WakeupsHandle, token: u64) -> i32,
    pub wakeups_free: extern "C" fn(wakeups: WakeupsHandle) -> i32,
    pub reset: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32,
    pub reconfigure: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        policy: PolicyHandle,
        migration: i32,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub release: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32,
    pub penalize: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32,
    pub contains: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32,
    pub stats: unsafe extern "C" fn(limiter: LimiterHandle, totals: *mut Totals, totals_size: usize) -> i32,
    pub shadow_denied:
        unsafe extern "C" fn(limiter: LimiterHandle, name: *const c_char, name_len: usize, count: *mut u64) -> i32,
    pub policy_add_closed: unsafe extern "C" fn(policy: PolicyHandle, message: *mut c_char, message_size: usize) -> i32,
    pub decide_costs: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        costs: *const LimitCost,
        costs_count: usize,
        decision: *mut Decision,
        decision_size: usize,
    ) -> i32,
    pub peek_costs: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        costs: *const LimitCost,
        costs_count: usize,
        decision: *mut Decision,
        decision_size: usize,
    ) -> i32,
    pub try_acquire_all_costs: unsafe extern "C" fn(
        limiter: LimiterHandle,
        keys: *const Key,
        count: usize,
        cost: u64,
        costs: *const LimitCost,
        costs_count: usize,
        decision: *mut Decision,
        decision_size: usize,
        denied_by: *mut usize,
    ) -> i32,
    pub reserve_costs: unsafe extern "C" fn(
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
    ) -> i32,
    pub commit_costs: unsafe extern "C" fn(
        reservation: ReservationHandle,
        actual: u64,
        costs: *const LimitCost,
        costs_count: usize,
    ) -> i32,
    pub renew: extern "C" fn(reservation: ReservationHandle, lease_ns: u64) -> i32,
    pub follow_default:
        unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize, migration: i32) -> i32,
    pub set_limits: unsafe extern "C" fn(
        limiter: LimiterHandle,
        policy: PolicyHandle,
        migration: i32,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
    pub block: unsafe extern "C" fn(limiter: LimiterHandle, key: *const c_char, key_len: usize, length_ns: u64) -> i32,
    pub drain: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        to: u64,
        limit: *const c_char,
        limit_len: usize,
    ) -> i32,
    pub inspect: unsafe extern "C" fn(
        limiter: LimiterHandle,
        key: *const c_char,
        key_len: usize,
        cost: u64,
        costs: *const LimitCost,
        costs_count: usize,
        states: *mut LimitState,
        capacity: usize,
        state_size: usize,
    ) -> i32,
    pub parts: extern "C" fn(limiter: LimiterHandle) -> i32,
    pub keys: unsafe extern "C" fn(
        limiter: LimiterHandle,
        part: usize,
        data: *mut c_char,
        size: *mut usize,
        lengths: *mut u32,
        capacity: usize,
    ) -> i32,
    pub denied_by_limit:
        unsafe extern "C" fn(limiter: LimiterHandle, name: *const c_char, name_len: usize, count: *mut u64) -> i32,
    pub policy_add_calendar: unsafe extern "C" fn(
        policy: PolicyHandle,
        limit: u64,
        boundaries_ns: *const i64,
        count: usize,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
}

/// The functions of this copy of the library: a table that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_api_table() -> *const Api {
    api()
}
