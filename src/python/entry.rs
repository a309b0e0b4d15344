//! The raw entries of the hot methods: they take well-formed calls, and hand all others to pyo3's own.
//!
//! RUNS PER DECISION: one of the `fast` functions below; then the core's `charge_known` or `try_acquire`.
//!
//! Each method stays an ordinary pyo3 method: its name, signature, documentation, conversions and errors are
//! pyo3's; `install` puts the entry in place. A call with positional arguments of exactly the expected types is answered here; any other (keywords,
//! subclasses, bool, negative numbers, unknown accounts, errors) goes to the entry that pyo3 made, with the
//! arguments untouched and nothing charged.
//!
//! SAFETY, for the whole file:
//! - A method descriptor checks the type of `self` before it calls an entry, and instances are made by pyo3 alone, so
//!   `self` is an initialised instance; the classes are frozen, so a shared reference needs no borrow flag.
//! - The arguments are borrowed from the caller for the whole call. No Python code runs between reading a key's UTF-8
//!   and using it, and a `str` is immutable.
//! - Old and new entry have the same C signature: the flags of the old one are checked.
//! - Nothing unwinds into the interpreter.

#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::access::ClientAccess;
use super::denial::{self, Refused};
use super::granted;
use super::inherited::Made;
use super::limiter::Limiter;
use super::rate_limiter::RateLimiter;
use super::refused;
use super::token_bucket::TokenBucket;
use crate::limiter::Outcome;
use crate::ticks;

pub(super) type Entry = ffi::PyCFunctionFastWithKeywords;
pub(super) type Object = *mut ffi::PyObject;

/// A method with a fast entry.
pub(super) trait Method {
    type Class: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync + Made;
    const NAME: &'static str;

    /// Where pyo3's own entry is kept.
    fn slow() -> &'static OnceLock<Entry>;

    /// Answers the call with a new reference (or NULL and an exception set), or with `None`: hand it on, nothing
    /// has happened.
    ///
    /// # Safety
    /// `args` holds borrowed references to live objects.
    unsafe fn fast(this: &Bound<'_, Self::Class>, args: &[Object], keywords: Object) -> Option<Object>;
}

pub(super) unsafe extern "C" fn entry<M: Method>(
    slf: Object,
    args: *const Object,
    count: isize,
    keywords: Object,
) -> Object {
    let fast = || {
        // SAFETY: an interpreter calls its functions attached.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: see the head of the file. Without arguments `args` may be NULL.
        let (this, args) = unsafe {
            let this = Borrowed::from_ptr(py, slf).cast_unchecked::<M::Class>();
            let args = if count == 0 { &[] } else { std::slice::from_raw_parts(args, count.cast_unsigned()) };
            (this, args)
        };
        // SAFETY: as promised by the interpreter.
        unsafe { M::fast(&this, args, keywords) }
    };
    match catch_unwind(AssertUnwindSafe(fast)) {
        Ok(Some(answer)) => return answer,
        Ok(None) => {}
        Err(payload) => return panicked(&*payload),
    }
    let slow = M::slow().get().expect("set before this entry is installed");
    // SAFETY: the same call, to the entry that was made for it.
    unsafe { slow(slf, args, count, keywords) }
}

/// Raises the panic, as pyo3's own entries do. The call is not handed on: it may be charged already.
#[cold]
fn panicked(payload: &(dyn Any + Send)) -> Object {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic from Rust code");
    Python::attach(|py| PanicException::new_err(text.to_owned()).restore(py));
    std::ptr::null_mut()
}

/// A key's bytes, if it is exactly a `str` that UTF-8 can hold.
#[inline]
unsafe fn key<'a>(object: Object) -> Option<&'a [u8]> {
    // SAFETY: a live object; the bytes belong to the str, which the caller keeps. Those of a compact ASCII str are UTF-8.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
        #[cfg(not(Py_3_14))]
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            let len = (*object.cast::<ffi::PyASCIIObject>()).length;
            let bytes = object.cast::<ffi::PyASCIIObject>().add(1).cast();
            return Some(std::slice::from_raw_parts(bytes, len.cast_unsigned()));
        }
        let mut len = 0;
        let bytes = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut len);
        if bytes.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::slice::from_raw_parts(bytes.cast(), len.cast_unsigned()))
    }
}

