//! `RateLimitExceeded`: the exception of a denial. What it says is put into words only when somebody asks.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::convert::seconds_up;
use super::refused::Told;

#[doc = stub!("RateLimitExceeded")]
#[pyclass(extends = PyException, frozen, subclass, module = "tollbar")]
pub(super) struct RateLimitExceeded {
    /// What there is to say, on an exception that tollbar raised.
    refused: Option<Told>,
    /// What was set by hand instead.
    set: Mutex<Set>,
}

#[derive(Default)]
struct Set {
    account_email: Option<Py<PyAny>>,
    retry_after: Option<Py<PyAny>>,
    args: bool,
}

impl RateLimitExceeded {
    pub(super) fn of(refused: Told) -> Self {
        Self { refused: Some(refused), set: Mutex::default() }
    }

    fn set(&self) -> std::sync::MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The message, unless somebody has set `args`.
    fn message(&self, py: Python<'_>) -> Option<String> {
        let refused = self.refused.as_ref().filter(|_| !self.set().args)?;
        Some(refused.message(py))
    }
}

/// An attribute of the class above this one.
fn inherited<'py>(slf: &Bound<'py, RateLimitExceeded>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    py.get_type::<PyBaseException>().getattr(name)?.call_method1("__get__", (slf, slf.get_type()))
}

#[pymethods]
impl RateLimitExceeded {
    #[new]
    #[pyo3(signature = (*args))]
    fn new(args: &Bound<'_, PyTuple>) -> Self {
        let _ = args; // kept by the class above this one
        Self { refused: None, set: Mutex::default() }
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        match slf.get().message(slf.py()) {
            Some(message) => Ok(message),
            None => inherited(slf, "__str__")?.call0()?.extract(),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        match slf.get().message(slf.py()) {
            Some(message) => Ok(format!("{}({})", slf.get_type().name()?, message.into_pyobject(slf.py())?.repr()?)),
            None => inherited(slf, "__repr__")?.call0()?.extract(),
        }
    }

    #[getter]
    fn args<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().message(slf.py()) {
            Some(message) => Ok((message,).into_pyobject(slf.py())?.into_any()),
            None => inherited(slf, "args"),
        }
    }

    #[setter]
    fn set_args(slf: &Bound<'_, Self>, args: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.py().get_type::<PyBaseException>().getattr("args")?.call_method1("__set__", (slf, args))?;
        slf.get().set().args = true;
        Ok(())
    }

    #[doc = stub!("RateLimitExceeded.account_email")]
    #[getter]
    fn account_email(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let set = self.set().account_email.as_ref().map(|email| email.clone_ref(py));
        set.or_else(|| self.refused.as_ref().map(|refused| refused.account_email.clone_ref(py).into_any()))
    }

    #[setter]
    fn set_account_email(&self, account_email: Py<PyAny>) {
        let before = self.set().account_email.replace(account_email);
        drop(before); // which may run anybody's code: not with the lock held
    }

    #[doc = stub!("RateLimitExceeded.retry_after")]
    #[getter]
    fn retry_after<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(set) = self.set().retry_after.as_ref().map(|seconds| seconds.bind(py).clone()) {
            return Ok(Some(set));
        }
        let Some(refused) = &self.refused else { return Ok(None) };
        Ok(Some(seconds_up(refused.retry_after_ns).into_pyobject(py)?.into_any()))
    }

    #[setter]
    fn set_retry_after(&self, retry_after: Py<PyAny>) {
        let before = self.set().retry_after.replace(retry_after);
        drop(before);
    }

    /// How it is pickled and copied: made of its message alone, then both attributes and whatever else was set on it.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyDict>)> {
        let state = match slf.getattr("__dict__")?.cast_into::<PyDict>() {
            Ok(own) => own.copy()?,
            Err(_) => PyDict::new(slf.py()),
        };
        state.set_item("account_email", slf.getattr("account_email")?)?;
        state.set_item("retry_after", slf.getattr("retry_after")?)?;
        Ok((slf.get_type().into_any(), slf.getattr("args")?, state))
    }
}
