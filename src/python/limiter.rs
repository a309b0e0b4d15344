//! `Limiter`: the native API over any keys.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{IntoPyDict, PyDict, PyFloat, PyList, PyString, PyTuple};

use super::convert::{self, Cost, Key, Priority};
use super::decision::Decision;
use super::inherited::{Home, Made};
use super::policies::Policies;
use super::reservation::Reservation;
use super::waiting::Waiting;
use super::{batch, fork, limits, waiting};
use crate::classes::ClassId;
use crate::decision::Plan;
use crate::error::Error;
use crate::limiter::{self, Ask, Outcome};

/// A batch of at least this many keys lets other Python threads run; below, letting go costs more than
/// it gives.
const DETACH_FROM: usize = 1024;

#[doc = stub!("Limiter")]
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct Limiter {
    core: Arc<limiter::Limiter>,
    limits: Py<PyTuple>,
    policies: Policies,
    home: Home,
}

impl Made for Limiter {
    fn home(&self) -> Home {
        self.home
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

    /// The class that an unknown key gets. Runs the caller's code, so never under a lock.
    pub(super) fn class(&self, key: &Bound<'_, PyString>) -> PyResult<ClassId> {
        if self.policies.is_none() || self.core.contains(convert::key(key)?)? {
            return Ok(self.core.default_class());
        }
        self.policies.class(&self.core, key)
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
            home: Home::here(),
        })
    }

    #[doc = stub!("Limiter.limits")]
    #[getter]
    fn limits(&self, py: Python<'_>) -> Py<PyTuple> {
        self.limits.clone_ref(py)
    }

    #[doc = stub!("Limiter.try_acquire")]
    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn try_acquire(&self, key: Key<'_, '_>, cost: Cost) -> PyResult<bool> {
        Ok(self.core.try_acquire_as(convert::key(&key)?, cost.0, self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.decide")]
    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn decide(&self, key: Key<'_, '_>, cost: Cost) -> PyResult<Decision> {
        self.home.heed(key.py());
        Ok(Decision::new(self.core.decide_as(convert::key(&key)?, cost.0, self.class(&key)?)?))
    }

    #[doc = stub!("Limiter.peek")]
    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn peek(&self, key: Key<'_, '_>, cost: Cost) -> PyResult<Decision> {
        Ok(Decision::new(self.core.peek_as(convert::key(&key)?, cost.0, self.class(&key)?)?))
    }

    #[doc = stub!("Limiter.plan")]
    #[pyo3(signature = (key, cost=Cost(1)), text_signature = "($self, key, cost=1)")]
    fn plan(&self, key: Key<'_, '_>, cost: Cost) -> PyResult<Option<f64>> {
        Ok(match self.core.peek_as(convert::key(&key)?, cost.0, self.class(&key)?)?.plan() {
            Plan::Now => Some(0.0),
            Plan::After(nanos) => Some(convert::seconds_up(nanos)),
            Plan::Never => None,
        })
    }

    #[doc = stub!("Limiter.reserve")]
    #[pyo3(signature = (key, cost=Cost(1), lease=None, *, lost="sent"),
           text_signature = "($self, key, cost=1, lease=None, *, lost='sent')")]
    fn reserve(
        &self,
        key: Key<'_, '_>,
        cost: Cost,
        lease: Option<&Bound<'_, PyAny>>,
        lost: &str,
    ) -> PyResult<Reservation> {
        self.home.heed(key.py());
        let (lease, gives_back) = terms(lease, lost)?;
        let (name, class) = (convert::key(&key)?, self.class(&key)?);
        Ok(Reservation::new(self.core.reserve_as(name, cost.0, lease, gives_back, class)?))
    }

    #[doc = stub!("Limiter.try_acquire_many")]
    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Vec<bool>> {
        self.home.heed(py);
        batch::refuse_text(keys)?;
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
            for key in keys.as_slice().iter().enumerate() {
                each.push(batch::bytes(key)?);
            }
            let answers = if fork::is_alone() {
                self.core.try_acquire_many_alone(&each, cost.0)
            } else {
                self.core.try_acquire_many(&each, cost.0)
            };
            return answers.map_err(|error| batch::located(error, &each));
        }
        let texts = batch::each(keys)?.enumerate().map(|(at, key)| batch::text(at, &key?)?.extract());
        let keys = texts.collect::<PyResult<Vec<PyBackedStr>>>()?;
        let bytes: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let work = || self.core.try_acquire_many(&bytes, cost.0);
        let answers = if bytes.len() < DETACH_FROM { work() } else { fork::detached(py, work) };
        answers.map_err(|error| batch::located(error, &bytes))
    }

    #[doc = stub!("Limiter.try_acquire_all")]
    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_all(&self, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Decision> {
        self.home.heed(keys.py());
        let (keys, classes) = self.classed(keys)?;
        let names = keys.iter().map(convert::key).collect::<PyResult<Vec<_>>>()?;
        let joint = self.core.try_acquire_all_as(&names, cost.0, |number| classes[number]);
        let joint = joint.map_err(|error| batch::located(error, &names))?;
        let denied = joint.denied_by.map(|number| convert::text(names[number]));
        Ok(Decision::new(joint.decision).by(denied.as_deref()))
    }

    #[doc = stub!("Limiter.reconfigure")]
    #[pyo3(signature = (key, *limits, migration="as_is"), text_signature = "($self, key, *limits, migration='as_is')")]
    fn reconfigure(&self, key: Key<'_, '_>, limits: &Bound<'_, PyTuple>, migration: &str) -> PyResult<bool> {
        let class = self.core.class(limits::policy(limits)?)?;
        Ok(self.core.reconfigure(convert::key(&key)?, class, convert::migration(migration)?)?)
    }

    #[doc = stub!("Limiter.acquire")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), jitter=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, jitter=0.0)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        key: Key<'_, 'py>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        jitter: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let jitter = jitter.map_or(Ok(0), |jitter| convert::duration("jitter", jitter))?;
        let mut ask = asked(&key, cost, timeout, priority)?;
        if jitter > 0 {
            ask = ask.holding(crate::DEFAULT_LEASE_NS.max(jitter.saturating_mul(2)), false)?;
        }
        let waiting = Waiting::new(slf.clone().unbind(), key.to_owned().unbind(), ask);
        waiting::module(slf.py())?.call_method1("acquire", (waiting, jitter as f64 / 1e9))
    }

    #[doc = stub!("Limiter.acquire_blocking")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0)),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0)")]
    fn acquire_blocking(
        slf: &Bound<'_, Self>,
        key: Key<'_, '_>,
        cost: Cost,
        timeout: Option<&Bound<'_, PyAny>>,
        priority: Priority,
    ) -> PyResult<bool> {
        let ask = asked(&key, cost, timeout, priority)?;
        Bound::new(slf.py(), Waiting::new(slf.clone().unbind(), key.to_owned().unbind(), ask))?
            .call_method0("_block")?;
        Ok(true)
    }

    #[doc = stub!("Limiter.slot")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), lease=None, lost="sent"),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, lease=None, lost='sent')")]
    fn slot<'py>(
        slf: &Bound<'py, Self>,
        key: Key<'_, 'py>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        lease: Option<&Bound<'py, PyAny>>,
        lost: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (lease, gives_back) = terms(lease, lost)?;
        let ask = asked(&key, cost, timeout, priority)?.holding(lease, gives_back)?;
        let waiting = Waiting::new(slf.clone().unbind(), key.to_owned().unbind(), ask);
        waiting::module(slf.py())?.call_method1("Slot", (waiting,))
    }

    // The arguments are the decorator's own, which knows a key given by place from one given by name.
    #[doc = stub!("Limiter.limited")]
    #[pyo3(signature = (*arguments, **options),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0)")]
    fn limited<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all: Vec<_> = std::iter::once(slf.as_any().clone()).chain(arguments.iter()).collect();
        let module = slf.py().import("tollbar._limited")?;
        module.call_method("decorator", PyTuple::new(slf.py(), all)?, options)
    }

    #[doc = stub!("Limiter.release")]
    fn release(&self, key: Key<'_, '_>) -> PyResult<bool> {
        Ok(self.core.release(convert::key(&key)?)?)
    }

    #[doc = stub!("Limiter.penalize")]
    fn penalize(&self, key: Key<'_, '_>) -> PyResult<bool> {
        Ok(self.core.penalize_as(convert::key(&key)?, self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.reset")]
    fn reset(&self, key: Key<'_, '_>) -> PyResult<bool> {
        Ok(self.core.reset(convert::key(&key)?)?)
    }

    #[doc = stub!("Limiter.stats")]
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

    #[doc = stub!("Limiter.shadow_denied")]
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

    fn __contains__(&self, key: Key<'_, '_>) -> PyResult<bool> {
        Ok(self.core.contains(convert::key(&key)?)?)
    }
}

impl Limiter {
    /// The keys, and the class that each of them gets where it is unknown.
    fn classed<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<(Vec<Bound<'py, PyString>>, Vec<ClassId>)> {
        let texts = batch::each(keys)?.enumerate().map(|(at, key)| Ok(batch::text(at, &key?)?.clone()));
        let keys = texts.collect::<PyResult<Vec<_>>>()?;
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
