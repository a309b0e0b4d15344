//! The keys of a batch: an iterable of `str`. An error names the place of the key that is wrong. And batches of single requests.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyIterator, PyList, PyString};

use super::limiter::Limiter;
use super::{convert, entry, fork};
use crate::MAX_KEY_LEN;
use crate::error::Error;

/// A batch of at least this many keys lets other Python threads run; below, that costs more than it gives.
const DETACH_FROM: usize = 1024;

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

/// All the keys.
pub(super) fn texts<'py>(keys: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    each(keys)?.enumerate().map(|(at, key)| Ok(text(at, &key?)?.clone())).collect()
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

/// Charges many keys, each for itself.
pub(super) fn charge(limiter: &Limiter, keys: &Bound<'_, PyAny>, cost: u64) -> PyResult<Vec<bool>> {
    let core = limiter.core();
    // The usual batch needs no more than a reference to each key, which a tuple of them is.
    if let Ok(list) = keys.cast_exact::<PyList>()
        && list.len() < DETACH_FROM
    {
        let keys = list.to_tuple();
        // Room for all at once, which a collection of results would not ask for.
        let mut each = Vec::with_capacity(keys.len());
        for key in keys.as_slice().iter().enumerate() {
            each.push(bytes(key)?);
        }
        let answers = if fork::is_alone() {
            core.try_acquire_many_alone(&each, cost)
        } else {
            core.try_acquire_many(&each, cost)
        };
        return answers.map_err(|error| located(error, &each));
    }
    let texts = each(keys)?.enumerate().map(|(at, key)| text(at, &key?)?.extract());
    let texts = texts.collect::<PyResult<Vec<PyBackedStr>>>()?;
    let bytes: Vec<&[u8]> = texts.iter().map(|key| key.as_bytes()).collect();
    let work = || core.try_acquire_many(&bytes, cost);
    let answers = if bytes.len() < DETACH_FROM { work() } else { fork::detached(keys.py(), work) };
    answers.map_err(|error| located(error, &bytes))
}
