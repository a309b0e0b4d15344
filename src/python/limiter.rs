//! `Limiter`: the native API over any keys.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{IntoPyDict, PyDict, PyList, PyString, PyTuple};

use super::convert::{self, Cost};
use super::decision::Decision;
use super::fork;
use super::rate::Rate;
use crate::decision::Plan;
use crate::limiter;

/// A batch of at least this many keys lets other Python threads run; below, letting go costs more than
/// it gives.
const DETACH_FROM: usize = 1024;

/// Limits many keys, each on its own.
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct Limiter(Arc<limiter::Limiter>);

impl Limiter {
    /// Charges a key. `None`: the key is refused.
    #[inline]
    pub(super) fn charged(&self, key: &[u8], cost: u64) -> Option<bool> {
        if fork::is_alone() {
            return match self.0.take_alone(key, cost) {
                Ok(()) => Some(true),
                Err(trace) => self.0.try_acquire_after(trace, key, cost).ok(),
            };
        }
        self.charged_beside_others(key, cost)
    }

    #[cfg_attr(not(Py_GIL_DISABLED), cold)]
    #[cfg_attr(not(Py_GIL_DISABLED), inline(never))]
    #[cfg_attr(Py_GIL_DISABLED, inline)]
    fn charged_beside_others(&self, key: &[u8], cost: u64) -> Option<bool> {
        self.0.try_acquire(key, cost).ok()
    }
}

fn bytes<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    convert::key(key.cast::<PyString>()?)
}

#[pymethods]
impl Limiter {
    #[new]
    #[pyo3(signature = (*limits, max_keys=None, when_full="deny", clock=None),
           text_signature = "(*limits, max_keys=1000000, when_full='deny', clock=None)")]
    fn new(
        limits: &Bound<'_, PyTuple>,
        max_keys: Option<&Bound<'_, PyAny>>,
        when_full: &str,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let [limit] = limits.as_slice() else {
            let message = format!("limits must be exactly one Rate for now, not {}", limits.len());
            return Err(PyValueError::new_err(message));
        };
        let Ok(rate) = limit.cast::<Rate>() else {
            return Err(PyTypeError::new_err(format!("limits must be Rate objects, not {}", limit.repr()?)));
        };
        let limiter = limiter::Limiter::builder(rate.get().policy())
            .max_keys(convert::max_keys("max_keys", max_keys, 1_000_000)?)
            .when_full(convert::when_full(when_full)?)
            .clock(convert::clock(clock)?)
            .build()?;
        Ok(Self(Arc::new(limiter)))
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn try_acquire(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<bool> {
        Ok(self.0.try_acquire(convert::key(key)?, cost.0)?)
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn decide(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Decision> {
        let key = convert::key(key)?;
        Decision::new(self.0.decide(key, cost.0)?, || Ok(self.0.policy_of(key)?))
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn peek(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Decision> {
        let key = convert::key(key)?;
        Decision::new(self.0.peek(key, cost.0)?, || Ok(self.0.policy_of(key)?))
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn plan(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Option<f64>> {
        Ok(match self.0.plan(convert::key(key)?, cost.0)? {
            Plan::Now => Some(0.0),
            Plan::After(nanos) => Some(convert::seconds_up(nanos)),
            Plan::Never => None,
        })
    }

    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Vec<bool>> {
        if keys.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("keys must be an iterable of str, not a single str"));
        }
        // The usual batch needs no more than a reference to each key, which a tuple of them is.
        if let Ok(list) = keys.cast_exact::<PyList>()
            && list.len() < DETACH_FROM
        {
            let keys = list.to_tuple();
            let bytes = keys.as_slice().iter().map(bytes).collect::<PyResult<Vec<_>>>()?;
            return Ok(self.0.try_acquire_many(&bytes, cost.0)?);
        }
        let keys = keys.try_iter()?.map(|key| key?.extract()).collect::<PyResult<Vec<PyBackedStr>>>()?;
        let bytes: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let work = || self.0.try_acquire_many(&bytes, cost.0);
        Ok(if bytes.len() < DETACH_FROM { work() } else { fork::detached(py, work) }?)
    }

    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_all(&self, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Decision> {
        if keys.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("keys must be an iterable of str, not a single str"));
        }
        let keys = keys.try_iter()?.map(|key| key?.extract()).collect::<PyResult<Vec<PyBackedStr>>>()?;
        let joint = self.0.try_acquire_all(&keys, cost.0)?;
        let denied = joint.denied_by.map(|number| &*keys[number]);
        let decision =
            Decision::new(joint.decision, || Ok(self.0.policy_of(denied.unwrap_or(&keys[0]).as_bytes())?))?;
        Ok(decision.by(denied))
    }

    fn reset(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.0.reset(convert::key(key)?)?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats();
        [
            ("allowed", stats.allowed),
            ("denied", stats.denied),
            ("shadow_denied", stats.shadow_denied),
            ("evicted", stats.evicted),
            ("forgiven", stats.forgiven),
            ("full", stats.full),
            ("keys", stats.keys),
            ("most_looks", stats.most_looks.into()),
        ]
        .into_py_dict(py)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// A limiter without accounts is still a limiter.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.0.contains(convert::key(key)?)?)
    }
}
