//! The calls into the interpreter's C interface that pyo3 has no safe form of.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Refuses to be imported into a subinterpreter.
///
/// The extension keeps process-wide state (the awaitable for "allowed", the logger), and two
/// interpreters must not share Python objects. Newer interpreters refuse such an import themselves, 3.10
/// and 3.11 do not.
pub(super) fn refuse_subinterpreters() -> PyResult<()> {
    // SAFETY: called from the module's init, so this thread is attached to an interpreter, which is
    // all that PyInterpreterState_Get asks for; it never returns NULL then.
    #[allow(unsafe_code)]
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err("tollbar works in the main interpreter only, not in a subinterpreter"))
}

/// The exception as raised here and now: with the exception that is being handled as its `__context__`,
/// which an error made of a ready exception object would lose.
pub(super) fn raised_in_context(exception: &Bound<'_, PyAny>) -> PyErr {
    let class = exception.get_type();
    // SAFETY: both pointers come from live references and are only borrowed by the call; the `Bound`
    // proves that this thread is attached.
    #[allow(unsafe_code)]
    unsafe {
        ffi::PyErr_SetObject(class.as_ptr(), exception.as_ptr());
    }
    PyErr::fetch(exception.py())
}

/// Raises the exception here and now, in the same way, for an entry that returns to the interpreter next.
#[inline]
pub(super) fn raise_now(exception: Bound<'_, PyAny>) {
    let exception = exception.into_ptr();
    // SAFETY: a new reference to an exception, given back after the call has taken its own; the `Bound` has proved that
    // this thread is attached.
    #[allow(unsafe_code)]
    unsafe {
        ffi::PyErr_SetObject(ffi::Py_TYPE(exception).cast(), exception);
        ffi::Py_DECREF(exception);
    }
}

/// Runs Python code where an exception may be on its way, as in a destructor: that exception goes on afterwards.
pub(super) fn aside<T>(py: Python<'_>, work: impl FnOnce() -> T) -> T {
    let raised = PyErr::take(py);
    let done = work();
    if let Some(raised) = raised {
        raised.restore(py);
    }
    done
}

/// Gives a reference back at once, also where pyo3 does not know that this thread is attached.
#[inline]
pub(super) fn give_back(object: Py<PyAny>) {
    // SAFETY: called by code that the interpreter calls, attached; the reference is owned and not used again.
    #[allow(unsafe_code)]
    unsafe {
        ffi::Py_DECREF(object.into_ptr());
    }
}
