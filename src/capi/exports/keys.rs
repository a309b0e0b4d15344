//! Chapter: what is done about a key beside asking, and totals.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::Arc;

use crate::capi::given::{self, Told};
use crate::capi::guard::{guard, telling};
use crate::capi::objects::{LIMITERS, POLICIES};
use crate::capi::types::{LimitCost, LimitState, LimiterHandle, PolicyHandle, TOLLBAR_OK, TOLLBAR_REASONS, Totals};
use crate::limiter;

/// Makes the key's account as good as new: 1, or 0 if the key is unknown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_reset(limiter: LimiterHandle, key: *const c_char, key_len: usize) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        Ok(LIMITERS.get(limiter.id, inside)?.core.reset(key)?.into())
    })
}

/// Puts a key under limits of its own, at once if it has an account, and at each first sight from then on, also after its account
/// was evicted; `migration`, one of `TOLLBAR_MIGRATE_...`, says what becomes of what was spent: 1, or 0 if the key has no account
/// now. No decision sees a mixture of the two. Takes a copy of the key until `tollbar_follow_default`;
/// `TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS` if as many keys as the table may hold have limits of their own.
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
        let how = given::migration(migration)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let class = held.core.class(POLICIES.get(policy.id)?.lock().policy()?)?;
        Ok(held.core.reconfigure(key, class, how)?.into())
    })
}

/// Ends a key's limits of its own: it comes under the limits of all, at once and at each first sight: 1, or 0 if the key has no
/// account now. `migration` as for `tollbar_reconfigure`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_follow_default(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    migration: i32,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let how = given::migration(migration)?;
        Ok(LIMITERS.get(limiter.id, inside)?.core.follow_default(key, how)?.into())
    })
}

/// Puts all keys without limits of their own under another policy, `migration` as for `tollbar_reconfigure`. Every decision that
/// begins after this returns is by the new policy, and none sees a mixture of the two. It is one step, whatever the number of keys,
/// and serves those that are waited for. Keys that came under a policy by `tollbar_limiter_with_policy` keep it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_set_limits(
    limiter: LimiterHandle,
    policy: PolicyHandle,
    migration: i32,
    message: *mut c_char,
    message_size: usize,
) -> i32 {
    // SAFETY: the conventions.
    let told = unsafe { Told::new(message, message_size) };
    telling(told, |inside| {
        let how = given::migration(migration)?;
        let policy = POLICIES.get(policy.id)?.lock().policy()?;
        LIMITERS.get(limiter.id, inside)?.core.set_limits(policy, how)?;
        Ok(TOLLBAR_OK)
    })
}

/// Lets no request of the key pass for the next `length_ns`, at most 4.5 years (what a server said with a Retry-After, say): 1, or 0
/// if the table has no place for the key. Requests that wait wait on. 0 ends a block, as `tollbar_release` does. Such a denial has
/// the reason `TOLLBAR_REASON_BLOCKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_block(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    length_ns: u64,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let held = LIMITERS.get(limiter.id, inside)?;
        Ok(held.core.block_as(key, length_ns, held.class)?.into())
    })
}

/// Leaves the key no more than `to`: charges the rate or window of this name, or every one if `limit` is NULL and `limit_len` 0,
/// what it has beyond that, all at one moment, as a server's "remaining: 7" asks for: 1 if any had more, else 0. It never gives
/// anything back. A name that no limit of the limiter has gives `TOLLBAR_ERROR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_drain(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    to: u64,
    limit: *const c_char,
    limit_len: usize,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        // SAFETY: the conventions.
        let name = unsafe { given::text("limit", limit, limit_len) }?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let name = (!limit.is_null()).then_some(&*name);
        Ok(held.core.drain_as(key, to, name, held.class)?.into())
    })
}

/// What each limit of the key counts, all at one moment, and when each would let a request of these costs pass (as
/// `tollbar_decide_costs` takes them); of a blocked key, the block is one more. Writes up to `capacity` of them to `states`, which
/// may be NULL if that is 0, and returns how many there are, at most `TOLLBAR_MAX_LIMITS` + 1. `state_size` is the `sizeof` of one.
/// Takes nothing and creates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_inspect(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    cost: u64,
    costs: *const LimitCost,
    costs_count: usize,
    states: *mut LimitState,
    capacity: usize,
    state_size: usize,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let (key, cost) = unsafe { (given::key(key, key_len)?, given::costs(cost, costs, costs_count)?) };
        if capacity > 0 {
            given::can_put(given::wanted("states", states)?, state_size)?;
        }
        let held = LIMITERS.get(limiter.id, inside)?;
        let each = held.core.inspect_as(key, cost, held.class)?;
        // SAFETY: the conventions.
        unsafe { given::put_states(states, capacity, state_size, &each) }?;
        Ok(i32::try_from(each.len()).unwrap_or(i32::MAX))
    })
}

