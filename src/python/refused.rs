//! The awaitable for "denied": it holds what there is to say, and makes the exception when it is awaited.
//!
//! RUNS PER DENIAL: [`raw`], one small object; then, at the `await`, `answer` up to Python 3.11 and `next` from 3.12 on.
//!
//! The exception is made anew at each `await`, with a traceback of its own, and raised by `PyErr_SetObject`, which gives
//! it the exception that is being handled as its context.
//!
//! SAFETY, for the whole file: as in `raw_type`; and every instance is an [`Object`] whose `refused` was written before
//! anybody saw it, and is read out when the object is freed and not before.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

use super::denial::Refused;
use super::raw_type::{self, RawType};

#[repr(C)]
struct Object {
    head: ffi::PyObject,
    refused: ManuallyDrop<Refused>,
}

static TYPE: OnceLock<RawType> = OnceLock::new();

/// Makes the type, once in the life of the process.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    let slots = [
        (ffi::Py_am_send, answer as *mut c_void),
        (ffi::Py_tp_iternext, next as *mut c_void),
        (ffi::Py_tp_dealloc, free as *mut c_void),
        (ffi::Py_tp_doc, c"The awaitable for \"denied\".".as_ptr().cast_mut().cast()),
    ];
    raw_type::prepare(py, &TYPE, c"tollbar._tollbar.Refused", size_of::<Object>(), send, &slots)
}

/// A new awaitable, or NULL with an exception set.
#[inline]
pub(super) fn raw(py: Python<'_>, refused: Refused) -> *mut ffi::PyObject {
    let made = raw_type::unwritten(&TYPE);
    if made.is_null() {
        refused.release(py);
        return made;
    }
    // SAFETY: a new object of this type, which nobody else has seen.
    unsafe { (&raw mut (*made.cast::<Object>()).refused).write(ManuallyDrop::new(refused)) };
    made
}

/// The same for code that is not in such a hurry.
pub(super) fn refused(py: Python<'_>, refused: Refused) -> PyResult<Py<PyAny>> {
    // SAFETY: a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, raw(py, refused)) }.map(Bound::unbind)
}

/// A reference to such an awaitable, for an exception that says what it holds.
pub(super) struct Told(Py<PyAny>);

impl Deref for Told {
    type Target = Refused;

    fn deref(&self) -> &Refused {
        // SAFETY: made in `raise` alone, of an instance, which lives as long as this reference to it.
        unsafe { &(*self.0.as_ptr().cast::<Object>()).refused }
    }
}

fn raise(this: *mut ffi::PyObject) {
    // SAFETY: see the head of the file.
    let (py, refused) = unsafe { (Python::assume_attached(), &(*this.cast::<Object>()).refused) };
    // SAFETY: the caller holds a reference to the instance, and this takes one of its own.
    refused.raise(py, || Told(unsafe { Bound::from_borrowed_ptr(py, this) }.unbind()));
}

unsafe extern "C" fn answer(
    this: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    raise(this);
    // SAFETY: the caller passes a place for the result.
    unsafe { *result = null_mut() };
    ffi::PySendResult::PYGEN_ERROR
}

unsafe extern "C" fn next(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    raise(this);
    null_mut()
}

/// `send`, as Python code calls it.
unsafe extern "C" fn send(this: *mut ffi::PyObject, _value: *mut ffi::PyObject) -> *mut ffi::PyObject {
    raise(this);
    null_mut()
}

unsafe extern "C" fn free(this: *mut ffi::PyObject) {
    // SAFETY: see the head of the file. An instance of a heap type holds a reference to it.
    unsafe {
        let refused = ManuallyDrop::take(&mut (*this.cast::<Object>()).refused);
        refused.release(Python::assume_attached());
        let class = ffi::Py_TYPE(this);
        ffi::PyObject_Free(this.cast());
        ffi::Py_DECREF(class.cast());
    }
}
