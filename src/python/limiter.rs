//! `Limiter`: the native API over any keys.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyString, PyTuple};

use super::asked::{asked, asked_of_all, terms};
use super::awaited::Awaited;
use super::convert::{self, Cost, Costs, Key, Priority};
use super::decision::Decision;
use super::inherited::{Home, Made};
use super::inspect::{self, Keys, LimitState};
use super::policies::Policies;
use super::reservation::Reservation;
use super::waiting::Waiting;
use super::{batch, fork, limits, waiting};
use crate::decision::Plan;
use crate::error::Error;
use crate::limiter::{self, ClassId, Outcome};

#[doc = stub!("Limiter")]
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct Limiter {
    core: Arc<limiter::Limiter>,
    limits: Mutex<Py<PyTuple>>,
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
        let core = limiter::Limiter::builder(limits::whole(limits)?)
            .max_keys(convert::max_keys("max_keys", max_keys, 1_000_000)?)
            .when_full(convert::when_full(when_full)?)
            .clock(convert::clock(clock)?)
            .build()?;
        Ok(Self {
            core: Arc::new(core),
            limits: Mutex::new(limits.clone().unbind()),
            policies: Policies::new(policies)?,
            home: Home::here(clock),
        })
    }

    #[doc = stub!("Limiter.limits")]
    #[getter]
    fn limits(&self, py: Python<'_>) -> Py<PyTuple> {
        self.limits.lock().clone_ref(py)
    }

    #[doc = stub!("Limiter.try_acquire")]
    #[pyo3(signature = (key, cost=Cost(1), *, costs=None), text_signature = "($self, key, cost=1, *, costs=None)")]
    fn try_acquire(&self, key: Key<'_, '_>, cost: Cost, costs: Option<Costs>) -> PyResult<bool> {
        Ok(self.core.try_acquire_as(convert::key(&key)?, Costs::beside(cost.0, costs), self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.decide")]
    #[pyo3(signature = (key, cost=Cost(1), *, costs=None), text_signature = "($self, key, cost=1, *, costs=None)")]
    fn decide(&self, key: Key<'_, '_>, cost: Cost, costs: Option<Costs>) -> PyResult<Decision> {
        Ok(Decision::new(self.core.decide_as(convert::key(&key)?, Costs::beside(cost.0, costs), self.class(&key)?)?))
    }

    #[doc = stub!("Limiter.peek")]
    #[pyo3(signature = (key, cost=Cost(1), *, costs=None), text_signature = "($self, key, cost=1, *, costs=None)")]
    fn peek(&self, key: Key<'_, '_>, cost: Cost, costs: Option<Costs>) -> PyResult<Decision> {
        Ok(Decision::new(self.core.peek_as(convert::key(&key)?, Costs::beside(cost.0, costs), self.class(&key)?)?))
    }

    #[doc = stub!("Limiter.plan")]
    #[pyo3(signature = (key, cost=Cost(1), *, costs=None), text_signature = "($self, key, cost=1, *, costs=None)")]
    fn plan(&self, key: Key<'_, '_>, cost: Cost, costs: Option<Costs>) -> PyResult<Option<f64>> {
        Ok(match self.core.peek_as(convert::key(&key)?, Costs::beside(cost.0, costs), self.class(&key)?)?.plan() {
            Plan::Now => Some(0.0),
            Plan::After(nanos) => Some(convert::seconds_up(nanos)),
            Plan::Never => None,
        })
    }

    #[doc = stub!("Limiter.reserve")]
    #[pyo3(signature = (key, cost=Cost(1), lease=None, *, lost="sent", costs=None),
           text_signature = "($self, key, cost=1, lease=None, *, lost='sent', costs=None)")]
    fn reserve(
        &self,
        key: Key<'_, '_>,
        cost: Cost,
        lease: Option<&Bound<'_, PyAny>>,
        lost: &str,
        costs: Option<Costs>,
    ) -> PyResult<Reservation> {
        let (lease, gives_back) = terms(lease, lost)?;
        let (name, class, cost) = (convert::key(&key)?, self.class(&key)?, Costs::beside(cost.0, costs));
        Ok(Reservation::new(self.core.reserve_as(name, cost, lease, gives_back, class)?, self.home.clone()))
    }

    #[doc = stub!("Limiter.try_acquire_many")]
    #[pyo3(signature = (keys, cost=Cost(1)), text_signature = "($self, keys, cost=1)")]
    fn try_acquire_many(&self, keys: &Bound<'_, PyAny>, cost: Cost) -> PyResult<Vec<bool>> {
        self.home.heed(keys.py())?;
        batch::refuse_text(keys)?;
        if !self.policies.is_none() {
            return self.try_acquire_each(keys, cost.0);
        }
        batch::charge(self, keys, cost.0)
    }

    #[doc = stub!("Limiter.try_acquire_all")]
    #[pyo3(signature = (keys, cost=Cost(1), *, costs=None), text_signature = "($self, keys, cost=1, *, costs=None)")]
    fn try_acquire_all(&self, keys: &Bound<'_, PyAny>, cost: Cost, costs: Option<Costs>) -> PyResult<Decision> {
        self.home.heed(keys.py())?;
        let (keys, classes) = self.classed(keys)?;
        let names = keys.iter().map(convert::key).collect::<PyResult<Vec<_>>>()?;
        let joint = self.core.try_acquire_all_as(&names, Costs::beside(cost.0, costs), |number| classes[number]);
        let joint = joint.map_err(|error| batch::located(error, &names))?;
        let denied = joint.denied_by.map(|number| convert::text(names[number]));
        Ok(Decision::new(joint.decision).by(denied.as_deref()))
    }

    #[doc = stub!("Limiter.reconfigure")]
    #[pyo3(signature = (key, *limits, migration="as_is"), text_signature = "($self, key, *limits, migration='as_is')")]
    fn reconfigure(&self, key: Key<'_, '_>, limits: &Bound<'_, PyTuple>, migration: &str) -> PyResult<bool> {
        self.home.heed(key.py())?;
        let (name, how) = (convert::key(&key)?, convert::migration(migration)?);
        if limits.len() == 1 && limits.get_item(0)?.is_none() {
            return Ok(self.core.follow_default(name, how)?);
        }
        Ok(self.core.reconfigure(name, self.core.class(limits::policy(limits)?)?, how)?)
    }

    #[doc = stub!("Limiter.set_limits")]
    #[pyo3(signature = (*limits, migration="as_is"), text_signature = "($self, *limits, migration='as_is')")]
    fn set_limits(&self, py: Python<'_>, limits: &Bound<'_, PyTuple>, migration: &str) -> PyResult<()> {
        self.home.heed(py)?;
        let (policy, how) = (limits::whole(limits)?, convert::migration(migration)?);
        // The tuple that was there before is dropped after the lock: that may run Python code.
        fork::detached(py, || self.core.set_limits(policy, how))?;
        drop(std::mem::replace(&mut *self.limits.lock(), limits.clone().unbind()));
        Ok(())
    }

    #[doc = stub!("Limiter.block")]
    fn block(&self, key: Key<'_, '_>, seconds: &Bound<'_, PyAny>) -> PyResult<bool> {
        let length = convert::duration("seconds", seconds)?;
        Ok(self.core.block_as(convert::key(&key)?, length, self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.drain")]
    #[pyo3(signature = (key, to=Cost(0), *, limit=None), text_signature = "($self, key, to=0, *, limit=None)")]
    fn drain(&self, key: Key<'_, '_>, to: Cost, limit: Option<&str>) -> PyResult<bool> {
        Ok(self.core.drain_as(convert::key(&key)?, to.0, limit, self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.inspect")]
    #[pyo3(signature = (key, cost=Cost(1), *, costs=None), text_signature = "($self, key, cost=1, *, costs=None)")]
    fn inspect(&self, key: Key<'_, '_>, cost: Cost, costs: Option<Costs>) -> PyResult<Vec<LimitState>> {
        let (name, cost) = (convert::key(&key)?, Costs::beside(cost.0, costs));
        Ok(self.core.inspect_as(name, cost, self.class(&key)?)?.into_iter().map(LimitState::new).collect())
    }

    #[doc = stub!("Limiter.keys")]
    fn keys(slf: &Bound<'_, Self>) -> Keys {
        Keys::new(slf.clone().unbind())
    }

    #[doc = stub!("Limiter.acquire")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), jitter=None, costs=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, jitter=0.0, costs=None)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        key: Key<'_, 'py>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        jitter: Option<&Bound<'py, PyAny>>,
        costs: Option<Costs>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let jitter = jitter.map_or(Ok(0), |jitter| convert::duration("jitter", jitter))?;
        let cost = Costs::beside(cost.0, costs);
        let mut ask = asked(&key, &cost, timeout, priority)?;
        if jitter > 0 {
            ask = ask.holding(None, false)?;
        }
        let waiting = Waiting::new(slf.clone().unbind(), Awaited::One(key.to_owned().unbind()), ask, cost);
        waiting::module(slf.py())?.call_method1("acquire", (waiting, jitter as f64 / 1e9))
    }

    #[doc = stub!("Limiter.acquire_blocking")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), costs=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, costs=None)")]
    fn acquire_blocking(
        slf: &Bound<'_, Self>,
        key: Key<'_, '_>,
        cost: Cost,
        timeout: Option<&Bound<'_, PyAny>>,
        priority: Priority,
        costs: Option<Costs>,
    ) -> PyResult<bool> {
        let cost = Costs::beside(cost.0, costs);
        let ask = asked(&key, &cost, timeout, priority)?;
        let waiting = Waiting::new(slf.clone().unbind(), Awaited::One(key.to_owned().unbind()), ask, cost);
        Bound::new(slf.py(), waiting)?.call_method0("_block")?;
        Ok(true)
    }

    #[doc = stub!("Limiter.acquire_all")]
    #[pyo3(signature = (keys, cost=Cost(1), timeout=None, *, priority=Priority(0), costs=None),
           text_signature = "($self, keys, cost=1, timeout=None, *, priority=0, costs=None)")]
    fn acquire_all<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        costs: Option<Costs>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cost = Costs::beside(cost.0, costs);
        let ask = asked_of_all(&cost, timeout, priority)?;
        let waiting = Waiting::new(slf.clone().unbind(), Awaited::all(keys)?, ask, cost);
        waiting::module(slf.py())?.call_method1("acquire", (waiting, 0.0))
    }

    #[doc = stub!("Limiter.acquire_all_blocking")]
    #[pyo3(signature = (keys, cost=Cost(1), timeout=None, *, priority=Priority(0), costs=None),
           text_signature = "($self, keys, cost=1, timeout=None, *, priority=0, costs=None)")]
    fn acquire_all_blocking(
        slf: &Bound<'_, Self>,
        keys: &Bound<'_, PyAny>,
        cost: Cost,
        timeout: Option<&Bound<'_, PyAny>>,
        priority: Priority,
        costs: Option<Costs>,
    ) -> PyResult<bool> {
        let cost = Costs::beside(cost.0, costs);
        let ask = asked_of_all(&cost, timeout, priority)?;
        let waiting = Waiting::new(slf.clone().unbind(), Awaited::all(keys)?, ask, cost);
        Bound::new(slf.py(), waiting)?.call_method0("_block")?;
        Ok(true)
    }

    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), costs=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, costs=None)")]
    fn _turn(
        slf: &Bound<'_, Self>,
        key: Key<'_, '_>,
        cost: Cost,
        timeout: Option<&Bound<'_, PyAny>>,
        priority: Priority,
        costs: Option<Costs>,
    ) -> PyResult<Waiting> {
        let cost = Costs::beside(cost.0, costs);
        let ask = asked(&key, &cost, timeout, priority)?.holding_in_flight();
        Ok(Waiting::new(slf.clone().unbind(), Awaited::One(key.to_owned().unbind()), ask, cost))
    }

    #[doc = stub!("Limiter.slot")]
    #[pyo3(signature = (key, cost=Cost(1), timeout=None, *, priority=Priority(0), lease=None, lost="sent", costs=None),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, lease=None, lost='sent', costs=None)")]
    #[allow(clippy::too_many_arguments)] // the options of a request that waits and holds
    fn slot<'py>(
        slf: &Bound<'py, Self>,
        key: Key<'_, 'py>,
        cost: Cost,
        timeout: Option<&Bound<'py, PyAny>>,
        priority: Priority,
        lease: Option<&Bound<'py, PyAny>>,
        lost: &str,
        costs: Option<Costs>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ((lease, gives_back), cost) = (terms(lease, lost)?, Costs::beside(cost.0, costs));
        let ask = asked(&key, &cost, timeout, priority)?.holding(lease, gives_back)?;
        let waiting = Waiting::new(slf.clone().unbind(), Awaited::One(key.to_owned().unbind()), ask, cost);
        waiting::module(slf.py())?.call_method1("Slot", (waiting,))
    }

    // The arguments are the decorator's own, which knows a key given by place from one given by name.
    #[doc = stub!("Limiter.limited")]
    #[pyo3(signature = (*arguments, **options),
           text_signature = "($self, key, cost=1, timeout=None, *, priority=0, costs=None)")]
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
        self.home.heed(key.py())?;
        Ok(self.core.release(convert::key(&key)?)?)
    }

    #[doc = stub!("Limiter.penalize")]
    fn penalize(&self, key: Key<'_, '_>) -> PyResult<bool> {
        Ok(self.core.penalize_as(convert::key(&key)?, self.class(&key)?)?)
    }

    #[doc = stub!("Limiter.reset")]
    fn reset(&self, key: Key<'_, '_>) -> PyResult<bool> {
        self.home.heed(key.py())?;
        Ok(self.core.reset(convert::key(&key)?)?)
    }

    #[doc = stub!("Limiter.stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        inspect::stats(&self.core, py)
    }

    #[doc = stub!("Limiter.shadow_denied")]
    fn shadow_denied<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.core.shadow_denied();
        counts.iter().map(|(name, count)| (&**name, count)).into_py_dict(py)
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

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
        let keys = batch::texts(keys)?;
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
