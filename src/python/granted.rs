//! The awaitable for "allowed": one object, made once, that answers an `await` at once.
//!
//! RUNS PER DECISION: [`raw`], one reference count; then, at the `await`, `answer` up to Python 3.11
//! and `next` from 3.12 on.
//!
//! Up to 3.11 an `await` asks `am_send`, which hands the result over without an exception. From 3.12 on
//! it asks `tp_iternext`, which can return a value only as a `StopIteration`; one such exception is used
//! again and again, as long as nobody else holds it and nothing was attached to it.
//!
//! Free-threaded builds keep both objects per thread: a reference count that two threads write to costs
//! more than everything else here.
//!
//! SAFETY, for the whole file: every function is called by the interpreter, or by code that holds a
//! `Python` token, with an attached thread and valid objects. The type has no instance data and cannot be
//! instantiated from Python.

#![allow(unsafe_code)]

use std::ffi::c_void;
#[cfg(Py_3_12)]
use std::ptr;
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

use super::raw_type::{self, RawType};

static TYPE: OnceLock<RawType> = OnceLock::new();

/// Makes the type, once in the life of the process.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let slots = [
        (ffi::Py_am_send, answer as *mut c_void),
        (ffi::Py_tp_iternext, next as *mut c_void),
        (ffi::Py_tp_doc, c"The awaitable for \"allowed\".".as_ptr().cast_mut().cast()),
    ];
    raw_type::prepare(py, &TYPE, c"tollbar._tollbar.Granted", size_of::<ffi::PyObject>(), send, &slots)
}

/// A new reference to this thread's awaitable, or NULL with an exception set.
#[inline]
pub(super) fn raw(_py: Python<'_>) -> *mut ffi::PyObject {
    mine::awaitable()
}

/// The same for code that is not in such a hurry.
pub(super) fn granted(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, raw(py)) }.map(Bound::unbind)
}

fn new_instance() -> *mut ffi::PyObject {
    raw_type::instance(&TYPE)
}

#[cfg(not(Py_GIL_DISABLED))]
mod mine {
    //! With a global interpreter lock: one of each for the process.
    use std::sync::atomic::{AtomicPtr, Ordering};

    use pyo3::ffi;

    static AWAITABLE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
    #[cfg(Py_3_12)]
    static STOPS: [AtomicPtr<ffi::PyObject>; 2] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 2];

    #[inline]
    pub(super) fn awaitable() -> *mut ffi::PyObject {
        // ORDERING: Relaxed; the interpreter lock orders every access.
        let mut kept = AWAITABLE.load(Ordering::Relaxed);
        if kept.is_null() {
            kept = super::new_instance();
            AWAITABLE.store(kept, Ordering::Relaxed);
        }
        // SAFETY: a live object that this module keeps a reference to, or NULL.
        unsafe { ffi::Py_XINCREF(kept) };
        kept
    }

    #[cfg(Py_3_12)]
    pub(super) fn stop(place: usize) -> *mut ffi::PyObject {
        // ORDERING: Relaxed, under the interpreter lock.
        STOPS[place].load(Ordering::Relaxed)
    }

    #[cfg(Py_3_12)]
    pub(super) fn keep_stop(place: usize, stop: *mut ffi::PyObject) {
        // ORDERING: Relaxed, under the interpreter lock.
        STOPS[place].store(stop, Ordering::Relaxed);
    }
}

#[cfg(Py_GIL_DISABLED)]
mod mine {
    //! Without a global interpreter lock: one of each for each thread.
    use std::cell::Cell;
    use std::ptr::null_mut;
    use std::sync::Mutex;

    use pyo3::ffi;

    /// What ended threads left behind: their destructors run detached and cannot free objects.
    static LEFT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

    struct Kept {
        awaitable: Cell<*mut ffi::PyObject>,
        stops: [Cell<*mut ffi::PyObject>; 2],
    }

