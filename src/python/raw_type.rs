//! What the two raw awaitables have in common: a heap type with the methods of a coroutine.
//!
//! A class of pyo3 would do, but an `await` of one costs three times as much.
//!
//! SAFETY, for the whole file: every function is called by the interpreter, or by code that holds a `Python` token, with
//! an attached thread and valid objects. Instances are made by [`instance`] alone, the types cannot be instantiated from
//! Python; method tables and specifications live as long as the process, or are copied.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::awaitable::thrown;

/// A pointer to a type that lives as long as the process.
pub(super) struct RawType(*mut ffi::PyTypeObject);

// SAFETY: a type object may be used by any attached thread, and these are never freed.
unsafe impl Send for RawType {}
// SAFETY: as above.
unsafe impl Sync for RawType {}

/// Makes a type, once in the life of the process: awaitable, its own iterator, with `send`, `throw` and `close`, so
/// that asyncio takes its instances for coroutines. `slots` say what is different.
pub(super) fn prepare(
    py: Python<'_>,
    place: &OnceLock<RawType>,
    name: &'static CStr,
    size: usize,
    send: ffi::PyCFunction,
    slots: &[(c_int, *mut c_void)],
) -> PyResult<()> {
    if place.get().is_some() {
        return Ok(());
    }
    let methods = vec![
        method(c"send", send, ffi::METH_O),
        method(c"throw", throw, ffi::METH_VARARGS),
        method(c"close", close, ffi::METH_NOARGS),
        ffi::PyMethodDef::zeroed(),
    ];
    let slot = |(slot, pfunc): (c_int, *mut c_void)| ffi::PyType_Slot { slot, pfunc };
    let common = [
        (ffi::Py_am_await, itself as *mut c_void),
        (ffi::Py_tp_iter, itself as *mut c_void),
        (ffi::Py_tp_methods, methods.leak().as_mut_ptr().cast()),
    ];
    let mut slots: Vec<_> = slots.iter().copied().chain(common).chain([(0, null_mut())]).map(slot).collect();
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size).expect("an object is small"),
        itemsize: 0,
        #[allow(clippy::cast_possible_truncation)] // type flags are 32 bits in a specification
        flags: flags as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the interpreter copies what it needs of the specification and the slots; the methods and the texts live
    // as long as the process. A NULL result comes with an error set, which `from_owned_ptr_or_err` fetches.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec)) }?;
    let _ = place.set(RawType(made.into_ptr().cast()));
    Ok(())
}

/// A new instance, all zeros beyond the object's head; NULL with an exception set if there is no memory.
#[inline]
pub(super) fn instance(place: &OnceLock<RawType>) -> *mut ffi::PyObject {
    let class = place.get().expect("made when the module is imported").0;
    // SAFETY: the type is complete.
    unsafe { ffi::PyType_GenericAlloc(class, 0) }
}

/// A new instance whose part beyond the object's head is still to be written, which costs half as much; NULL with an
/// exception set if there is no memory.
#[inline]
pub(super) fn unwritten(place: &OnceLock<RawType>) -> *mut ffi::PyObject {
    let class = place.get().expect("made when the module is imported").0;
    // SAFETY: the type is complete, and its instances are not tracked by the garbage collector.
    unsafe { ffi::PyObject_New(class) }
}

unsafe extern "C" fn itself(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: see the head of the file.
    unsafe { ffi::Py_NewRef(this) }
}

/// `throw`: raises what is thrown in.
unsafe extern "C" fn throw(_this: *mut ffi::PyObject, args: *mut ffi::PyObject) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: METH_VARARGS passes a tuple, borrowed for the call.
        let args = unsafe { Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>() };
        let raise = || match args.as_slice() {
            [typ] => thrown(typ, None),
            [typ, val] | [typ, val, _] => thrown(typ, (!val.is_none()).then_some(val)),
            _ => pyo3::exceptions::PyTypeError::new_err("throw takes from 1 to 3 arguments"),
        };
        raise().restore(py);
        null_mut()
    })
}

unsafe extern "C" fn close(_this: *mut ffi::PyObject, _none: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: None lives for ever.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

const fn method(name: &'static CStr, run: ffi::PyCFunction, flags: c_int) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: run },
        ml_flags: flags,
        ml_doc: std::ptr::null(),
    }
}
