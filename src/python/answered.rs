//! The awaitable for any answer that is known already: it holds a value, and every `await` of it gets that.
//!
//! RUNS PER DECISION of the sliding windows: [`Usual::answered`], one reference count; then, at the `await`, `answer` up to Python
//! 3.11 and `next` from 3.12 on.
//!
//! SAFETY, for the whole file: as in `raw_type`; and every instance is an [`Object`] whose `value` was written before anybody
//! saw it, and is given back when the object is freed and not before.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

#[cfg(Py_3_12)]
use super::granted;
use super::raw_type::{self, RawType};

#[repr(C)]
struct Object {
    head: ffi::PyObject,
    /// A reference that the object owns.
    value: *mut ffi::PyObject,
    /// Whether it is given all the time, so that the exception that carries it is kept. But for None, there is one such
    /// value.
    usual: bool,
}

static TYPE: OnceLock<RawType> = OnceLock::new();

/// Makes the type, once in the life of the process.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let slots = [
        (ffi::Py_am_send, answer as *mut c_void),
        (ffi::Py_tp_iternext, next as *mut c_void),
        (ffi::Py_tp_dealloc, free as *mut c_void),
        (ffi::Py_tp_doc, c"The awaitable for an answer that is known.".as_ptr().cast_mut().cast()),
    ];
    raw_type::prepare(py, &TYPE, c"tollbar._tollbar.Answered", size_of::<Object>(), send, &slots)
}

/// A new awaitable that answers with this value.
#[inline]
pub(super) fn answered(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
    made(py, value, false)
}

/// An answer that is given all the time, made at the first one.
pub(super) struct Usual(PyOnceLock<Py<PyAny>>);

impl Usual {
    pub(super) const fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// The awaitable for it: the same object each time, for it holds nothing that a use could change. Free-threaded builds
    /// make a new one: a reference count that two threads write to costs more.
    #[inline]
    pub(super) fn answered(&self, py: Python<'_>, value: impl FnOnce() -> PyResult<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let kept = self.0.get_or_try_init(py, || made(py, value()?, true))?;
        if cfg!(Py_GIL_DISABLED) {
            // SAFETY: see the head of the file; the kept object keeps its value alive.
            let value = unsafe { Bound::from_borrowed_ptr(py, (*kept.as_ptr().cast::<Object>()).value) };
            return made(py, value.unbind(), true);
        }
        Ok(kept.clone_ref(py))
    }
}

#[inline]
fn made(py: Python<'_>, value: Py<PyAny>, usual: bool) -> PyResult<Py<PyAny>> {
    // SAFETY: a new object of this type, which nobody else has seen, or NULL with an exception set.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, raw_type::instance(&TYPE))?;
        let object = made.as_ptr().cast::<Object>();
        (&raw mut (*object).value).write(value.into_ptr());
        (&raw mut (*object).usual).write(usual);
        Ok(made.unbind())
    }
}

/// Ends the "coroutine" as Python code sees it.
fn stop(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: see the head of the file. A value that is a tuple would be taken for the arguments of the exception, so the
    // exception is made here.
    unsafe {
        let value = (*this.cast::<Object>()).value;
        let stop = ffi::PyObject_CallFunctionObjArgs(ffi::PyExc_StopIteration, value, null_mut::<ffi::PyObject>());
        if !stop.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop);
            ffi::Py_DECREF(stop);
        }
    }
    null_mut()
}

/// `am_send`: the value, whatever is sent.
unsafe extern "C" fn answer(
    this: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: see the head of the file; the caller passes a place for the result.
    unsafe { *result = ffi::Py_NewRef((*this.cast::<Object>()).value) };
    ffi::PySendResult::PYGEN_RETURN
}

/// `tp_iternext`: an end without an exception is one with None.
unsafe extern "C" fn next(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: see the head of the file; None lives for ever.
    let (object, none) = unsafe { (&*this.cast::<Object>(), ffi::Py_None()) };
    if std::ptr::eq(object.value, none) {
        return null_mut();
    }
    #[cfg(Py_3_12)]
    if object.usual {
        // SAFETY: the object keeps the value alive, and the interpreter calls this attached.
        unsafe { granted::stop_with(object.value, 1) };
        return null_mut();
    }
    stop(this)
}

/// `send`, as Python code calls it.
unsafe extern "C" fn send(this: *mut ffi::PyObject, _value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    stop(this)
}

unsafe extern "C" fn free(this: *mut ffi::PyObject) {
    // SAFETY: see the head of the file. An instance of a heap type holds a reference to it.
    unsafe {
        let class = ffi::Py_TYPE(this);
        ffi::Py_XDECREF((*this.cast::<Object>()).value);
        ffi::PyObject_Free(this.cast());
        ffi::Py_DECREF(class.cast());
    }
}
