//! Chapter: may this key do this much now?

use std::ffi::c_char;

use crate::capi::given;
use crate::capi::guard::{Fault, guard};
use crate::capi::objects::{Held, LIMITERS};
use crate::capi::types::{Decision, Key, LimitCost, LimiterHandle};
use crate::decision;
use crate::policy::Cost;

/// Takes `cost` tokens from the key's account if it has them: 1 if they were taken, 0 if not. A cost of 0 takes nothing and
/// passes. For a known key: no lock, no allocation, no system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_try_acquire(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let held = LIMITERS.get(limiter.id, inside)?;
        Ok(held.core.try_acquire_as(key, cost, held.class)?.into())
    })
}

/// The same with a full answer. `decision` may be NULL; `decision_size` is its `sizeof`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_decide(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    let ask = |held: &Held, key: &[u8]| Ok(held.core.decide_as(key, cost, held.class)?);
    // SAFETY: the conventions.
    unsafe { told(limiter, (key, key_len), (decision, decision_size), ask) }
}

unsafe fn told(
    limiter: LimiterHandle,
    (key, key_len): (*const c_char, usize),
    (place, size): (*mut Decision, usize),
    ask: impl FnOnce(&Held, &[u8]) -> Result<decision::Decision, Fault>,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        given::can_put(place, size)?;
        let answer = ask(LIMITERS.get(limiter.id, inside)?, key)?;
        // SAFETY: the conventions.
        unsafe { given::put_decision(place, size, &answer) }?;
        Ok(answer.allowed.into())
    })
}

/// What `tollbar_decide` would answer: takes nothing and creates nothing. Its `retry_after_ns` is the plan: 0 now,
/// `TOLLBAR_NEVER` never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_peek(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    let ask = |held: &Held, key: &[u8]| Ok(held.core.peek_as(key, cost, held.class)?);
    // SAFETY: the conventions.
    unsafe { told(limiter, (key, key_len), (decision, decision_size), ask) }
}

/// `tollbar_decide`, where limits may have a cost of their own: each limit that `costs` names is charged that cost, and each other
/// limit `cost`, all together or none. `costs_count` is at most `TOLLBAR_MAX_COSTS`. Locks the key's stripe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_decide_costs(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    costs: *const LimitCost,
    costs_count: usize,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let all = || unsafe { given::costs(cost, costs, costs_count) };
    let ask = |held: &Held, key: &[u8]| Ok(held.core.decide_as(key, all()?, held.class)?);
    // SAFETY: the conventions.
    unsafe { told(limiter, (key, key_len), (decision, decision_size), ask) }
}

/// What `tollbar_decide_costs` would answer: takes nothing and creates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_peek_costs(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    costs: *const LimitCost,
    costs_count: usize,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let all = || unsafe { given::costs(cost, costs, costs_count) };
    let ask = |held: &Held, key: &[u8]| Ok(held.core.peek_as(key, all()?, held.class)?);
    // SAFETY: the conventions.
    unsafe { told(limiter, (key, key_len), (decision, decision_size), ask) }
}

/// `tollbar_try_acquire` for each key in turn, by one reading of the clock: writes 1 or 0 for each to `answers`, and returns how
/// many passed. All keys are checked before any is charged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_try_acquire_many(
    limiter: LimiterHandle,
    keys: *const Key,
    count: usize,
    cost: u64,
    answers: *mut u8,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { many(limiter, || given::keys(keys, count), cost, answers) }
}

/// The same for keys that lie one after the other in one buffer of `size` bytes, for languages whose texts cannot be pointed
/// at: `lengths` has the length of each, and they add up to `size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_try_acquire_packed(
    limiter: LimiterHandle,
    data: *const c_char,
    size: usize,
    lengths: *const u32,
    count: usize,
    cost: u64,
    answers: *mut u8,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { many(limiter, || given::packed(data, size, lengths, count), cost, answers) }
}

unsafe fn many<'a>(
    limiter: LimiterHandle,
    keys: impl FnOnce() -> Result<Vec<&'a [u8]>, Fault>,
    cost: u64,
    answers: *mut u8,
) -> i32 {
    guard(|inside| {
        let keys = keys()?;
        if keys.is_empty() {
            LIMITERS.get(limiter.id, inside)?;
            return Ok(0);
        }
        given::wanted("answers", answers)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let each = held.core.try_acquire_many_as(&keys, cost, held.class)?;
        // SAFETY: the conventions.
        unsafe { given::put_answers(answers, &each) };
        let passed = each.iter().filter(|&&passes| passes).count();
        Ok(i32::try_from(passed).unwrap_or(i32::MAX))
    })
}

/// Takes `cost` tokens of each key's account if all of them have them, else none anywhere: all senders, the domain, the account.
/// The keys must differ. Of a denial, `denied_by` (which may be NULL) gets the number of the key that has to wait longest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_try_acquire_all(
    limiter: LimiterHandle,
    keys: *const Key,
    count: usize,
    cost: u64,
    decision: *mut Decision,
    decision_size: usize,
    denied_by: *mut usize,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { all(limiter, (keys, count), || Ok(cost.into()), (decision, decision_size), denied_by) }
}

/// `tollbar_try_acquire_all`, where limits may have a cost of their own, as `tollbar_decide_costs` takes them: the same for each key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_try_acquire_all_costs(
    limiter: LimiterHandle,
    keys: *const Key,
    count: usize,
    cost: u64,
    costs: *const LimitCost,
    costs_count: usize,
    decision: *mut Decision,
    decision_size: usize,
    denied_by: *mut usize,
) -> i32 {
    // SAFETY: the conventions.
    let each = || unsafe { given::costs(cost, costs, costs_count) };
    // SAFETY: the conventions.
    unsafe { all(limiter, (keys, count), each, (decision, decision_size), denied_by) }
}

unsafe fn all(
    limiter: LimiterHandle,
    (keys, count): (*const Key, usize),
    cost: impl FnOnce() -> Result<Cost, Fault>,
    (place, size): (*mut Decision, usize),
    denied_by: *mut usize,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let keys = unsafe { given::keys(keys, count) }?;
        given::can_put(place, size)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let joint = held.core.try_acquire_all_as(&keys, cost()?, |_| held.class)?;
        // SAFETY: the conventions.
        unsafe {
            given::put_decision(place, size, &joint.decision)?;
            if let Some(number) = joint.denied_by {
                given::put(denied_by, number);
            }
        }
        Ok(joint.decision.allowed.into())
    })
}
