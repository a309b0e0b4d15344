//! `ClientAccess`: so many accesses in any period, and a timeout for those who do not stop asking.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use super::convert::{self, Client};
use super::inherited::{Home, Made};
use super::limits::Jail;
use crate::access;

#[doc = stub!("ClientAccess")]
#[pyclass(frozen, subclass, weakref, module = "tollbar.access")]
pub(super) struct ClientAccess(access::ClientAccess, Home);

impl Made for ClientAccess {
    fn home(&self) -> Home {
        self.1
    }
}

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
            if jail.get().core().is_shadow() {
                return Err(PyValueError::new_err("jail must not be a shadow limit here"));
            }
            access = access.jail(jail.get().rule());
        }
        if let Some(lateness) = lateness {
            access = access.lateness(convert::duration("lateness", lateness)?);
        }
        let access = access.max_clients(convert::max_keys("max_clients", max_clients, 1_000_000)?)?;
        Ok(Self(access, Home::here()))
    }

    #[doc = stub!("ClientAccess.is_allowed")]
    #[pyo3(signature = (client_id, access_time=None), text_signature = "($self, client_id, access_time=None)")]
    fn is_allowed(&self, client_id: Client<'_, '_>, access_time: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let time = access_time.map(|time| convert::nanos("access_time", time)).transpose()?;
        Ok(self.0.is_allowed(convert::key(&client_id)?, time)?)
    }

    #[doc = stub!("ClientAccess.isAllowed")]
    #[pyo3(name = "isAllowed", signature = (client_id, access_time=None),
           text_signature = "($self, client_id, access_time=None)")]
    fn is_allowed_in_camel_case(
        &self,
        client_id: Client<'_, '_>,
        access_time: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.is_allowed(client_id, access_time)
    }

    #[doc = stub!("ClientAccess.release")]
    fn release(&self, client_id: Client<'_, '_>) -> PyResult<bool> {
        Ok(self.0.release(convert::key(&client_id)?)?)
    }

    #[doc = stub!("ClientAccess.jailed_until")]
    fn jailed_until(&self, client_id: Client<'_, '_>) -> PyResult<Option<f64>> {
        Ok(self.0.jailed_until(convert::key(&client_id)?)?.map(convert::time_up))
    }

    #[doc = stub!("ClientAccess.jailed")]
    fn jailed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (client, until) in self.0.jailed() {
            dict.set_item(convert::text(&client), convert::time_up(until))?;
        }
        Ok(dict)
    }

    #[doc = stub!("ClientAccess.forget")]
    fn forget(&self, client_id: Client<'_, '_>) -> PyResult<bool> {
        Ok(self.0.forget(convert::key(&client_id)?)?)
    }

    #[doc = stub!("ClientAccess.stats")]
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

    fn __contains__(&self, client_id: Client<'_, '_>) -> PyResult<bool> {
        Ok(self.0.contains(convert::key(&client_id)?)?)
    }
}
