//! Chapter: a handle to the account of one key, which skips the search.

use std::ffi::c_char;

use crate::capi::given;
use crate::capi::guard::guard;
use crate::capi::objects::{BUCKETS, LIMITERS};
use crate::capi::types::{BucketHandle, Decision, LimiterHandle, TOLLBAR_OK};

/// A handle to the key's account, which is made if it is unknown, and is not evicted while there is a handle: 1. 0 if the table
/// is full, and `bucket` then stands for nothing. To be freed with `tollbar_bucket_free`; it outlives the limiter's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_bucket_new(
    limiter: LimiterHandle,
    key: *const c_char,
    key_len: usize,
    bucket: *mut BucketHandle,
) -> i32 {
    guard(|inside| {
        // SAFETY: the conventions.
        let key = unsafe { given::key(key, key_len) }?;
        let place = given::wanted("bucket", bucket)?;
        let held = LIMITERS.get(limiter.id, inside)?;
        let found = held.core.bucket_as(key, held.class)?;
        let there = found.is_some();
        let id = found.map_or(Ok(0), |bucket| BUCKETS.put(bucket))?;
        // SAFETY: the conventions.
        unsafe { given::put(place, BucketHandle { id }) };
        Ok(there.into())
    })
}

/// `tollbar_try_acquire` for the account: 1 if the tokens were taken, 0 if not. No lock, no allocation, no system call.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_bucket_try_acquire(bucket: BucketHandle, cost: u64) -> i32 {
    guard(|inside| Ok(BUCKETS.get(bucket.id, inside)?.try_acquire(cost).into()))
}

/// `tollbar_peek` for the account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tollbar_bucket_peek(
    bucket: BucketHandle,
    cost: u64,
    decision: *mut Decision,
    decision_size: usize,
) -> i32 {
    guard(|inside| {
        given::can_put(decision, decision_size)?;
        let answer = BUCKETS.get(bucket.id, inside)?.peek(cost);
        // SAFETY: the conventions.
        unsafe { given::put_decision(decision, decision_size, &answer) }?;
        Ok(answer.allowed.into())
    })
}

/// Frees a handle; the account stays, and may be evicted. Of one that stands for nothing: does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_bucket_free(bucket: BucketHandle) -> i32 {
    let done = guard(|_| {
        if bucket.id != 0 {
            BUCKETS.free(bucket.id, |_| ())?;
        }
        Ok(TOLLBAR_OK)
    });
    BUCKETS.sweep();
    done
}
