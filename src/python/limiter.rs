//! `Limiter`: the native API over any keys.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict, PyFloat, PyList, PyString, PyTuple};

use super::convert::{self, Cost};
use super::decision::Decision;
use super::inherited::{Home, Made};
use super::policies::Policies;
use super::reservation::Reservation;
use super::waiting::Waiting;
use super::{entry, fork, limits};
use crate::classes::ClassId;
use crate::decision::Plan;
use crate::error::Error;
use crate::limiter::{self, Ask, Outcome};

/// A batch of at least this many keys lets other Python threads run; below, letting go costs more than
/// it gives.
const DETACH_FROM: usize = 1024;

/// Limits many keys, each on its own.
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct Limiter {
    core: Arc<limiter::Limiter>,
    limits: Py<PyTuple>,
    policies: Policies,
    home: Home,
}

impl Made for Limiter {
    fn home(&self) -> &Home {
        &self.home
    }
}

impl Limiter {
    /// Charges a known key. `None` is no answer: the key is unknown, or refused.
    #[inline]
    pub(super) fn charged(&self, key: &[u8], cost: u64) -> Option<bool> {
        let known = if fork::is_alone() {
            match self.core.take_alone(key, cost) {
                Ok(()) => return Some(true),
                Err(trace) => self.core.charge_known_after(trace, key, cost),
            }
        } else {
            self.charged_beside_others(key, cost)
        };
        match known {
            Ok(Outcome::Unknown) | Err(_) => None,
            Ok(outcome) => Some(outcome.passes()),
        }
    }

    #[cfg_attr(not(Py_GIL_DISABLED), cold)]
    #[cfg_attr(not(Py_GIL_DISABLED), inline(never))]
    #[cfg_attr(Py_GIL_DISABLED, inline)]
    fn charged_beside_others(&self, key: &[u8], cost: u64) -> Result<Outcome<'_>, Error> {
        self.core.charge_known(key, cost)
    }

    pub(super) fn core(&self) -> &Arc<limiter::Limiter> {
        &self.core
    }

    /// The class that an unknown key gets, once the clock is up to date. Runs the caller's code, so never under a lock.
    pub(super) fn class(&self, key: &Bound<'_, PyString>) -> PyResult<ClassId> {
        self.home.heed(key.py())?;
        if self.policies.is_none() || self.core.contains(convert::key(key)?)? {
            return Ok(self.core.default_class());
        }
        self.policies.class(&self.core, key)
    }
}

#[inline]
fn bytes<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    entry::key_of(key).map_or_else(|| convert::key(key.cast::<PyString>()?), Ok)
}

/// The part of the face that is Python: how tasks are parked.
pub(super) fn waiting_module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(MODULE.get_or_try_init(py, || py.import("tollbar._waiting").map(Bound::unbind))?.bind(py))
}

/// The argument `priority`: lower ones are served first.
struct Priority(u8);

impl<'py> FromPyObject<'_, 'py> for Priority {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match u8::try_from(convert::whole("priority", &value)?) {
            Ok(priority) if priority < 128 => Ok(Self(priority)),
            _ => Err(PyValueError::new_err(format!("priority must be at most 127, not {}", value.repr()?))),
        }
    }
}

/// What is waited for, and for how long at most. A key that is refused is refused here.
fn asked(
    key: &Bound<'_, PyString>,
    cost: Cost,
    timeout: Option<&Bound<'_, PyAny>>,
    priority: Priority,
) -> PyResult<Ask> {
    convert::key(key)?;
    let timeout = match timeout {
        Some(timeout) if !is_infinite(timeout) => Some(convert::duration("timeout", timeout)?),
        _ => None,
    };
    Ok(Ask::new(cost.0).timeout_ns(timeout).priority(priority.0))
}

fn is_infinite(value: &Bound<'_, PyAny>) -> bool {
    value.cast::<PyFloat>().is_ok_and(|float| float.value() == f64::INFINITY)
}

/// How long a reservation lasts, and whether it is given back then.
fn terms(lease: Option<&Bound<'_, PyAny>>, lost: &str) -> PyResult<(u64, bool)> {
    let gives_back = match lost {
        "sent" => false,
        "returned" => true,
        other => return Err(PyValueError::new_err(format!("lost must be 'sent' or 'returned', not {other:?}"))),
    };
    Ok((lease.map_or(Ok(crate::DEFAULT_LEASE_NS), |lease| convert::duration("lease", lease))?, gives_back))
}

