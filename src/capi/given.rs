//! All that is done with a caller's pointers: keys read, answers and messages written.
//!
//! Every function here asks the same of its caller, the header's conventions: a pointer that is not NULL leads to as much memory as
//! its length or its type says, for as long as the call lasts.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::slice;

use super::guard::Fault;
use super::types::{self, Ask, Decision, Grows, Key, LimitCost, LimitState, TOLLBAR_LIMIT_NAME_SIZE, Totals, Turn};
use crate::decision;
use crate::error::Error;
use crate::limit::Migration;
use crate::limiter;
use crate::policy::Cost;
use crate::table::MAX_KEY_LEN;

/// The bytes of a key. NULL is the empty key if its length is 0.
#[inline]
pub(super) unsafe fn key<'a>(data: *const c_char, len: usize) -> Result<&'a [u8], Fault> {
    if len > MAX_KEY_LEN {
        return Err(Error::KeyTooLong(len).into());
    }
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(Fault::Null("key")) };
    }
    // SAFETY: not NULL, and `len` bytes by the conventions.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// Text, such as a limit's name.
pub(super) unsafe fn text(argument: &'static str, data: *const c_char, len: usize) -> Result<String, Fault> {
    // SAFETY: the caller's word is the same.
    let bytes = unsafe { key(data, len) }.map_err(|fault| match fault {
        Fault::Null(_) => Fault::Null(argument),
        other => other,
    })?;
    let text = std::str::from_utf8(bytes);
    Ok(text.map_err(|_| Error::invalid(argument, bytes.escape_ascii(), "must be UTF-8"))?.to_owned())
}

/// So many things one after the other.
pub(super) unsafe fn many<'a, T>(argument: &'static str, data: *const T, count: usize) -> Result<&'a [T], Fault> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Fault::Null(argument));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Fault::Lengths);
    }
    // SAFETY: not NULL, no longer than memory can be, and `count` of them by the conventions.
    Ok(unsafe { slice::from_raw_parts(data, count) })
}

/// How many answers an `i32` can count: no batch has more keys.
fn batch(count: usize) -> Result<usize, Fault> {
    i32::try_from(count).map(|_| count).map_err(|_| Fault::Lengths)
}

/// The keys of a batch, each of them checked.
pub(super) unsafe fn keys<'a>(data: *const Key, count: usize) -> Result<Vec<&'a [u8]>, Fault> {
    let count = batch(count)?;
    // SAFETY: the caller's word is the same.
    let keys = unsafe { many("keys", data, count) }?;
    // SAFETY: the same for each of them.
    keys.iter().map(|one| unsafe { key(one.data, one.len) }).collect()
}

/// The keys of a batch that lie one after the other in one buffer.
pub(super) unsafe fn packed<'a>(
    data: *const c_char,
    size: usize,
    lengths: *const u32,
    count: usize,
) -> Result<Vec<&'a [u8]>, Fault> {
    let count = batch(count)?;
    // SAFETY: the caller's word is the same.
    let (bytes, lengths) = unsafe { (many("data", data.cast::<u8>(), size)?, many("lengths", lengths, count)?) };
    let mut rest = bytes;
    // It grows with what is read, not with what was said.
    let mut keys = Vec::new();
    for &length in lengths {
        let (key, after) = rest.split_at_checked(length as usize).ok_or(Fault::Lengths)?;
        if key.len() > MAX_KEY_LEN {
            return Err(Error::KeyTooLong(key.len()).into());
        }
        keys.push(key);
        rest = after;
    }
    if rest.is_empty() { Ok(keys) } else { Err(Fault::Lengths) }
}

/// Writes where the caller wants it; NULL is nowhere.
pub(super) unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, and room for one by the conventions; it may be as unaligned as the caller likes.
        unsafe { place.write_unaligned(value) }
    }
}

/// The same where the caller has to want it.
pub(super) fn wanted<T>(argument: &'static str, place: *mut T) -> Result<*mut T, Fault> {
    if place.is_null() { Err(Fault::Null(argument)) } else { Ok(place) }
}