/// The same of an object in hand.
#[inline]
pub(super) fn key_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
    // SAFETY: a live object, as long as it is borrowed, which the bytes belong to.
    unsafe { key(object.as_ptr()) }
}

/// A cost, if it is exactly an `int` of at least 0 that fits 63 bits; 1 if there is none.
#[inline]
unsafe fn cost(object: Option<&Object>) -> Option<u64> {
    let Some(&object) = object else { return Some(1) };
    // SAFETY: a live object.
    unsafe {
        if ffi::PyLong_CheckExact(object) == 0 {
            return None;
        }
        let cost = ffi::PyLong_AsLongLong(object);
        if cost == -1 {
            ffi::PyErr_Clear();
        }
        u64::try_from(cost).ok()
    }
}

#[inline]
fn truth(value: bool) -> Object {
    // SAFETY: True and False live for ever; from 3.12 on, without being counted.
    unsafe {
        let truth = if value { ffi::Py_True() } else { ffi::Py_False() };
        if cfg!(Py_3_12) { truth } else { ffi::Py_NewRef(truth) }
    }
}

/// Gives the result of colder, safe code back to the interpreter.
fn hand_back(py: Python<'_>, result: PyResult<Py<PyAny>>) -> Object {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// Whether the only keyword is `account=`, by the pointer of its interned name.
#[inline]
unsafe fn only_account(keywords: Object) -> bool {
    static ACCOUNT: pyo3::sync::PyOnceLock<Py<PyString>> = pyo3::sync::PyOnceLock::new();
    // SAFETY: keyword names come as a tuple of str.
    unsafe {
        let py = Python::assume_attached();
        let name = ACCOUNT.get_or_init(py, || PyString::intern(py, "account").unbind());
        ffi::PyTuple_GET_SIZE(keywords) == 1 && std::ptr::eq(ffi::PyTuple_GET_ITEM(keywords, 0), name.as_ptr())
    }
}

/// Whether such a call names an account, whose own limit must be asked for at first sight. With a keyword there are two
/// arguments in all, and the second is the account.
#[inline]
fn has_account(args: &[Object], keywords: Object, account_at: usize) -> bool {
    !keywords.is_null() || args.len() > account_at
}

/// The key and the tokens of a well-formed call about an account: its name, and `account` and `tokens` in either order.
#[inline]
unsafe fn account_call<'a>(args: &[Object], keywords: Object, tokens_at: usize) -> Option<(&'a [u8], u64)> {
    // SAFETY: as promised by the callers: live objects, and the keywords' names.
    unsafe {
        let well_formed = keywords.is_null() || args.len() == 1 && only_account(keywords);
        if !well_formed || args.is_empty() || args.len() > 3 {
            return None;
        }
        Some((key(args[0])?, cost(args.get(tokens_at))?))
    }
}

/// `RateLimiter.acquire(account_email, account=None, tokens=1)`
pub(super) struct AcquireAccount;

impl Method for AcquireAccount {
    type Class = RateLimiter;
    const NAME: &'static str = "acquire";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, RateLimiter>, args: &[Object], keywords: Object) -> Option<Object> {
        // SAFETY: as promised by the caller.
        let (name, tokens) = unsafe { account_call(args, keywords, 2)? };
        match this.get().charged(name, tokens, has_account(args, keywords, 1))? {
            Outcome::Allowed => Some(granted::raw(this.py())),
            Outcome::Unknown => None,
            Outcome::Denied(denial) => {
                // SAFETY: exactly a str, as `key` has seen; borrowed for this call.
                let email = unsafe { Borrowed::from_ptr(this.py(), args[0]).cast_unchecked::<PyString>() };
                Some(if denial.tell.is_none() && !denial.shadow {
                    refused::raw(this.py(), Refused::new(this, &email, tokens, &denial))
                } else {
                    Python::attach(|py| hand_back(py, RateLimiter::denied(this, &email.to_owned(), tokens, &denial)))
                })
            }
        }
    }
}

/// `RateLimiter.try_acquire(account_email, tokens=1, account=None)`
pub(super) struct TryAcquireAccount;