    thread_local! {
        static KEPT: Kept =
            const { Kept { awaitable: Cell::new(null_mut()), stops: [const { Cell::new(null_mut()) }; 2] } };
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let [first, second] = &self.stops;
            let left = [&self.awaitable, first, second].map(|object| object.get() as usize);
            if let Ok(mut all) = LEFT.lock() {
                all.extend(left.into_iter().filter(|&object| object != 0));
            }
        }
    }

    fn first() -> *mut ffi::PyObject {
        let left = LEFT.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
        for object in left {
            // SAFETY: a reference that the ended thread owned; this thread is attached.
            unsafe { ffi::Py_DECREF(object as *mut ffi::PyObject) };
        }
        super::new_instance()
    }

    #[inline]
    pub(super) fn awaitable() -> *mut ffi::PyObject {
        let kept = KEPT.try_with(|kept| {
            if kept.awaitable.get().is_null() {
                kept.awaitable.set(first());
            }
            let awaitable = kept.awaitable.get();
            // SAFETY: a live object that this thread keeps a reference to, or NULL.
            unsafe { ffi::Py_XINCREF(awaitable) };
            awaitable
        });
        // A thread that is ending has none any more.
        kept.unwrap_or_else(|_| super::new_instance())
    }

    pub(super) fn stop(place: usize) -> *mut ffi::PyObject {
        KEPT.try_with(|kept| kept.stops[place].get()).unwrap_or(null_mut())
    }

    pub(super) fn keep_stop(place: usize, stop: *mut ffi::PyObject) {
        if KEPT.try_with(|kept| kept.stops[place].set(stop)).is_err() {
            // SAFETY: the reference that was to be kept.
            unsafe { ffi::Py_DECREF(stop) };
        }
    }
}

/// `am_send`: the result is True, whatever is sent.
unsafe extern "C" fn answer(
    _this: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the caller passes a place for the result.
    unsafe { *result = ffi::Py_NewRef(ffi::Py_True()) };
    ffi::PySendResult::PYGEN_RETURN
}

/// `tp_iternext` up to 3.11: the exception is made only if somebody looks at it.
#[cfg(not(Py_3_12))]
unsafe extern "C" fn next(_this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyErr_SetObject(ffi::PyExc_StopIteration, ffi::Py_True()) };
    null_mut()
}

/// `tp_iternext` from 3.12 on: raises the kept `StopIteration(True)`.
#[cfg(Py_3_12)]
unsafe extern "C" fn next(_this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: True lives for ever, and this thread is attached.
    unsafe { stop_with(ffi::Py_True(), 0) };
    null_mut()
}

/// Raises a `StopIteration` of this value: the one that is kept in this place (0 or 1), if it is as good as new.
///
/// # Safety
/// A live value, and an attached thread.
#[cfg(Py_3_12)]
pub(super) unsafe fn stop_with(value: *mut ffi::PyObject, place: usize) {
    // SAFETY: see the head of the file. `kept` is NULL or a StopIteration that this module keeps a reference to; between
    // the check and the raise no other Python code runs, and on free-threaded builds both are this thread's. The raise
    // takes a reference of its own, so it does not matter whether the fresh one is kept, or replaced by what the drop of
    // the old one runs.
    unsafe {
        let kept = mine::stop(place);
        if !kept.is_null() && is_as_new(kept, value) {
            ffi::PyErr_SetRaisedException(ffi::Py_NewRef(kept));
            return;
        }
        let fresh = ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, value);
        if fresh.is_null() {
            return;
        }
        mine::keep_stop(place, ffi::Py_NewRef(fresh));
        ffi::Py_XDECREF(kept);
        ffi::PyErr_SetRaisedException(fresh);
    }
}

/// Whether nobody else holds the exception, and nobody has left anything on it.
#[cfg(Py_3_12)]
unsafe fn is_as_new(stop: *mut ffi::PyObject, value: *mut ffi::PyObject) -> bool {
    #[cfg(Py_GIL_DISABLED)]
    // SAFETY: a live object, and this thread is attached.
    let alone = unsafe { ffi::PyUnstable_Object_IsUniquelyReferenced(stop) } == 1;
    #[cfg(not(Py_GIL_DISABLED))]
    // SAFETY: a live object.
    let alone = unsafe { ffi::Py_REFCNT(stop) } == 1;
    // SAFETY: `stop` was made by calling StopIteration, so it has that layout.
    let fields = unsafe { &*stop.cast::<ffi::PyStopIterationObject>() };
    alone
        && fields.traceback.is_null()
        && fields.context.is_null()
        && fields.cause.is_null()
        && fields.notes.is_null()
        && fields.dict.is_null()
        && ptr::eq(fields.value, value)
}

/// `send`, as Python code calls it: an ordinary `StopIteration(True)`.
unsafe extern "C" fn send(_this: *mut ffi::PyObject, _value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyErr_SetObject(ffi::PyExc_StopIteration, ffi::Py_True()) };
    null_mut()
}
