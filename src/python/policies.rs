//! Limits of a key's own, asked for at its first sight: a callable, or a mapping.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::limits;
use crate::limiter::{ClassId, Limiter};

/// Where limits of single keys come from.
pub(super) enum Policies {
    None,
    Callable(Py<PyAny>),
    Mapping(Py<PyAny>),
}

impl Policies {
    pub(super) fn new(given: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        match given {
            None => Ok(Self::None),
            Some(given) if given.is_callable() => Ok(Self::Callable(given.unbind())),
            Some(given) if given.hasattr("get")? => Ok(Self::Mapping(given.unbind())),
            Some(given) => {
                let message = format!("policies must be a callable, a mapping or None, not {}", given.repr()?);
                Err(PyTypeError::new_err(message))
            }
        }
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The class of a key's limits; the default one where it has none of its own.
    pub(super) fn class(&self, limiter: &Limiter, key: &Bound<'_, PyString>) -> PyResult<ClassId> {
        let py = key.py();
        let said = match self {
            Self::None => return Ok(limiter.default_class()),
            Self::Callable(callable) => callable.bind(py).call1((key,))?,
            Self::Mapping(mapping) => mapping.bind(py).call_method1("get", (key,))?,
        };
        if said.is_none() {
            return Ok(limiter.default_class());
        }
        Ok(limiter.class(limits::policy(&said)?)?)
    }
}
