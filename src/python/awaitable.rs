//! An awaitable whose answer is known already: `await` gets it without a coroutine, a future or a trip
//! through the loop.
//!
//! It has `__await__`, `send`, `throw` and `close`, so asyncio takes it for a coroutine: `gather`,
//! `wait_for`, `ensure_future` and `create_task` work. It may be awaited more than once.

use pyo3::BoundObject;
use pyo3::exceptions::{PyBaseException, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::granted;

/// Answers an `await` at once.
#[pyclass(frozen, module = "tollbar")]
pub(super) struct Ready(Answer);

enum Answer {
    Value(Py<PyAny>),
    Failed(PyErr),
}

impl Ready {
    /// The answer `True`: the one object that is given all the time.
    pub(super) fn yes(py: Python<'_>) -> PyResult<Py<PyAny>> {
        granted::granted(py)
    }

    pub(super) fn no(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Self::value(py, false)
    }

    pub(super) fn value<'py>(
        py: Python<'py>,
        value: impl IntoPyObject<'py, Error: Into<PyErr>>,
    ) -> PyResult<Py<PyAny>> {
        let value = value.into_pyobject(py).map_err(Into::into)?.into_bound().into_any().unbind();
        Self(Answer::Value(value)).object(py)
    }

    /// An error met on the way to the answer; `await` raises it.
    pub(super) fn failed(py: Python<'_>, error: PyErr) -> PyResult<Py<PyAny>> {
        Self(Answer::Failed(error)).object(py)
    }

    fn object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, self)?.into_any())
    }

    /// What every step of the "coroutine" does: end it, with the answer or with an exception.
    fn finish(&self, py: Python<'_>) -> PyErr {
        match &self.0 {
            Answer::Value(value) => PyStopIteration::new_err((value.clone_ref(py),)),
            Answer::Failed(error) => error.clone_ref(py),
        }
    }
}

#[pymethods]
impl Ready {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<()> {
        Err(self.finish(py))
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(self.finish(py))
    }

    /// Raises what is thrown in: a task that is cancelled before its first step ends here.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw(
        &self,
        typ: &Bound<'_, PyAny>,
        val: Option<&Bound<'_, PyAny>>,
        tb: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = tb;
        Err(thrown(typ, val))
    }

    fn close(&self) {}
}

/// What `throw` raises: the exception that it is given, or one made of the class that it is given.
pub(super) fn thrown(typ: &Bound<'_, PyAny>, val: Option<&Bound<'_, PyAny>>) -> PyErr {
    let exception = match val {
        Some(value) if value.is_instance_of::<PyBaseException>() => Ok(value.clone()),
        Some(value) => typ.call1((value,)),
        None if typ.is_instance_of::<PyType>() => typ.call0(),
        None => Ok(typ.clone()),
    };
    match exception {
        Ok(exception) if exception.is_instance_of::<PyBaseException>() => PyErr::from_value(exception),
        Ok(_) => PyTypeError::new_err("only exceptions can be thrown into an awaitable"),
        Err(error) => error,
    }
}