/// What a request costs each limit: `each`, but for limits that have a cost of their own.
pub(super) unsafe fn costs(each: u64, data: *const LimitCost, count: usize) -> Result<Cost, Fault> {
    if count > types::TOLLBAR_MAX_COSTS {
        return Err(Error::invalid("costs", count, "must be at most 256").into());
    }
    // SAFETY: the caller's word is the same.
    let given = unsafe { many("costs", data, count) }?;
    // SAFETY: the same for each of them.
    let named = given.iter().map(|one| Ok((unsafe { text("costs", one.limit, one.limit_len) }?, one.cost)));
    Ok(Cost::new(each).with(named.collect::<Result<Vec<_>, Fault>>()?))
}

/// What becomes of what was spent.
pub(super) fn migration(number: i32) -> Result<Migration, Fault> {
    match number {
        types::TOLLBAR_MIGRATE_AS_IS => Ok(Migration::AsIs),
        types::TOLLBAR_MIGRATE_PROPORTIONAL => Ok(Migration::Proportional),
        types::TOLLBAR_MIGRATE_RESET => Ok(Migration::Reset),
        _ => Err(Error::invalid("migration", number, "must be one of TOLLBAR_MIGRATE_...").into()),
    }
}

/// The length of a reservation's lease: 0 and `TOLLBAR_NEVER` are none.
pub(super) fn lease(lease_ns: u64) -> Option<u64> {
    (lease_ns != 0 && lease_ns != types::TOLLBAR_NEVER).then_some(lease_ns)
}

/// A structure that may grow: as much of it is written as the caller knows, and what a newer caller knows beyond it is made 0.
unsafe fn put_sized<T: Grows>(place: *mut u8, size: usize, value: &T) -> Result<(), Fault> {
    let known = can_put(place.cast::<T>(), size)?;
    if !place.is_null() {
        // SAFETY: not NULL, and room for `size` bytes by the conventions, which are at least as many as are known.
        unsafe {
            ptr::copy_nonoverlapping(ptr::from_ref(value).cast::<u8>(), place, known);
            place.add(known).write_bytes(0, size - known);
        }
    }
    Ok(())
}

/// Whether a structure of this size can be written, before anything is charged: how much of it.
pub(super) fn can_put<T: Grows>(place: *mut T, size: usize) -> Result<usize, Fault> {
    if place.is_null() {
        return Ok(0);
    }
    T::known(size).ok_or(Fault::Size(T::NAME))
}

/// Writes a decision where the caller wants it.
pub(super) unsafe fn put_decision(place: *mut Decision, size: usize, told: &decision::Decision) -> Result<(), Fault> {
    let mut decision = Decision {
        retry_after_ns: told.retry_after_ns,
        remaining: told.remaining,
        reset_after_ns: told.reset_after_ns,
        reason: told.reason.map_or(0, reason),
        allowed: told.allowed,
        shadowed: told.shadowed,
        estimated: told.estimated,
        reserved: [0; 1],
        limit: [0; TOLLBAR_LIMIT_NAME_SIZE],
    };
    if let Some(name) = &told.limit {
        copy_text(name, &mut decision.limit);
    }
    // SAFETY: the caller's word is the same.
    unsafe { put_sized(place.cast(), size, &decision) }
}

pub(super) const fn reason(reason: decision::Reason) -> i32 {
    match reason {
        decision::Reason::Rate => types::TOLLBAR_REASON_RATE,
        decision::Reason::Window => types::TOLLBAR_REASON_WINDOW,
        decision::Reason::InFlight => types::TOLLBAR_REASON_IN_FLIGHT,
        decision::Reason::Jail => types::TOLLBAR_REASON_JAIL,
        decision::Reason::Never => types::TOLLBAR_REASON_NEVER,
        decision::Reason::Full => types::TOLLBAR_REASON_FULL,
        decision::Reason::Closed => types::TOLLBAR_REASON_CLOSED,
        decision::Reason::Blocked => types::TOLLBAR_REASON_BLOCKED,
    }
}

/// A reason in the word that all languages have for it: static text, empty for none.
pub(super) fn reason_word(number: i32) -> &'static CStr {
    match number {
        types::TOLLBAR_REASON_RATE => c"rate",
        types::TOLLBAR_REASON_WINDOW => c"window",
        types::TOLLBAR_REASON_IN_FLIGHT => c"in_flight",
        types::TOLLBAR_REASON_JAIL => c"jail",
        types::TOLLBAR_REASON_NEVER => c"never",
        types::TOLLBAR_REASON_FULL => c"full",
        types::TOLLBAR_REASON_CLOSED => c"closed",
        types::TOLLBAR_REASON_BLOCKED => c"blocked",
        _ => c"",
    }
}

