//! The functions of include/tollbar.h as a program sees them: numbers and pointers. All handles are one type here, so that any can
//! be given for any other.

use std::ffi::{c_char, c_void};

/// A structure with a number in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handle(pub u64);

/// A key's bytes.
#[repr(C)]
pub struct Key(pub *const c_char, pub usize);

type Status = i32;
type Text = *mut c_char;
type Bytes = *const c_char;
type Out = *mut Handle;
type Any = *mut c_void;

unsafe extern "C" {
    pub fn tollbar_policy_new(policy: Out) -> Status;
    pub fn tollbar_policy_add_rate(policy: Handle, limit: u64, period: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_add_window(policy: Handle, limit: u64, per: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_add_in_flight(policy: Handle, limit: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_add_jail(policy: Handle, n: u64, within: u64, lasts: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_set(policy: Handle, what: i32, value: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_set_name(policy: Handle, name: Bytes, len: usize, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_set_escalation(policy: Handle, factor: f64, longest: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_policy_free(policy: Handle) -> Status;
    pub fn tollbar_clock_new(start: u64, clock: Out) -> Status;
    pub fn tollbar_clock_advance(clock: Handle, by: i64) -> Status;
    pub fn tollbar_clock_now(clock: Handle, now: *mut u64) -> Status;
    pub fn tollbar_clock_free(clock: Handle) -> Status;
    pub fn tollbar_options_new(options: Out) -> Status;
    pub fn tollbar_options_set(options: Handle, what: i32, value: u64, text: Text, room: usize) -> Status;
    pub fn tollbar_options_set_clock(options: Handle, clock: Handle) -> Status;
    pub fn tollbar_options_free(options: Handle) -> Status;
    pub fn tollbar_limiter_new(
        abi: u32,
        policy: Handle,
        options: Handle,
        limiter: Out,
        text: Text,
        room: usize,
    ) -> Status;
    pub fn tollbar_limiter_clone(limiter: Handle, clone: Out) -> Status;
    pub fn tollbar_limiter_with_policy(limiter: Handle, policy: Handle, other: Out, text: Text, room: usize) -> Status;
    pub fn tollbar_limiter_free(limiter: Handle) -> Status;
    pub fn tollbar_try_acquire(limiter: Handle, key: Bytes, len: usize, cost: u64) -> Status;
    pub fn tollbar_decide(limiter: Handle, key: Bytes, len: usize, cost: u64, told: Any, size: usize) -> Status;
    pub fn tollbar_peek(limiter: Handle, key: Bytes, len: usize, cost: u64, told: Any, size: usize) -> Status;
    pub fn tollbar_try_acquire_many(
        limiter: Handle,
        keys: *const Key,
        count: usize,
        cost: u64,
        answers: *mut u8,
    ) -> Status;
    pub fn tollbar_try_acquire_packed(
        limiter: Handle,
        data: Bytes,
        size: usize,
        lengths: *const u32,
        count: usize,
        cost: u64,
        answers: *mut u8,
    ) -> Status;
    pub fn tollbar_try_acquire_all(
        limiter: Handle,
        keys: *const Key,
        count: usize,
        cost: u64,
        told: Any,
        size: usize,
        by: *mut usize,
    ) -> Status;
    pub fn tollbar_bucket_new(limiter: Handle, key: Bytes, len: usize, bucket: Out) -> Status;
    pub fn tollbar_bucket_try_acquire(bucket: Handle, cost: u64) -> Status;
    pub fn tollbar_bucket_peek(bucket: Handle, cost: u64, told: Any, size: usize) -> Status;
    pub fn tollbar_bucket_free(bucket: Handle) -> Status;
    pub fn tollbar_reserve(
        limiter: Handle,
        key: Bytes,
        len: usize,
        cost: u64,
        lease: u64,
        gives_back: bool,
        held: Out,
        told: Any,
        size: usize,
    ) -> Status;
    pub fn tollbar_commit(held: Handle) -> Status;
    pub fn tollbar_commit_actual(held: Handle, actual: u64) -> Status;
    pub fn tollbar_cancel(held: Handle) -> Status;
    pub fn tollbar_acquire(
        limiter: Handle,
        key: Bytes,
        len: usize,
        ask: Any,
        ask_size: usize,
        turn: Any,
        turn_size: usize,
    ) -> Status;
    pub fn tollbar_join(
        limiter: Handle,
        key: Bytes,
        len: usize,
        ask: Any,
        ask_size: usize,
        wakeups: Handle,
        token: u64,
        turn: Any,
        turn_size: usize,
    ) -> Status;
    pub fn tollbar_look(place: Handle, turn: Any, size: usize) -> Status;
    pub fn tollbar_leave(place: Handle) -> Status;
    pub fn tollbar_wakeups_new(wakeups: Out) -> Status;
    pub fn tollbar_wakeups_next(wakeups: Handle, timeout: u64, tokens: *mut u64, room: usize) -> Status;
    pub fn tollbar_wakeups_tell(wakeups: Handle, token: u64) -> Status;
    pub fn tollbar_wakeups_free(wakeups: Handle) -> Status;
    pub fn tollbar_reset(limiter: Handle, key: Bytes, len: usize) -> Status;
    pub fn tollbar_reconfigure(
        limiter: Handle,
        key: Bytes,
        len: usize,
        policy: Handle,
        migration: i32,
        text: Text,
        room: usize,
    ) -> Status;
    pub fn tollbar_release(limiter: Handle, key: Bytes, len: usize) -> Status;
    pub fn tollbar_penalize(limiter: Handle, key: Bytes, len: usize) -> Status;
    pub fn tollbar_contains(limiter: Handle, key: Bytes, len: usize) -> Status;
    pub fn tollbar_stats(limiter: Handle, totals: Any, size: usize) -> Status;
    pub fn tollbar_shadow_denied(limiter: Handle, name: Bytes, len: usize, count: *mut u64) -> Status;
}
