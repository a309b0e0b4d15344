//! `Reservation`: what `Limiter.reserve` gives out, to be committed or cancelled; a context manager of both kinds.

use std::collections::BTreeMap;

use pyo3::prelude::*;

use super::answered::answered;
use super::asked::lease_ns;
use super::convert::{self, Costs};
use super::decision::Decision;
use crate::limiter;

#[doc = stub!("Reservation")]
#[pyclass(frozen, weakref, module = "tollbar")]
pub(super) struct Reservation(limiter::Reservation);

impl Reservation {
    pub(super) fn new(core: limiter::Reservation) -> Self {
        Self(core)
    }

    /// Committed if all went well, else cancelled. Whoever has ended it inside has said what became of it.
    fn leave(&self, went_well: bool) {
        if went_well {
            self.0.commit(None);
        } else {
            self.0.cancel();
        }
    }
}

#[pymethods]
impl Reservation {
    #[doc = stub!("Reservation.commit")]
    #[pyo3(signature = (actual=None, *, actuals=None), text_signature = "($self, actual=None, *, actuals=None)")]
    fn commit(&self, actual: Option<&Bound<'_, PyAny>>, actuals: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let actual = actual.map(|actual| convert::cost("actual", actual)).transpose()?;
        let Some(actuals) = actuals else { return Ok(self.0.commit(actual)) };
        let named = Costs::named("actuals", actuals)?;
        Ok(self.0.commit_costs(&Costs::beside(actual.unwrap_or_else(|| self.0.cost()), Some(named)))?)
    }

    #[doc = stub!("Reservation.renew")]
    #[pyo3(signature = (lease=None), text_signature = "($self, lease=None)")]
    fn renew(&self, lease: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self.0.renew(lease_ns(lease)?)?)
    }

    #[doc = stub!("Reservation.costs")]
    #[getter]
    fn costs(&self) -> BTreeMap<String, u64> {
        self.0.costs().named().iter().map(|(name, n)| (name.to_string(), *n)).collect()
    }

    #[doc = stub!("Reservation.cancel")]
    fn cancel(&self) -> bool {
        self.0.cancel()
    }

    #[doc = stub!("Reservation.decision")]
    #[getter]
    fn decision(&self) -> Decision {
        Decision::new(self.0.decision().clone())
    }

    #[doc = stub!("Reservation.key")]
    #[getter]
    fn key(&self) -> String {
        convert::text(self.0.key()).into_owned()
    }

    #[doc = stub!("Reservation.cost")]
    #[getter]
    fn cost(&self) -> u64 {
        self.0.cost()
    }

    #[doc = stub!("Reservation.is_open")]
    #[getter]
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn __bool__(&self) -> bool {
        self.0.is_granted()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> bool {
        self.leave(exc_type.is_none());
        false
    }

    fn __aenter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        answered(py, slf.into_any())
    }

    fn __aexit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        _exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        self.leave(exc_type.is_none());
        answered(py, py.None())
    }

    fn __repr__(&self) -> String {
        let state = match (self.0.is_granted(), self.0.is_open()) {
            (false, _) => "denied",
            (true, true) => "open",
            (true, false) => "ended",
        };
        format!("Reservation({:?}, cost={}, {state})", self.key(), self.0.cost())
    }
}