fn refuse_text(keys: &Bound<'_, PyAny>) -> PyResult<()> {
    if keys.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("keys must be an iterable of str, not a single str"));
    }
    Ok(())
}

#[pymethods]
impl Limiter {
    #[new]
    #[pyo3(signature = (*limits, policies=None, max_keys=None, when_full="deny", clock=None),
           text_signature = "(*limits, policies=None, max_keys=1000000, when_full='deny', clock=None)")]
    fn new(
        limits: &Bound<'_, PyTuple>,
        policies: Option<Bound<'_, PyAny>>,
        max_keys: Option<&Bound<'_, PyAny>>,
        when_full: &str,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if limits.is_empty() {
            return Err(PyValueError::new_err("limits must be at least one"));
        }
        let core = limiter::Limiter::builder(limits::policy(limits)?)
            .max_keys(convert::max_keys("max_keys", max_keys, 1_000_000)?)
            .when_full(convert::when_full(when_full)?)
            .clock(convert::clock(clock)?)
            .build()?;
        Ok(Self {
            core: Arc::new(core),
            limits: limits.clone().unbind(),
            policies: Policies::new(policies)?,
            home: Home::here(clock),
        })
    }

    #[getter]
    fn limits(&self, py: Python<'_>) -> Py<PyTuple> {
        self.limits.clone_ref(py)
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn try_acquire(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<bool> {
        Ok(self.core.try_acquire_as(convert::key(key)?, cost.0, self.class(key)?)?)
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn decide(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Decision> {
        Ok(Decision::new(self.core.decide_as(convert::key(key)?, cost.0, self.class(key)?)?))
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn peek(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Decision> {
        Ok(Decision::new(self.core.peek_as(convert::key(key)?, cost.0, self.class(key)?)?))
    }

    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn plan(&self, key: &Bound<'_, PyString>, cost: Cost) -> PyResult<Option<f64>> {
        Ok(match self.core.peek_as(convert::key(key)?, cost.0, self.class(key)?)?.plan() {
            Plan::Now => Some(0.0),
            Plan::After(nanos) => Some(convert::seconds_up(nanos)),
            Plan::Never => None,
        })
    }

    #[pyo3(signature = (key, cost=Cost(1), lease=None, *, lost="sent"),
           text_signature = "($self, key, cost=1, lease=None, *, lost='sent')")]
    fn reserve(
        &self,
        key: &Bound<'_, PyString>,
        cost: Cost,
        lease: Option<&Bound<'_, PyAny>>,
        lost: &str,
    ) -> PyResult<Reservation> {
        let (lease, gives_back) = terms(lease, lost)?;
        let (name, class) = (convert::key(key)?, self.class(key)?);
        Ok(Reservation::new(self.core.reserve_as(name, cost.0, lease, gives_back, class)?, self.home.clone()))
    }

    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Vec<bool>> {
        self.home.heed(py)?;
        refuse_text(keys)?;
        if !self.policies.is_none() {
            return self.try_acquire_each(keys, cost.0);
        }
        // The usual batch needs no more than a reference to each key, which a tuple of them is.
        if let Ok(list) = keys.cast_exact::<PyList>()
            && list.len() < DETACH_FROM
        {
            let keys = list.to_tuple();
            // Room for all at once, which a collection of results would not ask for.
            let mut each = Vec::with_capacity(keys.len());
            for key in keys.as_slice() {
                each.push(bytes(key)?);
            }
            return Ok(if fork::is_alone() {
                self.core.try_acquire_many_alone(&each, cost.0)
            } else {
                self.core.try_acquire_many(&each, cost.0)
            }?);
        }
        let keys = keys.try_iter()?.map(|key| key?.extract()).collect::<PyResult<Vec<PyBackedStr>>>()?;
        let bytes: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let work = || self.core.try_acquire_many(&bytes, cost.0);
        Ok(if bytes.len() < DETACH_FROM { work() } else { fork::detached(py, work) }?)
    }

    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_all(&self, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Decision> {
        self.home.heed(keys.py())?;
        refuse_text(keys)?;
        let (keys, classes) = self.classed(keys)?;
        let names = keys.iter().map(convert::key).collect::<PyResult<Vec<_>>>()?;
        let joint = self.core.try_acquire_all_as(&names, cost.0, |number| classes[number])?;
        let denied = joint.denied_by.map(|number| convert::text(names[number]));
        Ok(Decision::new(joint.decision).by(denied.as_deref()))
    }

    #[pyo3(signature = (key, *limits, migration="as_is"), text_signature = "($self, key, *limits, migration='as_is')")]
    fn reconfigure(&self, key: &Bound<'_, PyString>, limits: &Bound<'_, PyTuple>, migration: &str) -> PyResult<bool> {
        self.home.heed(key.py())?;
        let class = self.core.class(limits::policy(limits)?)?;
        Ok(self.core.reconfigure(convert::key(key)?, class, convert::migration(migration)?)?)
    }

    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), jitter=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, jitter=0.0)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyString>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        jitter: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let jitter = jitter.map_or(Ok(0), |jitter| convert::duration("jitter", jitter))?;
        let mut ask = asked(key, cost, timeout, priority)?;
        if jitter > 0 {
            ask = ask.holding(crate::DEFAULT_LEASE_NS.max(jitter.saturating_mul(2)), false)?;
        }
        let waiting = Waiting::new(slf.clone().unbind(), key.clone().unbind(), ask);
        waiting_module(slf.py())?.call_method1("acquire", (waiting, jitter as f64 / 1e9))
    }

    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0)),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0)")]
    fn acquire_blocking(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyString>,
        cost: Cost,
        timeout: Option<&Bound<'_, PyAny>>,
        priority: Priority,
    ) -> PyResult<bool> {
        let ask = asked(key, cost, timeout, priority)?;
        Bound::new(slf.py(), Waiting::new(slf.clone().unbind(), key.clone().unbind(), ask))?.call_method0("_block")?;
        Ok(true)
    }

    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), lease=None, lost="sent"),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, lease=None, lost='sent')")]
    fn slot<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyString>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        lease: Option<&Bound<'py, PyAny>>,
        lost: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (lease, gives_back) = terms(lease, lost)?;
        let ask = asked(key, cost, timeout, priority)?.holding(lease, gives_back)?;
        let waiting = Waiting::new(slf.clone().unbind(), key.clone().unbind(), ask);
        waiting_module(slf.py())?.call_method1("Slot", (waiting,))
    }

    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0)),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0)")]
    fn limited<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !key.is_instance_of::<PyString>() && !key.is_callable() {
            return Err(convert::wrong_type("key", "a str, or a callable that gives one", key));
        }
        let options = PyDict::new(slf.py());
        options.set_item("cost", cost.0)?;
        options.set_item("timeout", timeout)?;
        options.set_item("priority", priority.0)?;
        waiting_module(slf.py())?.call_method1("limited", (slf, key, options))
    }

    fn release(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        self.home.heed(key.py())?;
        Ok(self.core.release(convert::key(key)?)?)
    }

    fn penalize(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.core.penalize_as(convert::key(key)?, self.class(key)?)?)
    }

    fn reset(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        self.home.heed(key.py())?;
        Ok(self.core.reset(convert::key(key)?)?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.core.stats();
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

    fn shadow_denied<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.core.shadow_denied();
        counts.iter().map(|(name, count)| (&**name, count)).into_py_dict(py)
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    /// A limiter without accounts is still a limiter.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.core.contains(convert::key(key)?)?)
    }
}

impl Limiter {
    /// The keys, and the class that each of them gets where it is unknown.
    fn classed<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<(Vec<Bound<'py, PyString>>, Vec<ClassId>)> {
        let keys = keys.try_iter()?.map(|key| Ok(key?.cast_into()?)).collect::<PyResult<Vec<_>>>()?;
        let classes = keys.iter().map(|key| self.class(key)).collect::<PyResult<Vec<_>>>()?;
        Ok((keys, classes))
    }

    /// One after the other, each with limits of its own. All keys and policies are looked at before any is charged.
    fn try_acquire_each(&self, keys: &Bound<'_, PyAny>, cost: u64) -> PyResult<Vec<bool>> {
        let (keys, classes) = self.classed(keys)?;
        let each = keys.iter().zip(classes);
        each.map(|(key, class)| Ok(self.core.try_acquire_as(convert::key(key)?, cost, class)?)).collect()
    }
}
