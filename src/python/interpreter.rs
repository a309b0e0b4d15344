//! Refuses to be imported into a subinterpreter.
//!
//! The extension keeps process-wide state (the awaitable for "allowed", the logger); two interpreters
//! sharing Python objects is undefined. Newer interpreters refuse such an import themselves, 3.10 and
//! 3.11 do not.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

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
