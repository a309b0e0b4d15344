//! An awaitable whose answer is known already: `await` gets it without a coroutine, a future or a trip
//! through the loop.
//!
//! It has `__await__`, `send`, `throw` and `close`, so asyncio takes it for a coroutine: `gather`,
//! `wait_for`, `ensure_future` and `create_task` work. It may be awaited more than once.

use pyo3::BoundObject;
use pyo3::exceptions::{PyBaseException, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::denial::Refused;

/// Answers an `await` at once.
#[pyclass(frozen, module = "tollbar")]
pub(super) struct Ready(Answer);

enum Answer {
    Value(Py<PyAny>),
    /// The exception is made anew at each `await`, with a traceback of its own.
    Refused(Refused),
    Failed(PyErr),
}

static TRUE: PyOnceLock<Py<Ready>> = PyOnceLock::new();

impl Ready {
    /// Makes the one answer that is given all the time.
    pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
        TRUE.get_or_try_init(py, || {
            Py::new(py, Self(Answer::Value(true.into_pyobject(py)?.to_owned().into_any().unbind())))
        })
        .map(|_| ())
    }

    /// The answer `True`, made once.
    pub(super) fn yes(py: Python<'_>) -> PyResult<Py<Self>> {
        match TRUE.get(py) {
            Some(ready) => Ok(ready.clone_ref(py)),
            None => Self::value(py, true),
        }
    }

    pub(super) fn value<'py>(py: Python<'py>, value: impl IntoPyObject<'py, Error: Into<PyErr>>) -> PyResult<Py<Self>> {
        let value = value.into_pyobject(py).map_err(Into::into)?.into_bound().into_any().unbind();
        Py::new(py, Self(Answer::Value(value)))
    }

    pub(super) fn refused(py: Python<'_>, refused: Refused) -> PyResult<Py<Self>> {
        Py::new(py, Self(Answer::Refused(refused)))
    }

    /// An error met on the way to the answer; `await` raises it.
    pub(super) fn failed(py: Python<'_>, error: PyErr) -> PyResult<Py<Self>> {
        Py::new(py, Self(Answer::Failed(error)))
    }

    /// What every step of the "coroutine" does: end it, with the answer or with an exception.
    fn finish(&self, py: Python<'_>) -> PyErr {
        match &self.0 {
            Answer::Value(value) => PyStopIteration::new_err((value.clone_ref(py),)),
            Answer::Refused(refused) => refused.exception(py),
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
        let exception = match val {
            Some(value) if value.is_instance_of::<PyBaseException>() => value.clone(),
            Some(value) => typ.call1((value,))?,
            None if typ.is_instance_of::<PyType>() => typ.call0()?,
            None => typ.clone(),
        };
        if !exception.is_instance_of::<PyBaseException>() {
            return Err(PyTypeError::new_err("only exceptions can be thrown into an awaitable"));
        }
        Err(PyErr::from_value(exception))
    }

    fn close(&self) {}
}
