//! Chapter: all functions in one structure, for code that gets them handed and does not link the library.
//!
//! A second copy of the library has limiters of its own. So an extension module that is to share a limiter with Python asks
//! the copy that Python uses for this table, and calls through it.
//!
//! Fields are only ever appended, whatever chapter their functions are in: a program that was compiled with an older header
//! finds everything where it was.

use std::ffi::c_char;

use super::{buckets, calendars, clocks, decisions, keys, library, limiters, policies, reservations, waiting};
use crate::capi::types::{
    self, Ask, BucketHandle, ClockHandle, Decision, Key, LimiterHandle, OptionsHandle, PlaceHandle, PolicyHandle,
    ReservationHandle, Totals, Turn, WakeupsHandle,
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
    pub policy_add_calendar: unsafe extern "C" fn(
        policy: PolicyHandle,
        limit: u64,
        boundaries_ns: *const i64,
        count: usize,
        message: *mut c_char,
        message_size: usize,
    ) -> i32,
}

static API: Api = Api {
    size: size_of::<Api>(),
    abi: types::TOLLBAR_ABI_VERSION,
    version: library::tollbar_version,
    abi_version: library::tollbar_abi_version,
    status_text: library::tollbar_status_text,
    reason_text: library::tollbar_reason_text,
    policy_new: policies::tollbar_policy_new,
    policy_add_rate: policies::tollbar_policy_add_rate,
    policy_add_window: policies::tollbar_policy_add_window,
    policy_add_in_flight: policies::tollbar_policy_add_in_flight,
    policy_add_jail: policies::tollbar_policy_add_jail,
    policy_set: policies::tollbar_policy_set,
    policy_set_name: policies::tollbar_policy_set_name,
    policy_set_escalation: policies::tollbar_policy_set_escalation,
    policy_free: policies::tollbar_policy_free,
    clock_new: clocks::tollbar_clock_new,
    clock_advance: clocks::tollbar_clock_advance,
    clock_now: clocks::tollbar_clock_now,
    clock_free: clocks::tollbar_clock_free,
    options_new: limiters::tollbar_options_new,
    options_set: limiters::tollbar_options_set,
    options_set_clock: limiters::tollbar_options_set_clock,
    options_free: limiters::tollbar_options_free,
    limiter_new: limiters::tollbar_limiter_new,
    limiter_clone: limiters::tollbar_limiter_clone,
    limiter_with_policy: limiters::tollbar_limiter_with_policy,
    limiter_free: limiters::tollbar_limiter_free,
    try_acquire: decisions::tollbar_try_acquire,
    decide: decisions::tollbar_decide,
    peek: decisions::tollbar_peek,
    try_acquire_many: decisions::tollbar_try_acquire_many,
    try_acquire_packed: decisions::tollbar_try_acquire_packed,
    try_acquire_all: decisions::tollbar_try_acquire_all,
    bucket_new: buckets::tollbar_bucket_new,
    bucket_try_acquire: buckets::tollbar_bucket_try_acquire,
    bucket_peek: buckets::tollbar_bucket_peek,
    bucket_free: buckets::tollbar_bucket_free,
    reserve: reservations::tollbar_reserve,
    commit: reservations::tollbar_commit,
    commit_actual: reservations::tollbar_commit_actual,
    cancel: reservations::tollbar_cancel,
    acquire: waiting::tollbar_acquire,
    join: waiting::tollbar_join,
    look: waiting::tollbar_look,
    leave: waiting::tollbar_leave,
    wakeups_new: waiting::tollbar_wakeups_new,
    wakeups_next: waiting::tollbar_wakeups_next,
    wakeups_tell: waiting::tollbar_wakeups_tell,
    wakeups_free: waiting::tollbar_wakeups_free,
    reset: keys::tollbar_reset,
    reconfigure: keys::tollbar_reconfigure,
    release: keys::tollbar_release,
    penalize: keys::tollbar_penalize,
    contains: keys::tollbar_contains,
    stats: keys::tollbar_stats,
    shadow_denied: keys::tollbar_shadow_denied,
    policy_add_calendar: calendars::tollbar_policy_add_calendar,
};

/// The same for Rust.
pub(crate) fn api() -> &'static Api {
    &API
}

/// The functions of this copy of the library: a table that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_api_table() -> *const Api {
    api()
}
