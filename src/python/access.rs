//! `ClientAccess` and `Jail`: so many accesses in any period, and a timeout for those who do not stop asking.

use std::hash::{Hash, Hasher};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyString, PyTuple};

use super::convert;
use crate::access;
use crate::limit;

/// A timeout: a value, to be given to any number of limiters.
#[pyclass(frozen, eq, hash, module = "tollbar.access")]
#[derive(PartialEq)]
pub(super) struct Jail(limit::Jail);

impl Hash for Jail {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(jail) = self;
        (jail.denials(), jail.within(), jail.duration(), jail.longest(), jail.factor().to_bits()).hash(state);
    }
}

#[pymethods]
impl Jail {
    #[new]
    #[pyo3(signature = (denials, within, duration, *, factor=None, longest=None),
           text_signature = "(denials, within, duration, *, factor=1.0, longest=None)")]
    fn new(
        denials: &Bound<'_, PyAny>,
        within: &Bound<'_, PyAny>,
        duration: &Bound<'_, PyAny>,
        factor: Option<&Bound<'_, PyAny>>,
        longest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let denials = convert::whole("denials", denials)?;
        let (within, duration) = (convert::duration("within", within)?, convert::duration("duration", duration)?);
        let factor = factor.map_or(Ok(1.0), |factor| convert::number("factor", factor))?;
        let longest = longest.map(|longest| convert::duration("longest", longest)).transpose()?;
        Ok(Self(limit::Jail::new(denials, within, duration)?.escalating(factor, longest)?))
    }

    #[getter]
    fn denials(&self) -> u64 {
        self.0.denials()
    }

    #[getter]
    fn within(&self) -> f64 {
        self.0.within() as f64 / 1e9
    }

    #[getter]
    fn duration(&self) -> f64 {
        self.0.duration() as f64 / 1e9
    }

    #[getter]
    fn factor(&self) -> f64 {
        self.0.factor()
    }

    #[getter]
    fn longest(&self) -> Option<f64> {
        self.0.longest().map(|longest| longest as f64 / 1e9)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let options = PyDict::new(py);
        options.set_item("factor", this.factor())?;
        options.set_item("longest", this.longest())?;
        let make = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&options))?;
        Ok((make, (this.denials(), this.within(), this.duration()).into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        let factor = if self.factor() > 1.0 { format!(", factor={:?}", self.factor()) } else { String::new() };
        let longest = self.longest().map_or_else(String::new, |longest| format!(", longest={longest:?}"));
        let (denials, within, duration) = (self.denials(), self.within(), self.duration());
        format!("Jail({denials}, within={within:?}, duration={duration:?}{factor}{longest})")
    }
}

/// At most `limit` accesses of a client in any `period`.
#[pyclass(frozen, subclass, weakref, module = "tollbar.access")]
pub(super) struct ClientAccess(access::ClientAccess);

impl ClientAccess {
    #[inline]
    pub(super) fn core(&self) -> &access::ClientAccess {
        &self.0
    }
}

#[pymethods]
impl ClientAccess {
    #[new]
    #[pyo3(signature = (limit, period, jail=None, *, lateness=None, max_clients=None, clock=None),
           text_signature = "(limit, period, jail=None, *, lateness=None, max_clients=1000000, clock=None)")]
    fn new(
        limit: &Bound<'_, PyAny>,
        period: &Bound<'_, PyAny>,
        jail: Option<&Bound<'_, PyAny>>,
        lateness: Option<&Bound<'_, PyAny>>,
        max_clients: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (limit, period) = (convert::whole("limit", limit)?, convert::duration("period", period)?);
        let mut access = access::ClientAccess::new(limit, period, convert::clock(clock)?)?;
        if let Some(jail) = jail {
            let Ok(jail) = jail.cast::<Jail>() else {
                return Err(PyTypeError::new_err(format!("jail must be a Jail or None, not {}", jail.repr()?)));
            };
            access = access.jail(jail.get().0);
        }
        if let Some(lateness) = lateness {
            access = access.lateness(convert::duration("lateness", lateness)?);
        }
        Ok(Self(access.max_clients(convert::max_keys("max_clients", max_clients, 1_000_000)?)?))
    }

    #[pyo3(signature = (client_id, access_time=None), text_signature = "($self, client_id, access_time=None)")]
    fn is_allowed(&self, client_id: &Bound<'_, PyString>, access_time: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let time = access_time.map(|time| convert::nanos("access_time", time)).transpose()?;
        Ok(self.0.is_allowed(convert::key(client_id)?, time)?)
    }

    #[pyo3(name = "isAllowed", signature = (client_id, access_time=None),
           text_signature = "($self, client_id, access_time=None)")]
    fn is_allowed_in_camel_case(
        &self,
        client_id: &Bound<'_, PyString>,
        access_time: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.is_allowed(client_id, access_time)
    }

    fn release(&self, client_id: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.0.release(convert::key(client_id)?)?)
    }

    fn jailed_until(&self, client_id: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
        Ok(self.0.jailed_until(convert::key(client_id)?)?.map(convert::time_up))
    }

    fn jailed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (client, until) in self.0.jailed() {
            dict.set_item(convert::text(&client), convert::time_up(until))?;
        }
        Ok(dict)
    }

    fn forget(&self, client_id: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.0.forget(convert::key(client_id)?)?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats();
        [
            ("allowed", stats.allowed),
            ("denied", stats.denied),
            ("jailed", stats.jailed),
            ("late", stats.late),
            ("full", stats.full),
            ("clients", stats.clients),
        ]
        .into_py_dict(py)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// A limiter without clients is still a limiter.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, client_id: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.0.contains(convert::key(client_id)?)?)
    }
}