impl Method for TryAcquireAccount {
    type Class = RateLimiter;
    const NAME: &'static str = "try_acquire";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, RateLimiter>, args: &[Object], keywords: Object) -> Option<Object> {
        // SAFETY: as promised by the caller.
        let (name, tokens) = unsafe { account_call(args, keywords, 1)? };
        match this.get().charged(name, tokens, has_account(args, keywords, 2))? {
            Outcome::Allowed => Some(truth(true)),
            Outcome::Unknown => None,
            Outcome::Denied(denial) if denial.tell.is_none() => Some(truth(denial.shadow)),
            Outcome::Denied(denial) => Some(Python::attach(|py| {
                // SAFETY: exactly a str, as `key` has seen; borrowed for this call.
                let email = unsafe { Bound::from_borrowed_ptr(py, args[0]).cast_into_unchecked::<PyString>() };
                denial::log(&email, tokens, &denial);
                truth(denial.shadow)
            })),
        }
    }
}

/// `Limiter.try_acquire(key, cost=1)`
pub(super) struct TryAcquireKey;

impl Method for TryAcquireKey {
    type Class = Limiter;
    const NAME: &'static str = "try_acquire";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, Limiter>, args: &[Object], keywords: Object) -> Option<Object> {
        if !keywords.is_null() || args.is_empty() || args.len() > 2 {
            return None;
        }
        // SAFETY: as promised by the caller.
        let (name, cost) = unsafe { (key(args[0])?, cost(args.get(1))?) };
        this.get().charged(name, cost).map(truth)
    }
}

/// `TokenBucket.acquire(tokens=1, timeout=1.0)`
pub(super) struct AcquireBucket;

impl Method for AcquireBucket {
    type Class = TokenBucket;
    const NAME: &'static str = "acquire";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, TokenBucket>, args: &[Object], keywords: Object) -> Option<Object> {
        if !keywords.is_null() || args.len() > 2 {
            return None;
        }
        // SAFETY: as promised by the caller.
        let tokens = unsafe { cost(args.first())? };
        if this.get().charged(tokens) {
            return Some(granted::raw(this.py()));
        }
        Some(Python::attach(|py| hand_back(py, super::awaitable::Ready::no(py))))
    }
}

/// `TokenBucket.try_acquire(tokens=1)`
pub(super) struct TryAcquireBucket;

impl Method for TryAcquireBucket {
    type Class = TokenBucket;
    const NAME: &'static str = "try_acquire";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, TokenBucket>, args: &[Object], keywords: Object) -> Option<Object> {
        if !keywords.is_null() || args.len() > 1 {
            return None;
        }
        // SAFETY: as promised by the caller.
        let tokens = unsafe { cost(args.first())? };
        Some(truth(this.get().charged(tokens)))
    }
}

/// `ClientAccess.is_allowed(client_id, access_time=None)`, for exactly a float or no time.
#[inline]
unsafe fn is_allowed(this: &ClientAccess, args: &[Object], keywords: Object) -> Option<Object> {
    if !keywords.is_null() || args.is_empty() || args.len() > 2 {
        return None;
    }
    // SAFETY: as promised by the callers: live objects, and None is one that is never freed.
    let (client, time) = unsafe {
        let time = match args.get(1) {
            None => None,
            Some(&time) if std::ptr::eq(time, ffi::Py_None()) => None,
            Some(&time) if ffi::PyFloat_CheckExact(time) != 0 => Some(ticks::nanos(ffi::PyFloat_AS_DOUBLE(time))?),
            Some(_) => return None,
        };
        (key(args[0])?, time)
    };
    this.core().is_allowed(client, time).ok().map(truth)
}

pub(super) struct IsAllowed;

impl Method for IsAllowed {
    type Class = ClientAccess;
    const NAME: &'static str = "is_allowed";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, ClientAccess>, args: &[Object], keywords: Object) -> Option<Object> {
        // SAFETY: as promised by the caller.
        unsafe { is_allowed(this.get(), args, keywords) }
    }
}

pub(super) struct IsAllowedInCamelCase;

impl Method for IsAllowedInCamelCase {
    type Class = ClientAccess;
    const NAME: &'static str = "isAllowed";

    fn slow() -> &'static OnceLock<Entry> {
        static SLOW: OnceLock<Entry> = OnceLock::new();
        &SLOW
    }

    #[inline]
    unsafe fn fast(this: &Bound<'_, ClientAccess>, args: &[Object], keywords: Object) -> Option<Object> {
        // SAFETY: as promised by the caller.
        unsafe { is_allowed(this.get(), args, keywords) }
    }
}