/// How many parts `tollbar_keys` lists the keys in: it does not change.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_parts(limiter: LimiterHandle) -> i32 {
    guard(|inside| Ok(i32::try_from(LIMITERS.get(limiter.id, inside)?.core.parts()).unwrap_or(i32::MAX)))
}

/// The keys in one part of the table, 0 to `tollbar_parts` - 1, as of one moment: returns how many there are, and sets `size` to
/// the number of their bytes. If there is room for them (`size` held that many bytes, and `capacity` that many lengths), they lie
/// in `data` one after the other, in no order, and `lengths` has the length of each; else nothing is written there, and the caller
/// tries again with more room. `data` and `lengths` may be NULL where there is none. A part beyond the last has no keys. A walk over
/// all parts meets each key once that is there all the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_keys(
    limiter: LimiterHandle,
    part: usize,
    data: *mut c_char,
    size: *mut usize,
    lengths: *mut u32,
    capacity: usize,
) -> i32 {
    guard(|inside| {
        let size = given::wanted("size", size)?;
        // SAFETY: not NULL, and a number by the conventions.
        let room = unsafe { size.read_unaligned() };
        if room > 0 {
            given::wanted("data", data)?;
        }
        if capacity > 0 {
            given::wanted("lengths", lengths)?;
        }
        let keys = LIMITERS.get(limiter.id, inside)?.core.keys_in(part);
        let bytes = keys.iter().map(Vec::len).sum::<usize>();
        // SAFETY: the conventions; both fit.
        unsafe {
            given::put(size, bytes);
            if bytes <= room && keys.len() <= capacity {
                given::put_packed(data, lengths, &keys);
            }
        }
        Ok(i32::try_from(keys.len()).unwrap_or(i32::MAX))
    })
}

/// Ends every timeout and block of the key: 1, or 0 if none runs.
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
        let held = LIMITERS.get(limiter.id, inside)?;
        let stats = held.core.stats();
        let mut denied_by_reason = [0; TOLLBAR_REASONS];
        for (why, count) in held.core.denied_by_reason() {
            denied_by_reason[usize::try_from(why.map_or(0, given::reason)).unwrap_or(0)] += count;
        }
        let totals = Totals {
            allowed: stats.allowed,
            denied: stats.denied,
            shadow_denied: stats.shadow_denied,
            evicted: stats.evicted,
            forgiven: stats.forgiven,
            full: stats.full,
            keys: stats.keys,
            most_looks: stats.most_looks.into(),
            own_limits: stats.own_limits,
            denied_by_reason,
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
    // SAFETY: the conventions.
    unsafe { counted(limiter, (name, name_len), count, limiter::Limiter::shadow_denied) }
}

/// How many requests the limit of this name has denied, those of which it was the limit that made them wait longest: 1, or 0 if
/// it never did, and `count` is 0 then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_denied_by_limit(
    limiter: LimiterHandle,
    name: *const c_char,
    name_len: usize,
    count: *mut u64,
) -> i32 {
    // SAFETY: the conventions.
    unsafe { counted(limiter, (name, name_len), count, limiter::Limiter::denied_by_limit) }
}

unsafe fn counted(
    limiter: LimiterHandle,
    (name, name_len): (*const c_char, usize),
    count: *mut u64,
    counts: impl FnOnce(&limiter::Limiter) -> BTreeMap<Arc<str>, u64>,
) -> i32 {
    guard(|inside| {
        let place = given::wanted("count", count)?;
        // SAFETY: the conventions.
        let name = unsafe { given::text("name", name, name_len) }?;
        let denied = counts(&LIMITERS.get(limiter.id, inside)?.core).get(&*name).copied().unwrap_or(0);
        // SAFETY: the conventions.
        unsafe { given::put(place, denied) };
        Ok((denied > 0).into())
    })
}
