//! The keys of a batch: an iterable of `str`. An error names the place of the key that is wrong.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyString};

use super::{convert, entry};
use crate::MAX_KEY_LEN;
use crate::error::Error;

/// The keys one by one. A single `str` is refused, because each of its characters would pass for a key.
pub(super) fn each<'py>(keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    refuse_text(keys)?;
    keys.try_iter().map_err(|error| match keys.hasattr("__iter__") {
        Ok(false) => convert::wrong_type("keys", "an iterable of str", keys),
        _ => error,
    })
}

pub(super) fn refuse_text(keys: &Bound<'_, PyAny>) -> PyResult<()> {
    if keys.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("keys must be an iterable of str, not a single str"));
    }
    Ok(())
}

/// The key at this place.
pub(super) fn text<'a, 'py>(at: usize, key: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    key.cast().map_err(|_| convert::wrong_type(&format!("keys[{at}]"), "str", key))
}

/// The same error about the first key that is too long, if that is what it is about.
pub(super) fn located(error: Error, keys: &[&[u8]]) -> PyErr {
    match (&error, keys.iter().position(|key| key.len() > MAX_KEY_LEN)) {
        (Error::KeyTooLong(len), Some(at)) => {
            PyValueError::new_err(format!("keys[{at}] must be at most {MAX_KEY_LEN} bytes, not {len}"))
        }
        _ => error.into(),
    }
}

/// A key of a batch, and its place.
#[inline]
pub(super) fn bytes<'a>((at, key): (usize, &'a Bound<'_, PyAny>)) -> PyResult<&'a [u8]> {
    entry::key_of(key).map_or_else(|| convert::key(text(at, key)?), Ok)
}
