//! The module that Python imports: the Python face, and beside it C's functions and handles, so that C code in the same process
//! decides about the very limiters that Python has.
//!
//! Above both faces, which know nothing of each other.

use std::ptr::NonNull;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::capi::linked;
use crate::python::stub;
use crate::{capi, python};

/// The native part of the package `tollbar`.
#[pymodule(name = "_tollbar")]
fn tollbar_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    python::fill(module)?;
    module.add_function(wrap_pyfunction!(c_handle, module)?)?;
    module.add("c_api", c_api(module.py())?)
}

/// Where `PyCapsule_Import` finds the table.
const NAME: &std::ffi::CStr = c"tollbar._tollbar.c_api";

fn c_api(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    let table = NonNull::from(linked::api()).cast();
    // SAFETY: the table is a static, so it outlives every capsule, and nobody writes to it.
    #[allow(unsafe_code)]
    unsafe {
        PyCapsule::new_with_pointer(py, table, NAME)
    }
}

#[doc = stub!("c_handle")]
#[pyfunction]
#[pyo3(signature = (limiter, /))]
fn c_handle(limiter: &Bound<'_, PyAny>) -> PyResult<u64> {
    capi::lend(python::shared_core(limiter)?).map_err(PyRuntimeError::new_err)
}