/// Writes what a waiter found.
pub(super) unsafe fn put_turn(place: *mut Turn, size: usize, turn: &Turn) -> Result<(), Fault> {
    // SAFETY: the caller's word is the same.
    unsafe { put_sized(place.cast(), size, turn) }
}

/// Writes totals.
pub(super) unsafe fn put_totals(place: *mut Totals, size: usize, totals: &Totals) -> Result<(), Fault> {
    // SAFETY: the caller's word is the same.
    unsafe { put_sized(place.cast(), size, totals) }
}

/// Writes what the limits of a key count, as many as there is room for; each has `size` bytes.
pub(super) unsafe fn put_states(
    place: *mut LimitState,
    capacity: usize,
    size: usize,
    states: &[limiter::LimitState],
) -> Result<(), Fault> {
    for (at, told) in states.iter().enumerate().take(capacity) {
        let mut state = LimitState {
            limit: told.limit,
            used: told.used,
            remaining: told.remaining,
            reset_after_ns: told.reset_after_ns,
            retry_after_ns: told.retry_after_ns,
            kind: reason(told.kind),
            estimated: told.estimated,
            can_pass: told.can_pass,
            shadow: told.shadow,
            reserved: [0; 1],
            name: [0; TOLLBAR_LIMIT_NAME_SIZE],
        };
        copy_text(&told.name, &mut state.name);
        // SAFETY: the caller's word is the same; `at` is below the capacity, so there is room for one of `size` bytes.
        unsafe { put_sized(place.cast::<u8>().add(at * size), size, &state) }?;
    }
    Ok(())
}

/// What is asked for by a waiter; NULL is the usual.
pub(super) unsafe fn ask(place: *const Ask, size: usize) -> Result<Ask, Fault> {
    let (cost, timeout_ns) = (1, types::TOLLBAR_NEVER);
    let mut ask = Ask { cost, timeout_ns, lease_ns: 0, priority: 0, gives_back: 0, costs: ptr::null(), costs_count: 0 };
    if place.is_null() {
        return Ok(ask);
    }
    let known = Ask::known(size).ok_or(Fault::Size(Ask::NAME))?;
    // SAFETY: not NULL, at least as large as what is read by the conventions, and any bytes are an `Ask`.
    unsafe { ptr::copy_nonoverlapping(place.cast::<u8>(), ptr::from_mut(&mut ask).cast(), known) };
    // SAFETY: the rest lies behind it.
    let rest = unsafe { slice::from_raw_parts(place.cast::<u8>().add(known), size - known) };
    // A newer program that asks for what this library does not know must hear of it.
    if rest.iter().any(|&byte| byte != 0) { Err(Fault::Size(Ask::NAME)) } else { Ok(ask) }
}

/// Writes keys one after the other, and the length of each.
pub(super) unsafe fn put_packed(data: *mut c_char, lengths: *mut u32, keys: &[Vec<u8>]) {
    let mut end = 0;
    for (at, key) in keys.iter().enumerate() {
        // SAFETY: the caller has seen that there is room for all bytes and all lengths; NULL is only where there are none.
        unsafe {
            ptr::copy_nonoverlapping(key.as_ptr(), data.cast::<u8>().add(end), key.len());
            put(lengths.add(at), u32::try_from(key.len()).unwrap_or(u32::MAX));
        }
        end += key.len();
    }
}

/// Writes one answer for each key.
pub(super) unsafe fn put_answers(place: *mut u8, answers: &[bool]) {
    for (at, &answer) in answers.iter().enumerate() {
        // SAFETY: room for one answer a key by the conventions; NULL was refused before.
        unsafe { place.add(at).write(u8::from(answer)) }
    }
}

/// Where a constructor tells what was wrong.
#[derive(Clone, Copy)]
pub(super) struct Told {
    buffer: *mut c_char,
    size: usize,
}

impl Told {
    /// NULL, or a size of 0: nowhere.
    pub(super) unsafe fn new(buffer: *mut c_char, size: usize) -> Self {
        Self { buffer, size: if buffer.is_null() { 0 } else { size } }
    }

