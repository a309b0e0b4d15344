//! `Window`: so much in any stretch of time, or in each day, week, month or year of a time zone.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::calendars::Calendar;
use super::convert;
use super::limits::{Reduced, closed_like, reduced, said, shown_shadow};
use crate::limit::Edge;
use crate::policy::Limit;

#[doc = stub!("Window")]
#[pyclass(frozen, eq, hash, module = "tollbar")]
#[derive(PartialEq, Hash)]
pub(super) struct Window {
    per_ns: u64,
    edge: Edge,
    steps: Option<u64>,
    calendar: Option<Calendar>,
    limit: Limit,
}

impl Window {
    pub(super) fn core(&self) -> &Limit {
        &self.limit
    }
}

#[pymethods]
impl Window {
    #[new]
    #[pyo3(signature = (limit, per, *, edge=None, steps=None, shadow=None, name=None, zone=None),
           text_signature = "(limit, per, *, edge='half_open', steps=None, shadow=False, name=None, zone=None)")]
    fn new(
        limit: &Bound<'_, PyAny>,
        per: &Bound<'_, PyAny>,
        edge: Option<&str>,
        steps: Option<&Bound<'_, PyAny>>,
        shadow: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
        zone: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if let Some(calendar) = Calendar::named(per, zone)? {
            if let Some(given) = edge.map(|_| "edge").or(steps.map(|_| "steps")) {
                let message =
                    format!("{given} must be left out where per is {:?}: its windows do not slide", calendar.per);
                return Err(PyValueError::new_err(message));
            }
            let limit = match convert::whole("limit", limit)? {
                0 => closed_like(&calendar.limit(per.py(), 1)?),
                count => calendar.limit(per.py(), count)?,
            };
            let limit = said(limit, shadow, name)?;
            return Ok(Self { per_ns: 0, edge: Edge::HalfOpen, steps: None, calendar: Some(calendar), limit });
        }
        let edge = match edge.unwrap_or("half_open") {
            "half_open" => Edge::HalfOpen,
            // "Free only when now - t > per" is what a closed window says.
            "closed" | "strict" => Edge::Closed,
            other => {
                let message = format!("edge must be 'half_open', 'closed' or 'strict', not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        let (count, per_ns) = (convert::whole("limit", limit)?, convert::duration("per", per)?);
        let steps = steps.map(|steps| convert::whole("steps", steps)).transpose()?;
        let limit = match steps {
            _ if count == 0 => Limit::window(1, per_ns, edge).map(|one| closed_like(&one)),
            None => Limit::window(count, per_ns, edge),
            Some(steps) => Limit::window_in_steps(count, per_ns, edge, steps),
        };
        Ok(Self { per_ns, edge, steps, calendar: None, limit: said(limit?, shadow, name)? })
    }

    #[doc = stub!("Window.limit")]
    #[getter]
    fn limit(&self) -> u64 {
        self.limit.capacity()
    }

    #[doc = stub!("Window.per")]
    #[getter]
    fn per<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.calendar {
            Some(calendar) => Ok(calendar.per.into_pyobject(py)?.into_any()),
            None => Ok((self.per_ns as f64 / 1e9).into_pyobject(py)?.into_any()),
        }
    }

    #[doc = stub!("Window.zone")]
    #[getter]
    fn zone(&self) -> Option<&str> {
        self.calendar.as_ref().map(|calendar| calendar.zone.as_str())
    }

    #[doc = stub!("Window.edge")]
    #[getter]
    fn edge(&self) -> &'static str {
        if self.edge == Edge::Closed { "closed" } else { "half_open" }
    }

    #[doc = stub!("Window.steps")]
    #[getter]
    fn steps(&self) -> Option<u64> {
        self.steps
    }

    #[doc = stub!("Window.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.limit.is_shadow()
    }

    #[doc = stub!("Window.name")]
    #[getter]
    fn name(&self) -> &str {
        self.limit.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let mut more = vec![("zone", this.zone().into_pyobject(py)?.into_any())];
        if this.calendar.is_none() {
            more.push(("edge", this.edge().into_pyobject(py)?.into_any()));
            more.push(("steps", this.steps.into_pyobject(py)?.into_any()));
        }
        reduced(slf, (this.limit(), this.per(py)?), &this.limit, &more)
    }

    fn __repr__(&self) -> String {
        if let Some(Calendar { per, zone }) = &self.calendar {
            return format!("Window({}, per='{per}', zone='{zone}'{})", self.limit(), shown_shadow(&self.limit));
        }
        let edge = if self.edge == Edge::Closed { ", edge='closed'" } else { "" };
        let steps = self.steps.map_or_else(String::new, |steps| format!(", steps={steps}"));
        let per = self.per_ns as f64 / 1e9;
        format!("Window({}, per={per:?}{edge}{steps}{})", self.limit(), shown_shadow(&self.limit))
    }
}