    /// Writes as much of the text as there is room for, and a NUL.
    pub(super) fn write(&self, text: &str) {
        if self.size == 0 {
            return;
        }
        let end = fitting(text, self.size - 1);
        // SAFETY: whoever made this said that there is room for `size` bytes, and `end` is before the last of them.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr().cast(), self.buffer, end);
            self.buffer.add(end).write(0);
        }
    }
}

/// The length of as much of a text as `room` bytes hold, no character cut in two.
fn fitting(text: &str, room: usize) -> usize {
    (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

/// As much of a text as there is room for; what is behind it is 0 already.
fn copy_text(text: &str, room: &mut [c_char]) {
    let end = fitting(text, room.len() - 1);
    for (byte, place) in text.as_bytes()[..end].iter().zip(room) {
        *place = byte.cast_signed() as c_char;
    }
}

/// A status in words.
pub(super) fn words(status: i32) -> &'static str {
    in_words(status).to_str().unwrap_or_default()
}

/// The same for C: text that lives as long as the library.
pub(super) fn in_words(status: i32) -> &'static CStr {
    match status {
        types::TOLLBAR_WAITING => c"waiting",
        1 => c"yes",
        0 => c"no",
        types::TOLLBAR_ERROR_INVALID => c"an argument is outside its rule",
        types::TOLLBAR_ERROR_KEY_TOO_LONG => c"the key is too long",
        types::TOLLBAR_ERROR_TOO_MANY_POLICIES => c"too many different policies in one limiter",
        types::TOLLBAR_ERROR_NULL => c"a pointer must not be NULL",
        types::TOLLBAR_ERROR_HANDLE => c"the handle was freed, or is none of this kind",
        types::TOLLBAR_ERROR_SIZE => c"there is no structure of this size",
        types::TOLLBAR_ERROR_ABI => c"the program was compiled for another version of the library",
        types::TOLLBAR_ERROR_PANIC => c"the library has a mistake, and has stopped the call",
        types::TOLLBAR_ERROR_TOO_MANY_HANDLES => c"there is no room for another handle",
        types::TOLLBAR_ERROR_CLOSED => c"the limiter's handle was freed meanwhile",
        types::TOLLBAR_ERROR_LENGTHS => c"the lengths do not add up to the size",
        types::TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS => c"too many keys have limits of their own",
        _ => c"an unknown status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Reason;

    #[test]
    fn reasons_and_their_words_are_the_cores_own() {
        for one in [Reason::Rate, Reason::Window, Reason::InFlight, Reason::Jail, Reason::Never, Reason::Full]
            .into_iter()
            .chain([Reason::Closed, Reason::Blocked])
        {
            assert_eq!(reason(one), one as i32);
            assert_eq!(reason_word(reason(one)).to_str(), Ok(one.as_str()));
        }
    }

    #[test]
    fn numbers_are_the_cores_own() {
        assert_eq!(Error::invalid("a", 1, "b").code(), types::TOLLBAR_ERROR_INVALID);
        assert_eq!(Error::KeyTooLong(1).code(), types::TOLLBAR_ERROR_KEY_TOO_LONG);
        assert_eq!(Error::TooManyPolicies.code(), types::TOLLBAR_ERROR_TOO_MANY_POLICIES);
        assert_eq!(Error::TooManyOwnLimits(1).code(), types::TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS);
    }

    #[test]
    fn a_message_is_cut_between_characters_and_ends_with_a_nul() {
        let mut buffer: [c_char; 8] = [1; 8];
        for (size, told) in [(8, "aé€"), (7, "aé€"), (6, "aé"), (3, "a"), (1, "")] {
            // SAFETY: the buffer is at least as large.
            unsafe { Told::new(buffer.as_mut_ptr(), size) }.write("aé€");
            // SAFETY: a NUL is what is tested; `write` has made one, or this reads on to the end of the array.
            let text = unsafe { CStr::from_ptr(buffer.as_ptr()) };
            assert_eq!(text.to_str(), Ok(told), "{size}");
        }
        // SAFETY: nothing is written to a buffer of 0 bytes, or to NULL.
        unsafe {
            Told::new(buffer.as_mut_ptr(), 0).write("b");
            Told::new(ptr::null_mut(), 8).write("b");
        }
        assert_eq!(buffer[0], 0);
    }
}
